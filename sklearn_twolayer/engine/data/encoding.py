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
from dataclasses import dataclass

import numpy as np

from ..numerics import Array
from .knots import choose_knots, moments_of_increments, positions, usual_number

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
    columns = [_learn_column(X[:, j], w, int(n), int(k)) for j, (n, k) in enumerate(kinds)]
    has_indicator, knots, means, fan_in = zip(*columns, strict=True)
    return Encoding(
        n_levels, np.array(has_indicator), list(knots), list(means), max(sum(fan_in), 1.0)
    )


def _learn_column(
    x: Array, w: Array, n_levels: int, n_knots: int
) -> tuple[bool, Array, Array, float]:
    """(has_indicator, knots, means, its part of fan_in)."""
    is_present, total = ~np.isnan(x), w.sum()
    has_indicator = not is_present.all()
    missing = np.array([w[~is_present].sum() / total] if has_indicator else [])
    if n_levels != NUMBER:
        known = np.flatnonzero(x >= 0)
        of_levels = np.bincount(x[known].astype(np.intp), w[known], minlength=n_levels) / total
        fractions = np.append(of_levels, missing)
        return has_indicator, np.empty(0), fractions, _fan_in_of_levels(fractions, n_levels)
    fan_in = 1 + float((missing * (1 - missing)).sum())
    present, of_present = x[is_present].astype(np.float64), w[is_present]
    knots = choose_knots(present, of_present, n_knots) if n_knots else np.empty(0)
    if not len(knots):
        return has_indicator, knots, missing, fan_in
    u = positions(present, knots)
    means, variances = moments_of_increments(u, of_present, len(knots) - 1)
    fan_in += float(variances.sum() * of_present.sum() / total)
    return has_indicator, knots, np.append(means, missing), fan_in


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
