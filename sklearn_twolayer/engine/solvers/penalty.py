"""The penalty: minus the logarithm of a prior on the weights, up to a constant.

    penalty(theta) = sum_j alpha_j ( l1_ratio |theta_j| + (1 - l1_ratio) / 2 theta_j^2 )

A Gaussian prior, of precisions alpha, as long as ``l1_ratio`` is 0; the elastic net (Zou and
Hastie 2005) else, and the lasso's Laplace prior (Tibshirani 1996) with 1. One alpha for all
weights, or one for each group of them (`Shape.groups`); the output biases are free, and with a
single alpha the hidden ones too. It belongs to a sum over all rows: who wants a mean divides it as
the losses are divided.

The absolute values have a kink at zero, so they have no part in `add_gradient` and `diagonal`,
which are of the smooth part. Solvers come to terms with them by `proximal` steps, or by the
`pseudo_gradient`.
"""

from functools import cached_property

import numpy as np

from ..model.parameters import Shape
from ..numerics import AXPY, Array


class Penalty:
    """Value, and of its smooth part gradient and curvature (`diagonal`).

    The smooth part is 1/2 sum_j precision_j theta_j^2, `absolute` has the factor of each |theta_j|
    (n_parameters,), and is None where the smooth part is all.
    """

    def __init__(self, shape: Shape, alpha: float | Array, l1_ratio: float = 0.0):
        self.shape = shape
        # with a precision for each parameter, alpha only says that there is a penalty
        self.alpha = float(alpha) if np.ndim(alpha) == 0 else 1.0
        self._divided: tuple[tuple[np.dtype, float], Array] | None = None
        self._of_groups = None if np.ndim(alpha) == 0 else _checked(shape, np.asarray(alpha))
        self.absolute: Array | None = None
        if l1_ratio and self.alpha:
            self.absolute = l1_ratio * self.diagonal
            self.alpha *= 1 - l1_ratio
            if self._precision is not None:
                self._precision *= 1 - l1_ratio

    @cached_property
    def _precision(self) -> Array | None:
        """The precision of each parameter, where there are several."""
        groups = self._of_groups
        return None if groups is None else per_parameter(groups, self.shape.groups())

    @property
    def is_absent(self) -> bool:
        """Whether nothing is penalised."""
        return self.alpha == 0 and self.absolute is None

    @property
    def is_uniform(self) -> bool:
        """Whether it is smooth, and all weights have one precision and biases none."""
        return self._of_groups is None and self.absolute is None

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
        """The penalty of theta, absolute values and all."""
        if self.absolute is None:
            return self._of_squares(theta)
        return self._of_squares(theta) + float(self.absolute @ np.abs(theta))

    def _of_squares(self, theta: Array) -> float:
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

    def proximal(self, theta: Array, step: float | Array) -> None:
        """Move theta, in place, to what minimises step * absolute |x| + 1/2 (x - theta)^2.

        Soft thresholding: by step * absolute towards zero, where that is as far as the way. A
        `step` for each parameter is the minimum in a diagonal metric of its own (1 / step).
        """
        assert self.absolute is not None
        threshold = (self.absolute * step).astype(theta.dtype, copy=False)
        theta -= np.clip(theta, -threshold, threshold)

    def pseudo_gradient(self, theta: Array, gradient: Array, divisor: float) -> Array:
        """The subgradient of least length of the whole, given the gradient of all that is smooth.

        Where a weight is zero, what absolute / divisor leaves of the gradient; zero at a minimum.
        """
        assert self.absolute is not None
        strength = self.absolute / divisor
        at_zero = gradient - np.clip(gradient, -strength, strength)
        return np.where(theta == 0, at_zero, gradient + strength * np.sign(theta))

    def _strength(self, dtype: np.dtype, divisor: float) -> Array:
        """The precisions divided, computed once for each divisor, and room for a product."""
        if self._divided is None or self._divided[0] != (dtype, divisor):
            assert self._precision is not None
            strength = (self._precision / divisor).astype(dtype)
            self._divided, self._scratch = ((dtype, divisor), strength), np.empty_like(strength)
        return self._divided[1]


def _checked(shape: Shape, alpha: Array) -> Array:
    """The precision of each group, as it is now."""
    if len(alpha) != shape.n_groups:
        raise ValueError(
            f"alpha must be one number, or {shape.n_groups}: for each column of X, the hidden "
            f"biases, the output weights{' and the skip path' if shape.skip else ''}, got "
            f"{len(alpha)}"
        )
    return alpha.astype(np.float64)


def per_parameter(precision: Array, group: Array) -> Array:
    """The precision of each parameter: that of its group, 0 for the free ones of group -1."""
    return np.append(precision, 0.0)[group]
