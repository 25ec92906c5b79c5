"""Maximising the evidence: steps to the mode and MacKay's updates of the precisions, in turn.

Three known algorithms: a damped Gauss-Newton step on -log posterior (Levenberg 1944,
Marquardt 1963), Laplace's approximation around where it ends, and the fixed-point updates of
precisions and noise (MacKay 1992), as Foresee and Hagan (1997) combined them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ..data.rows import Rows
from ..model.gauss_newton import curvature
from ..model.loss import noise_of_constant, with_noise
from ..model.network import Network
from ..numerics import Array
from ..solvers.levenberg_marquardt import Point, Primal, Target, advance, check_size
from ..solvers.penalty import per_parameter
from ..solvers.solution import Status
from .evidence import Laplace, Prior, Quadratic, bounded

FIRST_DAMPING = 1e-2
"""Of the first step, in units of the posterior's precision."""


@dataclass(frozen=True)
class Optimum:
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


@dataclass(frozen=True)
class _PosteriorPoint(Point):
    """A point together with what the data alone say around it."""

    data: Quadratic


class _LogPosterior(Target):
    """-log posterior under given precisions and noise, up to a constant."""

    def __init__(self, network: Network, rows: Rows, precision: Array, beta: Array):
        noisy = network
        if network.loss.has_noise:
            noisy = replace(network, loss=with_noise(network.loss, beta))
        super().__init__(noisy, rows, precision)
        self.without_noise, self.beta = network, beta

    def value(self, theta: Array) -> float:
        (loss,) = self.rows.reduce(self.network.loss_sum, theta)
        return float(loss) * self.rows.copies + self._penalty(theta)

    def expand(self, theta: Array) -> _PosteriorPoint:
        return self.around(expand(self.without_noise, self.rows, theta))

    def around(self, data: Quadratic) -> _PosteriorPoint:
        """The point where the data have been expanded already."""
        theta, beta, precision = data.theta, self.beta, self.precision
        value = float(beta @ data.errors + 0.5 * precision @ theta**2)
        gradient = beta @ data.gradients + precision * theta
        H = np.tensordot(beta, data.curvatures, 1)
        return _PosteriorPoint(theta, value, gradient, Primal(gradient, precision, H), data)


Advance = Callable[[_LogPosterior, _PosteriorPoint, float], tuple[_PosteriorPoint, float]]
"""A way to the mode: from a point and a damping to the next, or the same if there is no better."""


def maximize_evidence(
    network: Network,
    rows: Rows,
    theta: Array,
    prior: Prior,
    beta: Array | None = None,
    max_iter: int = 100,
    n_warm: int = 0,
    n_last: int = 0,
    tol: float = 1e-2,
    callback: Callable[[float, Array], bool] | None = None,
    advance: Advance = advance,
) -> Optimum:
    """One step to the mode and new estimates of precisions and noise, in turn, from `theta`.

    Weights of rows count as copies. The first `n_warm` steps leave the precisions alone, as a
    random start says nothing of good ones, and so do up to `n_last` more at the end, which close in
    on the mode that MacKay's rules take for granted. Settled when a step and new estimates together
    change less than `tol` nats, twice in a row: a single quiet step may be one that damping kept
    short. `callback` is told -log evidence and theta after each step, and stops the search by
    returning True. Theta, precisions and covariance belong together at the end, and the last -log
    evidence is theirs. `advance` is the way to the mode (`Advance`).
    """
    search = _Search(network, rows, theta.astype(np.float64), prior, beta, advance)
    status, n_settled, n_iter, is_to_stop = Status.MAX_ITER, 0, 0, callback or _never
    while n_iter < max_iter and n_settled < 2:
        n_iter += 1
        gain, better = search.step(), None
        if n_warm < n_iter < max_iter:
            better = search.estimate()
            n_settled = n_settled + 1 if gain + better.change < tol else 0
        if better and n_settled == 2 and n_last == 0:
            # no step follows under the new precisions: what is told is theirs already
            search.adopt(better)
            better = None
        if is_to_stop(-search.laplace.log_evidence, search.theta):
            return search.posterior(n_iter, Status.STOPPED)
        if better:
            search.adopt(better)
    status = Status.CONVERGED if n_settled == 2 else status
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
    """Theta, precisions and noise, and what the data say around them."""

    def __init__(
        self,
        network: Network,
        rows: Rows,
        theta: Array,
        prior: Prior,
        beta: Array | None,
        advance: Advance,
    ):
        check_size(network.shape)
        self.network, self.rows, self.prior = network, rows, prior
        self.precision = prior.precision
        self.beta = all_noise(network, rows) if beta is None else beta
        self.unidentified = _unidentified(network, prior.group)
        self.quadratic, self.damping = expand(network, rows, theta), FIRST_DAMPING
        self.advance = advance
        self._laplace: Laplace | None = None

    @property
    def theta(self) -> Array:
        """Where the search is."""
        return self.quadratic.theta

    @property
    def laplace(self) -> Laplace:
        """The posterior around theta, computed once."""
        if self._laplace is None:
            found = self.quadratic, self.prior.group, self.precision, self.beta, self.unidentified
            self._laplace = Laplace(*found)
        return self._laplace

    def step(self) -> float:
        """One step towards the mode; what -log posterior has fallen by."""
        self._laplace = None
        precision = per_parameter(self.precision, self.prior.group)
        target = _LogPosterior(self.network, self.rows, precision, self.beta)
        before = target.around(self.quadratic)
        after, self.damping = self.advance(target, before, self.damping)
        self.quadratic = after.data
        return before.value - after.value

    def estimate(self) -> "_Better":
        """New precisions and noise; their change in nats, roughly."""
        # MacKay's rules hold at the mode; one step off it they err by less than they move
        found = self.laplace.estimate()
        precision = self.prior.update(found, self.precision)
        beta = bounded(found.beta, self.beta)
        moved = np.abs(np.log(precision / self.precision))
        change = 0.5 * float(np.maximum(found.gamma, 1e-3) @ moved)
        n = self.quadratic.n or 0.0
        # near its maximum the evidence hardly changes with the noise: a tenth of n / 2 is counted
        change += 0.05 * n * float(np.abs(np.log(beta / self.beta)).sum())
        return _Better(precision, beta, change)

    def adopt(self, better: "_Better") -> None:
        """Go on under other precisions."""
        self.precision, self.beta, self._laplace = better.precision, better.beta, None

    def posterior(self, n_iter: int, status: Status) -> Optimum:
        """What is known at the end."""
        found = self.laplace.estimate()
        return Optimum(
            self.theta,
            self.precision,
            self.beta,
            found.gamma,
            self.laplace.log_evidence,
            found.covariance,
            n_iter,
            status,
        )


def expand(network: Network, rows: Rows, theta: Array) -> Quadratic:
    """The loss to second order around theta, one output at a time where each has its own noise."""
    noisy = network.loss.has_noise
    networks = [network]
    if noisy:
        of_one = np.eye(network.shape.n_outputs)
        networks = [replace(network, loss=with_noise(network.loss, beta)) for beta in of_one]
    sums = [rows.reduce(partial(curvature, each), theta) for each in networks]
    parts = (np.array(part) for part in zip(*sums, strict=True))
    errors, gradients, curvatures = (part * rows.copies for part in parts)
    n = rows.sum_weights * rows.copies if noisy else None
    squares = _squares(network, rows, theta) if noisy else None
    return Quadratic(theta, errors, gradients, curvatures, n, squares)


def _squares(network: Network, rows: Rows, theta: Array) -> Array | None:
    """Half the sums of squared residuals of each output, where the loss is not made of them."""
    if not network.has_own_residuals:
        return None
    (sums,) = rows.reduce(network.residual_sums, theta)
    return np.asarray(0.5 * rows.copies * sums)


def all_noise(network: Network, rows: Rows) -> Array:
    """The precisions of the noise where all that the targets vary by is noise."""
    if not network.loss.has_noise:
        return np.ones(1)
    noise = rows.of_targets(partial(noise_of_constant, network.loss))
    return np.asarray(1 / noise)


def _unidentified(network: Network, group: Array) -> Array | None:
    """A constant added to all logits changes no probability: free biases leave it open."""
    shape = network.shape
    direction = np.zeros(shape.size)
    b2 = shape.views(direction).b2
    b2[:] = len(b2) ** -0.5
    free = (group[direction > 0] < 0).all()
    return direction if network.loss.labels and free else None
