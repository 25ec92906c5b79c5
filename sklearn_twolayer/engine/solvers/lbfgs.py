"""Limited-memory BFGS on all rows, L-BFGS (Nocedal and Wright 2006, section 7.2).

Where F has absolute values of weights in it, steps are taken orthant by orthant, as in OWL-QN
(Andrew and Gao 2007).
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import RandomState

from ..numerics import AXPY, Array
from ..settings import Settings
from .monitor import Monitor
from .objective import Objective
from .solution import Solution, State, Status

MEMORY = 10
"""Steps remembered."""

ARMIJO, WOLFE = 1e-3, 0.9
"""Constants of the Armijo and Wolfe conditions on a step, c1 and c2.

F must have fallen by so much of what the slope predicted, and the slope to so much of itself.
"""

MOST_TRIALS = 20
"""Lengths of a step tried before it is given up."""


def solve(
    objective: Objective,
    theta: Array,
    settings: Settings,
    monitor: Monitor,
    random_state: RandomState,
    state: State | None = None,
) -> Solution:
    """Minimise F from `theta`.

    Converged when the largest gradient component is at most ``tol``, when the loss has stalled or
    falls by rounding only, or when no length of step lowers it, not even along the gradient; and F,
    if it follows the weights, changes no more.
    """
    kind = _Minimizer if objective.is_smooth else _Orthantwise
    minimizer = kind(objective, theta, settings, monitor)
    monitor.start(theta)
    status = minimizer.status()
    while status is None:
        status = minimizer.iterate()
    if not monitor.loss_curve[monitor.begin_iter :] and math.isfinite(minimizer.here.value):
        monitor.record(minimizer.here.value, theta)
    monitor.finish()
    n_iter = len(monitor.loss_curve)
    return Solution(monitor.best_theta, monitor.best_value, n_iter, status)


Pair = tuple[Array, Array, float]
"""A step s, the change y of the gradient over it, and s'y."""


def direction(gradient: Array, pairs: Sequence[Pair]) -> Array:
    """-H gradient, H being the inverse curvature that the pairs tell of (algorithm 7.4).

    Without any, H is the identity; the last pair sets its scale, s'y / y'y.
    """
    axpy, p, alphas = AXPY["d"], -gradient, []
    # first loop: from the newest pair to the oldest, what each has to say is taken out of p
    for s, y, curvature in reversed(pairs):
        alphas.append(s @ p / curvature)
        axpy(y, p, a=-alphas[-1])
    if pairs:
        # the initial inverse curvature: that of the newest step along itself (7.20)
        _, y, curvature = pairs[-1]
        p *= curvature / (y @ y)
    # second loop: from the oldest to the newest it is put back, scaled by the curvature along it
    for (s, y, curvature), alpha in zip(pairs, reversed(alphas), strict=True):
        axpy(s, p, a=alpha - y @ p / curvature)
    return p


@dataclass
class _Point:
    """F at x, and the gradient of its smooth part; F falls fastest against `steepest`."""

    x: Array
    value: float
    gradient: Array
    steepest: Array


class _Minimizer:
    """Iterates in float64, whatever F computes in."""

    def __init__(self, objective: Objective, theta: Array, settings: Settings, monitor: Monitor):
        self.objective, self.dtype = objective, theta.dtype
        self.settings, self.monitor = settings, monitor
        self.pairs: deque[Pair] = deque(maxlen=MEMORY)
        self.n_fun = self.n_iter = 0
        self.fell = math.inf
        self.here = self.at(theta.astype(np.float64))

    def at(self, x: Array) -> _Point:
        """F and its gradient."""
        self.n_fun += 1
        value, gradient = self.objective(x.astype(self.dtype, copy=False))
        gradient = gradient.astype(np.float64, copy=False)
        return _Point(x, value, gradient, gradient)

    def iterate(self) -> Status | None:
        """One step; why the iterations ended, if it did."""
        there = self._step(direction(self.here.steepest, self.pairs))
        if there is None and self.pairs:
            # at a kink, what is remembered of the slopes misleads
            self.pairs.clear()
            there = self._step(-self.here.steepest)
        if there is None:
            return Status.MAX_FUN if self.spent else self._at_rest()
        self._remember(there)
        # relative to the loss, but to one where it is small: a loss of zero cannot fall by a part
        self.fell = (self.here.value - there.value) / max(abs(self.here.value), 1.0)
        self.here = there
        self.n_iter += 1
        self.monitor.record(there.value, there.x.astype(self.dtype, copy=False))
        return self.status()

    def status(self) -> Status | None:
        """Why the iterations ended, or None where it goes on."""
        if not math.isfinite(self.here.value):
            return Status.DIVERGED
        if self.monitor.stopped:
            return Status.STOPPED
        if self.monitor.stalled and self.is_judged:
            return Status.CONVERGED  # whatever F has become, rows that were held out do not gain
        flat = np.abs(self.here.steepest).max() <= self.settings.tol
        if flat or self.fell <= np.finfo(self.dtype).eps or self.monitor.stalled:
            return self._at_rest()
        if self.n_iter >= self.settings.max_iter:
            return Status.MAX_ITER
        self._adapt(1)
        return None

    def _at_rest(self) -> Status | None:
        """Converged, but for another F that asks for further steps."""
        if not self._adapt(math.inf):
            return Status.CONVERGED
        return Status.MAX_ITER if self.n_iter >= self.settings.max_iter else None

    def _adapt(self, n_steps: float) -> bool:
        """Whether F has changed, after so many steps: what is remembered is of another one then."""
        x = self.here.x
        if not self.objective.adapt(x.astype(self.dtype, copy=False), n_steps):
            return False
        self.pairs.clear()
        self.here = self.at(x)
        if not self.is_judged:
            self.monitor.reset_patience()
        return True

    @property
    def is_judged(self) -> bool:
        """Whether a score says when to stop."""
        return self.monitor.score is not None and self.monitor.stops_by_score

    @property
    def spent(self) -> bool:
        """Whether F has been asked as often as it may."""
        return self.n_fun >= self.settings.max_fun

    def _remember(self, there: _Point) -> None:
        s, y = there.x - self.here.x, there.gradient - self.here.gradient
        curvature = float(s @ y)
        # F that bends the other way would turn the direction uphill
        if curvature > np.finfo(np.float64).eps * (y @ y):
            self.pairs.append((s, y, curvature))

    def _step(self, p: Array) -> _Point | None:
        """The next point in a direction, found by halving and doubling, or None.

        Lewis and Overton 2013: needs no smoothness. In doubt the longest step that lowers F enough.
        """
        here, found = self.here, None
        slope = float(here.gradient @ p)
        # nothing is known of the right length of a first step: it moves theta by one at most
        length = 1.0 if self.pairs else 1 / max(1.0, float(np.linalg.norm(p)))
        low, high = 0.0, math.inf
        for _ in range(MOST_TRIALS):
            if not slope < 0 or self.spent:
                break
            there = self.at(here.x + length * p)
            if not there.value <= here.value + ARMIJO * length * slope:
                high = length
            elif there.gradient @ p < WOLFE * slope:
                low, found = length, there
            else:
                return there
            length = 2 * low if math.isinf(high) else (low + high) / 2
        return found


class _Orthantwise(_Minimizer):
    """F with absolute values: within an orthant it is smooth, and no step leaves its own."""

    def at(self, x: Array) -> _Point:
        """F, the gradient of its smooth part, and the pseudo-gradient of all of it."""
        point = super().at(x)
        point.steepest = self.objective.pseudo_gradient(x, point.gradient)
        return point

    def _step(self, p: Array) -> _Point | None:
        """The next point, found by halving, with zeros where the border of the orthant is met."""
        here, bent = self.here, self.objective.has_kink
        # curvature may turn a single weight uphill; at zero that would be into another orthant
        p = np.where(bent & (p * here.steepest >= 0), 0.0, p)
        orthant = np.sign(np.where(here.x == 0, -here.steepest, here.x))
        slope = float(here.steepest @ p)
        length = 1.0 if self.pairs else 1 / max(1.0, float(np.linalg.norm(p)))
        for _ in range(MOST_TRIALS):
            if not slope < 0 or self.spent:
                break
            x = here.x + length * p
            x[bent & (x * orthant <= 0)] = 0.0
            there = self.at(x)
            if there.value <= here.value + ARMIJO * float(here.steepest @ (x - here.x)):
                return there
            length /= 2
        return None
