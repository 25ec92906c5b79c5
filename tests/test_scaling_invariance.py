"""The units of columns and targets do not matter."""

import numpy as np
import pytest
from scipy import sparse
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
    model = TwoLayerRegressor(n_members=1, random_state=0)
    plain = cross_val_score(model, X, y, cv=5).mean()
    large = cross_val_score(model, X, 3e5 * y + 2e6, cv=5).mean()
    assert plain > 0.9
    assert large > 0.95 * plain


@pytest.mark.sampled(3)
@pytest.mark.parametrize("estimator", [TwoLayerClassifier, TwoLayerRegressor])
@pytest.mark.parametrize("n_rows", [40, 160], ids=["smooth networks", "and with knots"])
def test_units_do_not_matter_to_any_network_of_an_average(estimator, n_rows):
    """Not where rows are ordered, cut and held out, nor to knots, nor to mini-batches."""
    # of noise enough that no search from next to none goes on and on, which amplifies rounding
    rng = np.random.RandomState(1)
    X = rng.randn(n_rows, 3)
    score = np.sin(2 * X[:, 0]) + np.abs(X[:, 1]) + 0.3 * rng.randn(n_rows)
    y = score if estimator is TwoLayerRegressor else np.digitize(score, [0.3, 1.2])
    X_other = (X + np.array([5, -7, 100])) * [1e3, 1e-3, 7.3]
    plain, model = (estimator(random_state=0) for _ in range(2))
    plain.fit(X, y)
    model.fit(X_other, y if estimator is TwoLayerClassifier else 3e3 * y - 700)
    assert plain.n_members_ == model.n_members_ > 1
    if estimator is TwoLayerClassifier:
        expected, found = plain.predict_proba(X), model.predict_proba(X_other)
    else:
        expected, found = (
            np.array(each.predict(rows, return_std=True))
            for each, rows in ((plain, X), (model, X_other))
        )
        found = (found + np.array([[700], [0]])) / 3e3
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("estimator", [TwoLayerClassifier, TwoLayerRegressor])
def test_columns_of_extreme_size_are_no_trouble(estimator, rng):
    X = rng.randn(60, 4)
    y = (X @ [1, 2, -1, 1] > 0).astype(int)
    model = estimator(5, random_state=0)
    expected = model.fit(X, y).predict(X)
    X_other = X * [1e-150, 1e-75, 1e75, 1e150]
    np.testing.assert_allclose(model.fit(X_other, y).predict(X_other), expected, atol=1e-6)


FAR = [3e3, 3.5e6]
"""Offsets, in deviations, of columns in float32: the last leaves them a dozen different values."""

RECIPES = {
    "evidence": {"solver": "lm"},
    "lm": {"solver": "lm", "alpha": 1.0, "hidden_size": 5},
    "lbfgs": {"solver": "lbfgs", "alpha": 1.0, "tol": 1e-5},
    "adam": {"solver": "adam", "alpha": 0.1, "learning_rate_init": 0.01, "max_iter": 60},
}
without_news = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
skips = pytest.mark.parametrize("skip", [False, True], ids=["no skip", "skip"])


def far_columns(offset):
    """Rows in float32 whose columns lie far to either side of zero, but one; and targets."""
    X, y = make_friedman1(n_samples=600, noise=0.5, random_state=0)
    shift = offset * X.std(axis=0) * np.resize([1, -1], X.shape[1])
    shift[2] = 0
    return (X + shift).astype(np.float32), y


@pytest.mark.sampled(3)
@without_news
@pytest.mark.parametrize("offset", FAR)
@pytest.mark.parametrize("recipe", RECIPES)
@skips
def test_float32_columns_far_from_zero_are_as_good_as_the_same_in_float64(recipe, offset, skip):
    X, y = far_columns(offset)
    wide = X.astype(np.float64)
    model = TwoLayerRegressor(skip=skip, random_state=0, **RECIPES[recipe])
    scores = []
    for rows in (wide, X):
        model.fit(rows[:400], y[:400])
        scores += [model.score(wide[400:], y[400:]), model.score(X[400:], y[400:])]
        prediction = model.predict(X)
        assert prediction.dtype == np.float32
        np.testing.assert_allclose(prediction, model.predict(wide), rtol=0, atol=1e-4 * y.std())
    assert scores[0] > 0.85
    np.testing.assert_allclose(scores, scores[0], rtol=0, atol=0.01)


@without_news
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_that_is_asked_of_columns_far_from_zero_is_the_same_in_float32(dtype):
    X, y = far_columns(FAR[-1])
    labels = np.digitize(y, [12, 16])
    model = TwoLayerClassifier(activation="tanh", random_state=0, **RECIPES["lm"])
    model.fit(X.astype(dtype), labels)
    methods = ["predict_proba", "decision_function", "hidden_features", "input_gradients"]
    for method in [*methods, "gradient_importances"]:
        expected = getattr(model, method)(X.astype(np.float64))
        found = getattr(model, method)(X)
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@without_news
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@skips
def test_edited_weights_count_in_full_whatever_rows_are_counted_from(dtype, skip):
    X, y = far_columns(FAR[-1])
    model = TwoLayerRegressor(skip=skip, random_state=0, **RECIPES["lm"]).fit(X.astype(dtype), y)
    center, W1 = X.astype(np.float64).mean(axis=0), model.coefs_[0].astype(np.float64)
    model.coefs_[0][0] *= 2
    model.coefs_[0][1] += 0.5 * W1[1].std()
    model.intercepts_[0] -= center @ (model.coefs_[0] - W1)
    model.coefs_[1][1:] *= 0.5
    model.intercepts_[1] += 3
    if skip:
        model.skip_coef_[0] *= 2
        model.intercepts_[1] -= center[0] * model.skip_coef_[0] / 2
    W1, W2 = (W.astype(np.float64) for W in model.coefs_)
    b1, b2 = (b.astype(np.float64) for b in model.intercepts_)
    expected = np.tanh(X @ W1 + b1) @ W2 + b2
    if skip:
        expected += X @ model.skip_coef_.astype(np.float64)
    found = model.predict(X)
    assert found.std() > 1
    np.testing.assert_allclose(found, expected[:, 0], rtol=1e-4, atol=1e-3)


@without_news
def test_intercepts_are_wide_only_where_columns_lie_far_from_zero():
    for offset, expected in ((500, np.float32), (FAR[0], np.float64)):
        X, y = far_columns(offset)
        model = TwoLayerRegressor(random_state=0, **RECIPES["lm"]).fit(X, y)
        assert {W.dtype for W in model.coefs_} == {np.dtype(np.float32)}
        assert {b.dtype for b in model.intercepts_} == {np.dtype(expected)}


@without_news
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_columns_far_from_zero_break_nothing(dtype):
    X, y = far_columns(FAR[0])
    X = sparse.csr_array(X.astype(dtype))
    model = TwoLayerRegressor(random_state=0, **RECIPES["lm"]).fit(X, y)
    assert model.score(X, y) > 0.85
    rows = X.astype(np.float32)
    expected = model.predict(X.toarray().astype(np.float64))
    np.testing.assert_allclose(model.predict(rows), expected, atol=1e-4 * y.std())
    np.testing.assert_allclose(model.predict(rows.toarray()), expected, atol=1e-4 * y.std())


@without_news
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_stream_of_columns_far_from_zero_is_learnt(dtype):
    X, y = far_columns(FAR[-1])
    model = TwoLayerRegressor(50, solver="adam", learning_rate_init=0.01, random_state=0)
    for _ in range(30):
        for rows in np.array_split(np.arange(600), 3):
            model.partial_fit(X[rows].astype(dtype), y[rows])
    assert model.score(X, y) > 0.85


@without_news
def test_a_scorer_sees_columns_far_from_zero_as_predictions_do():
    X, y = far_columns(FAR[-1])
    model = TwoLayerRegressor(scoring="r2", random_state=0, **RECIPES["adam"])
    model.fit(X[:400], y[:400], X_val=X[400:], y_val=y[400:])
    score = model.score(X[400:], y[400:])
    assert model.best_validation_score_ == pytest.approx(score, abs=1e-6)
    assert score > 0.8
