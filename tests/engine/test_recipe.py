"""Which kinds of networks there are at which sizes, and how long each is trained."""

import numpy as np
import pytest

from sklearn_twolayer.engine.model.parameters import Shape
from sklearn_twolayer.engine.recipe import (
    CHEAP,
    CHEAP_BESIDE_BATCHES,
    CHEAP_TO_REPEAT,
    FEWEST_EPOCHS,
    STEPS,
    STEPS_WITH_KNOTS,
    Table,
    cost_of_curvature,
    exact_pays,
    kinds,
    n_epochs,
    n_folds,
    usual_batch_size,
)
from sklearn_twolayer.engine.settings import Settings, is_auto
from sklearn_twolayer.engine.solvers import SOLVERS
from sklearn_twolayer.engine.solvers.levenberg_marquardt import LARGEST

# (solver, encoding, where the evidence begins, starts, rows that speak for it)
EXACT = ("lm", "linear", "noise", 3, 10.0)
CLEAN = ("lm", "linear", "signal", 3, 1.0)
EXACT_OF_CLASSES = ("lm", "linear", "noise", 3, 3.0)
ONE_EXACT = ("lm", "linear", "noise", 1, 10.0)
ONE_EXACT_OF_CLASSES = ("lm", "linear", "noise", 1, 3.0)
SMOOTH = ("adam", "linear", "signal", 1, 1.0)
KNOTS = ("adam", "piecewise_linear", "signal", 1, 1.0)
TWO_WITH_KNOTS = ("adam", "piecewise_linear", "signal", 2, 1.0)
CONFIDENT = ("lbfgs", "linear", "noise", 1, 1.0)

QUANTITIES = {
    20: [EXACT, CLEAN],
    149: [EXACT, CLEAN],
    150: [EXACT, KNOTS],
    1_999: [EXACT, KNOTS],
    2_000: [ONE_EXACT, KNOTS],
    9_999: [ONE_EXACT, KNOTS],
    10_000: [TWO_WITH_KNOTS, ONE_EXACT],
}
CLASSES = {
    20: [EXACT_OF_CLASSES, CONFIDENT],
    149: [EXACT_OF_CLASSES, CONFIDENT],
    150: [EXACT_OF_CLASSES, CONFIDENT, KNOTS],
    1_999: [EXACT_OF_CLASSES, CONFIDENT, KNOTS],
    2_000: [ONE_EXACT_OF_CLASSES, KNOTS],
    9_999: [SMOOTH, KNOTS],
    10_000: [TWO_WITH_KNOTS, SMOOTH],
}
TABLES = [(n, True, found) for n, found in QUANTITIES.items()]
TABLES += [(n, False, found) for n, found in CLASSES.items()]
every_table = pytest.mark.parametrize(("n_rows", "has_noise", "expected"), TABLES)


def table(n_rows, has_noise=True, n_columns=5, n_outputs=1, **others):
    is_usual = {"is_dense": True, "has_validation": False, "has_curvature": True}
    sizes = n_rows, n_columns, n_outputs
    return Table(*sizes, **{**is_usual, **others}, has_noise=has_noise)


def found(asked, table):
    return [
        (k.settings.solver, k.settings.encoding, k.begin, k.n_members, k.prior)
        for k in kinds(asked, table)
    ]


@every_table
def test_which_kinds_at_which_size(n_rows, has_noise, expected):
    assert found(Settings(), table(n_rows, has_noise)) == expected


@every_table
def test_sparse_rows_have_no_knots(n_rows, has_noise, expected):
    without = [kind for kind in expected if kind[1] == "linear"]
    assert found(Settings(), table(n_rows, has_noise, is_dense=False)) == without
    assert without


@every_table
def test_columns_that_are_to_stay_numbers_have_no_knots(n_rows, has_noise, expected):
    # but where they are left to choose, the same
    without = [kind for kind in expected if kind[1] == "linear"]
    assert found(Settings(encoding="linear"), table(n_rows, has_noise)) == without


@pytest.mark.parametrize("is_dense", [False, True])
@pytest.mark.parametrize(("n_rows", "expected"), [(20, KNOTS), (10_000, TWO_WITH_KNOTS)])
def test_knots_that_are_asked_for_are_all_there_is(n_rows, expected, is_dense):
    # of sparse rows the plan says that it is not possible
    asked = Settings(encoding="piecewise_linear")
    assert found(asked, table(n_rows, is_dense=is_dense)) == [expected]


@every_table
def test_all_choose_their_prior_by_the_evidence_but_the_confident(n_rows, has_noise, expected):
    for kind in kinds(Settings(), table(n_rows, has_noise)):
        confident = kind.settings.solver == "lbfgs"
        assert kind.settings.alpha == (1.0 if confident else "auto")
        assert kind.settings.activation == ("relu" if confident else "auto")
        assert kind.settings.dtype == ("float32" if kind.settings.solver == "adam" else "auto")


def test_what_is_asked_for_holds_for_every_kind():
    asked = Settings(activation="gelu", dtype="float64", tol=0.5, skip=True, batch_size=7)
    for kind in kinds(asked, table(200, has_noise=False)):
        for name in ("activation", "dtype", "tol", "skip", "batch_size"):
            assert getattr(kind.settings, name) == getattr(asked, name)


@every_table
def test_a_number_of_hidden_units_makes_one_network_of_the_first_kind(n_rows, has_noise, expected):
    first = (*expected[0][:3], 1, expected[0][4])
    assert found(Settings(hidden_size=20), table(n_rows, has_noise)) == [first]
    assert found(Settings(n_members=1), table(n_rows, has_noise)) == [first]


@pytest.mark.parametrize(
    ("n_members", "numbers"),
    [(1, [1]), (2, [1, 1]), (3, [1, 1, 1]), (4, [2, 1, 1]), (5, [2, 2, 1]), (9, [3, 3, 3])],
)
@pytest.mark.parametrize("hidden_size", ["auto", 7])
def test_so_many_members_are_of_each_kind_in_turn(n_members, numbers, hidden_size):
    asked = Settings(n_members=n_members, hidden_size=hidden_size)
    expected = [
        (*kind[:3], number, kind[4]) for kind, number in zip(CLASSES[150], numbers, strict=False)
    ]
    assert found(asked, table(150, has_noise=False)) == expected


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("n_rows", [20, 1_000, 100_000])
@pytest.mark.parametrize("validated", [False, True])
def test_a_solver_that_is_given_trains_one_network_unless_told_otherwise(solver, n_rows, validated):
    asked = Settings(solver=solver)
    of_rows = table(n_rows, has_validation=validated)
    (kind,) = kinds(asked, of_rows)
    assert kind.settings is asked and kind.n_members == 1
    assert kind.begin == ("noise" if solver == "lm" else "signal")
    (kind,) = kinds(Settings(solver=solver, n_members=4), of_rows)
    assert kind.n_members == 4


@pytest.mark.parametrize("options", [{}, {"n_members": 4}, {"solver": "adam", "n_members": 4}])
@pytest.mark.parametrize("alpha", [0.0, 1.0, np.ones(8)], ids=["0", "1", "array"])
def test_alpha_that_is_given_leaves_one_network(options, alpha):
    asked = Settings(alpha=alpha, **options)
    (kind,) = kinds(asked, table(200))
    assert kind.settings is asked and kind.n_members == 1


def test_without_curvature_there_is_one_network_as_it_was_asked_for():
    asked = Settings()
    (kind,) = kinds(asked, table(200, has_curvature=False))
    assert kind.settings is asked and kind.n_members == 1


@pytest.mark.parametrize(
    ("n_rows", "is_dense", "encoding", "expected"),
    [
        (149, True, "auto", "linear"),
        (150, True, "auto", "piecewise_linear"),
        (20_000, True, "auto", "piecewise_linear"),
        (20_000, False, "auto", "linear"),
        (20_000, True, "linear", "linear"),
        (20, True, "piecewise_linear", "piecewise_linear"),
        (20, False, "piecewise_linear", "piecewise_linear"),
    ],
)
def test_rows_for_validation_stop_one_network_of_mini_batches(n_rows, is_dense, encoding, expected):
    of_rows = table(n_rows, has_validation=True, is_dense=is_dense)
    assert found(Settings(encoding=encoding), of_rows) == [("adam", expected, "signal", 1, 1.0)]


def most_columns(n_rows, n_hidden, n_outputs, limit):
    """The most for which a step by curvature is cheap."""
    n_columns = 1
    while True:
        size = Shape(n_columns + 1, n_hidden, n_outputs, n_outputs == 1).size
        if size > LARGEST or n_rows * size**2 + size**3 > limit:
            return n_columns
        n_columns += 1


@pytest.mark.parametrize(
    ("n_rows", "n_hidden", "has_noise", "limit"),
    [
        (100, 10, True, CHEAP),
        (1_999, 10, False, CHEAP),
        (2_000, 10, True, CHEAP_BESIDE_BATCHES[True]),
        (2_000, 10, False, CHEAP_BESIDE_BATCHES[False]),
        (2_999, 10, True, CHEAP_BESIDE_BATCHES[True]),
        (3_000, 20, True, CHEAP_BESIDE_BATCHES[True]),
    ],
)
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_steps_by_curvature_are_taken_where_they_are_cheap(
    n_rows, n_hidden, has_noise, limit, n_outputs
):
    most = most_columns(n_rows, n_hidden, n_outputs, limit)
    for more in (False, True):
        of_rows = table(n_rows, has_noise, most + more, n_outputs)
        first = kinds(Settings(), of_rows)[0].settings.solver
        assert first == ("adam" if more else "lm")
        assert exact_pays(Settings(), of_rows) == (not more)


def test_the_cost_is_that_of_the_network_asked_for():
    most = most_columns(1_999, 10, 1, CHEAP)
    assert not exact_pays(Settings(hidden_size=11), table(1_999, n_columns=most))
    assert exact_pays(Settings(hidden_size=9), table(1_999, n_columns=most + 1))
    most = most_columns(1_999, 10, 3, CHEAP)
    assert not exact_pays(Settings(skip=True), table(1_999, n_columns=most, n_outputs=3))


def test_the_cost_is_that_of_columns_as_they_are_encoded():
    of_rows = table(500)
    wide = Table(**{**vars(of_rows), "n_encoded": 300})
    assert exact_pays(Settings(), of_rows) and not exact_pays(Settings(), wide)


def test_no_matrix_is_larger_than_can_be_solved():
    barely = next(n for n in range(1, 1_000) if Shape(n, 10, 1, True).size > LARGEST)
    assert not exact_pays(Settings(), table(1, n_columns=barely))


def test_a_step_by_curvature_costs_a_product_and_a_factorisation():
    assert cost_of_curvature(1_000, 50) == 1_000 * 50**2 + 50**3


@pytest.mark.parametrize("has_knots", [False, True])
@pytest.mark.parametrize("n_rows", [200, 1_999, 2_000, 10_000])
def test_steps_grow_with_the_root_of_the_rows(has_knots, n_rows):
    size = usual_batch_size(n_rows)
    n_steps = n_epochs(n_rows, size, has_knots) * n_rows / size
    expected = (STEPS_WITH_KNOTS if has_knots else STEPS) * n_rows**0.5
    assert abs(n_steps - expected) <= 0.5 * n_rows / size


@pytest.mark.parametrize("n_rows", [10**6, 10**9])
def test_every_row_is_visited_some_times(n_rows):
    assert n_epochs(n_rows, 256, has_knots=True) == FEWEST_EPOCHS


def test_an_epoch_of_few_rows_is_one_batch():
    assert n_epochs(9, 64, has_knots=False) == 3 * STEPS
    assert n_epochs(9, 200, has_knots=False) == 3 * STEPS


@pytest.mark.parametrize(("n_rows", "size"), [(1, 64), (1_999, 64), (2_000, 256), (10**6, 256)])
def test_the_size_of_mini_batches(n_rows, size):
    assert usual_batch_size(n_rows) == size


@pytest.mark.parametrize(
    ("n_rows", "expected"), [(1, 0), (19, 0), (20, 5), (1_000, 5), (1_001, 1), (10**6, 1)]
)
def test_rows_are_held_out_where_there_are_enough(n_rows, expected):
    assert n_folds(n_rows) == expected


@pytest.mark.parametrize("has_noise", [False, True])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_costly_networks_have_one_start(has_noise, n_outputs):
    most = most_columns(500, 10, n_outputs, CHEAP_TO_REPEAT)
    for more, n_members in ((0, 3), (1, 1)):
        smooth, *_ = kinds(Settings(), table(500, has_noise, most + more, n_outputs))
        assert (smooth.settings.solver, smooth.n_members) == ("lm", n_members)


@pytest.mark.parametrize("value", [1.0, 3, None, "tanh", np.ones(2), np.array(["auto"]), False])
def test_nothing_else_is_auto(value):
    assert not is_auto(value)
    assert is_auto("auto")


BENT, BENT_WHERE_CONSTRAINED = "piecewise_linear", "linear"
MONOTONIC = {
    "few rows": ({"n_rows": 200}, {}, [(BENT, 3), (BENT_WHERE_CONSTRAINED, 3)]),
    "nothing free": ({"n_rows": 200, "has_free_numbers": False}, {}, [(BENT, 3)]),
    "more rows": ({"n_rows": 2000}, {}, [(BENT, 3)]),
    "many rows": ({"n_rows": 10_000}, {}, [(BENT, 2)]),
    "validation": ({"n_rows": 200, "has_validation": True}, {}, [(BENT, 1)]),
    "few knots": ({"n_rows": 200}, {"encoding": "linear"}, [(BENT_WHERE_CONSTRAINED, 3)]),
    "so many": ({"n_rows": 200}, {"n_members": 3}, [(BENT, 2), (BENT_WHERE_CONSTRAINED, 1)]),
    "units": ({"n_rows": 200}, {"hidden_size": 5}, [(BENT, 1)]),
    "solver": ({"n_rows": 200}, {"solver": "adam"}, [(BENT, 1)]),
    "prior": ({"n_rows": 200}, {"alpha": 0.1}, [(BENT, 1)]),
}


@pytest.mark.parametrize(("given", "asked", "expected"), MONOTONIC.values(), ids=MONOTONIC)
def test_what_keeps_to_signs_is_of_mini_batches(given, asked, expected):
    table = {"n_encoded": 5, "n_outputs": 1, "is_dense": True, "has_validation": False}
    table |= {"has_curvature": True, "has_noise": True, "is_monotonic": True, **given}
    found = kinds(Settings(**asked), Table(**table))
    assert [(kind.settings.encoding, kind.n_members) for kind in found] == expected
    assert {kind.settings.solver for kind in found} == {"adam"}
    assert {kind.settings.activation for kind in found} == {"tanh"}
    assert {kind.begin for kind in found} == {"signal"}


@pytest.mark.parametrize(
    ("n_rows", "size"), [(1000, 64), (100_000, 256), (128_001, 257), (4_000_000, 8000)]
)
def test_an_epoch_of_rows_elsewhere_has_a_bounded_number_of_batches(n_rows, size):
    assert usual_batch_size(n_rows, is_elsewhere=True) == size
