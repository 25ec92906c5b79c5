"""Group lasso: groups of weights that are zero as a whole (Yuan and Lin 2006).

    minimise  F(theta) + sum_g strength_g |theta_g|

by proximal gradient steps, whose length is what the last one told of the curvature (Barzilai and
Borwein 1988), in the safeguards of SpaRSA (Wright, Nowak and Figueiredo 2009): from the solution at
a slightly weaker strength few steps lead to the next.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..model.parameters import Shape
from ..numerics import Array

ENOUGH = 1e-3
"""Of the objective to be gained in `LOOKBACK` steps: less tells nothing of columns."""

LOOKBACK, UPHILL = 10, 5
"""Steps that progress is judged by, and that the next may be above the highest of."""

SUFFICIENT, SHORTER, MOST_TRIALS = 1e-4, 1 / 3, 30
"""Of the square of a step F must have fallen; else it is so much shorter, at most so often."""

FIRST_LENGTH = 0.1


@dataclass(frozen=True)
class Groups:
    """The group of each parameter, 0 to n - 1, those of number n being free."""

    of_parameter: Array
    n: int

    def lengths(self, theta: Array) -> Array:
        """|theta_g| of each group (n,)."""
        squares = np.bincount(self.of_parameter, theta**2, minlength=self.n + 1)
        return np.asarray(np.sqrt(squares[: self.n]))

    def shrunk(self, theta: Array, threshold: Array) -> Array:
        """The proximal point: each group shorter by its threshold (n,), zero where it is less."""
        lengths = self.lengths(theta)
        longer = lengths > threshold
        factor = np.ones(self.n + 1)
        factor[: self.n] = 0.0
        factor[: self.n][longer] = 1 - threshold[longer] / lengths[longer]
        return np.asarray(theta * factor[self.of_parameter])


def groups_of_columns(shape: Shape) -> Groups:
    """All weights that leave one original column of X: its rows of W1, and of W0."""
    of_parameter = np.full(shape.size, shape.n_columns)
    parts, columns = shape.views(of_parameter), shape.columns[:, None]
    parts.W1[:] = columns
    if parts.W0 is not None:
        parts.W0[:] = columns
    return Groups(of_parameter, shape.n_columns)


def solve(
    objective: Callable[[Array], tuple[float, Array]],
    theta: Array,
    groups: Groups,
    strength: Array,
    max_iter: int,
) -> Array:
    """Theta of the minimum near the given one; a group of infinite strength is zero."""

    def whole(value: float, x: Array) -> float:
        lengths = groups.lengths(x)
        present = lengths > 0
        return value + float(strength[present] @ lengths[present])

    forbidden = np.where(np.isinf(strength), np.inf, 0.0)
    x, length = groups.shrunk(theta, forbidden), FIRST_LENGTH
    value, gradient = objective(x)
    history = [whole(value, x)]
    for _ in range(max_iter):
        for _ in range(MOST_TRIALS):
            there = groups.shrunk(x - length * gradient, length * strength)
            step = there - x
            square = float(step @ step)
            value, slope = objective(there)
            total = whole(value, there)
            most = max(history[-UPHILL:]) - SUFFICIENT * square / (2 * length)
            if total <= most:
                break
            length *= SHORTER
        else:
            return x
        curvature = float(step @ (slope - gradient))
        x, gradient = there, slope
        history.append(total)
        if square == 0 or _has_settled(history):
            return x
        # where F bends the other way a longer step does no harm
        length = square / curvature if curvature > 0 else 10 * length
    return x


def _has_settled(history: list[float]) -> bool:
    gained = history[-LOOKBACK] - history[-1] if len(history) > LOOKBACK else np.inf
    return bool(gained <= ENOUGH * abs(history[-1]))
