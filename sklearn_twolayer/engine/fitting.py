"""From rows to weights: scale, initialise, build the objective, solve, fold back."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.random import RandomState

from .bayes import automatic_relevance
from .bayes.automatic_relevance import believe
from .bayes.ensemble import Predictive, member, shares, side_by_side
from .bayes.predictive import blocks
from .data.rows import ArrayRows, merge_equal_rows
from .data.scaling import Scaling, magnitude, moments, no_moments
from .data.sources import source, subset
from .model.activations import ACTIVATIONS
from .model.folding import express, raw_weights
from .model.initializers import initialize
from .model.losses import LOSSES
from .model.network import Network, block_size
from .model.parameters import Shape
from .numerics import Array
from .plan import FEW_ROWS, USUAL_ALPHA, is_auto, resolve, why_no_evidence
from .settings import Settings
from .solvers import SOLVERS
from .solvers.monitor import Monitor
from .solvers.objective import Objective
from .solvers.solution import Solution, Status
from .solvers.stochastic import batch_size
from .task import Continuation, Fit, Task


def fit(
    task: Task,
    random_state: RandomState,
    start: Continuation | None = None,
    theta: Array | None = None,
) -> Fit:
    """Train until the solver stops; the best of ``n_init`` initial draws is kept.

    Under the evidence ``n_members`` such networks are averaged. `random_state` is consumed by the
    initial weights, then by the shuffles; with several draws it only gives each its seed. `theta`,
    in standardised units, replaces the draw, `start` goes on where an earlier fit ended; an average
    goes on network by network.
    """
    solver, n_rows = task.settings.solver, task.X.shape[0]
    if n_rows <= FEW_ROWS and (is_auto(solver) or not SOLVERS[solver].incremental):
        X, Y, weights = merge_equal_rows(task.X, task.Y, task.weights)
        task = replace(task, X=X, Y=Y, weights=weights)
    # only now: what is chosen must not depend on whether rows come as copies or with weights
    task = _resolved(task, start)
    scaling = measure(task)
    check_range(task, scaling)
    alpha_by = _alpha_by(task.settings.alpha)
    if alpha_by == "held_out":
        task = _with_tried_alpha(task, random_state)
    if start is not None:
        going_on = _going_on(task, n_rows, scaling, random_state, start)
        return replace(going_on, alpha_by=alpha_by)
    n_init, n_members = task.settings.n_init, int(task.settings.n_members)
    if theta is not None or n_init == n_members == 1:
        fits = [_walk(task, n_rows, scaling, random_state, theta=theta)]
    else:
        seeds = random_state.randint(np.iinfo(np.int32).max, size=(n_members, n_init))
        fits = _members(task, n_rows, scaling, seeds)
    return replace(_averaged(task, fits), alpha_by=alpha_by)


def _alpha_by(alpha: Any) -> str:
    """Who chooses alpha, once it is resolved (`Fit`)."""
    if isinstance(alpha, tuple):
        return "held_out"
    return "evidence" if is_auto(alpha) else "given"


def _members(task: Task, n_rows: int, scaling: Scaling, seeds: Array) -> list[Fit]:
    """The best start of each row of seeds; after a callback has asked to stop, no other begins."""
    members: list[Fit] = []
    for row in seeds:
        starts: list[Fit] = []
        for seed in row:
            phase = _phase(member=(len(members), len(seeds)), start=(len(starts), len(row)))
            run = replace(task, phase=phase)
            starts.append(_walk(run, n_rows, scaling, RandomState(seed)))
            if _is_stopped(starts):
                break
        members.append(min(starts, key=_judgement))
        if _is_stopped(starts):
            break
    return members


def _phase(**places: tuple[int, int]) -> str:
    """Such as member 1 of 3, start 2 of 4; what there is only one of is left out."""
    several = ((kind, *place) for kind, place in places.items() if place[1] > 1)
    return ", ".join(f"{kind} {number + 1} of {total}" for kind, number, total in several)


def _is_stopped(fits: list[Fit]) -> bool:
    return fits[-1].solution.status is Status.STOPPED


def _going_on(
    task: Task,
    n_rows: int,
    scaling: Scaling,
    random_state: RandomState,
    start: Continuation,
    keep_best: bool = True,
) -> Fit:
    """The average anew, each of its networks going on as itself; or the one network there is."""
    members = start.members or [start]
    fits = []
    for number, member_ in enumerate(members):
        phase = _phase(member=(number, len(members))) or task.phase
        run = replace(task, phase=phase)
        fits.append(_walk(run, n_rows, scaling, random_state, member_, keep_best=keep_best))
    return _averaged(task, fits, start.shares)


HELD_OUT = 5
"""One row in so many is held out to choose alpha by."""

MOST_ROWS_TO_TRY, EPOCHS_TO_TRY = 100_000, 50
"""What a trial is worth: so many rows, and of mini-batches so many epochs at a rate that falls."""


def _with_tried_alpha(task: Task, random_state: RandomState) -> Task:
    """The task with that precision under which held-out rows are predicted best.

    Where a callback asks to stop, no further trial begins, and those so far decide.
    """
    settings, order = task.settings, random_state.permutation(task.X.shape[0])
    order = order[:MOST_ROWS_TO_TRY]
    if len(order) < HELD_OUT:
        return replace(task, settings=replace(settings, alpha=USUAL_ALPHA))
    held_out, kept = (_part(task, rows) for rows in np.split(order, [len(order) // HELD_OUT]))
    seed, trial = random_state.randint(np.iinfo(np.int32).max), settings
    if SOLVERS[settings.solver].incremental:
        n_epochs = min(settings.max_iter, EPOCHS_TO_TRY)
        trial = replace(settings, max_iter=n_epochs, learning_rate="cosine")
    losses: dict[float, float] = {}
    for number, alpha in enumerate(settings.alpha):
        phase = f"{_phase(trial=(number, len(settings.alpha)))}, alpha {alpha:3g}"
        tried = replace(kept, settings=replace(trial, alpha=alpha), phase=phase)
        scaling = measure(tried)
        fitted = _walk(tried, tried.X.shape[0], scaling, RandomState(seed))
        of_held_out = _objective(tried, scaling, held_out.X, held_out.Y, held_out.weights, 0.0)
        losses[alpha] = of_held_out.data_loss(fitted.solution.theta)
        if _is_stopped([fitted]):
            break
    best = min(losses, key=losses.__getitem__)
    return replace(task, settings=replace(settings, alpha=best), phase="final fit")


def _part(task: Task, rows: Array) -> Task:
    """The task on some of its rows."""
    weights = None if task.weights is None else task.weights[rows]
    return replace(task, X=subset(task.X, rows), Y=task.Y[rows], weights=weights)


def _judgement(fitted: Fit) -> float:
    return fitted.solution.value


def _averaged(task: Task, fits: list[Fit], weight: Array | None = None) -> Fit:
    """The average of the fits, which says how sure it is where they do; the best tells the rest.

    What each counts is told by its evidence, if there is any, else by `weight`.
    """
    # a network that diverged has no posterior, and does not count beside others that have
    fits = [fitted for fitted in fits if fitted.solution.posterior is not None] or fits
    best = min(fits, key=_judgement)
    posteriors = [fitted.solution.posterior for fitted in fits]
    continuation, posterior = best.continuation, best.solution.posterior
    if posterior is not None:
        log_evidence = np.array([p["log_evidence"] for p in posteriors])
        weight = shares(log_evidence, continuation.scaling.weight)
        posterior["noise"] = weight @ np.array([p["noise"] for p in posteriors])
    elif weight is None:
        return best
    if task.settings.posterior and posterior is not None:
        objective = _objective(task, continuation.scaling, task.X, task.Y, task.weights, 0.0)
        posterior["belief"] = believe(objective, posteriors, weight)
    if len(fits) > 1:
        members = [fitted.continuation for fitted in fits]
        shape, theta = side_by_side(task.shape, np.array([m.theta for m in members]), weight)
        best.coefs, best.intercepts = _raw(task, continuation.scaling, theta, shape)
        best.continuation = replace(
            continuation,
            theta=theta.astype(continuation.theta.dtype),
            network=continuation.network | {"hidden_size": shape.n_hidden, "n_members": len(fits)},
            state={},
            members=members,
            shares=weight,
        )
    return best


def partial_fit(task: Task, random_state: RandomState, start: Continuation | None = None) -> Fit:
    """One epoch over the rows of a stream; the last weights are kept.

    The standardisation takes the new rows in, and the weights are expressed in it so that the
    network computes the same function before and after. The penalty is shared by all rows
    seen so far.
    """
    solver = "adam" if task.settings.solver == "auto" else task.settings.solver
    dtype = task.X.dtype.name if task.settings.dtype == "auto" else task.settings.dtype
    task = replace(task, settings=replace(task.settings, solver=solver, dtype=dtype, max_iter=1))
    task = replace(
        _resolved(task, start), no_posterior="partial_fit keeps none", phase="partial_fit"
    )
    scaling, n_rows = measure(task), task.X.shape[0]
    if start is not None:
        scaling = start.scaling.merged(scaling)
    check_range(task, scaling)
    if start is not None:
        return _going_on(task, n_rows, scaling, random_state, start, keep_best=False)
    return _walk(task, n_rows, scaling, random_state, keep_best=False)


def outputs_and_covariance(
    fitted: Continuation, loss: str, belief: dict[str, Any], X: Any
) -> Iterator[tuple[slice, Array, Array]]:
    """Raw outputs for raw X and their covariance, of one block of rows after the other.

    Both are in standardised units and float64: (rows, Z2, (n_rows, n_outputs, n_outputs)).
    """
    choices, n_outputs = fitted.network, len(fitted.scaling.Y_scale)
    shape = Shape(X.shape[1], choices["hidden_size"], n_outputs, choices["skip"])
    wide = Network(shape, ACTIVATIONS[choices["activation"]], LOSSES[loss])
    network = member(wide, len(belief["shares"]))
    members = Predictive(network, belief["theta"], belief["covariance"], belief["shares"])
    for rows in blocks(network.shape, X.shape[0]):
        standardized = source(X[rows], fitted.scaling, np.dtype(np.float64)).take(slice(None))
        yield rows, *members.of_rows(standardized)


AS_GOOD_AS_STANDARD = 1e-6
"""Columns whose mean and deviation are so near 0 and 1, as other scalers leave them, stay."""


def measure(task: Task) -> Scaling:
    """What ``standardize`` asks for: moments of X, and of Y where the loss wants them."""
    n_rows, n_features = task.X.shape
    weight = float(n_rows if task.weights is None else task.weights.sum())
    X, Y = no_moments(n_features), no_moments(task.n_outputs)
    if task.settings.standardize:
        X = moments(task.X, task.weights)
        if X.are_standard(AS_GOOD_AS_STANDARD):
            X = no_moments(n_features)
        if LOSSES[task.loss].standardizes_target:
            Y = moments(task.Y, task.weights)
    return Scaling(X, Y, n_rows, weight)


def check_range(task: Task, scaling: Scaling) -> None:
    """ValueError for numbers near the end of the range, which leave no room to compute with."""
    if task.settings.standardize:
        sizes = {"a column of X": scaling.X.deviation.max(), "y": scaling.Y.magnitude.max()}
        dtype = task.X.dtype
        advice = "take other units" + (", or X in float64" if dtype == np.float32 else "")
    else:
        advice = "take dtype='float64', or standardize=True"
        sizes, dtype = _sizes(task), np.dtype(task.settings.dtype)
    limit = 1e-3 * float(np.finfo(dtype).max)
    for what, size in sizes.items():
        if not size <= limit:
            raise ValueError(
                f"{what} is as large as {size:.0e}: more than {limit:.0e} is too much for {dtype}; "
                + advice
            )


def _sizes(task: Task) -> dict[str, float]:
    """The largest magnitudes in rows that are to be rounded to float32 as they are."""
    if task.settings.dtype == "float64":
        return {}
    rows = {"": (task.X, task.Y, None)} | ({"_val": task.validation} if task.validation else {})
    sizes = {"X" + suffix: magnitude(X) for suffix, (X, _, _) in rows.items()}
    return sizes | {"y" + suffix: float(np.abs(Y).max()) for suffix, (_, Y, _) in rows.items()}


def product_size(task: Task, start: Continuation | None = None) -> int:
    """Multiplications in the largest matrix product that the solver will ask for.

    Products of curvature stand among factorisations and other small steps that threads slow down:
    they count a sixteenth, from where on two threads were measured to be level.
    """
    task = _resolved(task, start)
    settings, n_rows = task.settings, task.X.shape[0]
    if settings.solver == "lm":
        return n_rows * task.shape.size**2 // 16
    at_a_time = block_size(task.shape.width)
    if SOLVERS[settings.solver].incremental:
        at_a_time = batch_size(settings, n_rows)
    return int(min(at_a_time, n_rows) * task.X.shape[1] * task.shape.n_hidden)


def _resolved(task: Task, start: Continuation | None) -> Task:
    """The task with every ``"auto"`` made definite; a network that goes on stays as it is."""
    settings = task.settings
    if start is not None:
        kept = {k: v for k, v in start.choices.items() if is_auto(getattr(settings, k))}
        settings = replace(settings, **kept)
    (n_rows, n_features), n_outputs = task.X.shape, task.n_outputs
    validating = task.validation is not None
    no_posterior = why_no_evidence(settings, n_rows, n_features, n_outputs, validating)
    if not settings.posterior:
        no_posterior = no_posterior or "the fit was with posterior=False"
    settings = resolve(settings, n_rows, n_features, n_outputs, task.X.dtype, validating)
    if start is not None:
        if isinstance(settings.alpha, tuple) and start.alpha is not None:
            settings = replace(settings, alpha=start.alpha)
        _check_n_members(task.settings.n_members, settings, start)
    return replace(task, settings=settings, no_posterior=no_posterior)


def _check_n_members(asked: Any, settings: Settings, start: Continuation) -> None:
    """ValueError where another number of networks is asked for than there are to go on."""
    n_members = start.network["n_members"]
    has_a_say = n_members > 1 or is_auto(settings.alpha)
    if has_a_say and asked not in ("auto", n_members):
        raise ValueError(
            f"n_members={asked!r} differs from the fitted number of networks, {n_members}: "
            "keep it, or fit with warm_start=False"
        )


def _walk(
    task: Task,
    n_rows: int,
    scaling: Scaling,
    random_state: RandomState,
    start: Continuation | None = None,
    theta: Array | None = None,
    keep_best: bool = True,
) -> Fit:
    """One walk of the solver, from rows in raw units (`n_rows` before any were merged) to weights
    in raw units.
    """
    settings = task.settings
    theta, state = _begin(task, scaling, random_state, start, theta)
    alpha = 0.0 if is_auto(settings.alpha) else settings.alpha
    objective = _objective(task, scaling, task.X, task.Y, task.weights, alpha)
    monitor = _monitor(task, scaling, start, keep_best)
    n_before = len(monitor.loss_curve)
    solve = automatic_relevance.solve if is_auto(settings.alpha) else SOLVERS[settings.solver].solve
    # overflow is no news to warn of: the solvers see that a value is not finite
    with np.errstate(all="ignore"):
        solution = solve(objective, theta, settings, monitor, random_state, state)
        coefs, intercepts = _raw(task, scaling, solution.theta)
        if not _are_finite(coefs, intercepts):
            # finite weights for standardised columns may not be so for the raw ones
            solution = _diverged(replace(solution, theta=theta))
            coefs, intercepts = _raw(task, scaling, theta)
        if solution.posterior and not np.isfinite(solution.posterior["log_evidence"]):
            solution = _diverged(solution)
    _check_finite(coefs, intercepts)
    n_seen = (start.n_seen if start else 0) + (solution.n_iter - n_before) * n_rows
    continuation = Continuation(
        solution.theta,
        scaling,
        settings.solver,
        {
            "hidden_size": task.shape.n_hidden,
            "activation": settings.activation,
            "skip": task.shape.skip,
            "n_members": 1,
        },
        None if is_auto(settings.alpha) else settings.alpha,
        solution.state,
        monitor.loss_curve,
        monitor.scores,
        n_seen,
    )
    no_posterior = task.no_posterior
    return Fit(coefs, intercepts, solution, monitor, continuation, random_state, no_posterior)


def _diverged(solution: Solution) -> Solution:
    """The solution as one that says nothing of how sure it is."""
    return replace(solution, status=Status.DIVERGED, posterior=None)


def _begin(
    task: Task,
    scaling: Scaling,
    random_state: RandomState,
    start: Continuation | None,
    theta: Array | None,
) -> tuple[Array, dict[str, Any] | None]:
    """Where the walk begins: weights, and the state of the solver if it has one to carry on."""
    settings, state = task.settings, None
    if start is not None:
        theta = express(start.scaling, scaling, task.shape, start.theta)
        if start.solver == settings.solver and start.state:
            state = {
                k: v.astype(settings.dtype) if isinstance(v, np.ndarray) else v
                for k, v in start.state.items()
            }
    elif theta is None:
        theta = initialize(task.shape, settings.activation, settings.initializer, random_state)
    return theta.astype(settings.dtype), state


def _monitor(task: Task, scaling: Scaling, start: Continuation | None, keep_best: bool) -> Monitor:
    return Monitor(
        task.settings.tol,
        task.settings.n_iter_no_change,
        score=_score(task, scaling),
        stops_by_score=task.early_stopping,
        callback=task.callback,
        keep_best=keep_best,
        phase=task.phase,
        loss_curve=list(start.loss_curve) if start else [],
        scores=list(start.scores) if start else [],
    )


def _objective(
    task: Task, scaling: Scaling, X: Any, Y: Array, weights: Array | None, alpha: float | Array
) -> Objective:
    """F over some rows; weights are held relative to their mean, which no float overflows."""
    settings = task.settings
    if weights is not None:
        weights = weights / (weights.sum() / len(weights))
    network = Network(task.shape, ACTIVATIONS[settings.activation], LOSSES[task.loss])
    units = scaling if settings.standardize else None
    rows = ArrayRows(X, Y, weights, units, settings.dtype, block_size(task.shape.width))
    return Objective(network, rows, alpha, scaling.weight, mean_weight=1.0)


def _score(task: Task, scaling: Scaling) -> Callable[[Array], float] | None:
    """The rating of theta, or None where there is nothing to rate it on."""
    if task.score is not None:
        score = task.score
        activation = task.settings.activation
        origin = scaling.X.origin()
        return lambda theta: float(score(*_raw(task, scaling, theta), activation, origin))
    if task.validation is not None:
        held_out = _objective(task, scaling, *task.validation, alpha=0.0)
        return lambda theta: -held_out.data_loss(theta)
    return None


def _raw(
    task: Task, scaling: Scaling, theta: Array, shape: Shape | None = None
) -> tuple[list[Array], list[Array]]:
    """Weights and biases that act on raw units, in the wider of both precisions."""
    dtype = np.result_type(task.X.dtype, task.settings.dtype)
    return raw_weights(scaling, task.shape if shape is None else shape, theta, dtype)


def _are_finite(coefs: list[Array], intercepts: list[Array]) -> bool:
    return all(np.isfinite(array).all() for array in (*coefs, *intercepts))


def _check_finite(coefs: list[Array], intercepts: list[Array]) -> None:
    """ValueError where even initial weights do not exist in raw units."""
    if not _are_finite(coefs, intercepts):
        raise ValueError(
            "y is so large, and a column of X varies so little, that weights in their units would "
            "be beyond 1e308: take other units for either"
        )
