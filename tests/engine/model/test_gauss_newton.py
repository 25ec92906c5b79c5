from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from encoded_tables import TABLES, written_out
from sklearn_twolayer.engine.data.encoded import encoded_moments
from sklearn_twolayer.engine.data.moments import moments, no_moments
from sklearn_twolayer.engine.data.rows import ArrayRows
from sklearn_twolayer.engine.data.scaling import Scaling
from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.gauss_newton import curvature, linearize
from sklearn_twolayer.engine.model.losses import LOSSES
from sklearn_twolayer.engine.model.network import Network
from sklearn_twolayer.engine.model.parameters import Shape

N_ROWS, N_FEATURES, N_HIDDEN = 9, 3, 4
STEP = 1e-5

every_loss = pytest.mark.parametrize("loss", LOSSES)
every_number = pytest.mark.parametrize("n_outputs", [1, 3])
either_skip = pytest.mark.parametrize("skip", [False, True], ids=["no skip", "skip"])
either_weights = pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])


def raw_outputs(shape, activation, theta, X):
    p = shape.views(theta)
    Z1 = X @ p.W1 + p.b1
    A1 = np.empty_like(Z1)
    ACTIVATIONS[activation].value(Z1, A1)
    Z2 = A1 @ p.W2 + p.b2
    return Z2 + X @ p.W0 if shape.skip else Z2


def differences(shape, activation, theta, X):
    """d Z2 / d theta by central differences, (n_rows, n_outputs, n_parameters)."""
    J = np.empty((len(X), shape.n_outputs, shape.size))
    for i in range(shape.size):
        nudge = STEP * (np.arange(shape.size) == i)
        above, below = (raw_outputs(shape, activation, theta + s * nudge, X) for s in (1, -1))
        J[:, :, i] = (above - below) / (2 * STEP)
    return J


def away_from_kinks(shape, X, rng):
    while True:
        theta = rng.randn(shape.size)
        p = shape.views(theta)
        if np.abs(X @ p.W1 + p.b1).min() > 100 * STEP:
            return theta


def by_brute_force(shape, activation, loss, theta, X, Y, w):
    """H of dense rows, from differences of the outputs."""
    J = differences(shape, activation, theta, X)
    C = LOSSES[loss].curvature(raw_outputs(shape, activation, theta, X), Y)
    return np.einsum("i,ikp,ikl,ilq->pq", w, J, C, J)


@pytest.mark.sampled(5)
@every_loss
@every_number
@either_skip
@either_weights
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_is_what_differences_of_the_outputs_say(
    activation, loss, n_outputs, skip, weighted, storage, rng, draw_targets
):
    X = rng.randn(N_ROWS, N_FEATURES)
    shape = Shape(N_FEATURES, N_HIDDEN, n_outputs, skip)
    theta = away_from_kinks(shape, X, rng)
    Y = draw_targets(LOSSES[loss], N_ROWS, n_outputs)
    weights = rng.rand(N_ROWS) if weighted else None
    network = Network(shape, ACTIVATIONS[activation], LOSSES[loss])
    rows = ArrayRows(storage(X), Y, weights, block_size=4)

    w = np.ones(N_ROWS) if weights is None else weights
    expected = by_brute_force(shape, activation, loss, theta, X, Y, w)
    loss_sum, gradient, H = rows.reduce(partial(curvature, network), theta)
    assert_allclose(H, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
    assert_allclose(H, H.T, rtol=1e-14, atol=1e-15)
    expected_sum, expected_gradient = rows.reduce(network.loss_gradient, theta)
    assert_allclose(loss_sum, expected_sum, rtol=1e-13)
    assert_allclose(gradient, expected_gradient, rtol=1e-11, atol=1e-13)


@pytest.mark.sampled(5)
@every_loss
@every_number
@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_that_of_encoded_columns_is_what_differences_say(table, loss, n_outputs, rng, draw_targets):
    X, w = table.draw(N_ROWS, rng), rng.rand(N_ROWS)
    encoding = table.learn(X, w)
    standardized = written_out(X, encoding, w)
    shape = Shape(standardized.shape[1], 2, n_outputs, skip=True, blocks=encoding.blocks)
    theta, Y = rng.randn(shape.size), draw_targets(LOSSES[loss], N_ROWS, n_outputs)
    moments, _ = encoded_moments(X, w, encoding)
    scaling = Scaling(moments, no_moments(1), N_ROWS, float(N_ROWS))
    rows = ArrayRows(X, Y, w, scaling, block_size=4, encoding=encoding, fill=scaling.fill)
    network = Network(shape, ACTIVATIONS["tanh"], LOSSES[loss])

    expected = by_brute_force(shape, "tanh", loss, theta, standardized, Y, w)
    _, gradient, H = rows.reduce(partial(curvature, network), theta)
    assert_allclose(H, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
    _, expected_gradient = rows.reduce(network.loss_gradient, theta)
    assert_allclose(gradient, expected_gradient, rtol=1e-10, atol=1e-12)


@every_loss
@every_number
@either_skip
def test_blocks_of_any_size_add_up(loss, n_outputs, skip, rng, draw_targets):
    X = rng.randn(N_ROWS, N_FEATURES)
    shape = Shape(N_FEATURES, N_HIDDEN, n_outputs, skip)
    theta, Y = rng.randn(shape.size), draw_targets(LOSSES[loss], N_ROWS, n_outputs)
    kernel = partial(curvature, Network(shape, ACTIVATIONS["tanh"], LOSSES[loss]))
    weights = rng.rand(N_ROWS)
    expected = ArrayRows(X, Y, weights).reduce(kernel, theta)
    for size in (1, 2, 7):
        parts = ArrayRows(X, Y, weights, block_size=size).reduce(kernel, theta)
        for part, whole in zip(parts, expected, strict=True):
            assert_allclose(part, whole, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array, sparse.csr_matrix])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sees_standardized_rows_and_computes_in_float64(storage, dtype, rng):
    X = (rng.randn(N_ROWS, N_FEATURES) * [1, 10, 0.1] + [0, 5, -1]).astype(dtype)
    scaling = Scaling(moments(X, None), no_moments(2), N_ROWS, float(N_ROWS))
    shape = Shape(N_FEATURES, N_HIDDEN, 2, skip=True)
    theta, Y = rng.randn(shape.size), rng.randn(N_ROWS, 2)
    kernel = partial(curvature, Network(shape, ACTIVATIONS["tanh"], LOSSES["squared_error"]))
    standardized = (X.astype(float) - scaling.X.mean) / scaling.X.scale
    _, _, expected = ArrayRows(standardized, Y).reduce(kernel, theta)
    rows = ArrayRows(storage(X), Y, None, scaling, dtype)
    _, gradient, H = rows.reduce(kernel, theta.astype(dtype))
    assert gradient.dtype == H.dtype == np.float64
    assert_allclose(H, expected, rtol=0, atol=(1e-10 if dtype == np.float64 else 1e-5) * H.max())


@every_number
@either_skip
def test_products_with_the_jacobian_are_those_with_its_matrix(n_outputs, skip, rng):
    X = rng.randn(N_ROWS, N_FEATURES)
    shape = Shape(N_FEATURES, N_HIDDEN, n_outputs, skip)
    theta = rng.randn(shape.size)
    network = Network(shape, ACTIVATIONS["tanh"], LOSSES["squared_error"])
    inputs, Y, _ = ArrayRows(X, rng.randn(N_ROWS, n_outputs)).take(slice(0, N_ROWS))
    rows = linearize(network, theta, inputs, Y, 1.0)
    J = differences(shape, "tanh", theta, X)
    v, U = rng.randn(shape.size), rng.randn(N_ROWS, n_outputs)
    assert_allclose(rows.jvp(v), J @ v, rtol=1e-6, atol=1e-7)
    assert_allclose(rows.vjp(U), np.einsum("ikp,ik->p", J, U), rtol=1e-6, atol=1e-7)
