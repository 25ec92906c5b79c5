import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sklearn_twolayer.engine.bayes.evidence import Prior
from sklearn_twolayer.engine.bayes.predictive import OutputCovariance, blocks
from sklearn_twolayer.engine.bayes.search import maximize_evidence
from sklearn_twolayer.engine.data.moments import moments
from sklearn_twolayer.engine.data.rows import ArrayRows
from sklearn_twolayer.engine.data.scaling import Scaling
from sklearn_twolayer.engine.data.sources import source
from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.losses import LOSSES
from sklearn_twolayer.engine.model.network import Network
from sklearn_twolayer.engine.model.parameters import Shape

N_FEATURES, N_HIDDEN = 3, 4


def network_of(n_outputs, skip=False, loss="squared_error", n_hidden=N_HIDDEN):
    shape = Shape(N_FEATURES, n_hidden, n_outputs, skip)
    return Network(shape, ACTIVATIONS["tanh"], LOSSES[loss])


def some_covariance(size, rng):
    root = rng.randn(size, size)
    return root @ root.T


def output_covariance(network, theta, covariance, X, scaling=None):
    """Of raw rows, all at once."""
    rows = source(X, scaling, np.dtype(np.float64)).take(slice(None))
    return OutputCovariance(network, theta, covariance).of_rows(rows)


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("skip", [False, True], ids=["no skip", "skip"])
@pytest.mark.parametrize("n_hidden", [1, N_HIDDEN])
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_is_the_covariance_of_small_changes_in_standardised_units(
    n_outputs, skip, n_hidden, storage, rng
):
    network = network_of(n_outputs, skip, n_hidden=n_hidden)
    X, Y = rng.randn(4000, N_FEATURES) * [1, 9, 0.1] + [0, 50, 1], 7 * rng.randn(4000, n_outputs)
    scaling = Scaling(moments(X, None), moments(Y, None), 4000, 4000.0)
    standardized = (X - scaling.X.mean) / scaling.X.scale
    theta, covariance = rng.randn(network.shape.size), some_covariance(network.shape.size, rng)

    def outputs(at):
        p = network.shape.views(at)
        Z2 = np.tanh(standardized @ p.W1 + p.b1) @ p.W2 + p.b2
        return Z2 + standardized @ p.W0 if skip else Z2

    steps = 1e-5 * np.eye(len(theta))
    J = np.stack([(outputs(theta + s) - outputs(theta - s)) / 2e-5 for s in steps], axis=-1)
    Z2, found = output_covariance(network, theta, covariance, storage(X), scaling)
    assert_allclose(Z2, outputs(theta), rtol=1e-9, atol=1e-9)
    assert found.shape == (4000, n_outputs, n_outputs)
    assert_allclose(found, J @ covariance @ J.transpose(0, 2, 1), rtol=1e-5, atol=1e-5)


def test_is_exact_for_a_linear_model(rng):
    """Without hidden weights the skip path is ridge regression with an open intercept."""
    network = network_of(1, skip=True)
    X, Y = rng.randn(60, N_FEATURES), rng.randn(60, 1)
    group = np.full(network.shape.size, 0)
    parts = network.shape.views(group)
    parts.W0[:], parts.b2[:] = 1, -1
    precision = np.array([1e12, 0.3])
    start = np.zeros(network.shape.size)
    found = maximize_evidence(
        network,
        ArrayRows(X, Y),
        start,
        Prior.plain(group, precision),
        np.array([2.0]),
        max_iter=1,
    )
    design = np.column_stack([X, np.ones(60)])
    A = 2 * design.T @ design + np.diag([0.3] * N_FEATURES + [0])
    points = rng.randn(10, N_FEATURES)
    features = np.column_stack([points, np.ones(10)])
    expected = np.einsum("ia,ab,ib->i", features, np.linalg.inv(A), features)
    Z2, covariance = output_covariance(network, found.theta, found.covariance, points)
    parts = network.shape.views(found.theta)
    assert_allclose(Z2, points @ parts.W0 + parts.b2, rtol=1e-8)
    assert_allclose(covariance[:, 0, 0], expected, rtol=1e-8)


def test_logits_vary_only_in_ways_that_probabilities_show(rng):
    network = network_of(3, loss="log_loss")
    group = np.zeros(network.shape.size, int)
    network.shape.views(group).b2[:] = -1
    rows = ArrayRows(X := rng.randn(90, N_FEATURES), rng.randint(3, size=90))
    start = 0.5 * rng.randn(network.shape.size)
    found = maximize_evidence(network, rows, start, Prior.plain(group))
    b2 = network.shape.views(np.arange(network.shape.size)).b2
    assert_allclose(found.covariance[b2].sum(axis=0), 0, atol=1e-8)
    _, covariance = output_covariance(network, found.theta, found.covariance, X)
    assert (np.linalg.eigvalsh(covariance) > -1e-10).all()
    assert np.trace(covariance, axis1=1, axis2=2).max() < 10


@pytest.mark.parametrize("shape", [Shape(6, 10, 15), Shape(3, 2, 100), Shape(50, 10, 1, True)])
def test_blocks_are_all_rows_and_few_covariances(shape):
    parts = blocks(shape, 10_001)
    assert_array_equal(np.concatenate([np.arange(10_001)[part] for part in parts]), range(10_001))
    largest = max(part.stop - part.start for part in parts)
    assert largest * shape.n_outputs**2 <= 2**20
