"""Wide tables: networks trained in the space of the rows, with a prior of its own for each column.

Given how the precisions of columns compare, the rows span a space of as many dimensions as there
are rows, and to train in its coordinates is to train on all columns (`row_space`). The posterior
found there tells precisions of columns by MacKay's rule,

    gamma_j = sum_i V_ji^2 sum_k E_ik / (1 + E_ik)         Lambda_j <- gamma_j / |W1_j|^2, pooled

the rest as in `kronecker`, and these another space. A few spaces one after the other find the
columns that matter, where few do; where all tell a little one space, of precisions alike, is
better. Held-out rows say which is the case.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.random import RandomState

from .bayes.evidence import LARGEST_PRECISION, bounded
from .bayes.kronecker import KroneckerCovariance
from .data.moments import no_moments
from .data.rows import all_here
from .data.scaling import Scaling
from .model.folding import express
from .model.row_space import RowSpace, row_space
from .numerics import Array
from .plan import Plan
from .preparation import Training
from .raw_units import in_finite_units
from .solvers.solution import Posterior, State, Status
from .task import Continuation, Fit

POOLING = 1.0
"""Parameters that speak for a common precision of columns, relative to the mean of gamma."""

SEARCH = 0.5
"""Of the epochs, before the last space."""

TINY = 1e-300

Run = Callable[..., Fit]
"""One training run: of a plan, rows, random numbers and where to begin."""


def in_row_space(
    plan: Plan,
    training: Training,
    random_state: RandomState,
    start: Continuation | None,
    run: Run,
) -> Fit:
    """What `run` finds in the last of ``plan.n_spaces`` spaces, for columns.

    Weights are drawn anew in each. A fit that goes on stays in the space that it has ended in.
    """
    precision = np.ones(plan.shape.n_columns)
    if start is not None and "precision" in start.state:
        precision = start.state["precision"][: len(precision)].astype(np.float64)
    n_spaces = plan.n_spaces if start is None else 1
    for number in range(n_spaces):
        is_last = number + 1 == n_spaces
        space, turned = row_space(
            all_here(training.rows), _deviations(precision)[plan.shape.columns]
        )
        shape = space.shape(plan.shape)
        units = replace(training.scaling, X=no_moments(shape.n_features), means=None, present=None)
        narrow = replace(plan, shape=shape, encoding=None, n_spaces=0)
        narrow = narrow if is_last else _shortened(narrow)
        there = replace(training, rows=turned, scaling=units)
        begin = None if start is None else _within(plan, training, space, start, units)
        found = run(narrow, there, random_state, begin)
        posterior = found.solution.posterior
        has_ended = found.solution.status in (Status.DIVERGED, Status.STOPPED)
        if is_last or has_ended or posterior is None or posterior.covariance is None:
            break
        precision = column_precisions(plan, space, posterior)
    return _on_columns(plan, training, space, found)


def _shortened(plan: Plan) -> Plan:
    """What tells which columns matter: weights that fit less tell it better."""
    n_epochs = max(1, round(SEARCH * plan.settings.max_iter))
    return replace(plan, settings=replace(plan.settings, max_iter=n_epochs))


def _deviations(precision: Array) -> Array:
    """Those of priors, with a mean square of one."""
    return np.sqrt((1 / precision) / (1 / precision).mean())


def column_precisions(plan: Plan, space: RowSpace, posterior: Posterior) -> Array:
    """New precisions of columns (n_columns,), given the posterior in the space.

    They are pooled as those of `relevance_prior`, more strongly: each gamma is small.
    """
    shape, covariance = plan.shape, posterior.covariance
    found = np.outer(covariance.D, covariance.g)
    determined = (found / (1 + found)).sum(axis=1)
    # rotation is Lambda^-1/2 Q, or coordinates are taken for uncorrelated; basis is C V / s
    n, VQ = len(covariance.rotation), space.basis
    if n > 1:
        VQ, determined = VQ @ (covariance.rotation[:-1] / covariance.deviation), determined[:n]
    along = np.square(VQ) @ determined[-VQ.shape[1] :] / space.spread
    W1 = shape.views(space.on_columns(shape, posterior.theta)).W1
    gamma = np.bincount(shape.columns, along)
    squares = np.bincount(shape.columns, np.square(W1).sum(axis=1))
    before = _of_columns(plan, 1 / (covariance.deviation**2 * space.spread))
    common = max(2 * POOLING * float(gamma.mean()), TINY)
    centre = np.exp(np.log(before).mean())
    new = bounded((gamma + common) / (squares + common / centre), before)
    return np.clip(new, 1 / LARGEST_PRECISION, LARGEST_PRECISION)


def _of_columns(plan: Plan, values: Array) -> Array:
    """Of each original column, given those of encoded ones, which are alike."""
    columns = plan.shape.columns
    return np.bincount(columns, values) / np.bincount(columns)


def _within(
    plan: Plan, training: Training, space: RowSpace, start: Continuation, units: Scaling
) -> Continuation:
    """Where a fit goes on, by coordinates."""
    theta = express(start.scaling, training.scaling, plan.shape, start.theta)
    state, n = State(), plan.shape.n_columns
    if "precision" in start.state:
        of_coordinates = (start.state["precision"][:n] * _of_columns(plan, space.spread)).mean()
        precision = np.append(of_coordinates, start.state["precision"][n:])
        state = State(precision=precision, beta=start.state["beta"])
    theta = space.on_coordinates(plan.shape, theta)
    return replace(start, theta=theta, scaling=units, state=state)


def _on_columns(plan: Plan, training: Training, space: RowSpace, found: Fit) -> Fit:
    """The fit as one of a network on columns."""
    posterior = _posterior(plan, space, found.solution.posterior)
    if posterior is None:
        theta = space.on_columns(plan.shape, found.solution.theta)
    else:
        # in double precision these are the same
        theta = posterior.theta.astype(found.solution.theta.dtype)
    solution = replace(found.solution, theta=theta, posterior=posterior)
    solution, coefs, intercepts = in_finite_units(plan, training.scaling, solution, theta)
    state, before = State(), found.solution.state
    if "precision" in before:
        # what else there is to carry on with is of coordinates, which other rows do not share
        precision = _with_columns(plan, space, before["precision"])
        state = State(precision=precision, beta=before["beta"])
    continuation = replace(
        found.continuation,
        theta=solution.theta,
        scaling=training.scaling,
        state=state,
        encoding=plan.encoding,
        n_spaces=plan.n_spaces,
    )
    fitted = replace(found, solution=solution, continuation=continuation)
    return replace(fitted, coefs=coefs, intercepts=intercepts)


def _with_columns(plan: Plan, space: RowSpace, of_groups: Array) -> Array:
    """Precisions of all groups, that of coordinates as those of columns."""
    of_columns = of_groups[0] / _of_columns(plan, space.spread)
    return np.concatenate([of_columns, of_groups[1:]])


def _posterior(plan: Plan, space: RowSpace, found: Posterior | None) -> Posterior | None:
    if found is None:
        return None
    theta, covariance = space.on_columns(plan.shape, found.theta), found.covariance
    alpha = _with_columns(plan, space, found.alpha)
    if isinstance(covariance, KroneckerCovariance):
        covariance = covariance.on_columns(space)
    return replace(found, theta=theta, covariance=covariance, alpha=alpha)
