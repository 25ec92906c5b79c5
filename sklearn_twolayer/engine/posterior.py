"""How sure is the network of its outputs? What the weights leave open, their rows pass on.

With A^-1 the covariance of theta around its mode, the raw outputs of row i are, to first order,
Gaussian of covariance J_i A^-1 J_i', J_i = d Z2_i / d theta: exact where the network is linear
in theta. The noise of the targets is not in it.
"""

from typing import Any

import numpy as np

from .curvature import Tangent, pairs, products_of_pairs, tangent
from .inputs import Source, source
from .network import Network, block_size
from .numerics import Array
from .scaling import Scaling


def output_covariance(
    network: Network, theta: Array, covariance: Array, X: Any, scaling: Scaling | None = None
) -> tuple[Array, Array]:
    """Z2 (n_rows, n_outputs) of raw X, and J_i A^-1 J_i' (n_rows, n_outputs, n_outputs).

    `theta`, `covariance` and both results are in standardised units where there is a scaling; all
    is computed in float64, in blocks of rows.
    """
    return covariance_of_rows(
        network, theta, covariance, source(X, scaling, np.dtype(np.float64)), X.shape[0]
    )


def covariance_of_rows(
    network: Network, theta: Array, covariance: Array, rows: Source, n_rows: int
) -> tuple[Array, Array]:
    """The same of rows that are standardised already."""
    n_outputs = network.shape.n_outputs
    Z2, found = np.empty((n_rows, n_outputs)), np.empty((n_rows, n_outputs, n_outputs))
    of_theta = _Covariance(network, covariance)
    size = block_size(network.shape.size)
    for start in range(0, n_rows, size):
        block = slice(start, min(start + size, n_rows))
        Z2[block], tangents = tangent(network, theta, rows.take(block))
        found[block] = of_theta.of_outputs(tangents)
    return Z2, found


class _Covariance:
    """J_i A^-1 J_i' of each row, from three blocks of A^-1: J is never formed.

    For hidden units p and q, x' A^-1_pq x takes every pair of columns once.
    """

    def __init__(self, network: Network, covariance: Array):
        self.h, self.n_outputs = network.shape.n_hidden, network.shape.n_outputs
        front = (network.shape.n_features + 1) * self.h
        self.hidden = _weights_of_pairs(covariance[:front, :front], self.h) if front else None
        self.mixed, self.behind = covariance[:front, front:], covariance[front:, front:]

    def of_outputs(self, rows: Tangent) -> Array:
        """(n_rows, n_outputs, n_outputs)."""
        found = _products(self.behind, rows.B, rows.B, self.n_outputs, self.n_outputs)
        if self.hidden is not None:
            steep = rows.slope[:, None] * rows.W2[:, :, None]  # d Z2_k / d Z1_p
            mixed = _products(self.mixed, rows.X1, rows.B, self.h, self.n_outputs)
            mixed = np.einsum("pki,pli->kli", steep, mixed)
            hidden = (self.hidden.T @ products_of_pairs(rows.X1))[pairs(self.h)]
            hidden = np.einsum("pki,pqi->kqi", steep, hidden)
            hidden = np.einsum("kqi,qli->kli", hidden, steep)
            found = hidden + mixed + mixed.transpose(1, 0, 2) + found
        return found.transpose(2, 0, 1)


def _products(block: Array, left: Array, right: Array, n_left: int, n_right: int) -> Array:
    """sum_ab left_ai block[(a, p), (b, k)] right_bi, (n_left, n_right, n_rows)."""
    m, n_rows = len(right), left.shape[1]
    block = block.reshape(len(left), n_left * m * n_right)
    along = (block.T @ left).reshape(n_left, m, n_right, n_rows)
    return np.einsum("pbki,bi->pki", along, right)


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
