"""The network on encoded columns is that on columns written out, a group for each original one."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from encoded_tables import TABLES, filled, origins, units, write_out, written_out
from sklearn_twolayer.engine.data import encoded as module
from sklearn_twolayer.engine.data.encoded import Encoded, encoded_moments
from sklearn_twolayer.engine.data.moments import moments, no_moments
from sklearn_twolayer.engine.data.rows import ArrayRows
from sklearn_twolayer.engine.data.scaling import Scaling
from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.folding import fold, raw_weights
from sklearn_twolayer.engine.model.losses import LOSSES
from sklearn_twolayer.engine.model.network import Network, raw_prediction
from sklearn_twolayer.engine.model.parameters import Shape
from sklearn_twolayer.engine.solvers.objective import Objective

N_ROWS, N_LATER, N_OUTPUTS = 60, 30, 2

every_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
weighted = pytest.mark.parametrize("with_weights", [False, True], ids=["unweighted", "weighted"])


class Problem:
    """A table, its encoding and units, and a network of any weights on it."""

    def __init__(self, table, rng, with_weights=True, skip=True):
        self.X, self.later = table.draw(N_ROWS, rng), table.draw_later(N_LATER, rng)
        self.weights = rng.rand(N_ROWS) if with_weights else None
        self.Y = 10 + 3 * rng.randn(N_ROWS, N_OUTPUTS)
        self.encoding = table.learn(self.X, self.weights)
        X, _ = encoded_moments(self.X, self.weights, self.encoding)
        self.scaling = Scaling(X, moments(self.Y, self.weights), N_ROWS, float(N_ROWS))
        n = len(X.mean)
        self.shape = Shape(n, 3, N_OUTPUTS, skip, self.encoding.blocks)
        self.plain_shape = Shape(n, 3, N_OUTPUTS, skip)
        self.theta = rng.randn(self.shape.size)

    def objective(self, alpha):
        rows = ArrayRows(
            self.X,
            self.Y,
            self.weights,
            self.scaling,
            block_size=16,
            encoding=self.encoding,
            fill=self.scaling.fill,
        )
        return Objective(network(self.shape), rows, alpha)

    def objective_written_out(self, alpha):
        columns = written_out(self.X, self.encoding, self.weights)
        Y = (self.Y - self.scaling.Y.mean) / self.scaling.Y.deviation
        return Objective(network(self.plain_shape), ArrayRows(columns, Y, self.weights), alpha)


def network(shape):
    return Network(shape, ACTIVATIONS["tanh"], LOSSES["squared_error"])


@every_table
@weighted
@pytest.mark.parametrize("skip", [False, True], ids=["no skip", "skip"])
@pytest.mark.parametrize("in_parts", [False, True], ids=["expanded", "expanded in parts"])
def test_objective_and_gradient(table, with_weights, skip, in_parts, rng, monkeypatch):
    monkeypatch.setattr(module, "LARGE", 0 if in_parts else 2**26)
    problem = Problem(table, rng, with_weights, skip)
    alpha = 0.1 + rng.rand(problem.shape.n_groups)
    n_columns = len(table.columns)
    # all columns of an original one have its precision
    of_each = np.append(alpha[:n_columns][origins(problem.encoding)], alpha[n_columns:])
    for ours, theirs in ((alpha, of_each), (0.7, 0.7)):
        value, gradient = problem.objective(ours)(problem.theta)
        expected_value, expected = problem.objective_written_out(theirs)(problem.theta)
        assert_allclose(value, expected_value, rtol=1e-10)
        assert_allclose(gradient, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


@every_table
def test_predictions_are_those_of_the_network_on_standardized_columns(table, rng):
    problem = Problem(table, rng)
    columns = written_out(problem.X, problem.encoding, problem.weights, problem.later)
    p = problem.shape.views(problem.theta)
    Z2 = np.tanh(columns @ p.W1 + p.b1) @ p.W2 + p.b2 + columns @ p.W0
    expected = problem.scaling.Y.mean + problem.scaling.Y.deviation * Z2

    coefs, intercepts = raw_weights(
        problem.scaling, problem.shape, problem.theta, np.dtype(np.float64)
    )
    rows = Encoded(problem.later, problem.encoding, problem.scaling.fill)
    found = raw_prediction(coefs, intercepts, ACTIVATIONS["tanh"], rows)
    assert_allclose(found, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


@every_table
def test_predictions_are_those_of_the_same_weights_on_raw_columns(table, rng):
    problem = Problem(table, rng)
    mean, _ = units(problem.X, problem.encoding, problem.weights)
    columns = filled(write_out(problem.later, problem.encoding)[0], mean)
    weights = fold(problem.scaling, problem.shape, problem.theta)
    rows = Encoded(problem.later, problem.encoding, problem.scaling.fill)
    expected = raw_prediction(*weights, ACTIVATIONS["tanh"], columns)
    found = raw_prediction(*weights, ACTIVATIONS["tanh"], rows)
    assert_allclose(found, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


def test_a_group_is_an_original_column(rng):
    shape = Problem(TABLES["everything"], rng).shape
    views = shape.views(shape.groups())
    sizes = {0: 66, 1: 1 + 3 + 1, 2: 3 + 1, 3: 90, 4: 1 + 3}
    assert shape.n_groups == 5 + 3
    # wide categories stand behind all others
    expected = np.repeat([1, 2, 4, 0, 3], [sizes[j] for j in (1, 2, 4, 0, 3)])
    assert (views.W1 == expected[:, None]).all()
    assert (views.b1 == 5).all() and (views.W2 == 6).all() and (views.W0 == 7).all()
    assert (views.b2 == -1).all()


def test_no_moments_means_raw_columns(rng):
    """Without standardisation columns count as they are, and what is missing as the mean."""
    problem = Problem(TABLES["everything"], rng)
    columns, _ = write_out(problem.X, problem.encoding)
    columns = filled(columns, units(problem.X, problem.encoding, problem.weights)[0])
    Y = problem.Y
    rows = ArrayRows(
        problem.X,
        Y,
        problem.weights,
        Scaling(no_moments(columns.shape[1]), no_moments(N_OUTPUTS), N_ROWS, float(N_ROWS)),
        encoding=problem.encoding,
        fill=problem.scaling.fill,
    )
    value, gradient = Objective(network(problem.shape), rows, 0.0)(problem.theta)
    plain = Objective(network(problem.plain_shape), ArrayRows(columns, Y, problem.weights), 0.0)
    expected_value, expected = plain(problem.theta)
    assert_allclose(value, expected_value, rtol=1e-10)
    assert_allclose(gradient, expected, rtol=0, atol=1e-10 * np.abs(expected).max())
