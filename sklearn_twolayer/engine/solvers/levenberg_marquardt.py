"""Levenberg-Marquardt: damped Gauss-Newton steps on all rows (Levenberg 1944, Marquardt 1963).

A sum of losses under a Gaussian prior, sum_i w_i loss_i + 1/2 sum_j precision_j theta_j^2, is taken
for the quadratic that its curvature H makes of it, and the step goes to the minimum of that under

    (H + diag(precision) + damping I) step = -gradient

The damping falls after a good step and rises after one that did not lower the sum, by the ratio of
what was gained to what the quadratic predicted (Nielsen 1999; Madsen, Nielsen and Tingleff 2004).
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import numpy as np
from numpy.random import RandomState
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from ..data.rows import Rows
from ..model.gauss_newton import Linearization, curvature, linearize
from ..model.network import Network
from ..model.parameters import Shape
from ..numerics import Array
from ..settings import Settings
from .monitor import Monitor
from .objective import Objective
from .solution import Solution, State, Status

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
    fraction = objective.rows.sum_weights / objective.total_weight
    check_size(objective.network.shape, objective.rows.n_rows)
    precision = objective.penalty.diagonal * fraction
    target = SmallerSystem(objective.network, objective.rows, precision)
    monitor.start(theta)
    status = Status.DIVERGED
    if math.isfinite(target.value(theta.astype(np.float64))):
        status = _descend(target, theta, settings, monitor)
    monitor.finish()
    if theta.dtype != np.float64 and not math.isfinite(objective.value(monitor.best_theta)):
        # what was found in double precision is beyond that of the weights
        monitor.best_theta[:], status = theta, Status.DIVERGED
    return Solution(monitor.best_theta, monitor.best_value, len(monitor.loss_curve), status)


def _descend(target: "Target", theta: Array, settings: Settings, monitor: Monitor) -> Status:
    """Step by step from theta; why the steps end."""
    total = target.rows.sum_weights
    point, damping = target.expand(theta.astype(np.float64)), FIRST_DAMPING * total
    for n_iter in range(settings.max_iter):
        flat, before = np.abs(point.gradient).max() <= settings.tol * total, point
        if not flat:
            point, damping = advance(target, point, damping)
        if point is before:
            if n_iter == 0:
                monitor.record(point.value / total, theta)
            return Status.CONVERGED
        monitor.record(point.value / total, point.theta.astype(theta.dtype))
        if monitor.stopped or monitor.stalled:
            return Status.STOPPED if monitor.stopped else Status.CONVERGED
    return Status.MAX_ITER


def check_size(shape: Shape, n_rows: float = math.inf) -> None:
    """ValueError for a network whose steps would take too long, or too much memory."""
    size = min(shape.size, n_rows * shape.n_outputs)
    if size > LARGEST:
        raise ValueError(
            f"solver='lm' solves for at most {LARGEST} parameters, or rows times outputs, got "
            f"{size} with hidden_size={shape.n_hidden}: take fewer hidden units, or solver='lbfgs' "
            "or 'adam'"
        )


class NormalEquations(Protocol):
    """The linear system whose solution is the step to the minimum of a quadratic."""

    def step(self, damping: float) -> Array:
        """The step under some damping; LinAlgError where rounding leaves none."""
        ...


@dataclass(frozen=True)
class Point:
    """Somewhere, with S and its gradient there, and the step of the quadratic that touches it."""

    theta: Array
    value: float
    gradient: Array
    equations: NormalEquations


class Target:
    """S(theta) = sum_i w_i loss_i + 1/2 sum_j precision_j theta_j^2, over given rows."""

    def __init__(self, network: Network, rows: Rows, precision: Array):
        self.network, self.rows, self.precision = network, rows, precision

    def value(self, theta: Array) -> float:
        """S."""
        (loss,) = self.rows.reduce(self.network.loss_sum, theta)
        return float(loss) + self._penalty(theta)

    def expand(self, theta: Array) -> Point:
        """S to second order around theta."""
        loss, gradient, H = self.rows.reduce(partial(curvature, self.network), theta)
        gradient += self.precision * theta
        value = float(loss) + self._penalty(theta)
        return Point(theta, value, gradient, Primal(gradient, self.precision, H))

    def _penalty(self, theta: Array) -> float:
        return 0.5 * float(self.precision @ theta**2)


class SmallerSystem(Target):
    """The same, solved for as many unknowns as there are outputs of rows, where these are fewer."""

    def expand(self, theta: Array) -> Point:
        shape, n_rows = self.network.shape, self.rows.n_rows
        of_hidden = shape.views(self.precision).layer1
        if n_rows * shape.n_outputs >= shape.size or not (of_hidden == of_hidden[:, :1]).all():
            return super().expand(theta)
        X, Y, w = self.rows.take(slice(0, n_rows))
        rows = linearize(self.network, theta, X, Y, 1.0 if w is None else w)
        gradient = rows.gradient() + self.precision * theta
        value = rows.loss_sum + self._penalty(theta)
        return Point(theta, value, gradient, Dual(gradient, self.precision, rows))


P = TypeVar("P", bound=Point)
P_co = TypeVar("P_co", bound=Point, covariant=True)


class Expandable(Protocol[P_co]):
    """What `advance` asks of a target."""

    rows: Rows

    def value(self, theta: Array) -> float:
        """S."""
        ...

    def expand(self, theta: Array) -> P_co:
        """S to second order around theta."""
        ...


def advance(target: Expandable[P], point: P, damping: float) -> tuple[P, float]:
    """The next point and damping, after as many trials as it takes: S must fall.

    The point itself where only rounding is left to gain.
    """
    growth, least = 2.0, LEAST_DAMPING * target.rows.sum_weights
    while math.isfinite(damping):
        step, damping = _damped_step(point, damping)
        predicted = 0.5 * float(step @ (damping * step - point.gradient))
        if predicted <= np.finfo(float).eps * point.value:
            break
        theta = point.theta + step
        gained = point.value - target.value(theta)
        # a step is accepted if S falls at all: how well it was predicted only sets the damping
        if gained > 0:
            # Nielsen's rule: the better the prediction was, the less damping is needed
            damping *= max(1 / 3, 1 - (2 * gained / predicted - 1) ** 3)
            return target.expand(theta), max(damping, least)
        damping *= growth
        growth *= 2
    return point, damping


def _damped_step(point: Point, damping: float) -> tuple[Array, float]:
    """The step, under more damping if rounding has left the system without a solution."""
    while math.isfinite(damping):
        try:
            return point.equations.step(damping), damping
        except LinAlgError:
            damping *= 10
    return np.zeros_like(point.theta), damping


@dataclass(frozen=True)
class Primal:
    """A quadratic with as many unknowns as there are parameters."""

    gradient: Array
    precision: Array
    H: Array

    def step(self, damping: float) -> Array:
        A = self.H.copy()
        np.fill_diagonal(A, A.diagonal() + self.precision + damping)
        # the transpose of a symmetric matrix in C order is itself, in LAPACK's order
        factor = cho_factor(A.T, overwrite_a=True, check_finite=False)
        return -cho_solve(factor, self.gradient, check_finite=False)


class Dual:
    """A quadratic with fewer rows than parameters: its system is of the size of the rows.

    With D = diag(precision) + damping, C_i = L_i L_i' and M = L' J, by Woodbury's identity

        step = -D^-1 (gradient - M' (I + M D^-1 M')^-1 M D^-1 gradient)

    The prior must be the same for all hidden units. Then M D^-1 M' is, for outputs r and s,
    (X1' D1^-1 X1) * (T_r' T_s) + sum_k (L_kr L_ks') * (B' D2k^-1 B) with T_r = slope * W2 L_r,
    D1 being D for the inputs of one hidden unit and D2k for those of output k: J is never formed.
    """

    def __init__(self, gradient: Array, precision: Array, rows: Linearization):
        self.gradient, self.precision, self.rows = gradient, precision, rows
        values, vectors = np.linalg.eigh(rows.C.transpose(2, 0, 1))
        L = vectors * np.sqrt(np.maximum(values, 0))[:, None]
        self.L = np.ascontiguousarray(L.transpose(1, 2, 0))
        self.T = rows.slope[:, None] * np.tensordot(rows.W2, self.L, 1)

    def step(self, damping: float) -> Array:
        D = self.precision + damping
        K = self._gram(1 / D)
        np.fill_diagonal(K, K.diagonal() + 1)
        factor = cho_factor(K.T, overwrite_a=True, check_finite=False)
        step = self._solve(factor, D, -self.gradient)
        # once more for what rounding has left: where the damping is small, D^-1 magnifies it
        return step + self._solve(factor, D, -self.gradient - D * step - self._through(step))

    def _solve(self, factor: tuple, D: Array, right: Array) -> Array:
        scaled = right / D
        U = cho_solve(factor, self._jvp(scaled).ravel(), check_finite=False)
        return scaled - self._vjp(U.reshape(self.L.shape[1:])) / D

    def _through(self, v: Array) -> Array:
        return self._vjp(self._jvp(v))

    def _jvp(self, v: Array) -> Array:
        """M v (n_outputs, n_rows)."""
        return np.einsum("kri,ik->ri", self.L, self.rows.jvp(v))

    def _vjp(self, U: Array) -> Array:
        """M' U."""
        return self.rows.vjp(np.einsum("kri,ri->ik", self.L, U))

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
