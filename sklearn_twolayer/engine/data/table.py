"""The table of a task in raw units, wherever its rows live: what a fit must know of it beforehand.

`ArrayTable` has them in this process. Another kind of table does the same by passes over rows that
it never holds as a whole.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from ..numerics import Array
from . import encoding as encodings
from .encoded import encoded_moments
from .encoding import Encoding
from .moments import Moments, magnitude, means, moments, rows_per_block
from .rows import ArrayRows, Rows
from .scaling import Scaling
from .sources import split


@dataclass(frozen=True)
class RowFormat:
    """How the rows of a fit are scaled and cast, once for all its runs.

    Without `scaling` they stay in raw units. `fill` has what stands for a missing value. Weights
    are divided by `mean_weight`, and a weight of one then counts as `copies` copies of the row.
    """

    scaling: Scaling | None
    dtype: str
    block_size: int
    encoding: Encoding | None
    fill: Array
    mean_weight: float = 1.0
    copies: float = 1.0

    def rows(self, X: Any, Y: Array, weights: Array | None) -> ArrayRows:
        """These rows, given in raw units."""
        w = None if weights is None else weights / self.mean_weight
        form = self.scaling, self.dtype, self.block_size, self.copies, self.encoding, self.fill
        return ArrayRows(X, Y, w, *form)


class Table(ABC):
    """What a fit asks of its rows before they are scaled.

    `shape` is (n_rows, n_columns), `dtype` that of X, `weight` that of all rows together. `n_rows`
    counts them as they came, where equal ones are one by now.
    """

    shape: tuple[int, int]
    n_rows: int
    dtype: np.dtype
    weight: float

    @abstractmethod
    def learn(
        self, n_levels: Array | None, has_knots: bool | Array, n_knots: int | None
    ) -> Encoding:
        """The encoding of the columns of X, see `encoding.learn`."""

    @abstractmethod
    def moments(self) -> Moments:
        """Those of the columns of X."""

    @abstractmethod
    def moments_of_targets(self) -> Moments:
        """Those of the columns of Y."""

    @abstractmethod
    def encoded_moments(self, encoding: Encoding) -> tuple[Moments, Array | None]:
        """Those of encoded columns, and the weight of what is not missing."""

    @abstractmethod
    def means(self) -> Array | None:
        """What stands for a missing value where columns stay as they are; None for sparse X."""

    @abstractmethod
    def ranges(self) -> tuple[Array, Array, Array, Array]:
        """The least and the greatest number of each column of X, but for NaN, and of Y."""

    @abstractmethod
    def magnitudes(self) -> tuple[float, float]:
        """The largest magnitude in X, and in Y."""

    @abstractmethod
    def rows(self, form: RowFormat) -> Rows:
        """All rows, scaled and cast."""


class ArrayTable(Table):
    """A table in this process."""

    def __init__(self, X: Any, Y: Array, weights: Array | None):
        self.X, self.Y, self.weights = X, Y, weights
        self.shape, self.n_rows, self.dtype = X.shape, X.shape[0], X.dtype
        self.weight = float(X.shape[0] if weights is None else weights.sum())

    def learn(
        self, n_levels: Array | None, has_knots: bool | Array, n_knots: int | None
    ) -> Encoding:
        return encodings.learn(self.X, self.weights, n_levels, has_knots, n_knots)

    def moments(self) -> Moments:
        return moments(self.X, self.weights)

    def moments_of_targets(self) -> Moments:
        return moments(self.Y, self.weights)

    def encoded_moments(self, encoding: Encoding) -> tuple[Moments, Array | None]:
        return encoded_moments(self.X, self.weights, encoding)

    def means(self) -> Array | None:
        return None if sparse.issparse(self.X) else means(self.X, self.weights)

    def ranges(self) -> tuple[Array, Array, Array, Array]:
        return (*ranges_of_columns(self.X), self.Y.min(axis=0), self.Y.max(axis=0))

    def magnitudes(self) -> tuple[float, float]:
        return magnitude(self.X), float(np.abs(self.Y).max())

    def rows(self, form: RowFormat) -> ArrayRows:
        return form.rows(self.X, self.Y, self.weights)


def ranges_of_columns(X: Any) -> tuple[Array, Array]:
    """The least and the greatest number in each column; NaN where there is none."""
    if sparse.issparse(X):
        # absent entries are zeros like any other
        low, high = (A.toarray().ravel().astype(np.float64) for A in (X.min(0), X.max(0)))
    else:
        low, high = np.full((2, X.shape[1]), np.nan)
        for block, _ in split(slice(None), X.shape[0], rows_per_block(X.shape[1])):
            rows = X[block]
            low, high = np.fmin(low, np.fmin.reduce(rows)), np.fmax(high, np.fmax.reduce(rows))
    if X.dtype == np.float32:
        low, high = low.astype(np.float32), high.astype(np.float32)
    return low, high
