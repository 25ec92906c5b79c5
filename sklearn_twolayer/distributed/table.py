"""A table whose rows live in partitions: each tells sums over its rows, merged along a tree.

What can be told together is told in one pass, and what has been told is kept: a pass costs a round
trip, and maybe reading the partitions from disk. Moments and ranges take one pass, which may be the
first of `learn`; the increments between knots, which are not known before that, another.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from ..engine import (
    NUMBER,
    Array,
    Counts,
    Encoding,
    Moments,
    RowFormat,
    Rows,
    Summary,
    Table,
    encoding_of_sums,
    knots_of,
    moments_of_encoded,
    usual_number,
)
from .journal import Record, compute_anew
from .rows import DaskRows
from .selection import rows_at
from .sketches import SIZE, Sketch
from .told import Asked, increments, merge_increments, merge_told, tell


class Reducible(Protocol):
    """What a table must know of `Partitions`."""

    def reduce(self, function: Callable, merge: Callable, *arguments: Any) -> Any:
        """``function(partition, *arguments)`` of all partitions, merged along a tree."""

    def release(self) -> None:
        """Let go of them."""


class DaskTable(Table):
    """The rows of `partitions`, records of `Partition`, some of which may be empty.

    `facts` are what is known of all of them: `rows_of_partitions`, `n_rows` as they came, their
    `weight`, the `dtype` of X and which columns have a missing value, `is_missing`. `record` is
    told of every sum.
    """

    def __init__(self, partitions: Reducible, facts: Any):
        self.partitions = partitions
        self.record: Record = compute_anew
        self._scaled: list[DaskRows] = []
        self.counts = np.asarray(facts.rows_of_partitions)
        self.shape = int(self.counts.sum()), len(facts.is_missing)
        self.n_rows, self.dtype, self.weight = facts.n_rows, facts.dtype, facts.weight
        self.has_missing = bool(facts.is_missing.any())
        self._summaries: tuple[Summary, ...] = ()
        self._n_levels: Array | None = None
        self._counts: list[Counts] = []
        self._sketches: dict[int, Sketch] = {}
        self._increments: dict[tuple[int, bytes], Array] = {}

    def release(self) -> None:
        """Let the workers forget the rows."""
        for rows in self._scaled:
            rows.release()
        self.partitions.release()

    def part(self, index: Array) -> tuple[Array, Array, Array | None]:
        """X, Y and weights of some rows, brought here as they were given."""
        return rows_at(self.partitions, np.append(0, np.cumsum(self.counts)), index)

    def told(self) -> list[Array]:
        """What tells these rows from others: moments and ranges of X and Y."""
        found = self._summary_of_X, self._summary_of_Y
        return [a for s in found for a in (s.moments.mean, s.moments.deviation, s.low, s.high)]

    def learn(
        self, n_levels: Array | None, has_knots: bool | Array, n_knots: int | None
    ) -> Encoding:
        """The encoding of the columns of X."""
        n_columns = self.shape[1]
        n_levels = np.full(n_columns, NUMBER) if n_levels is None else n_levels
        n_knots = n_knots or usual_number(self.weight)
        with_knots = np.broadcast_to(has_knots, n_columns) & (n_levels == NUMBER)
        numbers = np.flatnonzero(with_knots).tolist()
        self._ask(n_levels, numbers, max(SIZE, 4 * n_knots))
        knots = [np.empty(0)] * n_columns
        for column in numbers:
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

    def encoded_moments(self, encoding: Encoding) -> tuple[Moments, Array | None]:
        """Those of encoded columns, and the weight of what is not missing."""
        summary = self._summary_of_X
        values = summary.of_columns(np.flatnonzero(~encoding.is_category))
        return moments_of_encoded(values, summary.weight, encoding)

    def means(self) -> Array:
        """What stands for a missing value where columns stay as they are."""
        return self.moments().mean

    def ranges(self) -> tuple[Array, Array, Array, Array]:
        """The least and the greatest number of each column of X, but for NaN, and of Y."""
        X, Y = self._summary_of_X, self._summary_of_Y
        return X.low, X.high, Y.low, Y.high

    def magnitudes(self) -> tuple[float, float]:
        """The largest magnitude in X, and in Y."""
        low, high, Y_low, Y_high = self.ranges()
        return _magnitude(low, high), _magnitude(Y_low, Y_high)

    def rows(self, form: RowFormat) -> Rows:
        """All rows, scaled and cast, on the workers."""
        of_targets = self.moments_of_targets()
        rows = DaskRows(self.partitions, self.counts, form, of_targets, self.record)
        self._scaled.append(rows)
        return rows

    @property
    def _summary_of_X(self) -> Summary:
        self._ask()
        return self._summaries[0]

    @property
    def _summary_of_Y(self) -> Summary:
        self._ask()
        return self._summaries[1]

    def _ask(
        self, n_levels: Array | None = None, with_knots: Sequence[int] = (), size: int = SIZE
    ) -> None:
        """Have the partitions tell what is not known yet, if there is anything.

        That are summaries and, if they are asked for, the weights of levels and sketches of the
        columns with knots.
        """
        if n_levels is not None and np.array_equal(n_levels, self._n_levels):
            n_levels = None
        known = self._sketches
        new = [j for j in with_knots if j not in known or known[j].size < size]
        asked = Asked(not self._summaries, n_levels, tuple(new), size)
        if not asked:
            return
        told = self.partitions.reduce(tell, merge_told, asked)
        self._summaries = told.summaries or self._summaries
        if n_levels is not None:
            self._n_levels, self._counts = n_levels, told.counts
        self._sketches.update(zip(new, told.sketches, strict=True))

    def _sums_of_increments(self, knots: list[Array]) -> list[Array | None]:
        """Those of each column, None where there are no knots."""
        keys = [(column, of_column.tobytes()) for column, of_column in enumerate(knots)]
        with_knots = [column for column, of_column in enumerate(knots) if len(of_column)]
        new = [column for column in with_knots if keys[column] not in self._increments]
        if new:
            asked = {column: knots[column] for column in new}
            found = self.partitions.reduce(increments, merge_increments, asked)
            self._increments.update((keys[column], found[column]) for column in new)
        return [self._increments.get(key) for key in keys]


def _magnitude(low: Array, high: Array) -> float:
    return float(np.fmax.reduce(np.abs([low, high]), axis=None, initial=0))
