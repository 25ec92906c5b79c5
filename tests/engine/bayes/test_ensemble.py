import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_twolayer.engine.bayes.ensemble import (
    Members,
    Predictive,
    combine,
    member_weights,
    side_by_side,
)
from sklearn_twolayer.engine.bayes.predictive import OutputCovariance
from sklearn_twolayer.engine.data.sources import source
from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.losses import LOSSES
from sklearn_twolayer.engine.model.network import Network
from sklearn_twolayer.engine.model.parameters import Shape

WEIGHTS = np.array([0.5, 0.2, 0.3])


def outputs(shape, theta, X):
    p = shape.views(theta)
    Z2 = np.tanh(X @ p.W1 + p.b1) @ p.W2 + p.b2
    return Z2 if p.W0 is None else Z2 + X @ p.W0


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_side_by_side_they_compute_their_average(skip, n_outputs, rng):
    shape, X = Shape(3, 4, n_outputs, skip), rng.randn(7, 3)
    thetas = rng.randn(3, shape.size)
    wide, theta = side_by_side(shape, thetas, WEIGHTS)
    assert wide == Shape(3, 12, n_outputs, skip)
    average = np.tensordot(WEIGHTS, [outputs(shape, each, X) for each in thetas], 1)
    assert_allclose(outputs(wide, theta, X), average, rtol=1e-12)


def test_weights_follow_the_evidence_and_add_up():
    found = member_weights(np.array([-10.0, -20.0, -1e6]), n=100)
    assert_allclose(found, np.array([1, np.exp(-1), 0]) / (1 + np.exp(-1)), rtol=1e-12)
    assert_array_equal(member_weights(np.array([-3.0]), n=5), [1.0])


def test_the_covariance_is_that_of_a_mixture(rng):
    means = rng.randn(3, 5, 2)
    roots = rng.randn(3, 5, 2, 2)
    covariances = roots @ roots.transpose(0, 1, 3, 2)
    mean, covariance = combine(zip(means, covariances, strict=True), WEIGHTS)
    second = covariances + means[..., None] * means[..., None, :]
    expected = np.tensordot(WEIGHTS, means, 1)
    assert_allclose(mean, expected, rtol=1e-12)
    moments = np.tensordot(WEIGHTS, second, 1) - expected[..., None] * expected[..., None, :]
    assert_allclose(covariance, moments, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("n_members", [1, 2, 30])
def test_no_more_covariances_are_held_with_more_members(n_members, rng):
    Z2, covariance = rng.randn(500, 20), rng.randn(500, 20, 20)
    equal = np.full(n_members, 1 / n_members)
    tracemalloc.start()
    combine(((Z2, covariance) for _ in range(n_members)), equal)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2.5 * covariance.nbytes + (n_members + 5) * Z2.nbytes


def test_members_speak_as_they_do_alone(rng):
    network = Network(Shape(3, 4, 2), ACTIVATIONS["tanh"], LOSSES["squared_error"])
    thetas, roots = rng.randn(3, 18 + 8), rng.randn(3, 26, 26)
    covariances = roots @ roots.transpose(0, 2, 1)
    X = source(rng.randn(7, 3), None, np.dtype(np.float64)).take(slice(None))
    mean, covariance = Members(network, Predictive(thetas, covariances, WEIGHTS)).of_rows(X)
    alone = [
        OutputCovariance(network, *each).of_rows(X)
        for each in zip(thetas, covariances, strict=True)
    ]
    assert_allclose(
        mean, sum(s * Z2 for s, (Z2, _) in zip(WEIGHTS, alone, strict=True)), rtol=1e-12
    )
    expected = sum(
        s * (V + (Z2 - mean)[:, :, None] * (Z2 - mean)[:, None])
        for s, (Z2, V) in zip(WEIGHTS, alone, strict=True)
    )
    assert_allclose(covariance, expected, rtol=1e-10, atol=1e-12)
