"""What the model saw: gradients, hidden units and importances, as seen from the estimators."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import kinds
from kinds import IGNORE_CONVERGENCE, every, five_kinds
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer.engine import ACTIVATIONS

pytestmark = IGNORE_CONVERGENCE

N_ROWS = 60
UNITS = np.array([1, 100, 0.01, 3, 1])


def quantities(n_targets):
    rng = np.random.RandomState(0)
    X = rng.randn(N_ROWS, 5) * UNITS + [0, 20, -1, 5, 100]
    Y = (X / UNITS) @ rng.randn(5, n_targets) + np.sin(X[:, [0]]) + 50
    return X, Y[:, 0] if n_targets == 1 else Y


def labels(n_classes):
    X, y = kinds.labels(n_classes, N_ROWS)
    return X * UNITS, y


def several_labels():
    return kinds.several_labels(N_ROWS)


KINDS = five_kinds(labels, several_labels, quantities)
every_kind = every(KINDS)
every_activation = pytest.mark.parametrize("activation", ACTIVATIONS)
every_method = pytest.mark.parametrize(
    "method", ["input_gradients", "hidden_features", "gradient_importances"]
)
either_prior = pytest.mark.parametrize("alpha", [1.0, "auto"])
with_and_without_skip = pytest.mark.parametrize("skip", [False, True], ids=["no skip", "skip"])


def fitted(estimator, X, y, **options):
    network = {"activation": "tanh", "skip": True, "alpha": 1.0}
    options = {**network, "max_iter": 15, "random_state": 0, **options}
    return estimator(6, **options).fit(X, y)


def outputs(model, X):
    """Predictions or logits before any moderation, (n_rows, n_outputs)."""
    return model._raw_prediction(X)


@every_kind
@either_prior
@every_activation
@with_and_without_skip
def test_gradients_are_differences_of_outputs(estimator, X, y, activation, skip, alpha):
    model = fitted(estimator, X, y, activation=activation, skip=skip, alpha=alpha)
    # off the training rows, some of which are whole numbers
    X = X[:30] + 0.01 * X.std(axis=0) * np.random.RandomState(1).randn(30, 5)
    gradients = model.input_gradients(X)
    assert gradients.shape == (30, model.n_outputs_, 5)
    for j, step in enumerate(1e-6 * X.std(axis=0)):
        move = step * np.eye(5)[j]
        expected = (outputs(model, X + move) - outputs(model, X - move)) / (2 * step)
        largest = np.abs(expected).max()
        assert_allclose(gradients[:, :, j], expected, rtol=1e-5, atol=1e-6 * largest)


@every_kind
@either_prior
@every_activation
def test_hidden_features_are_what_the_output_layer_sees(estimator, X, y, activation, alpha):
    model = fitted(estimator, X, y, activation=activation, alpha=alpha)
    features = model.hidden_features(X)
    assert features.shape == (N_ROWS, 6)
    expected = features @ model.coefs_[1] + model.intercepts_[1] + X @ model.skip_coef_
    assert_allclose(outputs(model, X), expected, rtol=1e-10, atol=1e-10)


@every_kind
@either_prior
@every_method
@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix, sparse.coo_array])
def test_sparse_rows_are_dense_rows(estimator, X, y, method, container, alpha):
    X = np.where(np.random.RandomState(1).rand(*X.shape) < 0.5, 0, X)
    model = fitted(estimator, X, y, alpha=alpha)
    result = getattr(model, method)(container(X))
    assert isinstance(result, np.ndarray)
    assert_allclose(result, getattr(model, method)(X), rtol=1e-9, atol=1e-12)


@every_kind
@either_prior
@every_activation
@with_and_without_skip
def test_float32_rows_give_float32(estimator, X, y, activation, skip, alpha):
    model = fitted(
        estimator, X.astype(np.float32), y, activation=activation, skip=skip, alpha=alpha
    )
    for method in (model.input_gradients, model.hidden_features):
        result, exact = method(X.astype(np.float32)), method(X.astype(np.float32).astype(float))
        assert result.dtype == np.float32
        assert exact.dtype == np.float64
        scale = np.abs(exact).max(axis=tuple(range(exact.ndim - 1)), keepdims=True)
        # a kink may lie between the two roundings of a row
        assert np.mean(np.abs(result - exact) > 1e-3 * scale) < 0.02
    assert model.gradient_importances(X.astype(np.float32)).dtype == np.float64


@every_method
def test_names_of_columns_are_checked(method):
    pd = pytest.importorskip("pandas")
    X, y = quantities(1)
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = fitted(TwoLayerRegressor, frame, y)
    expected = getattr(fitted(TwoLayerRegressor, X, y), method)(X)
    assert_allclose(getattr(model, method)(frame), expected, rtol=1e-9)
    with pytest.raises(ValueError, match="feature names should match"):
        getattr(model, method)(frame[list("edcba")])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        getattr(model, method)(X)


@every_method
@pytest.mark.parametrize("estimator", [TwoLayerClassifier, TwoLayerRegressor])
def test_needs_a_fit(method, estimator):
    with pytest.raises(NotFittedError):
        getattr(estimator(), method)(np.ones((2, 2)))


@every_kind
@every_method
def test_needs_the_columns_of_training(estimator, X, y, method):
    look = getattr(fitted(estimator, X, y), method)
    with pytest.raises(ValueError, match="X has 4 features"):
        look(X[:, :4])
    with pytest.raises(ValueError, match="NaN"):
        look(np.full_like(X, np.nan))


@every_kind
@either_prior
@every_method
def test_changes_nothing(estimator, X, y, method, alpha):
    model = fitted(estimator, X, y, alpha=alpha)
    before, kept = outputs(model, X), X.copy()
    attributes = sorted(vars(model))
    getattr(model, method)(X)
    assert_array_equal(X, kept)
    assert_array_equal(outputs(model, X), before)
    assert sorted(vars(model)) == attributes


@every_method
def test_looks_at_the_network_that_was_fitted(method):
    X, y = quantities(1)
    model = fitted(TwoLayerRegressor, X, y)
    before = getattr(model, method)(X)
    assert_array_equal(getattr(model.set_params(activation="relu"), method)(X), before)


def test_a_classifier_is_still_no_transformer():
    X, y = labels(2)
    pipeline = make_pipeline(FunctionTransformer(), TwoLayerClassifier(3)).fit(X, y)
    assert not hasattr(pipeline, "transform")
    assert pipeline[-1].hidden_features(X).shape == (N_ROWS, 3)


@every_kind
@either_prior
@with_and_without_skip
def test_importances_are_their_formula(estimator, X, y, skip, alpha):
    model = fitted(estimator, X, y, skip=skip, alpha=alpha)
    gradients = model.input_gradients(X)
    if model.out_activation_ == "softmax":
        gradients = gradients - gradients.mean(axis=1, keepdims=True)
    moves = X.std(axis=0) * np.sqrt((gradients**2).mean(axis=0).sum(axis=0))
    importances = model.gradient_importances(X)
    assert importances.shape == (5,)
    assert_allclose(importances.sum(), 1)
    assert_allclose(importances, moves / moves.sum(), rtol=1e-9)


@with_and_without_skip
def test_importances_of_a_linear_function_are_its_coefficients(skip):
    rng = np.random.RandomState(0)
    X = rng.randn(200, 4) * [1, 100, 0.01, 3] + [0, 1e4, 5, -3]
    slopes = np.array([5, -0.02, 100, 0])
    model = TwoLayerRegressor(
        4, activation="identity", skip=skip, alpha=0.0, tol=1e-10, max_iter=5000, random_state=0
    ).fit(X, X @ slopes)
    moves = np.abs(slopes) * X.std(axis=0)
    assert_allclose(model.gradient_importances(X), moves / moves.sum(), atol=1e-4)
    gradients = model.input_gradients(X)[:, 0] * X.std(axis=0)
    assert_allclose(gradients, np.tile(slopes * X.std(axis=0), (200, 1)), atol=1e-6)


@every_kind
@pytest.mark.parametrize("when", ["training", "inspection"])
def test_a_constant_column_has_no_importance(estimator, X, y, when):
    X_constant = X.copy()
    X_constant[:, 2] = 0.1
    model = fitted(estimator, X_constant if when == "training" else X, y)
    importances = model.gradient_importances(X if when == "training" else X_constant)
    assert importances[2] == 0
    assert importances[[0, 1, 3, 4]].all()
    if when == "training":
        assert not model.input_gradients(X)[:, :, 2].any()


def test_what_adds_to_all_logits_alike_has_no_importance():
    X, y = labels(3)
    model = fitted(TwoLayerClassifier, X, y)
    probabilities, importances = model.predict_proba(X), model.gradient_importances(X)
    model.skip_coef_ = model.skip_coef_ + np.array([[0], [0.1], [0], [0], [0]])
    assert_allclose(model.predict_proba(X), probabilities, rtol=1e-9)
    assert_allclose(model.gradient_importances(X), importances, rtol=1e-9)


@every_kind
@either_prior
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_weights_count_as_copies(estimator, X, y, container, alpha):
    model = fitted(estimator, X, y, alpha=alpha)
    copies = np.random.RandomState(2).randint(4, size=N_ROWS)
    expected = model.gradient_importances(container(np.repeat(X, copies, axis=0)))
    assert_allclose(model.gradient_importances(container(X), copies), expected, rtol=1e-9)
    assert_allclose(model.gradient_importances(container(X), 7.5 * copies), expected, rtol=1e-9)
    assert not np.allclose(model.gradient_importances(container(X)), expected, rtol=1e-3)


def test_rows_of_weight_zero_are_absent():
    """Even where an activation overflows."""
    X, y = quantities(1)
    model = fitted(TwoLayerRegressor, X, y, activation="relu")
    far = np.vstack([X, np.full((1, 5), 1e300)])
    weights = np.append(np.ones(N_ROWS), 0)
    expected = model.gradient_importances(X)
    assert_allclose(model.gradient_importances(far, weights), expected, rtol=1e-12)


def test_wrong_weights_are_refused():
    X, y = quantities(1)
    model = fitted(TwoLayerRegressor, X, y)
    for weights, message in (
        (np.ones(3), "sample_weight must have shape"),
        (-np.ones(N_ROWS), "sample_weight must not be negative"),
        (np.zeros(N_ROWS), "sample_weight must not be zero for all rows"),
    ):
        with pytest.raises(ValueError, match=message):
            model.gradient_importances(X, weights)


@every_kind
@either_prior
def test_importances_do_not_depend_on_the_units_of_columns(estimator, X, y, alpha):
    other = X * [1e3, 1e-150, 1, 5, 1e150] + [7, 0, 10, -50, 0]
    expected = fitted(estimator, X, y, alpha=alpha).gradient_importances(X)
    actual = fitted(estimator, other, y, alpha=alpha).gradient_importances(other)
    assert_allclose(actual, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("unit", [1e-150, 1e150])
def test_importances_do_not_depend_on_the_units_of_y(unit):
    X, y = quantities(2)
    expected = fitted(TwoLayerRegressor, X, y).gradient_importances(X)
    actual = fitted(TwoLayerRegressor, X, y * unit).gradient_importances(X)
    assert_allclose(actual, expected, rtol=1e-4)


@pytest.mark.parametrize("rows", [slice(1), np.zeros(9, int)], ids=["one row", "equal rows"])
def test_importances_are_zero_where_no_column_varies(rows):
    X, y = quantities(1)
    assert_array_equal(fitted(TwoLayerRegressor, X, y).gradient_importances(X[rows]), np.zeros(5))


def test_importances_are_zero_where_no_output_moves():
    X, _ = labels(2)
    model = fitted(TwoLayerClassifier, X, np.repeat("the only label", N_ROWS))
    assert_array_equal(model.gradient_importances(X), np.zeros(5))
    model = fitted(TwoLayerRegressor, np.ones_like(X), X[:, 0])
    assert not model.input_gradients(X).any()
    assert_array_equal(model.gradient_importances(X), np.zeros(5))


def test_importances_are_finite_however_near_knots_are():
    steep = np.resize([0.0, 1e-300, 1.0], N_ROWS)
    X = np.column_stack([steep, np.linspace(-1, 1, N_ROWS)])
    options = {"encoding": "piecewise_linear", "alpha": 1.0, "random_state": 0}
    model = TwoLayerRegressor(3, **options).fit(X, X.sum(axis=1))
    assert_allclose(model.gradient_importances(X), [1, 0], atol=1e-12)


@every_kind
@either_prior
@every_method
def test_a_clone_forgets(estimator, X, y, method, alpha):
    with pytest.raises(NotFittedError):
        getattr(clone(fitted(estimator, X, y, alpha=alpha)), method)(X)
