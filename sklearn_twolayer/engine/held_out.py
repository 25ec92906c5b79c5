"""Held-out rows: what each kind of network weighs in the average, and how sure the average is.

Each kind is trained without some of the rows and asked for these: five times, each row being held
out once, or one time, where there are many. Weights are those that predict them best (`stacking`),
and the same predictions tell how far probabilities are to be moderated, and how quantities scatter.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.random import RandomState

from .bayes.ensemble import combine, combine_variances, member_weights, outputs_of
from .bayes.moderation import CHOICES, CONSTANT, Moderation, choose_moderation
from .bayes.predictive import blocks
from .bayes.residuals import Residuals, tabulate
from .bayes.stacking import cheapest, mean_losses, stack
from .borrowing import posterior_of
from .data.rows import ArrayRows
from .model.loss import LocatedLoss
from .numerics import Array
from .plan import Plan
from .preparation import Training
from .run import run
from .solvers import SOLVERS
from .solvers.solution import Status
from .task import Fit, Task

Parallel = Callable[[Sequence[Callable[[], Any]]], list]
"""Makes the calls, one after the other or at the same time, and returns what they return."""

HELD_OUT = 5
"""One row in so many is held out."""

MOST_HELD_OUT = 5000
"""Rows that tell well enough."""

MOST_KEPT = 100_000
"""Rows that a trial is trained on."""

ROWS_TO_MODERATE, NUMBERS_TO_MODERATE = 2000, 10**7
"""Rows whose covariances are kept to choose a moderation by, at most so many numbers."""

TRIAL = 0.3
"""Of the epochs of mini-batches, a trial on one part of many rows takes so many."""


@dataclass(frozen=True)
class Weighting:
    """Weights of the kinds, and of their average the moderation, or the residuals of quantities."""

    weights: Array
    moderation: Moderation | None = None
    residuals: Residuals | None = None


@dataclass(frozen=True)
class _Told:
    """What a network says of rows that it does not know.

    Z2 and its variance (n_rows, n_outputs), the noise (n_outputs,), and of some first rows the
    covariance.
    """

    Z2: Array
    variance: Array
    noise: Array
    covariance: Array
    is_stopped: bool = False

    @property
    def total_variance(self) -> Array:
        """Of each row's outputs and noise, added up."""
        return np.asarray(sum(self.variance.T) + self.noise.sum())


@dataclass(frozen=True)
class _Trial:
    """A kind of network trained without the rows that it is then asked for."""

    plan: Plan
    kept: Training
    held_out: ArrayRows
    seed: int
    phase: str

    def __call__(self) -> _Told | None:
        """None of a network that has diverged."""
        found = self._fits()
        known = [posterior_of(self.plan, fitted.solution) for fitted in found]
        posteriors = [posterior for posterior in known if posterior is not None]
        if not posteriors:
            return None
        network, n_rows = self.plan.network(), 0
        outputs = [outputs_of(network, p.theta, p.covariance) for p in posteriors]
        evidence = np.array([p.log_evidence for p in posteriors])
        weights = member_weights(evidence, self.kept.weight)
        noise = weights @ np.array([p.noise for p in posteriors])
        parts, n_kept = [], rows_to_moderate(self.plan)
        for rows in blocks(network.shape, self.held_out.n_rows):
            X = self.held_out.take(rows)[0]
            Z2, covariance = combine((each.of_rows(X) for each in outputs), weights)
            variance = np.einsum("ikk->ik", covariance)
            # one for each row is a large thing, which only a moderation asks for
            parts.append((Z2, variance.copy(), covariance[: max(n_kept - n_rows, 0)].copy()))
            n_rows += len(Z2)
        Z2, variance, covariance = (np.concatenate(part) for part in zip(*parts, strict=True))
        is_stopped = found[-1].solution.status is Status.STOPPED
        return _Told(Z2, variance, noise, covariance, is_stopped)

    def _fits(self) -> list[Fit]:
        """One from each start, of which none begins after a callback has asked to stop."""
        # a posterior is needed to judge, even where none is to be kept
        plan, found = replace(self.plan, no_posterior=""), []
        for start in range(plan.n_judged):
            random_state = RandomState(self.seed + start)
            found.append(run(plan, self.kept, random_state, phase=self.phase))
            if found[-1].solution.status is Status.STOPPED:
                break
        return found


def rows_to_moderate(plan: Plan) -> int:
    """Rows whose covariances are kept to choose a moderation by."""
    if not plan.task.loss.is_moderated:
        return 0
    return min(ROWS_TO_MODERATE, max(NUMBERS_TO_MODERATE // plan.shape.n_outputs**2, 1))


def weigh(
    plans: Sequence[Plan],
    trainings: Sequence[Training],
    n_folds: int,
    random_state: RandomState,
    parallel: Parallel,
) -> Weighting:
    """The weights of kinds of networks by held-out predictions."""
    n_rows, loss = trainings[0].rows.n_rows, plans[0].task.loss
    order = random_state.permutation(n_rows)
    seeds = random_state.randint(np.iinfo(np.int32).max, size=len(plans)) // 2
    held_out = np.array_split(order, HELD_OUT)[:n_folds]
    if n_folds == 1:
        held_out = [held_out[0][:MOST_HELD_OUT]]
    found = _results(_trials(plans, trainings, held_out, seeds, random_state), parallel)
    by_kind = [found[k :: len(plans)] for k in range(len(plans))]
    known = [k for k, parts in enumerate(by_kind) if all(part is not None for part in parts)]
    if not known or len(found) < len(plans) * len(held_out):
        return Weighting(np.full(len(plans), 1 / len(plans)))
    a = np.zeros(len(plans))
    told = [[part for part in by_kind[k] if part is not None] for k in known]
    Y, copies = trainings[0].rows.part(np.concatenate(held_out)).targets()
    outputs = np.array([np.concatenate([part.Z2 for part in parts]) for parts in told])
    weights = copies if loss.is_moderated else copies / _variances(told)
    a[known] = _stacked([plans[k] for k in known], outputs, Y, weights, economical=n_folds == 1)
    if loss.is_moderated:
        return Weighting(a, _moderation(plans[0].task, told, a[known], Y, weights))
    return Weighting(a, residuals=_residuals(plans[0], told, a[known], Y, copies))


def _trials(
    plans: Sequence[Plan],
    trainings: Sequence[Training],
    held_out: list[Array],
    seeds: Array,
    random_state: RandomState,
) -> list[_Trial]:
    """One of each kind without each part of the rows."""
    trials, n_rows, n_folds = [], trainings[0].rows.n_rows, len(held_out)
    for number, rows in enumerate(held_out):
        kept = np.setdiff1d(np.arange(n_rows), rows)
        kept = kept if len(kept) <= MOST_KEPT else random_state.permutation(kept)[:MOST_KEPT]
        phase = f"fold {number + 1} of {n_folds}" if n_folds > 1 else "trial"
        for plan, training, seed in zip(plans, trainings, seeds, strict=True):
            trial = _shortened(plan, n_rows / len(kept)) if n_folds == 1 else plan
            parts = training.part(kept), training.part(rows).rows
            trials.append(_Trial(trial, *parts, int(seed) + number, phase))
    return trials


def _results(trials: list[_Trial], parallel: Parallel) -> list[_Told | None]:
    """What the trials tell; after a callback has asked to stop, no other begins."""
    if trials[0].plan.task.callback is None:
        return parallel(trials)
    found: list[_Told | None] = []
    for trial in trials:
        found.append(told := trial())
        if told is not None and told.is_stopped:
            break
    return found


CLEAN = 0.5
"""Of the loss of the first kind, a network that began without noise must have no more."""


def _stacked(
    plans: Sequence[Plan], outputs: Array, Y: Array, weights: Array, economical: bool
) -> Array:
    """The weights, of a network that begins without noise only where that is plainly right."""
    loss = plans[0].task.loss
    losses = mean_losses(loss, outputs, Y, weights)
    admitted = [not plan.is_clean for plan in plans] | (losses < CLEAN * losses[0])
    admitted[0] = True
    prior = np.array([plan.prior for plan in plans])
    if any(plan.is_clean for plan, is_in in zip(plans, admitted, strict=True) if is_in):
        prior = np.ones(len(plans))  # what was believed before is refuted
    data = loss, outputs[admitted], Y, weights, prior[admitted]
    a = np.zeros(len(plans))
    if economical:
        # where folds are affordable, so is what they say
        costs = np.array([plan.cost for plan in plans])
        a[admitted] = cheapest(*data, costs[admitted])
    else:
        a[admitted] = stack(*data)
    return a


def _variances(told: list[list[_Told]]) -> Array:
    """How uncertain each row is, whichever kind is asked, relative to the others.

    A row that no kind claims to know, far from all others, is not to decide between them.
    """
    each = [np.concatenate([part.total_variance for part in parts]) for parts in told]
    variances = np.exp(np.mean(np.log(np.maximum(each, TINY)), axis=0))
    return variances / variances.mean()


TINY = 1e-12


def _moderation(
    task: Task, told: list[list[_Told]], a: Array, Y: Array, weights: Array
) -> Moderation:
    choices = CHOICES if task.monotonic is None else CONSTANT
    parts, start = [], 0
    for of_fold in zip(*told, strict=True):
        n = len(of_fold[0].covariance)
        first = combine(((part.Z2[:n], part.covariance) for part in of_fold), a)
        rows = slice(start, start + n)
        parts.append((*first, Y[rows], weights[rows]))
        start += len(of_fold[0].Z2)
    return choose_moderation(task.loss, parts, choices)


def _residuals(
    plan: Plan, told: list[list[_Told]], a: Array, Y: Array, weights: Array
) -> Residuals | None:
    """Those of the average, in units of its own scale; of what is no quantity there are none."""
    loss = plan.task.loss
    if not isinstance(loss, LocatedLoss):
        return None
    folds = list(zip(*told, strict=True))
    noises = [a @ np.array([part.noise for part in of_fold]) for of_fold in folds]
    constant = np.mean(noises, axis=0) if plan.no_posterior else None
    found = []
    for of_fold, noise in zip(folds, noises, strict=True):
        Z2, variance = combine_variances(((part.Z2, part.variance) for part in of_fold), a)
        scattered = (variance, noise) if constant is None else (0 * variance, constant)
        found.append(loss.location_scale(Z2, *scattered))
    location, scale = (np.concatenate(each) for each in zip(*found, strict=True))
    return tabulate((Y - location) / scale, weights, True, constant)


def _shortened(plan: Plan, ratio: float) -> Plan:
    """The plan of a trial on so many times fewer rows: of mini-batches fewer epochs."""
    settings = plan.settings
    if not SOLVERS[settings.solver].incremental:
        return plan
    # steps grow with the root of the rows
    n_epochs = max(1, round(TRIAL * settings.max_iter * ratio**0.5))
    return replace(plan, settings=replace(settings, max_iter=n_epochs))
