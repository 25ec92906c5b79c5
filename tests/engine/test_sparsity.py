"""Absolute values of weights: optimality conditions, exact zeros, and what they do not go with."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from kinds import every_target
from sklearn_twolayer import engine
from sklearn_twolayer.engine.preparation import prepare
from sklearn_twolayer.engine.solvers.objective import Objective
from training import fit, task

ALPHA, L1_RATIO = 2.0, 0.7
SETTINGS = {
    "hidden_size": 4,
    "activation": "tanh",
    "alpha": ALPHA,
    "l1_ratio": L1_RATIO,
    "dtype": "float64",
    "n_iter_no_change": np.inf,
}
TO_THE_END = {"solver": "lbfgs", "tol": 1e-7, "max_iter": 5000}
FULL_BATCHES = {"batch_size": 60, "max_iter": 3000, "tol": 0.0, "learning_rate_init": 0.02}


def problem(draw_targets, loss, n_outputs, **options):
    X = np.random.RandomState(1).randn(60, 5)
    Y = draw_targets(engine.LOSSES[loss], 60, n_outputs)
    if Y.dtype.kind == "f" and engine.LOSSES[loss].standardizes_target:
        Y += np.outer(np.sin(2 * X[:, 0]) - X[:, 1], 3 * np.ones(n_outputs))
    elif Y.ndim == 1:
        Y = np.where(X[:, 0] > 0.3, 0, Y)
    else:
        Y[X[:, 0] > 0.3] = 1.0
    weights = np.linspace(0.5, 2, 60)
    settings = engine.Settings(**{**SETTINGS, **options})
    return task(X, Y, weights, n_outputs, loss, settings)


def conditions(asked, theta):
    """Gradient of the smooth part and factor of the absolute value, of each parameter.

    Both by hand from the losses and the groups of weights.
    """
    plan = engine.make_plan(asked)
    training = prepare(plan)
    alpha = asked.settings.alpha
    group = plan.shape.groups()
    if np.ndim(alpha) == 0:
        free = (group == plan.shape.n_columns) | (group == -1)
        of_parameter = np.where(free, 0.0, alpha)
    else:
        of_parameter = np.append(alpha, 0.0)[group]
    of_parameter = of_parameter / asked.weights.sum()
    _, gradient = Objective(plan.network(), training.rows, 0.0)(theta)
    ratio = asked.settings.l1_ratio
    return gradient + (1 - ratio) * of_parameter * theta, ratio * of_parameter


def assert_optimal(asked, theta, tolerance):
    gradient, factor = conditions(asked, theta)
    is_zero = theta == 0
    assert (is_zero & (factor > 0)).sum() > 1 and not is_zero.all()
    assert not is_zero[factor == 0].any()
    assert (np.abs(gradient) <= factor + tolerance)[is_zero].all()
    expected = (-factor * np.sign(theta))[~is_zero]
    assert_allclose(gradient[~is_zero], expected, atol=tolerance)


KINDS = {
    "elastic net": {},
    "lasso": {"l1_ratio": 1.0, "alpha": 1.0},
    "skip": {"skip": True},
    "groups": {"alpha": np.array([1.0, 1.0, 2.0, 2.0, 4.0, 1.0, 1.0])},
    "raw columns": {"standardize": False, "alpha": 4.0},
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@every_target
def test_no_weight_has_a_reason_to_move(loss, n_outputs, kind, draw_targets):
    asked = problem(draw_targets, loss, n_outputs, **TO_THE_END, **kind)
    assert_optimal(asked, fit(asked).solution.theta, 1e-6)


UPDATES = {
    "sgd": {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.5},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False, "learning_rate_init": 0.2},
    "nesterov": {"solver": "sgd", "learning_rate_init": 0.2},
    "rmsprop": {"solver": "rmsprop", "learning_rate": "cosine"},
    "adam": {"solver": "adam", "learning_rate": "cosine"},
}


@pytest.mark.parametrize("update", UPDATES.values(), ids=UPDATES)
def test_nor_where_steps_are_proximal(update, draw_targets):
    """Whatever the metric of a rule and its memory, its resting points are those of F."""
    asked = problem(draw_targets, "squared_error", 1, **FULL_BATCHES | update)
    assert_optimal(asked, fit(asked, keep_best=False).solution.theta, 2e-5)


@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "rmsprop", "adam"])
def test_zeros_are_exact_in_single_precision_and_in_raw_units(solver, draw_targets):
    options = {"solver": solver, "dtype": "float32", "alpha": 6.0, "max_iter": 100}
    asked = problem(draw_targets, "squared_error", 1, learning_rate_init=0.01, **options)
    found = fit(asked)
    theta, shape = found.solution.theta, engine.make_plan(asked).shape
    assert theta.dtype == np.float32
    W1, _, W2, _, *_ = shape.views(theta)
    assert (W1 == 0).any()
    assert_array_equal(found.coefs[0] == 0, W1 == 0)
    assert_array_equal(found.coefs[1] == 0, W2 == 0)


def test_without_absolute_values_l1_ratio_is_not_asked(draw_targets):
    asked = problem(draw_targets, "squared_error", 1, alpha=0.0, l1_ratio=1.0, max_iter=20)
    without = replace(asked, settings=replace(asked.settings, l1_ratio=0.0))
    thetas = [fit(each).solution.theta for each in (asked, without)]
    assert_array_equal(*thetas)


REFUSED = {
    "the evidence": ({"alpha": "auto"}, r"l1_ratio=0.7 needs .*got alpha='auto'.*: give alpha"),
    "curvature": ({"solver": "lm"}, r"l1_ratio=0.7 .*solver='lm' needs: take one of 'auto', 'lbf"),
    "no friction": ({"solver": "sgd", "momentum": 1.0}, "momentum below 1, got momentum=1"),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_go_together_is_named(options, message, draw_targets):
    asked = problem(draw_targets, "squared_error", 1, **options)
    with pytest.raises(ValueError, match=message):
        engine.make_plan(asked)
    engine.make_plan(problem(draw_targets, "squared_error", 1, **{**options, "l1_ratio": 0.0}))
