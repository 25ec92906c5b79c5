"""What held-out rows say: weights of kinds of networks, a moderation, and how quantities scatter.

Where noise varies, networks of constant noise are weighed by their means, as if there were no
others, and those of varying noise by their densities; then the densities of both averages are
pooled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .bayes.ensemble import combine, combine_variances
from .bayes.moderation import CHOICES, CONSTANT, Moderation, choose_moderation
from .bayes.pooling import pooled, shares
from .bayes.residuals import Residuals, tabulate
from .bayes.stacking import cheapest, mean_losses, stack
from .borrowing import of_squared_error
from .constant_noise import by_noise, within
from .model.loss import LocatedLoss
from .model.losses import LOSSES
from .numerics import Array
from .plan import Plan
from .task import Task


@dataclass(frozen=True)
class Told:
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


def weights_of_kinds(
    plans: Sequence[Plan],
    told: list[list[Told]],
    Y: Array,
    copies: Array,
    economical: bool,
) -> tuple[Array, Array]:
    """The weights of the average that predicts held-out rows best, and those of its density.

    `told` are parts of these rows, kind by kind.
    """
    loss = plans[0].task.loss
    if loss.knows_variance:
        return _of_varying(plans, told, Y, copies, economical)
    outputs = np.array([np.concatenate([part.Z2 for part in parts]) for parts in told])
    weights = copies if loss.is_moderated else copies / _variances(told)
    a = _stacked(plans, outputs, Y, weights, economical)
    return a, a


def _of_varying(
    plans: Sequence[Plan], told: list[list[Told]], Y: Array, copies: Array, economical: bool
) -> tuple[Array, Array]:
    """The weights where raw outputs tell the variance of each row."""
    loss, a, found = plans[0].task.loss, np.zeros(len(plans)), []
    groups = by_noise(plans)
    assert isinstance(loss, LocatedLoss)
    for members in groups:
        of_group = [told[k] for k in members]
        outputs = np.array(
            [
                np.concatenate([loss.predictive_outputs(part.Z2, part.variance) for part in parts])
                for parts in of_group
            ]
        )
        of_plans, weights = [plans[k] for k in members], copies
        if of_plans[0].has_constant_noise:
            n = Y.shape[1]
            variances = np.exp(outputs[:, :, n:]).sum(axis=2)
            weights = copies / _relative(list(variances))
            of_plans, outputs = [of_squared_error(p) for p in of_plans], outputs[:, :, :n]
        a[members] = _stacked(of_plans, outputs, Y, weights, economical)
        found.append(_located(loss, of_group, a[members]))
    if len(groups) == 1:
        return a, a
    locations, scales = (np.array(each) for each in zip(*found, strict=True))
    in_density = shares(Y, locations, scales, copies)
    in_mean = in_density
    if in_density.all():
        in_mean = stack(LOSSES["squared_error"], locations, Y, copies, PRIOR_OF_MEANS)
    is_varying = np.array([not plan.has_constant_noise for plan in plans]).astype(int)
    return a * in_mean[is_varying], a * in_density[is_varying]


PRIOR_OF_MEANS = np.array([10.0, 1.0])
"""Rows that speak for the mean under constant noise, and for that under varying noise."""

CLEAN = 0.5
"""Of the loss of the first kind, a network that began without noise must have no more."""


def _stacked(
    plans: Sequence[Plan], outputs: Array, Y: Array, weights: Array, economical: bool
) -> Array:
    """The weights, of a network that begins without noise only where that is plainly right."""
    loss = plans[0].task.loss
    losses = mean_losses(loss, outputs, Y, weights)
    errors = np.array([loss.ratio_scale(each) for each in losses])
    admitted = [not plan.is_clean for plan in plans] | (errors < CLEAN * errors[0])
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


def _variances(told: list[list[Told]]) -> Array:
    """How uncertain each row is, whichever kind is asked, relative to the others.

    A row that no kind claims to know, far from all others, is not to decide between them.
    """
    return _relative([np.concatenate([part.total_variance for part in parts]) for parts in told])


def _relative(each: list[Array]) -> Array:
    variances = np.exp(np.mean(np.log(np.maximum(each, TINY)), axis=0))
    return variances / variances.mean()


TINY = 1e-12


def moderation_of(
    task: Task, told: list[list[Told]], a: Array, Y: Array, weights: Array
) -> Moderation:
    """The moderation under which rows are likeliest, given their average."""
    choices = CHOICES if task.monotonic is None else CONSTANT
    parts, start = [], 0
    for of_fold in zip(*told, strict=True):
        n = len(of_fold[0].covariance)
        first = combine(((part.Z2[:n], part.covariance) for part in of_fold), a)
        rows = slice(start, start + n)
        parts.append((*first, Y[rows], weights[rows]))
        start += len(of_fold[0].Z2)
    return choose_moderation(task.loss, parts, choices)


def residuals_of(
    plans: Sequence[Plan],
    told: list[list[Told]],
    a: Array,
    densities: Array,
    Y: Array,
    weights: Array,
) -> Residuals | None:
    """Those of the average, in units of its own scale; of what is no quantity there are none."""
    loss = plans[0].task.loss
    if not isinstance(loss, LocatedLoss):
        return None
    constant = None
    if plans[0].no_posterior:
        noises = [
            a @ np.array([part.noise for part in of_fold]) for of_fold in zip(*told, strict=True)
        ]
        constant = np.mean(noises, axis=0)
    groups = by_noise(plans) if constant is None else [np.arange(len(plans))]
    groups = [members for members in groups if densities[members].any()]
    found = [_located(loss, [told[k] for k in m], within(densities, m), constant) for m in groups]
    location, scale = pooled(found, *([b[m].sum() for m in groups] for b in (densities, a)))
    return tabulate((Y - location) / scale, weights, True, constant)


def _located(
    loss: LocatedLoss, told: list[list[Told]], a: Array, constant: Array | None = None
) -> tuple[Array, Array]:
    """Location and scale of the average of some kinds, in each held-out row.

    With a `constant` noise scales are those of a function of no variance.
    """
    found = []
    for of_fold in zip(*told, strict=True):
        Z2, variance = combine_variances(((part.Z2, part.variance) for part in of_fold), a)
        noise = a @ np.array([part.noise for part in of_fold])
        scattered = (variance, noise) if constant is None else (0 * variance, constant)
        found.append(loss.location_scale(Z2, *scattered))
    location, scale = (np.concatenate(each) for each in zip(*found, strict=True))
    return location, scale
