"""Probabilities of an output that is itself uncertain (MacKay 1992).

A logit of mean z and variance s^2 gives about sigmoid(z / sqrt(1 + pi s^2 / 8)). Of several
logits of one softmax each pair is moderated by the variance of its difference: with
z_kl = (z_k - z_l) / sqrt(1 + pi s_kl^2 / 8) the moderated logit is -log sum_l exp(-z_kl), which
for variances of zero is log softmax. A Laplace approximation exaggerates the variance where
classes are far apart; how much of it to believe, and how confident the logits themselves may be,
is chosen by the log-likelihood of each training row under the weights without that row.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.special import logsumexp

from .losses import Loss
from .numerics import Array

TEMPERATURES = tuple(2.0 ** (k / 4) for k in range(-4, 5))
SHARES = (0.0, 0.03, 0.1, 0.3, 1.0)
ALMOST_ALL = 0.999
"""Of a row's influence that is taken away: all of it may leave nothing to stand on."""


@dataclass(frozen=True)
class Moderation:
    """Logits are multiplied by `temperature`, and a `share` of their variance is believed."""

    temperature: float = 1.0
    share: float = 1.0

    def __call__(self, Z2: Array, covariance: Array, softmax: bool) -> Array:
        """Moderated logits (n_rows, n_outputs), given covariances of the logits of each row."""
        Z2 = self.temperature * Z2
        covariance = self.temperature**2 * self.share * covariance
        variance = np.einsum("ikk->ik", covariance)
        if not softmax:
            return Z2 / np.sqrt(1 + np.pi / 8 * variance)
        of_pair = variance[:, :, None] + variance[:, None, :] - 2 * covariance
        difference = Z2[:, :, None] - Z2[:, None, :]
        difference /= np.sqrt(1 + np.pi / 8 * np.maximum(of_pair, 0))
        return -logsumexp(-difference, axis=2)


def choose_moderation(
    loss: Loss, Z2: Array, covariance: Array, Y: Array, weights: Array
) -> Moderation:
    """The one under which rows are likeliest, given outputs that do not know them."""
    scratch = np.empty_like(Z2, order="F")

    def score(choice: tuple[float, float]) -> float:
        logits = Moderation(*choice)(Z2, covariance, loss.labels)
        return float(weights @ loss.loss_gradient(logits, Y, scratch))

    return Moderation(*min(product(TEMPERATURES, SHARES), key=score))


def leave_one_out(
    loss: Loss, Z2: Array, covariance: Array, Y: Array, weights: Array
) -> tuple[Array, Array]:
    """Logits and their covariances V without one copy of the row, one Newton step from the mode.

    V_i <- (I - V_i C_i)^-1 V_i and Z2_i <- Z2_i + V_i dloss_i/dZ2_i, C being the curvature; of a
    row that weighs less than one copy, all is taken away.
    """
    gradient = np.empty_like(Z2, order="F")
    loss.loss_gradient(Z2, Y, gradient)
    taken = np.minimum(weights, 1)
    gradient *= taken[:, None]
    C = taken[:, None, None] * loss.curvature(Z2, Y)
    kept = np.eye(Z2.shape[1]) - ALMOST_ALL * covariance @ C
    covariance = np.linalg.solve(kept, covariance)
    return Z2 + np.einsum("ikl,il->ik", covariance, gradient), covariance
