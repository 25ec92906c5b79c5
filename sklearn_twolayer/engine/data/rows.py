"""Map and reduce over rows, wherever they live: ``reduce`` sums a kernel over all of them.

``ArrayRows`` keeps them in this process; whatever else offers `n_rows`, `sum_weights` and
``reduce`` serves a full-batch solver just as well.
"""

from collections.abc import Callable, Iterator
from copy import copy
from hashlib import blake2b
from typing import Any

import numpy as np
from scipy import sparse

from ..numerics import Array
from .encoded import EncodedSource
from .encoding import Encoding
from .inputs import Inputs
from .scaling import Scaling
from .sources import Index, Source, rows_of, source

Kernel = Callable[[Array, Inputs, Array, Any], tuple]


class ArrayRows:
    """Inputs, targets and weights as arrays; sums are taken block by block.

    Weights may be in units of their mean; a weight of one then counts as `copies` copies of the
    row, wherever that matters.
    """

    def __init__(
        self,
        X: Array,
        Y: Array,
        weights: Array | None = None,
        scaling: Scaling | None = None,
        dtype: Any = np.float64,
        block_size: int = 1024,
        copies: float = 1.0,
        encoding: Encoding | None = None,
        fill: Array | None = None,
    ):
        self.source: Source | EncodedSource
        if encoding is None or fill is None:
            self.source = source(X, scaling, np.dtype(dtype))
        else:
            self.source = EncodedSource(X, encoding, scaling, fill, np.dtype(dtype))
        self.Y = Y
        if np.issubdtype(Y.dtype, np.floating):
            if scaling is not None:
                Y = (Y - scaling.Y_offset) / scaling.Y_scale
            self.Y = Y.astype(dtype, copy=False)
        self.weights = None if weights is None else weights.astype(dtype, copy=False)
        self.n_rows: int = X.shape[0]
        self.sum_weights = float(self.n_rows if weights is None else weights.sum(dtype=np.float64))
        self.block_size, self.copies = block_size, copies
        self.are_uncorrelated = False  # their columns: true of coordinates in a space of their own

    def weights_of_rows(self) -> Array:
        """In double precision, relative to their mean."""
        if self.weights is None:
            return np.ones(self.n_rows)
        return self.weights.astype(np.float64)

    def part(self, index: Array) -> "ArrayRows":
        """Some of the rows, gathered once; scaled and weighted as they are here."""
        part = copy(self)
        part.source, part.Y, part.n_rows = self.source.part(index), self.Y[index], len(index)
        part.sum_weights, part.are_uncorrelated = float(part.n_rows), False
        if self.weights is not None:
            part.weights = self.weights[index]
            part.sum_weights = float(part.weights.sum(dtype=np.float64))
        return part

    def alone(self) -> "ArrayRows":
        """The same rows for a run at the same time as others."""
        alone = copy(self)
        alone.source = self.source.alone()
        return alone

    def reduce(self, kernel: Kernel, theta: Array) -> list:
        """``kernel(theta, X, Y, w)`` summed over blocks of rows; it returns a tuple of sums."""
        totals: list = []
        for X, Y, w in self.blocks():
            part = kernel(theta, X, Y, 1.0 if w is None else w)
            if not totals:
                totals = [np.array(p) for p in part]
            else:
                for total, p in zip(totals, part, strict=True):
                    total += p
        return totals

    def blocks(self) -> Iterator[tuple[Inputs, Array, Array | None]]:
        """All rows in order."""
        for start in range(0, self.n_rows, self.block_size):
            yield self.take(slice(start, start + self.block_size))

    def take(self, index: Index) -> tuple[Inputs, Array, Array | None]:
        """The rows at `index`: inputs, targets, weights (None: all one)."""
        w = None if self.weights is None else rows_of(self.weights, index)
        return self.source.take(index), rows_of(self.Y, index), w

    def targets(self) -> tuple[Array, Array]:
        """Those of all rows, in double precision, and how many copies each row stands for."""
        weights = np.ones(self.n_rows) if self.weights is None else self.weights.astype(np.float64)
        Y = self.Y.astype(np.float64) if self.Y.dtype.kind == "f" else self.Y
        return Y, weights * self.copies


def merge_equal_rows(
    X: Array, Y: Array, weights: Array | None
) -> tuple[Array, Array, Array | None]:
    """Equal rows become one that carries their weights, in an order of its own.

    A sum over all rows does not need them apart. Without this, k copies and weight k differ in
    the last bit, which a long non-convex search amplifies; with it they are the same problem,
    in any order of the rows, and a bootstrap sample costs a third less.
    """
    # found by digests rather than by values: one key for any dtype and storage
    keys = np.array([_digest(X, Y, i) for i in range(X.shape[0])])
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    merged = np.bincount(inverse, weights).astype(np.float64)
    unweighted = weights is None and len(first) == X.shape[0]
    order = _order(X[first], Y[first], merged)
    first = first[order]
    return X[first], Y[first], None if unweighted else merged[order]


def _order(X: Any, Y: Array, weights: Array) -> Array:
    """Rows sorted by a random combination of their columns, in units of their deviations.

    An order that neither that of the rows nor the units of columns have a part in.
    """
    columns = [_deviations(X, weights), _deviations(Y.reshape(len(Y), -1), weights)]
    random_state, sums = np.random.RandomState(0), np.zeros(X.shape[0])
    for block in columns:
        sums += block @ random_state.standard_normal(block.shape[1])
    return np.argsort(sums, kind="stable")


def _deviations(X: Any, weights: Array) -> Any:
    """Columns by their weighted deviations; 0 where one is missing."""
    normalized = weights / weights.sum()
    if sparse.issparse(X):
        squares = normalized @ X.power(2)
        scale = np.sqrt(np.where(squares > 0, squares, 1))
        return sparse.csr_array(X / scale)
    X = X.astype(np.float64)
    known = ~np.isnan(X)
    total = np.maximum(normalized @ known, np.finfo(np.float64).tiny)
    X = np.where(known, X, 0) - (normalized @ np.where(known, X, 0)) / total
    X[~known] = 0
    variance = (normalized @ X**2) / total
    usable = np.isfinite(variance) & (variance > 0)
    with np.errstate(all="ignore"):
        return np.where(usable, X / np.sqrt(np.where(usable, variance, 1)), 0)


def _digest(X: Any, Y: Array, i: int) -> str:
    digest = blake2b(Y[i].tobytes(), digest_size=16)
    if sparse.issparse(X):
        stored = slice(X.indptr[i], X.indptr[i + 1])
        digest.update(X.indices[stored].tobytes())
        digest.update(X.data[stored].tobytes())
    else:
        digest.update(X[i].tobytes())
    return digest.hexdigest()
