"""Which training runs a fit takes: kinds of networks, members of an average, restarts, a chunk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.random import RandomState

from .ambiguity import narrowed
from .averaging import side_by_side
from .bayes.ensemble import Predictive, member_weights
from .bayes.residuals import Residuals
from .borrowing import fit_squared_error, of_squared_error, posterior_of, residuals
from .held_out import Parallel, Weighting, weigh
from .left_out import moderation_without, residuals_without
from .model.quantile_losses import weighted_quantiles
from .numerics import Array
from .plan import Plan
from .preparation import Training, prepare
from .run import run
from .solvers.solution import Status
from .task import Continuation, Fit


@dataclass(frozen=True)
class Member:
    """A network of an average, how it came about, and its weight."""

    plan: Plan
    training: Training
    fitted: Fit
    weight: float = 1.0


def one_after_the_other(calls: Sequence[Callable[[], Any]]) -> list:
    """What the calls return."""
    return [call() for call in calls]


@dataclass(frozen=True)
class _Job:
    """One run, from a seed of its own."""

    plan: Plan
    training: Training
    seed: int
    phase: str

    def __call__(self) -> Fit:
        rows = self.training.alone()
        return run(self.plan, rows, RandomState(self.seed), phase=self.phase)


def fit(
    plan: Plan,
    random_state: RandomState,
    start: Continuation | None = None,
    parallel: Parallel = one_after_the_other,
) -> Fit:
    """Train until the solver stops; the best of ``n_init`` initial draws is kept.

    Networks of several kinds and starts are averaged. `random_state` is consumed by the rows that
    are held out and the seeds of their networks, then by the seeds of the networks to keep; a
    single network draws its initial weights and the shuffles from it directly. `start` goes on
    where an earlier fit ended, an average network by network.
    """
    trainings = _prepare(plan.kinds)
    plan = _with_definite_loss(plan, trainings[0], random_state)
    if start is not None:
        return _going_on(plan, trainings, random_state, start)
    n_init, n_members = plan.settings.n_init, sum(k.settings.n_members for k in plan.kinds)
    if n_init == n_members == 1:
        return average(plan, [Member(plan, trainings[0], run(plan, trainings[0], random_state))])
    weighting = Weighting(np.full(len(plan.kinds), 1 / len(plan.kinds)))
    if plan.n_folds:
        weighting = weigh(plan.kinds, trainings, plan.n_folds, random_state, parallel)
    # a seed each: no run depends on how many numbers those before it have drawn
    seeds = random_state.randint(np.iinfo(np.int32).max, size=(n_members, n_init))
    fits, kinds = _members(plan, trainings, weighting.weights, seeds, parallel)
    weights = _weights(fits, kinds, weighting.weights)
    members = [
        Member(plan.kinds[kind], trainings[kind], fitted, weight)
        for kind, fitted, weight in zip(kinds, fits, weights, strict=True)
    ]
    found = average(plan, members, weighting)
    return replace(found, continuation=replace(found.continuation, n_asked=n_members))


def partial_fit(plan: Plan, random_state: RandomState, start: Continuation | None = None) -> Fit:
    """One epoch over the rows of a stream; the last weights are kept.

    The standardisation takes the new rows in, and the weights are expressed in it so that the
    network computes the same function before and after. The penalty is shared by all rows so far.
    """
    if start is None:
        training = prepare(plan)
        plan = _with_definite_loss(plan, training)
        found = run(plan, training, random_state, phase="partial_fit", keep_best=False)
        return average(plan, [Member(plan, training, found)])
    each = zip(plan.kinds, start.networks, strict=True)
    trainings = [prepare(kind, member.scaling) for kind, member in each]
    plan = _with_definite_loss(plan, trainings[0])
    return _going_on(plan, trainings, random_state, start, "partial_fit", keep_best=False)


def _with_definite_loss(
    plan: Plan, training: Training, random_state: RandomState | None = None
) -> Plan:
    """The plan with the parameters of its loss in standardised units.

    Where one goes by the noise, the residuals of a network for squared errors tell it; in a stream
    those of a constant do.
    """
    loss, rows = plan.task.loss.in_units_of(training.scaling.Y_scale), training.rows
    if loss.follows_noise:
        weights, errors = rows.weights_of_rows(), rows.Y.astype(np.float64)
        if random_state is None:
            errors = errors - weighted_quantiles(errors, weights, 0.5)
        else:
            pilot = fit_squared_error(
                plan, training, lambda plan, rows: run(plan, rows, random_state, phase="pilot")
            )
            network = of_squared_error(plan).network()
            errors = residuals(network, rows, pilot.solution.theta)
        loss = loss.for_noise(errors, weights)
    return plan.with_loss(loss)


def _prepare(plans: Sequence[Plan]) -> list[Training]:
    """Rows of each kind, those of the same encoding and precision prepared once."""
    trainings: list[Training] = []
    for number, plan in enumerate(plans):
        same = [
            earlier
            for earlier, other in zip(trainings, plans[:number], strict=True)
            if other.encoding is plan.encoding and other.settings.dtype == plan.settings.dtype
        ]
        trainings.append(same[0] if same else prepare(plan))
    return trainings


def _members(
    plan: Plan, trainings: list[Training], weights: Array, seeds: Array, parallel: Parallel
) -> tuple[list[Fit], list[int]]:
    """The best start of each network of a kind that counts, and the number of its kind.

    After a callback has asked to stop, no other begins.
    """
    jobs: list[_Job] = []
    kinds: list[int] = []
    for kind, of_kind in enumerate(plan.kinds):
        kinds += [kind] * (of_kind.settings.n_members if weights[kind] else 0)
    for number, kind in enumerate(kinds):
        of_kind, training = plan.kinds[kind], trainings[kind]
        for start, seed in enumerate(seeds[number]):
            phase = _phase(member=(number, len(kinds)), start=(start, seeds.shape[1]))
            jobs.append(_Job(of_kind, training, int(seed), phase))
    found = _until_stopped(jobs) if plan.task.callback else parallel(jobs)
    n_init = seeds.shape[1]
    starts = [found[i : i + n_init] for i in range(0, len(found), n_init)]
    return [_best(of_member) for of_member in starts], kinds[: len(starts)]


def _until_stopped(jobs: list[_Job]) -> list[Fit]:
    found: list[Fit] = []
    for job in jobs:
        found.append(job())
        if found[-1].solution.status is Status.STOPPED:
            break
    return found


def _weights(fits: list[Fit], kinds: list[int], of_kinds: Array) -> Array:
    """The weight of each network: that of its kind, divided among those of the kind.

    Exact evidences of one kind compare, and say by how much.
    """
    weights, number = np.empty(len(fits)), np.array(kinds)
    for kind in np.unique(number):
        members = np.flatnonzero(number == kind)
        weights[members] = of_kinds[kind] * _by_evidence([fits[i] for i in members])
    return weights / weights.sum()


def _by_evidence(fits: list[Fit]) -> Array:
    posteriors = [fitted.solution.posterior for fitted in fits]
    if any(p is None or not isinstance(p.covariance, np.ndarray) for p in posteriors):
        return np.full(len(fits), 1 / len(fits))
    n = fits[0].continuation.scaling.weight
    return member_weights(np.array([p.log_evidence for p in posteriors if p is not None]), n)


def _going_on(
    plan: Plan,
    trainings: list[Training],
    random_state: RandomState,
    start: Continuation,
    phase: str = "",
    keep_best: bool = True,
) -> Fit:
    """The average anew, each of its networks going on as itself; or the one network there is."""
    members, starts = [], start.networks
    weights = np.ones(1) if start.member_weights is None else start.member_weights
    for number, (kind, training) in enumerate(zip(plan.kinds, trainings, strict=True)):
        of_member = _phase(member=(number, start.n_members)) or phase
        found = run(kind, training, random_state, starts[number], of_member, keep_best)
        members.append(Member(kind, training, found, weights[number]))
    found = average(plan, members, earlier=_still_valid(start, plan, streams=not keep_best))
    return replace(found, continuation=replace(found.continuation, n_asked=start.n_asked))


def average(
    plan: Plan,
    members: list[Member],
    weighting: Weighting | None = None,
    earlier: Residuals | None = None,
) -> Fit:
    """The average of members, with a posterior where they have one; the best tells the rest.

    `earlier` are residuals from before the members went on, where they still hold.
    """
    known = [posterior_of(m.plan, m.fitted.solution) for m in members]
    posteriors = [posterior for posterior in known if posterior is not None]
    if posteriors:
        # a network that diverged has no posterior, and does not count beside others that have
        members = [m for m, of_member in zip(members, known, strict=True) if of_member is not None]
    weights = np.array([m.weight for m in members])
    weights = weights / weights.sum()
    fits = [m.fitted for m in members]
    found = side_by_side(fits, weights) if len(fits) > 1 else fits[0]
    if not posteriors:
        return found
    told = [m.plan for m in members], [m.training for m in members], posteriors, weights
    scatter = weighting.residuals if weighting else None
    scatter = narrowed(scatter, *told) if scatter else earlier
    scatter = scatter or residuals_without(*told)
    continuation = replace(found.continuation, residuals=scatter)
    found = replace(found, continuation=continuation)
    if any(p.covariance is None for p in posteriors):
        return found  # of weights alone there is no more to say
    found = replace(found, noise=weights @ np.array([p.noise for p in posteriors]))
    if not plan.settings.store_posterior:
        return found
    thetas, covariances = [p.theta for p in posteriors], [p.covariance for p in posteriors]
    predictive = Predictive(thetas, covariances, weights)
    if plan.task.loss.is_moderated:
        moderation = weighting.moderation if weighting else None
        moderation = moderation or moderation_without(*told)
        predictive = replace(predictive, **vars(moderation))
    return replace(found, predictive=predictive)


def _still_valid(start: Continuation, plan: Plan, streams: bool) -> Residuals | None:
    """Residuals from before: of rows held out, if the scale was of the same kind.

    In a stream, whose chunks are to be quick, any, until twice as many rows have been seen.
    """
    found = start.residuals
    if found is None or found.with_variance != (not plan.no_posterior):
        return None
    doubled = (start.n_seen + plan.n_rows).bit_length() > start.n_seen.bit_length()
    return found if found.by_held_out or (streams and not doubled) else None


def _phase(**places: tuple[int, int]) -> str:
    """Such as member 1 of 3, start 2 of 4; what there is only one of is left out."""
    several = ((kind, *place) for kind, place in places.items() if place[1] > 1)
    return ", ".join(f"{kind} {number + 1} of {total}" for kind, number, total in several)


def _best(fits: list[Fit]) -> Fit:
    return min(fits, key=lambda fitted: fitted.solution.value)
