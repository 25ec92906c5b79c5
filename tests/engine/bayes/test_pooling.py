import numpy as np
from numpy.testing import assert_allclose
from scipy.stats import norm

from sklearn_twolayer.engine.bayes.pooling import (
    LEAST_WEIGHT,
    log_density,
    moments,
    pooled,
    shares,
)


def densities(rng, n_rows=300, n_targets=2):
    return rng.randn(2, n_rows, n_targets), np.exp(rng.randn(2, n_rows, n_targets))


def test_density_is_that_of_the_mixture(rng):
    locations, scales = densities(rng)
    Y, weights = rng.randn(300, 2), np.array([0.3, 0.7])
    expected = np.log(np.tensordot(weights, norm(locations, scales).pdf(Y), 1))
    assert_allclose(log_density(Y, locations, scales, weights), expected)
    alone = log_density(Y, locations, scales, np.array([1.0, 0.0]))
    assert_allclose(alone, norm(locations[0], scales[0]).logpdf(Y))


def test_moments_are_those_of_the_mixture(rng):
    locations, scales = np.array([[[1.0]], [[-2.0]]]), np.array([[[0.5]], [[2.0]]])
    which = rng.rand(400_000) < 0.3
    draws = np.where(which, 1 + 0.5 * rng.randn(400_000), -2 + 2 * rng.randn(400_000))
    weights = np.array([0.3, 0.7])
    found = moments(locations, scales, weights, weights)
    assert_allclose(np.ravel(found), [draws.mean(), draws.std()], rtol=0.01)
    several = [*zip(locations, scales, strict=True)]
    for each, expected in zip(pooled(several, [3, 7], [6, 14]), found, strict=True):
        assert_allclose(each, expected)
    mean, around = moments(locations, scales, weights, np.array([1.0, 0.0]))
    assert_allclose([mean.item(), around.item()], [1, np.mean((draws - 1) ** 2) ** 0.5], rtol=0.01)
    assert pooled(several[:1], [0.1], [0.2])[1] is several[0][1]


def test_weights_are_those_under_which_targets_are_likeliest(rng):
    n = 4000
    wide = rng.rand(n, 1) < 0.3
    Y = np.where(wide, 5, 0.5) * rng.randn(n, 1)
    locations = np.zeros((2, n, 1))
    scales = np.stack([np.full((n, 1), 5.0), np.full((n, 1), 0.5)])
    assert_allclose(shares(Y, locations, scales, np.ones(n)), [0.3, 0.7], atol=0.03)


def test_weights_of_rows_are_copies(rng):
    locations, scales = densities(rng, 40)
    Y, copies = rng.randn(40, 2), rng.randint(1, 4, 40)
    found = shares(Y, locations, scales, copies.astype(float))
    copied = (np.repeat(each, copies, axis=-2) for each in (Y, locations, scales))
    assert_allclose(found, shares(*copied, np.ones(copies.sum())))


def test_a_density_that_is_hardly_needed_is_left_out(rng):
    n = 500
    Y, scales = rng.randn(n, 1), np.stack([np.full((n, 1), 30.0), np.full((n, 1), 1.0)])
    assert_allclose(shares(Y, np.zeros((2, n, 1)), scales, np.ones(n)), [0, 1])
    # few rows leave the prior a say
    few = shares(Y[:3], np.zeros((2, 3, 1)), scales[:, :3], np.ones(3))
    assert (few > LEAST_WEIGHT).all()


def test_far_targets_leave_weights_finite():
    locations, scales = np.zeros((2, 2, 1)), np.array([[[1.0], [1.0]], [[1e-3], [1e-3]]])
    found = shares(np.array([[1e3], [0.0]]), locations, scales, np.ones(2))
    assert np.isfinite(found).all()
