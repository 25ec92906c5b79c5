"""Losses with a log link: half the deviance of Poisson, gamma and Tweedie distributions.

With the mean mu = exp(Z2) and the variance phi mu^p, p being 1, 2, or between them,

    loss = integral from Y to mu of (m - Y) / m^p dm      d loss / d Z2 = mu^(2 - p) - Y mu^(1 - p)

(McCullagh and Nelder 1989; Jorgensen 1987). Fisher's curvature is mu^(2 - p). The dispersion phi is
Pearson's: the mean of (Y - mu)^2 / mu^p, over as many rows as are left by the parameters.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import xlogy

from ..numerics import Array, largest
from .loss import ForQuantities, diagonal

LEAST_MEAN = 1e-3
"""The mean that a network begins with where all targets are zero."""


@dataclass(frozen=True)
class LogLink(ForQuantities):
    """Half the deviance of targets whose variance is phi mu^power; `beta` are known 1 / phi."""

    beta: Any = None

    power = 1.0
    out_activation = "exponential"
    link = "log"
    has_noise = True
    has_curvature = True
    is_skewed = True
    support = (0.0, np.inf)

    def loss_gradient(self, Z2: Array, Y: Array, gradient: Array) -> Array:
        # in the precision of the outputs, which may be wider than that of the rows
        p, Y = self.power, Y.astype(Z2.dtype, copy=False)
        high, low = _Exponential(2 - p, Z2), _Exponential(1 - p, Z2)
        np.subtract(high.value, Y * low.value, out=gradient)
        losses = high.integral() - Y * low.integral()
        # what makes a perfect prediction cost nothing
        losses -= _integral_to(2 - p, Y) - _product_with_integral(1 - p, Y)
        if self.beta is None:
            return losses.sum(axis=1)
        beta = self.beta.astype(Z2.dtype, copy=False)
        gradient *= beta
        return losses @ beta

    def curvature(self, Z2: Array, Y: Array) -> Array:
        values = _Exponential(2 - self.power, Z2).value
        return diagonal(values if self.beta is None else values * self.beta)

    def inverse_link(self, Z2: Array) -> Array:
        limit = float(np.log(largest(Z2.dtype)))
        return np.exp(np.clip(Z2, -limit, limit))

    def check_targets(self, Y: Array, name: str) -> None:
        if self.power >= 2 and Y.min() <= 0:
            raise ValueError(f"{name} must be above 0 for the gamma loss, got {Y.min():g}")
        if Y.min() < 0:
            which = "Poisson" if self.power == 1 else "Tweedie"
            raise ValueError(f"{name} must be at least 0 for the {which} loss, got {Y.min():g}")

    def best_constant(self, Y: Array, weights: Array) -> Array | None:
        mean = weights @ Y / weights.sum()
        return np.log(np.maximum(mean, LEAST_MEAN))

    def with_noise(self, beta: Array) -> "LogLink":
        return replace(self, beta=beta)

    def squared_residuals(self, Z2: Array, Y: Array) -> Array | None:
        mean = _Exponential(1.0, Z2).value
        return (Y.astype(Z2.dtype, copy=False) - mean) ** 2 / mean**self.power

    def noise_of_constant(self, Y: Array, weights: Array) -> Array:
        Y = Y.astype(np.float64)
        mean = np.maximum(weights @ Y / weights.sum(), LEAST_MEAN)
        variance = weights @ (Y - mean) ** 2 / weights.sum()
        return np.maximum(variance / mean**self.power, LEAST_DISPERSION)

    def location_scale(self, Z2: Array, variance: Array, noise: Array) -> tuple[Array, Array]:
        mean = self.inverse_link(Z2)
        scatter = self.variance_of_mean(mean, variance) + self.noise_variance(mean, noise)
        return mean, np.sqrt(scatter)

    def noise_variance(self, mean: Array, noise: Array) -> Array:
        return noise * mean**self.power

    def variance_of_mean(self, mean: Array, variance: Array) -> Array:
        return mean**2 * variance


LEAST_DISPERSION = 1e-4
"""Where all targets are alike."""


class _Exponential:
    """exp(a Z) and its integral from 0 to Z, straight far out: nothing overflows."""

    def __init__(self, a: float, Z: Array):
        limit = 0.4 * float(np.log(np.finfo(Z.dtype).max))
        self.a, self.Z, self.inside = a, Z, np.clip(Z, -limit, limit)
        self.value = np.exp(a * self.inside) if a else np.ones_like(Z)

    def integral(self) -> Array:
        """(exp(a Z) - 1) / a, or Z where a is 0."""
        if not self.a:
            return self.Z
        found = np.expm1(self.a * self.inside) / self.a
        found += self.value * (self.Z - self.inside)
        return found


def _integral_to(a: float, Y: Array) -> Array:
    """The integral of exp(a z) from 0 to log Y."""
    return (Y**a - 1) / a if a else np.log(Y)


def _product_with_integral(a: float, Y: Array) -> Array:
    """Y times that, which for Y = 0 has a limit where a > -1."""
    return (Y ** (1 + a) - Y) / a if a else xlogy(Y, Y)


@dataclass(frozen=True)
class Poisson(LogLink):
    """mu - Y log mu + ...: counts, or rates with their exposure as weights."""


@dataclass(frozen=True)
class Gamma(LogLink):
    """Y / mu + log mu + ...: amounts above 0 whose deviation grows with their mean."""

    power = 2.0


@dataclass(frozen=True)
class Tweedie(LogLink):
    """A Poisson number of gamma amounts: 0 in many rows, skewed in the others."""

    power: float = 1.5
