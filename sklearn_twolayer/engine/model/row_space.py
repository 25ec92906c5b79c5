"""The row space: far more columns than rows, in as many coordinates as there are rows.

Rows x of n have n dimensions at most. Let c_j be the deviation of the prior of column j, relative
to the others, and V (n_columns, n) an orthonormal basis of the rows x C, C = diag(c). With s such
that coordinates z have a mean square of one, as standardised columns have,

    z = x C V / s          W1 = C V W1_z / s          x W1 = z W1_z

and one precision lambda of all rows of W1_z is s^2 lambda / c_j^2 of column j. What a weight has
outside of the space no row tells of: it is zero at the mode, and as uncertain as before. So to
train in z is to train in x, by n columns.
"""

from copy import copy
from dataclasses import dataclass

import numpy as np

from ..data.inputs import DenseInputs, Inputs
from ..data.rows import ArrayRows
from ..data.sources import source
from ..numerics import Array
from .parameters import Shape

NEGLIGIBLE = 1e-12
"""Of the largest eigenvalue of X X': smaller ones are rounding, their directions none of rows."""

CENTRED = 0.1
"""Of the mean square of rows, that of their mean is so little that it is none."""

TINY = 1e-300


@dataclass(frozen=True)
class RowSpace:
    """The map from columns to coordinates: `basis` (n_columns, n) is C V / s.

    `spread` (n_columns,) is c^2 / s^2: what each column adds to the squared length of z.
    """

    basis: Array
    spread: Array

    def shape(self, on_columns: Shape) -> Shape:
        """That of a network on coordinates, which share one prior."""
        assert not on_columns.skip, "a skip path has a prior of its own"
        n = self.basis.shape[1]
        return Shape(n, on_columns.n_hidden, on_columns.n_outputs, blocks=((0, n),))

    def on_columns(self, shape: Shape, theta: Array) -> Array:
        """The weights of the network on columns, of this shape, that compute the same."""
        return _moved(self.shape(shape), shape, theta, self.basis)

    def on_coordinates(self, shape: Shape, theta: Array) -> Array:
        """The weights that compute the same of rows in the space."""
        inverse = (self.basis / np.where(self.spread > 0, self.spread, 1)[:, None]).T
        return _moved(shape, self.shape(shape), theta, inverse)


def row_space(rows: ArrayRows, deviation: Array) -> tuple[RowSpace, ArrayRows]:
    """The space of all rows, c being `deviation` (n_columns,), and the rows by their coordinates.

    By the eigenvectors of X C^2 X', under which coordinates are uncorrelated.
    """
    X = np.concatenate([X.with_ones()[:, :-1] for X, *_ in rows.blocks()])
    weights = rows.weights_of_rows()[:, None]
    X *= deviation
    X *= np.sqrt(weights)
    squares, U = np.linalg.eigh(X @ X.T)
    known = squares > NEGLIGIBLE * max(squares[-1], TINY)
    lengths = np.sqrt(np.where(known, squares, 0))
    unit = max(float(squares.sum() / weights.sum() / len(X)), TINY) ** 0.5
    basis = X.T @ (U * np.where(known, 1 / np.where(known, lengths, 1), 0) / unit)
    basis *= deviation[:, None]
    turned, Z = copy(rows), U * lengths / unit / np.sqrt(weights)
    turned.source = source(Z, None, rows.source.dtype)
    of_mean = float(np.square((Z * weights).mean(axis=0)).sum())
    turned.are_uncorrelated = of_mean < CENTRED * len(Z)
    return RowSpace(basis, np.square(deviation / unit)), turned


def coordinates(basis: Array, spread: Array, X: Inputs) -> DenseInputs:
    """Rows by their coordinates, their distance from the space, and a one."""
    columns = X.with_ones()[:, :-1]
    z = columns @ basis
    outside = np.square(columns) @ spread - np.square(z).sum(axis=1)
    distance = np.sqrt(np.maximum(outside, 0))
    return DenseInputs(np.column_stack([z, distance, np.ones(len(z))]))


def _moved(before: Shape, after: Shape, theta: Array, turn: Array) -> Array:
    moved = np.empty(after.size, theta.dtype)
    old, new = before.views(theta), after.views(moved)
    new.W1[:] = turn @ old.W1
    new.b1[:], new.layer2[:] = old.b1, old.layer2
    return moved
