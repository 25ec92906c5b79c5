"""Movement: which weights of the first layer an original column of X brings into play.

A number moves its value and, where it has knots, the increment in whose interval it is. A category
does not move: what counts is the variance of what its levels contribute, which is a sum of squares
as well.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..data.encoded import Encoded, encoded_moments
from ..data.moments import moments
from ..numerics import Array

LARGEST_TO_SQUARE = 1e150
"""Squares of larger numbers, and sums of them, might leave the range of float64."""


@dataclass(frozen=True)
class Movement:
    """Rows of W1 and W0 that move outputs: those of all numbers first, then those of categories.

    `numbers` and `categories` are original columns, and `starts` says where the rows of each begin,
    in this order. `steps` (n_rows_of_W1,) is by how much each is moved, in units of its own where
    it is an increment: `units` has those of numbers. Slopes of increments, which shrink as numbers
    grow, are multiplied by them, so that no square leaves the range.
    """

    W1: Array
    W0: Array | None
    numbers: Array
    categories: Array
    starts: Array
    steps: Array
    units: Array

    @property
    def n_columns(self) -> int:
        """Original columns of X."""
        return len(self.numbers) + len(self.categories)

    def of_numbers(self, along: Array, X: Any, rows: slice) -> Array:
        """Movement by each number (n_rows, n_numbers), from that by each row of W1; NaN if missing.

        With many rows for a number, those that follow it count, by the chain rule.
        """
        if not isinstance(X, Encoded):
            return along
        n = len(self.numbers)
        if n == 0:
            return along[:, :0]
        inner = X.slopes_of_numbers(rows) * self.units
        return np.add.reduceat(along[:, : inner.shape[1]] * inner, self.starts[:n], axis=1)

    def squares(self, along: Array, X: Any, rows: slice) -> Array:
        """The squared movement by each original column (n_rows, n_columns), 0 where missing."""
        if not isinstance(X, Encoded):
            return np.square(along, out=along)
        squares = np.zeros((len(along), self.n_columns))
        moved = np.nan_to_num(self.of_numbers(along, X, rows))
        # knots may be as near to each other as numbers are, and slopes between them as steep
        squares[:, self.numbers] = moved.clip(-LARGEST_TO_SQUARE, LARGEST_TO_SQUARE) ** 2
        if len(self.categories):
            starts = self.starts[len(self.numbers) :]
            behind = along[:, starts[0] :] ** 2
            squares[:, self.categories] = np.add.reduceat(behind, starts - starts[0], axis=1)
        return squares


def movement(coefs: list[Array], X: Any) -> Movement:
    """Of numbers alone, moved by one unit."""
    if not isinstance(X, Encoded):
        W1, _, *skip = coefs
        columns = np.arange(len(W1))
        one = np.ones(len(W1))
        return Movement(W1, _first(skip), columns, columns[:0], columns, one, one)
    blocks = X.blocks_of_numbers()
    rows = np.concatenate([[], *blocks]).astype(np.intp)
    starts = np.cumsum([0, *map(len, blocks)])[:-1]
    W1, _, *skip = coefs
    W0, one = skip[0][rows] if skip else None, np.ones(len(rows))
    return Movement(W1[rows], W0, X.numbers, X.numbers[:0], starts, one, one)


def movement_by_deviations(coefs: list[Array], X: Any, weights: Array | None) -> Movement:
    """Numbers are moved by their standard deviations in X, categories as their levels vary there.

    A column that is constant in X does not move.
    """
    found = movement(coefs, X)
    if not isinstance(X, Encoded):
        steps = _finite(moments(X, weights).scale)
        return replace(found, steps=steps)
    scale = _deviations_of_present(X, weights)
    steps, units = _steps_of_numbers(scale, X.blocks_of_numbers())
    categories = np.flatnonzero(X.encoding.is_category)
    W = np.concatenate([coefs[0], *coefs[2:]], axis=1).astype(np.float64)
    levels = [_contributions(W, X, int(column), weights) for column in categories]
    sizes = list(map(len, levels))
    starts = np.append(found.starts, len(steps) + np.cumsum([0, *sizes])[:-1]).astype(np.intp)
    n_hidden, behind = coefs[0].shape[1], np.concatenate([np.empty((0, W.shape[1])), *levels])
    W1 = np.concatenate([found.W1, behind[:, :n_hidden]])
    W0 = None if found.W0 is None else np.concatenate([found.W0, behind[:, n_hidden:]])
    steps = np.append(steps, np.ones(sum(sizes)))
    return Movement(W1, W0, found.numbers, categories, starts, steps, units)


def _steps_of_numbers(scale: Array, blocks: list[Array]) -> tuple[Array, Array]:
    """By how much values and increments are moved, in units: powers of two for increments."""
    if not blocks:
        return np.empty(0), np.empty(0)
    steps = np.concatenate([np.full(len(block), scale[block[0]]) for block in blocks])
    units = np.ldexp(np.ones(len(steps)), np.frexp(steps)[1] - 1)
    units[np.cumsum([0, *map(len, blocks[:-1])])] = 1
    return steps / units, units


def _contributions(W: Array, X: Encoded, column: int, weights: Array | None) -> Array:
    """Rows whose squared products add up to the variance of products with rows W_l of the levels.

    With fractions p_l of levels these are sqrt(p_l) (W_l - sum p W); of many levels, the R of their
    QR decomposition, which has the same products. What is unknown has a row of zeros in W.
    """
    start, fractions = X.encoding.starts[column], X.fractions(column, weights)
    of_levels = W[start : start + len(fractions)]
    of_levels = np.concatenate([of_levels, np.zeros((1, W.shape[1]))])
    fractions = np.append(fractions, max(1 - fractions.sum(), 0.0))
    rows = fractions[:, None] ** 0.5 * (of_levels - fractions @ of_levels)
    return np.asarray(np.linalg.qr(rows, mode="r")) if len(rows) > rows.shape[1] else rows


def _deviations_of_present(X: Encoded, weights: Array | None) -> Array:
    """Standard deviations of encoded columns in the rows that have a value: only these move."""
    found, present = encoded_moments(X.X, weights, X.encoding)
    scale = _finite(found.scale)
    if present is None:
        return scale
    total = float(X.X.shape[0] if weights is None else weights.sum())
    return scale * np.sqrt(total / np.where(present > 0, present, total))


def _finite(scale: Array) -> Array:
    return np.where(np.isinf(scale), 0.0, scale)


def _first(skip: list[Array]) -> Array | None:
    return skip[0] if skip else None
