"""One training run: rows, initial weights, objective, solver, weights in raw units.

Rows are scaled and cast once for all the runs of a fit (`prepare`); `run` is the recipe.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.random import RandomState

from .bayes import automatic_relevance, reestimation
from .bayes.extrapolation import merged
from .bayes.search import all_noise
from .borrowing import Beginning, begin, fit_squared_error, is_likelihood, of_squared_error
from .constant_noise import mean_of, with_constant_noise, with_unit_noise
from .model.folding import express
from .model.initializers import initialize
from .model.monotonic import draw_within
from .numerics import Array
from .plan import Plan
from .preparation import Training
from .raw_units import in_finite_units
from .solvers import SOLVERS
from .solvers.monitor import Monitor
from .solvers.objective import Objective
from .solvers.solution import Solution, State, Status
from .task import Continuation, Fit
from .watching import Shown, as_it_is, watch
from .wide import in_row_space


def run(
    plan: Plan,
    training: Training,
    random_state: RandomState,
    start: Continuation | None = None,
    keep_best: bool = True,
    shown: Shown | None = as_it_is,
) -> Fit:
    """Train once, from a draw of initial weights or from where an earlier run ended.

    What whoever watches is told of raw weights on the way is what `shown` makes of them; None where
    they are not for what the fit is to predict.
    """
    if plan.has_constant_noise:
        of_mean, start = of_squared_error(plan), mean_of(plan, start)
        shown = shown and with_unit_noise(plan, training)
        found = run(of_mean, training, random_state, start, keep_best, shown)
        return with_constant_noise(plan, training, found)
    if plan.n_spaces:
        # weights of coordinates are not what the fit predicts with
        there = partial(run, keep_best=keep_best, shown=None)
        return in_row_space(plan, training, random_state, start, there)
    # where to begin
    beginning = _beginning(plan, training, random_state, start)
    plan, theta = beginning.plan, beginning.theta
    # what to minimise, and who watches
    objective = _objective(plan, training)
    monitor = watch(plan, training, start, keep_best, shown)
    solve = _solver(plan)
    # overflow is no news to warn of: the solvers see that a value is not finite
    with np.errstate(all="ignore"):
        solution = solve(objective, theta, plan.settings, monitor, random_state, beginning.state)
        if beginning.is_budgeted and solution.status is Status.MAX_ITER:
            solution.status = Status.CONVERGED
        _add_posterior(beginning, objective, solution)
        solution, coefs, intercepts = in_finite_units(plan, training.scaling, solution, theta)
    if solution.theta is theta:
        monitor.best_iter = monitor.begin_iter
    continuation = _continuation(plan, training, solution, monitor, start)
    to_go_on = continuation, random_state, plan.settings, plan.task.loss
    return Fit(coefs, intercepts, solution, monitor, *to_go_on)


def _objective(plan: Plan, training: Training) -> Objective:
    """F, without a penalty under the evidence, where the prior is the solver's own matter."""
    penalty = 0.0 if plan.alpha is None else plan.alpha
    return Objective(
        plan.network(),
        training.rows,
        penalty,
        training.weight,
        bounds=plan.bounds,
        l1_ratio=plan.settings.l1_ratio,
    )


def _solver(plan: Plan) -> Callable[..., Solution]:
    """What finds the weights, and the precisions of their prior with them."""
    if plan.alpha_by == "evidence":
        return automatic_relevance.solve if plan.is_exact else reestimation.solve
    return SOLVERS[plan.settings.solver].solve


def _continuation(
    plan: Plan,
    training: Training,
    solution: Solution,
    monitor: Monitor,
    start: Continuation | None,
) -> Continuation:
    """What a later call may go on from."""
    n_rows = (solution.n_iter - monitor.begin_iter) * plan.n_rows
    return Continuation(
        solution.theta,
        training.scaling,
        plan.settings.solver,
        plan.choices,
        plan.alpha,
        solution.state,
        monitor.loss_curve,
        monitor.scores,
        n_rows + (start.n_seen if start else 0),
        plan.encoding,
        ranges=merged(training.ranges, start.ranges) if start else training.ranges,
    )


def _add_posterior(beginning: Beginning, objective: Objective, solution: Solution) -> None:
    """That of squared errors, or that of weights found under a given prior."""
    plan, borrowed = beginning.plan, beginning.posterior
    if solution.status is Status.DIVERGED or plan.no_posterior:
        return
    if borrowed is not None:
        solution.posterior = replace(borrowed, theta=solution.theta.astype(np.float64))
    elif plan.alpha is not None and is_likelihood(plan.task.loss):
        found = reestimation.posterior_of_given(objective, solution.theta, plan.alpha)
        solution.posterior = found


def _beginning(
    plan: Plan,
    training: Training,
    random_state: RandomState,
    start: Continuation | None,
) -> Beginning:
    """Where the run begins; a prior that is borrowed takes runs for squared errors first."""
    if plan.alpha_by != "squared_error":
        return Beginning(plan, *_initial(plan, training, random_state, start))

    def train(plan: Plan, training: Training) -> Fit:
        return run(plan, training, random_state, shown=None)

    return begin(plan, training, fit_squared_error(plan, training, train))


def _initial(
    plan: Plan, training: Training, random_state: RandomState, start: Continuation | None
) -> tuple[Array, State | None]:
    """Where the run begins: weights, and the state of the solver if it has one to carry on."""
    settings, dtype = plan.settings, plan.settings.dtype
    if start is None:
        drawn = initialize(plan.shape, settings.activation, settings.initializer, random_state)
        _place_constant(plan, training, drawn)
        theta = drawn.astype(dtype)
        if plan.directions is not None:
            draw_within(plan.shape, plan.directions, theta, random_state)
        if plan.alpha_by != "evidence":
            return theta, None
        return _beginning_of_evidence(plan, training, theta, random_state)
    theta = express(start.scaling, training.scaling, plan.shape, start.theta).astype(dtype)
    if plan.bounds is not None:
        plan.bounds.project(theta)  # constraints may be newer than the weights
    if start.solver != settings.solver or not start.state:
        # weights that were found under a given prior are kept as they are
        return theta, _as_found(plan, training, theta) if plan.alpha_by == "evidence" else None
    # the solver changes its state in place, and the earlier fit's is not to change
    state = {k: _copy(v, dtype) for k, v in start.state.items()}
    if not start.scaling.is_near(training.scaling):
        state.pop("factors", None)  # they are in the units of before
    return theta, State(**state)  # type: ignore[typeddict-item]


def _place_constant(plan: Plan, training: Training, theta: Array) -> None:
    """Let the output biases begin at the constant that suits the loss best, if it tells one."""
    loss, b2 = plan.task.loss, plan.shape.views(theta).b2
    by_moments = loss.has_noise or loss.knows_variance or not loss.standardizes_target
    constant = training.rows.of_targets(loss.best_constant, by_moments)
    if constant is not None:
        b2[:] = constant


def _as_found(plan: Plan, training: Training, theta: Array) -> State:
    """Precisions and noise to go on with from weights that tell of the noise."""
    beta = np.ones(1)
    if plan.task.loss.has_noise:
        loss = Objective(plan.network(), training.rows, 0.0).data_loss(theta)
        beta = np.full(plan.shape.n_outputs, plan.shape.n_outputs / max(2 * loss, LEAST_NOISE))
    return State(precision=np.ones(plan.shape.n_groups), beta=beta)


LEAST_NOISE = 1e-4
"""Variance of the noise, relative to that of the targets, that a good fit may begin with."""


def _beginning_of_evidence(
    plan: Plan, training: Training, theta: Array, random_state: RandomState
) -> tuple[Array, State | None]:
    """Where the evidence begins: with all taken for noise, or all for signal."""
    shape = plan.shape
    beta = all_noise(plan.network(), training.rows)
    precision = np.ones(shape.n_groups)
    if plan.settings.solver != "lm":
        if plan.begin == "noise":
            precision[: shape.n_columns + 1] = shape.fan_in + 1
        return theta, State(precision=precision, beta=beta)
    if plan.begin == "noise":
        return theta, None
    objective = Objective(plan.network(), training.rows, INTERPOLATING_ALPHA, training.weight)
    settings = replace(plan.settings, max_iter=INTERPOLATING_STEPS)
    monitor = Monitor(settings.tol, settings.n_iter_no_change)
    found = SOLVERS["lm"].solve(objective, theta, settings, monitor, random_state, None)
    return found.theta, State(precision=precision, beta=beta * INTERPOLATING_BETA)


INTERPOLATING_ALPHA, INTERPOLATING_STEPS, INTERPOLATING_BETA = 0.01, 30, 100.0
"""What finds an interpolating fit: hardly any prior, steps enough, and a tenth of a deviation."""


def _copy(value: Any, dtype: str) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    return value.astype(dtype) if value.dtype.kind == "f" else value.copy()
