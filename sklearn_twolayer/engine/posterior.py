"""How sure is the network of its outputs? What the weights leave open, their rows pass on.

With A^-1 the covariance of theta around its mode, the raw outputs of row i are, to first order,
Gaussian of covariance J_i A^-1 J_i', J_i = d Z2_i / d theta: exact where the network is linear
in theta. The noise of the targets is not in it.
"""

from typing import Any

import numpy as np

from .curvature import Tangent, tangent
from .inputs import source
from .network import Network, block_size
from .numerics import Array
from .scaling import Scaling


def output_covariance(
    network: Network, theta: Array, covariance: Array, X: Any, scaling: Scaling | None = None
) -> Array:
    """J_i A^-1 J_i' of each row of raw X, (n_rows, n_outputs, n_outputs), in raw units of Y.

    `theta` and `covariance` are in standardised units where there is a scaling; all is computed
    in float64, in blocks of rows.
    """
    inputs, n_outputs = source(X, scaling, np.dtype(np.float64)), network.shape.n_outputs
    found = np.empty((X.shape[0], n_outputs, n_outputs))
    size = block_size(network.shape.size)
    for start in range(0, X.shape[0], size):
        block = slice(start, start + size)
        _, rows = tangent(network, theta, inputs.take(block))
        found[block] = _of_rows(rows, covariance)
    if scaling is not None:
        found *= np.outer(scaling.Y_scale, scaling.Y_scale)
    return found


def _of_rows(rows: Tangent, covariance: Array) -> Array:
    n_outputs = rows.W2.shape[1]
    J = [rows.jacobian(k) for k in range(n_outputs)]
    found = np.empty((rows.X1.shape[1], n_outputs, n_outputs))
    for k, J_k in enumerate(J):
        spread = covariance @ J_k
        for other in range(k + 1):
            found[:, k, other] = found[:, other, k] = np.einsum("pi,pi->i", J[other], spread)
    return found
