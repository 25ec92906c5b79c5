"""Stochastic gradient descent on mini-batches; the update rule comes from ``OPTIMIZERS``.

Where theta has bounds each step ends with its projection on them, from a start within them.
"""

import math

import numpy as np
from numpy.random import RandomState

from ..numerics import Array
from ..settings import Settings
from . import catching_up, lazy
from .monitor import Monitor
from .objective import Objective
from .optimizers import OPTIMIZERS, Optimizer
from .schedules import SCHEDULES, Schedule
from .solution import Solution, State, Status

SMALLEST_RATE = 1e-6
"""Below this an adaptive learning rate is not divided further."""

ROWS_TO_COMPARE = 4_000
"""Rows that tell well enough which of two sets of weights is better."""


def solve(
    objective: Objective,
    theta: Array,
    settings: Settings,
    monitor: Monitor,
    random_state: RandomState,
    state: State | None = None,
) -> Solution:
    """Train epoch by epoch from `theta`; `state`, from an earlier solution, is carried on."""
    optimizer, schedule = OPTIMIZERS[settings.solver], SCHEDULES[settings.learning_rate]
    before, theta = theta, theta.copy()
    start = optimizer.start(theta) | lazy.start(objective)
    state = state or {"epoch": 0, "n_seen": 0, "division": 1.0, **start}
    monitor.start(before, changes=False)
    status = None
    n_batches = math.ceil(objective.rows.n_rows / batch_size(settings, objective.rows.n_rows))
    for number in range(settings.max_iter):
        rate = _Rate(schedule, settings, state)
        # the running loss describes where the epoch began better than where it ended; where the
        # first one did is known, and the vector may be long
        if number == 1:
            before = np.empty_like(theta)
        if number > 0:
            np.copyto(before, theta)
        loss = _epoch(objective, theta, rate, settings, optimizer, random_state, state)
        if _has_diverged(loss, theta):
            status = Status.DIVERGED
            state |= optimizer.start(theta)  # what the rule remembers is of no use any more
            break
        monitor.record(loss, theta, measured_on=before)
        objective.adapt(theta, n_batches)
        status = _reason_to_stop(monitor, schedule, rate.of_epoch, state)
        if status is not None:
            break
    if status is not Status.DIVERGED:
        _compare_last_with_best(objective, theta, settings, monitor)
    monitor.finish()
    # a schedule that ends where it is meant to end has not been cut short
    status = status or (Status.CONVERGED if schedule.by_step else Status.MAX_ITER)
    n_iter = len(monitor.loss_curve)
    return Solution(monitor.best_theta, monitor.best_value, n_iter, status, state)


class _Rate:
    """The learning rate in one epoch."""

    def __init__(self, schedule: Schedule, settings: Settings, state: State):
        self.schedule, self.settings, self.state = schedule, settings, state
        self.epoch, self.n_seen = state["epoch"], state["n_seen"]
        self.of_epoch = self._after(0.0)

    def __call__(self, fraction: float) -> float:
        """After that fraction of the epoch."""
        return self._after(fraction) if self.schedule.by_step else self.of_epoch

    def _after(self, fraction: float) -> float:
        factor = self.schedule.factor(self.epoch + fraction, self.n_seen, self.settings)
        return self.settings.learning_rate_init * factor / self.state["division"]


def _has_diverged(loss: float, theta: Array) -> bool:
    """Whether the loss is not finite, or the squares of weights soon will not be."""
    largest = float(np.finfo(theta.dtype).max) ** 0.5
    return not math.isfinite(loss) or not np.abs(theta).max() < largest


def _reason_to_stop(
    monitor: Monitor, schedule: Schedule, rate: float, state: State
) -> Status | None:
    """Why the epoch was the last, or None; an adaptive rate is divided before that."""
    if monitor.stopped:
        return Status.STOPPED
    if not monitor.stalled or (schedule.by_step and not monitor.stops_by_score):
        return None
    if schedule.divide_when_stalled is None or rate <= SMALLEST_RATE:
        return Status.CONVERGED
    state["division"] *= schedule.divide_when_stalled
    monitor.reset_patience()
    return None


def _compare_last_with_best(
    objective: Objective, theta: Array, settings: Settings, monitor: Monitor
) -> None:
    """Keep the last weights if they are better than the best so far: the whole rule is here.

    A score rates the weights an epoch ends with, and then there is nothing to do. The running loss
    of an epoch describes the weights it *began* with, so the last ones have no loss yet:

    - if the last epoch had the lowest running loss, its end is taken, which is better still. Not
      where an epoch is one batch, whose loss is exactly that of its beginning and says nothing of
      the end; nor where restarts are compared, which need values on all rows;
    - else both are evaluated on the same rows, as a running loss flatters: on all rows where
      restarts are compared, else on as many as it takes to tell.
    """
    if monitor.score is not None or not monitor.keep_best:
        return
    n_rows, restarts = objective.rows.n_rows, settings.n_init > 1
    several_batches = batch_size(settings, n_rows) < n_rows
    fell = len(monitor.loss_curve) > 1 and monitor.best_value == monitor.loss_curve[-1]
    if fell and several_batches and not restarts:
        monitor.keep(monitor.best_value, theta, len(monitor.loss_curve))
        return
    most_rows = n_rows if restarts else ROWS_TO_COMPARE
    monitor.best_value = objective.value(monitor.best_theta, most_rows)
    monitor.consider(objective.value(theta, most_rows), theta, len(monitor.loss_curve))


def _epoch(
    objective: Objective,
    theta: Array,
    rate: _Rate,
    settings: Settings,
    optimizer: Optimizer,
    random_state: RandomState,
    state: State,
) -> float:
    """One pass over the rows, theta changed in place; returns the running value of F."""
    rows, n_rows = objective.rows, objective.rows.n_rows
    # like the first batch's loss, the penalty is that of the weights the epoch begins with
    total, penalty, n_done = 0.0, objective.mean_penalty(theta), 0
    # what absent levels owe is known of a smooth penalty only
    lazily = objective.has_wide_categories and objective.is_smooth
    lazily = lazily or (optimizer.forgets(settings) and objective.leaves_absent_columns)
    of_batches = batch_size(settings, n_rows)
    late = catching_up.begin(objective, theta, of_batches, settings, optimizer, state)
    for batch, size in rows.batches(of_batches, settings.shuffle, random_state):
        of_step = rate((n_done + size / 2) / n_rows)
        n_done += size
        if late is not None:
            loss = late.step(batch, of_step)
        elif lazily:
            loss = lazy.step(objective, theta, batch, of_step, settings, optimizer, state)
        else:
            loss, gradient = objective.batch(theta, batch)
            if math.isfinite(loss):
                optimizer.update(theta, gradient, of_step, state, settings)
                if not objective.is_smooth:
                    objective.proximal(theta, optimizer.length(state, of_step, settings))
        if not math.isfinite(loss):
            return math.nan
        if objective.bounds is not None:
            objective.bounds.project(theta)
        total += loss * size
    if late is not None:
        late.finish()
    state["epoch"] += 1
    state["n_seen"] += n_rows
    return total / n_rows + penalty


def batch_size(settings: Settings, n_rows: int) -> int:
    """``"auto"`` is scikit-learn's 200; never more than there are rows."""
    return min(200 if settings.batch_size == "auto" else int(settings.batch_size), n_rows)
