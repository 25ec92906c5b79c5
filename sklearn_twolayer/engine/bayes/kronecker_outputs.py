"""The predictive covariance under a Kronecker-factored posterior: what it leaves open of outputs.

With S = slope * W2, x1 = [x, 1], b the features of layer two and the rest as in `kronecker`,

    covariance = sum_k (S'u_k) (S'u_k)' sum_j (Q' Lambda^-1/2 x1)_j^2 / (1 + E_jk)
               + sum_l v_l v_l' b' (N c_l B + Lambda_2)^-1 b

The noise of the targets is not in it.
"""

import numpy as np

from ..data.inputs import Inputs, Squares
from ..model.network import Network
from ..model.row_space import coordinates
from ..numerics import Array
from .kronecker import KroneckerCovariance
from .kronecker_factors import features, forward


class KroneckerOutputs:
    """Z2 of standardised rows and the covariance that the posterior leaves it."""

    def __init__(self, network: Network, theta: Array, covariance: KroneckerCovariance):
        self.network, self.theta = network, theta.astype(np.float64, copy=False)
        self.covariance, n = covariance, len(covariance.rotation)
        inverse = 1 / (1 + np.outer(covariance.D, covariance.g))
        self.inverse = inverse[:n]
        self.inverse_alone = covariance.scale[:, None] ** 2 * inverse[n:]

    def of_rows(self, X: Inputs) -> tuple[Array, Array]:
        """Z2 (n_rows, n_outputs), and (n_rows, n_outputs, n_outputs)."""
        A1, slope, Z2 = forward(self.network, self.theta, X)
        basis, spread = self.covariance.basis, self.covariance.spread
        if basis is not None and spread is not None:
            X = coordinates(basis, spread, X)
        joint, squares = X.parts(len(self.covariance.rotation) - 1)
        covariance = self._of_layer1(slope, joint, squares)
        covariance += self._of_layer2(A1, joint, squares)
        return Z2, covariance

    def _of_layer1(self, slope: Array, joint: Array, squares: Squares) -> Array:
        """sum_k q_k (S'u_k) (S'u_k)', q_k being the variance of x1 times the weights along u_k."""
        found, W2 = self.covariance, self.network.shape.views(self.theta).W2
        q = np.square(joint @ found.rotation) @ self.inverse
        if len(found.scale):
            q += squares.times(self.inverse_alone)
        along = np.stack([(slope * of_output) @ found.U for of_output in W2.T], axis=1)
        return (along * q[:, None]) @ along.transpose(0, 2, 1)

    def _of_layer2(self, A1: Array, joint: Array, squares: Squares) -> Array:
        """sum_l v_l v_l' b' inverse_l b."""
        found, skip = self.covariance, self.network.shape.skip
        B = features(A1, joint if skip else joint[:, -1:])
        variances = np.stack([np.einsum("ij,ij->i", B @ M, B) for M in found.layer2], axis=1)
        if found.layer2_alone.size:
            variances += squares.times(found.layer2_alone.T)
        return (found.V * variances[:, None]) @ found.V.T
