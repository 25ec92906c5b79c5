"""Left-out rows: how sure networks are where none were held out, by leave-one-out.

Each training row is taken out of the posterior by one Newton step (`leave_one_out`): exact where
the network is linear in its weights. It is right for exact posteriors; Kronecker factors do not
know single rows.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from .bayes.ensemble import combine, combine_variances, outputs_of
from .bayes.moderation import Moderation, choose_moderation, leave_one_out
from .bayes.pooling import pooled
from .bayes.predictive import blocks
from .bayes.residuals import Residuals, tabulate
from .borrowing import is_likelihood
from .constant_noise import by_noise, within
from .data.rows import Rows
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

MOST_RESIDUALS = 1000
"""Rows that tell well enough how residuals scatter."""

EXAGGERATION = 2.0
"""So many times as many parameters are determined by Kronecker factors as are in truth."""


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
    rows, n = [training.rows for training in trainings], rows_to_moderate(plans[0])
    told = _told(plans, rows, posteriors, n, [loss] * len(plans))
    return choose_moderation(loss, ((*combine(each, a), Y, weights) for each, Y, weights in told))


def are_exact(posteriors: Sequence[Posterior]) -> bool:
    """Whether all of them have the whole curvature."""
    return all(isinstance(p.covariance, np.ndarray) for p in posteriors)


def residuals_without(
    plans: Sequence[Plan], trainings: Sequence[Training], posteriors: Sequence[Posterior], a: Array
) -> Residuals | None:
    """Residuals, in units of the scale, of validation rows, or else of training rows left out."""
    loss, with_variance = plans[0].task.loss, not plans[0].no_posterior
    if not isinstance(loss, LocatedLoss):
        return None
    rows = [training.validation for training in trainings if training.validation is not None]
    losses: list[Loss | None] = [None] * len(plans)
    by_validation = bool(rows)
    if not by_validation:
        rows = [training.rows for training in trainings]
        losses = [_loss_of(plan, p) for plan, p in zip(plans, posteriors, strict=True)]
    noise, found = a @ np.array([p.noise for p in posteriors]), []
    groups = by_noise(plans) if with_variance else [np.arange(len(plans))]
    shares = [a[members].sum() for members in groups]
    for told, Y, weights in _told(plans, rows, posteriors, MOST_RESIDUALS, losses):
        each, located = [(Z2, np.einsum("ikk->ik", covariance)) for Z2, covariance in told], []
        for members in groups:
            Z2, variance = combine_variances([each[k] for k in members], within(a, members))
            located.append(loss.location_scale(Z2, variance * with_variance, noise))
        location, scale = pooled(located, shares, shares)
        found.append(((Y - location) / scale, weights))
    residuals, copies = (np.concatenate(each) for each in zip(*found, strict=True))
    if _know_their_rows(losses, posteriors) and not by_validation:
        residuals /= 1 - _leverage(residuals, copies, with_variance)
    return tabulate(residuals, copies, by_validation, None if with_variance else noise)


def _know_their_rows(losses: Sequence[Loss | None], posteriors: Sequence[Posterior]) -> bool:
    """Whether members, of a known variance, have been asked for rows that they have met."""
    known = zip(losses, posteriors, strict=True)
    return any(loss is None and p.covariance is not None for loss, p in known)


def _leverage(residuals: Array, weights: Array, with_variance: bool) -> Array:
    """What part of its own residual a row has taken away, on average, by Kronecker factors.

    With gamma parameters determined by n rows, g = gamma / n, the noise is found to be the mean
    square of the residuals by 1 - g, and the mean variance of the function g times that. In units
    of such a scale residuals have the mean square m = (1 - g) / (1 + g), or 1 - g without variance.
    By generalised cross-validation (Golub et al. 1979) those of rows left out are 1 / (1 - g) times
    as large, g being that of `EXAGGERATION` times less.
    """
    m = weights @ np.square(residuals) / weights.sum()
    g = (1 - m) / (1 + m) if with_variance else 1 - m
    return np.maximum(g, 0) / EXAGGERATION


def _told(
    plans: Sequence[Plan],
    rows: Sequence[Rows],
    posteriors: Sequence[Posterior],
    n: int,
    losses: Sequence[Loss | None],
) -> Iterator[tuple[Iterator[tuple[Array, Array]], Array, Array]]:
    """What each member says, (Z2, covariance), Y and weights; of blocks of n rows as it has them.

    From members whose loss is given, each row is left out.
    """
    index = np.linspace(0, rows[0].n_rows - 1, min(n, rows[0].n_rows)).astype(np.intp)
    each = [
        (outputs_of(plan.network(), p.theta, p.covariance), of_member, loss)
        for plan, p, of_member, loss in zip(plans, posteriors, rows, losses, strict=True)
    ]
    widest = max((plan.shape for plan in plans), key=lambda shape: shape.size)
    for block in blocks(widest, len(index)):
        part = index[block]
        Y, weights = rows[0].part(part).targets()
        told = (
            _without(loss, *outputs.of_rows(of_member.take(part)[0]), Y, weights)
            for outputs, of_member, loss in each
        )
        yield told, Y, weights


def _loss_of(plan: Plan, posterior: Posterior) -> Loss | None:
    """What tells how much each row has contributed; None where no single row is known."""
    loss = plan.task.loss
    if not are_exact([posterior]) or not is_likelihood(loss):
        return None
    return with_noise(loss, 1 / posterior.noise) if loss.has_noise else loss


def _without(
    loss: Loss | None, Z2: Array, covariance: Array, Y: Array, weights: Array
) -> tuple[Array, Array]:
    if loss is None:
        return Z2, covariance
    return leave_one_out(loss, Z2, covariance, Y, weights)
