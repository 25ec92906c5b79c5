"""Moderated outputs: probabilities where the logit is itself uncertain (MacKay 1992).

A logit of mean z and variance s^2 gives about sigmoid(z / sqrt(1 + pi s^2 / 8)). Of several
logits of one softmax each pair is moderated by the variance of its difference: with
z_kl = (z_k - z_l) / sqrt(1 + pi s_kl^2 / 8) the moderated logit is -log sum_l exp(-z_kl), which
for variances of zero is log softmax. A Laplace approximation exaggerates the variance where
classes are far apart; how much of it to count, and how confident the logits themselves may be,
is chosen by the log-likelihood of each training row under the weights without that row.

Moderation makes probabilities less sure. It never changes which class is the most probable, so
labels follow from the logits alone: `with_labels_of` sees to it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from ..model.losses import Loss
from ..numerics import Array

TEMPERATURES = tuple(2.0 ** (k / 4) for k in range(-4, 5))
VARIANCE_FRACTIONS = (0.0, 0.03, 0.1, 0.3, 1.0)
ALMOST_ALL = 0.999
"""Of a row's influence that is taken away: all of it may leave nothing to stand on."""


@dataclass(frozen=True)
class Moderation:
    """Logits are multiplied by `temperature`, and their variance by `variance_fraction`."""

    temperature: float = 1.0
    variance_fraction: float = 1.0

    def __call__(self, Z2: Array, covariance: Array, softmax: bool) -> Array:
        """Moderated logits (n_rows, n_outputs), given covariances of the logits of each row."""
        moderated = _of_pairs if softmax else _of_single
        return moderated(
            self.temperature * Z2, self.temperature**2 * self.variance_fraction * covariance
        )


def _of_single(Z2: Array, covariance: Array) -> Array:
    return Z2 / np.sqrt(1 + np.pi / 8 * np.einsum("ikk->ik", covariance))


def _of_pairs(Z2: Array, covariance: Array) -> Array:
    """Rows are last in memory: the sums over classes run along many rows."""
    Z, factor = np.ascontiguousarray(Z2.T), np.ascontiguousarray(covariance.transpose(1, 2, 0))
    variance = np.einsum("kki->ki", factor)
    scale = variance[:, None] + variance
    scale -= factor
    scale -= factor
    np.maximum(scale, 0, out=scale)
    scale *= np.pi / 8
    scale += 1
    np.sqrt(scale, out=scale)
    difference = np.divide(Z[:, None] - Z, scale, out=scale)
    # the smallest is at most 0, that of a class and itself: no exponential exceeds one
    smallest = difference.min(axis=1)
    exponential = np.subtract(smallest[:, None], difference, out=difference)
    np.exp(exponential, out=exponential)
    return (smallest - np.log(exponential.sum(axis=1))).T


ULPS_AHEAD = 8
"""Of the logit on top: less might be lost between logits and probabilities."""


def with_labels_of(Z2: Array, logits: Array, softmax: bool) -> Array:
    """The logits, raised to the top, or above zero, where they are there in Z2.

    Of two classes that are level one must be ahead, in probabilities too, and the same one.
    """
    ahead = ULPS_AHEAD * np.finfo(logits.dtype).eps
    if not softmax:
        return np.where(Z2 > 0, np.maximum(logits, ahead), logits)
    if logits.shape[1] == 1:
        return logits
    top = Z2.argmax(axis=1)[:, None]
    raised, others = np.take_along_axis(logits, top, axis=1), logits.copy()
    np.put_along_axis(others, top, -np.inf, axis=1)
    rival = others.max(axis=1, keepdims=True)
    # all others may be minus infinity in single precision: then none is a rival
    with np.errstate(invalid="ignore"):
        rival += ahead * np.maximum(np.abs(rival), 1)
    np.put_along_axis(others, top, np.fmax(raised, rival), axis=1)
    return others


CHOICES = tuple(product(TEMPERATURES, VARIANCE_FRACTIONS))

CONSTANT = tuple((2.0 ** (k / 4), 0.0) for k in range(-8, 5))
"""Those by which all rows are moderated alike, and more than where variances count: larger logits
stay larger.
"""


def choose_moderation(
    loss: Loss,
    blocks: Iterable[tuple[Array, Array, Array, Array]],
    choices: Sequence[tuple[float, float]] = CHOICES,
) -> Moderation:
    """The one under which rows are likeliest, given outputs that do not know them.

    Rows come in blocks of (Z2, covariance, Y, weights), and may be forgotten afterwards.
    """
    losses = sum(_losses_of_choices(loss, choices, *block) for block in blocks)
    return Moderation(*choices[int(np.argmin(losses))])


def _losses_of_choices(
    loss: Loss,
    choices: Sequence[tuple[float, float]],
    Z2: Array,
    covariance: Array,
    Y: Array,
    weights: Array,
) -> Array:
    scratch = np.empty_like(Z2, order="F")
    # rows last in memory, once for all choices
    covariance = np.ascontiguousarray(covariance.transpose(1, 2, 0)).transpose(2, 0, 1)

    def lost(choice: tuple[float, float]) -> float:
        logits = Moderation(*choice)(Z2, covariance, loss.labels)
        return float(weights @ loss.loss_gradient(logits, Y, scratch))

    return np.array([lost(choice) for choice in choices])


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
