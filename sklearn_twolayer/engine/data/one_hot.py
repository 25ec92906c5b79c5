"""One-hot columns of categories of many levels, kept as the places of their ones."""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from ..numerics import Array


class Groups(NamedTuple):
    """Equal numbers of a list: an order in which they are neighbours, where each begins in it, how
    often it occurs, and whether the first is negative.
    """

    order: Array
    starts: Array
    sizes: Array
    has_negative: bool

    @classmethod
    def of(cls, numbers: Array) -> "Groups":
        """Sort them."""
        order = np.argsort(numbers)
        found = numbers.take(order)
        is_first = np.ones(len(found), dtype=bool)
        np.not_equal(found[1:], found[:-1], out=is_first[1:])
        starts = is_first.nonzero()[0]
        sizes = np.empty_like(starts)
        np.subtract(starts[1:], starts[:-1], out=sizes[:-1])
        sizes[-1:] = len(found) - starts[-1:]
        return cls(order, starts, sizes, len(found) > 0 and bool(found[0] < 0))


class OneHot:
    """One-hot columns of categories of many levels, never written out.

    `columns` (n_rows, n_categories) says in which of `n_columns` a row has its ones, -1 for none.
    """

    def __init__(self, columns: Array, n_columns: int, groups: Groups | None = None):
        self.columns, self.n_columns = columns, n_columns
        self.groups = Groups.of(columns.ravel()) if groups is None else groups

    def times(self, W: Array) -> Array:
        """The product with W (n_columns, n)."""
        if not len(W):
            return np.zeros((len(self.columns), W.shape[1]), W.dtype)
        parts = [W.take(columns, axis=0, mode="clip") for columns in self.columns.T]
        if self.groups.has_negative:
            for part, columns in zip(parts, self.columns.T, strict=True):
                part[columns < 0] = 0
        return sum(parts[1:], parts[0])

    def transposed_times(self, D: Array) -> Array:
        """The product of the transpose with D (n_rows, n)."""
        order, starts, sizes, has_none = self.groups
        sorted_rows = np.ascontiguousarray(D).take(order // self.columns.shape[1], axis=0)
        sums = sorted_rows.take(starts, axis=0)
        if len(starts) < len(order):
            # most columns of a batch have one row alone, and sums are slow
            several = sizes > 1
            of_several = sizes[several]
            begin = of_several.cumsum() - of_several
            sums[several] = np.add.reduceat(sorted_rows[several.repeat(sizes)], begin, axis=0)
        if has_none:
            sums = sums[1:]
        if len(sums) == self.n_columns:
            return sums
        product = np.zeros((self.n_columns, D.shape[1]), D.dtype)
        product[self._stored()] = sums
        return product

    def compact(self) -> tuple[Array, "OneHot"]:
        """The columns that have a one in some row, and the rows with no other column."""
        stored, n_none = self._stored(), int(self.groups.has_negative)
        position = np.empty(self.columns.size, np.intp)
        numbers = np.arange(-n_none, len(stored))
        position[self.groups.order] = numbers.repeat(self.groups.sizes)
        return stored, OneHot(position.reshape(self.columns.shape), len(stored), self.groups)

    def matrix(self, dtype: np.dtype) -> sparse.csr_array:
        """The same as a sparse array."""
        known = self.columns >= 0
        ends = np.append(0, known.sum(axis=1).cumsum())
        shape = len(self.columns), self.n_columns
        return sparse.csr_array((np.ones(ends[-1], dtype), self.columns[known], ends), shape=shape)

    def _stored(self) -> Array:
        """The columns that have a one."""
        order, starts, _, has_none = self.groups
        return self.columns.ravel()[order[starts[int(has_none) :]]]
