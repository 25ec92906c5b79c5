"""Forward and backward propagation through one hidden layer: sums over rows, never means.

    Z1 = X W1 + b1      A1 = activation(Z1)      Z2 = A1 W2 + b2
    D2 = w dloss/dZ2    dW2 = A1' D2             db2 = sum(D2)
    D1 = (D2 W2') * activation'(Z1)              dW1 = X' D1         db1 = sum(D1)

With a path that skips the hidden layer, Z2 also has X W0, and dW0 = X' D2.

Hidden and output arrays are in Fortran order, rows last in memory: a column of ones behind A1
leaves A1 itself contiguous, and the softmax over few outputs runs along many rows.
"""

from dataclasses import dataclass

import numpy as np

from ..data.inputs import Inputs
from ..numerics import Array
from .activations import Activation
from .folded import Folded
from .loss import Loss, squared_residuals
from .parameters import Shape

BLOCK_ELEMENTS = 60_000
"""Activations or outputs computed at a time: about what a processor's cache holds.

Not a power of two: rows of such a length evict each other from the cache.
"""


def block_size(width: int) -> int:
    """Rows to compute at a time, with so many units in the wider of the two layers."""
    return max(64, BLOCK_ELEMENTS // width)


class _Buffers:
    """Arrays for one number of rows, allocated once."""

    def __init__(self, n_rows: int, network: "Network", dtype: np.dtype):
        shape = network.shape
        self.with_ones = np.ones((shape.n_hidden + 1, n_rows), dtype).T
        self.A1 = self.with_ones[:, :-1]
        keeps_input = network.activation.keeps_input
        self.Z1 = np.empty_like(self.A1) if keeps_input else self.A1
        self.D1 = np.empty((shape.n_hidden, n_rows), dtype).T
        self.Z2 = np.empty((shape.n_outputs, n_rows), dtype).T
        self.D2 = np.empty_like(self.Z2)


@dataclass
class Network:
    """A shape, an activation and a loss: everything but the parameters and the rows."""

    shape: Shape
    activation: Activation
    loss: Loss

    def __post_init__(self) -> None:
        self._buffers: dict[tuple[int, np.dtype], _Buffers] = {}
        self._theta = self._gradient = np.empty(0)

    def __reduce__(self) -> tuple:
        # buffers stay where they are
        return Network, (self.shape, self.activation, self.loss)

    def loss_sum(self, theta: Array, X: Inputs, Y: Array, w: Array | float) -> tuple[float]:
        """sum_i w_i loss_i, forward only."""
        return (_weighted_sum(self.losses(theta, X, Y), w),)

    def losses(self, theta: Array, X: Inputs, Y: Array) -> Array:
        """The loss of each row (n_rows,)."""
        buffers = self._forward(theta, X)
        return self.loss.loss_gradient(buffers.Z2, Y, buffers.D2)

    def outputs(self, theta: Array, X: Inputs) -> Array:
        """Z2 (n_rows, n_outputs), good until the next call."""
        return self._forward(theta, X).Z2

    @property
    def has_own_residuals(self) -> bool:
        """Whether the noise is told by other sums than those of the loss."""
        none = np.empty((0, self.shape.n_outputs))
        return self.loss.has_noise and squared_residuals(self.loss, none, none) is not None

    def residual_sums(self, theta: Array, X: Inputs, Y: Array, w: Array | float) -> tuple[Array]:
        """sum_i w_i (Y_i - mean_i)^2 / variance_i of each output."""
        found = squared_residuals(self.loss, self.outputs(theta, X), Y)
        assert found is not None
        return (np.broadcast_to(w, len(found)) @ found,)

    def loss_gradient(
        self, theta: Array, X: Inputs, Y: Array, w: Array | float
    ) -> tuple[float, Array]:
        """sum_i w_i loss_i and its gradient; `w` is one number, or one for each row.

        The gradient is the network's own vector, good until the next call.
        """
        buffers = self._forward(theta, X)
        A1, D1, D2 = buffers.A1, buffers.D1, buffers.D2
        losses = self.loss.loss_gradient(buffers.Z2, Y, D2)
        D2 *= w[:, None] if isinstance(w, np.ndarray) else w
        gradient = self._gradient_parameters
        # the column of ones makes the bias the last row of the same product
        np.dot(buffers.with_ones.T, D2, out=gradient.layer2)
        # A1 has done its work; the slope takes its place
        self.activation.slope(buffers.Z1, A1, A1)
        scaled = X.times(D2) if self.shape.rows_are_cheaper_than_units(X.n_rows) else None
        if scaled is not None:
            # [X, 1]' D1 = ([X, 1] * D2)' slope * W2' for a single output: D1 is never formed
            scaled.backward(A1, gradient.layer1)
            np.multiply(gradient.layer1, self._parameters.W2.T, out=gradient.layer1)
        else:
            np.dot(self._parameters.W2, D2.T, out=D1.T)
            D1 *= A1
            X.backward(D1, gradient.layer1)
        if gradient.W0 is not None:
            X.backward_skip(D2, gradient.W0)
        return _weighted_sum(losses, w), self._gradient

    def _forward(self, theta: Array, X: Inputs) -> _Buffers:
        if theta is not self._theta:
            self._cut(theta)
        buffers = self._buffers_for(X.n_rows, theta.dtype)
        X.forward(self._parameters.layer1, buffers.Z1)
        self.activation.value(buffers.Z1, buffers.A1)
        np.dot(self._parameters.layer2.T, buffers.with_ones.T, out=buffers.Z2.T)
        if self._parameters.W0 is not None:
            X.add_skip(self._parameters.W0, buffers.Z2)
        return buffers

    def _cut(self, theta: Array) -> None:
        """Cut theta, and a gradient to fit, into matrices: once, if theta is changed in place."""
        self._theta, self._parameters = theta, self.shape.views(theta)
        if self._gradient.shape != theta.shape or self._gradient.dtype != theta.dtype:
            self._gradient = np.empty_like(theta)
            self._gradient_parameters = self.shape.views(self._gradient)

    def _buffers_for(self, n_rows: int, dtype: np.dtype) -> _Buffers:
        key = (n_rows, dtype)
        if key not in self._buffers:
            self._buffers[key] = _Buffers(n_rows, self, dtype)
        return self._buffers[key]


def _weighted_sum(losses: Array, w: Array | float) -> float:
    if isinstance(w, np.ndarray):
        return float(w @ losses)
    return w * float(losses.sum())


def raw_prediction(
    coefs: list[Array],
    intercepts: list[Array],
    activation: Activation,
    X: Array,
    origin: Array | None = None,
) -> Array:
    """Z2 = activation(X W1 + b1) W2 + b2 for raw X, in blocks of bounded size.

    A third matrix in `coefs`, W0, skips the hidden layer: it adds X W0. `origin` as in `Folded`.
    """
    network = Folded(coefs, intercepts, activation, X, origin)
    Z2 = np.empty((X.shape[0], len(intercepts[1])), dtype=network.dtype)
    size = block_size(max(map(len, intercepts)))
    with network.watched():
        for start in range(0, len(Z2), size):
            block = slice(start, start + size)
            network.outputs(X[block], Z2[block])
    network.mend_outputs(X, Z2)
    return Z2
