from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize, rosen, rosen_der

from sklearn_twolayer.engine.settings import Settings
from sklearn_twolayer.engine.solvers.lbfgs import MEMORY, direction, solve
from sklearn_twolayer.engine.solvers.monitor import Monitor
from sklearn_twolayer.engine.solvers.solution import Status

WIDTHS = np.array([1.0, 10.0, 100.0])


def quadratic(x):
    return 0.5 * float(WIDTHS @ x**2), WIDTHS * x


def absolute(x):
    return float(np.abs(x).sum()), np.sign(x)


def rosenbrock(x):
    return float(rosen(x)), rosen_der(x)


def wide(x):
    """Of many more dimensions than steps are remembered."""
    widths = np.logspace(0, 2, len(x))
    return 0.5 * float(widths @ x**2), widths * x


class Watched:
    """F, and every point at which it was asked; `adapt` makes it another one, if given."""

    is_smooth = True

    def __init__(self, F, adapt=None):
        self.F, self.asked, self.adapt = F, [], adapt or (lambda theta, n_steps: False)

    def __call__(self, x):
        self.asked.append(x.copy())
        return self.F(x)


def minimised(F, start, callback=None, adapt=None, **settings):
    """The solution, and every point at which F was asked."""
    watched, start = Watched(F, adapt), np.asarray(start)
    settings = Settings(**{"tol": 1e-9, "max_iter": 500, **settings})
    monitor = Monitor(0.0, 10**6, callback=callback)
    with np.errstate(all="ignore"):
        return solve(watched, start, settings, monitor, None), watched.asked


def updated_inverse_curvature(pairs):
    """H by formula (7.16) of Nocedal and Wright, as a matrix."""
    s, y, curvature = pairs[-1]
    H = np.eye(len(s)) * curvature / (y @ y)
    for s, y, curvature in pairs:
        V = np.eye(len(s)) - np.outer(y, s) / curvature
        H = V.T @ H @ V + np.outer(s, s) / curvature
    return H


@pytest.mark.parametrize("n_pairs", [1, 2, 5])
def test_the_direction_is_that_of_the_updated_matrix(n_pairs, rng):
    root = rng.randn(7, 7)
    steps = rng.randn(n_pairs, 7)
    pairs = [(s, root @ root.T @ s, float(s @ root @ root.T @ s)) for s in steps]
    gradient = rng.randn(7)
    before = gradient.copy()
    expected = -updated_inverse_curvature(pairs) @ gradient
    assert_allclose(direction(gradient, pairs), expected, rtol=1e-10, atol=1e-12)
    assert_array_equal(gradient, before)


def test_without_memory_the_direction_is_straight_down(rng):
    gradient = rng.randn(4)
    assert_array_equal(direction(gradient, []), -gradient)


@pytest.mark.parametrize(
    ("F", "start"),
    [
        (quadratic, [3.0, -2.0, 1.0]),
        (quadratic, [-1.2, 1.0, 1e-3]),
        (rosenbrock, [3.0, -2.0, 1.0]),
        (rosenbrock, [-1.2, 1.0, 1e-3]),
        (wide, np.ones(20 * MEMORY)),
    ],
)
def test_needs_no_more_evaluations_than_a_tenth_over_scipys(F, start):
    solution, asked = minimised(F, start)
    theirs = minimize(F, start, jac=True, method="L-BFGS-B", options={"gtol": 1e-9, "ftol": 0})
    assert solution.status is Status.CONVERGED
    assert np.abs(F(solution.theta)[1]).max() <= 1e-7
    assert len(asked) <= 1.1 * theirs.nfev + 5


def test_an_iteration_lowers_the_loss_and_levels_the_slope():
    points = []
    minimised(rosenbrock, [-1.2, 1.0, 0.5], lambda p: points.append(p.theta.copy()))
    assert len(points) > 10
    for before, after in pairwise(points):
        step = after - before
        slope = rosen_der(before) @ step
        assert rosen(after) <= rosen(before) + 1e-3 * slope < rosen(before)
        assert rosen_der(after) @ step >= 0.9 * slope


def test_a_loss_that_falls_by_rounding_only_is_not_searched_for_more():
    start = np.ones(20 * MEMORY)
    solution, asked = minimised(lambda x: (1 + wide(x)[0], wide(x)[1]), start, tol=0)
    assert solution.status is Status.CONVERGED
    assert_allclose(solution.value, 1, rtol=1e-14)
    assert len(asked) <= 1.15 * solution.n_iter


def test_the_longest_step_will_do_where_the_slope_never_levels_out():
    solution, _ = minimised(lambda x: (-float(x.sum()), -np.ones(3)), np.zeros(3), max_iter=3)
    assert (solution.status, solution.n_iter) == (Status.MAX_ITER, 3)
    assert_allclose(solution.theta, 3 * 2**19 / 3**0.5)


def test_what_is_remembered_is_forgotten_where_it_leads_nowhere():
    seen = []

    def obstructed(x):
        value, gradient = rosenbrock(x)
        seen.append((x.copy(), gradient))
        # an obstacle for as long as one search lasts
        return (value, gradient) if not 15 < len(seen) <= 35 else (np.inf, gradient)

    points = []
    start = [-1.2, 1.0, 0.5]
    minimised(obstructed, start, lambda p: points.append(p.theta.copy()), max_iter=40)
    asked = [x.tolist() for x, _ in seen]
    began = max(p for p in (asked.index(point.tolist()) for point in points) if p < 15)
    ended = min(p for p in (asked.index(point.tolist()) for point in points) if p >= 35)
    (x0, g0), (x1, g1) = seen[began], seen[ended]
    s, y = x1 - x0, g1 - g0
    assert_allclose(s / np.linalg.norm(s), -g0 / np.linalg.norm(g0), rtol=1e-7)
    assert_allclose(seen[ended + 1][0], x1 + direction(g1, [(s, y, s @ y)]), rtol=1e-7)


def test_a_kink_at_the_minimum_is_no_obstacle():
    solution, _ = minimised(absolute, [3.1, -0.7, 0.02])
    assert solution.status is Status.CONVERGED
    assert solution.value < 1e-3


def test_steps_back_from_where_the_loss_is_not_finite():
    def logarithm(x):
        return float((x - np.log(x)).sum()), 1 - 1 / x

    solution, asked = minimised(logarithm, [1e-3, 30.0])
    assert any((x <= 0).any() for x in asked)
    assert_allclose(solution.theta, 1, rtol=1e-6)


def test_a_loss_that_is_not_finite_where_it_begins_is_divergence():
    solution, asked = minimised(lambda x: (np.nan, x), [1.0, 2.0])
    assert (solution.status, solution.n_iter, len(asked)) == (Status.DIVERGED, 0, 1)
    assert_array_equal(solution.theta, [1, 2])


def test_a_direction_that_never_goes_down_ends_the_walk():
    solution, asked = minimised(lambda x: (float(x @ x), -x), [1.0, 2.0])
    assert solution.status is Status.CONVERGED
    assert solution.n_iter == 1  # where it began
    assert_array_equal(solution.theta, [1, 2])
    assert len(asked) <= 1 + 20


@pytest.mark.parametrize("max_fun", [1, 2, 7])
def test_asks_no_more_often_than_it_may(max_fun):
    solution, asked = minimised(rosenbrock, [-1.2, 1.0, 0.5], max_fun=max_fun)
    assert solution.status is Status.MAX_FUN
    assert len(asked) == max_fun


@pytest.mark.parametrize("max_iter", [1, 2, 7])
def test_takes_no_more_steps_than_it_may(max_iter):
    solution, _ = minimised(rosenbrock, [-1.2, 1.0, 0.5], max_iter=max_iter)
    assert (solution.status, solution.n_iter) == (Status.MAX_ITER, max_iter)


def test_begins_where_nothing_is_left_to_do():
    solution, asked = minimised(quadratic, [0.0, 0.0, 0.0])
    assert (solution.status, len(asked), solution.value) == (Status.CONVERGED, 1, 0.0)


def test_a_callback_stops_it():
    solution, _ = minimised(rosenbrock, [-1.2, 1.0, 0.5], lambda p: p.iteration == 3)
    assert (solution.status, solution.n_iter) == (Status.STOPPED, 3)


def test_float32_weights_walk_in_float64():
    def narrow(x):
        assert x.dtype == np.float32
        value, gradient = quadratic(x)
        return value, gradient.astype(np.float32)

    solution, _ = minimised(narrow, np.array([3, -2, 1], np.float32), tol=1e-6)
    assert solution.status is Status.CONVERGED
    assert solution.theta.dtype == np.float32
    assert solution.value < 1e-6  # F falls by less than float32 can tell from 1


class Following:
    """F(x - target), whose target moves `n_changes` times, at the minimum.

    Or after every so many steps, until there are so many changes.
    """

    is_smooth = True

    def __init__(self, n_changes, every=np.inf, F=quadratic):
        self.F, self.left, self.every = F, n_changes, every
        self.target = np.zeros(3)
        self.counted, self.told, self.changed_at = 0, [], []

    def __call__(self, x):
        return self.F(x - self.target)

    def adapt(self, theta, n_steps):
        self.told.append(n_steps)
        self.counted += n_steps
        if self.counted < self.every or not self.left:
            return False
        self.counted, self.left = 0, self.left - 1
        self.target = self.target + np.array([1.0, -1.0, 0.5])
        self.changed_at.append(theta.copy())
        return True


def followed(F, start=(3.0, -2.0, 1.0), monitor=None, **settings):
    settings = Settings(**{"tol": 1e-9, "max_iter": 500, **settings})
    # values of different functions do not compare: the last weights are kept
    monitor = monitor or Monitor(0.0, 10**6)
    monitor.keep_best = False
    return solve(F, np.array(start), settings, monitor, None)


@pytest.mark.parametrize("n_changes", [0, 1, 4])
@pytest.mark.parametrize("every", [3, np.inf])
def test_converges_where_the_function_has_stopped_changing(n_changes, every):
    F = Following(n_changes, every)
    solution = followed(F)
    assert solution.status is Status.CONVERGED
    assert F.left == 0
    assert_allclose(solution.theta, F.target, atol=1e-7)
    # it was asked after every step, and at the end as one who will take no more
    assert F.told.count(1) >= solution.n_iter - 1 - n_changes
    assert F.told[-1] == np.inf


@pytest.mark.parametrize("F", [absolute, lambda x: (float(x @ x), -x)], ids=["kink", "no way down"])
def test_where_no_step_leads_further_the_function_may_change_as_well(F):
    F = Following(3, F=F)
    solution = followed(F, (3.1, -0.7, 0.02))
    assert (solution.status, F.left) == (Status.CONVERGED, 0)


def test_what_is_remembered_of_another_function_is_forgotten():
    """The first step after a change goes straight down."""
    F = Following(1, every=4)
    points = []
    monitor = Monitor(0.0, 10**6, callback=lambda p: points.append(p.theta.copy()))
    followed(F, monitor=monitor)
    (here,) = F.changed_at
    there = points[next(i for i, x in enumerate(points) if (x == here).all()) + 1]
    gradient = WIDTHS * (here - F.target)
    step = there - here
    assert_allclose(step / np.linalg.norm(step), -gradient / np.linalg.norm(gradient), rtol=1e-9)


def test_a_function_that_rose_by_changing_is_no_reason_to_stop():
    """Patience counts afresh: no value of the function before is to be compared with."""
    F = Following(3, every=4)
    solution = followed(F, monitor=Monitor(0.0, 2))
    assert_allclose(solution.theta, F.target, atol=1e-7)


def test_a_function_that_never_settles_does_not_converge():
    solution = followed(Following(10**9), max_iter=30)
    assert (solution.status, solution.n_iter) == (Status.MAX_ITER, 30)
    solution = followed(Following(10**9), max_fun=40)
    assert solution.status is Status.MAX_FUN


def test_the_last_step_is_followed_by_no_change():
    """Weights and what they were found under belong together."""
    F = Following(10**9, every=1)
    assert followed(F, max_iter=5).status is Status.MAX_ITER
    assert len(F.told) == 5  # at the start, and after each step but the last
