"""A prior for losses without a likelihood of their own: that of squared errors of the same targets.

Absolute errors, quantiles and Huber's loss have no curvature, or none that tells how sure a weight
is. What it takes to predict the targets is much the same for all of them: the network begins at the
mode that the evidence finds for squared errors, its output moved to the quantile of the residuals,
and keeps the precisions found there. With b the scale of an asymmetric Laplace distribution, which
is the mean loss itself (Koenker and Machado 1999),

    -log posterior = sum_i w_i loss_i / b + 1/2 sum_j precision_j theta_j^2

Where targets have a Gaussian noise this is as curved as the squared error's, whatever the quantile.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from .data.rows import ArrayRows, all_here
from .model.loss import LocatedLoss
from .model.losses import LOSSES, Loss
from .model.network import Network
from .model.parameters import Shape
from .model.quantile_losses import middle_and_deviation
from .numerics import Array
from .plan import Plan
from .preparation import Training
from .recipe import USUAL_ALPHA
from .settings import Settings
from .solvers import SOLVERS
from .solvers.objective import Objective
from .solvers.solution import Posterior, Solution, State, Status
from .task import Fit

FULL_BATCH_STEPS = 200
"""Of L-BFGS, from the mode of the squared error: a loss with kinks gains little beyond."""

SHARE, RATE = 0.5, 0.25
"""Of the epochs and the rate of mini-batches for squared errors, those from there on."""

FAR, TIMES = 10.0, 3
"""Deviations of most residuals beyond which one is too far off, and how often these are told."""


@dataclass(frozen=True)
class Beginning:
    """Where a run begins, under which plan, and what is known of squared errors there.

    Where it `is_budgeted` the plan allows as many steps as pay, and all of them are the end.
    """

    plan: Plan
    theta: Array
    state: State | None = None
    posterior: Posterior | None = None
    is_budgeted: bool = False


def is_likelihood(loss: Loss) -> bool:
    """Whether the curvature of the loss tells how sure weights are."""
    return loss.has_curvature and not loss.borrows_prior


def posterior_of(plan: Plan, solution: Solution) -> Posterior | None:
    """That of a network of quantities, or weights alone where nothing tells how sure they are."""
    found, is_located = solution.posterior, isinstance(plan.task.loss, LocatedLoss)
    if found is not None or solution.status is Status.DIVERGED:
        return found
    if not is_located or (is_likelihood(plan.task.loss) and not plan.no_posterior):
        return None
    # targets scatter alike everywhere, in units of their own
    noise = np.ones(plan.task.n_targets)
    return Posterior(solution.theta, None, np.ones(1), noise, 0.0, 0.0)


def of_squared_error(plan: Plan) -> Plan:
    """The plan for squared errors of the same targets, which no one validates."""
    task = plan.task
    n_targets = task.n_targets
    task = replace(task, loss=LOSSES["squared_error"], n_outputs=n_targets)
    task = replace(task, validation=None, score=None, early_stopping=False)
    alpha_by = "evidence" if plan.alpha_by == "squared_error" else plan.alpha_by
    shape = replace(plan.shape, n_outputs=n_targets)
    definite = replace(plan, task=task, alpha_by=alpha_by, shape=shape, others=())
    return replace(definite, has_constant_noise=False)


Train = Callable[[Plan, Training], Fit]
"""One run of a plan on these rows."""


def fit_squared_error(plan: Plan, training: Training, train: Train) -> Fit:
    """Squared errors minimised, again where some rows are so far off that they rule the others.

    Their targets are then taken for as far off as is far at most: Huber's pseudo-values.
    """
    plan = of_squared_error(plan)
    found = train(plan, training)
    for _ in range(TIMES):
        tamed = _without_far_targets(plan.network(), training, found.solution.theta)
        if tamed is None:
            break
        found = train(plan, tamed)
    return found


def _without_far_targets(network: Network, training: Training, theta: Array) -> Training | None:
    """The rows, far ones nearer to what the network says of them; None if there are none."""
    rows = copy(all_here(training.rows))
    errors, weights = residuals(network, rows, theta), rows.weights_of_rows()
    middle, deviation = middle_and_deviation(errors, weights)
    reach = np.where(deviation > 0, FAR * deviation, np.inf)
    excess = errors - np.clip(errors, middle - reach, middle + reach)
    if not excess.any():
        return None
    rows.Y = (rows.Y - excess).astype(rows.Y.dtype)
    return replace(training, rows=rows)


def begin(plan: Plan, training: Training, found: Fit) -> Beginning:
    """What the plan is from where the squared error has ended, in `found`."""
    posterior, loss = found.solution.posterior, plan.task.loss
    of_mean = of_squared_error(plan).network()
    rows = all_here(training.rows)
    errors, weights = residuals(of_mean, rows, found.solution.theta), rows.weights_of_rows()
    constant = loss.best_constant(errors, weights)
    theta = _placed(of_mean.shape, plan.shape, found.solution.theta, constant)
    objective = Objective(plan.network(), training.rows, 0.0)
    scale = loss.unit(objective.data_loss(theta) / plan.task.n_targets)
    alpha: Array | float = USUAL_ALPHA
    if posterior is not None:
        alpha = posterior.alpha / posterior.noise.mean() * scale
    settings = settings_from_there(plan.settings, loss)
    definite = replace(plan, alpha_by="given", alpha=alpha, settings=settings)
    kept = posterior if loss.link == "identity" else None
    # that a loss with kinks could be lowered a little further is nothing to warn of
    is_budgeted = settings.max_iter < plan.settings.max_iter
    return Beginning(definite, theta, None, kept, is_budgeted)


def residuals(network: Network, rows: ArrayRows, theta: Array) -> Array:
    """Y - Z2 of all rows, for a loss whose outputs are means."""
    parts = []
    for X, Y, _ in rows.blocks():
        parts.append(Y - network.outputs(theta, X))
    return np.concatenate(parts).astype(np.float64)


def _placed(own: Shape, shape: Shape, theta: Array, constant: Array | None) -> Array:
    """The same network, its raw outputs those of means and of constants besides."""
    if constant is None:
        return theta.copy()
    placed = np.zeros(shape.size, theta.dtype)
    before, after = own.views(theta), shape.views(placed)
    after.layer1[:] = before.layer1
    n = own.n_outputs
    after.W2[:, :n], after.b2[:n] = before.W2, before.b2
    if after.W0 is not None and before.W0 is not None:
        after.W0[:, :n] = before.W0
    after.b2[:] += constant
    return placed


def settings_from_there(settings: Settings, loss: Loss) -> Settings:
    """Those of the way from where the squared error has ended."""
    if SOLVERS[settings.solver].incremental:
        epochs = max(1, round(SHARE * settings.max_iter))
        rate = RATE * settings.learning_rate_init
        return replace(settings, max_iter=epochs, learning_rate_init=rate)
    if settings.solver == "lm" and loss.has_curvature:
        return settings
    return replace(settings, solver="lbfgs", max_iter=min(settings.max_iter, FULL_BATCH_STEPS))
