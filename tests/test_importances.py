"""feature_importances_: what other tools look for, of the rows that a fit has trained on."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.pipeline import make_pipeline

import kinds
from kinds import IGNORE_CONVERGENCE, every, five_kinds
from mixed_frames import frame, targets
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor, _inspection
from sklearn_twolayer._inspection import MOST_ROWS, MOST_ROWS_OF_A_CHUNK, evenly_spaced

pytestmark = IGNORE_CONVERGENCE

N_ROWS = 60
QUICK = {"hidden_size": 3, "solver": "lbfgs", "alpha": 1.0, "max_iter": 10, "random_state": 0}


def quantities(n_targets, n_rows=N_ROWS):
    rng = np.random.RandomState(0)
    X = rng.randn(n_rows, 5) * [1, 100, 0.01, 3, 1] + [0, 20, -1, 5, 100]
    Y = X @ rng.randn(5, n_targets) + np.sin(X[:, [0]])
    return X, Y[:, 0] if n_targets == 1 else Y


def labels(n_classes):
    return kinds.labels(n_classes, N_ROWS)


KINDS = five_kinds(labels, lambda: kinds.several_labels(N_ROWS), quantities)
every_kind = every(KINDS)
either_estimator = pytest.mark.parametrize("estimator", [TwoLayerClassifier, TwoLayerRegressor])


def fitted(estimator, X, y, weights=None, **options):
    return estimator(**{**QUICK, **options}).fit(X, y, sample_weight=weights)


@every_kind
@pytest.mark.parametrize("alpha", [1.0, "auto"])
@pytest.mark.parametrize("container", [np.asarray, np.float32, sparse.csr_array])
def test_they_are_those_of_the_training_rows(estimator, X, y, alpha, container):
    X, weights = container(X), np.arange(N_ROWS) % 4
    model = fitted(estimator, X, y, weights, alpha=alpha, skip=True)
    found = model.feature_importances_
    assert (found.shape, found.dtype) == ((5,), np.float64)
    assert_allclose(found.sum(), 1)
    assert_allclose(found, model.gradient_importances(X, weights), rtol=1e-9)
    assert not np.allclose(found, model.gradient_importances(X), rtol=1e-3)


@either_estimator
@pytest.mark.parametrize("encoding", ["linear", "piecewise_linear"])
def test_they_are_of_the_columns_of_a_frame(estimator, encoding):
    X = frame(N_ROWS)
    model = fitted(estimator, X, targets(X, estimator), encoding=encoding)
    assert model.feature_importances_.shape == (X.shape[1],)
    assert_allclose(model.feature_importances_, model.gradient_importances(X), rtol=1e-9)


@pytest.mark.parametrize("loss", ["quantile", "poisson"])
def test_of_other_losses(loss):
    X, y = quantities(1)
    model = fitted(TwoLayerRegressor, X, np.abs(y), loss=loss)
    assert_allclose(model.feature_importances_, model.gradient_importances(X), rtol=1e-9)


def test_an_average_and_its_noise_have_them():
    X, y = quantities(1)
    options = {"hidden_size": 3, "solver": "adam", "alpha": "auto", "noise": "varying"}
    model = fitted(TwoLayerRegressor, X, y, n_members=2, **options)
    assert model.n_members_ == 2
    assert_allclose(model.feature_importances_, model.gradient_importances(X), rtol=1e-9)


@pytest.mark.parametrize("solver", ["lbfgs", "lm"])
@pytest.mark.parametrize("n_rows", [N_ROWS, MOST_ROWS - 100], ids=["few", "more than are asked"])
def test_weights_are_copies_to_the_last_bit(solver, n_rows):
    """Even where all rows are asked, and of their copies, unless equal ones are one, not all."""
    X, y = quantities(1, n_rows)
    copies = np.random.RandomState(1).randint(4, size=n_rows)
    order = np.random.RandomState(2).permutation(copies.sum())
    assert n_rows == N_ROWS or len(order) > MOST_ROWS > n_rows
    by_weights = fitted(TwoLayerRegressor, X, y, copies, solver=solver)
    rows = (np.repeat(X, copies, axis=0)[order], np.repeat(y, copies)[order])
    by_copies = fitted(TwoLayerRegressor, *rows, solver=solver)
    assert_array_equal(by_weights.feature_importances_, by_copies.feature_importances_)


def test_rows_of_weight_zero_are_absent():
    X, y = quantities(1)
    expected = fitted(TwoLayerRegressor, X, y).feature_importances_
    far, weights = np.vstack([X, np.full((1, 5), 1e300)]), np.append(np.ones(N_ROWS), 0)
    model = fitted(TwoLayerRegressor, far, np.append(y, 1e9), weights)
    assert_array_equal(model.feature_importances_, expected)


def test_weights_of_classes_count():
    X, y = labels(2)
    model = fitted(TwoLayerClassifier, X, y, class_weight={0: 1, 1: 9}, skip=True)
    expected = model.gradient_importances(X, np.where(y == 1, 9, 1))
    assert_allclose(model.feature_importances_, expected, rtol=1e-9)


def test_rows_to_validate_on_do_not_count():
    X, y = quantities(1)
    model = TwoLayerRegressor(**QUICK)
    model.fit(X[:40], y[:40], X_val=10 * X[40:], y_val=y[40:])
    assert_allclose(model.feature_importances_, model.gradient_importances(X[:40]), rtol=1e-9)


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_of_many_rows_some_are_asked(solver):
    X, y = quantities(1, 3 * MOST_ROWS)
    is_early = np.arange(len(y)) < len(y) / 2
    X[is_early, 1] *= 5
    weights = np.where(is_early, 0.01, 1)
    model = fitted(TwoLayerRegressor, X, y, weights, solver=solver, activation="tanh")
    everyone = model.gradient_importances(X, weights)
    assert_allclose(model.feature_importances_, everyone, rtol=0.1, atol=0.01)
    assert not np.allclose(model.feature_importances_, everyone, rtol=1e-6)
    assert not np.allclose(model.gradient_importances(X), everyone, rtol=0.1, atol=0.01)


def test_a_wide_network_asks_fewer(monkeypatch):
    X = frame(400)
    y = targets(X, TwoLayerRegressor)
    everyone = fitted(TwoLayerRegressor, X, y).feature_importances_
    monkeypatch.setattr(_inspection, "MOST_PRODUCTS", 1)
    model = fitted(TwoLayerRegressor, X, y)
    assert_allclose(model.feature_importances_, everyone, atol=0.1)
    assert not np.array_equal(model.feature_importances_, everyone)
    # what has no encoding costs next to nothing
    X, y = quantities(1, 400)
    model = fitted(TwoLayerRegressor, X, y)
    assert_allclose(model.feature_importances_, model.gradient_importances(X), rtol=1e-9)


@either_estimator
@pytest.mark.parametrize("n_rows", [N_ROWS, 2 * MOST_ROWS_OF_A_CHUNK])
def test_a_stream_has_those_of_its_last_chunk(estimator, n_rows):
    X, y = quantities(1, n_rows)
    kwargs = {}
    if estimator is TwoLayerClassifier:
        y, kwargs = (y > np.median(y)).astype(int), {"classes": [0, 1]}
    model = estimator(3, solver="adam", activation="tanh", alpha=1.0, random_state=0)
    model.partial_fit(X, y, **kwargs)
    chunk = np.flatnonzero(X[:, 0] > 0)
    model.partial_fit(X[chunk], y[chunk])
    expected = model.gradient_importances(X[chunk])
    if len(chunk) > MOST_ROWS_OF_A_CHUNK:
        expected = model.gradient_importances(
            X[chunk[evenly_spaced(MOST_ROWS_OF_A_CHUNK, len(chunk), None)]]
        )
    assert_allclose(model.feature_importances_, expected, rtol=1e-9)
    assert not np.allclose(model.feature_importances_, model.gradient_importances(X), rtol=1e-3)


@pytest.mark.parametrize("n", [100, 1000])
def test_spaced_rows_are_spread_over_all(n):
    rows = evenly_spaced(n, 7 * n, None)
    assert rows.shape == (n,)
    assert_array_equal(rows // 7, np.arange(n))
    assert_array_equal(evenly_spaced(n, 7 * n, np.full(7 * n, 0.3)) // 7, np.arange(n))


@pytest.mark.parametrize("period", [2, 7, 24, 60])
def test_spaced_rows_meet_a_period_at_all_its_places(period):
    """One of each day would always be noon, and the hour a constant."""
    n = 1000
    places = evenly_spaced(n, n * period, None) % period
    counts = np.bincount(places, minlength=period)
    assert_allclose(counts, n / period, rtol=0.15)


def test_spaced_rows_take_weights_for_copies():
    weights = np.random.RandomState(0).randint(1, 9, size=500)
    expected = np.repeat(np.arange(500), weights)[evenly_spaced(200, weights.sum(), None)]
    assert_array_equal(evenly_spaced(200, 500, weights), expected)
    assert_array_equal(evenly_spaced(200, 500, weights * 0.125), expected)
    heavy = np.where(np.arange(500) == 123, 1e6, 1.0)
    assert (evenly_spaced(200, 500, heavy) == 123).mean() > 0.98


def test_no_random_number_is_spent(monkeypatch):
    X, y = quantities(1, 2 * MOST_ROWS)
    found = []
    for _ in range(2):
        stream = np.random.RandomState(0)
        model = fitted(TwoLayerRegressor, X, y, solver="adam", random_state=stream)
        found.append((stream.get_state()[1], model.predict(X)))
        monkeypatch.setattr(TwoLayerRegressor, "_keep_importances", lambda *_: None)
    assert_array_equal(found[0][0], found[1][0])
    assert_array_equal(found[0][1], found[1][1])


def test_they_are_zero_where_no_output_moves():
    X, _ = labels(2)
    model = fitted(TwoLayerClassifier, X, np.repeat("the only label", N_ROWS))
    assert_array_equal(model.feature_importances_, np.zeros(5))
    model = fitted(TwoLayerRegressor, np.ones_like(X), X[:, 0])
    assert_array_equal(model.feature_importances_, np.zeros(5))


def test_columns_that_the_lasso_drops_have_none():
    X = np.random.RandomState(0).randn(120, 4)
    y = X[:, 0] - 2 * X[:, 1] + 0.1 * np.random.RandomState(1).randn(120)
    model = fitted(TwoLayerRegressor, X, y, group_lasso=True)
    assert 2 <= model.n_features_used_ < 4
    assert_array_equal(model.feature_importances_ == 0, ~model.features_used_)
    assert_allclose(model.feature_importances_.sum(), 1)


def test_a_fit_that_fails_leaves_them_as_they_were():
    X, y = quantities(1)
    model = fitted(TwoLayerRegressor, X, y)
    kept = model.feature_importances_
    with pytest.raises(ValueError):
        model.fit(X, y[1:])
    assert model.feature_importances_ is kept
    assert_array_equal(pickle.loads(pickle.dumps(model)).feature_importances_, kept)
    assert not hasattr(TwoLayerRegressor(), "feature_importances_")


SIGNAL = np.random.RandomState(0).randn(200, 6)


@either_estimator
@pytest.mark.parametrize("selector", [SelectFromModel, RFE])
def test_columns_are_selected_by_them(estimator, selector):
    y = 2 * SIGNAL[:, 1] + SIGNAL[:, 4] ** 3
    if estimator is TwoLayerClassifier:
        y = y > 0
    options = {"n_features_to_select": 2} if selector is RFE else {}
    found = selector(estimator(3, random_state=0), **options).fit(SIGNAL, y)
    assert_array_equal(np.flatnonzero(found.get_support()), [1, 4])


def test_columns_are_selected_in_a_pipeline_by_name():
    X = frame(N_ROWS)[["age", "rooms", "income"]].fillna(0)
    y = X["income"] + 0.1 * X["age"]
    selector = SelectFromModel(TwoLayerRegressor(**QUICK), max_features=1)
    model = make_pipeline(selector, TwoLayerRegressor(**QUICK)).fit(X, y)
    assert model[0].get_feature_names_out().tolist() == ["income"]
    assert_array_equal(model[-1].feature_importances_, [1])
