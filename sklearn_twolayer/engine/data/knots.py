"""Knots of a piecewise-linear encoding: quantiles of a column, and of its distinct values.

Between knots t_0 < ... < t_K a number x becomes its increments, K numbers (Gorishniy et al. 2022)

    e_k = min(max((x - t_k) / (t_{k+1} - t_k), 0), 1)

that are kept as one number, the position u = k + e_k in the interval k where x lies. Beyond the
ends they stay as they are, and only the value of x goes on: where the outermost knots are near each
other, as in a column that is capped, their slope holds for an instant.
"""

import numpy as np

from ..numerics import Array

FEWEST_KNOTS, MOST_KNOTS = 4, 48
"""Increments of a column by default: a third of the root of the number of rows, within these."""

LAST_DIGITS = 1e-12
"""Sums of weights that differ by less, relative to their total, are the same but for rounding."""

NEAREST = float(np.finfo(np.float64).tiny)
"""Knots are not nearer to each other: the inverse of a smaller number may be infinite."""


def usual_number(n_rows: float) -> int:
    """A third of the root: the prior keeps neighbours alike where rows are too few for that."""
    return int(np.clip(round(n_rows**0.5 / 3), FEWEST_KNOTS, MOST_KNOTS))


def choose_knots(x: Array, weights: Array, n_knots: int) -> Array:
    """At most ``n_knots + 1`` knots among the numbers x, the first and the last included.

    A column of few distinct values has a knot at each; of two or fewer, none. Else the knots are
    in turn a quantile of the column and a quantile of its distinct values: a column that is zero in
    nine rows of ten would have no others but for the latter.
    """
    values, inverse = np.unique(x, return_inverse=True)
    return knots_of(values, np.cumsum(np.bincount(inverse, weights)), values, n_knots)


def knots_of(values: Array, cumulated: Array, distinct: Array, n_knots: int) -> Array:
    """The same, of rising values and their weights up to each of them.

    `distinct` has the distinct values: all, or as many as stand for them where they are too many.
    """
    if len(values) < 3:
        return np.empty(0)
    if len(values) <= n_knots + 1:
        return _apart(values)
    fractions = np.arange(1, n_knots) / n_knots
    wanted = fractions[1::2] * cumulated[-1] * (1 - LAST_DIGITS)
    of_column = values[np.searchsorted(cumulated, wanted)]
    of_values = distinct[np.rint(fractions[::2] * (len(distinct) - 1)).astype(np.intp)]
    return _apart(np.unique(np.concatenate([values[[0, -1]], of_column, of_values])))


def _apart(knots: Array) -> Array:
    """Those that are not too near to the one before them; none where one alone is left."""
    apart = knots[np.diff(knots, prepend=-np.inf) >= NEAREST]
    return apart if len(apart) > 1 else np.empty(0)


def positions(x: Array, knots: Array) -> Array:
    """Where numbers lie between the knots, in float64; NaN where x is."""
    return np.interp(x, knots, np.arange(len(knots), dtype=np.float64))


def slopes(x: Array, knots: Array) -> Array:
    """D e_k / dx, (n_rows, n): one over the width of the interval where x is, else 0; NaN for NaN.

    At a knot the interval above counts, if there is one.
    """
    n, found = len(knots) - 1, np.zeros((len(x), len(knots) - 1))
    k = np.searchsorted(knots, x, side="right") - 1
    within = np.flatnonzero((k >= 0) & (k < n))
    found[within, k[within]] = 1 / np.diff(knots)[k[within]]
    found[np.isnan(x)] = np.nan
    return found


def sums_of_increments(x: Array, weights: Array, knots: Array) -> Array:
    """Of the numbers x in each interval (3, n): their weight, and that times e_k and its square."""
    n = len(knots) - 1
    u = positions(x, knots)
    bins = np.clip(u.astype(np.intp), 0, n - 1)
    within = u - bins
    factors = weights, weights * within, weights * within**2
    return np.array([np.bincount(bins, factor, minlength=n) for factor in factors])


def moments_of_increments(sums: Array, total: float) -> tuple[Array, Array]:
    """Weighted mean and variance of each increment, `total` being the weight of all numbers."""
    beyond = sums[0, ::-1].cumsum()[::-1] / total
    beyond = np.append(beyond[1:], 0.0)
    mean = beyond + sums[1] / total
    mean_square = beyond + sums[2] / total
    return mean, np.maximum(mean_square - mean**2, 0)
