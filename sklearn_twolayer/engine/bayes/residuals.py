"""Predictive quantiles: those of residuals that were left out, in units of the predictive scale.

The posterior predictive says where a new target is likely to be and how widely it scatters, row by
row. Which shape it has is not for a Gaussian to say: with location l and scale s of rows that the
networks did not know, the residuals r = (y - l) / s tell, and a new target is below l + s q(p) with
probability p, q being their quantiles. As in split conformal prediction (Vovk et al. 2005; Lei et
al. 2018) one row more than there are is counted in either tail. A row of weight k is k rows.

Of a level so near the end that less than a row is beyond it, residuals tell nothing: there it is
the Gaussian's quantile, or the extreme residual where that is further out.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

from ..numerics import Array

TAIL = (0.0002, 0.0005, 0.001, 0.002, 0.003, 0.004)
LEVELS = np.array([0, *TAIL, *(np.arange(1, 200) / 200), *(1 - np.array(TAIL[::-1])), 1])
"""Where quantiles are tabulated; between them they are interpolated."""

ROUNDING = 1e-9
"""Of all weights: sums of weights that differ by less are the same."""


@dataclass(frozen=True)
class Residuals:
    """Quantiles of the residuals, and of their magnitudes, (n_targets, n_levels) each.

    `weight` is that of the rows, and `by_held_out` says whether these had no part in training.
    Without a `noise` the scale is that of the predictive, of which `deviation` (n_targets,) is one;
    with it, that of a function of no variance and of this noise (n_outputs,), and `deviation` is
    the root mean square of residuals in units of it.
    """

    levels: Array
    signed: Array
    absolute: Array
    deviation: Array
    weight: float
    by_held_out: bool
    noise: Array | None = None

    @property
    def with_variance(self) -> bool:
        """Whether the variance of the function is in the scale."""
        return self.noise is None

    def quantiles(self, levels: Array) -> Array:
        """Of the residuals, (n_targets, n_levels), for any levels in (0, 1)."""
        gaussian = self.deviation[:, None] * ndtri(levels)
        found = self._between(self.signed, levels)
        above, below = self._is_beyond(levels), self._is_beyond(1 - levels)
        found = np.where(above, np.maximum(self.signed[:, [-1]], gaussian), found)
        return np.where(below, np.minimum(self.signed[:, [0]], gaussian), found)

    def magnitudes(self, coverage: float) -> Array:
        """What so large a part of the magnitudes of residuals is below, (n_targets,)."""
        if self._is_beyond(np.array(coverage)):
            return np.maximum(self.absolute[:, -1], self.deviation * ndtri((1 + coverage) / 2))
        return self._between(self.absolute, np.array([coverage]))[:, 0]

    def times(self, factor: float | Array) -> "Residuals":
        """Those of residuals that are so many times as large, for each target or for all."""
        of_each = np.reshape(factor, (-1, 1))
        signed, absolute = of_each * self.signed, of_each * self.absolute
        return replace(self, signed=signed, absolute=absolute, deviation=factor * self.deviation)

    def _between(self, table: Array, levels: Array) -> Array:
        return np.array([np.interp(levels, self.levels, of_target) for of_target in table])

    def _is_beyond(self, levels: Array) -> Array:
        """Whether less than one row is above such a quantile."""
        return levels * (self.weight + 1) > self.weight * (1 + ROUNDING)


def tabulate(
    residuals: Array, weights: Array, by_held_out: bool, noise: Array | None = None
) -> Residuals | None:
    """The quantiles of residuals (n_rows, n_targets); None where there are no finite ones."""
    if not (len(residuals) and np.isfinite(residuals).all()):
        return None
    upper = upper_quantiles(residuals, weights, LEVELS)
    lower = -upper_quantiles(-residuals, weights, 1 - LEVELS)
    # from below and from above they meet at the median, which is in the middle of both
    signed = np.where(LEVELS == 0.5, (lower + upper) / 2, np.where(LEVELS < 0.5, lower, upper))
    absolute = upper_quantiles(np.abs(residuals), weights, LEVELS)
    weight, deviation = float(weights.sum()), np.ones(residuals.shape[1])
    if noise is not None:
        deviation = np.sqrt(weights @ np.square(residuals) / weight)
    return Residuals(LEVELS, signed, absolute, deviation, weight, by_held_out, noise)


def upper_quantiles(residuals: Array, weights: Array, levels: Array) -> Array:
    """The least residual below or at which there is so large a part of all weights and one more.

    It is the largest one where there is no such: (n_targets, n_levels) of (n_rows, n_targets).
    """
    total = float(weights.sum())
    wanted = levels * (total + 1) - ROUNDING * total
    found = np.empty((residuals.shape[1], len(levels)))
    for of_target, quantiles in zip(residuals.T, found, strict=True):
        order = np.argsort(of_target, kind="stable")
        place = np.searchsorted(np.cumsum(weights[order]), wanted)
        quantiles[:] = of_target[order[np.minimum(place, len(order) - 1)]]
    return found
