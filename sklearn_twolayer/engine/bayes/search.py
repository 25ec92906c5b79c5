"""Maximising the evidence: steps to the mode and MacKay's updates of the precisions, in turn.

Three known algorithms: a damped Gauss-Newton step on -log posterior (Levenberg 1944,
Marquardt 1963), Laplace's approximation around where it ends, and the fixed-point updates of
precisions and noise (MacKay 1992), as Foresee and Hagan (1997) combined them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ..data.rows import ArrayRows
from ..model.gauss_newton import curvature
from ..model.losses import with_noise
from ..model.network import Network
from ..numerics import Array
from ..solvers.levenberg_marquardt import Penalized, Primal, Walk, check_size
from ..solvers.solution import Status
from .evidence import Laplace, Prior, Quadratic, bounded, spread

FIRST_DAMPING = 1e-2
"""Of the first step, in units of the posterior's precision."""


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
        n_noises = network.shape.n_outputs if network.loss.has_noise else 1
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
        beta = bounded(found.beta, self.beta)
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


def look(network: Network, rows: ArrayRows, theta: Array) -> Quadratic:
    """The data around theta, one output at a time where each has its own noise."""
    noisy = network.loss.has_noise
    networks = [network]
    if noisy:
        of_one = np.eye(network.shape.n_outputs)
        networks = [replace(network, loss=with_noise(network.loss, beta)) for beta in of_one]
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
        network = replace(network, loss=with_noise(network.loss, beta))
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
