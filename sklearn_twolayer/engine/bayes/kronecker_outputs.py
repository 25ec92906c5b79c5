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
from ..numerics import Array, row_blocks
from .kronecker import KroneckerCovariance
from .kronecker_factors import features, forward


class KroneckerOutputs:
    """Z2 of standardised rows and the covariance that the posterior leaves it."""

    def __init__(self, network: Network, theta: Array, covariance: KroneckerCovariance):
        self.network, self.theta = network, theta.astype(np.float64, copy=False)
        self.covariance, self.n_joint = covariance, len(covariance.rotation) - 1
        self.inverse = 1 / (1 + np.outer(covariance.D[: self.n_joint + 1], covariance.g))
        self.of_constant: Array | None = None
        self.inverse_alone: Array | None = None
        if len(row_blocks(len(covariance.scale), len(covariance.g))) == 1:
            self.inverse_alone = self._alone(slice(None))

    def _alone(self, columns: Array | slice) -> Array:
        """scale^2 / (1 + E) of columns that are taken for uncorrelated."""
        D = self.covariance.D[self.n_joint + 1 :][columns]
        E = np.outer(D, self.covariance.g)
        return np.asarray(self.covariance.scale[columns, None] ** 2 * (1 / (1 + E)))

    def of_rows(self, X: Inputs) -> tuple[Array, Array]:
        """Z2 (n_rows, n_outputs), and (n_rows, n_outputs, n_outputs)."""
        A1, slope, Z2 = forward(self.network, self.theta, X)
        basis, spread = self.covariance.basis, self.covariance.spread
        if basis is not None and spread is not None:
            X = coordinates(basis, spread, X)
        joint, squares = X.parts(self.n_joint)
        covariance = self._of_layer1(slope, joint, squares)
        covariance += self._of_layer2(A1, joint, squares)
        return Z2, covariance

    def _of_layer1(self, slope: Array, joint: Array, squares: Squares) -> Array:
        """sum_k q_k (S'u_k) (S'u_k)', q_k being the variance of x1 times the weights along u_k."""
        found, W2 = self.covariance, self.network.shape.views(self.theta).W2
        q = np.square(joint @ found.rotation) @ self.inverse
        if len(found.scale):
            q += self._times_alone(squares)
        along = np.stack([(slope * of_output) @ found.U for of_output in W2.T], axis=1)
        return (along * q[:, None]) @ along.transpose(0, 2, 1)

    def _times_alone(self, squares: Squares) -> Array:
        """The product of squares with `_alone`, of the columns alone that are stored, if it can."""
        if self.inverse_alone is not None:
            return squares.times(self.inverse_alone)
        columns, varying = squares.stored()
        product = varying @ self._alone(columns)
        if squares.constant is None:
            return product
        if self.of_constant is None:  # it is the same for all rows
            blocks = row_blocks(len(squares.constant), len(self.covariance.g))
            parts = (squares.constant[b] @ self._alone(b) for b in blocks)
            self.of_constant = np.sum(list(parts), axis=0)
        return product + self.of_constant

    def _of_layer2(self, A1: Array, joint: Array, squares: Squares) -> Array:
        """sum_l v_l v_l' b' inverse_l b."""
        found, skip = self.covariance, self.network.shape.skip
        B = features(A1, joint if skip else joint[:, -1:])
        variances = np.stack([np.einsum("ij,ij->i", B @ M, B) for M in found.layer2], axis=1)
        if found.layer2_alone.size:
            variances += squares.times(found.layer2_alone.T)
        return (found.V * variances[:, None]) @ found.V.T
