"""Ambiguity: an average of more networks than rows were held out from is nearer to its targets.

The mean squared error of an average is that of its members, on average, less their variance around
it, their ambiguity (Krogh, Vedelsby 1995). Rows are held out from fewer networks of a kind than
are averaged in the end: of the residuals that they tell, the ambiguity that is new takes a part
away, while the variance of the predictive has it added.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from .bayes.ensemble import combine_variances, outputs_of
from .bayes.predictive import blocks
from .bayes.residuals import Residuals
from .model.loss import LocatedLoss
from .numerics import Array
from .plan import Plan
from .preparation import Training
from .solvers.solution import Posterior

MOST_ROWS = 500
"""Training rows that are asked how far networks lie apart."""

TINY = 1e-300


def narrowed(
    residuals: Residuals,
    plans: Sequence[Plan],
    trainings: Sequence[Training],
    posteriors: Sequence[Posterior],
    a: Array,
) -> Residuals:
    """The residuals of the average of these members, by those of rows held out.

    The squared error s^2 was what the squared scale was without the new ambiguity x s^2, which is
    to be found in the scale now. It is 1 - x times that; of n networks it is at least an n-th.
    """
    loss = plans[0].task.loss
    new = [_part_that_is_new(plans, plan, a) for plan in plans]
    if not (isinstance(loss, LocatedLoss) and any(new)):
        return residuals
    found, copies = [], []
    for locations, scale, weights in _told(plans, trainings, posteriors, a, loss, residuals.noise):
        ambiguity = np.zeros_like(scale)
        for plan, weight, part, location in zip(plans, a, new, locations, strict=True):
            of_kind = a * [each is plan for each in plans]
            centre = np.tensordot(of_kind / of_kind.sum(), locations, 1)
            ambiguity += weight * part * np.square(location - centre)
        squared = np.maximum(np.square(residuals.deviation * scale), TINY)
        found.append(np.minimum(ambiguity / squared, 0.5))
        copies.append(weights)
    x = np.average(np.concatenate(found), axis=0, weights=np.concatenate(copies))
    x = x / (1 - x) if residuals.with_variance else x
    error = np.maximum(1 - x, min(plan.n_judged / plan.settings.n_members for plan in plans))
    return residuals.times(np.sqrt(error / (1 + x) if residuals.with_variance else error))


def _part_that_is_new(plans: Sequence[Plan], plan: Plan, a: Array) -> float:
    """Of the ambiguity of a kind, what those networks that rows were held out from did not have.

    Of networks that vary by s around their mean, with shares p, it is s (1 - sum p^2).
    """
    p = a[[each is plan for each in plans]]
    whole = 1 - np.square(p / p.sum()).sum()
    judged = 1 - 1 / plan.n_judged
    return float(1 - judged / whole) if whole > judged else 0.0


def _told(
    plans: Sequence[Plan],
    trainings: Sequence[Training],
    posteriors: Sequence[Posterior],
    a: Array,
    loss: LocatedLoss,
    constant: Array | None,
) -> Iterator[tuple[Array, Array, Array]]:
    """Locations (n_members, n_rows, n_targets), scale by all, and weights; of blocks of rows.

    The scale is that of a `constant` noise, if one is given.
    """
    noise, n_rows = a @ np.array([p.noise for p in posteriors]), trainings[0].rows.n_rows
    index = np.linspace(0, n_rows - 1, min(MOST_ROWS, n_rows)).astype(np.intp)
    outputs = [
        outputs_of(plan.network(), p.theta, p.covariance)
        for plan, p in zip(plans, posteriors, strict=True)
    ]
    widest = max((plan.shape for plan in plans), key=lambda shape: shape.size)
    for block in blocks(widest, len(index)):
        each = []
        for training, of_member in zip(trainings, outputs, strict=True):
            Z2, covariance = of_member.of_rows(training.rows.take(index[block])[0])
            each.append((Z2, np.einsum("ikk->ik", covariance)))
        locations = [loss.location_scale(Z2, variance, noise)[0] for Z2, variance in each]
        Z2, variance = combine_variances(each, a)
        scattered = (variance, noise) if constant is None else (0 * variance, constant)
        scale = loss.location_scale(Z2, *scattered)[1]
        yield np.array(locations), scale, trainings[0].rows.part(index[block]).targets()[1]
