"""What happens after each iteration: remember, compare, report, and perhaps stop."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .numerics import Array


@dataclass(frozen=True)
class Progress:
    """One iteration, as a callback sees it. `theta` is live: copy it to keep it."""

    iteration: int
    loss: float
    score: float | None
    theta: Array


@dataclass
class Monitor:
    """The history of a fit, its best weights, and its patience.

    Weights are judged by ``-score(theta)`` where there is a score, else by the loss. The fit
    has stalled when `patience` iterations in a row have not brought what is judged below the
    last reference by more than `tol` of its magnitude. A callback stops the fit by
    returning True.
    """

    tol: float
    patience: int
    score: Callable[[Array], float] | None = None
    callback: Callable[[Progress], bool | None] | None = None
    loss_curve: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    def start(self, theta: Array) -> None:
        """Begin a walk at `theta`."""
        self.best_theta = theta.copy()
        self.best_value = math.inf
        self.best_iter = len(self.loss_curve)
        self.stopped = False
        self.forgive()

    def forgive(self) -> None:
        """Count patience afresh, from the next iteration on."""
        self._reference = math.inf
        self._waited = 0

    def record(self, loss: float, theta: Array, measured_on: Array | None = None) -> None:
        """End an iteration at `theta`; its loss was measured on other weights if given."""
        self.loss_curve.append(loss)
        if self.score is not None:
            self.scores.append(self.score(theta))
            value = -self.scores[-1]
            self.consider(value, theta, len(self.loss_curve))
        else:
            value = loss
            iteration = len(self.loss_curve)
            if measured_on is None:
                self.consider(value, theta, iteration)
            else:
                self.consider(value, measured_on, iteration - 1)
        self._wait(value)
        if self.callback is not None:
            score = self.scores[-1] if self.scores else None
            progress = Progress(len(self.loss_curve), loss, score, theta)
            self.stopped = bool(self.callback(progress))

    def consider(self, value: float, theta: Array, iteration: int) -> None:
        """Keep `theta` if it is the best so far."""
        if value < self.best_value:
            self.best_value = value
            self.best_iter = iteration
            np.copyto(self.best_theta, theta)

    @property
    def last_improvement(self) -> float:
        """How much the last iteration lowered the loss, relative to the loss before."""
        if len(self.loss_curve) < 2:
            return math.nan
        earlier, last = self.loss_curve[-2:]
        return (earlier - last) / abs(earlier)

    @property
    def stalled(self) -> bool:
        """Whether patience has run out."""
        return self._waited >= self.patience

    def _wait(self, value: float) -> None:
        if math.isinf(self._reference) or value < self._reference - self.tol * abs(self._reference):
            self._reference = value
            self._waited = 0
        else:
            self._waited += 1
