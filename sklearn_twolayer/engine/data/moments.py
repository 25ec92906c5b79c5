"""Weighted mean and standard deviation of columns, whatever their units."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from ..numerics import Array

ELEMENTS_PER_BLOCK = 2**15

NEAR = 0.1
"""Of a deviation, by which units may differ that are much alike."""

LARGE_OFFSET = 2.0**10
"""Deviations from zero beyond which rounding a column to float32 would be felt: 1e-4 of one."""


@dataclass(frozen=True)
class Moments:
    """Weighted mean and standard deviation of columns in float64.

    A column counts as constant when its deviation is not above `rounding` times its magnitude,
    nor above `smallest`, whose inverse would overflow.
    """

    mean: Array
    deviation: Array
    rounding: float = 0.0
    smallest: float = 0.0

    @property
    def magnitude(self) -> Array:
        """The root of the mean square."""
        return np.hypot(self.mean, self.deviation)

    @property
    def scale(self) -> Array:
        """The deviation; infinity for a constant column, which tells nothing.

        Such a column becomes 0 in training and gets weight 0 in prediction.
        """
        magnitude = np.hypot(self.rounding * self.mean, self.rounding * self.deviation)
        threshold = np.maximum(magnitude, self.smallest)
        return np.where(self.deviation > threshold, self.deviation, np.inf)

    def origin(self) -> Array | None:
        """The mean of columns of large offset and 0 for the others; None where there are none.

        Who has rows in float32 counts them from there: see `Folded`.
        """
        far = np.isfinite(self.scale) & (np.abs(self.mean) > LARGE_OFFSET * self.deviation)
        return np.where(far, self.mean, 0.0) if far.any() else None

    def are_standard(self, tolerance: float = 0.0) -> bool:
        """Whether mean and deviation are 0 and 1."""
        off = np.maximum(np.abs(self.mean), np.abs(self.deviation - 1))
        return bool((off <= tolerance).all())

    def is_near(self, other: "Moments") -> bool:
        """Whether no mean and no deviation differs by more than a tenth of the deviation."""
        scale, of_other = self.scale, other.scale
        same, limit = scale == of_other, NEAR * self.deviation
        deviates = np.abs(self.deviation - other.deviation) > limit
        deviates |= np.abs(self.mean - other.mean) > limit
        deviates |= np.isinf(scale) | np.isinf(of_other)
        return not bool((deviates & ~(same & (self.mean == other.mean))).any())

    def merged(self, other: "Moments", fraction: float | Array) -> "Moments":
        """Moments of both sets of rows, `fraction` of the weight being the other's.

        Chan, Golub and LeVeque 1983, on deviations instead of squares: nothing overflows.
        """
        if self.are_standard() and other.are_standard():
            return self  # columns that stay as they are must not drift by rounding
        step = other.mean - self.mean
        as_before = (step == 0) & (other.deviation == self.deviation)
        within = np.hypot(self.deviation * (1 - fraction) ** 0.5, other.deviation * fraction**0.5)
        between = np.abs(step) * (fraction * (1 - fraction)) ** 0.5
        return replace(
            self,
            mean=self.mean + fraction * step,
            deviation=np.where(as_before, self.deviation, np.hypot(within, between)),
        )


def no_moments(n_columns: int) -> Moments:
    """Of columns that are to stay as they are."""
    one = np.ones(n_columns)
    return Moments(np.zeros(n_columns), one)


def moments(X: Array, weights: Array | None) -> Moments:
    """Measure the columns of X."""
    origin, found = moments_from_origin(X, weights)
    return replace(found, mean=origin + found.mean)


def moments_from_origin(X: Array, weights: Array | None) -> tuple[Array, Moments]:
    """An origin near each column of X, and the moments of X counted from there.

    Such a mean has digits that are lost once the origin is added, and which the deviation of rows
    of several tables is made of, too.
    """
    weights = np.full(X.shape[0], 1 / X.shape[0]) if weights is None else weights / weights.sum()
    measure = _of_sparse if sparse.issparse(X) else _of_dense
    origin, mean, deviation = measure(X, weights)
    return origin, Moments(
        mean,
        deviation,
        # the moments are float64 whatever X is, and exact for a constant column
        rounding=4 * float(np.finfo(np.float64).eps),
        smallest=1e4 * float(np.finfo(X.dtype).tiny),
    )


def means(X: Any, weights: Array | None) -> Array:
    """The weighted means of the columns of a dense X, in one quick pass."""
    w = np.ones(X.shape[0]) if weights is None else weights
    total = sum(w[b] @ X[b] for b in _blocks(X))
    return np.asarray(total / w.sum(), dtype=np.float64)


def has_missing(X: Any) -> bool:
    """Whether there is a NaN in X, of which only dense ones have any."""
    if sparse.issparse(X):
        return False
    with np.errstate(all="ignore"):
        # a sum is NaN where a number is, but infinities of both signs may make one, too
        return any(np.isnan(X[b].sum()) and bool(np.isnan(X[b]).any()) for b in _blocks(X))


def magnitude(X: Any) -> float:
    """The largest number in X but for its sign, however X is stored."""
    parts = [X.data] if sparse.issparse(X) else (X[b] for b in _blocks(X))
    return max(float(np.fmax.reduce(np.abs(part), axis=None, initial=0)) for part in parts)


def _unit(magnitude: Array) -> Array:
    """1, or a power of two near the magnitude where its square might leave the range."""
    sane = ((magnitude > 1e-100) & (magnitude < 1e100)) | (magnitude == 0)
    return np.where(sane, 1.0, np.exp2(np.frexp(magnitude)[1].clip(-1020, 1020)))


def rows_per_block(n_columns: int) -> int:
    """Rows of float64 that fit a processor's cache."""
    return max(16, ELEMENTS_PER_BLOCK // max(n_columns, 1))


def _of_dense(X: Array, weights: Array) -> tuple[Array, Array, Array]:
    """Origin, mean from there and deviation; one pass where the squares stay within the range."""
    with np.errstate(over="ignore", invalid="ignore"):
        origin, mean, deviation = _in_one_pass(X, weights)
    doubtful = ~((deviation > 1e-150) & (deviation < 1e150))
    if doubtful.any():
        columns = np.flatnonzero(doubtful)
        origin[columns], deviation[columns] = _in_units(X, weights, columns)
        mean[columns] = 0
    return origin, mean, deviation


def _blocks(X: Array) -> list[slice]:
    size = rows_per_block(X.shape[1])
    return [slice(a, a + size) for a in range(0, X.shape[0], size)]


def _in_one_pass(X: Array, weights: Array) -> tuple[Array, Array, Array]:
    """Sums of x - pivot and its square, the pivot being a mean of some rows.

    For a constant column the pivot is its value, so mean and deviation are exact.
    """
    blocks = _blocks(X)
    first = X[blocks[0]].astype(np.float64)
    pivot = first[0] + (first - first[0]).mean(axis=0)
    # counted from the pivot, squares stay small: those of x itself would lose, far from zero, the
    # digits that the deviation is made of
    step, square = np.zeros((2, X.shape[1]))
    buffer = np.empty_like(first)
    for b in blocks:
        block = np.subtract(X[b], pivot, out=buffer[: min(b.stop, X.shape[0]) - b.start])
        step += weights[b] @ block
        block *= block
        square += weights[b] @ block
    return pivot, step, np.sqrt(np.maximum(square - step**2, 0))


def _in_units(X: Array, weights: Array, columns: Array) -> tuple[Array, Array]:
    """Mean and deviation in passes of their own, columns of extreme magnitude in other units."""
    low, high, mean, step, variance = np.zeros((5, len(columns)))
    blocks = _blocks(X)
    for i, b in enumerate(blocks):
        block = X[b][:, columns]
        low = block.min(axis=0) if i == 0 else np.minimum(low, block.min(axis=0))
        high = block.max(axis=0) if i == 0 else np.maximum(high, block.max(axis=0))
    magnitude = np.maximum(np.abs(low), np.abs(high)).astype(np.float64)
    unit = _unit(magnitude)
    factor = 1 / unit
    for b in blocks:
        mean += weights[b] @ (X[b][:, columns] * factor)
    # a constant column has its value as mean, not the sum of its parts
    mean = np.where(low == high, low * factor, mean)
    for b in blocks:
        block = X[b][:, columns] * factor
        block -= mean
        step += weights[b] @ block
        block *= block
        variance += weights[b] @ block
    deviation = np.sqrt(np.maximum(variance - step**2, 0))
    return (mean + step) * unit, deviation * unit


def _of_sparse(X: sparse.csr_array, weights: Array) -> tuple[Array, Array, Array]:
    """The same without ever centring X: absent entries are counted, not visited."""
    n_rows, n_features = X.shape

    def total(values: Array) -> Array:
        return np.bincount(X.indices, values, minlength=n_features).astype(np.float64)

    magnitude = abs(X).max(axis=0).toarray().ravel().astype(np.float64)
    unit = _unit(magnitude)
    weight_of_stored = np.repeat(weights, np.diff(X.indptr))
    values = X.data / unit[X.indices]
    full = total(np.ones_like(weight_of_stored)) == n_rows
    # counted from one of its own values, the mean of a constant column is exact
    origin = np.where(full, X.max(axis=0).toarray().ravel() / unit, 0)
    mean = origin + total(weight_of_stored * (values - origin[X.indices]))
    variance = total(weight_of_stored * (values - mean[X.indices]) ** 2)
    variance += np.where(full, 0, np.maximum(1 - total(weight_of_stored), 0)) * mean**2
    return np.zeros(n_features), mean * unit, np.sqrt(variance) * unit
