"""Many small steps on mini-batches; the update rule comes from ``OPTIMIZERS``."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.random import RandomState

from ..data.sources import Index
from ..numerics import Array
from ..settings import Settings
from .monitor import Monitor
from .objective import Objective
from .optimizers import OPTIMIZERS, Optimizer, State
from .schedules import SCHEDULES
from .solution import Solution, Status

SMALLEST_RATE = 1e-6
"""Below this an adaptive learning rate is not divided further."""

ROWS_TO_JUDGE = 4_000
"""Rows that tell well enough which of two sets of weights is better."""


def solve(
    objective: Objective,
    theta: Array,
    settings: Settings,
    monitor: Monitor,
    random_state: RandomState,
    state: State | None = None,
) -> Solution:
    """Walk epoch by epoch from `theta`; `state`, from an earlier solution, is carried on."""
    optimizer = OPTIMIZERS[settings.solver]
    schedule = SCHEDULES[settings.learning_rate]
    theta = theta.copy()
    state = state or {"epoch": 0, "n_seen": 0, "division": 1.0, **optimizer.start(theta)}
    monitor.start(theta)
    before = theta.copy()
    status = Status.MAX_ITER
    largest = float(np.finfo(theta.dtype).max) ** 0.5
    for _ in range(settings.max_iter):
        factor = schedule.factor(state["epoch"], state["n_seen"], settings)
        rate = settings.learning_rate_init * factor / state["division"]
        np.copyto(before, theta)
        loss = _epoch(objective, theta, rate, settings, optimizer, random_state, state)
        if not math.isfinite(loss) or not np.abs(theta).max() < largest:
            status = Status.DIVERGED
            break
        # the running loss describes where the epoch began better than where it ended
        monitor.record(loss, theta, measured_on=before)
        if monitor.stopped:
            status = Status.STOPPED
            break
        if monitor.stalled:
            if schedule.divide_when_stalled is None or rate <= SMALLEST_RATE:
                status = Status.CONVERGED
                break
            state["division"] *= schedule.divide_when_stalled
            monitor.forgive()
    if status is Status.DIVERGED:
        state |= optimizer.start(theta)  # what the rule remembers is of no use any more
    elif monitor.score is None and monitor.keep_best:
        _judge_last(objective, theta, settings, monitor)
    monitor.finish()
    n_iter = len(monitor.loss_curve)
    return Solution(monitor.best_theta, theta, monitor.best_value, n_iter, status, state)


def _judge_last(objective: Objective, theta: Array, settings: Settings, monitor: Monitor) -> None:
    """No epoch began with the last weights, so no loss tells of them yet.

    A running loss flatters the weights it is compared by, so both sides are evaluated, on as many
    rows as it takes to tell; not where the last of several epochs was the best on its way: its
    end needs no further look.
    """
    several_batches = batch_size(settings, objective.rows.n_rows) < objective.rows.n_rows
    fell = len(monitor.loss_curve) > 1 and monitor.best_value == monitor.loss_curve[-1]
    if fell and several_batches and settings.n_init == 1:
        monitor.improved(theta)
        return
    # restarts are compared with one another, on all rows
    most = ROWS_TO_JUDGE if settings.n_init == 1 else objective.rows.n_rows
    monitor.best_value = objective.value(monitor.best_theta, most)
    monitor.consider(objective.value(theta, most), theta, len(monitor.loss_curve))


def _epoch(
    objective: Objective,
    theta: Array,
    rate: float,
    settings: Settings,
    optimizer: Optimizer,
    random_state: RandomState,
    state: State,
) -> float:
    """One pass over the rows, theta changed in place; returns the running value of F."""
    n_rows = objective.rows.n_rows
    # like the first batch's loss, the penalty is that of the weights the epoch begins with
    total, penalty = 0.0, objective.mean_penalty(theta)
    narrow = optimizer.forgets(settings) and objective.leaves_absent_columns
    for index, size in _batches(n_rows, settings, random_state):
        if narrow:
            loss = _step_on_stored_columns(objective, theta, index, rate, settings, optimizer)
        else:
            loss, gradient = objective.batch(theta, index)
            if math.isfinite(loss):
                optimizer.update(theta, gradient, rate, state, settings)
        if not math.isfinite(loss):
            return math.nan
        total += loss * size
    state["epoch"] += 1
    state["n_seen"] += n_rows
    return total / n_rows + penalty


def _step_on_stored_columns(
    objective: Objective,
    theta: Array,
    index: Index,
    rate: float,
    settings: Settings,
    optimizer: Optimizer,
) -> float:
    """The same step by a network that has only the columns stored in the batch.

    The weights of all others have no gradient; returns the loss.
    """
    columns, narrow = objective.narrowed(index)
    W1 = objective.network.shape.views(theta).W1
    rest = theta[W1.size :]
    small = np.concatenate([W1[columns].ravel(), rest])
    loss, gradient = narrow.batch(small, slice(None))
    optimizer.update(small, gradient, rate, optimizer.start(small), settings)
    W1[columns], rest[:] = small[: -len(rest)].reshape(-1, W1.shape[1]), small[-len(rest) :]
    return loss


def batch_size(settings: Settings, n_rows: int) -> int:
    """``"auto"`` is scikit-learn's 200; never more than there are rows."""
    return min(200 if settings.batch_size == "auto" else int(settings.batch_size), n_rows)


def _batches(
    n_rows: int, settings: Settings, random_state: RandomState
) -> Iterator[tuple[Index, int]]:
    """Index and size of each batch of one epoch; the last may be smaller."""
    size = batch_size(settings, n_rows)
    order = random_state.permutation(n_rows) if settings.shuffle and size < n_rows else None
    for start in range(0, n_rows, size):
        stop = min(start + size, n_rows)
        yield (slice(start, stop) if order is None else order[start:stop]), stop - start
