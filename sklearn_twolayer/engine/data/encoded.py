"""Encoded rows: original columns of X seen through their encoding, for training and prediction."""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from ..numerics import Array
from .encoding import NUMBER, Encoding, deviation_of_levels
from .expansion import Expansion
from .inputs import DenseInputs, Inputs, MixedInputs
from .knots import slopes
from .moments import Moments, moments, no_moments, rows_per_block
from .one_hot import OneHot
from .scaling import Scaling
from .sources import LARGE, Index, Subset, bound, gone, lives_on_disk, rows_of, subset


def encoded_moments(
    X: Any, weights: Array | None, encoding: Encoding
) -> tuple[Moments, Array | None]:
    """What encoded columns are centred at and divided by; the weight of rows that have a value.

    Values have their means and deviations, missing ones counting as the mean. Increments and
    indicators are centred and not divided, the levels of a category are all divided alike; those
    of a category of many levels stay as they are.
    """
    total = float(X.shape[0] if weights is None else weights.sum())
    numbers = np.flatnonzero(~encoding.is_category)
    return moments_of_encoded(
        [_moments_of_present(X[:, column], weights) for column in numbers], total, encoding
    )


def moments_of_encoded(
    values: Sequence[tuple[Moments, float]], total: float, encoding: Encoding
) -> tuple[Moments, Array | None]:
    """The same from what was measured of each number: its moments and weight where it is present.

    `total` is the weight of all rows.
    """
    n = int(encoding.sizes.sum())
    mean, deviation, present = np.zeros(n), np.ones(n), np.full(n, total)
    measured, is_wide, of_numbers = no_moments(1), encoding.is_wide, iter(values)
    for column, (start, means) in enumerate(zip(encoding.starts, encoding.means, strict=True)):
        if encoding.n_levels[column] == NUMBER:
            mean[start + 1 : start + 1 + len(means)] = means
            measured, present[start] = next(of_numbers)
            mean[start] = measured.mean[0]
            deviation[start] = measured.deviation[0] * (present[start] / total) ** 0.5
        elif not is_wide[column]:
            block = slice(start, start + len(means))
            mean[block], deviation[block] = means, deviation_of_levels(means)
    found = replace(measured, mean=mean, deviation=deviation)
    return found, present if (present != total).any() else None


def _moments_of_present(x: Array, weights: Array | None) -> tuple[Moments, float]:
    """Moments of the numbers that are not missing, 0 if there is none, and their weight."""
    present = np.flatnonzero(~np.isnan(x))
    if len(present) == 0:
        return Moments(np.zeros(1), np.zeros(1)), 0.0
    w = None if weights is None else weights[present]
    return moments(x[present][:, None], w), float(len(present) if w is None else w.sum())


class Encoded:
    """X for prediction: rows are encoded, in raw units, when they are asked for.

    `fill` (n_encoded,) has what stands for a missing value.
    """

    def __init__(self, X: Array, encoding: Encoding, fill: Array):
        self.X, self.encoding = X, encoding
        self.expansion = Expansion(encoding, fill, X.dtype)

    @property
    def shape(self) -> tuple[int, int]:
        return self.X.shape[0], len(self.expansion.fill)

    @property
    def dtype(self) -> np.dtype:
        return self.X.dtype

    def part(self, rows: Any) -> "Encoded":
        """Some of the rows, not encoded yet."""
        part = copy(self)
        part.X = self.X[rows]
        return part

    @property
    def numbers(self) -> Array:
        """The original columns that are no categories."""
        return np.flatnonzero(~self.encoding.is_category)

    def blocks_of_numbers(self) -> list[Array]:
        """For each of them its encoded columns, without the indicator."""
        starts, n_increments = self.encoding.starts, self.encoding.n_increments
        return [starts[column] + np.arange(1 + n_increments[column]) for column in self.numbers]

    def slopes_of_numbers(self, index: Any) -> Array:
        """How each of these encoded columns follows its number, (n_rows, n); NaN where missing."""
        X, found = self.X[index], []
        for column in self.numbers:
            x, knots = X[:, column].astype(np.float64), self.encoding.knots[column]
            found.append(np.where(np.isnan(x), np.nan, 1.0)[:, None])
            if len(knots):
                found.append(slopes(x, knots))
        return np.concatenate(found, axis=1)

    def fractions(self, column: int, weights: Array | None) -> Array:
        """The weight of each level of a category, then of what is missing if that is told."""
        codes, encoding = self.X[:, column], self.encoding
        n_levels = encoding.n_levels[column]
        places = np.where(np.isnan(codes), n_levels, codes).astype(np.intp)
        places = np.where(places < 0, n_levels + 1, places)
        counts = np.bincount(places, weights, minlength=n_levels + 2)
        return counts[: n_levels + encoding.has_indicator[column]] / counts.sum()

    def __getitem__(self, index: Any) -> Any:
        """Rows (n_rows, n_encoded): dense, or CSR where a category has many levels."""
        expansion = self.expansion
        with np.errstate(all="ignore"):
            compact = expansion.compress(self.X[index])
            dense = np.empty((expansion.n_dense, compact.shape[1]), self.dtype)
            expansion.expand(compact, dense)
            if not expansion.n_wide:
                return dense.T
            levels = OneHot(expansion.wide_columns(compact), expansion.n_wide)
            parts = [sparse.csr_array(dense.T), levels.matrix(self.dtype)]
            return sparse.csr_array(sparse.hstack(parts, format="csr"))


class EncodedSource:
    """Rows for training. Compact ones are kept, and expanded in memory only where that is little.

    Where even these would be large, or rows live on disk, they are read and compressed anew
    whenever they are asked for.
    """

    def __init__(
        self,
        X: Array | Subset,
        encoding: Encoding,
        scaling: Scaling | None,
        fill: Array,
        dtype: np.dtype,
    ):
        mean, scale = (None, None) if scaling is None else (scaling.X.mean, scaling.X.scale)
        self.expansion = Expansion(encoding, fill, dtype, mean, scale, bound(dtype))
        self.X, self.dtype = X, dtype
        self.compact: Array | None = None
        self.X1: Array | None = None
        self.buffer = self._empty(0)
        self.wide_columns: Array | None = None
        size = X.shape[0] * self.expansion.n_compact * dtype.itemsize
        if not lives_on_disk(X) and size < LARGE:
            compact = self._compress_all()
            self.wide_columns = self.expansion.wide_columns(compact.T)
            if X.shape[0] * self.expansion.n_dense * dtype.itemsize < LARGE:
                self.X1 = self._expand_all(compact)
            else:
                self.compact = compact

    def take(self, index: Index) -> Inputs:
        """The rows at `index`; valid until the next call."""
        compact = self._compact(index) if self.X1 is None else None
        dense = self._dense(index, compact)
        if not self.expansion.n_wide:
            return dense
        if self.wide_columns is not None:
            columns = rows_of(self.wide_columns, index)
        else:
            assert compact is not None
            columns = self.expansion.wide_columns(compact)
        return MixedInputs(dense, OneHot(columns, self.expansion.n_wide))

    def lighter(self) -> "EncodedSource":
        """The same without the rows as they were given, where compact ones are kept."""
        lighter = self.alone()
        if self.X1 is not None or self.compact is not None:
            lighter.X = gone(self.X)
        return lighter

    def part(self, index: Array) -> "EncodedSource":
        """Some of the rows."""
        part = self.alone()
        part.X = subset(self.X, index)
        part.compact = None if self.compact is None else self.compact[index]
        part.X1 = None if self.X1 is None else self.X1[index]
        part.wide_columns = None if self.wide_columns is None else self.wide_columns[index]
        return part

    def alone(self) -> "EncodedSource":
        """The same rows for a run at the same time as others, which has a buffer of its own."""
        alone = copy(self)
        alone.buffer = self._empty(0)
        return alone

    def _dense(self, index: Index, compact: Array | None) -> DenseInputs:
        """The columns that are written out."""
        if self.X1 is not None:
            return DenseInputs(rows_of(self.X1, index))
        assert compact is not None
        if compact.shape[1] > self.buffer.shape[1]:
            self.buffer = self._empty(compact.shape[1])
        # a whole buffer is contiguous, a part of its columns would not be
        whole = compact.shape[1] == self.buffer.shape[1]
        out = self.buffer if whole else self._empty(compact.shape[1])
        self.expansion.expand(compact, out[:-1])
        return DenseInputs(out.T)

    def _compact(self, index: Index) -> Array:
        """Compact rows, each number of theirs along memory."""
        if self.compact is None:
            return self.expansion.compress(self.X[index])
        if isinstance(index, slice):
            return np.ascontiguousarray(self.compact[index].T)
        # rows lie together where they are kept, as they are taken from far apart
        return np.ascontiguousarray(self.compact.take(index, axis=0, mode="clip").T)

    def _compress_all(self) -> Array:
        """(n_rows, n_compact)."""
        n_rows = self.X.shape[0]
        compact = np.empty((n_rows, self.expansion.n_compact), self.dtype)
        size = rows_per_block(self.X.shape[1])
        for start in range(0, n_rows, size):
            block = slice(start, min(start + size, n_rows))
            self.expansion.compress(self.X[block], compact[block].T)
        return compact

    def _expand_all(self, compact: Array) -> Array:
        """All dense columns and a column of ones."""
        n_rows, n_dense = self.X.shape[0], self.expansion.n_dense
        X1 = np.ones((n_rows, n_dense + 1), self.dtype)
        size = rows_per_block(n_dense)
        for start in range(0, n_rows, size):
            block = compact[start : start + size].T
            dense = np.empty((n_dense, block.shape[1]), self.dtype)
            self.expansion.expand(block, dense)
            X1[start : start + size, :-1] = dense.T
        return X1

    def _empty(self, n_rows: int) -> Array:
        """Dense columns and a row of ones behind them, rows last in memory."""
        return np.ones((self.expansion.n_dense + 1, n_rows), self.dtype)
