import pickle

import numpy as np
import pytest
from numpy.random import RandomState
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.linalg import svdvals
from scipy.optimize import minimize
from scipy.special import logsumexp

from kinds import INCREMENTAL, every_solver
from sklearn_twolayer import engine
from sklearn_twolayer.engine.data.rows import ArrayRows
from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.losses import LOSSES
from sklearn_twolayer.engine.model.network import Network
from sklearn_twolayer.engine.model.parameters import Shape
from sklearn_twolayer.engine.settings import Settings
from sklearn_twolayer.engine.solvers import SOLVERS
from sklearn_twolayer.engine.solvers.monitor import Monitor
from sklearn_twolayer.engine.solvers.objective import Objective
from sklearn_twolayer.engine.solvers.schedules import SCHEDULES
from training import fit, task

N_ROWS, N_FEATURES = 60, 3
RATES = {"sgd": 0.1, "adam": 0.05}

every_incremental_solver = pytest.mark.parametrize("solver", INCREMENTAL)


def squared_error(Z2, Y):
    return 0.5 * ((Z2 - Y) ** 2).sum(axis=1)


def binary_log_loss(Z2, Y):
    return (np.logaddexp(0, Z2) - Y * Z2).sum(axis=1)


def log_loss(Z2, Y):
    return logsumexp(Z2, axis=1) - Z2[np.arange(len(Y)), Y]


PROBLEMS = {
    "one target": (squared_error, 1),
    "three targets": (squared_error, 3),
    "two classes": (binary_log_loss, 1),
    "two labels": (binary_log_loss, 2),
    "three classes": (log_loss, 3),
}


class Problem:
    """A linear network under a penalty: not convex, but every minimum is global.

    The smallest (|W1|^2 + |W2|^2) / 2 of all W1 W2 = B is the sum of the singular values of B,
    which makes it a convex problem in B.
    """

    def __init__(self, name, with_weights=True, alpha=3.0):
        rng = np.random.RandomState(1)
        self.loss, self.n_outputs = PROBLEMS[name]
        self.alpha = alpha
        self.X = rng.randn(N_ROWS, N_FEATURES)
        Z2 = self.X @ rng.randn(N_FEATURES, self.n_outputs) + rng.logistic(
            size=(N_ROWS, self.n_outputs)
        )
        targets = {squared_error: Z2, binary_log_loss: (Z2 > 0) * 1.0, log_loss: Z2.argmax(axis=1)}
        self.Y = targets[self.loss]
        self.weights = 0.5 + rng.rand(N_ROWS) if with_weights else None

    def smallest_value(self):
        # a constant added to all logits of a softmax changes nothing: leave it out
        basis = np.eye(self.n_outputs)
        if self.loss is log_loss:
            basis = np.linalg.svd(np.ones((1, self.n_outputs)))[2][1:]
        w = np.ones(N_ROWS) if self.weights is None else self.weights

        def value(B):
            B = B.reshape(N_FEATURES + 1, -1) @ basis
            losses = self.loss(self.X @ B[:-1] + B[-1], self.Y)
            return (w @ losses + self.alpha * svdvals(B[:-1]).sum()) / w.sum()

        start = np.random.RandomState(0).randn((N_FEATURES + 1) * len(basis))
        return minimize(value, start, method="BFGS", options={"gtol": 1e-6}).fun

    def value(self, coefs, intercepts):
        (W1, W2), (b1, b2) = coefs, intercepts
        w = np.ones(N_ROWS) if self.weights is None else self.weights
        losses = self.loss((self.X @ W1 + b1) @ W2 + b2, self.Y)
        penalty = self.alpha / 2 * ((W1**2).sum() + (W2**2).sum())
        return (w @ losses + penalty) / w.sum()

    def objective(self, activation="identity"):
        network = Network(
            Shape(N_FEATURES, 4, self.n_outputs),
            ACTIVATIONS[activation],
            LOSSES[self.loss.__name__],
        )
        return Objective(network, ArrayRows(self.X, self.Y, self.weights), self.alpha)

    def fit(self, solver, seed=0, theta=None, callback=None, keep_best=True, **options):
        settings = engine.Settings(
            **{
                "hidden_size": 4,
                "activation": "identity",
                "standardize": False,
                "solver": solver,
                "alpha": self.alpha,
                "learning_rate_init": RATES.get(solver, 0.01),
                **options,
            }
        )
        name, k = self.loss.__name__, self.n_outputs
        watcher = callback and engine.EachIteration(callback)
        asked = task(self.X, self.Y, self.weights, k, name, settings, watcher=watcher)
        return fit(asked, seed, theta, keep_best)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("with_weights", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("name", PROBLEMS)
@every_solver
def test_reaches_the_global_minimum(solver, name, with_weights):
    problem = Problem(name, with_weights)
    fitted = problem.fit(
        solver,
        learning_rate="exponential",
        decay_epochs=250,
        batch_size=N_ROWS,
        max_iter=2500,
        tol=0,
        n_iter_no_change=10**9,
    )
    value = problem.value(fitted.coefs, fitted.intercepts)
    assert_allclose(value, problem.smallest_value(), rtol=1e-8)


@every_solver
def test_the_same_seed_gives_the_same_bits(solver):
    problem = Problem("three classes")
    first, second, other = (
        problem.fit(solver, seed=seed, batch_size=7, max_iter=5) for seed in (0, 0, 1)
    )
    assert_array_equal(first.solution.theta, second.solution.theta)
    assert first.monitor.loss_curve == second.monitor.loss_curve
    assert (first.solution.theta != other.solution.theta).any()


@every_incremental_solver
def test_shuffling_depends_on_the_seed_alone(solver):
    problem = Problem("one target")
    theta = np.random.RandomState(5).randn(Shape(N_FEATURES, 4, 1).size)
    fits = {
        (shuffle, seed): problem.fit(
            solver, seed, theta, batch_size=7, shuffle=shuffle, max_iter=2, keep_best=False
        ).solution.theta
        for shuffle in (True, False)
        for seed in (0, 1)
    }
    assert (fits[True, 0] != fits[True, 1]).any()
    assert_array_equal(fits[False, 0], fits[False, 1])


@every_solver
@pytest.mark.parametrize("n_iter", [1, 3])
def test_a_callback_that_returns_true_stops_the_walk(solver, n_iter):
    seen = []

    def stop(progress):
        seen.append((progress.iteration, progress.loss))
        return progress.iteration == n_iter

    fitted = Problem("one target").fit(solver, callback=stop)
    assert fitted.solution.status is engine.Status.STOPPED
    assert fitted.solution.n_iter == n_iter
    assert seen == list(enumerate(fitted.monitor.loss_curve, start=1))


@every_solver
def test_a_callback_that_returns_nothing_changes_nothing(solver):
    problem = Problem("one target")
    expected = problem.fit(solver, max_iter=4).solution.theta
    watched = problem.fit(solver, max_iter=4, callback=lambda progress: None)
    assert_array_equal(watched.solution.theta, expected)


@every_solver
def test_max_iter_ends_the_walk(solver):
    solution = Problem("three classes").fit(solver, max_iter=3, tol=0).solution
    assert solution.status is engine.Status.MAX_ITER
    assert solution.n_iter == 3


def test_max_fun_ends_the_walk_of_lbfgs():
    solution = Problem("three classes").fit("lbfgs", max_fun=3, tol=0).solution
    assert solution.status is engine.Status.MAX_FUN
    assert 0 < solution.n_iter <= 3


@every_incremental_solver
@pytest.mark.parametrize("batch_size", [N_ROWS, 7])
def test_divergence_on_the_way_keeps_the_best_finite_weights(solver, batch_size):
    problem = Problem("one target")
    solution = problem.fit(
        solver, learning_rate_init=1e300, batch_size=batch_size, max_iter=50
    ).solution
    assert solution.status is engine.Status.DIVERGED
    assert solution.n_iter < 50
    assert np.isfinite(solution.theta).all()


@every_incremental_solver
def test_divergence_never_costs_what_was_learnt_before(solver):
    problem = Problem("one target")
    begin = problem.fit(solver, max_iter=0, batch_size=N_ROWS).solution
    solution = problem.fit(solver, learning_rate_init=1e300, batch_size=N_ROWS).solution
    assert solution.status is engine.Status.DIVERGED
    assert_array_equal(solution.theta, begin.theta)


@every_solver
def test_a_start_without_finite_loss_is_reported(solver):
    theta = np.full(Shape(N_FEATURES, 4, 1).size, 1e200)
    solution = Problem("one target").fit(solver, theta=theta).solution
    assert solution.status is engine.Status.DIVERGED
    assert np.isfinite(solution.theta).all()


@every_solver
def test_the_value_is_that_of_the_weights_kept(solver):
    problem = Problem("three classes")
    fitted = problem.fit(solver, batch_size=N_ROWS, max_iter=20)
    expected = problem.value(fitted.coefs, fitted.intercepts)
    assert_allclose(fitted.solution.value, expected, rtol=1e-12)


@every_incremental_solver
def test_the_best_weights_are_kept_when_the_last_are_worse(solver):
    fitted = Problem("one target").fit(
        solver, learning_rate_init=1.5, batch_size=N_ROWS, max_iter=40, tol=0
    )
    # evaluated anew, in another order of the rows: equal but for rounding
    assert_allclose(fitted.solution.value, min(fitted.monitor.loss_curve), rtol=1e-14)
    assert fitted.monitor.loss_curve[-1] > fitted.solution.value


@every_incremental_solver
@pytest.mark.parametrize("patience", [1, 4])
def test_stalls_after_exactly_n_iter_no_change_iterations(solver, patience):
    solution = Problem("one target").fit(solver, tol=0.99, n_iter_no_change=patience).solution
    assert solution.status is engine.Status.CONVERGED
    assert solution.n_iter == 1 + patience


@every_incremental_solver
def test_adaptive_divides_the_rate_whenever_the_loss_stalls(solver):
    solution = (
        Problem("one target")
        .fit(
            solver,
            learning_rate="adaptive",
            learning_rate_init=1e-4,
            tol=0.99,
            n_iter_no_change=2,
        )
        .solution
    )
    assert solution.status is engine.Status.CONVERGED
    assert_allclose(1e-4 / solution.state["division"], [1e-6], rtol=0.9)
    n_stalls = 1 + round(np.log(solution.state["division"]) / np.log(5))
    assert solution.n_iter == 3 * n_stalls


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_rate_of_each_epoch_is_that_of_the_schedule(name):
    """Plain descent written out: theta - rate(epoch) times the gradient of each batch."""
    problem = Problem("one target")
    options = {"learning_rate": name, "decay_epochs": 3, "momentum": 0, "tol": 0}
    theta = np.random.RandomState(5).randn(Shape(N_FEATURES, 4, 1).size)
    options |= {"keep_best": False, "batch_size": 30, "shuffle": False, "max_iter": 8}
    fitted = problem.fit("sgd", theta=theta, **options)
    objective = problem.objective()
    settings = engine.Settings(learning_rate=name, decay_epochs=3, max_iter=8)
    schedule = SCHEDULES[name]
    for epoch in range(8):
        for batch, middle in ((slice(0, 30), 0.25), (slice(30, 60), 0.75)):
            # one that goes by the step is asked in the middle of each batch
            when = epoch + middle if schedule.by_step else epoch
            rate = RATES["sgd"] * schedule.factor(when, epoch * N_ROWS, settings)
            theta = theta - rate * objective.batch(theta, batch)[1]
    assert_allclose(fitted.solution.theta, theta, rtol=1e-12)


@every_incremental_solver
@pytest.mark.parametrize("schedule", ["invscaling", "one_cycle"])
def test_a_run_can_be_broken_off_and_carried_on(solver, schedule):
    objective = Problem("three classes").objective("tanh")
    options = {"learning_rate": schedule, "learning_rate_init": 0.001, "shuffle": False}
    settings = engine.Settings(solver=solver, batch_size=7, tol=0, max_iter=7, **options)

    def begun(theta, n_epochs, state=None):
        """The run of seven epochs, broken off after some."""

        def callback(progress):
            return progress.n_iter == n_epochs

        monitor = engine.Monitor(tol=0, patience=100, keep_best=False, callback=callback)
        return SOLVERS[solver].solve(
            objective, theta, settings, monitor, np.random.RandomState(0), state
        )

    theta = np.random.RandomState(5).randn(objective.network.shape.size)
    expected = begun(theta, 7).theta
    half = begun(theta, 3)
    assert half.status is engine.Status.STOPPED
    carried_on = begun(half.theta, 4, pickle.loads(pickle.dumps(half.state)))
    assert_array_equal(carried_on.theta, expected)


@every_solver
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_have_the_precision_of_the_data(solver, dtype):
    problem = Problem("one target")
    problem.X = problem.X.astype(dtype)
    fitted = problem.fit(solver, max_iter=3)
    arrays = (fitted.solution.theta, *fitted.coefs, *fitted.intercepts)
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}


@every_solver
def test_the_start_is_left_alone(solver):
    objective = Problem("one target").objective()
    theta = np.random.RandomState(5).randn(objective.network.shape.size)
    before = theta.copy()
    constant = {"learning_rate": "constant", "learning_rate_init": 0.001}
    settings = engine.Settings(solver=solver, max_iter=3, **constant)
    monitor = engine.Monitor(tol=0, patience=9, keep_best=False)
    solution = SOLVERS[solver].solve(objective, theta, settings, monitor, np.random.RandomState(0))
    assert_array_equal(theta, before)
    assert (solution.theta != theta).any()


class TestMonitor:
    """Patience, counted on made-up losses."""

    @staticmethod
    def iterations_until_stalled(losses, tol=0.0, patience=3):
        monitor = engine.Monitor(tol=tol, patience=patience)
        theta = np.zeros(1)
        monitor.start(theta)
        for count, loss in enumerate(losses, start=1):
            monitor.record(loss, theta)
            if monitor.stalled:
                return count
        return None

    @pytest.mark.parametrize("patience", [1, 2, 10])
    def test_a_loss_that_never_changes_stalls_after_the_patience(self, patience):
        assert self.iterations_until_stalled([1.0] * 20, patience=patience) == 1 + patience

    def test_every_improvement_renews_the_patience(self):
        losses = [5, 5, 5, 4, 4, 4, 3, 3, 3, 3]
        assert self.iterations_until_stalled(losses) == 10

    def test_an_improvement_within_tol_is_none(self):
        assert self.iterations_until_stalled([1, 0.96, 0.93, 0.91], tol=0.1) == 4

    def test_improvements_within_tol_do_not_add_up(self):
        assert self.iterations_until_stalled([1, 0.96, 0.93, 0.89], tol=0.1) == 4

    def test_what_counts_is_the_lowest_loss_and_not_the_last(self):
        assert self.iterations_until_stalled([1, 3, 2, 1.5]) == 4

    def test_tol_is_relative_to_the_loss(self):
        losses = np.array([1, 0.96, 0.93, 0.91])
        for scale in (1e-9, 1e9, -1e-9, -1e9):
            shrinking = scale * (losses if scale > 0 else 2 - losses)
            assert self.iterations_until_stalled(shrinking, tol=0.1) == 4

    def test_patience_is_counted_afresh(self):
        monitor = engine.Monitor(tol=0, patience=2)
        monitor.start(np.zeros(1))
        for _ in range(3):
            monitor.record(1.0, np.zeros(1))
        assert monitor.stalled
        monitor.reset_patience()
        assert not monitor.stalled

    def test_keeps_the_weights_of_the_smallest_loss(self):
        monitor = engine.Monitor(tol=0, patience=9)
        monitor.start(np.zeros(1))
        theta = np.zeros(1)
        for number, loss in enumerate([3, 1, 2], start=1):
            theta[:] = number
            monitor.record(loss, theta)
        assert (monitor.best_theta, monitor.best_value, monitor.best_iter) == (2, 1, 2)

    def test_a_loss_is_credited_to_the_weights_it_was_measured_on(self):
        monitor = engine.Monitor(tol=0, patience=9)
        monitor.start(np.zeros(1))
        for number, loss in enumerate([3, 1, 2]):
            monitor.record(loss, np.array([number + 1.0]), measured_on=np.array([float(number)]))
        assert (monitor.best_theta, monitor.best_iter) == (1, 1)

    def test_a_score_decides_where_there_is_one(self):
        monitor = engine.Monitor(tol=0, patience=2, score=lambda theta: -abs(theta[0] - 2))
        monitor.start(np.zeros(1))
        for number in range(1, 5):
            monitor.record(10.0 - number, np.array([float(number)]))
        assert monitor.scores == [-1, 0, -1, -2]
        assert (monitor.best_theta, monitor.best_value) == (2, 0)
        assert monitor.stalled

    def test_a_score_may_choose_the_weights_and_leave_stopping_to_the_loss(self):
        score = {"score": lambda theta: -abs(theta[0] - 2), "stops_by_score": False}
        monitor = engine.Monitor(tol=0, patience=2, **score)
        monitor.start(np.zeros(1))
        for number in range(1, 5):
            monitor.record(10.0 - number, np.array([float(number)]))
        assert monitor.best_theta == 2
        assert not monitor.stalled

    def test_the_last_weights_are_kept_where_the_best_are_not_asked_for(self):
        monitor = engine.Monitor(tol=0, patience=9, keep_best=False)
        monitor.start(np.zeros(1))
        for number, loss in enumerate([3, 1, 2], start=1):
            monitor.record(loss, np.array([float(number)]))
        assert (monitor.best_theta, monitor.best_value) == (3, 2)


def test_lbfgs_stops_where_the_gradient_is_below_tol():
    problem = Problem("three classes")
    norms = {}
    for tol in (1e-2, 1e-5):
        fitted = problem.fit("lbfgs", tol=tol, n_iter_no_change=10**9)
        assert fitted.solution.status is engine.Status.CONVERGED
        network = Network(Shape(N_FEATURES, 4, 3), ACTIVATIONS["identity"], LOSSES["log_loss"])
        rows = ArrayRows(problem.X, problem.Y, problem.weights)
        objective = Objective(network, rows, problem.alpha)
        norms[tol] = np.abs(objective(fitted.solution.theta)[1]).max()
    assert norms[1e-5] <= 1e-5 < norms[1e-2] <= 1e-2


def test_a_loss_that_vanishes_stalls_at_a_thousandth_of_the_first():
    monitor = engine.Monitor(tol=0.1, patience=3)
    theta = np.zeros(2)
    monitor.start(theta)
    losses = 10.0 ** -np.arange(20)
    for loss in losses:
        if not monitor.stalled:
            monitor.record(loss, theta)
    # 1e-4 is reached by a step of more than a tenth of 1e-3, 1e-5 no longer
    assert monitor.loss_curve == list(losses[: 5 + 3])


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sparse_rows_give_what_dense_rows_give(momentum, rng):
    # without momentum, plain steps visit only the columns a batch stores
    X = sparse.csr_array(sparse.random(60, 30, density=0.05, random_state=0))
    Y = rng.randn(60, 1)
    shape = Shape(30, 4, 1)
    theta = rng.randn(shape.size)
    constant = {"learning_rate": "constant", "learning_rate_init": 0.001}
    settings = Settings(solver="sgd", momentum=momentum, batch_size=7, max_iter=5, **constant)
    ends = []
    for storage in (X, X.toarray()):
        network = Network(shape, ACTIVATIONS["tanh"], LOSSES["squared_error"])
        objective = Objective(network, ArrayRows(storage, Y), alpha=0.0)
        monitor = Monitor(settings.tol, settings.n_iter_no_change, keep_best=False)
        solution = SOLVERS["sgd"].solve(objective, theta, settings, monitor, RandomState(0))
        ends.append(solution.theta)
    assert_allclose(*ends, rtol=1e-10, atol=1e-12)
