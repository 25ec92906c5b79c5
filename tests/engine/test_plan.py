from dataclasses import replace

import numpy as np
import pytest

import training
from kinds import INCREMENTAL
from sklearn_twolayer.engine.model.parameters import Shape
from sklearn_twolayer.engine.plan import (
    CHEAP,
    FEW_ROWS,
    ROWS_FOR_MORE,
    is_auto,
    make_plan,
)
from sklearn_twolayer.engine.settings import Settings
from sklearn_twolayer.engine.solvers import SOLVERS
from sklearn_twolayer.engine.solvers.levenberg_marquardt import LARGEST

CHOSEN = ["solver", "hidden_size", "activation", "skip", "dtype"]
EVIDENCE = {"solver": "lm", "activation": "tanh", "alpha_by": "evidence"}
FIXED = {"hidden_size": 100, "activation": "relu", "skip": False, "alpha": 1.0}
TRIED = {**FIXED, "alpha": None, "alpha_by": "held_out"}


def planned(n_rows, n_features=5, n_outputs=1, validating=False, given=np.float64, **asked):
    """The plan for rows of which no two are equal, and that take no memory to speak of."""
    X = np.broadcast_to(np.zeros(1, given), (n_rows, n_features))
    y = np.arange(n_rows, dtype=float)[:, None] if n_rows <= FEW_ROWS else np.zeros(1)
    Y = np.broadcast_to(y, (n_rows, n_outputs))
    validation = (X[:1], Y[:1], None) if validating else None
    settings = Settings(**asked)
    return make_plan(
        training.task(X, Y, None, n_outputs, "squared_error", settings, validation=validation)
    )


def chosen(n_rows=200, n_features=5, n_outputs=1, validating=False, given=np.float64, **asked):
    found = planned(n_rows, n_features, n_outputs, validating, given, **asked)
    choices = {name: getattr(found.settings, name) for name in CHOSEN}
    return choices | {"alpha": found.alpha, "alpha_by": found.alpha_by}


def check(found, **expected):
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("n_rows", [1, 2, 200, ROWS_FOR_MORE - 1])
def test_a_small_table_has_few_tanh_units_by_the_evidence(n_rows):
    check(chosen(n_rows), **EVIDENCE, hidden_size=10, skip=True)


def test_more_rows_have_more_units():
    check(chosen(ROWS_FOR_MORE), **EVIDENCE, hidden_size=20, skip=True)


@pytest.mark.parametrize(("n_outputs", "skip"), [(1, True), (2, False), (10, False)])
def test_one_output_alone_has_a_skip_path(n_outputs, skip):
    check(chosen(n_outputs=n_outputs), **EVIDENCE, hidden_size=10, skip=skip)


def test_beyond_the_rows_for_curvature_there_are_mini_batches():
    check(chosen(FEW_ROWS, 1), **EVIDENCE, hidden_size=20, skip=True)
    check(chosen(FEW_ROWS + 1, 1), solver="adam", **TRIED)


def most_columns(n_rows, n_hidden, n_outputs=1):
    """The most for which a step by curvature is worth its price."""
    n_features = 1
    while True:
        size = Shape(n_features + 1, n_hidden, n_outputs, n_outputs == 1).size
        if size > LARGEST or n_rows * size**2 + size**3 > CHEAP:
            return n_features
        n_features += 1


@pytest.mark.parametrize(("n_rows", "n_hidden"), [(100, 10), (2000, 10), (9000, 20)])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_curvature_that_is_too_dear_is_not_asked_for(n_rows, n_hidden, n_outputs):
    n_features = most_columns(n_rows, n_hidden, n_outputs)
    check(chosen(n_rows, n_features, n_outputs), **EVIDENCE, skip=n_outputs == 1)
    # held-out rows choose instead
    check(chosen(n_rows, n_features + 1, n_outputs), solver="lbfgs", **TRIED)


def test_the_price_is_that_of_the_network_asked_for():
    n_features = most_columns(2000, 10)
    check(
        chosen(2000, n_features, hidden_size=11),
        solver="lbfgs",
        hidden_size=11,
        alpha_by="held_out",
    )
    check(chosen(2000, n_features + 1, hidden_size=9), **EVIDENCE, hidden_size=9)
    barely = next(d for d in range(1, 300) if chosen(2000, d, 3, skip=True)["solver"] != "lm")
    check(chosen(2000, barely, 3), **EVIDENCE, skip=False)


def test_lm_by_name_takes_the_evidence_as_far_as_it_can_be_solved():
    barely = next(d for d in range(1, 1000) if Shape(d, 10, 1, True).size > LARGEST)
    check(chosen(10**6, barely - 1, solver="lm", hidden_size=10), **EVIDENCE, skip=True)
    check(
        chosen(10**6, barely, solver="lm", hidden_size=10),
        solver="lm",
        activation="tanh",
        skip=False,
        alpha=1.0,
    )


def test_lm_without_evidence_still_has_few_units():
    check(chosen(solver="lm", alpha=0.5), hidden_size=10, activation="tanh", skip=False, alpha=0.5)


def test_validation_rows_choose_instead_of_the_evidence():
    check(chosen(validating=True), solver="lbfgs", **FIXED)
    check(chosen(FEW_ROWS + 1, 1, validating=True), solver="adam", **FIXED)
    expected = {"hidden_size": 10, "activation": "tanh", "skip": False, "alpha": 1.0}
    check(chosen(validating=True, solver="lm"), solver="lm", **expected)


@pytest.mark.parametrize("solver", ["lbfgs", *INCREMENTAL])
@pytest.mark.parametrize("n_rows", [10, 10**6])
def test_another_solver_has_many_relu_units_and_a_fixed_prior(solver, n_rows):
    check(chosen(n_rows, solver=solver), solver=solver, **FIXED)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 7])
def test_an_alpha_of_the_caller_needs_no_evidence(alpha):
    check(chosen(alpha=alpha), **{**FIXED, "alpha": alpha}, solver="lbfgs")
    check(chosen(FEW_ROWS + 1, alpha=alpha), **{**FIXED, "alpha": alpha}, solver="adam")


def test_an_array_of_alphas_is_kept():
    alpha = np.ones(7)
    assert chosen(alpha=alpha)["alpha"] is alpha
    assert chosen(alpha=alpha)["solver"] == "lbfgs"


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("n_rows", [1, 10**9])
@pytest.mark.parametrize("validating", [False, True])
@pytest.mark.parametrize(
    "asked",
    [
        {"hidden_size": 3, "activation": "gelu", "skip": False, "alpha": 0.0, "dtype": "float32"},
        {"hidden_size": 300, "activation": "elu", "skip": True, "alpha": 9.0, "dtype": "float64"},
    ],
)
def test_what_is_asked_for_is_done(solver, n_rows, validating, asked):
    assert chosen(n_rows, validating=validating, solver=solver, **asked) == {
        "solver": solver,
        **asked,
        "alpha_by": "given",
    }


@pytest.mark.parametrize("name", CHOSEN)
def test_what_is_asked_for_leaves_the_rest_to_be_chosen(name):
    asked = {
        "solver": "lm",
        "hidden_size": 4,
        "activation": "gelu",
        "skip": False,
        "alpha": 2.0,
        "dtype": "float32",
    }[name]
    found = chosen(**{name: asked})
    assert found[name] == asked
    assert not any(is_auto(value) for key, value in found.items() if key != "alpha")


@pytest.mark.parametrize("given", ["float32", "float64"])
def test_precision_is_that_of_the_rows_but_in_many_small_steps(given):
    for solver in ("lm", "lbfgs"):
        assert chosen(10**6, given=given, solver=solver)["dtype"] == given
    for solver in INCREMENTAL:
        assert chosen(FEW_ROWS, given=given, solver=solver)["dtype"] == given
        assert chosen(FEW_ROWS + 1, given=given, solver=solver)["dtype"] == "float32"


def test_other_settings_are_left_alone():
    settings = Settings(tol=0.5, batch_size=3, store_posterior=False)
    found = planned(10, 2, tol=0.5, batch_size=3, store_posterior=False).settings
    assert (
        replace(found, **{name: getattr(settings, name) for name in [*CHOSEN, "n_members"]})
        == settings
    )
    assert is_auto(settings.solver)


@pytest.mark.parametrize("value", [1.0, 3, None, "tanh", np.ones(2), np.array(["auto"]), False])
def test_nothing_else_is_auto(value):
    assert not is_auto(value)
    assert is_auto("auto")


@pytest.mark.parametrize(
    ("n_rows", "asked", "expected"),
    [
        (100, {}, 3),
        (9000, {}, 1),
        (100, {"hidden_size": 10}, 1),
        (100, {"hidden_size": 10, "n_members": 2}, 2),
        (9000, {"n_members": 2}, 2),
        (100, {"alpha": 1.0, "n_members": 2}, 1),
        (100, {"solver": "adam", "n_members": 2}, 1),
    ],
)
def test_networks_are_averaged_where_steps_are_cheap(n_rows, asked, expected):
    assert planned(n_rows, 10, **asked).settings.n_members == expected
