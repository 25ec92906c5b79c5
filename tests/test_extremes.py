"""Finite data of any size have finite answers, and nothing but convergence is warned of."""

from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.datasets import make_friedman1
from sklearn.exceptions import ConvergenceWarning

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

X, QUANTITY = make_friedman1(n_samples=120, n_features=5, noise=0.5, random_state=0)
X[:, 3] = 2
TARGETS = {
    "quantity": QUANTITY,
    "quantities": np.column_stack([QUANTITY, X[:, 1] * QUANTITY]),
    "binary": (np.median(QUANTITY) < QUANTITY).astype(int),
    "multiclass": np.digitize(QUANTITY, [12, 16]),
    "multilabel": np.column_stack([QUANTITY > 14, X[:, 0] > 0.5]).astype(int),
}
RECIPES = {
    "evidence": {"solver": "lm", "hidden_size": 4},
    "lm": {"solver": "lm", "alpha": 1.0, "hidden_size": 4, "skip": True},
    "lbfgs": {"solver": "lbfgs", "alpha": 1.0, "activation": "silu", "max_iter": 20},
    "adam": {"solver": "adam", "alpha": 1.0, "max_iter": 5},
    "raw": {"solver": "lbfgs", "alpha": 1.0, "standardize": False},
}
METHODS = ["predict", "input_gradients", "hidden_features", "gradient_importances"]
OF_LABELS = ["predict_proba", "predict_log_proba", "decision_function"]

dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
pytestmark = quiet


@cache
def fitted(target, recipe, dtype=np.float64):
    estimator = TwoLayerRegressor if target.startswith("quantit") else TwoLayerClassifier
    model = estimator(random_state=0, **RECIPES[recipe])
    return model.fit(X.astype(dtype), TARGETS[target])


def far_rows(dtype):
    """Rows up to the end of the range, in all columns, in one, and in a constant one."""
    end = float(np.finfo(dtype).max)
    signs = np.sign(np.random.RandomState(0).randn(6, 5))
    rows = [signs * size for size in (1e3, 1e30, end**0.5, end**0.6, end / 10, end)]
    for column in (1, 3):
        rows.append(X[:6].copy())
        rows[-1][:, column] = end * signs[:, 0]
    return np.vstack(rows).astype(dtype)


@pytest.mark.sampled(3)
@dtypes
@pytest.mark.parametrize("trained_in", [np.float32, np.float64])
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("target", TARGETS)
def test_rows_of_any_size_have_finite_answers(target, recipe, trained_in, dtype):
    model, rows = fitted(target, recipe, trained_in), far_rows(dtype)
    is_quantity = isinstance(model, TwoLayerRegressor)
    for method in METHODS + ([] if is_quantity else OF_LABELS):
        for container in (np.asarray, sparse.csr_array):
            answer = getattr(model, method)(container(rows))
            assert np.isfinite(answer).all(), method
            if method == "predict_proba" and target != "multilabel":
                assert_allclose(answer.sum(axis=1), 1, rtol=1e-6)
            if method != "gradient_importances" and answer.dtype.kind == "f":
                assert answer.dtype == dtype, method
    assert not np.isnan(model.gradient_importances(rows)).any()
    if recipe == "evidence" and is_quantity:
        mean, deviation = model.predict(rows, return_std=True)
        assert mean.dtype == deviation.dtype == dtype
        assert np.isfinite(mean).all()
        assert np.isfinite(deviation).all()
        assert (deviation > 0).all()


def test_answers_are_quiet_whatever_numpy_is_set_to():
    with np.errstate(all="warn"):
        model = fitted("multiclass", "lbfgs")
        for method in METHODS + OF_LABELS:
            getattr(model, method)(far_rows(np.float64))


@dtypes
def test_a_straight_line_ends_at_the_end_of_the_range(dtype):
    # with a posterior, which knows that it knows nothing there, rows would be drawn in
    line = {"activation": "identity", "alpha": 0.0, "random_state": 0}
    model = TwoLayerRegressor(2, store_posterior=False, **line).fit(X[:, :1], 1e3 * X[:, 0])
    end = float(np.finfo(dtype).max)
    rows = np.array([[end], [-end], [end / 1e6]], dtype)
    assert_allclose(model.predict(rows), [end / 4, -end / 4, end / 1e3], rtol=1e-3)
    drawn_in = TwoLayerRegressor(2, **line).fit(X[:, :1], 1e3 * X[:, 0]).predict(rows)
    low, high = 1e3 * X[:, 0].min(), 1e3 * X[:, 0].max()
    assert_allclose(drawn_in, [high, low, high], rtol=0, atol=0.1 * (high - low))


@dtypes
@pytest.mark.parametrize("unit", [2.0**-1000, 2.0**-150, 2.0**130, 2.0**1000])
@pytest.mark.parametrize("recipe", ["evidence", "lm", "lbfgs", "adam"])
def test_targets_of_any_size_are_predicted_in_float64_where_they_must(recipe, unit, dtype):
    plain = fitted("quantity", recipe)
    model = TwoLayerRegressor(random_state=0, **RECIPES[recipe]).fit(X, unit * QUANTITY)
    found = model.predict(X.astype(dtype))
    assert found.dtype == np.float64
    # with a power of two for a unit, what happens inside is the same but for the order of rows
    assert_allclose(found / unit, plain.predict(X), rtol=1e-4)
    assert np.isfinite(model.input_gradients(X.astype(dtype))).all()
    if recipe == "evidence":
        mean, deviation = model.predict(X.astype(dtype), return_std=True)
        expected = plain.predict(X, return_std=True)
        assert_allclose(mean / unit, expected[0], rtol=1e-4)
        assert_allclose(deviation / unit, expected[1], rtol=1e-4)


@pytest.mark.parametrize("power", [-1000, -300, 300, 1000])
def test_the_variance_of_noise_is_the_nearest_number(power):
    plain = fitted("quantity", "evidence").noise_variance_
    model = TwoLayerRegressor(random_state=0, **RECIPES["evidence"])
    found = model.fit(X, 2.0**power * QUANTITY).noise_variance_
    nearest = {-1000: 0.0, 1000: np.finfo(float).max}
    expected = nearest[power] if power in nearest else plain * 2.0 ** (2 * power)
    assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("recipe", ["evidence", "lm", "lbfgs", "adam"])
@pytest.mark.parametrize("unit", [2.0**-1000, 2.0**-150, 2.0**112])
def test_float32_training_on_targets_of_any_size(recipe, unit):
    plain = fitted("quantity", recipe, np.float32)
    model = TwoLayerRegressor(random_state=0, **RECIPES[recipe])
    model.fit(X.astype(np.float32), unit * QUANTITY)
    found = model.predict(X.astype(np.float32)).astype(np.float64)
    assert_allclose(found / unit, plain.predict(X.astype(np.float32)), rtol=1e-3)


@pytest.mark.parametrize("recipe", ["evidence", "lm", "lbfgs", "adam"])
@pytest.mark.parametrize("where", ["y", "X", "y_val", "X_val"])
def test_what_float32_cannot_hold_is_refused(recipe, where):
    options = RECIPES[recipe] | {"standardize": False, "dtype": "float32"}
    model = TwoLayerRegressor(random_state=0, **options)
    data = {"X": X, "y": QUANTITY, "X_val": X, "y_val": QUANTITY}
    if not where.endswith("val"):
        del data["X_val"], data["y_val"]
    data[where] = 1e39 * data[where]
    with pytest.raises(ValueError, match=rf"^{where} is as large as .*float32; take dtype="):
        model.fit(**data)
    assert not hasattr(model, "coefs_")


def test_a_stream_refuses_what_float32_cannot_hold():
    model = TwoLayerRegressor(solver="adam", standardize=False, dtype="float32", random_state=0)
    with pytest.raises(ValueError, match="y is as large as"):
        model.partial_fit(X, 1e39 * QUANTITY)
    streaming = TwoLayerRegressor(solver="adam", random_state=0).partial_fit(X, QUANTITY)
    before = streaming.predict(X)
    with pytest.raises(ValueError, match="a column of X is as large as"):
        streaming.partial_fit(np.full_like(X, 1e308), QUANTITY)
    assert_allclose(streaming.predict(X), before)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize(
    ("of_X", "of_y"), [(1, 1e200), (1e150, 1), (1e-30, 1e300), (1e300, 1e-300)]
)
@pytest.mark.parametrize("standardize", [True, False])
def test_weights_are_finite(recipe, of_X, of_y, standardize):
    options = RECIPES[recipe] | {"standardize": standardize}
    model = TwoLayerRegressor(random_state=0, **options).fit(of_X * X, of_y * QUANTITY)
    for part in (*model.coefs_, *model.intercepts_):
        assert np.isfinite(part).all()
    assert np.isfinite(model.predict(of_X * X)).all()


@pytest.mark.parametrize("recipe", ["evidence", "lbfgs", "adam", "raw"])
def test_a_loss_beyond_the_range_is_not_recorded(recipe):
    options = RECIPES[recipe] | {"standardize": False}
    model = TwoLayerRegressor(random_state=0, **options)
    with pytest.warns(ConvergenceWarning, match="diverged after 0 iterations"):
        model.fit(X * [1e160, 1, 1, 1, 1], QUANTITY)
    assert model.loss_curve_ == []
    assert model.best_iter_ == model.n_iter_ == 0
    assert np.isfinite(model.predict(X)).all()


def test_weights_that_exist_in_no_raw_units_leave_those_of_the_start():
    model = TwoLayerRegressor(2, random_state=0)
    with pytest.warns(ConvergenceWarning, match="take other units for X and y"):
        model.fit(1e-30 * X, 1e300 * QUANTITY)
    assert model.best_iter_ == 0 < model.n_iter_


def test_networks_without_an_evidence_are_no_part_of_an_average():
    """Not one of them was more than noise to another: the evidence of each was -inf."""
    model = TwoLayerRegressor(standardize=False, random_state=0)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        model.fit(X, 1e200 * QUANTITY)
    assert np.isfinite(model.coefs_[1]).all()
    with pytest.raises(ValueError, match="return_std=True needs the posterior"):
        model.predict(X, return_std=True)


@dtypes
@pytest.mark.parametrize("recipe", ["lbfgs", "adam"])
def test_validation_rows_may_lie_far_out(recipe, dtype):
    options = RECIPES[recipe] | {"activation": "relu"}
    far = X.astype(dtype)
    far[0] = np.finfo(dtype).max
    model = TwoLayerRegressor(random_state=0, **options)
    model.fit(X.astype(dtype), QUANTITY, X_val=far, y_val=QUANTITY)
    assert np.isfinite(model.best_validation_score_)
    assert np.isfinite(model.validation_scores_).all()
