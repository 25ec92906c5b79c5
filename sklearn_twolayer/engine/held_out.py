"""Held-out rows: what each kind of network weighs in the average, and how sure its labels are.

Each kind is trained without some of the rows and asked for these: five times, each row being held
out once, or one time, where there are many. Weights are those that predict them best (`stacking`),
and the same predictions tell how far the probabilities are to be moderated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.random import RandomState

from .bayes.ensemble import combine, outputs_of
from .bayes.moderation import Moderation, choose_moderation, leave_one_out
from .bayes.predictive import blocks
from .bayes.stacking import cheapest, mean_losses, stack
from .data.rows import ArrayRows
from .model.losses import Loss
from .numerics import Array
from .plan import Plan
from .preparation import Training
from .run import run
from .solvers import SOLVERS
from .solvers.solution import Posterior

Parallel = Callable[[Sequence[Callable[[], Any]]], list]
"""Makes the calls, one after the other or at the same time, and returns what they return."""

HELD_OUT = 5
"""One row in so many is held out."""

MOST_HELD_OUT = 5000
"""Rows that tell well enough."""

MOST_KEPT = 100_000
"""Rows that a trial is trained on."""

MOST_TO_MODERATE, NUMBERS_TO_MODERATE = 2000, 2**22
"""Rows whose covariances are kept to choose a moderation by, and the numbers that these may be."""

USUAL_FRACTION = 0.1
"""Of the variance of logits by Kronecker factors, where no row was held out to tell.

A row left out by a Newton step does not tell either: the factors do not know single rows.
"""

TRIAL = 0.3
"""Of the epochs of mini-batches, a trial on one part of many rows takes so many."""


@dataclass(frozen=True)
class Weighting:
    """Weights of the kinds, and the moderation of the average if there is any."""

    weights: Array
    moderation: Moderation | None = None


@dataclass(frozen=True)
class _Trial:
    """A kind of network trained without the rows that it is then asked for.

    It says raw outputs, and either the variance of each, the noise included, or, where logits are
    moderated, their covariances in some rows.
    """

    plan: Plan
    kept: Training
    held_out: ArrayRows
    seed: int
    phase: str

    def __call__(self) -> tuple[Array, Array]:
        # a posterior is needed to judge, even where none is to be kept
        plan = replace(self.plan, no_posterior="")
        found = run(plan, self.kept, RandomState(self.seed), phase=self.phase)
        posterior, network = found.solution.posterior, self.plan.network()
        if posterior is None:
            n_outputs, has_noise = self.plan.shape.n_outputs, self.plan.task.loss.has_noise
            return _far_from_all(self.held_out.n_rows, n_outputs, has_noise)
        outputs = outputs_of(network, posterior.theta, posterior.covariance)
        raw, kept, most = [], [], rows_to_moderate(self.plan.shape.n_outputs)
        for rows in blocks(network.shape, self.held_out.n_rows):
            Z2, covariance = outputs.of_rows(self.held_out.take(rows)[0])
            raw.append(Z2)
            if self.plan.task.loss.has_noise:
                kept.append(np.einsum("ikk->ik", covariance) + posterior.noise)
            elif rows.start < most:
                kept.append(covariance[: most - rows.start])
        return np.concatenate(raw), np.concatenate(kept)


def rows_to_moderate(n_outputs: int) -> int:
    """Rows that a moderation is chosen by."""
    return max(1, min(MOST_TO_MODERATE, NUMBERS_TO_MODERATE // n_outputs**2))


def _far_from_all(n_rows: int, n_outputs: int, has_noise: bool) -> tuple[Array, Array]:
    """What a network without a result says: nothing that would get it a weight."""
    if has_noise:
        return np.full((n_rows, n_outputs), 1e3), np.ones((n_rows, n_outputs))
    n = min(n_rows, rows_to_moderate(n_outputs))
    return np.full((n_rows, n_outputs), 1e3), np.zeros((n, n_outputs, n_outputs))


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
    trials = []
    for number, rows in enumerate(held_out):
        kept = np.setdiff1d(order, rows)
        kept = kept if len(kept) <= MOST_KEPT else random_state.permutation(kept)[:MOST_KEPT]
        phase = f"fold {number + 1} of {n_folds}" if n_folds > 1 else "trial"
        for plan, training, seed in zip(plans, trainings, seeds, strict=True):
            trial = _shortened(plan, n_rows / len(kept)) if n_folds == 1 else plan
            parts = training.part(kept), training.part(rows).rows
            trials.append(_Trial(trial, *parts, int(seed) + number, phase))
    found = parallel(trials)
    judges = trainings[0].rows.part(np.concatenate(held_out))
    weights = np.ones(judges.n_rows)
    if judges.weights is not None:
        weights = judges.weights.astype(np.float64)
    weights = weights * judges.copies
    by_kind = [found[k :: len(plans)] for k in range(len(plans))]
    outputs = np.array([np.concatenate([Z2 for Z2, _ in parts]) for parts in by_kind])
    if loss.has_noise:
        weights = weights / _variances(by_kind)
    Y = judges.Y.astype(np.float64) if judges.Y.dtype.kind == "f" else judges.Y
    a = _stacked(plans, outputs, Y, weights, economical=n_folds == 1)
    if not loss.is_moderated:
        return Weighting(a)
    moderation = _moderation(loss, by_kind, a, Y, weights, [len(part) for part in held_out])
    return Weighting(a, moderation)


CLEAN = 0.5
"""Of the loss of the first kind, a network that began without noise must have no more."""


def _stacked(
    plans: Sequence[Plan], outputs: Array, Y: Array, weights: Array, economical: bool
) -> Array:
    """The weights, of a network that begins without noise only where that is plainly right."""
    loss = plans[0].task.loss
    losses = mean_losses(loss, outputs, Y, weights)
    admitted = [not plan.is_clean for plan in plans] | (losses < CLEAN * losses[0])
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


def _variances(by_kind: list) -> Array:
    """How uncertain each row is, whichever kind is asked, relative to the others.

    A row that no kind claims to know, far from all others, is not to decide between them.
    """
    each = [np.concatenate([V.sum(axis=1) for _, V in parts]) for parts in by_kind]
    variances = np.exp(np.mean(np.log(np.maximum(each, TINY)), axis=0))
    return variances / variances.mean()


TINY = 1e-12


def _moderation(
    loss: Loss, by_kind: list, a: Array, Y: Array, weights: Array, sizes: list[int]
) -> Moderation:
    starts = np.cumsum([0, *sizes[:-1]])
    parts = []
    for fold, start in enumerate(starts):
        n = len(by_kind[0][fold][1])
        rows = slice(start, start + n)
        told = ((kind[fold][0][:n], kind[fold][1]) for kind in by_kind)
        parts.append((*combine(told, a), Y[rows], weights[rows]))
    return choose_moderation(loss, parts)


def moderation_without(
    plans: Sequence[Plan], trainings: Sequence[Training], posteriors: Sequence[Posterior], a: Array
) -> Moderation:
    """The moderation that suits training rows best, each being left out by one Newton step."""
    loss, n_rows = plans[0].task.loss, trainings[0].rows.n_rows
    if any(plan.alpha_by == "given" for plan in plans):
        # a variance that the caller's prior allows is not one that the data have left
        return Moderation(variance_fraction=0.0)
    if not all(isinstance(p.covariance, np.ndarray) for p in posteriors):
        return Moderation(variance_fraction=USUAL_FRACTION)
    n = min(n_rows, rows_to_moderate(plans[0].shape.n_outputs))
    index = np.linspace(0, n_rows - 1, n).astype(np.intp)
    parts = []
    members = [
        (outputs_of(plan.network(), p.theta, p.covariance), training.rows)
        for plan, training, p in zip(plans, trainings, posteriors, strict=True)
    ]
    for block in blocks(plans[0].shape, len(index)):
        rows, told = index[block], []
        for outputs, of_member in members:
            X, Y, w = of_member.take(rows)
            weights = np.full(X.n_rows, of_member.copies) if w is None else w * of_member.copies
            told.append(leave_one_out(loss, *outputs.of_rows(X), Y, weights))
        parts.append((*combine(iter(told), a), Y, weights))
    return choose_moderation(loss, parts)


def _shortened(plan: Plan, ratio: float) -> Plan:
    """The plan of a trial on so many times fewer rows: of mini-batches fewer epochs."""
    settings = plan.settings
    if not SOLVERS[settings.solver].incremental:
        return plan
    # steps grow with the root of the rows
    n_epochs = max(1, round(TRIAL * settings.max_iter * ratio**0.5))
    return replace(plan, settings=replace(settings, max_iter=n_epochs))
