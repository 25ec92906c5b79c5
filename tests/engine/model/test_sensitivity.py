import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.network import block_size, raw_prediction
from sklearn_twolayer.engine.model.sensitivity import (
    gradient_magnitude,
    hidden_features,
    input_gradient,
)

every_activation = pytest.mark.parametrize("name", ACTIVATIONS)
every_storage = pytest.mark.parametrize(
    "storage", [np.asarray, sparse.csr_array, sparse.csr_matrix], ids=lambda f: f.__name__
)
with_and_without_skip = pytest.mark.parametrize("skip", [False, True], ids=["no skip", "skip"])


def draw_network(rng, n_features, n_hidden, n_outputs, skip):
    coefs = [rng.randn(n_features, n_hidden), rng.randn(n_hidden, n_outputs)]
    coefs += [rng.randn(n_features, n_outputs)] if skip else []
    return coefs, [rng.randn(n_hidden), rng.randn(n_outputs)]


def central_difference(coefs, intercepts, activation, X, step=1e-6):
    moves = step * np.eye(X.shape[1])
    columns = [
        raw_prediction(coefs, intercepts, activation, X + move)
        - raw_prediction(coefs, intercepts, activation, X - move)
        for move in moves
    ]
    return np.stack(columns, axis=2) / (2 * step)


@every_activation
@every_storage
@pytest.mark.parametrize("n_outputs", [1, 3])
@with_and_without_skip
def test_gradient_is_the_central_difference(name, storage, n_outputs, skip, rng):
    coefs, intercepts = draw_network(rng, 4, 6, n_outputs, skip)
    X = rng.randn(20, 4)
    expected = central_difference(coefs, intercepts, ACTIVATIONS[name], X)
    gradient = input_gradient(coefs, intercepts, ACTIVATIONS[name], storage(X))
    assert gradient.shape == (20, n_outputs, 4)
    assert_allclose(gradient, expected, rtol=1e-7, atol=1e-8)


@every_activation
@every_storage
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@with_and_without_skip
def test_blocks_of_rows_fit_together(name, storage, dtype, skip, rng):
    n_rows = 2 * block_size(1000) + 1
    X = rng.randn(n_rows, 3).astype(dtype)
    coefs, intercepts = draw_network(rng, 3, 1000, 2, skip)
    arguments = coefs, intercepts, ACTIVATIONS[name]
    gradient, features = (f(*arguments, storage(X)) for f in (input_gradient, hidden_features))
    assert gradient.dtype == features.dtype == dtype
    some = [0, block_size(1000), n_rows - 1]
    tolerance = {"rtol": 1e-10} if dtype == np.float64 else {"rtol": 1e-3, "atol": 1e-3}
    exact = X[some].astype(np.float64)
    assert_allclose(gradient[some], input_gradient(*arguments, exact), **tolerance)
    assert_allclose(features[some], hidden_features(*arguments, exact), **tolerance)


@every_activation
@every_storage
def test_outputs_are_linear_in_the_hidden_features(name, storage, rng):
    coefs, intercepts = draw_network(rng, 4, 6, 2, skip=True)
    X = rng.randn(20, 4)
    arguments = coefs, intercepts, ACTIVATIONS[name], storage(X)
    features = hidden_features(*arguments)
    assert features.shape == (20, 6)
    expected = features @ coefs[1] + intercepts[1] + X @ coefs[2]
    assert_allclose(raw_prediction(*arguments), expected, rtol=1e-12)


@every_activation
@every_storage
@pytest.mark.parametrize("weighted", [False, True], ids=["no weights", "weights"])
@pytest.mark.parametrize("n_outputs", [1, 3])
@with_and_without_skip
def test_magnitude_is_its_formula(name, storage, weighted, n_outputs, skip, rng):
    n_rows = 2 * block_size(1000) + 1
    X = rng.randn(n_rows, 3) * [1, 10, 0.1] + 5
    coefs, intercepts = draw_network(rng, 3, 1000, n_outputs, skip)
    weights = rng.rand(n_rows) if weighted else None
    arguments = coefs, intercepts, ACTIVATIONS[name]
    mean_square = np.average(input_gradient(*arguments, X) ** 2, axis=0, weights=weights)
    variance = np.average(
        (X - np.average(X, axis=0, weights=weights)) ** 2, axis=0, weights=weights
    )
    expected = np.sqrt(mean_square.sum(axis=0) * variance)
    magnitude = gradient_magnitude(*arguments, storage(X), weights)
    assert_allclose(magnitude, expected, rtol=1e-9)


@every_activation
@pytest.mark.parametrize("unit", [1e-200, 1e200])
@with_and_without_skip
def test_magnitude_in_extreme_units(name, unit, skip, rng):
    """Of columns and of outputs: squares of either would leave the range."""
    (W1, W2, *W0), (b1, b2) = draw_network(rng, 3, 5, 2, skip)
    X = rng.randn(30, 3)
    expected = gradient_magnitude([W1, W2, *W0], [b1, b2], ACTIVATIONS[name], X, None)
    columns = [W1 / unit, W2, *(W / unit for W in W0)]
    actual = gradient_magnitude(columns, [b1, b2], ACTIVATIONS[name], X * unit, None)
    assert_allclose(actual, expected, rtol=1e-9)
    outputs = [W1, W2 * unit, *(W * unit for W in W0)]
    actual = gradient_magnitude(outputs, [b1, b2 * unit], ACTIVATIONS[name], X, None)
    assert_allclose(actual, expected * unit, rtol=1e-9)


@every_activation
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_far_out_gradients_are_finite_without_a_warning(name, dtype):
    coefs, intercepts = [np.eye(1), np.eye(1)], [np.zeros(1), np.zeros(1)]
    X = np.sqrt(np.finfo(dtype).max) * np.array([[-100], [100]], dtype=dtype)
    gradient = input_gradient(coefs, intercepts, ACTIVATIONS[name], X)
    near = input_gradient(coefs, intercepts, ACTIVATIONS[name], np.array([[-40.0], [40.0]]))
    assert_allclose(gradient, near, atol=1e-12)


def test_arguments_are_left_alone(rng):
    coefs, intercepts = draw_network(rng, 3, 5, 2, skip=True)
    X, weights = rng.randn(9, 3), rng.rand(9)
    arrays = [*coefs, *intercepts, X, weights]
    before = [array.copy() for array in arrays]
    for activation in ACTIVATIONS.values():
        hidden_features(coefs, intercepts, activation, X)
        input_gradient(coefs, intercepts, activation, X)
        gradient_magnitude(coefs, intercepts, activation, X, weights)
    for array, original in zip(arrays, before, strict=True):
        assert_array_equal(array, original)


def test_no_rows_have_no_gradients_and_no_features(rng):
    arguments = *draw_network(rng, 3, 5, 2, skip=True), ACTIVATIONS["tanh"], np.empty((0, 3))
    assert input_gradient(*arguments).shape == (0, 2, 3)
    assert hidden_features(*arguments).shape == (0, 5)
