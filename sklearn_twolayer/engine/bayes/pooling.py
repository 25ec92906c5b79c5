"""Linear opinion pool: Gaussian predictive densities of two kinds of averages, mixed.

    p(y) = sum_g w_g N(y | location_g, scale_g^2)

The weights are those under which held-out targets are likeliest (Hall and Mitchell 2007). Unlike an
average of logarithms of variances the mixture has heavy tails where one of them is narrow, so that
no row may cost more than -log w_g beside either.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import logsumexp

from ..numerics import Array

PRIOR_ROWS = np.array([5.0, 1.0])
"""Rows that speak for the first, of constant noise, and for the other before any is held out."""

LEAST_WEIGHT = np.array([0.1, 0.02])
"""What each needs to have: a little of a constant noise would rule the deviation of quiet rows."""

STEPS = 200
"""Of expectation and maximisation: each is a mean over rows."""


def log_density(Y: Array, locations: Array, scales: Array, weights: Array) -> Array:
    """The logarithm of p for each target (n_rows, n_targets), of (n_groups, n_rows, n_targets)."""
    of_groups = _log_densities(Y, locations, scales)
    with np.errstate(divide="ignore"):
        return np.asarray(logsumexp(of_groups + np.log(weights)[:, None, None], axis=0))


def moments(locations: Array, scales: Array, weights: Array, in_mean: Array) -> tuple[Array, Array]:
    """A mean (n_rows, n_targets) by weights of its own, and the root mean square around it."""
    mean = np.tensordot(in_mean, locations, 1)
    variance = np.tensordot(weights, np.square(scales) + np.square(locations - mean), 1)
    return mean, np.sqrt(variance)


def pooled(
    found: Sequence[tuple[Array, Array]], weights: Sequence[float], in_mean: Sequence[float]
) -> tuple[Array, Array]:
    """The same of pairs of location and scale; a single one stays as it is."""
    if len(found) == 1:
        return found[0]
    locations, scales = (np.array(each) for each in zip(*found, strict=True))
    a, b = (np.array(each) / np.sum(each) for each in (weights, in_mean))
    return moments(locations, scales, a, b)


def shares(Y: Array, locations: Array, scales: Array, copies: Array) -> Array:
    """The weights (n_groups,) of largest posterior probability, by expectation-maximisation."""
    each = _log_densities(Y, locations, scales).reshape(len(locations), -1)
    each = np.exp(each - each.max(axis=0))
    copies = np.repeat(copies, Y.shape[1])
    weights = np.full(len(each), 1 / len(each))
    for _ in range(STEPS):
        of_rows = weights[:, None] * each
        of_rows /= of_rows.sum(axis=0)
        counts = of_rows @ copies + PRIOR_ROWS
        weights = counts / counts.sum()
    weights[weights < LEAST_WEIGHT] = 0.0
    return weights / weights.sum()


def _log_densities(Y: Array, locations: Array, scales: Array) -> Array:
    standardized = (Y - locations) / scales
    return -0.5 * np.square(standardized) - np.log(scales) - 0.5 * np.log(2 * np.pi)
