from dataclasses import replace

import numpy as np
import pytest
from numpy.random import RandomState
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression, Ridge

import training
from kinds import every_target
from sklearn_twolayer.engine.bayes import automatic_relevance as module
from sklearn_twolayer.engine.bayes.evidence import POOLING, Estimate, relevance_prior
from sklearn_twolayer.engine.data.rows import ArrayRows
from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.losses import LOSSES
from sklearn_twolayer.engine.model.network import Network
from sklearn_twolayer.engine.model.parameters import Shape
from sklearn_twolayer.engine.settings import Settings
from sklearn_twolayer.engine.solvers.monitor import Monitor
from sklearn_twolayer.engine.solvers.objective import Objective
from sklearn_twolayer.engine.solvers.solution import Status

N_ROWS, N_FEATURES, N_HIDDEN = 80, 3, 4
either_skip = pytest.mark.parametrize("skip", [False, True], ids=["no skip", "skip"])


def network_of(loss, n_outputs, skip=False):
    shape = Shape(N_FEATURES, N_HIDDEN, n_outputs, skip)
    return Network(shape, ACTIVATIONS["tanh"], LOSSES[loss])


def targets(loss, Z, rng):
    """What depends on Z (n_rows, n_outputs), with noise, in standardised units."""
    Z = Z + 0.5 * rng.randn(*Z.shape)
    if loss == "log_loss":
        return Z.argmax(axis=1)
    return (Z - Z.mean(axis=0)) / Z.std(axis=0) if loss == "squared_error" else (Z > 0) * 1.0


@pytest.fixture
def table(rng):
    def table(loss, n_outputs):
        X = rng.randn(N_ROWS, N_FEATURES)
        X -= X.mean(axis=0)
        return X, targets(loss, np.sin(2 * X) @ rng.randn(N_FEATURES, n_outputs), rng)

    return table


def solve(network, X, Y, weights=None, total=None, theta=None, state=None, **options):
    """The engine's search by the evidence; weights relative to their mean, as it gets them."""
    options = {"store_posterior": True, "max_iter": 100, "dtype": "float64", **options}
    rows = ArrayRows(X, Y, weights, copies=1.0 if total is None else total / len(X))
    objective = Objective(network, rows, 0.0, total)
    if theta is None:
        theta = 0.5 * RandomState(3).randn(network.shape.size)
    monitor = Monitor(tol=0, patience=10**9)
    settings = Settings(**options)
    return module.solve(objective, theta, settings, monitor, RandomState(0), state)


@every_target
@either_skip
def test_priors_are_of_columns_biases_outputs_and_the_path_past_them(loss, n_outputs, skip, table):
    network = network_of(loss, n_outputs, skip)
    precision = solve(network, *table(loss, n_outputs)).state["precision"]
    assert precision.shape == (N_FEATURES + 2 + skip,)
    assert (precision > 0).all()
    # the scale of the hidden units is settled by W1 alone
    assert precision[N_FEATURES + 1] == 1


@either_skip
def test_which_precisions_are_alike_and_which_are_fixed(skip):
    shape = Shape(N_FEATURES, N_HIDDEN, 1, skip)
    prior = relevance_prior(shape, np.arange(1.0, shape.n_groups + 1))
    assert prior.pooled.tolist() == [True] * 4 + [False] * (1 + skip)
    assert prior.fixed.tolist() == [False] * 4 + [True] + [False] * skip
    assert_array_equal(prior.group, shape.groups())


def test_a_pool_holds_its_members_together():
    """The new precision is the mode under a Gamma prior around the pool's geometric mean."""
    prior = relevance_prior(Shape(3, N_HIDDEN, 1, True), np.ones(6))
    old = np.array([1.0, 2.0, 4.0, 8.0, 1.0, 3.0])
    gamma = np.array([3.0, 1.0, 1e-10, 0.5, 2.0, 2.0])
    squares = np.array([0.5, 1.0, 1e-10, 0.1, 9.0, 1.0])
    found = Estimate(gamma, gamma / squares, np.ones(1), np.eye(1))
    centre = np.exp(np.log(old[:4]).mean())
    expected = (gamma + 2 * POOLING) / (squares + 2 * POOLING / centre)
    new = prior.update(found, old)
    assert_allclose(new[:4], expected[:4], rtol=1e-12)
    assert new[4] == old[4]
    assert_allclose(new[5], gamma[5] / squares[5])
    # nothing is known of the third column: its precision is drawn to the others'
    assert_allclose(new[2], centre, rtol=1e-6)


def test_a_column_that_tells_nothing_is_put_to_sleep(rng):
    X = rng.randn(300, N_FEATURES)
    Y = np.sin(2 * X[:, [0]]) + 0.1 * rng.randn(300, 1)
    found = solve(network_of("squared_error", 1), X, (Y - Y.mean()) / Y.std())
    precision = found.state["precision"]
    assert precision[1:3].min() > 10 * precision[0]


@pytest.mark.parametrize("seed", range(3))
def test_begins_at_the_ridge_regression_of_largest_evidence(seed):
    rng = RandomState(seed)
    network = network_of("squared_error", 1, skip=True)
    X = rng.randn(N_ROWS, N_FEATURES)
    y = X @ [1, -0.5, 0] + rng.randn(N_ROWS)
    y = (y - y.mean()) / y.std()
    rows = ArrayRows(X, y[:, None])
    theta, prior, beta = module._start(network, rows, rng.randn(network.shape.size))
    parts, precision = network.shape.views(theta), prior.precision[-1]
    ridge = Ridge(alpha=precision / beta[0], tol=1e-12).fit(X, y)
    assert_allclose(parts.W0[:, 0], ridge.coef_, rtol=1e-3, atol=1e-3)
    assert_allclose(parts.b2, ridge.intercept_, atol=1e-3)
    # MacKay's conditions
    A = beta[0] * (X - X.mean(axis=0)).T @ (X - X.mean(axis=0)) + precision * np.eye(N_FEATURES)
    gamma = N_FEATURES - precision * np.trace(np.linalg.inv(A))
    assert_allclose(precision, gamma / (ridge.coef_ @ ridge.coef_), rtol=0.05)
    residual = y - ridge.predict(X)
    assert_allclose(beta, (N_ROWS - gamma - 1) / (residual @ residual), rtol=0.01)


def test_begins_at_the_logistic_regression_of_largest_evidence(rng):
    network = network_of("binary_log_loss", 1, skip=True)
    X = rng.randn(N_ROWS, N_FEATURES)
    y = (X @ [1, -0.5, 0] + rng.logistic(size=N_ROWS) > 0) * 1.0
    theta, prior, beta = module._start(network, ArrayRows(X, y[:, None]), rng.randn(21 + 3))
    parts = network.shape.views(theta)
    logistic = LogisticRegression(C=1 / prior.precision[-1], tol=1e-10).fit(X, y)
    assert_allclose(parts.W0, logistic.coef_.T, rtol=1e-2, atol=1e-3)
    assert_allclose(parts.b2, logistic.intercept_, atol=1e-3)
    assert beta == 1


@every_target
def test_begins_at_a_linear_model_whatever_the_outputs(loss, n_outputs, table):
    X, Y = table(loss, n_outputs)
    network = network_of(loss, n_outputs, skip=True)
    theta, prior, _ = module._start(network, ArrayRows(X, Y), np.ones(network.shape.size))
    parts = network.shape.views(theta)
    assert parts.W0.any()
    assert prior.precision.shape == (N_FEATURES + 3,)
    scratch = np.empty((N_ROWS, n_outputs), order="F")
    linear, nothing = (
        network.loss.loss_gradient(np.asfortranarray(Z2), Y, scratch).sum()
        for Z2 in (X @ parts.W0 + parts.b2, np.zeros((N_ROWS, n_outputs)))
    )
    assert linear < nothing


@either_skip
def test_begins_almost_linear_and_leaves_the_draw_alone(skip, rng):
    network = network_of("squared_error", 1, skip)
    X, Y = rng.randn(N_ROWS, N_FEATURES), rng.randn(N_ROWS, 1)
    drawn = rng.randn(network.shape.size)
    before = drawn.copy()
    theta, _, beta = module._start(network, ArrayRows(X, Y), drawn)
    assert_array_equal(drawn, before)
    ours, theirs = network.shape.views(theta), network.shape.views(drawn)
    assert_array_equal(ours.layer1, theirs.layer1)
    assert_allclose(ours.W2, module.SMALL_START * theirs.W2)
    assert (beta is None) == (not skip)


@every_target
def test_weights_are_copies(loss, n_outputs, table, rng):
    """Rows in another order, however often, may not matter: a few steps from one start."""
    X, Y = table(loss, n_outputs)
    network = network_of(loss, n_outputs, skip=n_outputs == 1)
    copies = rng.randint(1, 4, N_ROWS)
    repeated = np.repeat(np.arange(N_ROWS), copies)
    relative = copies / copies.mean()
    weighted = solve(network, X, Y, relative, float(copies.sum()), max_iter=8)
    plain = solve(network, X[repeated], Y[repeated], max_iter=8)
    ours, theirs = weighted.posterior, plain.posterior
    for name in ("alpha", "noise", "n_effective_parameters", "log_evidence"):
        expected = getattr(theirs, name)
        assert_allclose(getattr(ours, name), expected, rtol=1e-6, err_msg=name)
    assert_allclose(ours.theta, theirs.theta, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("loss", "n_outputs"), [("squared_error", 1), ("log_loss", 3)])
def test_the_curve_is_of_the_evidence_per_unit_of_weight(loss, n_outputs, table, rng):
    X, Y = table(loss, n_outputs)
    weights = 1.0 + rng.randint(5, size=N_ROWS)
    settings = Settings(solver="lm", hidden_size=N_HIDDEN, activation="tanh")
    fitted = training.fit(training.task(X, Y, weights, n_outputs, loss, settings))
    evidence = fitted.solution.posterior.log_evidence
    assert_allclose(fitted.monitor.loss_curve[-1] * weights.sum(), -evidence, rtol=1e-9)


@every_target
def test_the_mode_and_its_precisions_are_kept_together(loss, n_outputs, table):
    network = network_of(loss, n_outputs)
    X, Y = table(loss, n_outputs)
    solution = solve(network, X, Y)
    found = solution.posterior
    assert solution.status is Status.CONVERGED
    assert_array_equal(solution.theta, found.theta)
    assert_allclose(found.alpha, solution.state["precision"] * found.noise.mean())
    assert_allclose(solution.state["beta"], 1 / found.noise)
    assert solution.value == -found.log_evidence
    size = network.shape.size
    assert found.covariance.shape == (size, size)
    assert 0 < found.n_effective_parameters < size


@every_target
@pytest.mark.parametrize("max_iter", [2, 20, 100])
def test_the_last_iteration_is_the_one_that_is_kept(loss, n_outputs, max_iter, table):
    network = network_of(loss, n_outputs)
    theta = 0.5 * RandomState(3).randn(network.shape.size)
    monitor = Monitor(tol=0, patience=10**9)
    settings = Settings(store_posterior=True, max_iter=max_iter, dtype="float64")
    objective = Objective(network, ArrayRows(*table(loss, n_outputs)), 0.0)
    solution = module.solve(objective, theta, settings, monitor, RandomState(0))
    assert monitor.best_iter == len(monitor.loss_curve) == solution.n_iter
    assert_array_equal(monitor.best_theta, solution.theta)
    assert monitor.loss_curve[-1] == solution.value / N_ROWS


@every_target
def test_going_on_from_the_end_changes_little(loss, n_outputs, table):
    network = network_of(loss, n_outputs)
    X, Y = table(loss, n_outputs)
    first = solve(network, X, Y)
    again = solve(network, X, Y, theta=first.theta, state=first.state)
    assert abs(again.value - first.value) < 2
    assert again.n_iter < first.n_iter


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_theta_has_the_precision_asked_for_and_the_posterior_that_of_the_computation(dtype, table):
    network = network_of("squared_error", 1, skip=True)
    solution = solve(network, *table("squared_error", 1), dtype=dtype)
    assert solution.theta.dtype == dtype
    assert solution.posterior.theta.dtype == np.float64
    assert solution.posterior.covariance.dtype == np.float64


@pytest.mark.parametrize("max_iter", [1, 2, 5])
def test_a_short_budget_is_told(max_iter, table):
    network = network_of("squared_error", 1)
    solution = solve(network, *table("squared_error", 1), max_iter=max_iter)
    assert solution.status is Status.MAX_ITER
    assert solution.n_iter == max_iter


def test_a_callback_stops_it(table):
    X, Y = table("squared_error", 1)
    network = network_of("squared_error", 1)
    seen = []

    def callback(progress):
        seen.append(progress)
        return len(seen) == 4

    monitor = Monitor(tol=0, patience=10**9, callback=callback)
    theta = 0.5 * RandomState(3).randn(network.shape.size)
    objective = Objective(network, ArrayRows(X, Y), 0.0)
    settings = Settings(dtype="float64", max_iter=100)
    solution = module.solve(objective, theta, settings, monitor, RandomState(0))
    assert solution.status is Status.STOPPED
    assert solution.n_iter == len(seen) == 4


@pytest.mark.parametrize(("loss", "n_outputs"), [("squared_error", 1), ("log_loss", 3)])
def test_the_start_of_largest_evidence_is_kept(loss, n_outputs, table):
    X, Y = table(loss, n_outputs)
    settings = Settings(solver="lm", hidden_size=N_HIDDEN, activation="tanh", n_init=4)
    task = training.task(X, Y, None, n_outputs, loss, settings)
    best = training.fit(task)
    seeds = RandomState(0).randint(np.iinfo(np.int32).max, size=4)
    single = replace(task, settings=replace(settings, n_init=1))
    found = [training.fit(single, seed).solution.posterior.log_evidence for seed in seeds]
    assert best.solution.posterior.log_evidence == max(found)
    assert len(set(found)) > 1
