"""All rows of the design matrix X, in memory or on disk: ``take(index)`` hands out some of them.

Rows are standardised once in memory, or block by block as they are read.
"""

from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from ..numerics import Array
from .inputs import DenseInputs, Inputs, PlainInputs, SparseInputs
from .moments import rows_per_block
from .scaling import Scaling

Index = slice | np.ndarray


def split(index: Index, n_rows: int, size: int) -> list[tuple[Index, int]]:
    """Parts of `index` into `n_rows` rows, about equal, of at most `size` rows; their lengths."""
    start, stop, _ = (
        index.indices(n_rows) if isinstance(index, slice) else slice(None).indices(len(index))
    )
    if stop - start <= size:
        return [(index, stop - start)]
    size = -(-(stop - start) // -(-(stop - start) // size))
    ends = [(a, min(a + size, stop)) for a in range(start, stop, size)]
    if isinstance(index, slice):
        return [(slice(a, b), b - a) for a, b in ends]
    return [(index[a:b], b - a) for a, b in ends]


def rows_of(array: Array, index: Index) -> Array:
    """The rows of an array at `index`."""
    # twice as fast as an index in brackets, where there are two dimensions
    return array[index] if isinstance(index, slice) else array.take(index, axis=0, mode="clip")


@dataclass(frozen=True)
class Subset:
    """Some rows of a dense X, not yet read: they are gathered when they are asked for."""

    X: Array
    rows: Array

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.rows), self.X.shape[1]

    @property
    def dtype(self) -> np.dtype:
        return self.X.dtype

    def __getitem__(self, index: Any) -> Array:
        rows, *columns = index if isinstance(index, tuple) else (index,)
        return self.X[(self.rows[rows], *columns)]


def gone(X: Array | Subset) -> Array:
    """What stands for rows that nobody will ask for again: as wide as they, and none."""
    return np.empty((0, X.shape[1]), X.dtype)


def subset(X: Any, rows: Array) -> Any:
    """The given rows of X, without a copy where X is dense."""
    if sparse.issparse(X):
        return X[rows]
    return Subset(X.X, X.rows[rows]) if isinstance(X, Subset) else Subset(X, rows)


def lives_on_disk(X: Any) -> bool:
    """Whether the rows of X are mapped from a file."""
    while X is not None:
        if isinstance(X, np.memmap):
            return True
        X = X.X if isinstance(X, Subset) else getattr(X, "base", None)
    return False


LARGE = 2**26
"""Bytes of X from which on a copy costs more than the few per cent of time it may save."""


class DenseSource:
    """Dense rows, read as they are, standardised block by block, or standardised in memory.

    Large rows that need no change but of precision are never copied as a whole. Others are copied
    once, if only for the column of ones, unless they live on disk, where they are changed as they
    are read.
    """

    def __init__(self, X: Array | Subset, scaling: Scaling | None, dtype: np.dtype):
        self.X, self.scaling, self.dtype = X, scaling, dtype
        if scaling is not None:
            self.inverse_scale, self.bound = 1 / scaling.X.scale, bound(dtype)
        self.X1: Array | None = None
        large = X.shape[0] * X.shape[1] * X.dtype.itemsize >= LARGE
        self.as_it_is = large and (scaling is None or scaling.X.are_standard())
        self.buffer, self.gathered = self._empty(0), np.empty((0, X.shape[1]), X.dtype)
        if not self.as_it_is and not lives_on_disk(X):
            self.X1 = self._empty(X.shape[0])
            self._load(slice(0, X.shape[0]), self.X1)

    def take(self, index: Index) -> Inputs:
        """The rows at `index`; valid until the next call."""
        if isinstance(index, slice):
            if self.X1 is not None:
                return DenseInputs(self.X1[index])
            if self.as_it_is and self.X.dtype == self.dtype:
                return PlainInputs(self.X[index])
            index = np.arange(*index.indices(self.X.shape[0]))
        out = self._rows_of_buffer(len(index))
        if self.X1 is not None:
            np.take(self.X1, index, axis=0, out=out, mode="clip")
        elif self.as_it_is:
            X, rows = (
                (self.X.X, self.X.rows[index]) if isinstance(self.X, Subset) else (self.X, index)
            )
            # np.take is fast into contiguous rows only
            gathered = self.gathered[: len(index)]
            out[:, :-1] = np.take(X, rows, axis=0, out=gathered, mode="clip")
        else:
            self._load(index, out)
        return DenseInputs(out)

    def part(self, index: Array) -> "DenseSource":
        """Some of the rows: copied if they are in memory, else gathered when they are read."""
        part = self.alone()
        part.X = subset(self.X, index)
        part.X1 = None if self.X1 is None else self.X1[index]
        return part

    def lighter(self) -> "DenseSource":
        """The same without the rows as they were given, where there is a copy that is scaled."""
        lighter = self.alone()
        if self.X1 is not None:
            lighter.X = gone(self.X)
        return lighter

    def alone(self) -> "DenseSource":
        """The same rows for a run at the same time as others, which has buffers of its own."""
        alone = copy(self)
        alone.buffer, alone.gathered = self._empty(0), np.empty((0, self.X.shape[1]), self.X.dtype)
        return alone

    def _load(self, index: Index, out: Array) -> None:
        """Standardise rows into `out`, in float64: a large mean would cost float32 its digits."""
        parts = split(index, self.X.shape[0], rows_per_block(self.X.shape[1]))
        stop = 0
        for part, size in parts:
            start, stop = stop, stop + size
            columns = out[start:stop, :-1]
            if self.scaling is None:
                columns[:] = self.X[part]
            else:
                columns[:] = self._standardized(part, self.scaling)

    def _standardized(self, part: Index, scaling: Scaling) -> Array:
        """Those rows in float64; what is too far out is drawn in."""
        with np.errstate(over="ignore", invalid="ignore"):
            block = self.X[part] - scaling.X.mean
            block *= self.inverse_scale
            if block.max(initial=0) <= self.bound and block.min(initial=0) >= -self.bound:
                return block
            farthest = _farthest(scaling, self.dtype)
            return np.clip(self.X[part] - scaling.X.mean, -farthest, farthest) * self.inverse_scale

    def _empty(self, n_rows: int) -> Array:
        """Rows to write to, with a column of ones."""
        return np.ones((n_rows, self.X.shape[1] + 1), dtype=self.dtype)

    def _rows_of_buffer(self, n_rows: int) -> Array:
        if n_rows > len(self.buffer):
            self.buffer = self._empty(n_rows)
            if self.as_it_is:
                self.gathered = np.empty((n_rows, self.X.shape[1]), self.X.dtype)
        return self.buffer[:n_rows]


class SparseSource:
    """CSR rows, their columns divided by the scale in one copy."""

    def __init__(self, X: sparse.csr_array, scaling: Scaling | None, dtype: np.dtype):
        self.offset, self.dtype = None, dtype
        self.X = X.astype(dtype, copy=False)
        if scaling is not None:
            # never centred: the larger the offset of a column, the fewer digits float32 leaves it
            farthest = _farthest(scaling, dtype)[X.indices]
            data = np.clip(X.data, -farthest, farthest) / scaling.X.scale[X.indices]
            self.X = type(X)((data.astype(dtype, copy=False), X.indices, X.indptr), shape=X.shape)
            self.offset = (scaling.X.mean / scaling.X.scale).astype(dtype)

    def part(self, index: Array) -> "SparseSource":
        """Some of the rows."""
        part = copy(self)
        part.X = self.X[index]
        return part

    def lighter(self) -> "SparseSource":
        """The same rows: those given are not kept."""
        return self

    def alone(self) -> "SparseSource":
        """The same rows: there are no buffers."""
        return self

    def n_stored_in(self, n_rows: int) -> float:
        """How many columns so many rows store on average."""
        absent = 1 - np.bincount(self.X.indices) / self.X.shape[0]
        return float((1 - np.maximum(absent, 0) ** n_rows).sum())

    def take(self, index: Index) -> SparseInputs:
        """The rows at `index`."""
        return SparseInputs(self.X[index], self.offset)


def bound(dtype: np.dtype) -> float:
    """How many deviations from the mean a row may be: products of three such numbers are finite.

    Training rows are never as far; of others it is enough to know that they are very far.
    """
    return float(np.finfo(dtype).max) ** (1 / 3)


def _farthest(scaling: Scaling, dtype: np.dtype) -> Array:
    """The same for each column, in its own units."""
    return np.minimum(bound(dtype) * scaling.X.scale, np.finfo(np.float64).max)


Source = DenseSource | SparseSource


def source(X: Array, scaling: Scaling | None, dtype: np.dtype) -> Source:
    """The source that fits how X is stored."""
    return (SparseSource if sparse.issparse(X) else DenseSource)(X, scaling, dtype)
