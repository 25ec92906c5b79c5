"""How strong should the prior be, and how large is the noise? The data say (MacKay 1992).

Parameters are cut into groups, each under a Gaussian prior of its own precision; those of group -1
are free, under a flat prior of density one. With E_k the sum of w_i loss_i of output k and noise
precisions beta_k (one, fixed at 1, unless the loss is the squared error), the posterior around its
mode is Gaussian of precision A = H + diag(precision), H = sum_k beta_k H_k, and

    log p(Y) = - sum_k beta_k E_k - 1/2 sum_j precision_j theta_j^2 + 1/2 sum_g P_g log precision_g
               - 1/2 log det A + n_free/2 log 2 pi + [ sum_k n/2 log (beta_k / (2 pi)) ]

the bracket for squared error only; n is the sum of weights, and the units are those of
standardised Y. It is largest where

    precision_g = gamma_g / |theta_g|^2     gamma_g = P_g - precision_g tr_g A^-1
    beta_k = (n - gamma_k) / (2 E_k)        gamma_k = beta_k tr(A^-1 H_k)

gamma counts the parameters that the data determine. These rules and steps to the mode are taken
in turn (Foresee and Hagan 1997). Where two layers have priors of their own, units in the linear
part of their activation leave the ratio of the two almost open, and it settles slowly.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.linalg import lapack

from .curvature import curvature
from .gauss_newton import Penalized, Primal, Walk, check_size
from .losses import SquaredError
from .network import Network
from .numerics import Array
from .rows import ArrayRows
from .solution import Status

LARGEST_PRECISION = 1e6
"""A group held this tightly, in standardised units, is pruned; more would be no different."""

LARGEST_BETA = 1e8
"""Noise of a ten-thousandth of the target's deviation is none."""

POOLING = 0.5
"""Observations' worth of belief that the precisions of a pool are alike, halved."""

FEWEST_LEFT = 0.1
"""Share of the rows that tells of the noise, however many parameters there are."""

FIRST_DAMPING = 1e-2
"""Of the first step, in units of the posterior's precision."""

LEAST_JITTER = 1e-14
"""Share of its diagonal that is added to a matrix which rounding has made indefinite."""

TINY = 1e-10
"""What counts of parameters and of rows left over are kept above, so that their ratios exist."""


@dataclass(frozen=True)
class Quadratic:
    """What the data say around theta, in a row for each noise precision, taken at beta = 1.

    `n` is the sum of weights, or None where there is no noise to estimate.
    """

    theta: Array
    errors: Array
    gradients: Array
    curvatures: Array
    n: float | None


@dataclass(frozen=True)
class Estimate:
    """How many parameters some precisions leave to the data, A^-1, and better precisions."""

    gamma: Array
    precision: Array
    beta: Array
    covariance: Array


class Laplace:
    """The Gaussian that stands for the posterior around theta, under given precisions.

    `unidentified` is a direction of length one among the free parameters that the data tell
    nothing about: determinant and inverse are those of A on its complement.
    """

    def __init__(
        self,
        quadratic: Quadratic,
        group: Array,
        precision: Array,
        beta: Array,
        unidentified: Array | None = None,
    ):
        self.quadratic, self.precision, self.beta = quadratic, precision, beta
        self.group, self.held = group, group >= 0
        self.sizes = np.bincount(group[self.held], minlength=len(precision))
        squares = quadratic.theta[self.held] ** 2
        self.squares = np.bincount(group[self.held], squares, minlength=len(precision))
        A = np.tensordot(beta, quadratic.curvatures, 1)
        np.fill_diagonal(A, A.diagonal() + spread(precision, group))
        self.factor = _Factor(A, unidentified)
        n_free = len(group) - self.sizes.sum() - (unidentified is not None)
        self.log_evidence = self._log_evidence(n_free)

    def _log_evidence(self, n_free: int) -> float:
        beta, precision, n = self.beta, self.precision, self.quadratic.n
        found = (
            -float(beta @ self.quadratic.errors)
            - 0.5 * float(precision @ self.squares)
            + 0.5 * float(self.sizes @ np.log(precision))
            - 0.5 * self.factor.log_det
            + 0.5 * n_free * np.log(2 * np.pi)
        )
        if n is not None:
            found += 0.5 * n * float(np.log(beta / (2 * np.pi)).sum())
        return float(found)

    def estimate(self) -> Estimate:
        """Gamma for each group, and MacKay's new precisions, where theta is the mode."""
        errors, n, inverse = self.quadratic.errors, self.quadratic.n, self.factor.inverse()
        variances = inverse.diagonal()[self.held]
        traces = np.bincount(self.group[self.held], variances, minlength=len(self.precision))
        gamma = np.clip(self.sizes - self.precision * traces, TINY, None)
        precision = gamma / np.maximum(self.squares, gamma / LARGEST_PRECISION)
        if n is None:
            return Estimate(gamma, precision, self.beta, inverse)
        gamma_noise = self.beta * np.einsum("kij,ij->k", self.quadratic.curvatures, inverse)
        left = np.maximum(n - gamma_noise, FEWEST_LEFT * n)
        beta = left / np.maximum(2 * errors, left / LARGEST_BETA)
        return Estimate(gamma, precision, beta, inverse)


@dataclass(frozen=True)
class Prior:
    """Gaussian priors for groups of parameters, and how their precisions follow the data.

    `group` numbers the group of each parameter, -1 the free ones; `precision` is where each group
    begins. `fixed` groups stay there. Those in `pooled` are alike: each one's precision has a
    Gamma prior of shape 1 + POOLING around their common (geometric) mean, so that a few
    parameters can neither be pruned by chance nor be let loose.
    """

    group: Array
    precision: Array
    fixed: Array
    pooled: Array

    @classmethod
    def plain(cls, group: Array, precision: Array | None = None) -> "Prior":
        """Every precision by MacKay's rule alone, beginning at 1 if none are given."""
        n_groups = int(group.max()) + 1
        none = np.zeros(n_groups, dtype=bool)
        return cls(group, np.ones(n_groups) if precision is None else precision, none, none)

    def update(self, found: "Estimate", old: Array) -> Array:
        """New precisions: (gamma + 2 s) / (|theta|^2 + 2 s / centre) where pooled."""
        new = found.precision.copy()
        if self.pooled.any():
            gamma, pooled = found.gamma[self.pooled], new[self.pooled]
            centre = np.exp(np.log(old[self.pooled]).mean())
            new[self.pooled] = (gamma + 2 * POOLING) / (gamma / pooled + 2 * POOLING / centre)
        new = np.clip(_bounded(new, old), 1 / LARGEST_PRECISION, LARGEST_PRECISION)
        return np.where(self.fixed, old, new)


def spread(precision: Array, group: Array) -> Array:
    """The prior precision of each parameter: that of its group, 0 for a free one."""
    return np.append(precision, 0.0)[group]


class _Factor:
    """A by Cholesky, on the complement of a direction if one is given: log-determinant, inverse."""

    def __init__(self, A: Array, unidentified: Array | None):
        self.unidentified, self.strength = unidentified, float(A.diagonal().mean())
        if unidentified is not None:
            A = A + self.strength * np.outer(unidentified, unidentified)
        self.lower, info = lapack.dpotrf(A, lower=1)
        jitter = LEAST_JITTER
        while info != 0 and jitter < 1:
            # rounding has left a direction without curvature: none is weaker than rounding
            ridge = jitter * (self.strength + A.diagonal())
            self.lower, info = lapack.dpotrf(A + np.diag(ridge), lower=1)
            jitter *= 10
        if info != 0:
            raise np.linalg.LinAlgError("the posterior has a direction of no curvature")
        self.log_det = 2 * float(np.log(self.lower.diagonal()).sum())
        if unidentified is not None:
            self.log_det -= np.log(self.strength)

    def inverse(self) -> Array:
        """A^-1."""
        inverse, _ = lapack.dpotri(self.lower, lower=1)
        inverse = np.where(np.tri(len(inverse), dtype=bool), inverse, inverse.T)
        if self.unidentified is not None:
            inverse -= np.outer(self.unidentified, self.unidentified) / self.strength
        return inverse


class NoisySquaredError(SquaredError):
    """sum_k beta_k (Z2_k - Y_k)^2 / 2: targets whose noise has the precision beta."""

    def __init__(self, beta: Array):
        self.beta = beta

    def loss_gradient(self, Z2: Array, Y: Array, gradient: Array) -> Array:
        np.subtract(Z2, Y, out=gradient)
        losses = 0.5 * np.square(gradient) @ self.beta
        gradient *= self.beta
        return losses

    def curvature(self, Z2: Array, Y: Array) -> Array:
        return np.broadcast_to(np.diag(self.beta), (len(Z2), len(self.beta), len(self.beta)))


@dataclass(frozen=True)
class Posterior:
    """The mode, the precisions that suit the data best, and the covariance A^-1 there.

    `gamma` counts the parameters determined in each group; `status` tells whether all of it has
    settled.
    """

    theta: Array
    precision: Array
    beta: Array
    gamma: Array
    log_evidence: float
    covariance: Array
    n_iter: int
    status: Status


def maximize_evidence(
    network: Network,
    rows: ArrayRows,
    theta: Array,
    prior: Prior,
    beta: Array | None = None,
    max_iter: int = 100,
    n_warm: int = 0,
    n_last: int = 0,
    tol: float = 1e-2,
    callback: Callable[[float, Array], bool] | None = None,
) -> Posterior:
    """One step to the mode and new estimates of precisions and noise, in turn, from `theta`.

    Weights of rows count as copies. The first `n_warm` steps leave the precisions alone, and so do
    up to `n_last` more at the end, which close in on the mode. Settled when a step and new
    estimates together change less than `tol` nats, twice in a row. `callback` is told -log evidence
    and theta after each step, and stops the search by returning True. Theta, precisions and
    covariance belong together at the end, and the last -log evidence is theirs.
    """
    search = _Search(network, rows, theta.astype(np.float64), prior, beta)
    status, calm, n_iter, is_to_stop = Status.MAX_ITER, 0, 0, callback or _never
    while n_iter < max_iter and calm < 2:
        n_iter += 1
        gain, better = search.step(), None
        if n_warm < n_iter < max_iter:
            better = search.estimate()
            calm = calm + 1 if gain + better.change < tol else 0
        if better and calm == 2 and n_last == 0:
            # no step follows under the new precisions: what is told is theirs already
            search.adopt(better)
            better = None
        if is_to_stop(-search.laplace.log_evidence, search.theta):
            return search.posterior(n_iter, Status.STOPPED)
        if better:
            search.adopt(better)
    status = Status.CONVERGED if calm == 2 else status
    for _ in range(n_last):
        n_iter += 1
        gain = search.step()
        if is_to_stop(-search.laplace.log_evidence, search.theta):
            return search.posterior(n_iter, Status.STOPPED)
        if gain < tol / 10:
            break
    return search.posterior(n_iter, status)


def _never(value: float, theta: Array) -> bool:
    return False


@dataclass(frozen=True)
class _Better:
    """Precisions that suit the data better, and by how many nats they differ, roughly."""

    precision: Array
    beta: Array
    change: float


class _Search:
    """Theta, precisions and noise, and how the data look from there."""

    def __init__(
        self, network: Network, rows: ArrayRows, theta: Array, prior: Prior, beta: Array | None
    ):
        check_size(network.shape, n_rows=np.iinfo(int).max)
        self.network, self.rows, self.prior = network, rows, prior
        n_noises = network.shape.n_outputs if isinstance(network.loss, SquaredError) else 1
        self.precision, self.beta = prior.precision, np.ones(n_noises) if beta is None else beta
        self.unidentified = _unidentified(network, prior.group)
        self.quadratic, self.damping = look(network, rows, theta), FIRST_DAMPING
        self._laplace: Laplace | None = None

    @property
    def theta(self) -> Array:
        """Where the search is."""
        return self.quadratic.theta

    @property
    def laplace(self) -> Laplace:
        """The posterior as it is seen from here, computed once."""
        if self._laplace is None:
            found = self.quadratic, self.prior.group, self.precision, self.beta, self.unidentified
            self._laplace = Laplace(*found)
        return self._laplace

    def step(self) -> float:
        """One step of Levenberg-Marquardt; what -log posterior has fallen by."""
        self._laplace = None
        spread_out = spread(self.precision, self.prior.group)
        walk = _walk(self.network, self.rows, self.quadratic, spread_out, self.beta)
        walk.damping, before = self.damping, walk.parabola.value
        walk.advance()
        self.damping = walk.damping
        self.quadratic = _seen(walk, self.quadratic, self.network, self.beta)
        return before - walk.parabola.value

    def estimate(self) -> "_Better":
        """New precisions and noise; their change in nats, roughly."""
        found = self.laplace.estimate()
        precision = self.prior.update(found, self.precision)
        beta = _bounded(found.beta, self.beta)
        moved = np.abs(np.log(precision / self.precision))
        change = 0.5 * float(np.maximum(found.gamma, 1e-3) @ moved)
        n = self.quadratic.n or 0.0
        change += 0.05 * n * float(np.abs(np.log(beta / self.beta)).sum())
        return _Better(precision, beta, change)

    def adopt(self, better: "_Better") -> None:
        """Go on under other precisions."""
        self.precision, self.beta, self._laplace = better.precision, better.beta, None

    def posterior(self, n_iter: int, status: Status) -> Posterior:
        """What is known at the end."""
        found = self.laplace.estimate()
        return Posterior(
            self.theta,
            self.precision,
            self.beta,
            found.gamma,
            self.laplace.log_evidence,
            found.covariance,
            n_iter,
            status,
        )


def _bounded(new: Array, old: Array) -> Array:
    """No estimate moves by more than a factor of ten at once."""
    return np.clip(new, old / 10, old * 10)


def look(network: Network, rows: ArrayRows, theta: Array) -> Quadratic:
    """The data around theta, one output at a time where each has its own noise."""
    noisy = isinstance(network.loss, SquaredError)
    networks = [network]
    if noisy:
        of_one = np.eye(network.shape.n_outputs)
        networks = [replace(network, loss=NoisySquaredError(beta)) for beta in of_one]
    sums = [rows.reduce(partial(curvature, each), theta) for each in networks]
    errors, gradients, curvatures = (np.array(part) for part in zip(*sums, strict=True))
    return Quadratic(theta, errors, gradients, curvatures, rows.sum_weights if noisy else None)


def _seen(walk: Walk, before: Quadratic, network: Network, beta: Array) -> Quadratic:
    """The data around the end of the walk; with one noise precision, the walk has seen them."""
    if len(beta) > 1:
        return look(network, walk.target.rows, walk.theta)
    theta, parabola, prior = walk.theta, walk.parabola, walk.target.precision
    assert isinstance(parabola, Primal)
    errors = np.array([parabola.value - 0.5 * prior @ theta**2]) / beta
    gradients = (parabola.gradient - prior * theta)[None] / beta
    return Quadratic(theta, errors, gradients, parabola.H[None] / beta, before.n)


def _walk(
    network: Network, rows: ArrayRows, quadratic: Quadratic, prior: Array, beta: Array
) -> Walk:
    """A walk on -log posterior, which begins with what is known of it already."""
    if quadratic.n is not None:
        network = replace(network, loss=NoisySquaredError(beta))
    theta = quadratic.theta
    parabola = Primal(
        float(beta @ quadratic.errors + 0.5 * prior @ theta**2),
        beta @ quadratic.gradients + prior * theta,
        prior,
        np.tensordot(beta, quadratic.curvatures, 1),
    )
    return Walk(Penalized(network, rows, prior, always_primal=True), theta, parabola)


def _unidentified(network: Network, group: Array) -> Array | None:
    """A constant added to all logits changes no probability: free biases leave it open."""
    shape = network.shape
    direction = np.zeros(shape.size)
    b2 = shape.views(direction).b2
    b2[:] = len(b2) ** -0.5
    free = (group[direction > 0] < 0).all()
    return direction if network.loss.labels and free else None
