"""Left-out rows: how sure an average is where none were held out, by leave-one-out.

Each training row is taken out of the posterior by one Newton step (`leave_one_out`): exact where
the network is linear in its weights. It is right for exact posteriors; Kronecker factors do not
know single rows.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from .bayes.ensemble import combine, outputs_of
from .bayes.moderation import Moderation, choose_moderation, leave_one_out
from .bayes.predictive import blocks
from .bayes.residuals import Residuals, tabulate
from .borrowing import is_likelihood
from .held_out import rows_to_moderate
from .model.loss import LocatedLoss, Loss, with_noise
from .numerics import Array
from .plan import Plan
from .preparation import Training
from .solvers.solution import Posterior

USUAL_FRACTION = 0.1
"""Of the variance of logits by Kronecker factors, where no row was held out to tell.

A row left out by a Newton step does not tell either: the factors do not know single rows.
"""

ROWS_TO_SCATTER = 1000
"""Rows that tell the shape of residuals well enough."""


def moderation_without(
    plans: Sequence[Plan], trainings: Sequence[Training], posteriors: Sequence[Posterior], a: Array
) -> Moderation:
    """The moderation that suits training rows best, each being left out by one Newton step."""
    loss, is_monotonic = plans[0].task.loss, plans[0].task.monotonic is not None
    if is_monotonic or any(plan.alpha_by == "given" for plan in plans):
        # a variance that the caller's prior allows is not one that the data have left; and any
        # would make logits fall where they are to rise
        return Moderation(variance_fraction=0.0)
    if not are_exact(posteriors):
        return Moderation(variance_fraction=USUAL_FRACTION)
    n = rows_to_moderate(plans[0])
    return choose_moderation(loss, _left_out(plans, trainings, posteriors, a, n))


def are_exact(posteriors: Sequence[Posterior]) -> bool:
    """Whether all of them have the whole curvature."""
    return all(isinstance(p.covariance, np.ndarray) for p in posteriors)


def residuals_without(
    plans: Sequence[Plan], trainings: Sequence[Training], posteriors: Sequence[Posterior], a: Array
) -> Residuals | None:
    """Residuals of training rows, in units of the scale: left out where posteriors are exact.

    Else a part of each was learnt, and they tell the shape alone: their mean square is one.
    """
    loss, with_variance = plans[0].task.loss, not plans[0].no_posterior
    if not isinstance(loss, LocatedLoss):
        return None
    noise = a @ np.array([p.noise for p in posteriors])
    found = []
    for Z2, covariance, Y, weights in _left_out(plans, trainings, posteriors, a, ROWS_TO_SCATTER):
        variance = np.einsum("ikk->ik", covariance) * with_variance
        location, scale = loss.location_scale(Z2, variance, noise)
        found.append(((Y - location) / scale, weights))
    residuals, weights = (np.concatenate(each) for each in zip(*found, strict=True))
    if not are_exact(posteriors) and all(p.covariance is not None for p in posteriors):
        residuals /= np.sqrt(weights @ residuals**2 / weights.sum())
    return tabulate(residuals, weights, False, with_variance)


def _left_out(
    plans: Sequence[Plan],
    trainings: Sequence[Training],
    posteriors: Sequence[Posterior],
    a: Array,
    n: int,
) -> Iterator[tuple[Array, Array, Array, Array]]:
    """Blocks of (Z2, covariance, Y, weights) of n training rows that the average does not know.

    To what has no exact posterior, rows are known.
    """
    n_rows = trainings[0].rows.n_rows
    index = np.linspace(0, n_rows - 1, min(n, n_rows)).astype(np.intp)
    members = [
        (outputs_of(plan.network(), p.theta, p.covariance), training.rows, _loss_of(plan, p))
        for plan, training, p in zip(plans, trainings, posteriors, strict=True)
    ]
    widest = max((plan.shape for plan in plans), key=lambda shape: shape.size)
    for block in blocks(widest, len(index)):
        rows = index[block]
        Y, weights = trainings[0].rows.part(rows).targets()
        told = (
            _told(loss, *outputs.of_rows(of_member.take(rows)[0]), Y, weights)
            for outputs, of_member, loss in members
        )
        yield (*combine(told, a), Y, weights)


def _loss_of(plan: Plan, posterior: Posterior) -> Loss | None:
    """What a row has contributed to the curvature; None where no single row is known."""
    loss = plan.task.loss
    if not are_exact([posterior]) or not is_likelihood(loss):
        return None
    return with_noise(loss, 1 / posterior.noise) if loss.has_noise else loss


def _told(
    loss: Loss | None, Z2: Array, covariance: Array, Y: Array, weights: Array
) -> tuple[Array, Array]:
    if loss is None:
        return Z2, covariance
    return leave_one_out(loss, Z2, covariance, Y, weights)
