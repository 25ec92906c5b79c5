"""Held-out rows: what each kind of network weighs in the average, and how sure the average is.

Each kind is trained without some of the rows and asked for these: five times, each row being held
out once, or one time, where there are many. Weights are those that predict them best (`stacking`),
and the same predictions tell how far probabilities are to be moderated, and how quantities scatter.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import RandomState

from .bayes.ensemble import combine, member_weights, outputs_of
from .bayes.moderation import Moderation
from .bayes.predictive import blocks
from .bayes.residuals import Residuals
from .borrowing import posterior_of
from .constant_noise import by_noise
from .data.rows import ArrayRows
from .numerics import SHUFFLED, Array, draw_rows
from .parts import Parallel, in_turn, is_stopped, most_iterations
from .plan import Plan
from .preparation import Training
from .recipe import usual_batch_size
from .run import run
from .solvers import SOLVERS
from .solvers.progress import Part
from .task import Fit
from .weighing import Told, moderation_of, residuals_of, weights_of_kinds

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
    """Weights of the kinds, and of their average the moderation, or the residuals of quantities.

    `densities` are the weights in the density of new targets, where these are others.
    """

    weights: Array
    densities: Array | None = None
    moderation: Moderation | None = None
    residuals: Residuals | None = None


@dataclass(frozen=True)
class _Trial:
    """A kind of network trained without the rows that it is then asked for."""

    plan: Plan
    kept: Training
    held_out: ArrayRows
    seed: int
    part: Part

    def __call__(self) -> Told | None:
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
        return Told(Z2, variance, noise, covariance, is_stopped(found[-1]))

    def _fits(self) -> list[Fit]:
        """One from each start, of which none begins after a stop was asked for."""
        # a posterior is needed to judge, even where none is to be kept
        plan, found = replace(self.plan, no_posterior=""), []
        for start in range(plan.n_judged):
            random_state = RandomState(self.seed + start)
            found.append(run(plan, self.kept, random_state, shown=None))
            if is_stopped(found[-1]):
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
    held_out = _held_out(n_rows, n_folds, random_state)
    # kinds of varying noise share the seeds of those of constant noise, which are as if alone
    n_seeds = len(by_noise(plans)[0])
    seeds = random_state.randint(np.iinfo(np.int32).max, size=n_seeds)
    seeds = np.concatenate([seeds, seeds])[: len(plans)] // 2
    trials, watcher = (
        _trials(plans, trainings, held_out, seeds, random_state),
        plans[0].task.watcher,
    )
    answers = in_turn(watcher, trials, parallel)[0] if watcher else parallel(trials)
    by_kind = [answers[k :: len(plans)] for k in range(len(plans))]
    known = [k for k, parts in enumerate(by_kind) if all(part is not None for part in parts)]
    if not known or len(answers) < len(plans) * len(held_out):
        return Weighting(np.full(len(plans), 1 / len(plans)))
    told = [[part for part in by_kind[k] if part is not None] for k in known]
    Y, copies = trainings[0].rows.part(np.concatenate(held_out)).targets()
    of_known = [plans[k] for k in known]
    found = weights_of_kinds(of_known, told, Y, copies, economical=n_folds == 1)
    a, densities = np.zeros((2, len(plans)))
    a[known], densities[known] = found
    if loss.is_moderated:
        return Weighting(a, None, moderation_of(plans[0].task, told, found[0], Y, copies))
    residuals = residuals_of(of_known, told, *found, Y, copies)
    return Weighting(a, densities if loss.beside_constant else None, residuals=residuals)


def _held_out(n_rows: int, n_folds: int, random_state: RandomState) -> list[Array]:
    """Rows that are held out together, for each fold."""
    if n_folds > 1:
        return np.array_split(random_state.permutation(n_rows), HELD_OUT)[:n_folds]
    return [draw_rows(n_rows, min(-(-n_rows // HELD_OUT), MOST_HELD_OUT), random_state)]


def _others(rows: Array, n_rows: int, random_state: RandomState) -> Array:
    """The rows that a trial without the given ones is trained on: all, or as many as tell."""
    if n_rows > SHUFFLED:
        drawn = draw_rows(n_rows, MOST_KEPT + len(rows), random_state)
        return random_state.permutation(np.setdiff1d(drawn, rows))[:MOST_KEPT]
    kept = np.setdiff1d(np.arange(n_rows), rows)
    return kept if len(kept) <= MOST_KEPT else random_state.permutation(kept)[:MOST_KEPT]


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
        kept = _others(rows, n_rows, random_state)
        for plan, training, seed in zip(plans, trainings, seeds, strict=True):
            trial = _shortened(plan, len(kept)) if n_folds == 1 else plan
            parts = training.part(kept), training.rows.part(rows)
            n_iter = trial.n_judged * most_iterations(trial)
            part = Part("fold" if n_folds > 1 else "trial", number, n_folds, n_iter=n_iter)
            trials.append(_Trial(trial, *parts, int(seed) + number, part))
    return trials


def _shortened(plan: Plan, n_kept: int) -> Plan:
    """The plan of a trial on so many times fewer rows: of mini-batches fewer epochs."""
    settings, ratio = plan.settings, plan.task.X.shape[0] / n_kept
    if not SOLVERS[settings.solver].incremental:
        return plan
    # steps grow with the root of the rows
    n_epochs = max(1, round(TRIAL * settings.max_iter * ratio**0.5))
    size = int(settings.batch_size)
    if plan.task.is_elsewhere:  # what is tried is here, where batches may be as small as they do
        size = min(size, usual_batch_size(n_kept))
    return replace(plan, settings=replace(settings, max_iter=n_epochs, batch_size=size))
