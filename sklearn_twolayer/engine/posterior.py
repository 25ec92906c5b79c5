"""How sure is the network of its outputs? What the weights leave open, their rows pass on.

With A^-1 the covariance of theta around its mode, the raw outputs of row i are, to first order,
Gaussian of covariance J_i A^-1 J_i', J_i = d Z2_i / d theta: exact where the network is linear
in theta. The noise of the targets is not in it.
"""

from typing import Any

import numpy as np

from .curvature import Tangent, tangent
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
    size = block_size(network.shape.size)
    for start in range(0, n_rows, size):
        block = slice(start, min(start + size, n_rows))
        Z2[block], tangents = tangent(network, theta, rows.take(block))
        found[block] = _of_rows(tangents, covariance)
    return Z2, found


def _of_rows(rows: Tangent, covariance: Array) -> Array:
    n_outputs = rows.W2.shape[1]
    J = [rows.jacobian(k) for k in range(n_outputs)]
    found = np.empty((rows.X1.shape[1], n_outputs, n_outputs))
    for k, J_k in enumerate(J):
        spread = covariance @ J_k
        for other in range(k + 1):
            found[:, k, other] = found[:, other, k] = np.einsum("pi,pi->i", J[other], spread)
    return found
