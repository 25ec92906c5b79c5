"""Loss functions: value, gradient and curvature by the raw outputs, and the inverse link.

To add one: write a class like those below, add one line to ``LOSSES``.

A loss sees raw outputs Z2 (the link lives inside the loss) and targets Y, row by row;
it knows nothing of weights, means or penalties. Targets are floats of shape (n_rows,
n_outputs), or, where ``labels`` is true, class numbers of shape (n_rows,), so that many
classes need no one-hot matrix. Losses of several outputs are summed, in value, gradient and
curvature alike.
"""

from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from ..numerics import Array, sigmoid, softmax
from .log_link_losses import Gamma, Poisson, Tweedie
from .loss import BaseLoss, ForQuantities, Loss, NoisyLoss, diagonal, noise_variance, with_noise
from .quantile_losses import AbsoluteError, Huber, Pinball

__all__ = ["LOSSES", "Loss", "NoisyLoss", "loss_with", "noise_variance", "with_noise"]


class SquaredError(ForQuantities):
    """(Z2 - Y)^2 / 2; link: identity. The half makes the curvature one."""

    has_noise = True
    has_curvature = True

    def loss_gradient(self, Z2: Array, Y: Array, gradient: Array) -> Array:
        np.subtract(Z2, Y, out=gradient)
        return 0.5 * np.einsum("ij,ij->i", gradient, gradient)

    def curvature(self, Z2: Array, Y: Array) -> Array:
        return diagonal(np.ones_like(Z2))

    def with_noise(self, beta: Array) -> "NoisySquaredError":
        """The same for targets of known noise."""
        return NoisySquaredError(beta)

    def squared_residuals(self, Z2: Array, Y: Array) -> Array | None:
        return None

    def noise_of_constant(self, Y: Array, weights: Array) -> Array:
        return np.ones(Y.shape[1])

    def noise_variance(self, mean: Array, noise: Array) -> Array:
        return noise


class NoisySquaredError(SquaredError):
    """sum_k beta_k (Z2_k - Y_k)^2 / 2: targets whose noise has the precision beta."""

    def __init__(self, beta: Array):
        self.beta = beta

    def loss_gradient(self, Z2: Array, Y: Array, gradient: Array) -> Array:
        np.subtract(Z2, Y, out=gradient)
        losses = 0.5 * np.square(gradient) @ self.beta
        gradient *= self.beta
        return losses

    def curvature(self, Z2: Array, Y: Array) -> Array:
        return np.broadcast_to(np.diag(self.beta), (len(Z2), len(self.beta), len(self.beta)))


class ForClasses(BaseLoss):
    """What losses of labels share."""

    has_curvature = True
    is_moderated = True

    def unit(self, mean_loss: float) -> float:
        return 1.0


class BinaryLogLoss(ForClasses):
    """log(1 + exp(Z2)) - Y Z2, one yes-or-no question per output; link: logit.

    Written as max(Z2, 0) - Y Z2 + log(1 + exp(-|Z2|)), it is exact for confident outputs.
    """

    out_activation = "logistic"

    def loss_gradient(self, Z2: Array, Y: Array, gradient: Array) -> Array:
        losses = np.abs(Z2)
        np.negative(losses, out=losses)
        np.exp(losses, out=losses)
        np.log1p(losses, out=losses)
        losses += np.maximum(Z2, 0)
        losses -= Y * Z2
        sigmoid(Z2, out=gradient)
        gradient -= Y
        return losses[:, 0] if losses.shape[1] == 1 else losses.sum(axis=1)

    def curvature(self, Z2: Array, Y: Array) -> Array:
        P = sigmoid(Z2)
        return diagonal(P * sigmoid(-Z2))

    def inverse_link(self, Z2: Array) -> Array:
        # Strictly inside (0, 1): a saturated sigmoid must not claim certainty.
        P = sigmoid(Z2)
        limits = np.finfo(P.dtype)
        return np.clip(P, limits.tiny, 1 - limits.epsneg, out=P)

    def check_targets(self, Y: Array, name: str) -> None:
        if Y.min() < 0 or Y.max() > 1:
            raise ValueError(f"{name} must be 0 or 1, got {Y.min():g} to {Y.max():g}")


class LogLoss(ForClasses):
    """log(sum(exp(Z2))) - Z2[Y] for class numbers Y; link: softmax over the outputs."""

    out_activation = "softmax"
    labels = True

    def loss_gradient(self, Z2: Array, Y: Array, gradient: Array) -> Array:
        if not gradient.flags.f_contiguous:
            raise ValueError("gradient must be in Fortran order")
        # one index into the flattened arrays is looked up faster than a pair
        label = Y * len(Y)
        label += np.arange(len(Y))
        losses = softmax(Z2, out=gradient)
        losses -= Z2.T.take(label)
        flat = gradient.T.reshape(-1)
        flat[label] -= 1
        return losses

    def curvature(self, Z2: Array, Y: Array) -> Array:
        P = self.inverse_link(Z2)
        return diagonal(P) - P[:, :, None] * P[:, None, :]

    def inverse_link(self, Z2: Array) -> Array:
        P = np.empty_like(Z2)
        softmax(Z2, out=P)
        return P

    def check_targets(self, Y: Array, name: str) -> None:
        if Y.min() < 0:
            raise ValueError(f"{name} must be class numbers from 0 on, got {Y.min()}")


LOSSES: dict[str, Loss] = {
    "squared_error": SquaredError(),
    "absolute_error": AbsoluteError(),
    "quantile": Pinball(),
    "huber": Huber(),
    "poisson": Poisson(),
    "gamma": Gamma(),
    "tweedie": Tweedie(),
    "binary_log_loss": BinaryLogLoss(),
    "log_loss": LogLoss(),
}


def loss_with(name: str, parameters: dict[str, Any]) -> Loss:
    """A loss of the table, with those of the parameters that are its own."""
    loss = LOSSES[name]
    if not is_dataclass(loss):
        return loss
    own = {field.name for field in fields(loss)}
    return replace(loss, **{key: value for key, value in parameters.items() if key in own})
