from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sklearn_twolayer.engine.data.rows import ArrayRows
from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.losses import LOSSES
from sklearn_twolayer.engine.model.network import Network
from sklearn_twolayer.engine.model.parameters import Shape
from sklearn_twolayer.engine.solvers.objective import Objective

N_ROWS = 8
SHAPE = Shape(3, 4, 2, skip=True)

every_loss = pytest.mark.parametrize("loss", LOSSES)
weighted = pytest.mark.parametrize("with_weights", [False, True], ids=["unweighted", "weighted"])
stored_as = pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])


@pytest.fixture
def X(rng):
    return rng.randn(N_ROWS, 3)


@pytest.fixture
def theta(rng):
    return rng.randn(SHAPE.size)


def objective(X, Y, weights=None, alpha=0.0, loss="squared_error", shape=SHAPE, **options):
    network = Network(shape, ACTIVATIONS["tanh"], LOSSES[loss])
    return Objective(network, ArrayRows(X, Y, weights), alpha, **options)


@every_loss
@weighted
def test_is_the_weighted_mean_of_the_loss_plus_the_penalty(
    X, theta, loss, with_weights, rng, draw_targets
):
    Y = draw_targets(LOSSES[loss], N_ROWS, 2)
    weights = rng.rand(N_ROWS) if with_weights else None
    p = SHAPE.views(theta)
    Z2 = np.tanh(X @ p.W1 + p.b1) @ p.W2 + p.b2 + X @ p.W0
    losses = LOSSES[loss].loss_gradient(Z2, Y, np.empty_like(Z2, order="F"))
    squares = (p.W1**2).sum() + (p.W2**2).sum() + (p.W0**2).sum()
    w = np.ones(N_ROWS) if weights is None else weights
    expected = (w @ losses + 3 / 2 * squares) / w.sum()

    F = objective(X, Y, weights, alpha=3, loss=loss)
    assert_allclose(F(theta)[0], expected, rtol=1e-12)
    assert_allclose(F.value(theta), expected, rtol=1e-12)
    assert_allclose(F.data_loss(theta), w @ losses / w.sum(), rtol=1e-12)


@every_loss
@stored_as
@pytest.mark.parametrize("alpha", [0, 1.5])
def test_weights_are_copies_and_zero_is_absence(X, theta, loss, storage, alpha, rng, draw_targets):
    Y = draw_targets(LOSSES[loss], N_ROWS, 2)
    copies = rng.randint(4, size=N_ROWS)
    repeated = np.repeat(np.arange(N_ROWS), copies)
    expected = objective(storage(X[repeated]), Y[repeated], alpha=alpha, loss=loss)(theta)
    value, gradient = objective(storage(X), Y, copies.astype(float), alpha, loss)(theta)
    assert_allclose(value, expected[0], rtol=1e-12)
    assert_allclose(gradient, expected[1], rtol=1e-10, atol=1e-14)


def test_the_penalty_leaves_biases_free(X, theta, rng):
    Y, weights = rng.randn(N_ROWS, 2), rng.rand(N_ROWS)
    plain, penalized = objective(X, Y, weights), objective(X, Y, weights, alpha=3)
    p = SHAPE.views(theta)
    pieces = (p.W1, np.zeros_like(p.b1), p.W2, np.zeros_like(p.b2), p.W0)
    expected = 3 * np.concatenate([piece.ravel() for piece in pieces]) / weights.sum()
    assert_allclose(penalized(theta)[1] - plain(theta)[1], expected, atol=1e-14)

    other = theta.copy()
    SHAPE.views(other).b1[:] = 100
    SHAPE.views(other).b2[:] = -100
    assert penalized.mean_penalty(other) == penalized.mean_penalty(theta) > 0


@weighted
@stored_as
@pytest.mark.parametrize("size", [1, 3, N_ROWS])
def test_batches_estimate_the_gradient_without_bias(X, theta, with_weights, storage, size, rng):
    Y = rng.randn(N_ROWS, 2)
    weights = rng.rand(N_ROWS) if with_weights else None
    F = objective(storage(X), Y, weights, alpha=3)
    batches = [np.array(batch) for batch in combinations(range(N_ROWS), size)]
    drawn = [(loss, gradient.copy()) for loss, gradient in (F.batch(theta, b) for b in batches)]
    assert_allclose(np.mean([loss for loss, _ in drawn]), F.data_loss(theta), rtol=1e-12)
    expected = F(theta)[1]
    assert_allclose(np.mean([g for _, g in drawn], axis=0), expected, rtol=1e-10, atol=1e-13)


def test_batches_of_unequal_size_add_up_by_their_size(X, theta, rng):
    F = objective(X, rng.randn(N_ROWS, 2), rng.rand(N_ROWS), alpha=3)
    gradient = np.zeros_like(theta)
    for batch in (slice(0, 3), slice(3, 6), slice(6, N_ROWS)):
        size = len(range(N_ROWS)[batch])
        gradient += size / N_ROWS * F.batch(theta, batch)[1]
    assert_allclose(gradient, F(theta)[1], rtol=1e-10, atol=1e-13)


def test_rows_of_a_stream_share_the_penalty_of_all_rows_seen(X, theta, rng):
    Y = rng.randn(N_ROWS, 2)
    whole = objective(X, Y, alpha=3)
    parts = [
        objective(X[rows], Y[rows], alpha=3, total_weight=N_ROWS, mean_weight=1)
        for rows in (slice(0, 4), slice(4, N_ROWS))
    ]
    assert_allclose(np.mean([F(theta)[0] for F in parts]), whole(theta)[0], rtol=1e-12)
    gradients = [F.batch(theta, slice(0, 4))[1].copy() for F in parts]
    assert_allclose(np.mean(gradients, axis=0), whole(theta)[1], rtol=1e-10, atol=1e-13)


@weighted
def test_many_rows_are_judged_by_evenly_spaced_ones(X, theta, rng, with_weights):
    Y = rng.randn(N_ROWS, 2)
    weights = rng.rand(N_ROWS) if with_weights else None
    F = objective(X, Y, weights, alpha=3)
    spaced = [0, 2, 4, 7]
    expected = F.batch(theta, np.array(spaced))[0] + F.mean_penalty(theta)
    assert_allclose(F.value(theta, most_rows=4), expected, rtol=1e-12)
    assert F.value(theta, most_rows=N_ROWS) == F.value(theta)


@weighted
def test_absent_columns_of_sparse_rows_can_be_left_out(rng, with_weights):
    X = sparse.csr_array(sparse.random(N_ROWS, 3, density=0.3, random_state=0))
    Y = rng.randn(N_ROWS, 2)
    weights = rng.rand(N_ROWS) if with_weights else None
    shape = Shape(3, 4, 2)
    F = objective(X, Y, weights, shape=shape)
    assert F.leaves_absent_columns
    assert not objective(X, Y, shape=shape, alpha=1).leaves_absent_columns
    assert not objective(X.toarray(), Y, shape=shape).leaves_absent_columns
    assert not objective(X, Y).leaves_absent_columns
    index, theta = np.array([0, 5]), rng.randn(shape.size)
    narrow = F.narrowed(index)
    assert_array_equal(narrow.columns, np.unique(X[index].indices))
    part = narrow.part_of(theta)
    W1 = shape.views(theta).W1
    assert_array_equal(part, np.append(W1[narrow.columns], theta[W1.size :]))
    loss, gradient = narrow.data_loss(part)
    expected_loss, full = F.batch(theta, index)
    assert_allclose(loss, expected_loss, rtol=1e-12)
    assert_allclose(gradient, narrow.part_of(full), rtol=1e-10, atol=1e-14)


def test_theta_is_left_alone(X, theta, rng):
    before = theta.copy()
    F = objective(X, rng.randn(N_ROWS, 2), rng.rand(N_ROWS), alpha=3)
    F(theta), F.value(theta), F.batch(theta, slice(0, 4))
    assert_array_equal(theta, before)


@stored_as
@weighted
@pytest.mark.parametrize("index", [slice(1, 8), np.array([7, 0, 3, 5, 2])], ids=["slice", "rows"])
def test_a_large_batch_is_the_sum_of_its_parts(X, theta, rng, storage, with_weights, index):
    Y, weights = rng.randn(N_ROWS, 2), rng.rand(N_ROWS) if with_weights else None
    network = Network(SHAPE, ACTIVATIONS["tanh"], LOSSES["squared_error"])
    losses, gradients = [], []
    for block_size in (1000, 3, 1):
        rows = ArrayRows(storage(X), Y, weights, block_size=block_size)
        loss, gradient = Objective(network, rows, alpha=1.5).batch(theta, index)
        losses.append(loss)
        gradients.append(gradient.copy())
    assert_allclose(losses[1:], losses[0], rtol=1e-13)
    assert_allclose(gradients[1:], [gradients[0]] * 2, rtol=1e-12, atol=1e-14)
