from dataclasses import replace

import numpy as np
import pytest
from numpy.random import RandomState
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import make_friedman1

import training
from kinds import every_target
from sklearn_twolayer import engine
from sklearn_twolayer.engine.bayes import reestimation as module
from sklearn_twolayer.engine.bayes.evidence import LARGEST_PRECISION, relevance_prior
from sklearn_twolayer.engine.bayes.kronecker import KroneckerCovariance
from sklearn_twolayer.engine.bayes.reestimation import (
    ROWS_TO_ESTIMATE,
    SETTLED,
    STEPS_BETWEEN,
    EvidenceObjective,
)
from sklearn_twolayer.engine.data.rows import ArrayRows
from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.losses import LOSSES
from sklearn_twolayer.engine.model.network import Network
from sklearn_twolayer.engine.model.parameters import Shape
from sklearn_twolayer.engine.settings import Settings
from sklearn_twolayer.engine.solvers import SOLVERS
from sklearn_twolayer.engine.solvers.monitor import Monitor
from sklearn_twolayer.engine.solvers.objective import Objective
from sklearn_twolayer.engine.solvers.penalty import per_parameter
from sklearn_twolayer.engine.solvers.solution import Status

N_ROWS, N_FEATURES, N_HIDDEN = 90, 3, 4
FOLLOWING = sorted(set(SOLVERS) - {"lm"})
every_solver = pytest.mark.parametrize("solver", FOLLOWING)
SHORT = {"max_iter": 30, "batch_size": 20, "learning_rate": "constant", "learning_rate_init": 0.01}
"""Enough mini-batches for a few estimates."""


def table(loss, n_outputs, rng, n_rows=N_ROWS):
    """What depends on some columns of X, with noise of half its deviation."""
    X = rng.randn(n_rows, N_FEATURES)
    Z = np.sin(2 * X[:, :2]) @ rng.randn(2, n_outputs)
    Z += 0.5 * Z.std(axis=0) * np.arange(1, n_outputs + 1) * rng.randn(n_rows, n_outputs)
    if loss == "log_loss":
        return X, Z.argmax(axis=1)
    return X, (Z - Z.mean(axis=0)) / Z.std(axis=0) if loss == "squared_error" else (Z > 0) * 1.0


def network_of(loss, n_outputs, skip=False):
    return Network(Shape(N_FEATURES, N_HIDDEN, n_outputs, skip), ACTIVATIONS["tanh"], LOSSES[loss])


def objective_of(network, rows, beta=None, total=None, seed=0, **options):
    prior = relevance_prior(network.shape, np.ones(network.shape.n_groups))
    objective = Objective(network, rows, 0.0, total)
    return EvidenceObjective(objective, prior, beta, RandomState(seed), **options)


def solve(network, rows, solver, state=None, theta=None, monitor=None, seed=0, **options):
    settings = Settings(**{"solver": solver, "dtype": "float64", **SHORT, **options})
    if theta is None:
        theta = 0.3 * RandomState(1).randn(network.shape.size)
    monitor = monitor or Monitor(tol=0, patience=10**9)
    objective = Objective(network, rows, 0.0)
    return module.solve(
        objective, theta.astype(settings.dtype), settings, monitor, RandomState(seed), state
    )


def fit(X, Y, loss, n_outputs, weights=None, seed=0, **options):
    settings = Settings(**{"activation": "tanh", "hidden_size": N_HIDDEN, "skip": False, **options})
    return training.fit(training.task(X, Y, weights, n_outputs, loss, settings), seed)


# the function that is minimised -----------------------------------------------------------------


@every_target
def test_is_the_log_posterior_divided_by_the_noise(loss, n_outputs, rng):
    """F n / (mean noise) = sum_k beta_k E_k + 1/2 sum_g precision_g |theta_g|^2."""
    network, weights = network_of(loss, n_outputs, skip=True), 0.5 + rng.rand(N_ROWS)
    X, Y = table(loss, n_outputs, rng)
    rows = ArrayRows(X, Y, weights)
    beta = 0.5 + rng.rand(n_outputs) if loss == "squared_error" else None
    F = objective_of(network, rows, beta)
    F.precision = 0.5 + rng.rand(network.shape.n_groups)
    F._follow()
    theta = rng.randn(network.shape.size)
    p = network.shape.views(theta)
    Z2 = np.asfortranarray(np.tanh(X @ p.W1 + p.b1) @ p.W2 + p.b2 + X @ p.W0)
    if beta is None:
        noise, losses = 1.0, LOSSES[loss].loss_gradient(Z2, Y, np.empty_like(Z2, order="F"))
    else:
        noise, losses = (1 / beta).mean(), 0.5 * (Z2 - Y) ** 2 @ beta
    prior = per_parameter(F.precision, network.shape.groups())
    expected = noise * (weights @ losses + 0.5 * prior @ theta**2) / weights.sum()
    value, gradient = F(theta)
    assert_allclose(value, expected, rtol=1e-12)
    assert_allclose(F.value(theta), expected, rtol=1e-12)
    assert_allclose(F.alpha, F.precision * noise)
    for i in range(0, len(theta), 3):
        step = np.zeros_like(theta)
        step[i] = 1e-6
        slope = (F.value(theta + step) - F.value(theta - step)) / 2e-6
        assert_allclose(gradient[i], slope, rtol=1e-5, atol=1e-8)


@every_target
def test_the_precisions_are_those_that_the_posterior_suggests(loss, n_outputs, rng):
    network = network_of(loss, n_outputs)
    rows = ArrayRows(*table(loss, n_outputs, rng))
    F, theta = objective_of(network, rows), 0.5 * rng.randn(network.shape.size)
    found = F.laplace(theta).estimate()
    before, old = F.value(theta), F.precision
    assert F.adapt(theta, STEPS_BETWEEN)
    assert_array_equal(F.precision, F.prior.update(found, old))
    assert_array_equal(F.beta, np.clip(found.beta, 0.1, 10))
    assert F.precision[N_FEATURES + 1] == 1  # of W2
    assert F.value(theta) != before
    other = objective_of(network, rows, F.beta)
    other.precision = F.precision
    other._follow()
    assert F.value(theta) == other.value(theta)


def test_waits_for_some_steps_but_not_at_a_minimum(rng):
    network = network_of("squared_error", 1)
    rows = ArrayRows(*table("squared_error", 1, rng))
    theta = 0.5 * rng.randn(network.shape.size)
    F = objective_of(network, rows, steps_between=50)
    assert not F.adapt(theta, 30)
    assert not F.adapt(theta, 19)
    assert F.adapt(theta, 1)
    assert not F.adapt(theta, 49)
    assert F.adapt(theta, np.inf)
    assert F.n_steps == 0


def test_settles_where_the_weights_stand_still(rng):
    network = network_of("squared_error", 2)
    rows = ArrayRows(*table("squared_error", 2, rng))
    theta = 0.5 * rng.randn(network.shape.size)
    F, n_changes = objective_of(network, rows), 0
    while F.adapt(theta, np.inf):
        n_changes += 1
        assert n_changes < 200
    assert n_changes > 1
    found = F.laplace(theta).estimate()
    # what is left open is no change, and is not taken
    assert np.abs(np.log(found.beta / F.beta)).max() <= SETTLED
    moved = np.abs(np.log(F.prior.update(found, F.precision) / F.precision))
    assert found.gamma @ moved / found.gamma.sum() <= SETTLED
    assert moved.max() > 0


@pytest.mark.parametrize("size", [np.nan, np.inf, 1e200])
def test_weights_that_tell_nothing_change_nothing(size, rng):
    network = network_of("squared_error", 1)
    F = objective_of(network, ArrayRows(*table("squared_error", 1, rng)))
    theta = rng.randn(network.shape.size)
    theta[-2] = size
    with np.errstate(all="ignore"):
        assert not F.adapt(theta, np.inf)
        assert F.laplace(theta) is None
    assert_array_equal(F.precision, 1)
    assert_array_equal(F.beta, 1)


def test_an_estimate_that_is_not_finite_is_not_taken(rng, monkeypatch):
    network = network_of("squared_error", 2)
    F = objective_of(network, ArrayRows(*table("squared_error", 2, rng)))
    theta = rng.randn(network.shape.size)
    found = F.laplace(theta).estimate()
    broken = [replace(found, beta=found.beta * [1, np.nan])]
    broken += [replace(found, precision=found.precision * np.nan)]
    for estimate in broken:
        monkeypatch.setattr(module.KroneckerLaplace, "estimate", lambda self, e=estimate: e)
        assert not F.adapt(theta, np.inf)
        assert_array_equal(F.precision, 1)
        assert_array_equal(F.beta, 1)


# the rows that are asked ------------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [ROWS_TO_ESTIMATE, ROWS_TO_ESTIMATE + 1, 3 * ROWS_TO_ESTIMATE])
def test_as_many_rows_are_asked_as_it_takes(n_rows, rng):
    network = network_of("squared_error", 1)
    X, Y = table("squared_error", 1, rng, n_rows)
    F = objective_of(network, ArrayRows(X, Y))
    asked = np.concatenate([X.with_ones() for X, *_ in F.asked.blocks()])
    assert len(np.unique(asked[:, 0])) == len(asked) == ROWS_TO_ESTIMATE
    assert set(asked[:, 0]) <= set(X[:, 0])
    # they stand for all
    assert F.laplace(rng.randn(network.shape.size)).factors.n == n_rows


@every_target
def test_weights_are_copies(loss, n_outputs, rng):
    """A single estimate, and the penalty; weights come relative to their mean."""
    copies = rng.randint(1, 4, size=N_ROWS)
    network = network_of(loss, n_outputs, skip=True)
    X, Y = table(loss, n_outputs, rng)
    repeated, relative = np.repeat(np.arange(N_ROWS), copies), copies / copies.mean()
    weighted = ArrayRows(X, Y, relative, copies=copies.mean())
    ours = objective_of(network, weighted, total=float(copies.sum()))
    theirs = objective_of(network, ArrayRows(X[repeated], Y[repeated]))
    theta = 0.5 * rng.randn(network.shape.size)
    assert ours.adapt(theta, np.inf) and theirs.adapt(theta, np.inf)
    assert ours.adapt(theta, np.inf) == theirs.adapt(theta, np.inf)
    assert_allclose(ours.precision, theirs.precision, rtol=1e-10)
    assert_allclose(ours.beta, theirs.beta, rtol=1e-10)
    assert_allclose(ours.value(theta), theirs.value(theta), rtol=1e-10)
    of_ours, of_theirs = (module._posterior(each, each.laplace(theta)) for each in (ours, theirs))
    for name in ("alpha", "noise", "n_effective_parameters", "log_evidence"):
        assert_allclose(getattr(of_ours, name), getattr(of_theirs, name), rtol=1e-10)


@every_target
def test_weights_are_copies_for_a_solver_of_all_rows(loss, n_outputs, rng):
    copies = rng.randint(1, 4, size=N_ROWS)
    X, Y = table(loss, n_outputs, rng)
    repeated = rng.permutation(np.repeat(np.arange(N_ROWS), copies))
    weighted = fit(X, Y, loss, n_outputs, copies.astype(float), solver="lbfgs")
    plain = fit(X[repeated], Y[repeated], loss, n_outputs, solver="lbfgs")
    assert weighted.solution.n_iter == plain.solution.n_iter
    assert_allclose(weighted.solution.theta, plain.solution.theta, rtol=1e-10, atol=1e-12)
    ours, theirs = weighted.solution.posterior, plain.solution.posterior
    assert np.abs(np.log(ours.alpha[:N_FEATURES])).min() > 0.1
    for name in ("alpha", "noise", "n_effective_parameters", "log_evidence"):
        assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-10)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_sparse_rows_give_what_dense_rows_give(solver, rng):
    X, Y = table("squared_error", 1, rng)
    X[rng.rand(*X.shape) < 0.3] = 0
    network = network_of("squared_error", 1)
    dense, thin = (
        solve(network, ArrayRows(rows, Y), solver, max_iter=5, batch_size=20)
        for rows in (X, sparse.csr_array(X))
    )
    assert_allclose(thin.theta, dense.theta, rtol=1e-6, atol=1e-8)
    assert_allclose(thin.state["precision"], dense.state["precision"], rtol=1e-6)


# what solvers make of it ------------------------------------------------------------------------


@every_solver
@every_target
def test_every_solver_ends_with_a_posterior(loss, n_outputs, solver, rng):
    network = network_of(loss, n_outputs)
    rows = ArrayRows(*table(loss, n_outputs, rng))
    found = solve(network, rows, solver, max_iter=40)
    posterior = found.posterior
    assert isinstance(posterior.covariance, KroneckerCovariance)
    assert_array_equal(posterior.theta, found.theta)
    assert found.value == -posterior.log_evidence
    precision, beta = found.state["precision"], found.state["beta"]
    assert_array_equal(posterior.noise, 1 / beta)
    assert_allclose(posterior.alpha, precision * posterior.noise.mean())
    assert (precision[: N_FEATURES + 1] != 1).all()
    assert precision[N_FEATURES + 1] == 1
    assert 0 < posterior.n_effective_parameters < network.shape.size


@every_solver
@pytest.mark.parametrize(("loss", "n_outputs"), [("squared_error", 2), ("log_loss", 3)])
def test_error_bars_exist_whatever_the_solver(loss, n_outputs, solver, rng):
    X, Y = table(loss, n_outputs, rng)
    fitted = fit(X, Y, loss, n_outputs, solver=solver, **SHORT)
    state = engine.preserve_predictive(fitted.predictive)
    found = []
    for predictive in (fitted.predictive, engine.restore_predictive(state)):
        told = engine.outputs_and_covariance(
            fitted.continuation, LOSSES[loss], predictive, np.vstack([X, 30 * X])
        )
        _, _, covariance = zip(*told, strict=True)
        found.append(np.einsum("ikk->ik", np.concatenate(covariance)))
    assert_array_equal(*found)
    near, far = np.split(found[0], 2)
    assert (near > 0).all()
    # outside the data the network knows less
    assert (far.mean(axis=0) > near.mean(axis=0)).all()


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("n_rows", [N_ROWS, ROWS_TO_ESTIMATE + 100])
def test_the_same_seed_gives_the_same_bits(solver, n_rows, rng):
    X, Y = table("squared_error", 2, rng, n_rows)
    found = [
        fit(X, Y, "squared_error", 2, solver=solver, seed=3, **SHORT).solution for _ in range(2)
    ]
    assert_array_equal(found[0].theta, found[1].theta)
    ours, theirs = (vars(solution.posterior.covariance) for solution in found)
    for name, array in ours.items():
        assert_array_equal(array, theirs[name])
    for name in ("precision", "beta"):
        assert_array_equal(found[0].state[name], found[1].state[name])


@pytest.mark.parametrize(
    ("solver", "options"),
    [
        ("adam", {"max_iter": 80, "batch_size": 64, "learning_rate_init": 0.02}),
        ("lbfgs", {"max_iter": 1000}),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_columns_of_noise_sleep_and_the_noise_is_recovered(solver, options, dtype):
    """friedman1: five columns tell of y, five do not, and the noise has variance one."""
    X, y = make_friedman1(2000, 10, noise=1.0, random_state=0)
    options = {"hidden_size": 30, "learning_rate": "one_cycle", "dtype": dtype, **options}
    solution = fit(X, y[:, None], "squared_error", 1, solver=solver, **options).solution
    assert solution.status is Status.CONVERGED
    assert_allclose(solution.posterior.noise[0] * y.var(), 1, rtol=0.1)
    precision = solution.state["precision"]
    # two of the five that tell do so by a weight or two, as y is linear in them
    informative, noise = np.log(precision[:5]), np.log(precision[5:10])
    assert np.mean(noise) - np.mean(informative) > np.log(5)
    assert np.median(noise) > np.max(informative)
    assert precision.max() <= LARGEST_PRECISION


def test_converges_where_the_precisions_have_settled(rng):
    """At the minimum of F, and the next estimate would be the same."""
    network = network_of("squared_error", 1)
    rows = ArrayRows(*table("squared_error", 1, rng, 300))
    options = {"max_iter": 2000, "tol": 1e-6}
    found = solve(network, rows, "lbfgs", **options)
    assert found.status is Status.CONVERGED
    F = objective_of(network, rows, found.state["beta"])
    F.precision = found.state["precision"]
    F._follow()
    _, gradient = F(found.theta)
    assert np.abs(gradient).max() < 1e-4
    assert not F.adapt(found.theta, np.inf)
    again = solve(network, rows, "lbfgs", found.state, found.theta, **options)
    assert again.status is Status.CONVERGED
    assert again.n_iter < found.n_iter / 5


def test_a_short_budget_of_iterations_is_told(rng):
    network = network_of("squared_error", 1)
    rows = ArrayRows(*table("squared_error", 1, rng))
    found = solve(network, rows, "lbfgs", max_iter=30)
    assert (found.status, found.n_iter) == (Status.MAX_ITER, 30)
    assert found.posterior is not None


# going on ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_goes_on_with_the_precisions_it_has(solver, dtype, rng):
    network = network_of("squared_error", 2)
    rows = ArrayRows(*table("squared_error", 2, rng), dtype=dtype)
    first = solve(network, rows, solver, dtype=dtype)
    state = {k: np.asarray(v, dtype) if np.ndim(v) else v for k, v in first.state.items()}
    state["since_estimate"] = 0.0  # too few steps follow for another one
    again = solve(network, rows, solver, state, first.theta, max_iter=1, dtype=dtype)
    assert_allclose(again.state["precision"], first.state["precision"], rtol=1e-6)
    assert_allclose(again.state["beta"], first.state["beta"], rtol=1e-6)
    assert again.state["precision"].dtype == again.state["beta"].dtype == np.float64
    assert again.theta.dtype == dtype


def test_begins_where_it_is_told_to(rng):
    network = network_of("squared_error", 1)
    rows = ArrayRows(*table("squared_error", 1, rng))
    precision = 1 + np.arange(float(network.shape.n_groups))
    for solver in FOLLOWING:
        state = {"precision": precision, "beta": np.array([3.0]), "since_estimate": 0.0}
        found = solve(network, rows, solver, state, max_iter=1)
        assert_array_equal(found.state["precision"], precision)
        assert found.state["beta"] == 3


@every_solver
def test_who_has_never_made_an_estimate_makes_one_at_the_end(solver, rng):
    network = network_of("squared_error", 1)
    rows = ArrayRows(*table("squared_error", 1, rng))
    state = {"precision": np.ones(network.shape.n_groups), "beta": np.ones(1)}
    found = solve(network, rows, solver, dict(state), max_iter=1)
    F = objective_of(network, rows)
    assert F.adapt(found.theta, np.inf)
    assert_array_equal(found.state["precision"], F.precision)
    assert_array_equal(found.posterior.noise, 1 / F.beta)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_short_chunks_of_a_stream_add_up_to_estimates(solver, rng):
    """A quarter of the batches a chunk: one estimate in four chunks."""
    network = network_of("squared_error", 1)
    rows = ArrayRows(*table("squared_error", 1, rng, 5 * STEPS_BETWEEN))
    options = {"batch_size": 20, "shuffle": False}
    state, theta, changes = None, None, []
    for _ in range(9):
        before = 1.0 if state is None else state["precision"]
        found = solve(network, rows, solver, state, theta, max_iter=1, **options)
        state, theta = found.state, found.theta
        changes.append(bool((state["precision"] != before).any()))
    # who has never made an estimate makes one at the end
    assert changes == [True, *[False, False, False, True] * 2]


def test_runs_of_mini_batches_have_a_number_of_estimates():
    settings = Settings(solver="adam", max_iter=50, batch_size=100)
    assert module._steps_between(settings, 100_000, 1) == 50 * 1000 / module.ESTIMATES
    assert module._steps_between(settings, 300, 1) == STEPS_BETWEEN
    # each takes a product for every output
    assert module._steps_between(settings, 100_000, 50) == 50 * 1000 / 10
    assert module._steps_between(replace(settings, solver="lbfgs"), 100_000, 1) == STEPS_BETWEEN


# where alpha is given ---------------------------------------------------------------------------


@every_target
@pytest.mark.parametrize("several", [False, True], ids=["one alpha", "one for each group"])
def test_of_a_given_alpha_the_noise_alone_is_estimated(loss, n_outputs, several, rng):
    network = network_of(loss, n_outputs, skip=True)
    rows = ArrayRows(*table(loss, n_outputs, rng), 0.5 + rng.rand(N_ROWS))
    alpha = 0.5 + rng.rand(network.shape.n_groups) if several else 0.7
    objective = Objective(network, rows, alpha)
    theta = 0.3 * rng.randn(network.shape.size)
    posterior = module.posterior_of_given(objective, theta, alpha)
    expected = np.full(network.shape.n_groups, alpha)
    if not several:
        expected[N_FEATURES] = 1 / LARGEST_PRECISION  # hidden biases are all but free
    assert_allclose(posterior.alpha, expected, rtol=1e-12)
    F = objective_of(network, rows, 1 / posterior.noise)
    F.precision = expected / posterior.noise.mean()
    laplace = F.laplace(theta)
    if loss == "squared_error":
        assert_allclose(laplace.estimate().beta, F.beta, rtol=1e-3)
    else:
        assert_array_equal(posterior.noise, 1)
    assert_allclose(posterior.log_evidence, laplace.log_evidence, rtol=1e-12)
    of_laplace = vars(laplace.covariance)
    for name in ("scale", "D", "g", "layer2", "layer2_alone"):
        found = getattr(posterior.covariance, name)
        assert_allclose(found, of_laplace[name], rtol=1e-9, atol=1e-12)


def test_without_a_penalty_there_is_a_posterior_as_well(rng):
    network = network_of("squared_error", 1)
    objective = Objective(network, ArrayRows(*table("squared_error", 1, rng)), 0.0)
    theta = 0.3 * rng.randn(network.shape.size)
    posterior = module.posterior_of_given(objective, theta, 0.0)
    assert 0 < posterior.n_effective_parameters <= network.shape.size
    theta[0] = np.nan
    assert module.posterior_of_given(objective, theta, 0.0) is None


# which weights are kept -------------------------------------------------------------------------


@every_solver
def test_the_last_weights_are_kept_unless_rows_judge(solver, rng):
    """Values under different precisions do not compare."""
    network = network_of("squared_error", 1)
    rows = ArrayRows(*table("squared_error", 1, rng))
    monitor = Monitor(tol=0, patience=10**9)
    found = solve(network, rows, solver, monitor=monitor)
    assert monitor.best_iter == len(monitor.loss_curve) == found.n_iter
    scores = iter([5.0, 1.0, 9.0] + [2.0] * 100)
    monitor = Monitor(tol=0, patience=10**9, score=lambda theta: next(scores))
    found = solve(network, rows, solver, monitor=monitor)
    assert monitor.best_iter == 3
    assert_array_equal(found.posterior.theta, monitor.best_theta)


def test_what_diverged_has_no_posterior(rng):
    network = network_of("squared_error", 1)
    rows = ArrayRows(*table("squared_error", 1, rng))
    with np.errstate(all="ignore"):
        found = solve(network, rows, "sgd", learning_rate_init=1e30, max_iter=30)
    assert found.status is Status.DIVERGED
    assert found.posterior is None
    assert np.isfinite(found.state["precision"]).all()
