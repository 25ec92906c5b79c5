"""Kronecker-factored Laplace approximation: a posterior for any number of parameters.

The curvature of each layer is taken for a Kronecker product (see `kronecker_factors`), and the
layers for independent (Ritter et al. 2018; Immer et al. 2021). That of layer two is exact for one
output. Under precisions Lambda of the rows of layer one all blocks N g_k A + Lambda, g_k and u_k
being eigenvalues and eigenvectors of G, share one eigenbasis:

    Lambda^-1/2 A Lambda^-1/2 = Q D Q'         E_jk = N D_j g_k
    log det = n_hidden sum log Lambda + sum_jk log(1 + E_jk)
    gamma_j = (Q * Q) (E / (1 + E)) 1          of row j, summed over the columns of a group

Layer two has a block N c_l B + Lambda_2 for each eigenvalue c_l of C, with eigenvector v_l.

The determinant leaves out the block between the layers: its evidence is too low, and must not be
compared with an exact one. gamma counts too many, as what layer one is sure of is not taken off
what layer two may claim.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..model.network import Network
from ..model.parameters import Shape
from ..model.row_space import RowSpace
from ..numerics import Array, row_blocks
from .evidence import FEWEST_LEFT, LARGEST_BETA, LARGEST_PRECISION, TINY, Estimate, Factor, Prior
from .kronecker_factors import Factors

IDENTIFIED = 1e-10
"""Of the largest eigenvalue of C: less is rounding, and the direction one without curvature."""


@dataclass(frozen=True)
class KroneckerCovariance:
    """The posterior covariance of theta, as its factors: O(d^2 + h^2) numbers.

    The first columns of x1 and its one are turned by `rotation` = Lambda^-1/2 Q, the columns behind
    them multiplied by `scale`, Lambda^-1/2; D are their eigenvalues times N, in this order, g and U
    those of G and its eigenvectors. For each eigenvector of C, in V, `layer2` (n_outputs, m, m) has
    the inverse, and `layer2_alone` its diagonal for columns of the skip path that have no other.
    With `basis` and `spread`, those of a `RowSpace`, all this is of coordinates there and, behind
    them, of the distance from it.
    """

    rotation: Array
    scale: Array
    D: Array
    g: Array
    U: Array
    V: Array
    layer2: Array
    layer2_alone: Array
    basis: Array | None = None
    spread: Array | None = None

    def on_columns(self, space: RowSpace) -> "KroneckerCovariance":
        """The same for rows by their columns; outside of the row space the prior holds."""
        scale, D = np.append(self.scale, self.deviation), np.append(self.D, 0.0)
        return replace(self, scale=scale, D=D, basis=space.basis, spread=space.spread)

    @property
    def deviation(self) -> float:
        """Of the prior of layer one, where all columns share one."""
        # of joint columns: rows of Q, which is orthogonal, have the length one
        alone = len(self.scale) > 0
        return float(self.scale[0] if alone else np.linalg.norm(self.rotation[0]))


class KroneckerLaplace:
    """The Gaussian that stands for the posterior, under given precisions.

    The prior holds every row of layer one; of layer two the output biases are free.
    """

    def __init__(
        self, found: Factors, network: Network, prior: Prior, precision: Array, beta: Array
    ):
        self.factors, self.prior, self.precision, self.beta = found, prior, precision, beta
        self.noisy, shape = network.loss.has_noise, network.shape
        layer1, layer2 = _groups_of_rows(shape, prior.group, found.inputs.n_joint)
        self.layer1 = _Layer1(found, layer1, precision, beta)
        self.layer2 = _Layer2(found, layer2, precision, beta if self.noisy else None)

    @property
    def identified(self) -> Array:
        """Which eigenvectors of C the data tell of: a constant added to all logits is not one."""
        return self.layer2.identified

    @property
    def covariance(self) -> KroneckerCovariance:
        """As a record of arrays."""
        one, two = self.layer1, self.layer2
        of_layer1 = one.rotation, one.scale, one.D, one.g, one.U
        return KroneckerCovariance(*of_layer1, two.V, two.inverses, two.alone)

    def gamma(self) -> Array:
        """How many parameters of each group the data determine."""
        n_groups = len(self.precision)
        gamma = self.layer1.gamma(n_groups) + self.layer2.gamma(n_groups)
        return np.clip(gamma, TINY, None)

    def estimate(self) -> Estimate:
        """Gamma for each group, and MacKay's new precisions."""
        gamma, squares = self.gamma(), self._squares
        precision = gamma / np.maximum(squares, gamma / LARGEST_PRECISION)
        return Estimate(gamma, precision, self.noise(), np.empty(0))

    def noise(self) -> Array:
        """MacKay's new precisions of the noise alone."""
        if not self.noisy:
            return self.beta
        n, errors = self.factors.n, self.factors.squares
        # beta_k tr(A^-1 H_k) of each output
        gamma_noise = self.beta * (self.layer1.traces() + self.layer2.traces())
        left = np.maximum(n - gamma_noise, FEWEST_LEFT * n)
        return np.asarray(left / np.maximum(2 * errors, left / LARGEST_BETA))

    @property
    def log_evidence(self) -> float:
        """Without the block between the layers: too low. Up to that as in `evidence`."""
        beta, precision, n = self.beta, self.precision, self.factors.n
        sizes = self._of_groups(np.ones_like)
        value = (
            -float(beta @ self.factors.errors)
            - 0.5 * float(precision @ self._squares)
            + 0.5 * float(sizes @ np.log(precision))
            - 0.5 * (self.layer1.log_det + self.layer2.log_det)
            + 0.5 * int(self.identified.sum()) * np.log(2 * np.pi)
        )
        if self.noisy:
            value += 0.5 * n * float(np.log(beta / (2 * np.pi)).sum())
        return float(value)

    @cached_property
    def _squares(self) -> Array:
        """|theta|^2 of each group."""
        return self._of_groups(np.square)

    def _of_groups(self, values: Callable[[Array], Array]) -> Array:
        """The sum of a function of theta over each group."""
        theta, sums = self.factors.theta, np.zeros(len(self.precision))
        for part in row_blocks(len(theta)):
            group = self.prior.group[part]
            held = group >= 0
            of_part = values(theta[part])[held]
            sums += np.bincount(group[held], of_part, minlength=len(sums))
        return sums


def _groups_of_rows(shape: Shape, group: Array, n_joint: int) -> tuple[Array, Array]:
    """The group of each row of layer one, [joint columns, 1, others], and two, [a, 1, columns]."""
    n_in_layer1 = (shape.n_features + 1) * shape.n_hidden
    layer1 = group[:n_in_layer1].reshape(-1, shape.n_hidden)[:, 0]
    layer1 = np.concatenate([layer1[:n_joint], layer1[-1:], layer1[n_joint:-1]])
    return layer1, group[n_in_layer1:].reshape(-1, shape.n_outputs)[:, 0]


class _Layer1:
    """sum_k (N g_k A + Lambda)^-1 (x) u_k u_k', in its eigenbasis."""

    def __init__(self, found: Factors, group: Array, precision: Array, beta: Array):
        self.group, self.G, of_rows, n = group, found.G, precision[group], len(found.inputs.A)
        root = of_rows[:n] ** -0.5
        D, self.Q = np.linalg.eigh(root[:, None] * found.inputs.A * root)
        D = np.concatenate([np.maximum(D, 0), found.inputs.alone / of_rows[n:]])
        g, self.U = np.linalg.eigh(np.tensordot(beta, found.G, 1))
        self.D, self.g = found.n * D, np.maximum(g, 0)
        self.rotation, self.scale = root[:, None] * self.Q, of_rows[n:] ** -0.5
        self.of_prior = len(g) * float(np.log(of_rows).sum())

    @property
    def log_det(self) -> float:
        """The logarithm of the determinant."""
        return self.of_prior + sum(float(np.log1p(E).sum()) for _, E in self._blocks())

    def _blocks(self) -> Iterator[tuple[slice, Array]]:
        """E, a block of rows at a time, as it may be large."""
        for rows in row_blocks(len(self.D), len(self.g)):
            yield rows, np.outer(self.D[rows], self.g)

    def gamma(self, n_groups: int) -> Array:
        """Of each group."""
        n = len(self.Q)
        determined = np.concatenate([(E / (1 + E)).sum(axis=1) for _, E in self._blocks()])
        of_rows = np.concatenate([self.Q**2 @ determined[:n], determined[n:]])
        return np.bincount(self.group, of_rows, minlength=n_groups)

    def traces(self) -> Array:
        """tr(A^-1 N A (x) G_k) for each noise."""
        along = (self.U * (self.G @ self.U)).sum(axis=1)
        sums = sum((self.D[rows, None] / (1 + E)).sum(axis=0) for rows, E in self._blocks())
        return along @ sums


class _Layer2:
    """sum_l (N c_l B + Lambda_2)^-1 (x) v_l v_l', an inverse for each eigenvalue of C.

    `inverses` has those of [a, 1] and of joint columns of a skip path, `alone` its diagonal for the
    others.
    """

    def __init__(self, found: Factors, group: Array, precision: Array, beta: Array | None):
        self.found, n_outputs = found, len(found.C)
        C = found.C if beta is None else np.diag(beta * found.C.diagonal())
        c, self.V = np.linalg.eigh(C)
        self.identified = c > IDENTIFIED * max(c.max(), TINY)
        self.group, self.precision, n = group, np.append(precision, 0.0)[group], len(found.B)
        self.inverses, self.log_det = np.empty((n_outputs, n, n)), 0.0
        self.alone = np.empty((n_outputs, len(group) - n))
        for eigenvalue, known, *out in zip(
            c, self.identified, self.inverses, self.alone, strict=True
        ):
            self.log_det += self._invert(eigenvalue if known else 0.0, *out)

    def _invert(self, c: float, joint: Array, alone: Array) -> float:
        """Write (N c B + Lambda_2)^-1 into both parts, return the log-determinant.

        Without curvature that is the prior, and of free biases nothing.
        """
        found, n = self.found, len(joint)
        of_alone = found.n * c * found.B_alone + self.precision[n:]
        alone[:] = 1 / of_alone
        log_det = float(np.log(of_alone).sum())
        of_joint = self.precision[:n]
        if c > 0:
            factor = Factor(found.n * c * found.B + np.diag(of_joint))
            joint[:] = factor.inverse()
            return log_det + factor.log_det
        held = of_joint > 0
        joint[:] = np.diag(np.where(held, 1 / np.where(held, of_joint, 1), 0))
        return log_det + float(np.log(of_joint[held]).sum())

    def gamma(self, n_groups: int) -> Array:
        """Of each group."""
        variances = np.concatenate([np.einsum("lii->li", self.inverses), self.alone], axis=1)
        determined, held = (1 - variances * self.precision).sum(axis=0), self.group >= 0
        return np.bincount(self.group[held], determined[held], minlength=n_groups)

    def traces(self) -> Array:
        """tr(A^-1 N B (x) 1_k) for each output."""
        of_inverses = np.tensordot(self.inverses, self.found.B, 2) + self.alone @ self.found.B_alone
        return self.found.n * self.found.C.diagonal() * (self.V**2 @ of_inverses)
