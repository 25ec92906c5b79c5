"""Columns come in grams and in light years; the engine wants them all about one wide.

The weighted mean becomes 0 and the weighted standard deviation 1. Afterwards the map is folded
into the weights, so that the network acts on raw units and prediction costs nothing extra.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from .numerics import Array
from .parameters import Shape

ROWS_PER_BLOCK = 4096


@dataclass(frozen=True)
class Scaling:
    """x -> (x - mean) / scale for the columns of X and of Y, in float64."""

    X_mean: Array
    X_scale: Array
    Y_mean: Array
    Y_scale: Array

    def fold(self, shape: Shape, theta: Array) -> tuple[list[Array], list[Array]]:
        """The same function of raw X in raw units of Y: ([W1, W2], [b1, b2]) in float64.

        W1 / s, b1 - (m / s) W1, W2 s_y, b2 s_y + m_y.
        """
        parameters = shape.views(theta.astype(np.float64))
        W1 = parameters.W1 / self.X_scale[:, None]
        b1 = parameters.b1 - self.X_mean @ W1
        W2 = parameters.W2 * self.Y_scale
        b2 = parameters.b2 * self.Y_scale + self.Y_mean
        return [W1, W2], [b1, b2]


def identity_scaling(n_features: int, n_outputs: int) -> Scaling:
    """The map that changes nothing."""
    return Scaling(
        np.zeros(n_features), np.ones(n_features), np.zeros(n_outputs), np.ones(n_outputs)
    )


def standardization(X: Array, weights: Array | None) -> tuple[Array, Array]:
    """Weighted mean and standard deviation of each column, as (mean, scale) in float64.

    Two passes, on columns divided by their largest magnitude: nothing overflows or cancels.
    A column that is constant up to rounding tells nothing and gets scale infinity: it becomes
    0 in training and weight 0 in prediction.
    """
    if sparse.issparse(X):
        return _sparse_standardization(X, weights)
    n_rows = X.shape[0]
    shares = _shares(n_rows, weights)
    magnitude = _magnitude(np.min(X, axis=0), np.max(X, axis=0))
    blocks = [slice(a, a + ROWS_PER_BLOCK) for a in range(0, n_rows, ROWS_PER_BLOCK)]
    mean, variance = np.zeros((2, X.shape[1]))
    for b in blocks:
        mean += shares[b] @ (X[b] / magnitude)
    for b in blocks:
        variance += shares[b] @ (X[b] / magnitude - mean) ** 2
    return _in_units(mean, variance, magnitude, X.dtype)


def _sparse_standardization(X: sparse.csr_array, weights: Array | None) -> tuple[Array, Array]:
    """The same without ever centring X: absent entries are counted, not visited."""
    n_rows, n_features = X.shape
    shares = _shares(n_rows, weights)
    magnitude = _magnitude(*(m.toarray().ravel() for m in (X.min(axis=0), X.max(axis=0))))
    share = np.repeat(shares, np.diff(X.indptr))
    values = X.data / magnitude[X.indices]
    mean = np.bincount(X.indices, share * values, minlength=n_features)
    present = np.bincount(X.indices, share, minlength=n_features)
    deviation = (values - mean[X.indices]) ** 2
    variance = np.bincount(X.indices, share * deviation, minlength=n_features)
    variance += np.maximum(1 - present, 0) * mean**2
    return _in_units(mean, variance, magnitude, X.dtype)


def _shares(n_rows: int, weights: Array | None) -> Array:
    """Weights that sum to one."""
    return np.full(n_rows, 1 / n_rows) if weights is None else weights / weights.sum()


def _magnitude(low: Array, high: Array) -> Array:
    """Largest absolute value of each column in float64, 1 where it is zero."""
    magnitude = np.maximum(np.abs(low), np.abs(high)).astype(np.float64)
    magnitude[magnitude == 0] = 1
    return magnitude


def _in_units(
    mean: Array, variance: Array, magnitude: Array, dtype: np.dtype
) -> tuple[Array, Array]:
    deviation = np.sqrt(variance)
    rounding = 4 * np.finfo(dtype).eps
    return mean * magnitude, np.where(deviation > rounding, deviation, np.inf) * magnitude
