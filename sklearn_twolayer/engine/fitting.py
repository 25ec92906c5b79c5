"""Which training runs a fit takes: restarts, members of an average, trials of alpha, a chunk."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.random import RandomState

from .bayes.automatic_relevance import predictive
from .bayes.ensemble import Members, Predictive, member_weights, side_by_side
from .bayes.predictive import blocks
from .data.sources import source
from .model.activations import ACTIVATIONS
from .model.losses import Loss
from .model.network import Network
from .model.parameters import Shape
from .numerics import Array
from .plan import ALPHAS_TO_TRY, USUAL_ALPHA, Plan
from .run import Training, in_raw_units, prepare, run
from .solvers import SOLVERS
from .solvers.objective import Objective
from .solvers.solution import Status
from .task import Continuation, Fit


def fit(plan: Plan, random_state: RandomState, start: Continuation | None = None) -> Fit:
    """Train until the solver stops; the best of ``n_init`` initial draws is kept.

    Under the evidence ``n_members`` such networks are averaged. `random_state` is consumed by the
    trials of alpha, then by the initial weights and the shuffles; with several draws it only gives
    each its seed. `start` goes on where an earlier fit ended, an average network by network.
    """
    training, phase = prepare(plan), ""
    if plan.alpha_by == "held_out":
        plan, phase = _with_best_alpha(plan, training, random_state), "final fit"
    if start is not None:
        return _going_on(plan, training, random_state, start, phase)
    n_init, n_members = plan.settings.n_init, plan.settings.n_members
    if n_init == n_members == 1:
        return average(plan, training, [run(plan, training, random_state, phase=phase)])
    # a seed each: no run depends on how many numbers those before it have drawn
    seeds = random_state.randint(np.iinfo(np.int32).max, size=(n_members, n_init))
    return average(plan, training, _members(plan, training, seeds))


def partial_fit(plan: Plan, random_state: RandomState, start: Continuation | None = None) -> Fit:
    """One epoch over the rows of a stream; the last weights are kept.

    The standardisation takes the new rows in, and the weights are expressed in it so that the
    network computes the same function before and after. The penalty is shared by all rows so far.
    """
    phase = "partial_fit"
    if start is None:
        return run(plan, prepare(plan), random_state, phase=phase, keep_best=False)
    training = prepare(plan, start.scaling)
    return _going_on(plan, training, random_state, start, phase, keep_best=False)


def _members(plan: Plan, training: Training, seeds: Array) -> list[Fit]:
    """The best start of each row of seeds; after a callback has asked to stop, no other begins."""
    members: list[Fit] = []
    for row in seeds:
        starts: list[Fit] = []
        for seed in row:
            phase = _phase(member=(len(members), len(seeds)), start=(len(starts), len(row)))
            starts.append(run(plan, training, RandomState(seed), phase=phase))
            if _is_stopped(starts):
                break
        members.append(_best(starts))
        if _is_stopped(starts):
            break
    return members


def _going_on(
    plan: Plan,
    training: Training,
    random_state: RandomState,
    start: Continuation,
    phase: str,
    keep_best: bool = True,
) -> Fit:
    """The average anew, each of its networks going on as itself; or the one network there is."""
    fits = []
    for number, member in enumerate(start.members or [start]):
        of_member = _phase(member=(number, start.n_members)) or phase
        fits.append(run(plan, training, random_state, member, of_member, keep_best))
    return average(plan, training, fits, start.member_weights)


def average(
    plan: Plan, training: Training, fits: list[Fit], earlier_weights: Array | None = None
) -> Fit:
    """The average of the fits, with a posterior where they have one; the best tells the rest.

    Members are weighted by their evidence, if there is any, else as before.
    """
    posteriors = [p for p in (fitted.solution.posterior for fitted in fits) if p is not None]
    if not posteriors:
        if earlier_weights is None:
            return _best(fits)
        return _side_by_side(plan, training, fits, earlier_weights)
    # a network that diverged has no posterior, and does not count beside others that have
    fits = [fitted for fitted in fits if fitted.solution.posterior is not None]
    weights = member_weights(np.array([p.log_evidence for p in posteriors]), training.weight)
    found = _side_by_side(plan, training, fits, weights) if len(fits) > 1 else fits[0]
    found = replace(found, noise=weights @ np.array([p.noise for p in posteriors]))
    if not plan.settings.store_posterior:
        return found
    objective = Objective(plan.network(), training.rows, 0.0, training.weight)
    return replace(found, predictive=predictive(objective, posteriors, weights))


def _side_by_side(plan: Plan, training: Training, fits: list[Fit], weights: Array) -> Fit:
    """The best fit, its network being the wide one that computes the average of all."""
    best, members = _best(fits), [fitted.continuation for fitted in fits]
    thetas = np.array([member.theta for member in members])
    shape, theta = side_by_side(plan.shape, thetas, weights)
    scaling, dtype = training.scaling, plan.settings.dtype
    coefs, intercepts = in_raw_units(plan.task, dtype, scaling, shape, theta)
    continuation = replace(
        best.continuation,
        theta=theta.astype(best.continuation.theta.dtype),
        state={},
        members=members,
        member_weights=weights,
    )
    return replace(best, coefs=coefs, intercepts=intercepts, continuation=continuation)


HELD_OUT = 5
"""One row in so many is held out to choose alpha by."""

MOST_ROWS_TO_TRY, EPOCHS_TO_TRY = 100_000, 50
"""What a trial may cost: so many rows, and of mini-batches so many epochs at a rate that falls."""


def _with_best_alpha(plan: Plan, training: Training, random_state: RandomState) -> Plan:
    """The plan with that alpha under which held-out rows are predicted best.

    Where a callback asks to stop, no further trial begins, and those so far decide.
    """
    order = random_state.permutation(training.rows.n_rows)[:MOST_ROWS_TO_TRY]
    if len(order) < HELD_OUT:
        return replace(plan, alpha=USUAL_ALPHA)
    # rows are gathered once for all trials
    held_out, kept = map(training.part, np.split(order, [len(order) // HELD_OUT]))
    judge = Objective(plan.network(), held_out.rows, 0.0)
    trial = _trial(plan, kept.rows.n_rows)
    # one start for all: alphas are compared, not draws
    seed = random_state.randint(np.iinfo(np.int32).max)
    losses: dict[float, float] = {}
    for number, alpha in enumerate(ALPHAS_TO_TRY):
        phase = f"{_phase(trial=(number, len(ALPHAS_TO_TRY)))}, alpha {alpha:3g}"
        tried = run(replace(trial, alpha=alpha), kept, RandomState(seed), phase=phase)
        losses[alpha] = judge.data_loss(tried.solution.theta)
        if _is_stopped([tried]):
            break
    return replace(plan, alpha=min(losses, key=losses.__getitem__))


def _trial(plan: Plan, n_rows: int) -> Plan:
    """The plan of a trial: of mini-batches a few epochs only, at a rate that falls to zero."""
    settings = plan.settings
    if SOLVERS[settings.solver].incremental:
        n_epochs = min(settings.max_iter, EPOCHS_TO_TRY)
        settings = replace(settings, max_iter=n_epochs, learning_rate="cosine")
    return replace(plan, settings=settings, n_rows=n_rows)


def _phase(**places: tuple[int, int]) -> str:
    """Such as member 1 of 3, start 2 of 4; what there is only one of is left out."""
    several = ((kind, *place) for kind, place in places.items() if place[1] > 1)
    return ", ".join(f"{kind} {number + 1} of {total}" for kind, number, total in several)


def _is_stopped(fits: list[Fit]) -> bool:
    return fits[-1].solution.status is Status.STOPPED


def _best(fits: list[Fit]) -> Fit:
    return min(fits, key=lambda fitted: fitted.solution.value)


def outputs_and_covariance(
    fitted: Continuation, loss: Loss, predictive: Predictive, X: Any
) -> Iterator[tuple[slice, Array, Array]]:
    """Raw outputs for raw X and their covariance, of one block of rows after the other.

    Both are in standardised units and float64: (rows, Z2, (n_rows, n_outputs, n_outputs)).
    """
    choices, n_outputs = fitted.choices, len(fitted.scaling.Y_scale)
    shape = Shape(X.shape[1], choices.hidden_size, n_outputs, choices.skip)
    network = Network(shape, ACTIVATIONS[choices.activation], loss)
    members = Members(network, predictive)
    for rows in blocks(shape, X.shape[0]):
        standardized = source(X[rows], fitted.scaling, np.dtype(np.float64)).take(slice(None))
        yield rows, *members.of_rows(standardized)
