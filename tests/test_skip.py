"""The path that skips the hidden layer, as seen from the estimators."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.linear_model import Ridge

import kinds
from kinds import IGNORE_CONVERGENCE, every, every_solver, five_kinds
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

pytestmark = IGNORE_CONVERGENCE

N_ROWS = 80


def quantities(n_targets):
    rng = np.random.RandomState(0)
    X = rng.randn(N_ROWS, 5) * [1, 10, 0.1, 3, 1] + [0, 20, -1, 5, 100]
    Y = X @ rng.randn(5, n_targets) + np.sin(X[:, [0]]) + 50
    return X, Y[:, 0] if n_targets == 1 else Y


def labels(n_classes):
    return kinds.labels(n_classes, N_ROWS)


def several_labels():
    return kinds.several_labels(N_ROWS)


KINDS = five_kinds(labels, several_labels, quantities)
every_kind = every(KINDS)


def outputs(model, X):
    return model.decision_function(X) if hasattr(model, "classes_") else model.predict(X)


def fitted(estimator, X, y, **options):
    options = {"activation": "tanh", "skip": True, "max_iter": 15, "random_state": 0, **options}
    if estimator is TwoLayerClassifier:
        options.setdefault("moderate", False)
    return estimator(6, **options).fit(X, y)


either_prior = pytest.mark.parametrize("alpha", [1.0, "auto"])


@every_kind
@every_solver
@either_prior
def test_outputs_are_the_formula_in_raw_units(estimator, X, y, solver, alpha):
    model = fitted(estimator, X, y, solver=solver, alpha=alpha)
    assert model.skip_coef_.shape == (5, model.n_outputs_)
    assert model.skip_coef_.any()
    (W1, W2), (b1, b2) = model.coefs_, model.intercepts_
    expected = np.tanh(X @ W1 + b1) @ W2 + b2 + X @ model.skip_coef_
    assert_allclose(outputs(model, X), np.squeeze(expected), rtol=1e-9, atol=1e-9)


@every_kind
@either_prior
def test_without_it_there_is_none(estimator, X, y, alpha):
    model = fitted(estimator, X, y, skip=False, alpha=alpha)
    assert model.skip_coef_ is None
    assert len(model.coefs_) == 2


@every_kind
def test_sparse_rows_are_dense_rows(estimator, X, y):
    X = np.where(np.random.RandomState(1).rand(*X.shape) < 0.5, 0, X)
    expected = fitted(estimator, X, y, solver="adam")
    model = fitted(estimator, sparse.csr_array(X), y, solver="adam")
    assert_allclose(outputs(model, X), outputs(expected, X), rtol=1e-8, atol=1e-8)
    assert_allclose(outputs(expected, sparse.csr_matrix(X)), outputs(expected, X), rtol=1e-8)


@every_kind
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_sparse_columns_that_a_batch_lacks_are_left_alone(estimator, X, y, solver):
    """Nothing but the gradient moves a weight here, so absent columns need no visit."""
    X = np.where(np.random.RandomState(1).rand(*X.shape) < 0.8, 0, X) / np.abs(X).max()
    options = {"solver": solver, "alpha": 0.0, "standardize": False, "batch_size": 3}
    expected = fitted(estimator, X, y, momentum=0.0, **options)
    model = fitted(estimator, sparse.csr_array(X), y, momentum=0.0, **options)
    assert_allclose(model.skip_coef_, expected.skip_coef_, rtol=1e-6, atol=1e-9)


@every_kind
@either_prior
def test_the_units_of_columns_do_not_matter(estimator, X, y, alpha):
    X_other = X * [1e3, 1e-3, 1, 5, 2] + [7, 0, 1e3, -50, 1]
    expected = outputs(fitted(estimator, X, y, alpha=alpha), X)
    actual = outputs(fitted(estimator, X_other, y, alpha=alpha), X_other)
    assert_allclose(actual, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@every_kind
@either_prior
def test_pickled_and_loaded_it_predicts_the_same(estimator, X, y, alpha):
    model = fitted(estimator, X, y, alpha=alpha)
    copy = pickle.loads(pickle.dumps(model))
    assert_array_equal(outputs(copy, X), outputs(model, X))


@every_kind
@either_prior
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_has_the_precision_of_the_rows(estimator, X, y, alpha, dtype):
    model = fitted(estimator, X.astype(dtype), y, alpha=alpha)
    assert model.skip_coef_.dtype == dtype
    assert outputs(model, X.astype(dtype)).dtype == dtype


@every_kind
def test_going_on_is_one_fit(estimator, X, y):
    options = {"solver": "adam", "alpha": 0.0, "tol": 0.0, "shuffle": False, "batch_size": 16}
    expected = fitted(estimator, X, y, max_iter=6, **options)
    warm = fitted(estimator, X, y, max_iter=3, warm_start=True, **options).fit(X, y)
    stream = fitted(estimator, X, y, max_iter=3, warm_start=True, **options)
    for _ in range(3):
        stream.partial_fit(X, y)
    for model in (warm, stream):
        assert_allclose(outputs(model, X), outputs(expected, X), rtol=1e-8, atol=1e-10)


def test_a_new_chunk_is_met_with_what_was_learnt():
    X, y = quantities(2)
    model = fitted(TwoLayerRegressor, X[:40], y[:40], solver="sgd", momentum=0.0, max_iter=50)
    # of the network itself: `predict` knows the range of the rows so far, which grows
    before = model._raw_prediction(X)
    model.set_params(learning_rate_init=1e-300).partial_fit(X[40:] * 3, y[40:] * 5)
    assert_allclose(model._raw_prediction(X), before, rtol=1e-9)


@every_kind
@either_prior
@pytest.mark.parametrize("skip", [False, True])
def test_a_network_cannot_gain_or_lose_it(estimator, X, y, alpha, skip):
    model = fitted(estimator, X, y, skip=skip, alpha=alpha, warm_start=True)
    before = outputs(model, X)
    with pytest.raises(ValueError, match=f"skip={not skip} differs from .*{skip}"):
        model.set_params(skip=not skip).fit(X, y)
    assert_array_equal(outputs(model, X), before)


def test_a_strong_penalty_leaves_ridge_regression_on_standardized_columns():
    """The penalty drives the hidden unit to zero, and W0 to the ridge solution."""
    X, y = quantities(1)
    standardized = (X - X.mean(axis=0)) / X.std(axis=0)
    model = TwoLayerRegressor(1, activation="relu", skip=True, alpha=1e4, tol=1e-12, random_state=0)
    model.fit(X, y)
    expected = Ridge(alpha=1e4).fit(standardized, y).predict(standardized)
    assert_allclose(model.predict(X), expected, rtol=1e-5)
