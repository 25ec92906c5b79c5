"""Automatic relevance determination: the data choose how strong the prior of each column is.

Each column of X has a prior of its own on the weights of its row of W1, so that one which tells
nothing is put to sleep (MacKay 1995, Neal 1996); these precisions are pooled. The hidden biases
form one more such group, W0 another one, and W2 has precision one: the scale of the hidden units is
settled by W1 alone. A network with a skip path starts at the linear model, itself chosen by the
evidence, so it begins no worse than that.
"""

import math

import numpy as np
from numpy.random import RandomState

from ..data.rows import Rows
from ..model.activations import ACTIVATIONS
from ..model.network import Network
from ..model.parameters import Shape
from ..numerics import Array
from ..settings import Settings
from ..solvers.monitor import Monitor
from ..solvers.objective import Objective
from ..solvers.solution import Posterior, Solution, State, Status
from .evidence import Prior, relevance_prior
from .search import Optimum, maximize_evidence

ENOUGH_STEPS = 30
"""By then the posterior has settled, but for details that predict no better."""

WARM_STEPS = 3
"""Steps before the first estimates: a random start says nothing of good precisions."""

LAST_STEPS = 10
"""Steps at the end, under the precisions found, that close in on the mode."""

NATS = 0.1
"""A change of the log posterior too small to matter."""

SMALL_START = 0.5
"""Fraction of the usual size that W2 starts with.

Begun much smaller, hidden units are often put to sleep before they have learnt anything.
"""


def solve(
    objective: Objective,
    theta: Array,
    settings: Settings,
    monitor: Monitor,
    random_state: RandomState,
    state: State | None = None,
) -> Solution:
    """Find the mode of the posterior and the precisions of largest evidence, from `theta`."""
    network, rows = objective.network, objective.rows
    if state is None:
        theta, prior, beta = _start(network, rows, theta)
    else:
        prior, beta = relevance_prior(network.shape, state["precision"]), state["beta"]
    # the evidence compares precisions, not weights: those under the last precisions are kept
    monitor.keep_best = False
    monitor.start(theta)
    n = objective.total_weight

    def record(value: float, theta: Array) -> bool:
        if not math.isfinite(value):
            return True  # nothing can be computed here, and nothing is to be recorded
        monitor.record(value / n, theta.astype(settings.dtype))
        return monitor.stopped

    found = maximize_evidence(
        network,
        rows,
        theta,
        prior,
        beta,
        max_iter=min(settings.max_iter, ENOUGH_STEPS),
        # who goes on from an earlier fit knows good precisions already
        n_warm=WARM_STEPS if state is None else 0,
        n_last=_last_steps(settings),
        tol=NATS,
        callback=record,
    )
    monitor.finish()
    return _solution(found, prior, settings, len(monitor.loss_curve))


def most_steps(settings: Settings) -> int:
    """As many iterations as there may be."""
    return min(settings.max_iter, ENOUGH_STEPS) + _last_steps(settings)


def _last_steps(settings: Settings) -> int:
    return LAST_STEPS if settings.max_iter > ENOUGH_STEPS else 0


def _solution(found: Optimum, prior: Prior, settings: Settings, n_iter: int) -> Solution:
    status = found.status
    if status is Status.MAX_ITER and settings.max_iter > ENOUGH_STEPS:
        status = Status.CONVERGED
    end = found.theta.astype(settings.dtype)
    state: State = {"precision": found.precision, "beta": found.beta}
    return Solution(end, -found.log_evidence, n_iter, status, state, _posterior(found, prior))


def _posterior(found: Optimum, prior: Prior) -> Posterior:
    noise = 1 / found.beta
    return Posterior(
        found.theta,
        found.covariance,
        found.precision * noise.mean(),
        noise,
        float(found.gamma.sum() + (prior.group < 0).sum()),
        float(found.log_evidence),
    )


def _start(network: Network, rows: Rows, theta: Array) -> tuple[Array, Prior, Array | None]:
    """Where the search begins: W2 small, and at the linear model where there is a skip path."""
    shape, beta = network.shape, None
    theta = theta.astype(np.float64)
    parameters = shape.views(theta)
    np.multiply(parameters.W2, SMALL_START, out=parameters.W2)
    # hidden units then begin with inputs of variance one
    precision = np.full(shape.n_groups, shape.fan_in + 1)
    precision[shape.n_columns + 1] = 1.0
    if parameters.W0 is not None:
        linear = _linear_model(network, rows)
        b2, W0 = np.split(linear.theta, [shape.n_outputs])
        parameters.b2[:], parameters.W0[:] = b2, W0.reshape(parameters.W0.shape)
        precision[-1], beta = linear.precision[0], linear.beta
    return theta, relevance_prior(shape, precision), beta


def _linear_model(network: Network, rows: Rows) -> Optimum:
    """Ridge or logistic regression, its penalty chosen by the evidence: no hidden units."""
    shape = Shape(network.shape.n_features, 0, network.shape.n_outputs, skip=True)
    group = shape.groups()
    group[group >= 0] = 0
    prior = Prior.plain(group, np.array([network.shape.fan_in]))
    linear = Network(shape, ACTIVATIONS["identity"], network.loss)
    start = np.zeros(shape.size)
    return maximize_evidence(linear, rows, start, prior, max_iter=ENOUGH_STEPS, tol=NATS)
