"""Input rows, however they are stored, multiplied with the first layer.

A *source* holds all rows and hands out some of them: ``take(index)``. What it hands out knows
two products, ``forward``: Z1 = [X, 1] layer1, and ``backward``: [X, 1]' D1, and nothing else.
Both see X in standardised coordinates.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from .numerics import Array
from .scaling import ROWS_PER_BLOCK, Scaling

Index = slice | np.ndarray


class Inputs(Protocol):
    """Some rows of X."""

    @property
    def n_rows(self) -> int:
        """How many."""
        ...

    def forward(self, layer1: Array, out: Array) -> None:
        """Write Z1 = [X, 1] layer1 into `out`, an array in Fortran order."""
        ...

    def backward(self, D1: Array, out: Array) -> None:
        """Write [X, 1]' D1 into `out`."""
        ...


@dataclass(frozen=True)
class DenseInputs:
    """Rows with a column of ones behind them, which makes the bias part of the product."""

    X1: Array

    @property
    def n_rows(self) -> int:
        return len(self.X1)

    def forward(self, layer1: Array, out: Array) -> None:
        # np.dot writes in C order only: the transposed product fills a Fortran array
        np.dot(layer1.T, self.X1.T, out=out.T)

    def backward(self, D1: Array, out: Array) -> None:
        np.dot(self.X1.T, D1, out=out)


@dataclass(frozen=True)
class SparseInputs:
    """CSR rows X / scale, never centred: `offset` = mean / scale travels in the bias."""

    X: sparse.csr_array
    offset: Array | None

    @property
    def n_rows(self) -> int:
        return int(self.X.shape[0])

    def forward(self, layer1: Array, out: Array) -> None:
        W1, b1 = layer1[:-1], layer1[-1]
        bias = b1 if self.offset is None else b1 - self.offset @ W1
        np.add(self.X @ W1, bias, out=out)

    def backward(self, D1: Array, out: Array) -> None:
        gradient_W1, gradient_b1 = out[:-1], out[-1]
        np.sum(D1, axis=0, out=gradient_b1)
        gradient_W1[:] = self.X.T @ D1
        if self.offset is not None:
            gradient_W1 -= np.outer(self.offset, gradient_b1)


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
        return self.X[self.rows[index]]


def subset(X: Any, rows: Array) -> Any:
    """The given rows of X, without a copy where X is dense."""
    return X[rows] if sparse.issparse(X) else Subset(X, rows)


def lives_on_disk(X: Any) -> bool:
    """Whether the rows of X are mapped from a file."""
    while X is not None:
        if isinstance(X, np.memmap):
            return True
        X = X.X if isinstance(X, Subset) else getattr(X, "base", None)
    return False


class DenseSource:
    """Dense rows: standardised once in memory, or block by block where they live on disk."""

    def __init__(self, X: Array | Subset, scaling: Scaling | None, dtype: np.dtype):
        self.X, self.dtype = X, dtype
        self.scaling = scaling
        self.buffer = self._rows_with_ones(0)
        self.X1 = None
        if scaling is not None and not lives_on_disk(X):
            self.X1 = self._rows_with_ones(X.shape[0])
            self._load(np.s_[:], self.X1)

    def take(self, index: Index) -> DenseInputs:
        """The rows at `index`; valid until the next call."""
        if isinstance(index, slice):
            if self.X1 is not None:
                return DenseInputs(self.X1[index])
            out = self._buffer(len(range(self.X.shape[0])[index]))
        else:
            out = self._buffer(len(index))
            if self.X1 is not None:
                np.take(self.X1, index, axis=0, out=out, mode="clip")
                return DenseInputs(out)
        self._load(index, out)
        return DenseInputs(out)

    def _buffer(self, n_rows: int) -> Array:
        if n_rows > len(self.buffer):
            self.buffer = self._rows_with_ones(n_rows)
        return self.buffer[:n_rows]

    def _load(self, index: Index, out: Array) -> None:
        columns = out[:, :-1]
        if self.scaling is None:
            columns[:] = self.X[index]
        else:
            # centred in float64: a large mean would cost float32 its digits
            rows = np.arange(self.X.shape[0])[index]
            for start in range(0, len(out), ROWS_PER_BLOCK):
                part = slice(start, start + ROWS_PER_BLOCK)
                block = self.X[rows[part]] - self.scaling.X.mean
                block /= self.scaling.X.scale
                columns[part] = block

    def _rows_with_ones(self, n_rows: int) -> Array:
        X1 = np.empty((n_rows, self.X.shape[1] + 1), dtype=self.dtype)
        X1[:, -1] = 1
        return X1


class SparseSource:
    """CSR rows, their columns divided by the scale in one copy."""

    def __init__(self, X: sparse.csr_array, scaling: Scaling | None, dtype: np.dtype):
        self.offset = None
        self.X = X.astype(dtype, copy=False)
        if scaling is not None:
            data = X.data / scaling.X.scale[X.indices]
            self.X = type(X)((data.astype(dtype, copy=False), X.indices, X.indptr), shape=X.shape)
            self.offset = (scaling.X.mean / scaling.X.scale).astype(dtype)

    def take(self, index: Index) -> SparseInputs:
        """The rows at `index`."""
        return SparseInputs(self.X[index], self.offset)


def source(X: Array, scaling: Scaling | None, dtype: np.dtype) -> DenseSource | SparseSource:
    """The source that fits how X is stored."""
    return (SparseSource if sparse.issparse(X) else DenseSource)(X, scaling, dtype)
