"""Learning-rate schedules: the rate as a function of the step.

To add one: write it, add one line to ``SCHEDULES``. A schedule gives the factor on
``learning_rate_init`` before epoch number `epoch` (0, 1, ...), `n_seen` rows after the
start. ``"adaptive"`` keeps the rate until the loss stalls; the solver then divides it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..settings import Settings


@dataclass(frozen=True)
class Schedule:
    """The factor on the initial rate, and what a stalled loss divides it by (None: stop).

    `by_step` schedules are asked before each mini-batch, the epoch being fractional, and have an
    end that they run to: a stalled loss does not stop them.
    """

    factor: Callable[[float, int, Settings], float]
    divide_when_stalled: float | None = None
    by_step: bool = False


def _constant(epoch: float, n_seen: int, settings: Settings) -> float:
    return 1.0


def _invscaling(epoch: float, n_seen: int, settings: Settings) -> float:
    """(1 + n_seen) ** -power_t, scikit-learn's inverse scaling."""
    return float((1 + n_seen) ** -settings.power_t)


def _exponential(epoch: float, n_seen: int, settings: Settings) -> float:
    """decay_rate ** (epoch / decay_epochs)."""
    return float(settings.decay_rate ** (epoch / settings.decay_epochs))


def _step(epoch: float, n_seen: int, settings: Settings) -> float:
    """decay_rate ** floor(epoch / decay_epochs)."""
    return float(settings.decay_rate ** (epoch // settings.decay_epochs))


def _cosine(epoch: float, n_seen: int, settings: Settings) -> float:
    """Half a cosine wave from 1 at the first epoch to 0 after ``max_iter`` epochs."""
    return float(0.5 * (1 + np.cos(np.pi * min(epoch / settings.max_iter, 1))))


WARM_UP = 0.1
"""Fraction of the steps in which the rate rises."""


def _one_cycle(epoch: float, n_seen: int, settings: Settings) -> float:
    """Up to 1 on a straight line, then half a cosine wave to 0 (Smith and Topin 2019)."""
    done = epoch % settings.max_iter / settings.max_iter  # a warm start begins a new one
    if done < WARM_UP:
        return done / WARM_UP
    return float(0.5 * (1 + np.cos(np.pi * (done - WARM_UP) / (1 - WARM_UP))))


SCHEDULES = {
    "constant": Schedule(_constant),
    "invscaling": Schedule(_invscaling),
    "adaptive": Schedule(_constant, divide_when_stalled=5.0),
    "exponential": Schedule(_exponential),
    "step": Schedule(_step),
    "cosine": Schedule(_cosine),
    "one_cycle": Schedule(_one_cycle, by_step=True),
}
