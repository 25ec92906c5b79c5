"""Few, dear and very long steps on all rows: Levenberg-Marquardt (Levenberg 1944, Marquardt 1963).

A sum of losses under a Gaussian prior, sum_i w_i loss_i + 1/2 sum_j precision_j theta_j^2, is taken
for the parabola that its curvature H makes of it, and the step goes to the bottom of

    (H + diag(precision) + damping I) step = -gradient

The damping falls after a step that was worth it and rises after one that was not, by the ratio of
what was gained to what the parabola promised (Nielsen 1999; Madsen, Nielsen and Tingleff 2004).
"""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.random import RandomState
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from ..data.rows import ArrayRows
from ..model.gauss_newton import Linearization, curvature, linearize
from ..model.network import Network
from ..model.parameters import Shape
from ..numerics import Array
from ..settings import Settings
from .monitor import Monitor
from .objective import Objective
from .optimizers import State
from .solution import Solution, Status

LARGEST = 3000
"""Unknowns of the largest system to solve: a second for a step and 0.3 GB of memory."""

FIRST_DAMPING, LEAST_DAMPING = 1e-4, 1e-12
"""Relative to the sum of weights, which is the curvature of a squared error in its bias."""


def solve(
    objective: Objective,
    theta: Array,
    settings: Settings,
    monitor: Monitor,
    random_state: RandomState,
    state: State | None = None,
) -> Solution:
    """Minimise F from `theta`.

    Converged when the largest gradient component is at most ``tol``, when the loss has stalled,
    or when no step lowers it by more than rounding.
    """
    target = Penalized(objective.network, objective.rows, _precision(objective))
    monitor.start(theta)
    last, status = theta, Status.DIVERGED
    if math.isfinite(target.value(theta.astype(np.float64))):
        last, status = _descend(target, theta, settings, monitor)
    monitor.finish()
    if theta.dtype != np.float64 and not math.isfinite(objective.value(monitor.best_theta)):
        # what the walk saw in double precision is beyond that of the weights
        monitor.best_theta[:], status = theta, Status.DIVERGED
    return Solution(monitor.best_theta, last, monitor.best_value, len(monitor.loss_curve), status)


def _descend(
    target: "Penalized", theta: Array, settings: Settings, monitor: Monitor
) -> tuple[Array, Status]:
    """Where the walk from theta ends, and why."""
    total = target.rows.sum_weights
    walk = Walk(target, theta.astype(np.float64))
    for n_iter in range(settings.max_iter):
        flat = np.abs(walk.parabola.gradient).max() <= settings.tol * total
        if flat or not walk.advance():
            if n_iter == 0:
                monitor.record(walk.parabola.value / total, theta)
            return walk.theta.astype(theta.dtype), Status.CONVERGED
        last = walk.theta.astype(theta.dtype)
        monitor.record(walk.parabola.value / total, last)
        if monitor.stopped or monitor.stalled:
            return last, Status.STOPPED if monitor.stopped else Status.CONVERGED
    return walk.theta.astype(theta.dtype), Status.MAX_ITER


def _precision(objective: Objective) -> Array:
    """The penalty of F, times the weight of the rows at hand."""
    shape, share = objective.network.shape, objective.rows.sum_weights / objective.total_weight
    if objective.precision is not None:
        return objective.precision * share
    precision = np.zeros(shape.size)
    for stretch in shape.penalized(precision):
        stretch += objective.alpha * share
    return precision


def check_size(shape: Shape, n_rows: int) -> None:
    """ValueError for a network whose steps would take too long, or too much memory."""
    size = min(shape.size, n_rows * shape.n_outputs)
    if size > LARGEST:
        raise ValueError(
            f"solver='lm' solves for at most {LARGEST} parameters, or rows times outputs, got "
            f"{size} with hidden_size={shape.n_hidden}: take fewer hidden units, or solver='lbfgs' "
            "or 'adam'"
        )


class Penalized:
    """S(theta) = sum_i w_i loss_i + 1/2 sum_j precision_j theta_j^2, over given rows."""

    def __init__(
        self, network: Network, rows: ArrayRows, precision: Array, always_primal: bool = False
    ):
        check_size(network.shape, rows.n_rows)
        self.network, self.rows, self.precision = network, rows, precision
        self.always_primal = always_primal

    def value(self, theta: Array) -> float:
        """S."""
        (loss,) = self.rows.reduce(self.network.loss_sum, theta)
        return float(loss) + self._penalty(theta)

    def _penalty(self, theta: Array) -> float:
        return 0.5 * float(self.precision @ theta**2)

    def around(self, theta: Array) -> "Primal | Dual":
        """The parabola that touches S at theta, in the form whose system is the smaller one."""
        shape, n_rows = self.network.shape, self.rows.n_rows
        of_hidden = shape.views(self.precision).layer1
        dual = n_rows * shape.n_outputs < shape.size and (of_hidden == of_hidden[:, :1]).all()
        dual = dual and not self.always_primal
        if dual:
            X, Y, w = self.rows.take(slice(0, n_rows))
            rows = linearize(self.network, theta, X, Y, 1.0 if w is None else w)
            loss, gradient = rows.loss_sum, rows.gradient()
        else:
            loss, gradient, H = self.rows.reduce(partial(curvature, self.network), theta)
        value, gradient = float(loss) + self._penalty(theta), gradient + self.precision * theta
        if dual:
            return Dual(value, gradient, self.precision, rows)
        return Primal(value, gradient, self.precision, H)


@dataclass(frozen=True)
class Primal:
    """A parabola with as many unknowns as there are parameters."""

    value: float
    gradient: Array
    precision: Array
    H: Array

    def step(self, damping: float) -> Array:
        """To the bottom; LinAlgError where rounding leaves none."""
        A = self.H.copy()
        np.fill_diagonal(A, A.diagonal() + self.precision + damping)
        # the transpose of a symmetric matrix in C order is itself, in LAPACK's order
        factor = cho_factor(A.T, overwrite_a=True, check_finite=False)
        return -cho_solve(factor, self.gradient, check_finite=False)


class Dual:
    """A parabola with fewer rows than parameters: its system is of the size of the rows.

    With D = diag(precision) + damping, C_i = L_i L_i' and M = L' J, by Woodbury's identity

        step = -D^-1 (gradient - M' (I + M D^-1 M')^-1 M D^-1 gradient)

    The prior must be the same for all hidden units. Then M D^-1 M' is, for outputs r and s,
    (X1' D1^-1 X1) * (T_r' T_s) + sum_k (L_kr L_ks') * (B' D2k^-1 B) with T_r = slope * W2 L_r,
    D1 being D for the inputs of one hidden unit and D2k for those of output k: J is never formed.
    """

    def __init__(self, value: float, gradient: Array, precision: Array, rows: Linearization):
        self.value, self.gradient, self.precision, self.rows = value, gradient, precision, rows
        values, vectors = np.linalg.eigh(rows.C.transpose(2, 0, 1))
        L = vectors * np.sqrt(np.maximum(values, 0))[:, None]
        self.L = np.ascontiguousarray(L.transpose(1, 2, 0))
        self.T = rows.slope[:, None] * np.tensordot(rows.W2, self.L, 1)

    def step(self, damping: float) -> Array:
        """To the bottom; LinAlgError where rounding leaves none."""
        D = self.precision + damping
        K = self._gram(1 / D)
        np.fill_diagonal(K, K.diagonal() + 1)
        factor = cho_factor(K.T, overwrite_a=True, check_finite=False)
        step = self._bottom(factor, D, -self.gradient)
        # once more for what rounding has left: where the damping is small, D^-1 magnifies it
        return step + self._bottom(factor, D, -self.gradient - D * step - self._through(step))

    def _bottom(self, factor: tuple, D: Array, right: Array) -> Array:
        scaled = right / D
        U = cho_solve(factor, self._forth(scaled).ravel(), check_finite=False)
        return scaled - self._back(U.reshape(self.L.shape[1:])) / D

    def _through(self, v: Array) -> Array:
        return self._back(self._forth(v))

    def _forth(self, v: Array) -> Array:
        """M v (n_outputs, n_rows)."""
        return np.einsum("kri,ik->ri", self.L, self.rows.times(v))

    def _back(self, U: Array) -> Array:
        """M' U."""
        return self.rows.transposed_times(np.einsum("kri,ri->ik", self.L, U))

    def _gram(self, inverse: Array) -> Array:
        """M D^-1 M', given the diagonal of D^-1."""
        rows, (n_outputs, _, n_rows) = self.rows, self.L.shape
        front = rows.n_hidden_parameters
        of_column = inverse[:front].reshape(-1, len(rows.slope))[:, 0]
        T = self.T.reshape(len(self.T), -1)
        gram = (T.T @ T).reshape(n_outputs, n_rows, n_outputs, n_rows)
        gram *= ((rows.X1.T * of_column) @ rows.X1)[:, None]
        for L, of_feature in zip(self.L, inverse[front:].reshape(-1, n_outputs).T, strict=True):
            alike = np.multiply.outer(L, L)
            alike *= ((rows.B.T * of_feature) @ rows.B)[:, None]
            gram += alike
        return gram.reshape(n_outputs * n_rows, -1)


class Walk:
    """Where Levenberg-Marquardt is, and how much it trusts its parabola."""

    def __init__(self, target: Penalized, theta: Array, parabola: Primal | Dual | None = None):
        self.target, self.theta = target, theta
        self.parabola = target.around(theta) if parabola is None else parabola
        self.damping = FIRST_DAMPING * target.rows.sum_weights

    def advance(self) -> bool:
        """One step down, under as much damping as it takes; False where only rounding is left."""
        growth = 2.0
        while math.isfinite(self.damping):
            step = self._step()
            promised = 0.5 * float(step @ (self.damping * step - self.parabola.gradient))
            if promised <= np.finfo(float).eps * self.parabola.value:
                return False
            theta = self.theta + step
            gained = self.parabola.value - self.target.value(theta)
            if gained > 0:
                self.damping *= max(1 / 3, 1 - (2 * gained / promised - 1) ** 3)
                self.damping = max(self.damping, LEAST_DAMPING * self.target.rows.sum_weights)
                self.theta, self.parabola = theta, self.target.around(theta)
                return True
            self.damping *= growth
            growth *= 2
        return False

    def _step(self) -> Array:
        while math.isfinite(self.damping):
            try:
                return self.parabola.step(self.damping)
            except LinAlgError:
                self.damping *= 10
        return np.zeros_like(self.theta)
