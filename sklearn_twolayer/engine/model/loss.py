"""What a loss is: the protocol, and what most of them have in common."""

from typing import Any, Protocol, cast, runtime_checkable

import numpy as np

from ..data.scaling import Link
from ..numerics import Array


class Loss(Protocol):
    """What a loss declares of itself, and what the network asks of it.

    - ``out_activation``: the name of its inverse link, as scikit-learn calls it;
    - ``labels``: whether targets are class numbers;
    - ``standardizes_target``: whether the targets may be taken in units of their own: those that
      suit ``link``, which says how raw outputs follow the units of the targets;
    - ``has_noise``: whether the loss is to be divided by a variance, or dispersion, of the noise,
      which is to be estimated; such a loss is a `NoisyLoss`;
    - ``has_curvature``: whether ``curvature`` tells of the loss;
    - ``borrows_prior``: whether, its prior being left to the data, it is that which the evidence
      finds for squared errors of the same targets;
    - ``is_moderated``: whether predictions take into account how uncertain the raw outputs are.
    """

    out_activation: str
    labels: bool
    standardizes_target: bool
    has_noise: bool
    has_curvature: bool
    borrows_prior: bool
    is_moderated: bool

    @property
    def link(self) -> Link:
        """How raw outputs follow the units of the targets."""
        ...

    def loss_gradient(self, Z2: Array, Y: Array, gradient: Array) -> Array:
        """Write d loss / d Z2 into `gradient`, return the loss of each row (n_rows,).

        `gradient` is in Fortran order, as the network's own arrays are.
        """
        ...

    def curvature(self, Z2: Array, Y: Array) -> Array:
        """Fisher's: the expectation of d2 loss / d Z2 d Z2', (n_rows, n_outputs, n_outputs)."""
        ...

    def inverse_link(self, Z2: Array) -> Array:
        """From raw outputs to predictions: means, quantiles or probabilities."""
        ...

    def check_targets(self, Y: Array, name: str) -> None:
        """ValueError, in which the targets have that name, for finite ones it does not admit."""
        ...

    def n_outputs(self, n_targets: int) -> int:
        """Raw outputs for so many targets."""
        ...

    def unit(self, mean_loss: float) -> float:
        """What a mean loss tells of the scale of the noise: losses divided by it are in nats."""
        ...

    def best_constant(self, Y: Array, weights: Array) -> Array | None:
        """The raw outputs that suit the targets best, or None: networks then begin near 0."""
        ...

    def variance_of_mean(self, mean: Array, variance: Array) -> Array:
        """What the variance of raw outputs makes of that of means, to first order."""
        ...

    @property
    def follows_noise(self) -> bool:
        """Whether a parameter is still to be told by the noise, see `for_noise`."""
        ...

    def for_noise(self, errors: Array, weights: Array) -> "Loss":
        """The loss for a noise of which these residuals (n_rows, n_targets) tell."""
        ...

    def in_units_of(self, scale: Array) -> "Loss":
        """The loss of targets that are divided by `scale`, its parameters being in their units."""
        ...

    def for_raw_outputs(self, scale: Array) -> "Loss":
        """The loss whose inverse link is that of outputs in the units of the targets."""
        ...


class NoisyLoss(Loss, Protocol):
    """A loss that declares ``has_noise``."""

    def with_noise(self, beta: Array) -> Loss:
        """sum_k beta_k loss_k, beta (n_outputs,) being the precisions of the noise."""
        ...

    def squared_residuals(self, Z2: Array, Y: Array) -> Array | None:
        """(Y - mean)^2 / variance at dispersion 1, of which the dispersion is the mean.

        None where that is twice the loss.
        """
        ...

    def noise_of_constant(self, Y: Array, weights: Array) -> Array:
        """The dispersion (n_outputs,) that a constant prediction leaves."""
        ...

    def noise_variance(self, mean: Array, noise: Array) -> Array:
        """The variance (n_rows, n_outputs) of targets around means, under that dispersion."""
        ...


@runtime_checkable
class LocatedLoss(Loss, Protocol):
    """A loss of quantities, which knows where new ones are to be expected, and how scattered.

    - ``is_skewed``: whether they scatter differently above and below the location;
    - ``support``: between which numbers, in units of Y, they are.
    """

    is_skewed: bool
    support: tuple[float, float]

    def location_scale(self, Z2: Array, variance: Array, noise: Array) -> tuple[Array, Array]:
        """Location and scale (n_rows, n_targets) of new targets, in units of standardised ones.

        The raw outputs have that variance (n_rows, n_outputs), and `noise` (n_outputs,) is that of
        targets where the loss, or the one whose prior it borrows, has one.
        """
        ...


class BaseLoss:
    """What most losses have in common."""

    out_activation = "identity"
    labels = False
    standardizes_target = False
    link: Link = "identity"
    has_noise = False
    has_curvature = False
    borrows_prior = False
    is_moderated = False

    def curvature(self, Z2: Array, Y: Array) -> Array:
        """None that is known."""
        return np.zeros((*Z2.shape, Z2.shape[1]), Z2.dtype)

    def inverse_link(self, Z2: Array) -> Array:
        return Z2

    def check_targets(self, Y: Array, name: str) -> None:
        """All are admitted."""

    def n_outputs(self, n_targets: int) -> int:
        return n_targets

    def unit(self, mean_loss: float) -> float:
        return 2 * mean_loss

    def best_constant(self, Y: Array, weights: Array) -> Array | None:
        return None

    @property
    def follows_noise(self) -> bool:
        return False

    def for_noise(self, errors: Array, weights: Array) -> Any:
        return self

    def variance_of_mean(self, mean: Array, variance: Array) -> Array:
        return variance

    def in_units_of(self, scale: Array) -> Any:
        return self

    def for_raw_outputs(self, scale: Array) -> Any:
        return self


class ForQuantities(BaseLoss):
    """What losses of quantities share, unless they say otherwise."""

    standardizes_target = True
    is_skewed = False
    support = (-np.inf, np.inf)

    def location_scale(self, Z2: Array, variance: Array, noise: Array) -> tuple[Array, Array]:
        return self.inverse_link(Z2), np.sqrt(variance + noise)


def with_noise(loss: Loss, beta: Array) -> Loss:
    """The loss under a noise of known precision."""
    return cast(NoisyLoss, loss).with_noise(beta)


def squared_residuals(loss: Loss, Z2: Array, Y: Array) -> Array | None:
    """Those of a loss that has a noise, see `NoisyLoss`."""
    return cast(NoisyLoss, loss).squared_residuals(Z2, Y)


def noise_of_constant(loss: Loss, Y: Array, weights: Array) -> Array:
    """That of a loss that has a noise, see `NoisyLoss`."""
    return cast(NoisyLoss, loss).noise_of_constant(Y, weights)


def noise_variance(loss: Loss, mean: Array, noise: Array) -> Array:
    """That of a loss that has a noise, see `NoisyLoss`."""
    return cast(NoisyLoss, loss).noise_variance(mean, noise)


def diagonal(values: Array) -> Array:
    """A diagonal matrix for each row of `values`."""
    return values[:, :, None] * np.eye(values.shape[1], dtype=values.dtype)
