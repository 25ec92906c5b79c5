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
        n = len(fill)
        self.mean = np.zeros(n) if mean is None else mean
        self.inverse_scale = np.ones(n) if scale is None else 1 / scale
        self.filler = ((fill - self.mean) * self.inverse_scale).astype(dtype)
        self.starts, self.wide = encoding.starts, encoding.is_wide
        self.is_category = encoding.is_category
        self.sizes = encoding.sizes
        self.n_dense = int(self.sizes[~self.wide].sum())
        self.n_wide = n - self.n_dense
        self._lay_out()

    def _lay_out(self) -> None:
        """Where each encoded column finds its number in a compact row, and what becomes of it.

        The rows of compact are: one of zeros, then for each original column its value or place,
        its position between knots if it has any, and whether it is missing if that is told.
        """
        origin, shift = np.zeros((2, self.n_dense))
        low, high = np.full(self.n_dense, -np.inf), np.full(self.n_dense, np.inf)
        self.values: list[int] = []
        self.has_knots, n_compact = False, 1
        for column, size in enumerate(self.sizes):
            self.values.append(n_compact)
            start, n_increments = self.starts[column], self.encoding.n_increments[column]
            if not self.is_category[column]:
                origin[start] = n_compact
            if n_increments:
                self.has_knots = True
                block = slice(start + 1, start + 1 + n_increments)
                n_compact += 1
                origin[block], mean = n_compact, self.mean[block]
                shift[block] = np.arange(n_increments) + mean
                low[block], high[block] = -mean, 1 - mean
            elif self.is_category[column] and not self.wide[column]:
                block = slice(start, start + size)
                shift[block] = self.mean[block] * self.inverse_scale[block]
            n_compact += 1
            if self.encoding.has_indicator[column]:
                if not self.wide[column]:
                    last = start + size - 1
                    origin[last] = n_compact
                    shift[last] = self.mean[last] * self.inverse_scale[last]
                n_compact += 1
        self.origin, self.n_compact = origin.astype(np.intp), n_compact
        self.is_shifted, self.one = bool(shift.any()), self.inverse_scale.astype(self.dtype)
        self.shift, self.low, self.high = (
            a.astype(self.dtype)[:, None] for a in (shift, low, high)
        )
        categories = np.flatnonzero(self.is_category)
        self.narrow = [c for c in categories if not self.wide[c]]
        self.broad = [c for c in categories if self.wide[c]]

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
            self._fill_increments(out)
        for column in self.narrow:
            places = compact[self.values[column]].astype(np.intp)
            known = np.flatnonzero(places >= 0)
            rows = self.starts[column] + places[known]
            out[rows, known] += self.one[rows]

    def _fill_increments(self, out: Array) -> None:
        """Increments of what is missing, which are NaN, become their means."""
        if np.isnan(np.add.reduce(out, axis=None)):
            rows, columns = np.nonzero(np.isnan(out))
            out[rows, columns] = self.filler[rows]

    def wide_columns(self, compact: Array) -> Array:
        """For each category of many levels the column of each row, among those behind the dense."""
        columns = np.empty((compact.shape[1], len(self.broad)), np.int32)
        for column, places in zip(self.broad, columns.T, strict=True):
            row = self.values[column]
            places[:] = compact[row]
            if self.encoding.has_indicator[column]:
                places[compact[row + 1] != 0] = self.encoding.n_levels[column]
            places[places >= 0] += self.starts[column] - self.n_dense
        return columns
