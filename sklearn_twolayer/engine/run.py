"""One training run: rows, initial weights, objective, solver, weights in raw units.

Rows are scaled and cast once for all the runs of a fit (`prepare`); `run` is the recipe.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.random import RandomState
from scipy import sparse

from .bayes import automatic_relevance, reestimation
from .bayes.extrapolation import Ranges, measure, merged
from .data.encoded import encoded_moments
from .data.rows import ArrayRows
from .data.scaling import Moments, Scaling, magnitude, means, moments, no_moments
from .model.folding import express, raw_weights
from .model.initializers import initialize
from .model.network import block_size
from .model.parameters import Shape
from .numerics import Array
from .plan import Plan
from .solvers import SOLVERS
from .solvers.monitor import Monitor
from .solvers.objective import Objective
from .solvers.solution import Solution, State, Status
from .task import Continuation, Fit, Task


@dataclass(frozen=True)
class Training:
    """The rows that all runs of one fit share, scaled and cast, and in which units they are.

    `weight` is what the penalty is divided by: the weight of all rows so far. `ranges` are those of
    the rows of this fit alone; None where the targets are not standardised, or have no noise.
    """

    scaling: Scaling
    rows: ArrayRows
    weight: float
    validation: ArrayRows | None = None
    ranges: Ranges | None = None

    def part(self, index: Array) -> "Training":
        """Some of the rows, in the same units."""
        rows = self.rows.part(index)
        weight = self.weight * rows.sum_weights / self.rows.sum_weights
        return Training(self.scaling, rows, weight, ranges=self.ranges)


def prepare(plan: Plan, earlier: Scaling | None = None) -> Training:
    """Measure, scale and cast the rows of a fit, once; `earlier` rows of a stream count too."""
    task = plan.task
    scaling = _measure(plan)
    if earlier is not None:
        scaling = earlier.merged(scaling)
    _check_range(plan, scaling)
    rows = _rows(plan, scaling, task.X, task.Y, task.weights)
    # a scorer rates rows in raw units, and has them already
    rated = task.validation is not None and task.score is None
    validation = _rows(plan, scaling, *task.validation) if rated else None  # type: ignore[misc]
    # predictions are compared with the variance of the targets, where there is such a thing
    comparable = task.loss.has_noise and plan.settings.standardize
    ranges = measure(task.X, task.Y, task.n_levels) if comparable else None
    return Training(scaling, rows, scaling.weight, validation, ranges)


def run(
    plan: Plan,
    training: Training,
    random_state: RandomState,
    start: Continuation | None = None,
    phase: str = "",
    keep_best: bool = True,
) -> Fit:
    """Train once, from a draw of initial weights or from where an earlier run ended.

    `phase` is what callbacks are told to name the run by.
    """
    # where to begin
    theta, state = _initial(plan, training, random_state, start)
    # what to minimise, and who watches; under the evidence the prior is the solver's own matter
    penalty = 0.0 if plan.alpha is None else plan.alpha
    objective = Objective(plan.network(), training.rows, penalty, training.weight)
    monitor = _monitor(plan, training, start, phase, keep_best)
    solve = SOLVERS[plan.settings.solver].solve
    if plan.alpha_by == "evidence":
        exact = plan.settings.solver == "lm"
        solve = automatic_relevance.solve if exact else reestimation.solve
    # overflow is no news to warn of: the solvers see that a value is not finite
    with np.errstate(all="ignore"):
        solution = solve(objective, theta, plan.settings, monitor, random_state, state)
        if plan.alpha is not None and not plan.no_posterior and solution.status is not Status.DIVERGED:
            found = reestimation.posterior_of_given(objective, solution.theta, plan.alpha)
            solution.posterior = found
        solution, coefs, intercepts = _in_raw_units(plan, training.scaling, solution, theta)
    if solution.theta is theta:
        monitor.best_iter = monitor.begin_iter
    # what a later call may go on from
    n_rows = (solution.n_iter - monitor.begin_iter) * plan.n_rows
    continuation = Continuation(
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
    return Fit(coefs, intercepts, solution, monitor, continuation, random_state)


MOST_COPIES = 1e12
"""More rows than this, and a prior would have no say in float64 anyway."""

AS_GOOD_AS_STANDARD = 1e-6
"""Columns whose mean and deviation are so near 0 and 1, as other scalers leave them, stay."""


def _measure(plan: Plan) -> Scaling:
    """What ``standardize`` asks for: moments of X, and of Y where the loss wants them."""
    task = plan.task
    n_rows, n_features = task.X.shape[0], plan.shape.n_features
    weight = float(n_rows if task.weights is None else task.weights.sum())
    if not plan.settings.standardize:
        as_they_are = no_moments(n_features), no_moments(task.n_outputs)
        return Scaling(*as_they_are, n_rows, weight, _means(plan))
    X, present = _moments(plan)
    Y = no_moments(task.n_outputs)
    if task.loss.standardizes_target:
        Y = moments(task.Y, task.weights)
    return Scaling(X, Y, n_rows, weight, present=present)


def _moments(plan: Plan) -> tuple[Moments, Array | None]:
    """Those of the columns of X, encoded if they are, and the weights of what is not missing."""
    task = plan.task
    if plan.encoding is not None:
        return encoded_moments(task.X, task.weights, plan.encoding)
    X = moments(task.X, task.weights)
    standard = X.are_standard(AS_GOOD_AS_STANDARD)
    return (no_moments(plan.shape.n_features) if standard else X), None


def _means(plan: Plan) -> Array | None:
    """What stands for a missing value where columns stay as they are; None for sparse X."""
    task = plan.task
    if plan.encoding is not None:
        return encoded_moments(task.X, task.weights, plan.encoding)[0].mean
    return None if sparse.issparse(task.X) else means(task.X, task.weights)


def _check_range(plan: Plan, scaling: Scaling) -> None:
    """ValueError for numbers near the end of the range, which leave no room to compute with."""
    if plan.settings.standardize:
        sizes = {"a column of X": scaling.X.deviation.max(), "y": scaling.Y.magnitude.max()}
        dtype = plan.task.X.dtype
        advice = "take other units" + (", or X in float64" if dtype == np.float32 else "")
    else:
        advice = "take dtype='float64', or standardize=True"
        sizes, dtype = _sizes(plan), np.dtype(plan.settings.dtype)
    limit = 1e-3 * float(np.finfo(dtype).max)
    for what, size in sizes.items():
        if not size <= limit:
            raise ValueError(
                f"{what} is as large as {size:.0e}: more than {limit:.0e} is too much for {dtype}; "
                + advice
            )


def _sizes(plan: Plan) -> dict[str, float]:
    """The largest magnitudes in rows that are to be rounded to float32 as they are."""
    task = plan.task
    if plan.settings.dtype == "float64":
        return {}
    rows = {"": (task.X, task.Y, None)} | ({"_val": task.validation} if task.validation else {})
    sizes = {"X" + suffix: magnitude(X) for suffix, (X, _, _) in rows.items()}
    return sizes | {"y" + suffix: float(np.abs(Y).max()) for suffix, (_, Y, _) in rows.items()}


def _rows(plan: Plan, scaling: Scaling, X: Any, Y: Array, weights: Array | None) -> ArrayRows:
    """Rows in standardised units; weights are relative to their mean, which no float overflows."""
    copies = 1.0
    if weights is not None:
        mean = float(weights.sum() / len(weights))
        weights, copies = weights / mean, min(mean, MOST_COPIES / len(weights))
    units, dtype = scaling if plan.settings.standardize else None, plan.settings.dtype
    size, encoding = block_size(plan.shape.width), plan.encoding
    return ArrayRows(X, Y, weights, units, dtype, size, copies, encoding, scaling.fill)


def _initial(
    plan: Plan, training: Training, random_state: RandomState, start: Continuation | None
) -> tuple[Array, State | None]:
    """Where the run begins: weights, and the state of the solver if it has one to carry on."""
    settings, dtype = plan.settings, plan.settings.dtype
    if start is None:
        drawn = initialize(plan.shape, settings.activation, settings.initializer, random_state)
        theta = drawn.astype(dtype)
        if plan.alpha_by != "evidence":
            return theta, None
        return _beginning(plan, training, theta, random_state)
    theta = express(start.scaling, training.scaling, plan.shape, start.theta).astype(dtype)
    if start.solver != settings.solver or not start.state:
        return theta, None
    # the solver changes its state in place, and the earlier fit's is not to change
    state = {k: _copy(v, dtype) for k, v in start.state.items()}
    return theta, State(**state)  # type: ignore[typeddict-item]


def _beginning(
    plan: Plan, training: Training, theta: Array, random_state: RandomState
) -> tuple[Array, State | None]:
    """Where the evidence begins: with all taken for noise, or all for signal."""
    shape = plan.shape
    beta = np.ones(shape.n_outputs if plan.task.loss.has_noise else 1)
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


def _monitor(
    plan: Plan, training: Training, start: Continuation | None, phase: str, keep_best: bool
) -> Monitor:
    return Monitor(
        plan.settings.tol,
        plan.settings.n_iter_no_change,
        score=None if plan.task.validation is None else _score(plan, training),
        stops_by_score=plan.task.early_stopping,
        callback=plan.task.callback,
        keep_best=keep_best,
        phase=phase,
        loss_curve=list(start.loss_curve) if start else [],
        scores=list(start.scores) if start else [],
    )


def _score(plan: Plan, training: Training) -> Callable[[Array], float]:
    """The rating of theta on the validation rows, by the caller's score or the negated loss."""
    task, scaling = plan.task, training.scaling
    if task.score is not None:
        score, activation, origin = task.score, plan.settings.activation, scaling.X.origin()

        def rate(theta: Array) -> float:
            raw = in_raw_units(task, plan.settings.dtype, scaling, plan.shape, theta)
            return float(score(*raw, activation, origin, plan.encoding, scaling.fill))

        return rate
    assert training.validation is not None
    held_out = Objective(plan.network(), training.validation, 0.0)
    return lambda theta: -held_out.data_loss(theta)


def in_raw_units(
    task: Task, dtype: str, scaling: Scaling, shape: Shape, theta: Array
) -> tuple[list[Array], list[Array]]:
    """Weights and biases that act on raw units, in the wider precision of rows and training."""
    return raw_weights(scaling, shape, theta, np.result_type(task.X.dtype, dtype))


def _in_raw_units(
    plan: Plan, scaling: Scaling, solution: Solution, initial: Array
) -> tuple[Solution, list[Array], list[Array]]:
    """The solution and its raw weights; the initial weights where these are not finite.

    ValueError where even the initial weights do not exist in raw units.
    """
    units = plan.task, plan.settings.dtype, scaling, plan.shape
    coefs, intercepts = in_raw_units(*units, solution.theta)
    if not _are_finite(coefs, intercepts):
        # finite weights for standardised columns may not be so for the raw ones
        solution = _diverged(replace(solution, theta=initial))
        coefs, intercepts = in_raw_units(*units, initial)
    if solution.posterior and not np.isfinite(solution.posterior.log_evidence):
        solution = _diverged(solution)
    if not _are_finite(coefs, intercepts):
        raise ValueError(
            "y is so large, and a column of X varies so little, that weights in their units would "
            "be beyond 1e308: take other units for either"
        )
    return solution, coefs, intercepts


def _diverged(solution: Solution) -> Solution:
    """The solution as one that says nothing of how sure it is."""
    return replace(solution, status=Status.DIVERGED, posterior=None)


def _are_finite(coefs: list[Array], intercepts: list[Array]) -> bool:
    return all(np.isfinite(array).all() for array in (*coefs, *intercepts))
