"""Kronecker-factored Laplace approximation: a posterior for any number of parameters.

The curvature of each layer is taken for a Kronecker product of two small matrices (Martens and
Grosse 2015; Ritter et al. 2018; Immer et al. 2021), and the layers for independent. With N the sum
of weights, x1 = [x, 1], b the features of layer two and S = slope * W2,

    layer 1    N A (x) G    A = mean of x1 x1'             G = mean of S C S'
    layer 2    N B (x) C    B = mean of b b', weighted by the trace of C

of which the second is exact for one output. Under row precisions Lambda of layer 1 all blocks
N g_k A + Lambda, g_k and u_k being eigenvalues and eigenvectors of G, share one eigenbasis:

    Lambda^-1/2 A Lambda^-1/2 = Q D Q'         E_jk = N D_j g_k
    log det = n_hidden sum log Lambda + sum_jk log(1 + E_jk)
    gamma_j = (Q * Q) (E / (1 + E)) 1          of row j, summed over the columns of a group
    variance of the outputs = sum_k (S'u_k) (S'u_k)' sum_j (Q' Lambda^-1/2 x1)_j^2 / (1 + E_jk) + ...

The determinant leaves out the block between the layers: its evidence is too low, and must not be
compared with an exact one. Columns of categories of many levels, and all columns where there are
very many, are taken for uncorrelated: there A is its diagonal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..data.inputs import Inputs
from ..data.rows import ArrayRows
from ..data.sources import Index, split
from ..model.losses import with_noise
from ..model.network import Network
from ..numerics import Array, semidefinite_root
from .evidence import FEWEST_LEFT, LARGEST_BETA, LARGEST_PRECISION, TINY, Estimate, Prior

MOST_CORRELATED = 1000
"""Columns whose correlations are taken into account: an eigendecomposition of 0.2 s."""

ROWS_AT_A_TIME = 512
"""Rows for which features and slopes are held in double precision."""


@dataclass(frozen=True)
class Factors:
    """What rows say around theta: means over rows, for N of them.

    A (n_joint, n_joint) is that of the columns `joint` of x1, `A_alone` the diagonal of the
    others. G (n_noises, n_hidden, n_hidden) and `errors` are those of each output that has a noise
    of its own, at precision 1.
    """

    theta: Array
    n: float
    joint: Array
    A: Array
    A_alone: Array
    G: Array
    B: Array
    C: Array
    errors: Array

    def means(self) -> dict[str, Array]:
        """All that are means over rows, the errors among them."""
        return {name: getattr(self, name) for name in MEANS} | {"errors": self.errors / self.n}

    def after(self, earlier: Mapping[str, Array], fraction: float) -> "Factors":
        """Of a stream: means over the rows so far, of which these are a fraction."""
        means = {k: (1 - fraction) * earlier[k] + fraction * v for k, v in self.means().items()}
        return replace(self, **{**means, "errors": means["errors"] * self.n})


MEANS = ("A", "A_alone", "G", "B", "C")


@dataclass(frozen=True)
class InputFactor:
    """A: it does not change while weights are learnt."""

    joint: Array
    A: Array
    A_alone: Array


def input_factor(rows: ArrayRows, index: Index, n_columns: int, n_wide: int) -> InputFactor:
    """The factor A of the rows at `index`, of `n_columns` columns the last `n_wide` of which are
    levels of categories of many levels."""
    n_joint = n_columns - n_wide
    if n_joint > MOST_CORRELATED:
        n_joint = 0
    joint = np.append(np.arange(n_joint), n_columns)
    A, squares, total = np.zeros((n_joint + 1, n_joint + 1)), np.zeros(n_columns + 1), 0.0
    for X, _, w in _blocks(rows, index):
        weighted = X1 = X.with_ones()
        if w is not None:
            weighted = X1 * w[:, None]
        A += weighted[:, joint].T @ X1[:, joint]
        squares += np.einsum("ij,ij->j", weighted, X1)
        total += X1.shape[0] if w is None else float(w.sum(dtype=np.float64))
    return InputFactor(joint, A / total, squares[n_joint:-1] / total)


def factors(
    network: Network, theta: Array, rows: ArrayRows, index: Index, n: float, inputs: InputFactor
) -> Factors:
    """The factors around theta, from the rows at `index`."""
    shape, noisy = network.shape, network.loss.has_noise
    n_noises, m = shape.n_outputs if noisy else 1, shape.n_hidden + 1
    m += shape.n_features if shape.skip else 0
    G, errors = np.zeros((n_noises, shape.n_hidden, shape.n_hidden)), np.zeros(n_noises)
    B, C, total, total_trace = np.zeros((m, m)), 0.0, 0.0, 0.0
    for X, Y, w in _blocks(rows, index):
        w = np.ones(X.n_rows) if w is None else w.astype(np.float64)
        A1, slope, Z2 = forward(network, theta, X)
        curvature = network.loss.curvature(Z2, Y)
        _add_output_factor(G, network, theta, slope, curvature, w)
        trace = w * np.einsum("ikk->i", curvature)
        features = _features(network, A1, X)
        B += (features * trace[:, None]).T @ features
        C = C + np.einsum("i,ikl->kl", w, curvature)
        total, total_trace = total + w.sum(), total_trace + trace.sum()
        errors += _errors(network, Z2, Y, w)
    scale = max(total_trace, TINY * total)
    return Factors(
        theta.astype(np.float64),
        n,
        inputs.joint,
        inputs.A,
        inputs.A_alone,
        G / total,
        B / scale,
        np.asarray(C) / total,
        errors * (n / total),
    )


def _blocks(rows: ArrayRows, index: Index):
    for part, _ in split(index, rows.n_rows, ROWS_AT_A_TIME):
        yield rows.take(part)


def forward(network: Network, theta: Array, X: Inputs) -> tuple[Array, Array, Array]:
    """A1, slope (n_rows, n_hidden) and Z2 in float64."""
    parameters, n = network.shape.views(theta), X.n_rows
    Z1 = np.empty((network.shape.n_hidden, n), theta.dtype).T
    X.forward(parameters.layer1, Z1)
    A1, slope = np.empty_like(Z1), np.empty_like(Z1)
    network.activation.value(Z1, A1)
    network.activation.slope(Z1, A1, slope)
    A1, slope = A1.astype(np.float64, copy=False), slope.astype(np.float64, copy=False)
    Z2 = np.empty((network.shape.n_outputs, n)).T
    np.dot(parameters.W2.T, A1.T, out=Z2.T) if theta.dtype == np.float64 else np.dot(
        parameters.W2.T.astype(np.float64), A1.T, out=Z2.T
    )
    Z2 += parameters.b2
    if parameters.W0 is not None:
        skipped = np.zeros_like(Z2, dtype=theta.dtype)
        X.add_skip(parameters.W0, skipped)
        Z2 += skipped
    return A1, slope, Z2


def _features(network: Network, A1: Array, X: Inputs) -> Array:
    """B = [A1, 1], and X behind it with a skip path."""
    ones = np.ones((len(A1), 1))
    parts = [A1, ones]
    if network.shape.skip:
        parts.append(X.with_ones()[:, :-1])
    return np.concatenate(parts, axis=1)


def _add_output_factor(
    G: Array, network: Network, theta: Array, slope: Array, curvature: Array, w: Array
) -> None:
    """Add sum_i w_i S_i C_i S_i', by roots of C: a product for each output."""
    W2 = network.shape.views(theta).W2.astype(np.float64)
    root = semidefinite_root(curvature)
    weighted = slope * np.sqrt(w)[:, None]
    for k in range(root.shape[2]):
        V = weighted * (root[:, :, k] @ W2.T)
        G[k if len(G) > 1 else 0] += V.T @ V


def _errors(network: Network, Z2: Array, Y: Array, w: Array) -> Array:
    scratch = np.empty_like(Z2, order="F")
    losses = [network.loss]
    if network.loss.has_noise:
        losses = [with_noise(network.loss, of_one) for of_one in np.eye(Z2.shape[1])]
    return np.array([float(w @ loss.loss_gradient(Z2, Y, scratch)) for loss in losses])


@dataclass(frozen=True)
class KroneckerCovariance:
    """The posterior covariance of theta, as its factors: O(d^2 + h^2) numbers.

    The columns `joint` of x1 are turned by `rotation` = Lambda^-1/2 Q, the others divided by the
    root of their precision, `scale`; D are their eigenvalues times N, the joint ones first. `layer2`
    (n_outputs, m, m) has the inverse for each eigenvector of C.
    """

    joint: Array
    rotation: Array
    scale: Array
    D: Array
    g: Array
    U: Array
    V: Array
    layer2: Array


class KroneckerLaplace:
    """The Gaussian that stands for the posterior, under given precisions."""

    def __init__(self, found: Factors, network: Network, prior: Prior, precision: Array, beta: Array):
        self.factors, self.network, self.prior = found, network, prior
        self.precision, self.beta = precision, beta
        shape = network.shape
        of_layer1 = shape.views(prior.group).layer1[:, 0]
        self.row_group, of_rows = of_layer1, precision[of_layer1]
        joint, alone = found.joint, np.delete(np.arange(len(of_rows)), found.joint)
        self.order = np.concatenate([joint, alone])
        root = of_rows[joint] ** -0.5
        D, self.Q = np.linalg.eigh(root[:, None] * found.A * root)
        D = np.concatenate([np.maximum(D, 0), found.A_alone / of_rows[alone]]) * found.n
        G = np.tensordot(beta, found.G, 1)
        g, U = np.linalg.eigh(G)
        self.D, self.g, self.U = D, np.maximum(g, 0), U
        self.E = np.outer(D, self.g)
        self.rotation, self.scale = root[:, None] * self.Q, of_rows[alone] ** -0.5
        self.log_precision = float(np.log(of_rows).sum())
        self._invert_layer2()

    def _invert_layer2(self) -> None:
        """(N c_l B + Lambda_2)^-1 for each eigenvalue c_l of C."""
        found, shape = self.factors, self.network.shape
        C = np.diag(self.beta) if self.network.loss.has_noise else found.C
        c, self.V = np.linalg.eigh(C)
        # a direction without curvature: a constant added to all logits changes no probability
        self.identified = c > 1e-10 * max(c.max(), TINY)
        group = self._layer2_groups()
        of_rows = np.append(self.precision, 0.0)[group]
        self.c, self.layer2, self.log_det2 = c, [], 0.0
        for value, identified in zip(c, self.identified, strict=True):
            if not identified:
                self.layer2.append(np.zeros_like(found.B))
                continue
            M = found.n * value * found.B + np.diag(of_rows)
            M[np.diag_indices_from(M)] += 1e-14 * (M.diagonal() + M.diagonal().mean())
            self.layer2.append(np.linalg.inv(M))
            self.log_det2 += float(np.linalg.slogdet(M)[1])
        self.group2 = group

    def _layer2_groups(self) -> Array:
        group = self.prior.group[(self.network.shape.n_features + 1) * self.network.shape.n_hidden :]
        return group.reshape(-1, self.network.shape.n_outputs)[:, 0]

    @property
    def covariance(self) -> KroneckerCovariance:
        """As a record of arrays."""
        order = self.factors.joint
        return KroneckerCovariance(
            order, self.rotation, self.scale, self.D, self.g, self.U, self.V, np.array(self.layer2)
        )

    def gamma(self) -> Array:
        """How many parameters of each group the data determine."""
        determined = (self.E / (1 + self.E)).sum(axis=1)
        n_joint = len(self.Q)
        of_rows = np.concatenate([self.Q**2 @ determined[:n_joint], determined[n_joint:]])
        gamma = np.bincount(self.row_group[self.order], of_rows, minlength=len(self.precision))
        held = self.group2 >= 0
        for inverse, identified in zip(self.layer2, self.identified, strict=True):
            if identified:
                left = inverse.diagonal()[held] * self.precision[self.group2[held]]
                gamma += np.bincount(self.group2[held], 1 - left, minlength=len(gamma))
        return np.clip(gamma, TINY, None)

    def estimate(self) -> Estimate:
        """Gamma for each group, and MacKay's new precisions."""
        gamma, squares = self.gamma(), self._squares()
        precision = gamma / np.maximum(squares, gamma / LARGEST_PRECISION)
        if not self.network.loss.has_noise:
            return Estimate(gamma, precision, self.beta, np.empty(0))
        n, errors = self.factors.n, self.factors.errors
        left = np.maximum(n - self._gamma_of_noises(), FEWEST_LEFT * n)
        beta = left / np.maximum(2 * errors, left / LARGEST_BETA)
        return Estimate(gamma, precision, beta, np.empty(0))

    def _squares(self) -> Array:
        held = self.prior.group >= 0
        squares = self.factors.theta[held] ** 2
        return np.bincount(self.prior.group[held], squares, minlength=len(self.precision))

    def _gamma_of_noises(self) -> Array:
        """beta_k tr(A^-1 H_k) for each output."""
        along = np.einsum("hr,khg,gr->kr", self.U, self.factors.G, self.U)
        of_layer1 = along @ (self.D[:, None] / (1 + self.E)).sum(axis=0)
        # C is diagonal here, but its eigenvalues are sorted
        of_layer2 = np.array([np.vdot(inverse, self.factors.B) for inverse in self.layer2])
        return self.beta * (of_layer1 + self.factors.n * (self.V**2 @ of_layer2))

    @property
    def log_evidence(self) -> float:
        """Without the block between the layers: too low. Up to that as in `evidence`."""
        sizes = np.bincount(self.prior.group[self.prior.group >= 0], minlength=len(self.precision))
        n, h = self.factors.n, self.network.shape.n_hidden
        log_det = h * self.log_precision + float(np.log1p(self.E).sum()) + self.log_det2
        n_free = int(self.identified.sum())
        value = -float(self.beta @ self.factors.errors) - 0.5 * float(self.precision @ self._squares())
        value += 0.5 * float(sizes @ np.log(self.precision)) - 0.5 * log_det
        value += 0.5 * n_free * np.log(2 * np.pi)
        if self.network.loss.has_noise:
            value += 0.5 * n * float(np.log(self.beta / (2 * np.pi)).sum())
        return value


class KroneckerOutputs:
    """Z2 of standardised rows and the covariance that the posterior leaves it."""

    def __init__(self, network: Network, theta: Array, covariance: KroneckerCovariance):
        self.network, self.theta, self.covariance = network, theta, covariance
        self.inverse = 1 / (1 + np.outer(covariance.D, covariance.g))

    def of_rows(self, X: Inputs) -> tuple[Array, Array]:
        """Z2 (n_rows, n_outputs), and (n_rows, n_outputs, n_outputs)."""
        found = self.covariance
        A1, slope, Z2 = forward(self.network, self.theta, X)
        X1 = X.with_ones()
        turned = X1[:, found.joint] @ found.rotation
        if len(found.scale):
            turned = np.concatenate([turned, np.delete(X1, found.joint, axis=1) * found.scale], 1)
        q = np.square(turned) @ self.inverse
        W2 = self.network.shape.views(self.theta).W2
        features = _features(self.network, A1, X)
        variances = [np.einsum("ij,ij->i", features @ inverse, features) for inverse in found.layer2]
        covariance = np.einsum("kl,ml,li->ikm", found.V, found.V, np.array(variances), optimize=True)
        n_outputs = W2.shape[1]
        if n_outputs == 1:
            along = (slope * W2[:, 0]) @ found.U
            covariance[:, 0, 0] += np.einsum("ik,ik->i", np.square(along), q)
            return Z2, covariance
        along = np.empty((n_outputs, *slope.shape))
        for k in range(n_outputs):
            along[k] = (slope * W2[:, k]) @ found.U
        for k in range(n_outputs):
            of_k = along[k] * q
            for other in range(k + 1):
                added = np.einsum("ih,ih->i", of_k, along[other])
                covariance[:, k, other] += added
                if other < k:
                    covariance[:, other, k] += added
        return Z2, covariance
