"""Some rows of the design matrix X, however they are stored, multiplied with the first layer.

They know two products, ``forward``: Z1 = [X, 1] layer1, and ``backward``: [X, 1]' D1, and the
same two, without the ones, for a path that skips the hidden layer. All see X in standardised
coordinates.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import sparse

from ..numerics import Array
from .one_hot import OneHot


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

    def times(self, factors: Array) -> "Inputs | None":
        """[X, 1] with each row multiplied by its factor (n_rows, 1); None where X is sparse."""
        ...

    def add_skip(self, W0: Array, out: Array) -> None:
        """Add X W0 to `out`."""
        ...

    def backward_skip(self, D2: Array, out: Array) -> None:
        """Write X' D2 into `out`."""
        ...

    def with_ones(self) -> Array:
        """[X, 1] as one dense array in float64."""
        ...

    def parts(self, n: int) -> "tuple[Array, Squares]":
        """[X, 1] of the first n columns, dense and in float64, and the squares of the others."""
        ...


@dataclass(frozen=True)
class Squares:
    """x^2 of some columns in float64: `varying`, maybe sparse, and `constant` in each row."""

    varying: Array | sparse.csr_array
    constant: Array | None = None

    def times(self, W: Array) -> Array:
        """The product with W (n_columns, n)."""
        product = self.varying @ W
        return product if self.constant is None else product + self.constant @ W

    def stored(self) -> tuple[Array | slice, Array | sparse.csr_array]:
        """The columns in which anything varies at all, and what varies in these."""
        is_dense = isinstance(self.varying, np.ndarray)
        return (slice(None), self.varying) if is_dense else _stored_columns(self.varying)

    def sums(self, w: Array) -> Array:
        """The sum of each column, rows weighted by w."""
        sums = self.varying.T @ w
        return sums if self.constant is None else sums + w.sum() * self.constant


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

    def times(self, factors: Array) -> "DenseInputs":
        return DenseInputs(self.X1 * factors)

    def add_skip(self, W0: Array, out: Array) -> None:
        out += self.X1[:, :-1] @ W0

    def backward_skip(self, D2: Array, out: Array) -> None:
        np.dot(self.X1[:, :-1].T, D2, out=out)

    def with_ones(self) -> Array:
        return self.X1.astype(np.float64, copy=False)

    def parts(self, n: int) -> tuple[Array, Squares]:
        return _parts(self.with_ones(), n)


@dataclass(frozen=True)
class PlainInputs:
    """Rows of the caller's own array: no room for a column of ones."""

    X: Array

    @property
    def n_rows(self) -> int:
        return len(self.X)

    def forward(self, layer1: Array, out: Array) -> None:
        np.dot(layer1[:-1].T, self.X.T, out=out.T)
        np.add(out, layer1[-1], out=out)

    def backward(self, D1: Array, out: Array) -> None:
        np.dot(self.X.T, D1, out=out[:-1])
        np.sum(D1, axis=0, out=out[-1])

    def times(self, factors: Array) -> DenseInputs:
        X1 = np.empty((len(self.X), self.X.shape[1] + 1), self.X.dtype)
        np.multiply(self.X, factors, out=X1[:, :-1])
        X1[:, -1:] = factors
        return DenseInputs(X1)

    def add_skip(self, W0: Array, out: Array) -> None:
        out += self.X @ W0

    def backward_skip(self, D2: Array, out: Array) -> None:
        np.dot(self.X.T, D2, out=out)

    def with_ones(self) -> Array:
        return _beside_ones(self.X)

    def parts(self, n: int) -> tuple[Array, Squares]:
        return _parts(self.with_ones(), n)


@dataclass(frozen=True)
class SparseInputs:
    """CSR rows X / scale, never centred: `offset` = mean / scale travels in the bias.

    Compact rows have hardly a column that is not stored.
    """

    X: sparse.csr_array
    offset: Array | None
    is_compact: bool = False

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
        if self.offset is None:
            gradient_W1.fill(0)
        else:
            np.multiply(self.offset[:, None], -gradient_b1, out=gradient_W1)
        if self.is_compact:
            gradient_W1 += self.X.T @ D1
        else:
            stored, compact = self.compact()
            gradient_W1[stored] += compact.X.T @ D1

    def times(self, factors: Array) -> None:
        return None

    def compact(self) -> tuple[Array, "SparseInputs"]:
        """The columns that are stored at all, and the rows with no other column, not centred."""
        stored, compact = _stored_columns(self.X)
        return stored, SparseInputs(compact, None, is_compact=True)

    def add_skip(self, W0: Array, out: Array) -> None:
        out += self.X @ W0
        if self.offset is not None:
            out -= self.offset @ W0

    def backward_skip(self, D2: Array, out: Array) -> None:
        out[:] = self.X.T @ D2
        if self.offset is not None:
            out -= np.outer(self.offset, D2.sum(axis=0))

    def with_ones(self) -> Array:
        X1 = _beside_ones(self.X.toarray())
        if self.offset is not None:
            X1[:, :-1] -= self.offset
        return X1

    def parts(self, n: int) -> tuple[Array, Squares]:
        offset = None if self.offset is None else self.offset.astype(np.float64)
        joint = SparseInputs(self.X[:, :n], None if offset is None else offset[:n])
        others = self.X[:, n:].astype(np.float64)
        squares = others.data**2
        if offset is None:
            return joint.with_ones(), Squares(_like(others, squares))
        # (x - offset)^2 is offset^2 where nothing is stored
        squares -= 2 * others.data * offset[n:][others.indices]
        return joint.with_ones(), Squares(_like(others, squares), offset[n:] ** 2)


@dataclass(frozen=True)
class MixedInputs:
    """Dense columns and, behind them, those of categories of many levels, which stay sparse."""

    dense: DenseInputs
    levels: OneHot

    @property
    def n_rows(self) -> int:
        return self.dense.n_rows

    @property
    def _X(self) -> Array:
        """The dense columns alone."""
        return self.dense.X1[:, :-1]

    def forward(self, layer1: Array, out: Array) -> None:
        n_dense = self._X.shape[1]
        of_dense = np.concatenate([layer1[:n_dense], layer1[-1:]])
        self.dense.forward(of_dense, out)
        out += self.levels.times(layer1[n_dense:-1])

    def backward(self, D1: Array, out: Array) -> None:
        of_dense = np.dot(self.dense.X1.T, D1)
        n_dense = len(of_dense) - 1
        out[:n_dense], out[-1] = of_dense[:-1], of_dense[-1]
        out[n_dense:-1] = self.levels.transposed_times(D1)

    def times(self, factors: Array) -> None:
        return None

    def compact(self) -> tuple[Array, "MixedInputs"]:
        """The columns that have a number in some row, and the rows with no other column."""
        n_dense = self._X.shape[1]
        stored, levels = self.levels.compact()
        columns = np.concatenate([np.arange(n_dense), n_dense + stored])
        return columns, MixedInputs(self.dense, levels)

    def add_skip(self, W0: Array, out: Array) -> None:
        n_dense = self._X.shape[1]
        out += self._X @ W0[:n_dense]
        out += self.levels.times(W0[n_dense:])

    def backward_skip(self, D2: Array, out: Array) -> None:
        n_dense = self._X.shape[1]
        out[:n_dense] = self._X.T @ D2
        out[n_dense:] = self.levels.transposed_times(D2)

    def with_ones(self) -> Array:
        X = self._X
        return _beside_ones(np.concatenate([X, self.levels.matrix(X.dtype).toarray()], axis=1))

    def parts(self, n: int) -> tuple[Array, Squares]:
        X, levels = self._X, self.levels.matrix(np.dtype(np.float64))
        assert n <= X.shape[1], "levels of wide categories are never written out"
        others = sparse.csr_array(np.square(X[:, n:], dtype=np.float64))
        return _beside_ones(X[:, :n]), Squares(sparse.csr_array(sparse.hstack([others, levels])))


def _parts(X1: Array, n: int) -> tuple[Array, Squares]:
    """Of dense rows with a column of ones: without a copy where all columns are among the first."""
    n_columns = X1.shape[1] - 1
    joint = X1 if n == n_columns else np.concatenate([X1[:, :n], X1[:, -1:]], axis=1)
    return joint, Squares(np.square(X1[:, n:-1]))


def _like(X: sparse.csr_array, data: Array) -> sparse.csr_array:
    """Other numbers in the same places."""
    return sparse.csr_array((data, X.indices, X.indptr), shape=X.shape)


def _stored_columns(X: sparse.csr_array) -> tuple[Array, sparse.csr_array]:
    """The columns that are stored at all, and X with no other column.

    A few rows have few of the columns, and products become as small as these.
    """
    stored, position = np.unique(X.indices, return_inverse=True)
    shape = (X.shape[0], len(stored))
    return stored, sparse.csr_array((X.data, position, X.indptr), shape=shape)


def _beside_ones(X: Array) -> Array:
    return np.concatenate([X, np.ones((len(X), 1))], axis=1, dtype=np.float64)
