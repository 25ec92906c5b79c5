"""Noise that varies from row to row: a network for the mean and for the logarithm of the variance.

For each target there is one raw output m for the mean, and behind all of these one t for the
logarithm of the variance of the noise (Nix and Weigend 1994):

    loss = (log v + (Y - m)^2 / v) / 2      v = LEAST + exp(t)      s = exp(t) / v
    d loss / d m = (m - Y) / v              d loss / d t = s (1 - (Y - m)^2 / v) / 2

Fisher's curvature is diag(1 / v, s^2 / 2). What the posterior leaves open of t, a variance, is
integrated over: the expectation of exp(t) is exp(t + variance / 2).
"""

from dataclasses import dataclass

import numpy as np

from ..data.scaling import Link
from ..numerics import Array
from .loss import ForQuantities, diagonal

LEAST = 1e-8
"""Variance of the noise that is as good as none, in units of that of the targets."""

MOST_UNCERTAIN = 2.0
"""Of the posterior variance of t, what is integrated over: more would be a guess in any case."""


@dataclass(frozen=True)
class VaryingNoise(ForQuantities):
    """Minus the logarithm of a Gaussian density, less that of a constant.

    `beside_constant` says whether networks of constant noise are averaged with those of its own.
    """

    beside_constant: bool = False

    link: Link = "log_variance"
    has_curvature = True
    knows_variance = True

    def loss_gradient(self, Z2: Array, Y: Array, gradient: Array) -> Array:
        n = Y.shape[1]
        exponential, straight = _exponential(Z2[:, n:])
        variance = exponential + LEAST
        error = Z2[:, :n] - Y
        np.divide(error, variance, out=gradient[:, :n])
        squares = error * gradient[:, :n]
        np.multiply(1 - squares, 0.5 * exponential / variance, out=gradient[:, n:])
        return 0.5 * (np.log(variance) + straight + squares).sum(axis=1)

    def curvature(self, Z2: Array, Y: Array) -> Array:
        exponential, _ = _exponential(Z2[:, Z2.shape[1] // 2 :])
        variance = exponential + LEAST
        return diagonal(np.hstack([1 / variance, 0.5 * np.square(exponential / variance)]))

    def inverse_link(self, Z2: Array) -> Array:
        return Z2[:, : Z2.shape[1] // 2]

    def n_outputs(self, n_targets: int) -> int:
        return 2 * n_targets

    def unit(self, mean_loss: float) -> float:
        return 1.0

    def ratio_scale(self, mean_loss: float) -> float:
        """The variance of a constant noise with that mean loss."""
        return float(np.exp(np.clip(2 * mean_loss, -500, 500)))

    def best_constant(self, Y: Array, weights: Array) -> Array | None:
        Y = Y.astype(np.float64)
        mean = weights @ Y / weights.sum()
        variance = weights @ (Y - mean) ** 2 / weights.sum()
        return np.concatenate([mean, np.log(np.maximum(variance, LEAST))])

    def variance_of_mean(self, mean: Array, variance: Array) -> Array:
        return variance[:, : mean.shape[1]]

    def location_scale(self, Z2: Array, variance: Array, noise: Array) -> tuple[Array, Array]:
        n = Z2.shape[1] // 2
        expected, _ = _exponential(Z2[:, n:] + 0.5 * np.minimum(variance[:, n:], MOST_UNCERTAIN))
        return Z2[:, :n], np.sqrt(expected + LEAST + variance[:, :n])

    def predictive_outputs(self, Z2: Array, variance: Array) -> Array:
        location, scale = self.location_scale(Z2, variance, np.ones(1))
        return np.hstack([location, 2 * np.log(scale)])


def _exponential(t: Array) -> tuple[Array, Array]:
    """exp(t) up to where squares of it would overflow, and by how much t is beyond."""
    limit = 0.4 * float(np.log(np.finfo(t.dtype).max))
    inside = np.clip(t, -limit, limit)
    return np.exp(inside), np.maximum(t - limit, 0)
