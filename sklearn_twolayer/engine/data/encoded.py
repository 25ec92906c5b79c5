"""Encoded rows: original columns of X seen through their encoding, for training and prediction."""

from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from ..numerics import Array
from .encoding import Encoding
from .expansion import Expansion
from .inputs import DenseInputs, Inputs, MixedInputs
from .scaling import Moments, Scaling, moments, no_moments, rows_per_block
from .sources import LARGE, Index, Subset, bound, lives_on_disk, subset


def encoded_moments(X: Any, weights: Array | None, encoding: Encoding) -> Moments:
    """Mean and deviation of encoded columns; those of increments and levels are not divided.

    The means of increments are where they are centred, and levels are not: a level that was not met
    in training is zero. A column's missing values count as its mean.
    """
    n = int(encoding.sizes.sum())
    mean, deviation = np.zeros(n), np.ones(n)
    total, measured = X.shape[0] if weights is None else weights.sum(), no_moments(1)
    for column in np.flatnonzero(~encoding.is_category):
        x, start = X[:, column], encoding.starts[column]
        present = np.flatnonzero(~np.isnan(x))
        w = None if weights is None else weights[present]
        mean[start], deviation[start] = 0.0, 0.0
        if len(present):
            measured = moments(x[present][:, None], w)
            fraction = float((len(present) if w is None else w.sum()) / total)
            mean[start], deviation[start] = measured.mean[0], measured.deviation[0] * fraction**0.5
        centres = encoding.centres[column]
        mean[start + 1 : start + 1 + len(centres)] = centres
    return replace(measured, mean=mean, deviation=deviation)


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

    def __getitem__(self, index: Any) -> Any:
        """Rows (n_rows, n_encoded): dense, or CSR where a category has many levels."""
        expansion = self.expansion
        with np.errstate(all="ignore"):
            compact = expansion.compress(self.X[index])
            dense = np.empty((expansion.n_dense, compact.shape[1]), self.dtype)
            expansion.expand(compact, dense)
            if not expansion.n_wide:
                return dense.T
            parts = [sparse.csr_array(dense.T), expansion.expand_wide(compact)]
            return sparse.csr_array(sparse.hstack(parts, format="csr"))


class EncodedSource:
    """Rows for training. Compact ones are kept, and expanded in memory only where that is little.

    Rows that live on disk are read and compressed anew whenever they are asked for.
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
        if not lives_on_disk(X):
            self.compact = self._compress_all()
            if X.shape[0] * self.expansion.n_dense * dtype.itemsize < LARGE:
                self.X1 = self._expand_all()

    def take(self, index: Index) -> Inputs:
        """The rows at `index`; valid until the next call."""
        dense, compact = self._dense(index)
        if not self.expansion.n_wide:
            return dense
        compact = self._compact(index) if compact is None else compact
        return MixedInputs(dense, self.expansion.expand_wide(compact))

    def part(self, index: Array) -> "EncodedSource":
        """Some of the rows."""
        part = copy(self)
        part.X, part.buffer = subset(self.X, index), self._empty(0)
        part.compact = None if self.compact is None else self.compact[:, index]
        part.X1 = None if self.X1 is None else self.X1[index]
        return part

    def _dense(self, index: Index) -> tuple[DenseInputs, Array | None]:
        """Columns that are written out, and the compact rows if they were needed for it."""
        if self.X1 is not None:
            if isinstance(index, slice):
                return DenseInputs(self.X1[index]), None
            return DenseInputs(np.take(self.X1, index, axis=0, mode="clip")), None
        compact = self._compact(index)
        if compact.shape[1] > self.buffer.shape[1]:
            self.buffer = self._empty(compact.shape[1])
        if compact.shape[1] == self.buffer.shape[1]:
            out = self.buffer
        else:
            out = self._empty(compact.shape[1])
        self.expansion.expand(compact, out[:-1])
        return DenseInputs(out.T), compact

    def _compact(self, index: Index) -> Array:
        if self.compact is None:
            return self.expansion.compress(self.X[index])
        if isinstance(index, slice):
            return self.compact[:, index]
        return np.take(self.compact, index, axis=1, mode="clip")

    def _compress_all(self) -> Array:
        n_rows = self.X.shape[0]
        compact = np.empty((self.expansion.n_compact, n_rows), self.dtype)
        size = rows_per_block(self.X.shape[1])
        for start in range(0, n_rows, size):
            block = slice(start, min(start + size, n_rows))
            self.expansion.compress(self.X[block], compact[:, block])
        return compact

    def _expand_all(self) -> Array:
        assert self.compact is not None
        n_rows, n_dense = self.X.shape[0], self.expansion.n_dense
        X1 = np.ones((n_rows, n_dense + 1), self.dtype)
        size = rows_per_block(n_dense)
        for start in range(0, n_rows, size):
            compact = self.compact[:, start : start + size]
            dense = np.empty((n_dense, compact.shape[1]), self.dtype)
            self.expansion.expand(compact, dense)
            X1[start : start + size, :-1] = dense.T
        return X1

    def _empty(self, n_rows: int) -> Array:
        """Dense columns and a row of ones behind them, rows last in memory."""
        return np.ones((self.expansion.n_dense + 1, n_rows), self.dtype)
