"""Constant noise as a network of varying noise: the head for log variances has a bias alone.

A network for squared errors and the noise that the evidence finds beside it are such a network,
and so are averaged with those whose noise varies: how much the noise is to vary is then what
held-out rows say of their weights.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .bayes.kronecker import KroneckerCovariance
from .borrowing import of_squared_error, residuals
from .data.rows import all_here
from .model.parameters import Shape
from .model.varying_noise import LEAST
from .numerics import Array
from .plan import Plan
from .preparation import Training
from .solvers.solution import Posterior
from .task import Continuation, Fit
from .watching import Shown


def with_constant_noise(plan: Plan, training: Training, of_mean: Fit) -> Fit:
    """The fit for squared errors as one of the plan's network."""
    n, posterior = plan.task.n_targets, of_mean.solution.posterior
    log_noise = np.log(_noise(plan, training, of_mean) if posterior is None else posterior.noise)
    before = replace(plan.shape, n_outputs=n)
    theta = _placed(before, plan.shape, of_mean.solution.theta, log_noise)
    if posterior is not None:
        posterior = _posterior(before, plan.shape, posterior, log_noise)
    scaling = of_mean.continuation.scaling
    _, offset = scaling.outputs(plan.shape.n_outputs)
    coefs, intercepts = with_head(of_mean.coefs, of_mean.intercepts, log_noise + offset[n:])
    return replace(
        of_mean,
        coefs=coefs,
        intercepts=intercepts,
        solution=replace(of_mean.solution, theta=theta, posterior=posterior),
        continuation=replace(of_mean.continuation, theta=theta, has_constant_noise=True),
        loss=plan.task.loss,
    )


def with_head(
    coefs: list[Array], intercepts: list[Array], constants: Array
) -> tuple[list[Array], list[Array]]:
    """Raw weights of the network whose further outputs are these constants."""
    (W1, *to_outputs), (b1, b2) = coefs, intercepts
    coefs = [W1, *(np.hstack([W, np.zeros_like(W)]) for W in to_outputs)]
    return coefs, [b1, np.concatenate([b2, constants.astype(b2.dtype)])]


def with_unit_noise(plan: Plan, training: Training) -> Shown:
    """The same while the noise is not known yet: as large as if it were all of the variance."""
    n = plan.task.n_targets
    _, offset = training.scaling.outputs(plan.shape.n_outputs)
    return lambda coefs, intercepts: with_head(coefs, intercepts, offset[n:])


def _noise(plan: Plan, training: Training, of_mean: Fit) -> Array:
    """The mean squares of the residuals, where there is no posterior to tell more."""
    network, rows = of_squared_error(plan).network(), all_here(training.rows)
    errors, weights = residuals(network, rows, of_mean.solution.theta), rows.weights_of_rows()
    return np.maximum(weights @ np.square(errors) / weights.sum(), LEAST)


def _posterior(before: Shape, shape: Shape, of_mean: Posterior, log_noise: Array) -> Posterior:
    """The same of a network whose further outputs are certain."""
    covariance = of_mean.covariance
    if isinstance(covariance, KroneckerCovariance):
        V = np.vstack([covariance.V, np.zeros_like(covariance.V)])
        covariance = replace(covariance, V=V)
    elif covariance is not None:
        places = _places(before, shape)
        wide = np.zeros((shape.size, shape.size))
        wide[np.ix_(places, places)] = covariance
        covariance = wide
    theta = _placed(before, shape, of_mean.theta, log_noise)
    return replace(of_mean, theta=theta, covariance=covariance, noise=np.ones(1))


def _placed(before: Shape, shape: Shape, theta: Array, log_noise: Array) -> Array:
    placed = np.zeros(shape.size, theta.dtype)
    placed[_places(before, shape)] = theta
    shape.views(placed).b2[before.n_outputs :] = log_noise
    return placed


def _places(before: Shape, shape: Shape) -> Array:
    """Where each parameter of the network for means stands in theta."""
    n, places = before.n_outputs, np.arange(shape.size)
    views = shape.views(places)
    parts = [views.layer1, views.W2[:, :n], views.b2[:n]]
    if views.W0 is not None:
        parts.append(views.W0[:, :n])
    return np.concatenate([part.ravel() for part in parts])


def mean_of(plan: Plan, start: Continuation | None) -> Continuation | None:
    """What the network for squared errors had left to go on from."""
    if start is None:
        return None
    before = replace(plan.shape, n_outputs=plan.task.n_targets)
    return replace(start, theta=start.theta[_places(before, plan.shape)])


def by_noise(plans: Sequence[Plan]) -> list[Array]:
    """The numbers of the plans of constant noise, and those of the others, if there are any."""
    is_constant = np.array([plan.has_constant_noise for plan in plans])
    return [np.flatnonzero(group) for group in (is_constant, ~is_constant) if group.any()]


def within(a: Array, members: Array) -> Array:
    """The weights of some members in an average of theirs alone."""
    chosen = a[members]
    return chosen if len(chosen) == len(a) else chosen / chosen.sum()
