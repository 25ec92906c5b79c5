"""Map and reduce over rows, wherever they live: ``reduce`` sums a kernel over all of them.

``ArrayRows`` keeps them in this process; whatever else is `Rows` serves a fit just as well.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from ..numerics import Array
from .encoded import EncodedSource
from .encoding import Encoding
from .inputs import Inputs
from .scaling import Scaling
from .sources import Index, Source, SparseSource, rows_of, source, split

Kernel = Callable[[Array, Inputs, Array, Any], tuple]


class Rows(Protocol):
    """Scaled rows, of which a fit wants sums, some of them, and what mini-batches tell.

    Weights may be in units of their mean; a weight of one then counts as `copies` copies of the
    row, wherever that matters. `block_size` rows are computed with at a time.
    `are_uncorrelated` is true of coordinates in a space of their own, and `can_narrow` where a
    mini-batch is here and may be asked which columns it has.
    """

    n_rows: int
    sum_weights: float
    block_size: int
    copies: float
    are_uncorrelated: bool
    can_narrow: bool

    @property
    def leaves_absent_columns(self) -> bool:
        """Whether columns that a mini-batch does not store have no gradient."""
        ...

    @property
    def n_wide(self) -> int:
        """How many columns, the last ones, are levels of wide categories."""
        ...

    def reduce(self, kernel: Kernel, theta: Array) -> list:
        """``kernel(theta, X, Y, w)`` summed over all rows; it returns a tuple of sums."""
        ...

    def batches(
        self, size: int, shuffle: bool, random_state: np.random.RandomState
    ) -> Iterator[tuple[Any, int]]:
        """Mini-batches of about that size in which each row comes once, and their sizes."""
        ...

    def reduce_batch(self, kernel: Kernel, theta: Array, batch: Any, scale: float) -> list:
        """The same as `reduce` over a mini-batch, weights being multiplied by the scale.

        What it returns is good until the next call.
        """
        ...

    def size_of(self, batch: Any) -> int:
        """How many rows a mini-batch has."""
        ...

    def part(self, index: Array) -> "ArrayRows":
        """Some of the rows, brought to this process; scaled and weighted as they are."""
        ...

    def take(self, index: Index) -> tuple[Inputs, Array, Array | None]:
        """The rows at `index`: inputs, targets, weights (None: all one)."""
        ...

    def of_targets(self, compute: Callable[[Array, Array], Any], by_moments: bool = True) -> Any:
        """``compute(Y, weights)`` of all rows; their mean and deviation may be all it goes by."""
        ...

    def alone(self) -> "Rows":
        """The same rows for a run at the same time as others."""
        ...


class ArrayRows:
    """Inputs, targets and weights as arrays; sums are taken block by block."""

    can_narrow = True

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
        self.are_uncorrelated = False

    @property
    def leaves_absent_columns(self) -> bool:
        return isinstance(self.source, SparseSource) and self.source.offset is None

    @property
    def n_wide(self) -> int:
        return self.source.expansion.n_wide if isinstance(self.source, EncodedSource) else 0

    def of_targets(self, compute: Callable[[Array, Array], Any], by_moments: bool = True) -> Any:
        return compute(self.Y, self.weights_of_rows())

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

    def lighter(self) -> "ArrayRows":
        """The same rows, for sums alone, without what they were made of."""
        lighter = copy(self)
        lighter.source = self.source.lighter()
        return lighter

    @property
    def nbytes(self) -> int:
        """What they take in memory, but for what is shared."""
        parts = [self.Y, self.weights, *vars(self.source).values()]
        return sum(part.nbytes for part in parts if isinstance(part, np.ndarray))

    def alone(self) -> "ArrayRows":
        """The same rows for a run at the same time as others."""
        alone = copy(self)
        alone.source = self.source.alone()
        return alone

    def reduce(self, kernel: Kernel, theta: Array) -> list:
        """``kernel(theta, X, Y, w)`` summed over blocks of rows; it returns a tuple of sums."""
        blocks = self.blocks()
        return _summed(kernel(theta, X, Y, 1.0 if w is None else w) for X, Y, w in blocks)

    def batches(
        self, size: int, shuffle: bool, random_state: np.random.RandomState
    ) -> Iterator[tuple[Index, int]]:
        order = random_state.permutation(self.n_rows) if shuffle and size < self.n_rows else None
        for start in range(0, self.n_rows, size):
            stop = min(start + size, self.n_rows)
            yield (slice(start, stop) if order is None else order[start:stop]), stop - start

    def reduce_batch(self, kernel: Kernel, theta: Array, batch: Index, scale: float) -> list:
        if self.size_of(batch) <= self.block_size:
            return self._reduce_part(kernel, theta, batch, scale)
        # a large batch goes through the processor's cache in parts
        parts = split(batch, self.n_rows, self.block_size)
        return _summed(self._reduce_part(kernel, theta, part, scale) for part, _ in parts)

    def _reduce_part(self, kernel: Kernel, theta: Array, part: Index, scale: float) -> list:
        X, Y, w = self.take(part)
        return list(kernel(theta, X, Y, scale if w is None else w * scale))

    def size_of(self, batch: Index) -> int:
        if isinstance(batch, slice):
            start, stop, _ = batch.indices(self.n_rows)
            return max(stop - start, 0)
        return len(batch)

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


def _summed(parts: Iterable[Sequence]) -> list:
    """Sums of tuples of sums, each of which is good until the next."""
    totals: list = []
    for part in parts:
        if not totals:
            totals = [np.array(p) for p in part]
        else:
            for total, p in zip(totals, part, strict=True):
                total += p
    return totals


def all_here(rows: Rows) -> ArrayRows:
    """The same rows, for what takes each of them; ValueError where they live elsewhere."""
    if isinstance(rows, ArrayRows):
        return rows
    raise ValueError("this loss or option needs all rows in one process, and they are in several")


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
