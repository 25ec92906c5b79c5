import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_twolayer.engine.bayes.ensemble import combine, member_weights

WEIGHTS = np.array([0.5, 0.2, 0.3])


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
