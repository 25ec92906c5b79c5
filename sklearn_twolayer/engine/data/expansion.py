"""Expansion of an encoding: from a few numbers for each row to its encoded columns.

Of each row only values, positions between knots, places of levels and what is missing are kept.
Encoded columns are made of them block by block, with the rows last in memory, by

    E = min(max(compact[origin] - shift, low), high)

for all numbers and increments at once; then the ones of categories are put in place.
"""

import numpy as np

from ..numerics import Array, largest
from .encoding import NUMBER, Encoding
from .knots import positions


class Expansion:
    """Encodes rows: (x - mean) / scale for each encoded column, in raw units where these are None.

    `fill` has what stands for a missing value in each encoded column, in raw units. Numbers beyond
    `bound` (in the units asked for) are drawn in.
    """

    def __init__(
        self,
        encoding: Encoding,
        fill: Array,
        dtype: np.dtype,
        mean: Array | None = None,
        scale: Array | None = None,
        bound: float | None = None,
    ):
        self.encoding, self.dtype, self.fill = encoding, dtype, fill
        self.bound = largest(dtype) if bound is None else bound
        n, self.sizes, self.starts = len(fill), encoding.sizes, encoding.starts
        self.mean = np.zeros(n) if mean is None else mean
        self.inverse_scale = np.ones(n) if scale is None else 1 / scale
        self.one = self.inverse_scale.astype(dtype)
        self.filler = ((fill - self.mean) * self.inverse_scale).astype(dtype)
        self.is_category, self.is_wide = encoding.is_category, encoding.is_wide
        self.narrow = np.flatnonzero(self.is_category & ~self.is_wide)
        self.wide = np.flatnonzero(self.is_wide)
        self.n_dense = int(self.sizes[~self.is_wide].sum())
        self.n_wide = n - self.n_dense
        self._lay_out()

    def _lay_out(self) -> None:
        """Where each dense encoded column finds its number in a compact row, and what it becomes.

        The rows of compact are: one of zeros, then for each original column its value or place,
        its position between knots if it has any, and whether it is missing if that is told.
        """
        self.origin, self.values = np.zeros(self.n_dense, np.intp), []
        # levels begin at zero, or where the centred column has it
        self.shift = (self.mean * self.inverse_scale)[: self.n_dense]
        self.low, self.high = np.full((2, self.n_dense), [[-np.inf], [np.inf]])
        self.n_compact = 1
        for column, start in enumerate(self.starts):
            self.values.append(self.n_compact)
            if not self.is_category[column]:
                self._lay_out_number(start, self.encoding.n_increments[column])
            self.n_compact += 1
            if self.encoding.has_indicator[column]:
                if not self.is_wide[column]:
                    self.origin[start + self.sizes[column] - 1] = self.n_compact
                self.n_compact += 1
        self.is_shifted, self.has_knots = bool(self.shift.any()), bool((self.high < np.inf).any())
        self.shift, self.low, self.high = (
            a.astype(self.dtype)[:, None] for a in (self.shift, self.low, self.high)
        )

    def _lay_out_number(self, start: int, n_increments: int) -> None:
        """The value, scaled already, and the increments of one number."""
        self.origin[start], self.shift[start] = self.n_compact, 0
        if n_increments:
            self.n_compact += 1
            block = slice(start + 1, start + 1 + n_increments)
            self.origin[block] = self.n_compact
            self.shift[block] += np.arange(n_increments)
            self.low[block], self.high[block] = -self.mean[block], 1 - self.mean[block]

    def compress(self, X: Array, out: Array | None = None) -> Array:
        """The compact rows of X, (n_compact, n_rows)."""
        compact = np.empty((self.n_compact, len(X)), self.dtype) if out is None else out
        compact[0] = 0
        for column, row in enumerate(self.values):
            x = X[:, column].astype(np.float64)
            missing = np.isnan(x)
            if self.is_category[column]:
                compact[row] = np.where(missing, NUMBER, x)
            else:
                compact[row] = self._value(column, x, missing)
            if len(self.encoding.knots[column]):
                row += 1
                compact[row] = positions(x, self.encoding.knots[column])
            if self.encoding.has_indicator[column]:
                last = self.starts[column] + self.sizes[column] - 1
                compact[row + 1] = missing * self.inverse_scale[last]
        return compact

    def _value(self, column: int, x: Array, missing: Array) -> Array:
        start = self.starts[column]
        x = np.where(missing, self.fill[start], x)
        scaled = (x - self.mean[start]) * self.inverse_scale[start]
        return np.clip(scaled, -self.bound, self.bound)

    def expand(self, compact: Array, out: Array) -> None:
        """Write the dense encoded columns of compact rows into `out` (n_dense, n_rows)."""
        np.take(compact, self.origin, axis=0, out=out, mode="clip")
        if self.is_shifted:
            out -= self.shift
        if self.has_knots:
            np.maximum(out, self.low, out=out)
            np.minimum(out, self.high, out=out)
            if np.isnan(np.add.reduce(compact, axis=None)):
                self._fill_increments(out)
        for column in self.narrow:
            places = compact[self.values[column]].astype(np.intp)
            known = np.flatnonzero(places >= 0)
            rows = self.starts[column] + places[known]
            out[rows, known] += self.one[rows]

    def _fill_increments(self, out: Array) -> None:
        """Increments of what is missing, which are NaN, become their means."""
        rows, columns = np.nonzero(np.isnan(out))
        out[rows, columns] = self.filler[rows]

    def wide_columns(self, compact: Array) -> Array:
        """For each category of many levels the column of each row, among those behind the dense."""
        columns = np.empty((compact.shape[1], len(self.wide)), np.int32)
        for column, places in zip(self.wide, columns.T, strict=True):
            row = self.values[column]
            places[:] = compact[row]
            if self.encoding.has_indicator[column]:
                places[compact[row + 1] != 0] = self.encoding.n_levels[column]
            places[places >= 0] += self.starts[column] - self.n_dense
        return columns
