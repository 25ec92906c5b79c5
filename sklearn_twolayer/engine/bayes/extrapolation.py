"""Extrapolation: what to predict far outside the training rows, where the posterior knows nothing.

Where the variance of the function exceeds that of the target, the network knows less of a row than
the mean of the targets does, and how it goes on is an accident of the fit. What is predicted there
is what it says of the nearest place that it has met: every number drawn in to the range that its
column had in training. As that may be a corner where no row was, the prediction is limited, too.

Ranges are compared in raw units: a number that was in training is inside to the last bit.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from ..data.encoded import Encoded
from ..data.encoding import NUMBER
from ..data.moments import rows_per_block
from ..data.sources import Index, split
from ..data.table import ArrayTable, Table
from ..numerics import Array, within_range

MARGIN = 0.1
"""Of the width of the range of the targets, by which predictions may leave it on either side."""


@dataclass(frozen=True)
class Ranges:
    """The least and the greatest number in each column of training rows, and of their targets.

    They are in raw units; NaN for categories, and for columns that held no number.
    """

    low: Array
    high: Array
    Y_low: Array
    Y_high: Array


def measure(X: Any, Y: Array, n_levels: Array | None = None) -> Ranges:
    """The ranges of rows; `n_levels` tells categories from numbers, if there are any."""
    return of_table(ArrayTable(X, Y, None), n_levels)


def of_table(table: Table, n_levels: Array | None = None) -> Ranges:
    """The same of the rows of a table."""
    low, high, Y_low, Y_high = table.ranges()
    if n_levels is not None:
        low, high = np.where(n_levels == NUMBER, [low, high], np.nan)
    return Ranges(low, high, Y_low, Y_high)


def merged(some: Ranges | None, others: Ranges | None) -> Ranges | None:
    """The ranges of all rows; None where those of some of them are not known."""
    if some is None or others is None:
        return None
    return Ranges(
        np.fmin(some.low, others.low),
        np.fmax(some.high, others.high),
        np.minimum(some.Y_low, others.Y_low),
        np.maximum(some.Y_high, others.Y_high),
    )


def draw_in(
    prediction: Array,
    X: Any,
    ranges: Ranges,
    predict: Callable[[Any], Array],
    variance: Callable[[Any], Array],
) -> Array:
    """The prediction (n_rows, n_outputs), changed where the function is less certain than Y.

    `predict` is asked for that of rows drawn in, `variance` for that of the function in units of
    the target's. Rows inside the ranges, whose variance nobody asks for, stay as they are.
    """
    rows = rows_outside(X, ranges)
    if not len(rows):
        return prediction
    outside = X.part(rows) if isinstance(X, Encoded) else X[rows]
    # what is not finite is not certain either
    unknown = ~(variance(outside) <= 1)
    changed = np.flatnonzero(unknown.any(axis=1))
    if not len(changed):
        return prediction
    outside = outside.part(changed) if isinstance(outside, Encoded) else outside[changed]
    near = limited(predict(drawn_in(outside, ranges)), ranges)
    prediction, rows = prediction.copy(), rows[changed]
    prediction[rows] = np.where(unknown[changed], near, prediction[rows])
    return prediction


def limited(prediction: Array, ranges: Ranges) -> Array:
    """Within the range of the targets and a tenth of its width on either side."""
    return np.clip(prediction, *within_range(limits_of_targets(ranges), prediction.dtype))


def limits_of_targets(ranges: Ranges) -> Array:
    """What predictions that were drawn in stay between, (2, n_targets)."""
    margin = MARGIN * (ranges.Y_high - ranges.Y_low)
    return np.array([ranges.Y_low - margin, ranges.Y_high + margin])


def rows_outside(X: Any, ranges: Ranges) -> Array:
    """The numbers of the rows that have a number outside the range of its column."""
    low, high = limits_of_numbers(ranges, X.dtype)
    if sparse.issparse(X):
        return np.unique(_outside_of_sparse(X, low, high))
    if isinstance(X, Encoded):
        X = X.X
    # bounds that are as large as a block make one loop of each comparison, not one for each row
    blocks, outside, start = _blocks(X), [np.empty(0, np.intp)], 0
    low, high = (np.tile(bound, (max(size for _, size in blocks), 1)) for bound in (low, high))
    for block, size in blocks:
        rows = X[block]
        is_outside = rows < low[:size]
        is_outside |= rows > high[:size]
        if is_outside.any():
            outside.append(start + np.flatnonzero(is_outside.any(axis=1)))
        start += size
    return np.concatenate(outside)


def _outside_of_sparse(X: sparse.csr_array, low: Array, high: Array) -> Array:
    """The same of CSR rows, some of them several times."""
    stored = np.flatnonzero((X.data < low[X.indices]) | (X.data > high[X.indices]))
    rows = np.searchsorted(X.indptr, stored, side="right") - 1
    return np.concatenate([rows, _absent(X, low, high)[0]])


def _absent(X: sparse.csr_array, low: Array, high: Array) -> tuple[Array, Array]:
    """Rows and columns of absent entries, where zero is outside the range."""
    columns = np.flatnonzero((low > 0) | (high < 0))
    if not len(columns):
        return columns, columns
    stored = X[:, columns]
    stored.data = np.ones_like(stored.data)
    rows, places = np.nonzero(stored.toarray() == 0)
    return rows, columns[places]


def drawn_in(X: Any, ranges: Ranges) -> Any:
    """X with every number inside the range of its column; what has none, or is NaN, is kept."""
    low, high = bounds_of_numbers(ranges, X.dtype)
    if isinstance(X, Encoded):
        inside = copy(X)
        inside.X = _clipped(X.X, low, high)
        return inside
    if not sparse.issparse(X):
        return _clipped(X, low, high)
    inside = X.copy()
    inside.data = _clipped(X.data, low[X.indices], high[X.indices])
    rows, columns = _absent(X, low, high)
    if not len(rows):
        return inside
    nearest = np.where(low > 0, low, high)[columns]
    return inside + type(X)((nearest, (rows, columns)), shape=X.shape)


def _clipped(x: Array, low: Array, high: Array) -> Array:
    """Comparisons with NaN are false: unlike `np.clip`, this leaves bounds of NaN alone."""
    return np.where(x < low, low, np.where(x > high, high, x))


def limits_of_numbers(ranges: Ranges, dtype: np.dtype) -> tuple[Array, Array]:
    """Bounds beyond which a number is outside."""
    if ranges.low.dtype == np.float32 and dtype == np.float64:
        # the rows of training may come again as they were before they were rounded
        one_less = np.nextafter(ranges.low, np.float32(-np.inf))
        one_more = np.nextafter(ranges.high, np.float32(np.inf))
        return one_less.astype(np.float64), one_more.astype(np.float64)
    return bounds_of_numbers(ranges, dtype)


def bounds_of_numbers(ranges: Ranges, dtype: np.dtype) -> tuple[Array, Array]:
    """Low and high in the precision of the rows, to which those of training round alike."""
    return within_range(ranges.low, dtype), within_range(ranges.high, dtype)


def _blocks(X: Any) -> list[tuple[Index, int]]:
    n_rows, n_columns = X.shape
    return split(slice(n_rows), n_rows, rows_per_block(n_columns))
