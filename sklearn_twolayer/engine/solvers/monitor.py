"""Monitoring and early stopping: what happens after each iteration.

The history is kept, the best weights are copied, progress is reported, and patience may run out.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..numerics import Array
from .progress import Progress


@dataclass
class Monitor:
    """The history of a fit, its best weights, and its patience.

    Weights are judged by ``score(theta)`` where there is a score, else by the loss; the best are
    kept, or the last ones (`keep_best`). The fit has stalled when `patience` iterations in a
    row have not brought the loss (or, with `stops_by_score`, the negated score) below its
    lowest value so far by more than `tol` of that, or of a thousandth of the first, if that is
    more: a loss that can vanish need not. A callback stops it by returning True.
    """

    tol: float
    patience: int
    score: Callable[[Array], float] | None = None
    stops_by_score: bool = True
    callback: Callable[[Progress], bool | None] | None = None
    keep_best: bool = True
    loss_curve: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    def start(self, theta: Array, changes: bool = True) -> None:
        """Begin a run at `theta`, which is copied unless it never `changes`."""
        self.began = time.perf_counter()
        self.begin_iter = len(self.loss_curve)
        # solvers change theta in place
        begin = theta.copy() if changes else theta
        self.best_theta = self._begin = begin
        self.begin = None if self.score is None else begin
        self.best_value = math.inf
        self.best_iter = self.begin_iter
        self.stopped = False
        self.reset_patience()

    def reset_patience(self) -> None:
        """Count afresh, from the next iteration on: an earlier lucky loss is forgotten, too."""
        self._lowest = math.inf
        self._waited = 0

    def record(self, loss: float, theta: Array, measured_on: Array | None = None) -> None:
        """End an iteration at `theta`; its loss was measured on other weights if given."""
        self.loss_curve.append(loss)
        iteration, score, value = len(self.loss_curve), None, loss
        if self.score is not None:
            score = self.score(theta)
            self.scores.append(score)
            value = -score
        if score is None and measured_on is not None and self.keep_best:
            self.consider(value, measured_on, iteration - 1)
        else:
            self.consider(value, theta, iteration)
        self._wait(-score if score is not None and self.stops_by_score else loss)
        if self.callback is not None:
            n_iter, seconds = iteration - self.begin_iter, time.perf_counter() - self.began
            progress = Progress(iteration, loss, score, theta, n_iter, seconds)
            self.stopped = bool(self.callback(progress))

    def consider(self, value: float, theta: Array, iteration: int) -> None:
        """Keep `theta` if it is the best so far, or if the last is what is wanted."""
        if value < self.best_value or not self.keep_best:
            self.keep(value, theta, iteration)

    def keep(self, value: float, theta: Array, iteration: int) -> None:
        """Keep a copy of `theta`, the weights after so many iterations."""
        self.best_value, self.best_iter = value, iteration
        if self.best_theta is self._begin:
            self.best_theta = theta if theta is self._begin else theta.copy()
        else:
            np.copyto(self.best_theta, theta)

    def finish(self) -> None:
        """End the run; the start is rated too, if the run has led away from it.

        Good weights that a run was given, by a warm start for instance, are not to be lost.
        """
        losses = self.loss_curve[self.begin_iter : self.best_iter]
        led_away = len(losses) < 2 or losses[-1] > losses[0]
        if self.score is not None and self.begin is not None and self.keep_best and led_away:
            self.consider(-self.score(self.begin), self.begin, self.begin_iter)

    @property
    def last_improvement(self) -> float | None:
        """How much the last iteration lowered the loss, relative to the loss before, if any."""
        if len(self.loss_curve) < 2 or self.loss_curve[-2] == 0:
            return None
        earlier, last = self.loss_curve[-2:]
        return (earlier - last) / abs(earlier)

    @property
    def stalled(self) -> bool:
        """Whether patience has run out."""
        return self._waited >= self.patience

    def _wait(self, value: float) -> None:
        # relative to the loss, as its unit is nobody's choice; but a loss that falls towards zero
        # would never count as improved enough, hence the thousandth of the first
        if math.isinf(self._lowest):
            self._first = self._lowest = value
            return
        size = max(abs(self._lowest), 1e-3 * abs(self._first))
        improved = value < self._lowest - self.tol * size
        self._waited = 0 if improved else self._waited + 1
        self._lowest = min(self._lowest, value)
