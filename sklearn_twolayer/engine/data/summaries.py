"""Summaries of some of the rows of a table: moments and ranges, which merge into those of all."""

from dataclasses import dataclass, replace

import numpy as np

from ..numerics import Array
from .moments import Moments, has_missing, moments_from_origin
from .table import ranges_of_columns


@dataclass(frozen=True)
class Summary:
    """Weighted moments of columns in the rows where each is present, and their ranges.

    The moments are counted from an `origin` near the values of each column, which keeps the digits
    of their differences. `weight` is that of all rows, `present` (n_columns,) of those.
    """

    weight: float
    origin: Array
    from_origin: Moments
    present: Array
    low: Array
    high: Array

    @property
    def moments(self) -> Moments:
        """Moments in raw units; mean and deviation are 0 where a column is missing throughout."""
        return replace(self.from_origin, mean=self.origin + self.from_origin.mean)

    def of_columns(self, columns: Array) -> list[tuple[Moments, float]]:
        """The moments of each, and the weight of the rows where it is present."""
        of_all, found = self.moments, []
        for column in columns:
            mean, deviation = of_all.mean[[column]], of_all.deviation[[column]]
            of_one = replace(of_all, mean=mean, deviation=deviation)
            found.append((of_one, float(self.present[column])))
        return found

    def merged(self, other: "Summary") -> "Summary":
        """That of the rows of both."""
        present = self.present + other.present
        origin = np.where(self.present > 0, self.origin, other.origin)
        ours, theirs = self._counted_from(origin), other._counted_from(origin)
        return Summary(
            self.weight + other.weight,
            origin,
            ours.merged(theirs, other.present / np.where(present > 0, present, 1)),
            present,
            np.fmin(self.low, other.low),
            np.fmax(self.high, other.high),
        )

    def _counted_from(self, origin: Array) -> Moments:
        step = np.where(self.present > 0, self.origin - origin, 0.0)
        return replace(self.from_origin, mean=self.from_origin.mean + step)


def summarise(X: Array, weights: Array | None) -> Summary:
    """The summary of dense rows, one at least."""
    n_rows, n_columns = X.shape
    w = np.ones(n_rows) if weights is None else weights
    origin, mean, deviation = np.zeros((3, n_columns))
    weight = float(w.sum())
    present = np.full(n_columns, weight)
    is_complete = ~np.isnan(X).any(axis=0) if has_missing(X) else np.full(n_columns, True)
    complete = np.flatnonzero(is_complete)
    # a column of zeros lends the fields that are the same of all
    found = moments_from_origin(np.zeros((1, 1), X.dtype), None)[1]
    if len(complete):
        whole = X if len(complete) == n_columns else X[:, complete]
        origin[complete], found = moments_from_origin(whole, weights)
        mean[complete], deviation[complete] = found.mean, found.deviation
    for column in np.flatnonzero(~is_complete):
        rows = np.flatnonzero(~np.isnan(X[:, column]))
        present[column] = w[rows].sum()
        if len(rows):
            origin[[column]], found = moments_from_origin(X[rows, column][:, None], w[rows])
            mean[[column]], deviation[[column]] = found.mean, found.deviation
    from_origin = replace(found, mean=mean, deviation=deviation)
    return Summary(weight, origin, from_origin, present, *ranges_of_columns(X))
