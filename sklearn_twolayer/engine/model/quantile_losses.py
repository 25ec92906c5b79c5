"""Losses that large errors do not rule: quantiles, the median among them, and Huber's."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..data.scaling import Link
from ..numerics import Array, sigmoid, softplus
from .loss import ForQuantities, diagonal


@dataclass(frozen=True)
class AbsoluteError(ForQuantities):
    """|Z2 - Y|, for the median."""

    borrows_prior = True

    def loss_gradient(self, Z2: Array, Y: Array, gradient: Array) -> Array:
        np.subtract(Z2, Y, out=gradient)
        losses = np.abs(gradient).sum(axis=1)
        np.sign(gradient, out=gradient)
        return losses

    def unit(self, mean_loss: float) -> float:
        """The scale of a Laplace distribution."""
        return mean_loss

    def best_constant(self, Y: Array, weights: Array) -> Array | None:
        return weighted_quantiles(Y, weights, 0.5)


@dataclass(frozen=True)
class Pinball(ForQuantities):
    """q (Y - Q) where Y > Q, (1 - q) (Q - Y) else, for each quantile q, added up.

    Several quantiles never cross: the first raw output is the lowest, and each of the others
    adds ``unit_of_target softplus(Z2_k / unit_of_target)`` (Cannon 2018).
    """

    quantile: Any = 0.5
    unit_of_target: float = 1.0

    borrows_prior = True
    is_skewed = True

    @property
    def link(self) -> Link:  # type: ignore[override]
        """Raw outputs behind the first are differences."""
        return "increments" if np.ndim(self.quantile) else "identity"

    def loss_gradient(self, Z2: Array, Y: Array, gradient: Array) -> Array:
        levels = np.asarray(self.quantile, dtype=Z2.dtype)
        np.subtract(self.inverse_link(Z2), Y, out=gradient)
        slope = np.where(gradient > 0, 1 - levels, np.where(gradient < 0, -levels, 0))
        losses = np.einsum("ij,ij->i", slope.astype(Z2.dtype, copy=False), gradient)
        gradient[:] = slope
        if levels.ndim:
            # a raw output moves its own quantile and all above it
            np.cumsum(slope[:, ::-1], axis=1, out=slope[:, ::-1])
            gradient[:] = slope
            gradient[:, 1:] *= sigmoid(Z2[:, 1:] / self.unit_of_target)
        return losses

    def inverse_link(self, Z2: Array) -> Array:
        if not np.ndim(self.quantile):
            return Z2
        unit, found = self.unit_of_target, Z2.copy(order="K")
        found[:, 1:] = unit * softplus(Z2[:, 1:] / unit)
        return np.cumsum(found, axis=1, out=found)

    def location_scale(self, Z2: Array, variance: Array, noise: Array) -> tuple[Array, Array]:
        if not np.ndim(self.quantile):
            return super().location_scale(Z2, variance, noise)
        # quantiles tell themselves how widely targets scatter: the middle one, and their range
        found = self.inverse_link(Z2)
        middle = len(self.quantile) // 2
        between = found[:, -1:] - found[:, :1]
        return found[:, middle : middle + 1], between if between.any() else np.ones_like(between)

    def n_outputs(self, n_targets: int) -> int:
        return n_targets * max(np.size(self.quantile), 1) if np.ndim(self.quantile) else n_targets

    def unit(self, mean_loss: float) -> float:
        """The scale of an asymmetric Laplace distribution (Koenker and Machado 1999).

        Several quantiles of one target tell of it as often, though nothing new.
        """
        return mean_loss

    def best_constant(self, Y: Array, weights: Array) -> Array | None:
        if not np.ndim(self.quantile):
            return weighted_quantiles(Y, weights, float(self.quantile))
        found = [weighted_quantiles(Y, weights, level)[0] for level in self.quantile]
        return self.raw_outputs(np.array(found))

    def raw_outputs(self, quantiles: Array) -> Array:
        """The raw outputs of increasing quantiles."""
        steps = np.diff(quantiles) / self.unit_of_target
        # the inverse of softplus; a step of nothing is a small one
        steps = np.maximum(steps, LEAST_STEP)
        raw = self.unit_of_target * (steps + np.log(-np.expm1(-steps)))
        return np.concatenate([quantiles[:1], raw])

    def for_raw_outputs(self, scale: Array) -> Any:
        return replace(self, unit_of_target=float(scale[0]))


LEAST_STEP = 1e-2
"""Between two quantiles that a network begins with, in units of the targets."""


EFFICIENT, DEVIATIONS = 1.345, 1.4826
"""Deviations of the noise up to which Huber's loss is square, which lose 5 per cent where it is
Gaussian, and how many median absolute ones a deviation is."""


@dataclass(frozen=True)
class Huber(ForQuantities):
    """e^2 / 2 for errors e up to `huber_delta`, and straight beyond (Huber 1964)."""

    huber_delta: Any = 1.0

    has_curvature = True
    borrows_prior = True

    def loss_gradient(self, Z2: Array, Y: Array, gradient: Array) -> Array:
        error = Z2 - Y
        np.clip(error, -self.huber_delta, self.huber_delta, out=gradient)
        return np.einsum("ij,ij->i", gradient, error - 0.5 * gradient)

    def curvature(self, Z2: Array, Y: Array) -> Array:
        return diagonal((np.abs(Z2 - Y) <= self.huber_delta).astype(Z2.dtype))

    @property
    def follows_noise(self) -> bool:
        return isinstance(self.huber_delta, str)

    def for_noise(self, errors: Array, weights: Array) -> Any:
        _, deviation = middle_and_deviation(errors, weights)
        # where most residuals are alike, the others tell
        root = np.sqrt(weights @ errors**2 / weights.sum())
        deviation = np.where(deviation > 0, deviation, np.where(root > 0, root, 1.0))
        return replace(self, huber_delta=EFFICIENT * deviation)

    def in_units_of(self, scale: Array) -> Any:
        return self if self.follows_noise else replace(self, huber_delta=self.huber_delta / scale)


def middle_and_deviation(Y: Array, weights: Array) -> tuple[Array, Array]:
    """The median of each column, and the deviation of a Gaussian with such a middle half."""
    middle = weighted_quantiles(Y, weights, 0.5)
    return middle, DEVIATIONS * weighted_quantiles(np.abs(Y - middle), weights, 0.5)


def weighted_quantiles(Y: Array, weights: Array, level: float) -> Array:
    """The smallest value of each column below or at which that fraction of the weight lies."""
    order = np.argsort(Y, axis=0, kind="stable")
    sums = np.cumsum(weights[order], axis=0)
    place = (sums < level * sums[-1] * (1 - 1e-12)).sum(axis=0)
    return np.take_along_axis(Y, order, axis=0)[place, np.arange(Y.shape[1])]
