"""The units of columns and targets do not matter."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine, make_friedman1
from sklearn.model_selection import cross_val_score

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

ACTIVATIONS = ["relu", "tanh", "gelu"]
OFFSETS = [0, 1000]
"""Columns are shifted by up to so many of their standard deviations."""


def other_units(X, offset, rng):
    """X * a + b, a over six orders of magnitude, in an order of chance."""
    a = rng.permutation(10.0 ** np.linspace(-3, 3, X.shape[1]))
    b = a * X.std(axis=0) * rng.uniform(-offset, offset, X.shape[1])
    return X * a + b


def two_targets():
    X, y = load_diabetes(return_X_y=True)
    return X, np.column_stack([y, 1e-3 * y * X[:, 2]])


def one_target():
    return load_diabetes(return_X_y=True)


def twenty_steps(estimator, activation):
    return estimator(20, activation=activation, solver="lbfgs", max_iter=20, random_state=0)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("offset", OFFSETS)
def test_probabilities_ignore_the_units_of_columns(load, activation, offset, rng):
    X, y = load(return_X_y=True)
    X_other = other_units(X, offset, rng)
    model = twenty_steps(TwoLayerClassifier, activation)
    expected = model.fit(X, y).predict_proba(X)
    actual = model.fit(X_other, y).predict_proba(X_other)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("load", [one_target, two_targets])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("c", [1e-3, 1.0, 1e3])
def test_predictions_follow_the_units_of_the_target(load, activation, offset, c, rng):
    X, y = load()
    X_other = other_units(X, offset, rng)
    c = c * np.logspace(0, 1, y.size // len(y))
    d = c * y.std(axis=0) * rng.uniform(-offset, offset)
    model = twenty_steps(TwoLayerRegressor, activation)
    expected = model.fit(X, y).predict(X)
    actual = model.fit(X_other, np.squeeze(y * c + d)).predict(X_other)
    error = ((actual - d) / c - expected) / y.std(axis=0)
    np.testing.assert_allclose(error, 0, atol=1e-6)


def friedman():
    return make_friedman1(n_samples=500, noise=0.5, random_state=0)


# the units must not matter, though rounding may choose among minima: these have close ones
AT_CONVERGENCE = {
    "breast_cancer": (TwoLayerClassifier(random_state=0), load_breast_cancer),
    "wine": (TwoLayerClassifier(random_state=0), load_wine),
    "friedman1": (TwoLayerRegressor(random_state=0), friedman),
    "diabetes": (TwoLayerRegressor(3, activation="tanh", tol=1e-6, random_state=0), load_diabetes),
}


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("table", AT_CONVERGENCE)
def test_the_score_at_convergence_ignores_units(table, offset, rng):
    estimator, load = AT_CONVERGENCE[table]
    X, y = load() if load is friedman else load(return_X_y=True)
    X_other = other_units(X, offset, rng)
    y_other = y if isinstance(estimator, TwoLayerClassifier) else 3e3 * y - 7e5
    model = clone(estimator).set_params(alpha=1.0)
    expected = model.fit(X, y).score(X, y)
    assert model.fit(X_other, y_other).score(X_other, y_other) == pytest.approx(expected, abs=1e-3)


def test_a_target_in_the_millions_does_not_ruin_the_regressor():
    X, y = friedman()
    model = TwoLayerRegressor(random_state=0)
    plain = cross_val_score(model, X, y, cv=5).mean()
    large = cross_val_score(model, X, 3e5 * y + 2e6, cv=5).mean()
    assert plain > 0.9
    assert large > 0.95 * plain


@pytest.mark.parametrize("estimator", [TwoLayerClassifier, TwoLayerRegressor])
def test_columns_of_extreme_size_are_no_trouble(estimator, rng):
    X = rng.randn(60, 4)
    y = (X @ [1, 2, -1, 1] > 0).astype(int)
    model = estimator(5, random_state=0)
    expected = model.fit(X, y).predict(X)
    X_other = X * [1e-150, 1e-75, 1e75, 1e150]
    np.testing.assert_allclose(model.fit(X_other, y).predict(X_other), expected, atol=1e-6)
