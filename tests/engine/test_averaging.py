"""Networks of different encodings and activations, averaged: one network, and how sure it is."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.random import RandomState
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm

import training
from encoded_tables import TABLES, filled, write_out, written_out
from sklearn_twolayer import engine
from sklearn_twolayer.engine.averaging import outputs_and_covariance, side_by_side, widest_member
from sklearn_twolayer.engine.bayes.ensemble import Predictive, outputs_of
from sklearn_twolayer.engine.data.encoding import plain
from sklearn_twolayer.engine.data.sources import source
from sklearn_twolayer.engine.model.network import Network
from sklearn_twolayer.engine.plan import make_plan
from sklearn_twolayer.engine.preparation import prepare
from sklearn_twolayer.engine.run import run
from sklearn_twolayer.engine.settings import Settings

N_ROWS = 80
WEIGHTS = np.array([0.5, 0.2, 0.3])
MEMBERS = [
    Settings(solver="lm", hidden_size=3, activation="tanh"),
    Settings(solver="adam", hidden_size=4, encoding="piecewise_linear", activation="relu"),
    Settings(solver="lbfgs", hidden_size=2, activation="gelu", alpha=1.0),
]
FUNCTIONS = {
    "tanh": np.tanh,
    "relu": lambda Z: np.maximum(Z, 0),
    "gelu": lambda Z: Z * norm.cdf(Z),
}
OUTPUTS = {"one": ("squared_error", 1), "two": ("squared_error", 2), "classes": ("log_loss", 3)}

every_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
every_output = pytest.mark.parametrize(("loss", "n_outputs"), OUTPUTS.values(), ids=OUTPUTS)


@pytest.fixture
def fitted(rng, draw_targets):
    """Rows beyond those of training, and three networks that have hardly been trained."""

    def fitted(table, loss, n_outputs, settings=MEMBERS):
        X, later = table.draw(N_ROWS, rng), table.draw_later(30, rng)
        Y = draw_targets(engine.LOSSES[loss], N_ROWS, n_outputs)
        only_numbers = (table.n_levels == engine.NUMBER).all()
        options = {
            "n_levels": None if only_numbers else table.n_levels,
            "has_missing": bool(np.isnan(X).any()),
        }
        fits = []
        for seed, asked in enumerate(settings):
            asked = replace(asked, max_iter=3, n_knots=3)
            plan = make_plan(training.task(X, Y, None, n_outputs, loss, asked, **options))
            fits.append(run(plan, prepare(plan), RandomState(seed)))
        return X, later, fits

    return fitted


def encoding_of(fit, X):
    return fit.continuation.encoding or plain(X.shape[1])


def raw_outputs(fit, X):
    """Of one network, by its own formula on columns that are written out."""
    columns = filled(write_out(X, encoding_of(fit, X))[0], fit.continuation.scaling.fill)
    (W1, W2, *W0), (b1, b2) = fit.coefs, fit.intercepts
    value = FUNCTIONS[fit.continuation.choices.activation]
    Z2 = value(columns @ W1 + b1) @ W2 + b2
    return Z2 + columns @ W0[0] if W0 else Z2


def encoded(found, X):
    """Rows as an estimator hands them over."""
    widest = widest_member(found.continuation)
    return engine.Encoded(X, widest.encoding or plain(X.shape[1]), widest.scaling.fill)


def raw_outputs_of_average(found, X):
    table = encoded(found, X)
    activation = engine.side_by_side_activation(*engine.activation_of(found.continuation))
    return engine.raw_prediction(found.coefs, found.intercepts, activation, table)


@pytest.mark.sampled(2)
@every_table
@every_output
def test_the_wide_network_computes_the_weighted_sum(table, loss, n_outputs, fitted):
    X, later, fits = fitted(table, loss, n_outputs)
    found = side_by_side(fits, WEIGHTS)
    for rows in (X, later):
        expected = np.tensordot(WEIGHTS, [raw_outputs(fit, rows) for fit in fits], 1)
        assert_allclose(raw_outputs_of_average(found, rows), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.sampled(2)
@every_table
@pytest.mark.parametrize("order", [[0, 1, 2], [1, 2, 0], [2, 0, 1]], ids=str)
def test_the_order_of_members_does_not_matter(table, order, fitted):
    _, later, fits = fitted(table, "squared_error", 1)
    expected = raw_outputs_of_average(side_by_side(fits, WEIGHTS), later)
    found = side_by_side([fits[i] for i in order], WEIGHTS[order])
    assert_allclose(raw_outputs_of_average(found, later), expected, rtol=1e-9, atol=1e-9)


@every_table
def test_hidden_units_stand_side_by_side(table, fitted):
    X, _, fits = fitted(table, "squared_error", 1)
    found = side_by_side(fits, WEIGHTS)
    n_encoded = max(int(encoding_of(fit, X).sizes.sum()) for fit in fits)
    W1, W2, W0 = found.coefs
    assert W1.shape == (n_encoded, 9) and W2.shape == (9, 1) and W0.shape == (n_encoded, 1)
    assert_array_equal(found.intercepts[0], np.concatenate([f.intercepts[0] for f in fits]))
    assert engine.activation_of(found.continuation) == (["tanh", "relu", "gelu"], [3, 4, 2])
    assert [
        m.theta is f.continuation.theta
        for m, f in zip(found.continuation.members, fits, strict=True)
    ] == [True] * 3
    assert_array_equal(found.continuation.member_weights, WEIGHTS)


@pytest.mark.sampled(2)
@every_table
@every_output
def test_the_covariance_is_that_of_a_mixture(table, loss, n_outputs, fitted):
    X, later, fits = fitted(table, loss, n_outputs)
    found, posteriors = side_by_side(fits, WEIGHTS), [fit.solution.posterior for fit in fits]
    thetas, covariances = [p.theta for p in posteriors], [p.covariance for p in posteriors]
    predictive = Predictive(thetas, covariances, WEIGHTS)
    blocks = outputs_and_covariance(
        found.continuation, engine.LOSSES[loss], predictive, encoded(found, later)
    )
    parts = [np.concatenate(part) for part in zip(*((Z2, V) for _, Z2, V in blocks), strict=True)]
    means, within = zip(*(alone(fit, loss, X, later) for fit in fits), strict=True)
    means, within = np.array(means), np.array(within)
    mean = np.tensordot(WEIGHTS, means, 1)
    second = within + means[..., None] * means[..., None, :]
    expected = np.tensordot(WEIGHTS, second, 1) - mean[..., None] * mean[..., None, :]
    assert_allclose(parts[0], mean, rtol=1e-5, atol=1e-5)
    assert_allclose(parts[1], expected, rtol=1e-4, atol=1e-5)
    assert parts[1].shape == (30, n_outputs, n_outputs)


def alone(fit, loss, X, later):
    """Mean and covariance of one network, on standardised columns that are written out."""
    start, encoding, posterior = fit.continuation, encoding_of(fit, X), fit.solution.posterior
    columns = written_out(X, encoding, later=later)
    blocks = start.encoding.blocks if start.encoding else None
    shape = engine.Shape(
        columns.shape[1],
        start.choices.hidden_size,
        len(start.scaling.Y_scale),
        start.choices.skip,
        blocks,
    )
    activation = engine.ACTIVATIONS[start.choices.activation]
    network = Network(shape, activation, engine.LOSSES[loss])
    rows = source(columns, None, np.dtype(np.float64)).take(slice(None))
    return outputs_of(network, posterior.theta, posterior.covariance).of_rows(rows)


def test_one_network_is_its_own_average(fitted):
    """Of several members alike the average is each of them."""
    _, later, (fit, *_) = fitted(TABLES["everything"], "squared_error", 1)
    found = side_by_side([fit] * 3, WEIGHTS)
    assert_allclose(raw_outputs_of_average(found, later), raw_outputs(fit, later), rtol=1e-9)


def test_single_and_double_precision_meet_in_the_wider(fitted):
    _, _, fits = fitted(TABLES["numbers"], "squared_error", 1)
    narrow = replace(fits[1], coefs=[W.astype(np.float32) for W in fits[1].coefs])
    found = side_by_side([fits[0], narrow, fits[2]], WEIGHTS)
    assert {W.dtype for W in found.coefs} == {np.dtype(np.float64)}
