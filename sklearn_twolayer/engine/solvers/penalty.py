"""The penalty: minus the logarithm of a Gaussian prior on the weights, up to a constant.

    penalty(theta) = 1/2 sum_j precision_j theta_j^2

One precision, alpha, for all weights, or one for each group of them (`Shape.groups`); the output
biases are free, and with a single alpha the hidden ones too. It belongs to a sum over all rows: who
wants a mean divides it as the losses are divided.
"""

from functools import cached_property

import numpy as np

from ..model.parameters import Shape
from ..numerics import AXPY, Array


class Penalty:
    """Value, gradient and curvature (`diagonal`) of 1/2 sum_j precision_j theta_j^2."""

    def __init__(self, shape: Shape, alpha: float | Array):
        self.shape = shape
        # with a precision for each parameter, alpha only says that there is a penalty
        self.alpha = float(alpha) if np.ndim(alpha) == 0 else 1.0
        self._divided: tuple[tuple[np.dtype, float], Array] | None = None
        self._precision = None if np.ndim(alpha) == 0 else _of_groups(shape, np.asarray(alpha))

    @property
    def is_absent(self) -> bool:
        """Whether nothing is penalised."""
        return self.alpha == 0

    @property
    def diagonal(self) -> Array:
        """The precision of each parameter (n_parameters,), 0 for the free ones."""
        if self._precision is not None:
            return self._precision
        precision = np.zeros(self.shape.size)
        for stretch in self.shape.penalized(precision):
            stretch += self.alpha
        return precision

    @cached_property
    def by_layer(self) -> tuple[Array, float, float, float]:
        """The precision of each row of W1 (n_features,), and those of b1, W2 and W0."""
        views = self.shape.views(self.diagonal)
        of_skip = 0.0 if views.W0 is None else float(views.W0[0, 0])
        return views.W1[:, 0], float(views.b1[0]), float(views.W2[0, 0]), of_skip

    def value(self, theta: Array) -> float:
        """1/2 sum_j precision_j theta_j^2."""
        if self._precision is not None:
            return 0.5 * float(self._precision @ theta**2)
        if self.alpha == 0:
            return 0.0
        return 0.5 * self.alpha * sum(float(W @ W) for W in self.shape.penalized(theta))

    def add_gradient(self, theta: Array, gradient: Array, divisor: float) -> None:
        """Add precision * theta / divisor to `gradient`, the rest of which is divided already."""
        if self._precision is not None:
            strength = self._strength(theta.dtype, divisor)
            gradient += np.multiply(strength, theta, out=self._scratch)
        elif self.alpha != 0:
            axpy, factor = AXPY[theta.dtype.char], self.alpha / divisor
            stretches = map(self.shape.penalized, (theta, gradient))
            for W, out in zip(*stretches, strict=True):
                axpy(W, out, a=factor)  # out += factor * W, in one pass

    def _strength(self, dtype: np.dtype, divisor: float) -> Array:
        """The precisions divided, computed once for each divisor, and room for a product."""
        if self._divided is None or self._divided[0] != (dtype, divisor):
            assert self._precision is not None
            strength = (self._precision / divisor).astype(dtype)
            self._divided, self._scratch = ((dtype, divisor), strength), np.empty_like(strength)
        return self._divided[1]


def _of_groups(shape: Shape, alpha: Array) -> Array:
    """The precision of each parameter, given that of each group."""
    if len(alpha) != shape.n_groups:
        raise ValueError(
            f"alpha must be one number, or {shape.n_groups}: for each column of X, the hidden "
            f"biases, the output weights{' and the skip path' if shape.skip else ''}, got "
            f"{len(alpha)}"
        )
    return per_parameter(alpha, shape.groups())


def per_parameter(precision: Array, group: Array) -> Array:
    """The precision of each parameter: that of its group, 0 for the free ones of group -1."""
    return np.append(precision, 0.0)[group]
