"""A table whose rows live in partitions: each tells sums over its rows, merged along a tree.

What can be told together is told in one pass, and what has been told is kept: a pass costs a round
trip, and maybe reading the partitions from disk. Moments and ranges take one pass, which may be the
first of `learn`; the increments between knots, which are not known before that, another.
"""

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from ..engine import (
    NUMBER,
    Encoding,
    Moments,
    RowFormat,
    Rows,
    Table,
    encoding_of_sums,
    knots_of,
    moments_of_encoded,
    usual_number,
)
from .sketches import SIZE, Sketch
from .told import Asked, facts, increments, merge_facts, merge_increments, merge_told, tell


class Reducible(Protocol):
    """What a table must know of `Partitions`."""

    def reduce(self, function: Callable, merge: Callable, *arguments: Any) -> Any:
        """``function(partition, *arguments)`` of all partitions, merged along a tree."""


class DaskTable(Table):
    """The rows of `partitions`, records of `Partition`, some of which may be empty.

    `sizes` has the rows of each of them, and `has_missing` tells of a NaN in X.
    """

    def __init__(self, partitions: Reducible):
        self.partitions = partitions
        found = partitions.reduce(facts, merge_facts)
        self.sizes, self.dtype, self.has_missing = found.sizes, found.dtype, found.has_missing
        self.shape = sum(self.sizes), found.n_columns
        self.weight = math.fsum(found.weights)
        self._summaries = None
        self._n_levels = self._counts = None
        self._sketches: dict[int, Sketch] = {}
        self._increments: dict[tuple[int, bytes], np.ndarray] = {}

    def learn(self, n_levels, has_knots, n_knots) -> Encoding:
        """The encoding of the columns of X."""
        n_columns = self.shape[1]
        n_levels = np.full(n_columns, NUMBER) if n_levels is None else n_levels
        n_knots = n_knots or usual_number(self.weight)
        with_knots = np.broadcast_to(has_knots, n_columns) & (n_levels == NUMBER)
        self._ask(n_levels, np.flatnonzero(with_knots), max(SIZE, 4 * n_knots))
        knots = [np.empty(0)] * n_columns
        for column in np.flatnonzero(with_knots):
            found = self._sketches[column]
            knots[column] = knots_of(found.values, found.cumulated, found.distinct, n_knots)
        sums = self._sums_of_increments(knots)
        return encoding_of_sums(n_levels, list(zip(self._counts, knots, sums, strict=True)))

    def moments(self) -> Moments:
        """Those of the columns of X."""
        return self._summary_of_X.moments

    def moments_of_targets(self) -> Moments:
        """Those of the columns of Y."""
        return self._summary_of_Y.moments

    def encoded_moments(self, encoding: Encoding) -> tuple[Moments, np.ndarray | None]:
        """Those of encoded columns, and the weight of what is not missing."""
        summary = self._summary_of_X
        values = summary.of_columns(np.flatnonzero(~encoding.is_category))
        return moments_of_encoded(values, summary.weight, encoding)

    def means(self) -> np.ndarray:
        """What stands for a missing value where columns stay as they are."""
        return self.moments().mean

    def ranges(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The least and the greatest number of each column of X, but for NaN, and of Y."""
        X, Y = self._summary_of_X, self._summary_of_Y
        return X.low, X.high, Y.low, Y.high

    def magnitudes(self) -> tuple[float, float]:
        """The largest magnitude in X, and in Y."""
        low, high, Y_low, Y_high = self.ranges()
        return _magnitude(low, high), _magnitude(Y_low, Y_high)

    def rows(self, form: RowFormat) -> Rows:
        """All rows, scaled and cast."""
        raise NotImplementedError

    @property
    def _summary_of_X(self):
        self._ask()
        return self._summaries[0]

    @property
    def _summary_of_Y(self):
        self._ask()
        return self._summaries[1]

    def _ask(self, n_levels=None, with_knots=(), size=SIZE) -> None:
        """Have the partitions tell what is not known yet, if there is anything.

        That are summaries and, if they are asked for, the weights of levels and sketches of the
        columns with knots.
        """
        if n_levels is not None and np.array_equal(n_levels, self._n_levels):
            n_levels = None
        known = self._sketches
        new = [int(j) for j in with_knots if j not in known or known[j].size < size]
        asked = Asked(self._summaries is None, n_levels, tuple(new), size)
        if not asked:
            return
        told = self.partitions.reduce(tell, merge_told, asked)
        self._summaries = told.summaries or self._summaries
        if n_levels is not None:
            self._n_levels, self._counts = n_levels, told.counts
        self._sketches.update(zip(new, told.sketches, strict=True))

    def _sums_of_increments(self, knots: list[np.ndarray]) -> list[np.ndarray | None]:
        """Those of each column, None where there are no knots."""
        keys = [(column, of_column.tobytes()) for column, of_column in enumerate(knots)]
        with_knots = [column for column, of_column in enumerate(knots) if len(of_column)]
        new = [column for column in with_knots if keys[column] not in self._increments]
        if new:
            asked = {column: knots[column] for column in new}
            found = self.partitions.reduce(increments, merge_increments, asked)
            self._increments.update((keys[column], found[column]) for column in new)
        return [self._increments.get(key) for key in keys]


def _magnitude(low: np.ndarray, high: np.ndarray) -> float:
    return float(np.fmax.reduce(np.abs([low, high]), axis=None, initial=0))
