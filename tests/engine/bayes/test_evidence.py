import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import null_space
from scipy.stats import multivariate_normal
from sklearn.linear_model import BayesianRidge

from sklearn_twolayer.engine.bayes.evidence import (
    LARGEST_BETA,
    LARGEST_PRECISION,
    Laplace,
    Prior,
    Quadratic,
)
from sklearn_twolayer.engine.bayes.search import expand, maximize_evidence
from sklearn_twolayer.engine.data.rows import ArrayRows
from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.losses import LOSSES
from sklearn_twolayer.engine.model.network import Network
from sklearn_twolayer.engine.model.parameters import Shape
from sklearn_twolayer.engine.solvers.penalty import per_parameter
from sklearn_twolayer.engine.solvers.solution import Status

NO_HYPERPRIORS = {"alpha_1": 0, "alpha_2": 0, "lambda_1": 0, "lambda_2": 0}


def linear(X, y, prior, beta):
    """A linear model at its mode, as the evidence sees any model."""
    H = X.T @ X
    theta = np.linalg.solve(beta * H + np.diag(prior), beta * X.T @ y)
    residual = X @ theta - y
    error, gradient = 0.5 * residual @ residual, X.T @ residual
    return Quadratic(theta, np.array([error]), gradient[None], H[None], float(len(y)))


@pytest.fixture
def table(rng):
    X = rng.randn(50, 6)
    return X, X @ [1, -2, 0.5, 0, 0, 0.1] + rng.randn(50)


def alternate(X, y, group, n_iter=1000):
    precision, beta = np.ones(group.max() + 1), np.ones(1)
    for _ in range(n_iter):
        quadratic = linear(X, y, per_parameter(precision, group), beta[0])
        laplace = Laplace(quadratic, group, precision, beta)
        found = laplace.estimate()
        precision, beta, before = found.precision, found.beta, (precision, beta)
    return laplace, found, *before


def test_finds_the_precisions_and_the_score_of_bayesian_ridge(table):
    X, y = table
    ridge = BayesianRidge(
        fit_intercept=False, compute_score=True, tol=1e-12, max_iter=1000, **NO_HYPERPRIORS
    ).fit(X, y)
    laplace, _, precision, beta = alternate(X, y, np.zeros(6, int))
    assert_allclose(precision, ridge.lambda_, rtol=1e-6)
    assert_allclose(beta, ridge.alpha_, rtol=1e-6)
    assert_allclose(laplace.quadratic.theta, ridge.coef_, rtol=1e-6)
    assert_allclose(laplace.log_evidence, ridge.scores_[-1], rtol=1e-6)


@pytest.mark.parametrize("group", [[0] * 6, [0, 1, 1, 0, 2, 2], [2, 2, 1, 1, 1, 0]])
def test_is_the_density_of_the_targets(table, group, rng):
    X, y = table
    group, precision, beta = np.array(group), rng.rand(3) + 0.1, np.array([0.7])
    precision = precision[: group.max() + 1]
    prior = per_parameter(precision, group)
    laplace = Laplace(linear(X, y, prior, beta[0]), group, precision, beta)
    covariance = X @ np.diag(1 / prior) @ X.T + np.eye(len(y)) / beta
    expected = multivariate_normal(np.zeros(len(y)), covariance).logpdf(y)
    assert_allclose(laplace.log_evidence, expected, rtol=1e-8)


def test_a_free_parameter_is_the_limit_of_a_flat_prior_of_density_one(table):
    X, y = table
    group, precision, beta = np.array([0, 0, 0, 0, 0, -1]), np.array([0.5]), np.array([0.7])
    laplace = Laplace(linear(X, y, per_parameter(precision, group), 0.7), group, precision, beta)
    wide = 1e-5
    prior = np.where(group < 0, wide, precision)
    covariance = X @ np.diag(1 / prior) @ X.T + np.eye(len(y)) / beta
    density = multivariate_normal(np.zeros(len(y)), covariance).logpdf(y)
    assert_allclose(laplace.log_evidence, density - 0.5 * np.log(wide / (2 * np.pi)), rtol=1e-5)


def test_new_precisions_are_where_the_evidence_is_largest(table):
    X, y = table
    group = np.array([0, 0, 0, 1, 1, 1])
    found, _, precision, beta = alternate(X, y, group)
    for factor in np.exp([-0.1, 0.1]):
        for others in ((precision * [factor, 1], beta), (precision, beta * factor)):
            quadratic = linear(X, y, per_parameter(others[0], group), others[1][0])
            assert Laplace(quadratic, group, *others).log_evidence < found.log_evidence


def test_gamma_counts_what_the_data_determine(table):
    X, y = table
    group, beta = np.zeros(6, int), np.array([0.7])
    eigenvalues = 0.7 * np.linalg.eigvalsh(X.T @ X)
    for precision in (1e-6, 1.0, 1e6):
        quadratic = linear(X, y, np.full(6, precision), 0.7)
        found = Laplace(quadratic, group, np.array([precision]), beta).estimate()
        assert_allclose(found.gamma, (eigenvalues / (eigenvalues + precision)).sum(), rtol=1e-5)


def test_a_group_of_no_use_is_pruned_and_no_noise_is_bounded(table):
    X, _ = table
    y, group = X[:, 0].copy(), np.array([0, 1, 1, 1, 1, 1])
    with np.errstate(all="raise"):
        laplace, found, *_ = alternate(X, y, group, n_iter=300)
    assert found.precision[1] == pytest.approx(LARGEST_PRECISION)
    assert found.beta == pytest.approx(LARGEST_BETA)
    assert np.isfinite(laplace.log_evidence)


def groups(shape):
    """A prior for the first layer with its biases, one for the second, one for the skip path."""
    group = np.full(shape.size, -1)
    parts = shape.views(group)
    parts.layer1[:], parts.W2[:] = 0, 1
    if shape.skip:
        parts.W0[:] = 2
    return group


def problem(loss, n_outputs, rng, draw_targets, skip=False, n_rows=80, weights=None):
    shape = Shape(3, 4, n_outputs, skip)
    network = Network(shape, ACTIVATIONS["tanh"], LOSSES[loss])
    Y = draw_targets(LOSSES[loss], n_rows, n_outputs)
    return network, ArrayRows(rng.randn(n_rows, 3), Y, weights), 0.3 * rng.randn(shape.size)


def by_brute_force(network, rows, theta, prior, beta):
    """-1/2 log det of the posterior, its gradient taken by differences of the outputs."""
    X, Y, w = rows.take(slice(0, rows.n_rows))
    X, w = X.with_ones()[:, :-1], np.ones(rows.n_rows) if w is None else w
    p_of, skip = network.shape.views, network.shape.skip

    def outputs(at):
        p = p_of(at)
        Z2 = np.tanh(X @ p.W1 + p.b1) @ p.W2 + p.b2
        return Z2 + X @ p.W0 if skip else Z2

    steps = 1e-5 * np.eye(len(theta))
    J = np.stack([(outputs(theta + s) - outputs(theta - s)) / 2e-5 for s in steps], axis=-1)
    Z2 = outputs(theta)
    losses = network.loss.loss_gradient(Z2, Y, np.empty_like(Z2, order="F"))
    C = network.loss.curvature(Z2, Y)
    errors = 0.5 * w @ (Z2 - Y) ** 2 if network.loss.standardizes_target else np.array([w @ losses])
    if network.loss.standardizes_target:
        C = C * beta[:, None]
    A = np.einsum("i,ikp,ikl,ilq->pq", w, J, C, J) + np.diag(prior)
    return errors, A


@pytest.mark.sampled(3)
@pytest.mark.parametrize("skip", [False, True], ids=["no skip", "skip"])
@pytest.mark.parametrize(
    ("loss", "n_outputs"),
    [
        ("squared_error", 1),
        ("squared_error", 3),
        ("binary_log_loss", 1),
        ("binary_log_loss", 2),
        ("log_loss", 3),
    ],
)
def test_of_a_network_is_what_brute_force_says(loss, n_outputs, skip, rng, draw_targets):
    network, rows, theta = problem(
        loss, n_outputs, rng, draw_targets, skip, weights=1 + rng.rand(80)
    )
    group = groups(network.shape)
    found = maximize_evidence(network, rows, theta, Prior.plain(group), max_iter=2000)
    assert found.status is Status.CONVERGED
    prior = per_parameter(found.precision, group)
    errors, A = by_brute_force(network, rows, found.theta, prior, found.beta)
    seen, n_free = np.eye(len(A)), n_outputs
    if loss == "log_loss":
        direction = np.zeros((1, len(A)))
        network.shape.views(direction[0]).b2[:] = 1
        assert_allclose(A @ direction[0], 0, atol=1e-6 * np.abs(A).max())
        seen, n_free = null_space(direction), n_free - 1
    values = np.linalg.eigvalsh(seen.T @ A @ seen)
    expected = (
        -found.beta @ errors
        - 0.5 * prior @ found.theta**2
        + 0.5 * np.log(prior[prior > 0]).sum()
        - 0.5 * np.log(values).sum()
        + 0.5 * n_free * np.log(2 * np.pi)
    )
    if loss == "squared_error":
        expected += 0.5 * rows.sum_weights * np.log(found.beta / (2 * np.pi)).sum()
    assert_allclose(found.log_evidence, expected, rtol=1e-5)
    data = expand(network, rows, found.theta)
    H = np.tensordot(found.beta, data.curvatures, 1)
    assert_allclose(H + np.diag(prior), A, rtol=0, atol=1e-6 * np.abs(A).max())


@pytest.mark.parametrize(("loss", "n_outputs"), [("squared_error", 2), ("log_loss", 3)])
def test_weights_are_copies(loss, n_outputs, rng, draw_targets):
    copies = rng.randint(1, 4, size=80)
    network, rows, theta = problem(loss, n_outputs, rng, draw_targets, weights=copies.astype(float))
    X, Y, _ = rows.take(np.repeat(np.arange(80), copies))
    repeated = ArrayRows(X.with_ones()[:, :-1], Y)
    group = groups(network.shape)
    ours, theirs = (
        maximize_evidence(network, r, theta, Prior.plain(group)) for r in (rows, repeated)
    )
    assert_allclose(ours.log_evidence, theirs.log_evidence, rtol=1e-6)
    assert_allclose(ours.precision, theirs.precision, rtol=1e-4)
    assert_allclose(ours.beta, theirs.beta, rtol=1e-6)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_the_noise_of_a_teacher_is_recovered(n_outputs, rng):
    shape = Shape(3, 4, n_outputs)
    X = rng.randn(1000, 3)
    p = shape.views(rng.randn(shape.size))
    Y = np.tanh(X @ p.W1 + p.b1) @ p.W2
    deviation = np.array([0.2, 0.5])[:n_outputs] * Y.std(axis=0)
    Y = Y + deviation * rng.randn(1000, n_outputs)
    mean, scale = Y.mean(axis=0), Y.std(axis=0)
    network = Network(shape, ACTIVATIONS["tanh"], LOSSES["squared_error"])
    found = maximize_evidence(
        network,
        ArrayRows(X, (Y - mean) / scale),
        0.5 * rng.randn(shape.size),
        Prior.plain(groups(shape)),
        max_iter=1000,
    )
    assert found.status is Status.CONVERGED
    assert_allclose(scale**2 / found.beta, deviation**2, rtol=0.1)


def test_settings_are_left_alone_and_a_short_budget_is_told(rng, draw_targets):
    network, rows, theta = problem("squared_error", 1, rng, draw_targets)
    precision, beta = np.array([2.0, 3.0]), np.array([0.5])
    before = [theta.copy(), precision.copy(), beta.copy()]
    group = groups(network.shape)
    found = maximize_evidence(network, rows, theta, Prior.plain(group, precision), beta, max_iter=1)
    assert found.status is Status.MAX_ITER
    assert found.n_iter == 1
    assert_allclose([*found.precision, *found.beta], [2, 3, 0.5])
    for array, original in zip((theta, precision, beta), before, strict=True):
        np.testing.assert_array_equal(array, original)


@pytest.mark.parametrize(("loss", "n_outputs"), [("squared_error", 2), ("log_loss", 3)])
def test_what_is_seen_of_each_output_adds_up(loss, n_outputs, rng, draw_targets):
    network, rows, theta = problem(loss, n_outputs, rng, draw_targets)
    data = expand(network, rows, theta)
    loss_sum, gradient = rows.reduce(network.loss_gradient, theta)
    assert_allclose(data.errors.sum(), loss_sum, rtol=1e-12)
    assert_allclose(data.gradients.sum(axis=0), gradient, rtol=1e-9, atol=1e-11)


def test_warm_steps_leave_the_precisions_alone(rng, draw_targets):
    network, rows, theta = problem("squared_error", 1, rng, draw_targets)
    prior = Prior.plain(groups(network.shape), np.array([2.0, 3.0]))
    cold = maximize_evidence(network, rows, theta, prior, max_iter=6)
    warm = maximize_evidence(network, rows, theta, prior, max_iter=6, n_warm=5)
    assert_allclose(warm.precision, [2, 3])
    assert (np.abs(np.log(cold.precision / [2, 3])) > 1e-3).all()


def test_last_steps_close_in_on_the_mode_under_the_same_precisions(rng, draw_targets):
    network, rows, theta = problem("squared_error", 1, rng, draw_targets)
    prior = Prior.plain(groups(network.shape))
    short, long = (
        maximize_evidence(network, rows, theta, prior, max_iter=6, n_last=n) for n in (0, 200)
    )
    assert_allclose(long.precision, short.precision)

    def slope(found):
        data = expand(network, rows, found.theta)
        return np.abs(
            found.beta @ data.gradients + per_parameter(found.precision, prior.group) * found.theta
        )

    assert slope(long).max() < 0.1 * slope(short).max()


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("loss", "n_outputs"), [("squared_error", 2), ("log_loss", 3)])
def test_another_way_to_the_mode_may_be_taken(loss, n_outputs, rng, draw_targets):
    """Plain gradient descent with a line search finds the mode that damped steps find, later.

    No step is taken any other way, and each begins with what the one before has left.
    """
    network, rows, theta = problem(loss, n_outputs, rng, draw_targets)
    given, left = [], []

    def descend(target, point, rate):
        given.append(rate)
        for _ in range(60):
            there = point.theta - rate * point.gradient
            if target.value(there) < point.value:
                point, rate = target.expand(there), 2 * rate
                break
            rate /= 2
        left.append(rate)
        return point, rate

    prior = Prior.plain(groups(network.shape), np.array([2.0, 3.0]))
    options = {"max_iter": 1, "tol": 0}
    expected = maximize_evidence(network, rows, theta, prior, n_last=300, **options)
    begun = expected.theta + 0.01 * rng.randn(len(theta))
    found = maximize_evidence(network, rows, begun, prior, n_last=3000, advance=descend, **options)
    assert len(given) == found.n_iter > 1
    assert given[1:] == left[:-1]
    assert_allclose(found.log_evidence, expected.log_evidence, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"max_iter": 1}, Status.MAX_ITER),
        ({"max_iter": 6}, Status.MAX_ITER),
        ({"max_iter": 6, "n_last": 5}, Status.MAX_ITER),
        ({"max_iter": 2000}, Status.CONVERGED),
        ({"max_iter": 2000, "n_warm": 3, "n_last": 5}, Status.CONVERGED),
    ],
)
@pytest.mark.parametrize(("loss", "n_outputs"), [("squared_error", 2), ("log_loss", 3)])
def test_the_last_value_told_is_the_evidence_that_is_kept(
    loss, n_outputs, options, status, rng, draw_targets
):
    network, rows, theta = problem(loss, n_outputs, rng, draw_targets)
    told = []
    found = maximize_evidence(
        network,
        rows,
        theta,
        Prior.plain(groups(network.shape)),
        callback=lambda value, theta: told.append(value),
        **options,
    )
    assert found.status is status
    assert len(told) == found.n_iter
    assert told[-1] == -found.log_evidence
    # an evidence, whatever the precisions of its step: it can be compared from step to step
    assert told[-1] <= told[0]


@pytest.mark.parametrize("stop_at", [1, 3, 5, 8])
def test_a_search_that_is_stopped_keeps_what_it_has_told(stop_at, rng, draw_targets):
    network, rows, theta = problem("squared_error", 1, rng, draw_targets)
    told = []

    def stop(value, theta):
        told.append(value)
        return len(told) == stop_at

    prior = Prior.plain(groups(network.shape))
    found = maximize_evidence(
        network, rows, theta, prior, max_iter=6, n_warm=1, n_last=9, tol=0, callback=stop
    )
    assert found.status is Status.STOPPED
    assert found.n_iter == len(told) == stop_at
    assert told[-1] == -found.log_evidence


def test_under_given_precisions_each_value_told_is_that_of_the_posterior_there(rng, draw_targets):
    network, rows, theta = problem("log_loss", 3, rng, draw_targets)
    group, precision = groups(network.shape), np.array([2.0, 3.0])
    told = []
    found = maximize_evidence(
        network,
        rows,
        theta,
        Prior.plain(group, precision),
        max_iter=4,
        n_warm=4,
        callback=lambda value, theta: told.append((value, theta.copy())),
    )
    direction = np.zeros(network.shape.size)
    network.shape.views(direction).b2[:] = 3**-0.5
    for value, theta in told:
        data = expand(network, rows, theta)
        laplace = Laplace(data, group, precision, np.ones(1), direction)
        assert_allclose(value, -laplace.log_evidence, rtol=1e-9)
    assert_allclose(found.precision, precision)
