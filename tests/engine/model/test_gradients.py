"""Every activation with every loss: what backpropagation says is what differences say."""

import numpy as np
import pytest
from scipy import sparse

from encoded_tables import Table, written_out
from kinds import losses_and_activations
from sklearn_twolayer.engine.data import encoded
from sklearn_twolayer.engine.data import encoding as encoding_module
from sklearn_twolayer.engine.data.encoded import encoded_moments
from sklearn_twolayer.engine.data.moments import moments, no_moments
from sklearn_twolayer.engine.data.rows import ArrayRows
from sklearn_twolayer.engine.data.scaling import Scaling
from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.gradient_check import numerical_gradient
from sklearn_twolayer.engine.model.losses import LOSSES
from sklearn_twolayer.engine.model.network import Network
from sklearn_twolayer.engine.model.parameters import Shape
from sklearn_twolayer.engine.solvers.objective import Objective

N_ROWS, N_FEATURES, N_HIDDEN = 7, 3, 4
STEP = 1e-5


def scaled_inputs(rng):
    X = rng.randn(N_ROWS, N_FEATURES) * [1, 10, 0.1] + [0, 5, -1]
    X[rng.rand(N_ROWS, N_FEATURES) < 0.3] = 0
    return X, Scaling(moments(X, None), no_moments(1), N_ROWS, float(N_ROWS))


def theta_away_from_kinks(shape, standardized, rng):
    """Weights for which no hidden unit is near zero, so that no nudge crosses a kink."""
    while True:
        theta = rng.randn(shape.size)
        p = shape.views(theta)
        if np.abs(standardized @ p.W1 + p.b1).min() > 100 * STEP:
            return theta


@pytest.mark.sampled(5)
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array], ids=["dense", "CSR"])
@pytest.mark.parametrize("alpha", [0, 2.5])
@pytest.mark.parametrize("with_weights", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("skip", [False, True], ids=["no skip", "skip"])
@losses_and_activations()
def test_backpropagation_agrees_with_central_differences(
    activation, loss, skip, n_outputs, with_weights, alpha, storage, rng, draw_targets
):
    X, scaling = scaled_inputs(rng)
    shape = Shape(N_FEATURES, N_HIDDEN, n_outputs, skip)
    theta = theta_away_from_kinks(shape, (X - scaling.X.mean) / scaling.X.scale, rng)
    Y = draw_targets(LOSSES[loss], N_ROWS, n_outputs)
    weights = rng.rand(N_ROWS) if with_weights else None
    rows = ArrayRows(storage(X), Y, weights, scaling, block_size=4)
    objective = Objective(Network(shape, ACTIVATIONS[activation], LOSSES[loss]), rows, alpha)

    expected = numerical_gradient(objective, theta, STEP, scheme="central")
    _, gradient = objective(theta)
    assert np.linalg.norm(gradient - expected) <= 1e-6 * np.linalg.norm(expected)


ENCODINGS = {
    "linear": Table(("number missing", "category 3", "category 2 missing", "number")),
    "piecewise linear": Table(("number", "category 2", "number missing"), piecewise_linear=True),
    "wide categories": Table(("category 5 missing", "number missing", "category 6", "category 3")),
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize(("n_outputs", "skip"), [(1, True), (3, False)], ids=["skip", "no skip"])
@losses_and_activations()
@pytest.mark.parametrize("table", ENCODINGS.values(), ids=ENCODINGS)
def test_backpropagation_to_encoded_columns_agrees_with_central_differences(
    table, activation, loss, skip, n_outputs, rng, draw_targets, monkeypatch
):
    monkeypatch.setattr(encoded, "LARGE", 0)
    monkeypatch.setattr(encoding_module, "MANY_LEVELS", 4)
    X, weights = table.draw(N_ROWS, rng), rng.rand(N_ROWS)
    encoding = table.learn(X, weights)
    standardized = written_out(X, encoding, weights)
    moments, _ = encoded_moments(X, weights, encoding)
    scaling = Scaling(moments, no_moments(1), N_ROWS, float(N_ROWS))
    shape = Shape(standardized.shape[1], 2, n_outputs, skip, encoding.blocks)
    theta = theta_away_from_kinks(shape, standardized, rng)
    Y = draw_targets(LOSSES[loss], N_ROWS, n_outputs)
    rows = ArrayRows(X, Y, weights, scaling, block_size=4, encoding=encoding, fill=scaling.fill)
    network = Network(shape, ACTIVATIONS[activation], LOSSES[loss])
    objective = Objective(network, rows, 0.5 + rng.rand(shape.n_groups))

    expected = numerical_gradient(objective, theta, STEP, scheme="central")
    _, gradient = objective(theta)
    assert np.linalg.norm(gradient - expected) <= 1e-6 * np.linalg.norm(expected)
