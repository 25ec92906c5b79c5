"""What every choice that is left open becomes, kind by kind."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.random import RandomState
from scipy import sparse

import training
from kinds import INCREMENTAL
from sklearn_twolayer import engine
from sklearn_twolayer.engine.model.parameters import Shape
from sklearn_twolayer.engine.plan import FEW_ROWS, MOST_PARAMETERS, make_plan
from sklearn_twolayer.engine.recipe import (
    CHEAP_TO_REPEAT,
    FEW_UNITS,
    MANY_UNITS,
    MORE_UNITS,
    ROWS_FOR_MORE,
    cost_of_curvature,
    n_epochs,
)
from sklearn_twolayer.engine.settings import Settings, is_auto
from sklearn_twolayer.engine.solvers import SOLVERS
from sklearn_twolayer.engine.solvers.levenberg_marquardt import LARGEST

CHOSEN = ["solver", "hidden_size", "activation", "skip", "dtype"]
TIMED = ["learning_rate", "learning_rate_init", "max_iter", "batch_size"]
CYCLE = {"learning_rate": "one_cycle", "learning_rate_init": 0.02}
AS_LONG_AS_IT_TAKES = {
    "learning_rate": "constant",
    "learning_rate_init": 0.001,
    "max_iter": 1000,
    "batch_size": 200,
}
EVIDENCE = {"alpha": None, "alpha_by": "evidence"}
EXACT = {"solver": "lm", "activation": "tanh", **EVIDENCE}
KRONECKER = {"hidden_size": MANY_UNITS, "activation": "tanh", "skip": False, **EVIDENCE}
GIVEN = {"hidden_size": MANY_UNITS, "activation": "relu", "skip": False, "alpha_by": "given"}


def asked_for(n_rows, n_features=5, n_outputs=1, validating=False, given=np.float64, **asked):
    """The task of rows of which no two are equal, and that take no memory to speak of."""
    X = np.broadcast_to(np.zeros(1, given), (n_rows, n_features))
    y = np.arange(n_rows, dtype=float)[:, None] if n_rows <= FEW_ROWS else np.zeros(1)
    Y = np.broadcast_to(y, (n_rows, n_outputs))
    validation = (X[:1], Y[:1], None) if validating else None
    settings = Settings(**asked)
    return training.task(X, Y, None, n_outputs, "squared_error", settings, validation=validation)


def planned(*sizes, **asked):
    return make_plan(asked_for(*sizes, **asked))


def choices_of(plan):
    choices = {name: getattr(plan.settings, name) for name in CHOSEN + TIMED}
    return choices | {"alpha": plan.alpha, "alpha_by": plan.alpha_by}


def chosen(n_rows=200, *sizes, **asked):
    """The choices of the first kind of network."""
    return choices_of(planned(n_rows, *sizes, **asked))


def check(found, **expected):
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("n_rows", [1, 2, 200, ROWS_FOR_MORE - 1])
def test_a_small_table_has_few_tanh_units_by_the_evidence(n_rows):
    check(chosen(n_rows), **EXACT, hidden_size=FEW_UNITS, skip=True)


def test_more_rows_have_more_units():
    check(chosen(ROWS_FOR_MORE), **EXACT, hidden_size=MORE_UNITS, skip=True)


@pytest.mark.parametrize(("n_outputs", "skip"), [(1, True), (2, False), (10, False)])
def test_one_output_alone_has_a_skip_path(n_outputs, skip):
    check(chosen(200, 5, n_outputs), **EXACT, hidden_size=FEW_UNITS, skip=skip)


@pytest.mark.parametrize("n_rows", [150, 2_000, 9_999, 10_000, 20_000])
def test_networks_with_knots_have_many_units_and_a_cycle_of_rates(n_rows):
    (found,) = [k for k in planned(n_rows).kinds if k.settings.encoding == "piecewise_linear"]
    size = 64 if n_rows < 2000 else 256
    check(choices_of(found), solver="adam", dtype="float32", **KRONECKER, **CYCLE, batch_size=size)
    assert found.settings.max_iter == n_epochs(n_rows, size, has_knots=True)
    assert found.encoding is not None


def test_smooth_networks_of_mini_batches_take_more_epochs():
    first, *_ = planned(2_000, 300).kinds
    check(choices_of(first), solver="adam", **KRONECKER, **CYCLE)
    assert first.settings.max_iter == n_epochs(2_000, 256, has_knots=False)
    assert first.encoding is None


def test_kinds_keep_what_the_recipe_says_of_them():
    first, other = planned(149).kinds
    assert (first.begin, first.prior, first.settings.n_members) == ("noise", 10.0, 3)
    assert (other.begin, other.prior, other.settings.n_members) == ("signal", 1.0, 3)
    assert other.is_clean and not first.is_clean
    assert first.others == (other,) and not other.others


def test_a_network_of_mini_batches_is_not_clean_however_it_begins():
    (with_knots,) = planned(150).others
    assert with_knots.begin == "signal" and not with_knots.is_clean


def test_the_confident_kind_of_classes_has_a_prior_of_its_own(rng):
    X, Y = rng.randn(100, 3), rng.randint(3, size=100)
    first, confident = make_plan(training.task(X, Y, None, 3, "log_loss", Settings())).kinds
    check(choices_of(first), **EXACT)
    expected = {**GIVEN, **AS_LONG_AS_IT_TAKES}
    check(choices_of(confident), solver="lbfgs", alpha=1.0, **expected)


@pytest.mark.parametrize("n_rows", [100, 1_000, 20_000])
@pytest.mark.parametrize("solver", ["lbfgs", *INCREMENTAL])
def test_another_solver_has_many_units_under_the_evidence(solver, n_rows):
    found = chosen(n_rows, solver=solver)
    check(found, solver=solver, **KRONECKER)
    incremental = SOLVERS[solver].incremental
    check(found, **(CYCLE if incremental else AS_LONG_AS_IT_TAKES))
    assert planned(n_rows, solver=solver).encoding is None


@pytest.mark.parametrize("solver", INCREMENTAL)
def test_mini_batches_under_a_given_prior_are_as_ever(solver):
    found = chosen(1_000, solver=solver, alpha=1.0)
    check(found, **GIVEN, **AS_LONG_AS_IT_TAKES, solver=solver, alpha=1.0)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 7])
def test_an_alpha_of_the_caller_needs_no_evidence(alpha):
    check(chosen(alpha=alpha), **GIVEN, **AS_LONG_AS_IT_TAKES, alpha=alpha, solver="lbfgs")
    check(chosen(FEW_ROWS, 1, alpha=alpha), **GIVEN, alpha=alpha, solver="lbfgs")
    check(chosen(FEW_ROWS + 1, 1, alpha=alpha), **GIVEN, alpha=alpha, solver="adam")


def test_an_array_of_alphas_is_kept():
    alpha = np.ones(7)
    assert chosen(alpha=alpha)["alpha"] is alpha
    assert chosen(alpha=alpha)["solver"] == "lbfgs"


def test_lm_by_name_takes_the_evidence_as_far_as_it_can_be_solved():
    barely = next(d for d in range(1, 1000) if Shape(d, 10, 1, True).size > LARGEST)
    check(chosen(10**6, barely - 1, solver="lm", hidden_size=10), **EXACT, skip=True)
    check(
        chosen(10**6, barely, solver="lm", hidden_size=10),
        solver="lm",
        activation="tanh",
        alpha=1.0,
        alpha_by="given",
    )


def test_lm_without_evidence_still_has_few_units():
    found = chosen(solver="lm", alpha=0.5)
    check(found, hidden_size=FEW_UNITS, activation="tanh", skip=False, alpha=0.5)


@pytest.mark.parametrize("n_rows", [100, 200, 20_000])
def test_rows_for_validation_leave_mini_batches_under_the_evidence(n_rows):
    plan = planned(n_rows, validating=True)
    check(choices_of(plan), solver="adam", dtype="float32", **KRONECKER, **CYCLE)
    assert not plan.others and plan.settings.n_members == 1
    assert (plan.encoding is not None) == (n_rows >= 150)


def test_lm_that_others_are_to_judge_has_a_usual_prior():
    found = chosen(validating=True, solver="lm")
    check(found, solver="lm", hidden_size=FEW_UNITS, activation="tanh", alpha=1.0, alpha_by="given")


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("n_rows", [1, 10**9])
@pytest.mark.parametrize("validating", [False, True])
@pytest.mark.parametrize(
    "asked",
    [
        {
            "hidden_size": 3,
            "activation": "gelu",
            "skip": False,
            "dtype": "float32",
            "learning_rate": "step",
            "learning_rate_init": 0.5,
            "max_iter": 7,
            "batch_size": 2,
            "alpha": 0.0,
        },
        {
            "hidden_size": 300,
            "activation": "elu",
            "skip": True,
            "dtype": "float64",
            "learning_rate": "one_cycle",
            "learning_rate_init": 1,
            "max_iter": 4,
            "batch_size": 1,
            "alpha": 9.0,
        },
    ],
)
def test_what_is_asked_for_is_done(solver, n_rows, validating, asked):
    assert chosen(n_rows, validating=validating, solver=solver, **asked) == {
        "solver": solver,
        **asked,
        "alpha_by": "given",
    }


@pytest.mark.parametrize("name", [*CHOSEN, *TIMED])
def test_what_is_asked_for_leaves_the_rest_to_be_chosen(name):
    asked = {
        "solver": "lm",
        "hidden_size": 4,
        "activation": "gelu",
        "skip": False,
        "dtype": "float16",
        "learning_rate": "step",
        "learning_rate_init": 0.5,
        "max_iter": 7,
        "batch_size": 3,
    }[name]
    for kind in planned(200, **{name: asked}).kinds:
        found = choices_of(kind)
        assert found[name] == asked
        assert not any(is_auto(value) for value in found.values())


@pytest.mark.parametrize("given", ["float32", "float64"])
def test_precision_is_that_of_the_rows_but_in_many_small_steps(given):
    for solver in ("lm", "lbfgs"):
        assert chosen(10**6, given=given, solver=solver)["dtype"] == given
    for solver in INCREMENTAL:
        assert chosen(FEW_ROWS, given=given, solver=solver)["dtype"] == given
        assert chosen(FEW_ROWS + 1, given=given, solver=solver)["dtype"] == "float32"


@pytest.mark.parametrize("given", ["float32", "float64"])
def test_kinds_of_mini_batches_are_in_single_precision_and_others_in_that_of_rows(given):
    exact, with_knots = planned(200, given=given).kinds
    assert exact.settings.dtype == given and with_knots.settings.dtype == "float32"


def test_other_settings_are_left_alone():
    settings = Settings(tol=0.5, momentum=0.3, store_posterior=False)
    for kind in planned(200, 2, tol=0.5, momentum=0.3, store_posterior=False).kinds:
        chosen_here = [*CHOSEN, *TIMED, "n_members", "encoding"]
        restored = {name: getattr(settings, name) for name in chosen_here}
        assert replace(kind.settings, **restored) == settings


@pytest.mark.parametrize(
    ("n_rows", "asked", "expected"),
    [
        (100, {}, [3, 3]),
        (200, {}, [3, 1]),
        (9_000, {}, [1, 1]),
        (20_000, {}, [2, 1]),
        (100, {"hidden_size": 10}, [1]),
        (100, {"hidden_size": 10, "n_members": 2}, [1, 1]),
        (100, {"n_members": 5}, [3, 2]),
        (100, {"alpha": 1.0, "n_members": 2}, [1]),
        (100, {"solver": "adam"}, [1]),
        (100, {"solver": "adam", "n_members": 2}, [2]),
        (100, {"solver": "lm", "n_members": 4}, [4]),
    ],
)
def test_how_many_networks_of_each_kind_are_averaged(n_rows, asked, expected):
    assert [k.settings.n_members for k in planned(n_rows, **asked).kinds] == expected


@pytest.mark.parametrize(
    ("n_rows", "asked", "expected"),
    [
        (19, {}, 0),
        (20, {}, 5),
        (1_000, {}, 5),
        (1_001, {}, 1),
        (1_000, {"n_members": 1}, 0),
        (1_000, {"hidden_size": 3}, 0),
        (1_000, {"alpha": 1.0}, 0),
        # of one kind there is nothing to weigh, and quantities are not moderated
        (1_000, {"solver": "lm", "n_members": 2}, 0),
    ],
)
def test_rows_are_held_out_where_there_is_something_to_weigh(n_rows, asked, expected):
    assert planned(n_rows, **asked).n_folds == expected


@pytest.mark.parametrize(
    ("loss", "n_outputs", "n_folds"), [("squared_error", 3, 0), ("log_loss", 3, 5)]
)
def test_rows_are_held_out_for_the_moderation_of_classes(loss, n_outputs, n_folds, rng):
    X, Y = rng.randn(60, 2), rng.randn(60, 3)
    settings = Settings(solver="adam", n_members=2)
    Y = Y.argmax(axis=1) if loss == "log_loss" else Y
    assert make_plan(training.task(X, Y, None, n_outputs, loss, settings)).n_folds == n_folds


@pytest.mark.parametrize(
    ("sizes", "asked", "expected"),
    [
        ((100, 5), {}, 2),
        ((100, 5), {"n_members": 1}, 1),
        ((100, 200), {"solver": "lm", "n_members": 3}, 1),
        ((100, 5), {"solver": "adam", "n_members": 3}, 1),
    ],
)
def test_two_starts_are_judged_where_they_are_exact_and_cheap(sizes, asked, expected):
    assert planned(*sizes, **asked).n_judged == expected


def test_costly_networks_are_judged_by_as_many_rows():
    columns = next(
        d
        for d in range(1, 500)
        if cost_of_curvature(500, Shape(d, 10, 1, True).size) > CHEAP_TO_REPEAT
    )
    assert planned(500, columns).n_folds == planned(500, columns - 1).n_folds == 5
    # one kind has nothing to be weighed against
    assert planned(500, columns, solver="adam", n_members=2, alpha="auto").n_folds == 0


def test_copies_do_not_make_a_table_larger():
    """Everything goes by the rows that differ."""
    once = asked_for(149)
    X, Y = np.repeat(once.X, 20, axis=0), np.repeat(once.Y, 20, axis=0)
    plan = make_plan(replace(once, X=X, Y=Y))
    assert [choices_of(k) for k in plan.kinds] == [choices_of(k) for k in make_plan(once).kinds]
    assert plan.task.X.shape == (149, 5) and plan.n_rows == 149 * 20
    assert plan.n_folds == make_plan(once).n_folds


@pytest.mark.parametrize("n_rows", [100, 20_000])
def test_a_chunk_of_a_stream_is_one_epoch_of_one_network(n_rows):
    plan = make_plan(asked_for(n_rows), streaming=True)
    assert not plan.others and plan.settings.n_members == 1 and plan.n_folds == 0
    check(choices_of(plan), **{**AS_LONG_AS_IT_TAKES, "max_iter": 1}, **KRONECKER, solver="adam")
    assert plan.settings.dtype == "float64" and plan.encoding is None


def test_networks_that_go_on_stay_what_they_are(rng):
    X = rng.randn(150, 3)
    settings = Settings(max_iter=2)
    task = training.task(X, np.sin(X[:, [0]]), None, 1, "squared_error", settings)
    plan = make_plan(task)
    start = engine.fit(plan, RandomState(0)).continuation
    again = make_plan(replace(task, settings=Settings(max_iter=3)), start)
    assert [k.settings.solver for k in again.kinds] == [m.solver for m in start.members]
    assert [k.shape.n_hidden for k in again.kinds] == [m.choices.hidden_size for m in start.members]
    assert all(k.encoding is m.encoding for k, m in zip(again.kinds, start.members, strict=True))
    assert all(k.settings.max_iter == 3 for k in again.kinds) and again.n_folds == 0
    # those of mini-batches as long as at first
    longer = make_plan(replace(task, settings=Settings()), start).kinds
    epochs = [k.settings.max_iter for k in longer if k.settings.solver == "adam"]
    assert epochs == [n_epochs(150, 64, has_knots=True)]
    with pytest.raises(ValueError, match=r"n_members=17 differs from the fitted number"):
        make_plan(replace(task, settings=Settings(n_members=17)), start)


def test_as_many_networks_as_were_asked_for_at_first_go_on_as_those_that_were_kept(rng):
    X, settings = rng.randn(150, 3), Settings(n_members=3, max_iter=2)
    task = training.task(X, np.sin(X[:, [0]]), None, 1, "squared_error", settings)
    start = engine.fit(make_plan(task), RandomState(0)).continuation
    kept = replace(start, members=start.members[:2], member_weights=np.array([0.5, 0.5]))
    for _ in range(2):
        plan = make_plan(task, kept)
        assert len(plan.kinds) == 2
        kept = engine.fit(plan, RandomState(0), kept).continuation
    for n_members in (2, "auto"):
        assert (
            len(make_plan(replace(task, settings=Settings(n_members=n_members)), kept).kinds) == 2
        )
    with pytest.raises(ValueError, match=r"n_members=4 differs from the fitted number of .* 2"):
        make_plan(replace(task, settings=Settings(n_members=4)), kept)


REFUSED = {
    "knots": ({"encoding": "piecewise_linear"}, False, "encoding='piecewise_linear' needs dense X"),
    "missing": ({}, True, "a missing value needs dense X"),
}


@pytest.mark.parametrize(("asked", "has_missing", "message"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("more", [{}, {"solver": "adam"}, {"alpha": 1.0}, {"n_members": 1}])
def test_sparse_rows_are_refused_where_they_cannot_be_encoded(asked, has_missing, message, more):
    X, Y = sparse.csr_array(np.eye(30)), np.arange(30.0)[:, None]
    settings = Settings(**asked, **more)
    task = training.task(X, Y, None, 1, "squared_error", settings, has_missing=has_missing)
    with pytest.raises(ValueError, match=message):
        make_plan(task)


def test_a_network_that_no_memory_would_hold_is_refused():
    with pytest.raises(ValueError, match=rf"hidden_size={MOST_PARAMETERS} makes"):
        planned(100, hidden_size=MOST_PARAMETERS, alpha=1.0)


@pytest.mark.parametrize(
    ("name", "times"),
    [("n_members", 2), ("max_iter", 2), ("hidden_size", 2), ("n_rows", 2)],
)
def test_the_cost_of_mini_batches_is_that_of_their_products(name, times):
    usual = {"n_rows": 20_000, "hidden_size": 50, "max_iter": 10, "n_members": 2, "solver": "adam"}
    cost = planned(usual.pop("n_rows"), **usual).cost
    usual = {**usual, "n_rows": 20_000}
    usual[name] *= times
    assert planned(usual.pop("n_rows"), **usual).cost == times * cost
    assert cost == 2 * 6 * 10 * 20_000 * (5 + 1) * 50


def test_the_cost_of_other_solvers():
    exact = planned(100, solver="lm", n_members=3)
    assert exact.cost == 3 * 40 * (100 * exact.shape.size**2 + exact.shape.size**3)
    # the steps that L-BFGS takes, not those it may take
    assert planned(100, solver="lbfgs").cost == 6 * 150 * 100 * 6 * MANY_UNITS
    assert planned(100, solver="lbfgs", max_iter=7).cost == 6 * 7 * 100 * 6 * MANY_UNITS


@pytest.mark.parametrize("asked", [{}, {"alpha": 1.0}, {"solver": "adam"}, {"solver": "lbfgs"}])
@pytest.mark.parametrize("validating", [False, True])
def test_there_is_a_posterior_unless_nobody_wants_it(asked, validating):
    assert planned(100, validating=validating, **asked).no_posterior == ""
    plan = planned(100, validating=validating, store_posterior=False, **asked)
    assert plan.no_posterior == "the fit was with store_posterior=False"
