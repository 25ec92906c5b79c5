"""Encoding: each original column becomes a block of encoded columns, which share one prior group.

- A number is its value, and with ``"piecewise_linear"`` its increments between knots, too.
- A category has one column for each level, 1 in the rows of that level (one-hot). A level that was
  not met in training is 0 everywhere: the mean of the prior.
- Where training had missing values the block ends with an indicator, 1 where one is missing. The
  other columns of a number are then at their means, those of a category at 0.

Original columns come as floats: numbers, the codes 0, 1, ... of levels (-1 if unknown), NaN where
missing. Blocks stand in the order of their columns, those of many levels behind all others.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..numerics import Array
from .knots import choose_knots, moments_of_increments, sums_of_increments, usual_number

MANY_LEVELS = 64
"""Categories of more levels than this are never written out: see `OneHot`.

Their columns are not standardised either: their levels have few rows each, and a prior as strong as
that of a standardised column is what shrinks them enough.
"""

NUMBER = -1
"""Stands for a number where categories have their number of levels."""


@dataclass(frozen=True)
class Encoding:
    """What a fit has learnt of each original column.

    `n_levels` counts the levels of a category, and is `NUMBER` for a number; `knots` are those of
    each number, or none. `means` has the weighted means of the encoded columns of a block, but for
    the value of a number: of its increments, of levels, and of the indicator. `fan_in` is the mean
    squared length of an encoded row in standardised units: so many standardised columns have it.
    """

    n_levels: Array
    has_indicator: Array
    knots: list[Array]
    means: list[Array]
    fan_in: float

    @property
    def is_category(self) -> Array:
        """Which of the original columns are categories."""
        return self.n_levels != NUMBER

    @property
    def is_wide(self) -> Array:
        """Which of them are categories of many levels."""
        return self.n_levels > MANY_LEVELS

    @property
    def sizes(self) -> Array:
        """Encoded columns of each original column."""
        return np.array([len(means) for means in self.means], dtype=np.intp) + ~self.is_category

    @property
    def n_increments(self) -> Array:
        """Increments of each number, 0 for categories."""
        return np.array([max(len(knots) - 1, 0) for knots in self.knots], dtype=np.intp)

    @property
    def order(self) -> Array:
        """The original columns in the order of their blocks."""
        return np.argsort(self.is_wide, kind="stable")

    @property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """(original column, number of its encoded columns), as they stand."""
        sizes = self.sizes
        return tuple((int(column), int(sizes[column])) for column in self.order)

    @property
    def starts(self) -> Array:
        """Where the block of each original column begins."""
        order, sizes = self.order, self.sizes
        starts = np.empty_like(sizes)
        starts[order] = np.cumsum(sizes[order]) - sizes[order]
        return starts

    def of_numbers(self, values: Array) -> Array:
        """What original columns have, for each encoded column: 0 for levels and for indicators.

        The others, the value of a number and its increments, rise with the number.
        """
        found = np.zeros(int(self.sizes.sum()), np.asarray(values).dtype)
        ends = self.starts + 1 + self.n_increments
        for column in np.flatnonzero(~self.is_category):
            found[self.starts[column] : ends[column]] = values[column]
        return found


def plain(n_columns: int) -> Encoding:
    """Of numbers that stay as they are; one that is missing is the mean."""
    numbers, empty = np.full(n_columns, NUMBER), [np.empty(0)] * n_columns
    return Encoding(numbers, np.zeros(n_columns, dtype=bool), empty, empty, float(n_columns))


def learn(
    X: Array,
    weights: Array | None,
    n_levels: Array | None,
    piecewise_linear: bool | Array,
    n_knots: int | None,
) -> Encoding:
    """The encoding of the columns of X; without `n_levels` all are numbers.

    `piecewise_linear` tells of all columns, or of each, whether it is to have knots.
    """
    w = np.ones(X.shape[0]) if weights is None else weights
    n_knots = n_knots or usual_number(math.fsum(w))
    of_columns = np.where(np.broadcast_to(piecewise_linear, X.shape[1]), n_knots, 0)
    n_levels = np.full(X.shape[1], NUMBER) if n_levels is None else n_levels
    kinds = zip(n_levels, of_columns, strict=True)
    sums = [_sums_of_column(X[:, j], w, int(n), int(k)) for j, (n, k) in enumerate(kinds)]
    return encoding_of_sums(n_levels, sums)


@dataclass(frozen=True)
class Counts:
    """The weights of the rows of one column: of all, of those where it is present, of each level.

    `missing` is the weight of the others, None where there are none; a number has no `levels`.
    """

    total: float
    present: float
    missing: float | None
    levels: Array | None

    def merged(self, other: "Counts") -> "Counts":
        """Those of both sets of rows."""
        missing = [part for part in (self.missing, other.missing) if part is not None]
        return Counts(
            self.total + other.total,
            self.present + other.present,
            sum(missing) if missing else None,
            None if self.levels is None else self.levels + other.levels,
        )


def count(x: Array, w: Array, n_levels: int) -> Counts:
    """Those of a column."""
    is_present, levels = ~np.isnan(x), None
    missing = None if is_present.all() else float(w[~is_present].sum())
    if n_levels != NUMBER:
        known = np.flatnonzero(x >= 0)
        levels = np.bincount(x[known].astype(np.intp), w[known], minlength=n_levels)
    return Counts(float(w.sum()), float(w[is_present].sum()), missing, levels)


def numbers_of(x: Array, w: Array) -> tuple[Array, Array]:
    """The numbers of a column that are not missing, in float64, and their weights."""
    is_present = ~np.isnan(x)
    return x[is_present].astype(np.float64), w[is_present]


Sums = tuple[Counts, Array, Array | None]
"""What a block of an encoding is made of: counts, knots, and the sums of increments if any."""


def _sums_of_column(x: Array, w: Array, n_levels: int, n_knots: int) -> Sums:
    counts, knots, sums = count(x, w, n_levels), np.empty(0), None
    if n_knots and n_levels == NUMBER:
        numbers, of_numbers = numbers_of(x, w)
        knots = choose_knots(numbers, of_numbers, n_knots)
        sums = sums_of_increments(numbers, of_numbers, knots) if len(knots) else None
    return counts, knots, sums


def encoding_of_sums(n_levels: Array, sums: Sequence[Sums]) -> Encoding:
    """The encoding of columns from the sums over the rows of each."""
    means, fan_in = zip(*(_means_and_fan_in(*of_column) for of_column in sums), strict=True)
    has_indicator = np.array([counts.missing is not None for counts, _, _ in sums])
    knots = [of_column for _, of_column, _ in sums]
    return Encoding(n_levels, has_indicator, knots, list(means), max(sum(fan_in), 1.0))


def _means_and_fan_in(counts: Counts, knots: Array, sums: Array | None) -> tuple[Array, float]:
    """Those of a block, its part of the fan-in of all."""
    missing = np.array([] if counts.missing is None else [counts.missing / counts.total])
    if counts.levels is not None:
        fractions = np.append(counts.levels / counts.total, missing)
        return fractions, _fan_in_of_levels(fractions, len(counts.levels))
    fan_in = 1 + float((missing * (1 - missing)).sum())
    if sums is None:
        return missing, fan_in
    means, variances = moments_of_increments(sums, counts.present)
    fan_in += float(variances.sum() * counts.present / counts.total)
    return np.append(means, missing), fan_in


def deviation_of_levels(fractions: Array) -> float:
    """What the columns of a category are divided by, all alike; 0 where there is but one level.

    Their variances then add up to k - 1 for k of them, as many standardised columns as it takes
    to tell k levels apart.
    """
    variance = float((fractions * (1 - fractions)).sum())
    return (variance / (len(fractions) - 1)) ** 0.5 if variance > 0 and len(fractions) > 1 else 0.0


def _fan_in_of_levels(fractions: Array, n_levels: int) -> float:
    """The mean squared length of their columns, those of many being neither centred nor divided."""
    if n_levels > MANY_LEVELS:
        return float(fractions.sum())
    return len(fractions) - 1.0 if deviation_of_levels(fractions) > 0 else 0.0
