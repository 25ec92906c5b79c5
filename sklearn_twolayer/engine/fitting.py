"""Which training runs a fit takes: kinds of networks, members of an average, restarts, a chunk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.random import RandomState

from .ambiguity import narrowed
from .averaging import side_by_side
from .bayes.ensemble import Predictive, member_weights
from .bayes.residuals import Residuals
from .borrowing import posterior_of
from .constant_noise import by_noise
from .held_out import Weighting, weigh
from .left_out import moderation_without, residuals_without
from .numerics import Array
from .parts import Parallel, in_turn, most_iterations, watched, weights_of, whole
from .pilot import with_definite_loss
from .plan import Plan
from .preparation import Training, prepare
from .run import run
from .solvers.progress import Part, Watcher
from .task import Continuation, Fit


@dataclass(frozen=True)
class Member:
    """A network of an average, how it came about, and its weight; in densities, if not the same."""

    plan: Plan
    training: Training
    fitted: Fit
    weight: float = 1.0
    density: float | None = None


def one_after_the_other(calls: Sequence[Callable[[], Any]]) -> list:
    """What the calls return."""
    return [call() for call in calls]


@dataclass(frozen=True)
class _Job:
    """One run, from a seed of its own."""

    plan: Plan
    training: Training
    seed: int
    part: Part

    def __call__(self) -> Fit:
        return run(self.plan, self.training.alone(), RandomState(self.seed))


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
    watcher = plan.task.watcher
    if watcher is None:
        return _fit(plan, random_state, start, parallel)
    watcher.begin(whole(plan, start))
    found = _fit(plan, random_state, start, parallel)
    watcher.end()
    return found


def _fit(
    plan: Plan, random_state: RandomState, start: Continuation | None, parallel: Parallel
) -> Fit:
    trainings = _prepare(plan.kinds)
    plan = with_definite_loss(plan, trainings[0], random_state)
    if start is not None:
        return _going_on(plan, trainings, random_state, start)
    n_init, n_members = plan.settings.n_init, sum(k.settings.n_members for k in plan.kinds)
    if n_init == n_members == 1:
        return _alone(plan, trainings[0], random_state, "member")
    weighting = Weighting(np.full(len(plan.kinds), 1 / len(plan.kinds)))
    if plan.n_folds:
        weighting = weigh(plan.kinds, trainings, plan.n_folds, random_state, parallel)
    # a seed each: no run depends on how many numbers those before it have drawn
    n_seeds = sum(plan.kinds[k].settings.n_members for k in by_noise(plan.kinds)[0])
    seeds = random_state.randint(np.iinfo(np.int32).max, size=(n_seeds, n_init))
    of_kinds = weighting.weights if weighting.densities is None else weighting.densities
    fits, kinds = _members(plan, trainings, of_kinds, seeds, parallel)
    weights = [_weights(fits, kinds, each) for each in (weighting.weights, of_kinds)]
    members = [
        Member(plan.kinds[kind], trainings[kind], *each)
        for kind, *each in zip(kinds, fits, *weights, strict=True)
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
        plan = with_definite_loss(plan, training)
        return _alone(plan, training, random_state, "partial_fit", keep_best=False)
    each = zip(plan.kinds, start.networks, strict=True)
    trainings = [prepare(kind, member.scaling) for kind, member in each]
    plan = with_definite_loss(plan, trainings[0])
    return _going_on(plan, trainings, random_state, start, keep_best=False)


def _alone(
    plan: Plan, training: Training, random_state: RandomState, name: str, keep_best: bool = True
) -> Fit:
    """A single network, from a draw of initial weights."""
    part = Part(name, n_iter=most_iterations(plan))
    begin = partial(run, plan, training, random_state, None, keep_best)
    found = watched(plan.task.watcher, part, begin)
    return average(plan, [Member(plan, training, found)])


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
    """The best start of each network of a kind that counts, and the number of its kind."""
    jobs: list[list[_Job]] = []
    kinds: list[int] = []
    for kind, of_kind in enumerate(plan.kinds):
        kinds += [kind] * (of_kind.settings.n_members if weights[kind] else 0)
    # those of varying noise share the seeds of those of constant noise
    n_constant = sum(plan.kinds[kind].has_constant_noise for kind in kinds)
    for number, kind in enumerate(kinds):
        of_kind, training = plan.kinds[kind], trainings[kind]
        place = number if number < n_constant else number - n_constant
        n_iter, n_init = most_iterations(of_kind), len(seeds[place])
        starts = [Part("start", start, n_init, n_iter=n_iter) for start in range(n_init)]
        each = zip(seeds[place], starts, strict=True)
        jobs.append([_Job(of_kind, training, int(seed), part) for seed, part in each])
    if plan.task.watcher is not None:
        fits = _in_turn(plan.task.watcher, jobs, parallel)
    else:
        found, n_init = parallel([job for of_member in jobs for job in of_member]), seeds.shape[1]
        fits = [_best(found[i : i + n_init]) for i in range(0, len(found), n_init)]
    return fits, kinds[: len(fits)]


def _in_turn(watcher: Watcher, members: list[list[_Job]], parallel: Parallel) -> list[Fit]:
    """The best start of each member; after a stop was asked for, no other begins."""
    found: list[Fit] = []
    for number, jobs in enumerate(members):
        watcher.begin(Part("member", number, len(members), n_parts=len(jobs)))
        starts, is_stopped = in_turn(watcher, jobs, parallel)
        found.append(_best(starts))
        is_asked = watcher.end(weights_of(found[-1]))
        if is_asked or is_stopped:
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
    keep_best: bool = True,
) -> Fit:
    """The average anew, each of its networks going on as itself; or the one network there is."""
    members, starts = [], start.networks
    weights = np.ones(1) if start.member_weights is None else start.member_weights
    densities = weights if start.member_densities is None else start.member_densities
    for number, (kind, training) in enumerate(zip(plan.kinds, trainings, strict=True)):
        name = "member" if keep_best or len(starts) > 1 else "partial_fit"
        part = Part(name, number, len(starts), n_iter=most_iterations(kind))
        go_on = partial(run, kind, training, random_state, starts[number], keep_best)
        found = watched(plan.task.watcher, part, go_on)
        members.append(Member(kind, training, found, weights[number], densities[number]))
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
    densities = np.array([m.weight if m.density is None else m.density for m in members])
    densities = densities / densities.sum()
    fits = [m.fitted for m in members]
    found = side_by_side(fits, weights) if len(fits) > 1 else fits[0]
    if not posteriors:
        return found
    told = [m.plan for m in members], [m.training for m in members], posteriors, densities
    scatter = weighting.residuals if weighting else None
    scatter = narrowed(scatter, *told) if scatter else earlier
    scatter = scatter or residuals_without(*told)
    kept = densities if plan.task.loss.beside_constant else None
    continuation = replace(found.continuation, residuals=scatter, member_densities=kept)
    found = replace(found, continuation=continuation)
    if any(p.covariance is None for p in posteriors):
        return found  # of weights alone there is no more to say
    found = replace(found, noise=weights @ np.array([p.noise for p in posteriors]))
    if not plan.settings.store_posterior:
        return found
    thetas, covariances = [p.theta for p in posteriors], [p.covariance for p in posteriors]
    predictive = Predictive(thetas, covariances, densities)
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


def _best(fits: list[Fit]) -> Fit:
    return min(fits, key=lambda fitted: fitted.solution.value)
