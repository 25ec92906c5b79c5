"""Standardisation: weighted mean and standard deviation of the columns of X and Y.

Columns come in any units; the engine wants them with mean 0 and deviation 1. Afterwards the map
is folded into the weights (`folding`), so that the network acts on raw units.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ..numerics import Array
from .moments import Moments

Link = Literal["identity", "log", "increments"]
"""How raw outputs follow the units of targets: alike, by their logarithm, or the first alike and
the others as differences."""


@dataclass(frozen=True)
class Scaling:
    """x -> (x - mean) / scale for the columns of X and of Y, and the rows it was measured on.

    `means` has the means of X in raw units where they are not those of the map: what stands for a
    missing value, see `fill`. `present` is the weight of the rows in which a column is not missing,
    where that is not `weight` for all: the others counted as its mean. `link` says what becomes of
    raw outputs: behind a logarithm, Y is divided by its mean and stays above 0.
    """

    X: Moments
    Y: Moments
    n_rows: int
    weight: float
    means: Array | None = None
    present: Array | None = None
    link: Link = "identity"

    @property
    def fill(self) -> Array:
        """What stands for a missing value in each column of X, in raw units."""
        return self.X.mean if self.means is None else self.means

    @property
    def Y_scale(self) -> Array:
        """Like the scale of X, but 1 for a constant target; behind a logarithm the mean."""
        scale = np.where(self.Y.mean > 0, self.Y.mean, 1) if self.link == "log" else self.Y.scale
        return np.where(np.isinf(scale), 1, scale)

    @property
    def Y_offset(self) -> Array:
        """What is taken off Y before it is divided by `Y_scale`."""
        return np.zeros_like(self.Y.mean) if self.link == "log" else self.Y.mean

    @property
    def Y_variance(self) -> Array:
        """That of Y in its standardised units, 1 but behind a logarithm."""
        of_log = (self.Y.deviation / self.Y_scale) ** 2
        return of_log if self.link == "log" else np.ones_like(self.Y.mean)

    def outputs(self, n_outputs: int) -> tuple[Array, Array]:
        """Factor and offset (n_outputs,) that take standardised raw outputs to raw units."""
        if self.link == "log":
            return np.ones(n_outputs), np.log(self.Y_scale)
        factor, offset = (np.broadcast_to(A, n_outputs) for A in (self.Y_scale, self.Y_offset))
        if self.link == "increments":
            offset = np.where(np.arange(n_outputs) == 0, offset, 0.0)
        return factor, offset

    def is_near(self, other: "Scaling") -> bool:
        """Whether no mean and no deviation differs by more than a tenth of the deviation."""
        return self.X.is_near(other.X) and self.Y.is_near(other.Y)

    def merged(self, other: "Scaling") -> "Scaling":
        """Measured on the rows of both."""
        weight = self.weight + other.weight
        Y, n_rows = self.Y.merged(other.Y, other.weight / weight), self.n_rows + other.n_rows
        if self.present is None and other.present is None:
            X = self.X.merged(other.X, other.weight / weight)
            return Scaling(X, Y, n_rows, weight, self.means, link=self.link)
        (before, A), (after, B) = self._of_present(), other._of_present()
        present = before + after
        X = A.merged(B, after / np.where(present > 0, present, 1))
        X = replace(X, deviation=X.deviation * np.sqrt(present / weight))
        return Scaling(X, Y, n_rows, weight, self.means, present, self.link)

    def _of_present(self) -> tuple[Array, Moments]:
        """The weight of the rows in which each column is present, and the moments of these."""
        if self.present is None:
            return np.full(len(self.X.mean), self.weight), self.X
        root = np.sqrt(self.present / self.weight)
        deviation = self.X.deviation / np.where(root > 0, root, 1)
        return self.present, replace(self.X, deviation=deviation)
