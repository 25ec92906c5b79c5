"""Stacking: the weights of an average that predict held-out rows best (Yao et al. 2018).

    minimise  sum_i w_i loss(sum_m a_m Z2_m,i, Y_i)  - sum_m prior_m log a_m

over a >= 0, sum a = 1. The second term, the logarithm of a Dirichlet prior, counts in rows: where
few of them tell, the weights stay near those of the prior.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from ..model.losses import Loss
from ..numerics import Array

LEAST_WEIGHT = 0.05
"""A member of less weight does not pay for its prediction."""

PRICE = 0.02
"""Of time: twice as much has to lower the held-out loss by 1.4 per cent."""

TINY = 1e-300


def stack(loss: Loss, outputs: Array, Y: Array, weights: Array, prior: Array) -> Array:
    """Weights (n_members,) for held-out outputs (n_members, n_rows, n_outputs)."""
    if len(outputs) == 1:
        return np.ones(1)
    # a loss with a noise is counted in units of it: those of the best member's errors
    best = min(_loss(loss, Z2, Y, weights)[0] for Z2 in outputs)
    unit = max(loss.unit(best / (weights.sum() * outputs.shape[2])), 1e-12)

    def objective(log_ratios: Array) -> tuple[float, Array]:
        a = softmax(log_ratios)
        value, gradient = _loss(loss, np.tensordot(a, outputs, 1), Y, weights)
        value = value / unit - float(prior @ log_softmax(log_ratios))
        of_a = a * np.tensordot(outputs, gradient, 2) / unit
        # da_m / dx_n = a_m (1_mn - a_n), whatever the loss
        return value, of_a - a * of_a.sum() - prior + a * prior.sum()

    found = minimize(objective, np.log(prior / prior.sum()), jac=True, method="L-BFGS-B")
    return pruned(softmax(found.x))


def cheapest(
    loss: Loss, outputs: Array, Y: Array, weights: Array, prior: Array, costs: Array
) -> Array:
    """Weights of those members whose loss is smallest, more time counting as more loss.

    The subset of least  log(loss) + `PRICE` log(cost), by leaving one member out after the other.
    """

    def price(members: Array) -> tuple[float, Array]:
        a = np.zeros(len(outputs))
        a[members] = stack(loss, outputs[members], Y, weights, prior[members])
        lost = _loss(loss, np.tensordot(a, outputs, 1), Y, weights)[0]
        return float(np.log(max(lost, TINY)) + PRICE * np.log(costs[a > 0].sum())), a

    kept = np.arange(len(outputs))
    least, chosen = price(kept)
    while len(kept) > 1:
        found = [price(np.delete(kept, i)) for i in range(len(kept))]
        best = min(range(len(found)), key=lambda i: found[i][0])
        if found[best][0] >= least:
            break
        kept, (least, chosen) = np.delete(kept, best), found[best]
    return chosen


def mean_losses(loss: Loss, outputs: Array, Y: Array, weights: Array) -> Array:
    """The mean loss of each member."""
    return np.array([_loss(loss, Z2, Y, weights)[0] for Z2 in outputs]) / weights.sum()


def pruned(a: Array) -> Array:
    """Without members that hardly count."""
    a = np.where(a < LEAST_WEIGHT, 0.0, a)
    return np.asarray(a / a.sum())


def _loss(loss: Loss, Z2: Array, Y: Array, weights: Array) -> tuple[float, Array]:
    Z2 = np.asfortranarray(Z2)
    gradient = np.empty_like(Z2, order="F")
    losses = loss.loss_gradient(Z2, Y, gradient)
    return float(weights @ losses), gradient * weights[:, None]
