"""The row space: other axes and fewer columns for the same rows, weights and prior."""

import numpy as np
import pytest
from numpy.random import RandomState
from numpy.testing import assert_allclose

from sklearn_twolayer.engine.bayes.evidence import relevance_prior
from sklearn_twolayer.engine.bayes.kronecker import KroneckerLaplace
from sklearn_twolayer.engine.bayes.kronecker_factors import factors, input_factor
from sklearn_twolayer.engine.bayes.kronecker_outputs import KroneckerOutputs
from sklearn_twolayer.engine.data.inputs import DenseInputs
from sklearn_twolayer.engine.data.rows import ArrayRows
from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.losses import LOSSES
from sklearn_twolayer.engine.model.network import Network
from sklearn_twolayer.engine.model.parameters import Shape
from sklearn_twolayer.engine.model.row_space import coordinates, row_space

N_ROWS, N_COLUMNS, N_HIDDEN = 9, 30, 3


def table(weighted=False):
    """Centred rows, weights among them or not, and deviations of the priors of columns."""
    rng = RandomState(0)
    X, weights = rng.randn(N_ROWS, N_COLUMNS), 0.5 + rng.rand(N_ROWS) if weighted else None
    X -= np.average(X, axis=0, weights=weights)
    rows = ArrayRows(X, rng.randn(N_ROWS, 1), weights)
    return rows, 0.3 + rng.rand(N_COLUMNS)


def laplace(rows, n_columns, precision, theta, blocks=None):
    """The Kronecker posterior around theta, columns having these precisions."""
    shape = Shape(n_columns, N_HIDDEN, 1, blocks=blocks)
    network = Network(shape, ACTIVATIONS["tanh"], LOSSES["squared_error"])
    index = slice(0, rows.n_rows)
    found = factors(
        network, theta, rows, index, rows.sum_weights, input_factor(rows, index, n_columns, 0)
    )
    prior = relevance_prior(shape, np.append(precision, [0.7, 1.0]))
    return network, KroneckerLaplace(found, network, prior, prior.precision, np.array([2.0]))


@pytest.fixture(params=[False, True], ids=["plain", "weighted"])
def both(request):
    """Posteriors on coordinates and, of the same weights and prior, on columns; and the space."""
    rows, deviation = table(request.param)
    space, turned = row_space(rows, deviation)
    shape = Shape(N_COLUMNS, N_HIDDEN, 1)
    theta = RandomState(1).randn(space.shape(shape).size)
    narrow = laplace(turned, N_ROWS, [1.7], theta, ((0, N_ROWS),))
    on_columns = space.on_columns(shape, theta)
    return narrow, laplace(rows, N_COLUMNS, 1.7 / space.spread, on_columns), space, rows


@pytest.mark.parametrize("weighted", [False, True])
def test_coordinates_are_uncorrelated_with_a_mean_square_of_one(weighted):
    rows, deviation = table(weighted)
    _, turned = row_space(rows, deviation)
    Z, w = turned.take(slice(None))[0].with_ones()[:, :-1], rows.weights_of_rows()
    A = (Z * w[:, None]).T @ Z / w.sum()
    assert_allclose(A, np.diag(A.diagonal()), atol=1e-12)
    assert A.trace() == pytest.approx(N_ROWS)
    assert turned.are_uncorrelated
    assert not turned.part(np.arange(4)).are_uncorrelated


def test_coordinates_of_rows_far_from_zero_are_correlated_by_their_mean():
    rng = RandomState(0)
    rows = ArrayRows(5 + rng.randn(N_ROWS, N_COLUMNS), rng.randn(N_ROWS, 1))
    _, turned = row_space(rows, np.ones(N_COLUMNS))
    assert not turned.are_uncorrelated


def test_rows_are_asked_for_what_they_were_turned_to():
    rows, deviation = table(weighted=True)
    space, turned = row_space(rows, deviation)
    Z = turned.take(slice(None))[0].with_ones()[:, :-1]
    found = coordinates(space.basis, space.spread, rows.take(slice(None))[0]).X1
    assert_allclose(found[:, :-2], Z, atol=1e-12)
    assert_allclose(found[:, -2], 0, atol=1e-6)


def test_distance_is_what_a_row_has_outside():
    rows, deviation = table()
    space, _ = row_space(rows, deviation)
    x = RandomState(2).randn(1, N_COLUMNS)
    z = coordinates(space.basis, space.spread, DenseInputs(np.append(x, 1.0)[None])).X1[0]
    assert np.square(z[:-1]).sum() == pytest.approx(np.square(x) @ space.spread)
    assert z[-2] > 0.1


def test_weights_go_there_and_back():
    rows, deviation = table()
    space, _ = row_space(rows, deviation)
    shape = Shape(N_COLUMNS, N_HIDDEN, 1)
    theta = RandomState(3).randn(space.shape(shape).size)
    narrow = space.shape(shape)
    narrow.views(theta).W1[0] = 0  # rows are centred: one eigenvector is none
    again = space.on_coordinates(shape, space.on_columns(shape, theta))
    assert_allclose(again, theta, atol=1e-12)


def test_the_network_and_its_prior_are_the_same(both):
    (_, small), (_, large), *_ = both
    assert_allclose(large.factors.errors, small.factors.errors)
    assert small.log_evidence == pytest.approx(large.log_evidence + outside(small))
    assert small.gamma().sum() == pytest.approx(large.gamma().sum())


def outside(small):
    """Of the evidence, what a weight costs whose coordinate no row has."""
    W1 = small.factors.theta[: N_ROWS * N_HIDDEN].reshape(N_ROWS, N_HIDDEN)
    return -0.5 * 1.7 * np.square(W1[0]).sum()


def test_new_rows_are_as_uncertain_as_on_columns(both):
    (_, small), (network, large), space, _ = both
    rows = DenseInputs(np.column_stack([RandomState(4).randn(5, N_COLUMNS), np.ones(5)]))
    theta = large.factors.theta
    expected = KroneckerOutputs(network, theta, large.covariance).of_rows(rows)
    found = KroneckerOutputs(network, theta, small.covariance.on_columns(space)).of_rows(rows)
    assert_allclose(found[1], expected[1], rtol=1e-9)
    assert_allclose(found[0], expected[0])
