import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import logsumexp, softmax

from sklearn_twolayer.engine.data.sources import source
from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.losses import LOSSES
from sklearn_twolayer.engine.model.network import Network, block_size, raw_prediction
from sklearn_twolayer.engine.model.parameters import Shape

N_ROWS = 12


def squared_error(Z2, Y):
    return 0.5 * ((Z2 - Y) ** 2).sum(axis=1), Z2 - Y


def binary_log_loss(Z2, Y):
    P = 1 / (1 + np.exp(-Z2))
    return -(Y * np.log(P) + (1 - Y) * np.log(1 - P)).sum(axis=1), P - Y


def log_loss(Z2, Y):
    one_hot = np.eye(Z2.shape[1])[Y]
    return logsumexp(Z2, axis=1) - (one_hot * Z2).sum(axis=1), softmax(Z2, axis=1) - one_hot


FORMULAS = {f.__name__: f for f in (squared_error, binary_log_loss, log_loss)}


def backpropagation(theta, X, Y, w, shape, loss):
    """Loss and gradient of a network with tanh, summed over rows."""
    d, h, k = shape.n_features, shape.n_hidden, shape.n_outputs
    W1, b1, W2, b2, W0 = np.split(theta, np.cumsum([d * h, h, h * k, k]))
    W1, W2 = W1.reshape(d, h), W2.reshape(h, k)
    W0 = W0.reshape(d, k) if shape.skip else np.zeros((d, k))
    A1 = np.tanh(X @ W1 + b1)
    losses, D2 = FORMULAS[loss](A1 @ W2 + b2 + X @ W0, Y)
    D2 = w[:, None] * D2
    D1 = (D2 @ W2.T) * (1 - A1**2)
    pieces = [X.T @ D1, D1.sum(axis=0), A1.T @ D2, D2.sum(axis=0)]
    pieces += [X.T @ D2] if shape.skip else []
    return w @ losses, np.concatenate([piece.ravel() for piece in pieces])


@pytest.fixture
def X(rng):
    return rng.randn(N_ROWS, 3)


def some_inputs(X):
    return source(X, None, X.dtype).take(slice(0, X.shape[0]))


@pytest.mark.parametrize("loss", FORMULAS)
@pytest.mark.parametrize("n_outputs", [1, 4])
@pytest.mark.parametrize("skip", [False, True], ids=["no skip", "skip"])
@pytest.mark.parametrize("one_weight", [True, False], ids=["one weight", "weight of each row"])
@pytest.mark.parametrize("n_hidden", [1, 5], ids=["fewer units than columns", "more units"])
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_loss_and_gradient_are_the_formulas(
    X, loss, n_outputs, skip, one_weight, n_hidden, storage, rng, draw_targets
):
    shape = Shape(3, n_hidden, n_outputs, skip)
    theta, Y = rng.randn(shape.size), draw_targets(LOSSES[loss], N_ROWS, n_outputs)
    w = np.full(N_ROWS, 0.3) if one_weight else rng.rand(N_ROWS)
    expected_loss, expected_gradient = backpropagation(theta, X, Y, w, shape, loss)

    network = Network(shape, ACTIVATIONS["tanh"], LOSSES[loss])
    arguments = theta, some_inputs(storage(X)), Y, 0.3 if one_weight else w
    loss_sum, gradient = network.loss_gradient(*arguments)
    assert_allclose(loss_sum, expected_loss, rtol=1e-12, atol=1e-14)
    assert_allclose(gradient, expected_gradient, rtol=1e-10, atol=1e-13)
    assert_allclose(network.loss_sum(*arguments), [expected_loss], rtol=1e-12, atol=1e-14)


def test_batches_of_changing_size_do_not_disturb_each_other(X, rng):
    shape = Shape(3, 5, 1)
    theta, Y, w = rng.randn(shape.size), rng.randn(N_ROWS, 1), np.ones(N_ROWS)
    network = Network(shape, ACTIVATIONS["tanh"], LOSSES["squared_error"])
    for n_rows in (12, 5, 12, 1):
        expected = backpropagation(
            theta, X[:n_rows], Y[:n_rows], w[:n_rows], shape, "squared_error"
        )
        loss_sum, gradient = network.loss_gradient(theta, some_inputs(X[:n_rows]), Y[:n_rows], 1.0)
        assert_allclose(loss_sum, expected[0], rtol=1e-12)
        assert_allclose(gradient, expected[1], rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_arguments_are_left_alone(X, name, rng):
    shape = Shape(3, 5, 2)
    theta, Y, w = rng.randn(shape.size), rng.randn(N_ROWS, 2), rng.rand(N_ROWS)
    before = [array.copy() for array in (theta, X, Y, w)]
    network = Network(shape, ACTIVATIONS[name], LOSSES["squared_error"])
    network.loss_gradient(theta, some_inputs(X), Y, w)
    for array, original in zip((theta, X, Y, w), before, strict=True):
        assert_array_equal(array, original)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_float32_stays_float32(X, name, loss, rng, draw_targets):
    shape = Shape(3, 5, 2, skip=True)
    theta, Y = rng.randn(shape.size), draw_targets(LOSSES[loss], N_ROWS, 2)
    network = Network(shape, ACTIVATIONS[name], LOSSES[loss])
    expected = network.loss_gradient(theta, some_inputs(X), Y, 1.0)[1].copy()
    Y = Y if LOSSES[loss].labels else Y.astype(np.float32)
    inputs = some_inputs(X.astype(np.float32))
    _, gradient = network.loss_gradient(theta.astype(np.float32), inputs, Y, 1.0)
    assert gradient.dtype == np.float32
    assert_allclose(gradient, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array, sparse.csr_matrix])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("skip", [False, True], ids=["no skip", "skip"])
def test_raw_prediction_is_the_formula_across_blocks(name, storage, dtype, skip, rng):
    n_hidden = 2000
    n_rows = 2 * block_size(n_hidden) + 1
    X = rng.randn(n_rows, 3).astype(dtype)
    coefs = [rng.randn(3, n_hidden), rng.randn(n_hidden, 2) / n_hidden]
    intercepts = [rng.randn(n_hidden), rng.randn(2)]
    A1 = np.empty((n_rows, n_hidden))
    ACTIVATIONS[name].value(X.astype(np.float64) @ coefs[0] + intercepts[0], A1)
    expected = A1 @ coefs[1] + intercepts[1]
    if skip:
        coefs.append(rng.randn(3, 2))
        expected += X @ coefs[2]
    Z2 = raw_prediction(coefs, intercepts, ACTIVATIONS[name], storage(X))
    assert Z2.dtype == dtype
    rtol, atol = (1e-4, 1e-5) if dtype == np.float32 else (1e-10, 1e-13)
    assert_allclose(Z2, expected, rtol=rtol, atol=atol)


def test_raw_prediction_of_no_rows_has_no_rows(rng):
    coefs, intercepts = [rng.randn(3, 5), rng.randn(5, 2)], [rng.randn(5), rng.randn(2)]
    Z2 = raw_prediction(coefs, intercepts, ACTIVATIONS["tanh"], np.empty((0, 3)))
    assert Z2.shape == (0, 2)


def test_blocks_shrink_as_layers_grow_but_stay_worthwhile():
    assert block_size(1) > block_size(100) > block_size(1000)
    assert block_size(10**9) >= 64
