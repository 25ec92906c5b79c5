"""Few long steps on all rows: limited-memory BFGS, by SciPy (Nocedal and Wright 2006, ch. 7)."""

import math

import numpy as np
from numpy.random import RandomState
from scipy.optimize import OptimizeResult, minimize

from .callbacks import Monitor
from .numerics import Array
from .objective import Objective
from .optimizers import State
from .settings import Settings
from .solution import Solution, Status


def solve(
    objective: Objective,
    theta: Array,
    settings: Settings,
    monitor: Monitor,
    random_state: RandomState,
    state: State | None = None,
) -> Solution:
    """Minimise F from `theta`.

    Converged when the largest gradient component is at most ``tol``, or when the loss has
    stalled. A line search that fails at a kink is begun afresh as long as that helps.
    """
    walk = _Walk(objective, theta.dtype, settings, monitor)
    monitor.start(theta)
    x = theta.astype(np.float64)
    while True:
        value = walk.value
        result = walk.run(x)
        restart = result.status == _LINE_SEARCH_FAILED and walk.value < value
        if not restart or walk.n_iter >= settings.max_iter or walk.n_fun >= settings.max_fun:
            break
        x = walk.x
    status = walk.status(result)
    if walk.n_iter == 0 and math.isfinite(result.fun):
        monitor.record(float(result.fun), theta)
    monitor.finish()
    n_iter = len(monitor.loss_curve)
    last = walk.x.astype(theta.dtype) if walk.n_iter else theta
    return Solution(monitor.best_theta, last, monitor.best_value, n_iter, status)


_LINE_SEARCH_FAILED = 2
_OUT_OF_BUDGET = 1


class _Walk:
    """Counts what successive calls of SciPy's minimiser spend, and watches each iteration."""

    def __init__(self, objective: Objective, dtype: np.dtype, settings: Settings, monitor: Monitor):
        self.objective, self.dtype, self.settings, self.monitor = (
            objective,
            dtype,
            settings,
            monitor,
        )
        self.n_iter = self.n_fun = 0
        self.value = math.inf
        self.x = np.empty(0)

    def run(self, x: Array) -> OptimizeResult:
        """Minimise from `x` with what is left of the budget."""
        options = {
            "maxiter": self.settings.max_iter - self.n_iter,
            "maxfun": self.settings.max_fun - self.n_fun,
            "gtol": self.settings.tol,
            "ftol": np.finfo(self.dtype).eps,
            "maxcor": 10,
        }
        return minimize(
            self._evaluate,
            x,
            jac=True,
            method="L-BFGS-B",
            callback=self._iteration,
            options=options,
        )

    def _evaluate(self, x: Array) -> tuple[float, Array]:
        self.n_fun += 1
        value, gradient = self.objective(x.astype(self.dtype, copy=False))
        return value, gradient.astype(np.float64, copy=False)

    def _iteration(self, intermediate_result: OptimizeResult) -> None:
        if not math.isfinite(intermediate_result.fun):
            raise StopIteration
        self.n_iter += 1
        self.value, self.x = float(intermediate_result.fun), intermediate_result.x.copy()
        self.monitor.record(self.value, self.x.astype(self.dtype, copy=False))
        if self.monitor.stalled or self.monitor.stopped:
            raise StopIteration

    def status(self, result: OptimizeResult) -> Status:
        """What the last call's outcome means."""
        if not math.isfinite(result.fun):
            return Status.DIVERGED
        if self.monitor.stopped:
            return Status.STOPPED
        if result.status == _OUT_OF_BUDGET and not self.monitor.stalled:
            return Status.MAX_ITER if self.n_iter >= self.settings.max_iter else Status.MAX_FUN
        return Status.CONVERGED
