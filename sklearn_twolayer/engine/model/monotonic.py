"""Monotonic constraints: signs of weights that let the outputs only rise, or fall, with a column.

Each hidden unit has a sign s_h. With an activation that never falls, the outputs rise with column j
(cst_j = 1) or fall (-1) where no product of weights along a path from it says otherwise:

    s_h W2[h, k] >= 0      cst_j s_h W1[j, h] >= 0      cst_j W0[j, k] >= 0

Every second unit is negative: an activation that bends upwards, as relu does, then has a partner
that bends downwards. Weights of columns without a constraint, and biases, are free. Columns that
are encoded as increments between knots make this rich enough: a unit may pass a threshold on any
sum of increasing functions of the columns, where on raw columns it could only do so along a ridge.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import RandomState

from ..numerics import Array
from .activations import ACTIVATIONS
from .parameters import Shape

MONOTONIC_ACTIVATIONS = tuple(name for name, a in ACTIVATIONS.items() if a.is_monotonic)
"""Names of the activations that never fall."""


@dataclass(frozen=True)
class Bounds:
    """The sides of zero that some parameters are kept on: whole stretches of theta, and signs."""

    stretches: Sequence[tuple[slice, Array]]

    def project(self, theta: Array) -> None:
        """Move theta, in place, to the nearest point within the bounds."""
        for stretch, sign in self.stretches:
            part = theta[stretch]
            # where a sign is negative, zero is the most, else the least
            np.copyto(part, 0, where=part * sign < 0)


def bounds(shape: Shape, directions: Array) -> Bounds:
    """Those of a network; `directions` (n_features,) has 1, -1 or 0 for each column it sees."""
    sign = np.zeros(shape.size, np.int8)
    parts, of_units = shape.views(sign), unit_signs(shape.n_hidden)
    parts.W1[:] = np.outer(directions, of_units)
    parts.W2[:] = of_units[:, None]
    if parts.W0 is not None:
        parts.W0[:] = directions[:, None]
    edges = np.flatnonzero(np.diff(sign != 0, prepend=False, append=False))
    stretches = [slice(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
    return Bounds([(stretch, sign[stretch]) for stretch in stretches])


def unit_signs(n_hidden: int) -> Array:
    """1, -1, 1, ... for the hidden units."""
    return np.where(np.arange(n_hidden) % 2, -1, 1)


STEPPING, STEP, NEARLY_LINEAR, FARTHEST, OUTWARDS = 0.5, 2.0, 0.3, 2.0, 0.3
"""Of initial weights: the fraction of units that step, the mean size of a step, what the weights of
the others are multiplied by, the largest bias, and what output weights are multiplied by."""


def draw_within(shape: Shape, directions: Array, theta: Array, random_state: RandomState) -> None:
    """Make initial weights of a draw, in place, within the bounds.

    Weights of one sign add up: many would make all units alike, and bent at the mean of the rows.
    So half of the units begin with one increment of each column, and make a step at a place of
    their own; the others with small weights, nearly linear. They get different biases.
    """
    parts, signs = shape.views(theta), unit_signs(shape.n_hidden)
    steps = np.arange(shape.n_hidden) < STEPPING * shape.n_hidden
    for rows in _constrained_blocks(shape, directions):
        W, sign = np.abs(parts.W1[rows]) * NEARLY_LINEAR, directions[rows][:, None] * signs
        n_increments = len(W) - 1
        if n_increments:
            W[:, steps] = 0
            at = 1 + random_state.randint(n_increments, size=len(steps))
            sizes = STEP * random_state.exponential(size=len(steps))
            W[at[steps], np.flatnonzero(steps)] = sizes[steps]
        parts.W1[rows] = W * sign
    parts.b1[:] += random_state.uniform(-FARTHEST, FARTHEST, shape.n_hidden)
    parts.W2[:] = OUTWARDS * np.abs(parts.W2) * signs[:, None]


def _constrained_blocks(shape: Shape, directions: Array) -> list[slice]:
    """Of each original column that has a constraint its value and increments."""
    sizes = [1] * shape.n_features if shape.blocks is None else [size for _, size in shape.blocks]
    starts = np.cumsum([0, *sizes[:-1]])
    n_signed = np.add.reduceat(directions != 0, starts)
    return [
        slice(int(start), int(start + n)) for start, n in zip(starts, n_signed, strict=True) if n
    ]
