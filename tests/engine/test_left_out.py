"""Rows left out by a Newton step, where none were held out: how sure labels are, and quantities."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

import training
from sklearn_twolayer.engine import left_out as module
from sklearn_twolayer.engine.bayes.ensemble import combine, outputs_of
from sklearn_twolayer.engine.bayes.moderation import Moderation, leave_one_out
from sklearn_twolayer.engine.bayes.predictive import OutputCovariance
from sklearn_twolayer.engine.left_out import moderation_without
from sklearn_twolayer.engine.plan import make_plan
from sklearn_twolayer.engine.preparation import prepare
from sklearn_twolayer.engine.run import run
from sklearn_twolayer.engine.settings import Settings
from sklearn_twolayer.engine.solvers.solution import Posterior
from training import labels, planned, quantities

EXACT = Settings(solver="lm", hidden_size=4)
GIVEN = Settings(solver="lbfgs", hidden_size=6, alpha=1.0)
BATCHES = Settings(solver="adam", hidden_size=8, encoding="piecewise_linear", dtype="float32")


def a_posterior(plan, rng, covariance=None):
    size = plan.shape.size
    covariance = 0.1 * np.eye(size) if covariance is None else covariance
    return Posterior(rng.randn(size), covariance, np.ones(1), np.ones(3), 1.0, 0.0)


def test_under_a_given_prior_labels_are_not_moderated(rng):
    """A variance that the caller's prior allows is not one that the data have left."""
    plans, trainings = planned(*labels(40), [EXACT, GIVEN])
    posteriors = [a_posterior(plan, rng) for plan in plans]
    found = moderation_without(plans, trainings, posteriors, np.full(2, 0.5))
    assert found == Moderation(1.0, 0.0)


def test_by_kronecker_factors_a_tenth_of_the_variance_counts(rng):
    plans, trainings = planned(*labels(40), [EXACT, replace(BATCHES, encoding="auto")])
    posteriors = [a_posterior(plans[0], rng), a_posterior(plans[1], rng, covariance="factors")]
    found = moderation_without(plans, trainings, posteriors, np.full(2, 0.5))
    assert found == Moderation(1.0, 0.1)


@pytest.fixture
def left_out(monkeypatch):
    """Z2, covariance and weights of all rows, as moderation is chosen by them."""

    def left_out(plans, trainings, posteriors, a):
        parts = []

        def choose(loss, blocks):
            parts.extend(blocks)
            return Moderation()

        monkeypatch.setattr(module, "choose_moderation", choose)
        moderation_without(plans, trainings, posteriors, a)
        Z2, covariance, _, weights = zip(*parts, strict=True)
        return [np.concatenate(each) for each in (Z2, covariance, weights)]

    return left_out


def test_one_copy_is_left_out_of_those_that_a_weight_stands_for(left_out, rng):
    X, Y = labels(40)
    copies = rng.randint(1, 6, 40)
    (plan,), (rows,) = planned(X, Y, [EXACT], copies.astype(float))
    posterior = a_posterior(plan, rng)
    *ours, weights = left_out([plan], [rows], [posterior], np.ones(1))
    assert_allclose(weights, plan.task.weights)
    # each row as often as it counts, with a weight of one
    index = np.arange(40).repeat(plan.task.weights.astype(int))
    task = replace(plan.task, X=plan.task.X[index], Y=plan.task.Y[index], weights=None)
    copied = prepare(replace(plan, task=task))
    *theirs, weights = left_out([plan], [copied], [posterior], np.ones(1))
    assert_allclose(weights, 1)
    for found, expected in zip(ours, theirs, strict=True):
        assert_allclose(found[index], expected, rtol=1e-9, atol=1e-12)


def test_of_an_average_each_member_leaves_the_row_out(left_out, rng):
    plans, trainings = planned(*labels(40), [EXACT, replace(EXACT, hidden_size=2)])
    posteriors, a = [a_posterior(plan, rng) for plan in plans], np.array([0.7, 0.3])
    Z2, covariance, _ = left_out(plans, trainings, posteriors, a)
    X, Y, _ = trainings[0].rows.take(slice(None))
    told = (
        leave_one_out(
            plan.task.loss,
            *OutputCovariance(plan.network(), p.theta, p.covariance).of_rows(X),
            Y,
            np.ones(40),
        )
        for plan, p in zip(plans, posteriors, strict=True)
    )
    expected = combine(told, a)
    assert_allclose(Z2, expected[0], rtol=1e-9)
    assert_allclose(covariance, expected[1], rtol=1e-9, atol=1e-12)


def test_rows_are_left_out_block_by_block(rng):
    """Three times the rows take no more memory at a time: there are no covariances of all."""
    peaks = []
    for n_rows in (650, 1_950):
        X, Y = rng.randn(n_rows, 2), rng.randint(20, size=n_rows)
        settings = Settings(solver="lm", hidden_size=1)
        plan = make_plan(training.task(X, Y, None, 20, "log_loss", settings))
        rows, size = prepare(plan), plan.shape.size
        posterior = Posterior(rng.randn(size), np.eye(size), np.ones(1), np.ones(20), 1.0, 0.0)
        tracemalloc.start()
        moderation_without([plan] * 2, [rows] * 2, [posterior] * 2, np.array([0.5, 0.5]))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


# how quantities scatter


@pytest.fixture
def residuals_of(monkeypatch):
    """Residuals of rows, with their weights and what else is kept, before they are tabulated."""

    def residuals_of(plans, trainings, posteriors, a):
        found = []
        monkeypatch.setattr(module, "tabulate", lambda *each: found.extend(each))
        module.residuals_without(plans, trainings, posteriors, a)
        return found

    return residuals_of


LINEAR = Settings(solver="lm", hidden_size=1, activation="identity", skip=False)


@pytest.mark.parametrize("weighted", [False, True])
def test_rows_are_left_out_of_exact_posteriors(residuals_of, weighted, rng):
    """As if the linear model had been fitted again without (one copy of) each row."""
    X, Y = quantities(30)
    copies = rng.randint(1, 4, 30).astype(float) if weighted else None
    (plan,), (rows,) = planned(X, Y, [LINEAR], copies)
    part, y, _ = rows.rows.take(slice(None))
    w = np.ones(len(y)) if copies is None else rows.rows.targets()[1]
    theta, noise = rng.randn(plan.shape.size), 0.3
    hidden = part.with_ones() @ plan.shape.views(theta).layer1
    features = np.column_stack([hidden, np.ones(len(y))])

    def solved(weights):
        A = (features.T * weights) @ features / noise + np.diag([2.0, 0.0])
        return np.linalg.inv(A), np.linalg.solve(A, features.T @ (weights * y[:, 0]) / noise)

    covariance = np.zeros((plan.shape.size,) * 2)
    covariance[-2:, -2:], theta[-2:] = solved(w)
    posterior = Posterior(theta, covariance, np.ones(1), np.full(1, noise), 1.0, 0.0)
    found, weights, by_held_out, constant = residuals_of([plan], [rows], [posterior], np.ones(1))
    assert not by_held_out and constant is None
    assert_allclose(weights, w)
    for i in range(len(y)):
        C, mode = solved(w - (np.arange(len(y)) == i))
        scale = np.sqrt(noise + features[i] @ C @ features[i])
        assert_allclose(found[i, 0], (y[i, 0] - features[i] @ mode) / scale, rtol=0.02)


def by_kronecker(settings, n_rows=150, **options):
    """A plan, its rows and its posterior."""
    X, Y = quantities(n_rows)
    plan = make_plan(training.task(X, np.hstack([Y, 10 * Y]), None, 2, "squared_error", settings))
    plan = replace(plan, task=replace(plan.task, **options))
    rows = prepare(plan)
    return plan, rows, run(plan, rows, np.random.RandomState(0)).solution.posterior


def test_kronecker_factors_know_no_rows_but_how_many_parameters(residuals_of):
    plan, rows, posterior = by_kronecker(replace(BATCHES, max_iter=20))
    found, *_ = residuals_of([plan], [rows], [posterior], np.ones(1))
    outputs = outputs_of(plan.network(), posterior.theta, posterior.covariance)
    part, Y, _ = rows.rows.take(slice(None))
    Z2, covariance = outputs.of_rows(part)
    plain = (Y - Z2) / np.sqrt(np.einsum("ikk->ik", covariance) + posterior.noise)
    m = np.mean(plain**2, axis=0)
    assert (m < 0.99).all()
    g = (1 - m) / (1 + m)
    assert_allclose(found, plain / (1 - g / 2), rtol=1e-6)
    # between what is known of training rows and what is not
    assert (np.mean(found**2, axis=0) > m).all() and (np.mean(found**2, axis=0) < 1.1).all()


def test_validation_rows_are_known_to_nobody(residuals_of):
    X, Y = quantities(60, seed=1)
    validation = X, np.hstack([Y, 10 * Y]), np.full(60, 2.0)
    plan, rows, posterior = by_kronecker(replace(BATCHES, max_iter=20), validation=validation)
    found, weights, by_held_out, _ = residuals_of([plan], [rows], [posterior], np.ones(1))
    assert by_held_out
    assert_allclose(weights, 2)
    outputs = outputs_of(plan.network(), posterior.theta, posterior.covariance)
    part, Y, _ = rows.validation.take(slice(None))
    Z2, covariance = outputs.of_rows(part)
    scale = np.sqrt(np.einsum("ikk->ik", covariance) + posterior.noise)
    assert_allclose(found, (Y - Z2) / scale, rtol=1e-6)


def test_some_rows_tell_how_all_scatter(residuals_of, monkeypatch):
    monkeypatch.setattr(module, "MOST_RESIDUALS", 40)
    plan, rows, posterior = by_kronecker(replace(BATCHES, max_iter=2))
    found, weights, *_ = residuals_of([plan], [rows], [posterior], np.ones(1))
    assert found.shape == (40, 2) and weights.shape == (40,)


def test_without_a_posterior_the_noise_is_the_scale(residuals_of):
    plan, rows, posterior = by_kronecker(replace(BATCHES, max_iter=20))
    plan = replace(plan, no_posterior="none was wanted")
    found, _, _, noise = residuals_of([plan], [rows], [posterior], np.ones(1))
    assert_allclose(noise, posterior.noise)
    Z2 = outputs_of(plan.network(), posterior.theta, posterior.covariance).of_rows(
        rows.rows.take(slice(None))[0]
    )[0]
    plain = (rows.rows.Y - Z2) / np.sqrt(posterior.noise)
    g = 1 - np.mean(plain**2, axis=0)
    assert (g > 0.01).all()
    assert_allclose(found, plain / (1 - g / 2), rtol=1e-6)


def test_labels_do_not_scatter():
    plans, trainings = planned(*labels(40), [EXACT])
    assert module.residuals_without(plans, trainings, [], np.ones(1)) is None


def test_weights_alone_have_residuals_and_no_matrices(residuals_of):
    """Of three hundred outputs covariances of all rows would be half a gigabyte."""
    X, Y = quantities(700)
    settings = Settings(solver="lbfgs", hidden_size=2, alpha=1.0)
    plan = make_plan(training.task(X, Y.repeat(300, axis=1), None, 300, "squared_error", settings))
    rows, theta = prepare(plan), np.zeros(plan.shape.size)
    posterior = Posterior(theta, None, np.ones(1), np.ones(300), 0.0, 0.0)
    tracemalloc.start()
    found, _, by_held_out, noise = residuals_of([plan], [rows], [posterior], np.ones(1))
    assert tracemalloc.get_traced_memory()[1] < 5e7
    tracemalloc.stop()
    assert plan.no_posterior and not by_held_out
    assert_allclose(found, rows.rows.Y)
    assert_allclose(noise, 1)
