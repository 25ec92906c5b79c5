"""The generalised Gauss-Newton matrix: the curvature of the loss (Schraudolph 2002).

    H = sum_i w_i J_i' C_i J_i        J_i = d Z2_i / d theta        C_i = d2 loss_i / d Z2_i d Z2_i'

It has no negative direction, and for squared error it is the Hessian where residuals are small.
Z2 is linear in the features B = [A1, 1], or [A1, 1, X] with a skip path; their weights, W2, b2 and
W0, lie one behind the other in theta. With X1 = [X, 1], and C weighted by w, the blocks of H are

    hidden units p and q      X1' diag(slope_p slope_q (W2 C W2')_pq) X1
    hidden unit p, output k   X1' diag(slope_p (W2 C)_pk) B
    outputs k and l           B' diag(C_kl) B

so that the first and largest of them costs the same for any number of outputs, and only
as much as its different numbers: swapping two columns or two units changes nothing. All is
computed in float64, whatever the precision of the fit; sparse rows are made dense, a block at a
time.
"""

from dataclasses import dataclass

import numpy as np

from ..data.inputs import Inputs
from ..numerics import Array
from .network import Network


def curvature(
    network: Network, theta: Array, X: Inputs, Y: Array, w: Array | float
) -> tuple[float, Array, Array]:
    """sum_i w_i loss_i, its gradient, and H."""
    rows = linearize(network, theta, X, Y, w)
    return rows.loss_sum, rows.gradient(), rows.curvature()


@dataclass(frozen=True)
class Tangent:
    """How the raw outputs of some rows follow theta: products with J, which is never stored.

    X1 (n_columns, n_rows), B (n_in_B, n_rows) and slope (n_hidden, n_rows) have the rows last.
    """

    W2: Array
    X1: Array
    B: Array
    slope: Array

    @property
    def n_hidden_parameters(self) -> int:
        """W1 and b1, which lie in front of the weights of B."""
        return self.X1.shape[0] * len(self.slope)

    def jvp(self, v: Array) -> Array:
        """J v (n_rows, n_outputs)."""
        front, behind = np.split(v, [self.n_hidden_parameters])
        along = (front.reshape(-1, len(self.slope)).T @ self.X1) * self.slope
        return along.T @ self.W2 + self.B.T @ behind.reshape(len(self.B), -1)

    def vjp(self, U: Array) -> Array:
        """J' U for U (n_rows, n_outputs)."""
        D1 = (self.W2 @ U.T) * self.slope
        return np.concatenate([(self.X1 @ D1.T).ravel(), (self.B @ U).ravel()])


@dataclass(frozen=True)
class Linearization(Tangent):
    """The same, with what the rows lose.

    D2 (n_rows, n_outputs) and C (n_outputs, n_outputs, n_rows) are weighted by w.
    """

    D2: Array
    C: Array
    loss_sum: float

    def gradient(self) -> Array:
        """sum_i J_i' D2_i."""
        return self.vjp(self.D2)

    def curvature(self) -> Array:
        """H of these rows."""
        if self.W2.shape[1] == 1:
            return self._curvature_of_one_output()
        front, size = self.n_hidden_parameters, len(self.B) * self.W2.shape[1]
        H = np.empty((front + size, front + size))
        curved = self.slope[:, None] * np.tensordot(self.W2, self.C, 1)
        if front:
            self._fill_hidden(H[:front, :front], curved)
            self._fill_mixed(H[:front, front:], curved)
        self._fill_outputs(H[front:, front:])
        H[front:, :front] = H[:front, front:].T
        return H

    def _curvature_of_one_output(self) -> Array:
        """J' C J by a product with its own transpose, of which BLAS computes one half."""
        root = np.sqrt(self.C[0, 0])
        slope_times_W2 = self.slope * self.W2
        slope_times_W2 *= root
        c, h = len(self.X1), len(self.slope)
        size = c * h + len(self.B)
        H = np.zeros((size, size))
        for part in chunks(self.X1.shape[1], size):
            n = root[part].size
            J = np.empty((size, n))
            np.multiply(
                self.X1[:, None, part], slope_times_W2[:, part], out=J[: c * h].reshape(c, h, n)
            )
            np.multiply(self.B[:, part], root[part], out=J[c * h :])
            H += J @ J.T
        return H

    def _fill_hidden(self, H: Array, curved: Array) -> None:
        """All pairs of columns against all pairs of units; `curved` is slope_p (W2 C)_pk.

        Each pair is taken once, and stands at four places of H.
        """
        c, h = len(self.X1), len(self.slope)
        of_columns, of_units = pairs(c), pairs(h)
        n_columns, n_units = of_columns[-1, -1] + 1, of_units[-1, -1] + 1
        G = np.zeros((n_columns, n_units))
        for part in chunks(self.X1.shape[1], n_columns + n_units):
            X1, slope = self.X1[:, part], self.slope[:, part]
            weights = np.empty((n_units, X1.shape[1]))
            for p in range(h):
                of_p = weights[of_units[p, p] : of_units[p, -1] + 1]
                np.matmul(self.W2[p:], curved[p, :, part], out=of_p)
                of_p *= slope[p:]
            G += products_of_pairs(X1) @ weights.T
        blocks = G[of_columns][:, :, of_units]
        H.reshape(c, h, c, h)[...] = blocks.transpose(0, 2, 1, 3)

    def _fill_mixed(self, H: Array, curved: Array) -> None:
        c, h, m, n_outputs = len(self.X1), len(self.slope), len(self.B), len(self.C)
        blocks = H.reshape(c, h, m, n_outputs)
        for p in range(h):
            weighted = (curved[p][:, None] * self.B).reshape(n_outputs * m, -1)
            blocks[:, p] = (self.X1 @ weighted.T).reshape(c, n_outputs, m).transpose(0, 2, 1)

    def _fill_outputs(self, H: Array) -> None:
        m, n_outputs = len(self.B), len(self.C)
        blocks = H.reshape(m, n_outputs, m, n_outputs)
        for k in range(n_outputs):
            for other in range(k + 1):
                weights = self.C[k, other]
                block = (self.B * weights) @ self.B.T if weights.any() else 0.0
                blocks[:, k, :, other] = blocks[:, other, :, k] = block


PRODUCTS_AT_A_TIME = 2**19
"""Products of pairs held at a time: four megabytes."""


def pairs(n: int) -> Array:
    """The number (n, n) of each pair i <= j of n, counted row by row; (j, i) has that of (i, j)."""
    number = np.empty((n, n), dtype=np.intp)
    first, second = np.triu_indices(n)
    number[first, second] = number[second, first] = np.arange(len(first))
    return number


def products_of_pairs(X1: Array) -> Array:
    """x_i x_j for all pairs of the rows of X1, in the order of `pairs`."""
    products, end = np.empty((len(X1) * (len(X1) + 1) // 2, X1.shape[1])), 0
    for i in range(len(X1)):
        start, end = end, end + len(X1) - i
        np.multiply(X1[i:], X1[i], out=products[start:end])
    return products


def chunks(n_rows: int, n_products: int) -> list[slice]:
    """Rows in parts for which that many products each may be held."""
    size = max(64, PRODUCTS_AT_A_TIME // n_products)
    return [slice(a, min(a + size, n_rows)) for a in range(0, n_rows, size)]


def tangent(network: Network, theta: Array, X: Inputs) -> tuple[Array, Tangent]:
    """Z2 of some rows, and how it follows theta."""
    shape, activation = network.shape, network.activation
    theta = theta.astype(np.float64, copy=False)
    parameters = shape.views(theta)
    X1 = np.ascontiguousarray(X.with_ones().T)
    Z1 = parameters.layer1.T @ X1
    A1 = np.empty_like(Z1)
    activation.value(Z1, A1)
    slope = np.empty_like(Z1)
    activation.slope(Z1, A1, slope)
    B = np.concatenate([A1, X1[-1:], X1[:-1]] if shape.skip else [A1, X1[-1:]])
    # as the network's own, raw outputs have the rows last in memory: losses count on it
    Z2 = (theta[parameters.layer1.size :].reshape(len(B), -1).T @ B).T
    return Z2, Tangent(parameters.W2, X1, B, slope)


def linearize(
    network: Network, theta: Array, X: Inputs, Y: Array, w: Array | float
) -> Linearization:
    """The network around theta, and its loss, as these rows see them."""
    Z2, rows = tangent(network, theta, X)
    D2 = np.empty_like(Z2, order="F")
    losses = network.loss.loss_gradient(Z2, Y, D2)
    w = np.broadcast_to(np.asarray(w, dtype=np.float64), len(losses))
    D2 *= w[:, None]
    C = np.multiply(network.loss.curvature(Z2, Y).transpose(1, 2, 0), w, order="C")
    return Linearization(rows.W2, rows.X1, rows.B, rows.slope, D2, C, float(w @ losses))
