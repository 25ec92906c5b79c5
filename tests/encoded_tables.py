"""Small tables of numbers and categories, and their encoded columns by plain loops."""

from dataclasses import dataclass

import numpy as np

from sklearn_twolayer.engine.data import encoding as module
from sklearn_twolayer.engine.data.encoding import NUMBER, learn

N_KNOTS = 3


@dataclass(frozen=True)
class Table:
    """What columns there are, each a number or a category of so many levels, some missing."""

    columns: tuple[str, ...]
    piecewise_linear: bool = False

    @property
    def n_levels(self):
        return np.array([int(c.split()[1]) if "category" in c else NUMBER for c in self.columns])

    def draw(self, n_rows, rng):
        """Rows to learn from."""
        X = np.empty((n_rows, len(self.columns)))
        for j, (kind, n_levels) in enumerate(zip(self.columns, self.n_levels, strict=True)):
            number = (rng.randn(n_rows) + [0, 5, -1][j % 3]) * [1, 10, 0.1][j % 3]
            X[:, j] = number if n_levels == NUMBER else rng.randint(n_levels, size=n_rows)
            X[rng.rand(n_rows) < (0.3 if "missing" in kind else 0), j] = np.nan
        return X

    def draw_later(self, n_rows, rng):
        """Rows beyond the ends, with levels that are not known and missing values anywhere."""
        X = self.draw(n_rows, rng)
        is_category = self.n_levels != NUMBER
        X[:, ~is_category] *= 3
        unknown = rng.rand(n_rows, is_category.sum()) < 0.3
        X[:, is_category] = np.where(unknown, -1, X[:, is_category])
        X[rng.rand(*X.shape) < 0.2] = np.nan
        return X

    def learn(self, X, weights=None):
        return learn(X, weights, self.n_levels, self.piecewise_linear, N_KNOTS)


TABLES = {
    "numbers": Table(("number",) * 3),
    "missing numbers": Table(("number", "number missing", "number missing")),
    "knots": Table(("number", "number missing"), piecewise_linear=True),
    "categories": Table(("category 3", "number", "category 2 missing", "category 64")),
    "a wide category": Table(("number", "category 65", "category 3")),
    "wide categories alone": Table(("category 70 missing", "category 80")),
    "everything": Table(
        ("category 65 missing", "number missing", "category 3 missing", "category 90", "number"),
        piecewise_linear=True,
    ),
}


def increment(x, knots, k):
    """min(max((x - t_k) / (t_k+1 - t_k), 0), 1), at the ends as in between; NaN where x is."""
    e = (x - knots[k]) / (knots[k + 1] - knots[k])
    return 0.0 if e < 0 else 1.0 if e > 1 else e


def write_out(X, encoding):
    """Encoded columns (n_rows, n_encoded) in raw units, NaN where a number is missing; their kinds.

    Kinds are value, increment, indicator (of a number) and level (or indicator) of few or of many.
    """
    _, kinds, columns = zip(*_columns(X, encoding), strict=True)
    return np.array(columns, dtype=float).T, kinds


def origins(encoding):
    """The original column of each encoded one."""
    return np.array([j for j, *_ in _columns(np.zeros((1, len(encoding.n_levels))), encoding)])


def _columns(X, encoding):
    """(original column, kind, numbers) of all encoded columns."""
    in_front, behind = [], []
    for j, n_levels in enumerate(encoding.n_levels):
        x, knots = X[:, j], encoding.knots[j]
        is_wide = n_levels > module.MANY_LEVELS
        if n_levels == NUMBER:
            block = [(j, "value", x)]
            for k in range(len(knots) - 1):
                block.append((j, "increment", [increment(x_i, knots, k) for x_i in x]))
            kind = "indicator"
        else:
            kind = "level of many" if is_wide else "level of few"
            block = [(j, kind, (x == level).astype(float)) for level in range(n_levels)]
        if encoding.has_indicator[j]:
            block.append((j, kind, np.isnan(x).astype(float)))
        (behind if is_wide else in_front).extend(block)
    return in_front + behind


def units(X, encoding, weights=None):
    """Mean and deviation of each column, what is missing counting as the mean.

    Increments and indicators of numbers are not divided. Levels of few are all divided alike, such
    that their variances add up to their number less one; those of many stay as they are.
    """
    columns, kinds = write_out(X, encoding)
    mean, deviation = np.zeros(len(kinds)), np.ones(len(kinds))
    weights, variances = np.ones(len(columns)) if weights is None else weights, {}
    for j, (origin, kind, x) in enumerate(zip(origins(encoding), kinds, columns.T, strict=True)):
        if kind == "level of many":
            continue
        present = ~np.isnan(x)
        mean[j] = np.average(x[present], weights=weights[present])
        variance = np.average((np.where(present, x, mean[j]) - mean[j]) ** 2, weights=weights)
        if kind == "value":
            deviation[j] = variance**0.5
        if kind == "level of few":
            variances.setdefault(origin, []).append(variance)
    for origin, of_levels in variances.items():
        of_one = sum(of_levels) / max(len(of_levels) - 1, 1)
        deviation[origins(encoding) == origin] = of_one**0.5
    return mean, deviation


def filled(columns, mean):
    """The same with the mean where a number is missing."""
    return np.where(np.isnan(columns), mean, columns)


def standardized(columns, mean, deviation):
    """In these units; 0 where a column does not vary."""
    return (filled(columns, mean) - mean) / np.where(deviation > 0, deviation, np.inf)


def written_out(X, encoding, weights=None, later=None):
    """Standardised columns of rows, or of later ones in the units of these."""
    columns, _ = write_out(X if later is None else later, encoding)
    return standardized(columns, *units(X, encoding, weights))
