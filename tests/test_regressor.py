"""Quantities in, quantities out."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_linnerud, make_friedman1
from sklearn.linear_model import LinearRegression

from sklearn_twolayer import TwoLayerRegressor


def test_a_curve_is_learnt_that_a_line_cannot_follow():
    X, y = make_friedman1(n_samples=300, random_state=0)
    line = LinearRegression().fit(X[:200], y[:200]).score(X[200:], y[200:])
    curve = TwoLayerRegressor(random_state=0).fit(X[:200], y[:200]).score(X[200:], y[200:])
    assert curve > line + 0.1


def test_one_target_gives_a_vector():
    X, y = load_diabetes(return_X_y=True)
    assert TwoLayerRegressor(5, random_state=0).fit(X, y).predict(X).shape == y.shape


def test_a_target_in_a_column_gives_the_same_numbers_in_a_column():
    X, y = load_diabetes(return_X_y=True)
    model = TwoLayerRegressor(5, random_state=0)
    expected = model.fit(X, y).predict(X)
    actual = model.fit(X, y[:, None]).predict(X)
    assert actual.shape == (len(y), 1)
    np.testing.assert_array_equal(actual[:, 0], expected)


def test_several_targets_give_a_matrix():
    X, Y = load_linnerud(return_X_y=True)
    model = TwoLayerRegressor(20, alpha=0.1, random_state=0).fit(X, Y)
    assert model.predict(X).shape == Y.shape
    assert model.score(X, Y) > 0.8


def test_the_same_target_twice_gives_the_same_prediction_twice():
    X, y = load_diabetes(return_X_y=True)
    Y = np.column_stack([y, 100 - y])
    # to the very end of the walk: on the way there the two differ
    settings = {"activation": "identity", "alpha": 0.0, "tol": 1e-12}
    model = TwoLayerRegressor(5, random_state=0, **settings).fit(X, Y)
    predicted = model.predict(X)
    np.testing.assert_allclose(predicted[:, 0], 100 - predicted[:, 1], rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("constant", [0.0, 7.0, -3e8, 1e-12])
@pytest.mark.parametrize("n_targets", [1, 2])
def test_a_target_that_never_varies_is_predicted(constant, n_targets, rng):
    X = rng.randn(30, 3)
    Y = np.full((30, n_targets), constant)
    model = TwoLayerRegressor(5, random_state=0).fit(X, Y)
    np.testing.assert_allclose(model.predict(X), Y, rtol=1e-3, atol=1e-3)


def test_a_column_that_never_varied_is_ignored(rng):
    X = np.column_stack([rng.randn(30, 2), np.full(30, 5.0)])
    model = TwoLayerRegressor(5, random_state=0).fit(X, X[:, 0] - X[:, 1])
    moved = X + np.array([0, 0, 100])
    np.testing.assert_array_equal(model.predict(moved), model.predict(X))


@pytest.mark.parametrize("dtype", [int, np.float32, bool, object])
def test_targets_of_other_types(dtype):
    X, y = load_diabetes(return_X_y=True)
    y = (y > 140).astype(float)
    model = TwoLayerRegressor(5, random_state=0)
    expected = model.fit(X, y).predict(X)
    actual = model.fit(X, y.astype(dtype)).predict(X)
    assert actual.dtype == np.float64
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("n_targets", [1, 2])
def test_score_is_the_coefficient_of_determination(n_targets, rng):
    X, y = load_diabetes(return_X_y=True)
    Y = y if n_targets == 1 else np.column_stack([y, X[:, 0]])
    model = TwoLayerRegressor(5, random_state=0).fit(X, Y)
    residual = ((Y - model.predict(X)) ** 2).sum(axis=0)
    expected = np.mean(1 - residual / ((Y - Y.mean(axis=0)) ** 2).sum(axis=0))
    assert model.score(X, Y) == pytest.approx(expected, abs=1e-12)
