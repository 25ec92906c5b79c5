"""The predictive covariance: what the posterior of the weights leaves open of the outputs.

With A^-1 the covariance of theta around its mode, the raw outputs of row i are, to first order,
Gaussian of covariance J_i A^-1 J_i', J_i = d Z2_i / d theta: exact where the network is linear
in theta. The noise of the targets is not in it. A covariance for each row is a large thing: it is
computed for one block of rows after the other, and whoever wants all keeps them.
"""

import numpy as np

from ..data.inputs import Inputs
from ..model.gauss_newton import (
    PRODUCTS_AT_A_TIME,
    Tangent,
    chunks,
    pairs,
    products_of_pairs,
    tangent,
)
from ..model.network import Network
from ..model.parameters import Shape
from ..numerics import Array

MOST_ROWS = 500
"""At a time: with more, even arrays of few numbers for each row leave the processor's cache."""


def blocks(shape: Shape, n_rows: int) -> list[slice]:
    """Rows in parts whose covariances of outputs, and what they are made of, fit in memory."""
    c, h, k = shape.n_features + 1, shape.n_hidden, shape.n_outputs
    m = h + 1 + (shape.n_features if shape.skip else 0)
    # products of pairs, mixed forms, and arrays as large as the covariance
    elements = (c + m) ** 2 // 2 + 2 * h * (h + k) + 8 * k**2
    return chunks(n_rows, max(elements, PRODUCTS_AT_A_TIME // MOST_ROWS))


class OutputCovariance:
    """Z2 of standardised rows and J_i A^-1 J_i', from three blocks of A^-1: J is never formed.

    With g_pq = x1' A^-1_pq x1 for hidden units p and q, and B the features of layer two,

        cov_kl = sum_pq slope_p slope_q W2_pk W2_ql g_pq + b' A^-1_kl b + (mixed_kl + mixed_lk)
        mixed_kl = sum_p slope_p W2_pk (x1' A^-1_pl b)

    where all sums run over pairs that are taken once, and are products of matrices.
    """

    def __init__(self, network: Network, theta: Array, covariance: Array):
        shape = network.shape
        self.network, self.theta = network, theta
        h, n_outputs = shape.n_hidden, shape.n_outputs
        c, front = shape.n_features + 1, (shape.n_features + 1) * h
        behind, mixed = covariance[front:, front:], covariance[:front, front:]
        self.behind = behind[None] if n_outputs == 1 else _weights_of_pairs(behind, n_outputs).T
        if h:
            self.hidden = _weights_of_pairs(covariance[:front, :front], h).T
            self.of_slopes = _outer_of_pairs(shape.views(theta).W2)
            mixed = mixed.reshape(c, h, -1, n_outputs).transpose(1, 3, 0, 2)
            self.mixed = np.ascontiguousarray(mixed).reshape(h * n_outputs, c, -1)

    def of_rows(self, X: Inputs) -> tuple[Array, Array]:
        """Z2 (n_rows, n_outputs), and (n_rows, n_outputs, n_outputs); rows are last in memory."""
        Z2, rows = tangent(self.network, self.theta, X)
        n_outputs = self.network.shape.n_outputs
        if n_outputs == 1:
            found = _form(self.behind, rows.B, rows.B)
        else:
            found = self.behind @ products_of_pairs(rows.B)
        if self.network.shape.n_hidden:
            curved = self.hidden @ products_of_pairs(rows.X1)
            curved *= products_of_pairs(rows.slope)
            found += self.of_slopes @ curved
            mixed = self._mixed(rows)
            first, second = np.triu_indices(n_outputs)
            found += mixed[first, second]
            found += mixed[second, first]
        return Z2, found[pairs(n_outputs)].transpose(2, 0, 1)

    def _mixed(self, rows: Tangent) -> Array:
        """(n_outputs, n_outputs, n_rows)."""
        (h, n_rows), n_outputs = rows.slope.shape, rows.W2.shape[1]
        along = _form(self.mixed, rows.X1, rows.B).reshape(h, n_outputs, n_rows)
        along *= rows.slope[:, None]
        return (rows.W2.T @ along.reshape(h, -1)).reshape(n_outputs, n_outputs, n_rows)


def _form(weights: Array, left: Array, right: Array) -> Array:
    """sum_ab weights_rab left_ai right_bi, (r, n_rows), by way of the smaller array."""
    n_forms, n_left, n_right = weights.shape
    if 2 * n_forms < n_right:
        along = (weights.reshape(-1, n_right) @ right).reshape(n_forms, n_left, -1)
        return np.einsum("rai,ai->ri", along, left)
    products = (left[:, None] * right).reshape(n_left * n_right, -1)
    return weights.reshape(n_forms, -1) @ products


def _weights_of_pairs(block: Array, h: int) -> Array:
    """What a product of two columns counts in x' block_pq x, (pairs of columns, pairs of units)."""
    c = len(block) // h
    first, second = np.triu_indices(c)
    p, q = np.triu_indices(h)
    four = block.reshape(c, h, c, h)
    weights = four[first[:, None], p, second[:, None], q]
    weights += four[second[:, None], p, first[:, None], q]
    weights[first == second] *= 0.5
    return weights


def _outer_of_pairs(W2: Array) -> Array:
    """What g_pq counts in sum_pq W2_pk W2_ql g_pq, (pairs of outputs, pairs of units)."""
    first, second = W2.T[np.array(np.triu_indices(W2.shape[1]))]
    p, q = np.triu_indices(len(W2))
    weights = first[:, p] * second[:, q] + first[:, q] * second[:, p]
    weights[:, p == q] *= 0.5
    return weights
