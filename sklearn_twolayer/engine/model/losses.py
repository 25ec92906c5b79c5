"""Loss functions: value, gradient and curvature by the raw outputs, and the inverse link.

To add one: write a class like those below, add one line to ``LOSSES``.

A loss sees raw outputs Z2 (the link lives inside the loss) and targets Y, row by row;
it knows nothing of weights, means or penalties. Targets are floats of shape (n_rows,
n_outputs), or, where ``labels`` is true, class numbers of shape (n_rows,), so that many
classes need no one-hot matrix. Losses of several outputs are summed, in value, gradient and
curvature alike.
"""

from typing import Protocol, cast, runtime_checkable

import numpy as np

from ..numerics import Array, sigmoid, softmax


class Loss(Protocol):
    """What a loss declares of itself, and what the network asks of it.

    - ``out_activation``: the name of its inverse link, as scikit-learn calls it;
    - ``labels``: whether targets are class numbers;
    - ``standardizes_target``: whether mean and scale of the targets may be taken out of them;
    - ``has_noise``: whether targets have a Gaussian noise whose precision is to be estimated; such
      a loss has ``with_noise(beta)``, itself times the noise precisions (n_outputs,);
    - ``has_curvature``: whether ``curvature`` tells of the loss;
    - ``is_moderated``: whether predictions take into account how uncertain the raw outputs are.
    """

    out_activation: str
    labels: bool
    standardizes_target: bool
    has_noise: bool
    has_curvature: bool
    is_moderated: bool

    def loss_gradient(self, Z2: Array, Y: Array, gradient: Array) -> Array:
        """Write d loss / d Z2 into `gradient`, return the loss of each row (n_rows,).

        `gradient` is in Fortran order, as the network's own arrays are.
        """
        ...

    def curvature(self, Z2: Array, Y: Array) -> Array:
        """d2 loss / d Z2 d Z2' of each row, (n_rows, n_outputs, n_outputs)."""
        ...

    def inverse_link(self, Z2: Array) -> Array:
        """From raw outputs to predictions: means or probabilities."""
        ...

    def check_targets(self, Y: Array, name: str) -> None:
        """ValueError, in which the targets have that name, for finite ones it does not admit."""
        ...


class NoisyLoss(Loss, Protocol):
    """A loss that declares ``has_noise``."""

    def with_noise(self, beta: Array) -> Loss:
        """sum_k beta_k loss_k, beta (n_outputs,) being the precisions of the noise."""
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
        targets where the loss has one.
        """
        ...


def with_noise(loss: Loss, beta: Array) -> Loss:
    """The loss under a noise of known precision."""
    return cast(NoisyLoss, loss).with_noise(beta)


def _diagonal(values: Array) -> Array:
    """A diagonal matrix for each row of `values`."""
    return values[:, :, None] * np.eye(values.shape[1], dtype=values.dtype)


class SquaredError:
    """(Z2 - Y)^2 / 2; link: identity. The half makes the curvature one."""

    out_activation = "identity"
    labels = False
    standardizes_target = True
    has_noise = True
    has_curvature = True
    is_moderated = False
    is_skewed = False
    support = (-np.inf, np.inf)

    def loss_gradient(self, Z2: Array, Y: Array, gradient: Array) -> Array:
        np.subtract(Z2, Y, out=gradient)
        return 0.5 * np.einsum("ij,ij->i", gradient, gradient)

    def curvature(self, Z2: Array, Y: Array) -> Array:
        return _diagonal(np.ones_like(Z2))

    def inverse_link(self, Z2: Array) -> Array:
        return Z2

    def check_targets(self, Y: Array, name: str) -> None:
        """All are admitted."""

    def location_scale(self, Z2: Array, variance: Array, noise: Array) -> tuple[Array, Array]:
        return Z2, np.sqrt(variance + noise)

    def with_noise(self, beta: Array) -> "NoisySquaredError":
        """The same for targets of known noise."""
        return NoisySquaredError(beta)


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


class BinaryLogLoss:
    """log(1 + exp(Z2)) - Y Z2, one yes-or-no question per output; link: logit.

    Written as max(Z2, 0) - Y Z2 + log(1 + exp(-|Z2|)), it is exact for confident outputs.
    """

    out_activation = "logistic"
    labels = False
    standardizes_target = False
    has_noise = False
    has_curvature = True
    is_moderated = True

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
        return _diagonal(P * sigmoid(-Z2))

    def inverse_link(self, Z2: Array) -> Array:
        # Strictly inside (0, 1): a saturated sigmoid must not claim certainty.
        P = sigmoid(Z2)
        limits = np.finfo(P.dtype)
        return np.clip(P, limits.tiny, 1 - limits.epsneg, out=P)

    def check_targets(self, Y: Array, name: str) -> None:
        if Y.min() < 0 or Y.max() > 1:
            raise ValueError(f"{name} must be 0 or 1, got {Y.min():g} to {Y.max():g}")


class LogLoss:
    """log(sum(exp(Z2))) - Z2[Y] for class numbers Y; link: softmax over the outputs."""

    out_activation = "softmax"
    labels = True
    standardizes_target = False
    has_noise = False
    has_curvature = True
    is_moderated = True

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
        return _diagonal(P) - P[:, :, None] * P[:, None, :]

    def inverse_link(self, Z2: Array) -> Array:
        P = np.empty_like(Z2)
        softmax(Z2, out=P)
        return P

    def check_targets(self, Y: Array, name: str) -> None:
        if Y.min() < 0:
            raise ValueError(f"{name} must be class numbers from 0 on, got {Y.min()}")


LOSSES: dict[str, Loss] = {
    "squared_error": SquaredError(),
    "binary_log_loss": BinaryLogLoss(),
    "log_loss": LogLoss(),
}
