"""Every activation with every loss: what backpropagation says is what differences say."""

import numpy as np
import pytest
from scipy import sparse

from sklearn_twolayer.engine.data.rows import ArrayRows
from sklearn_twolayer.engine.data.scaling import Scaling, moments, no_moments
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


def theta_away_from_kinks(shape, X, scaling, rng):
    """Weights for which no hidden unit is near zero, so that no nudge crosses a kink."""
    standardized = (X - scaling.X.mean) / scaling.X.scale
    while True:
        theta = rng.randn(shape.size)
        p = shape.views(theta)
        if np.abs(standardized @ p.W1 + p.b1).min() > 100 * STEP:
            return theta


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array], ids=["dense", "CSR"])
@pytest.mark.parametrize("alpha", [0, 2.5])
@pytest.mark.parametrize("with_weights", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("skip", [False, True], ids=["no skip", "skip"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_backpropagation_agrees_with_central_differences(
    activation, loss, skip, n_outputs, with_weights, alpha, storage, rng, draw_targets
):
    X, scaling = scaled_inputs(rng)
    shape = Shape(N_FEATURES, N_HIDDEN, n_outputs, skip)
    theta = theta_away_from_kinks(shape, X, scaling, rng)
    Y = draw_targets(LOSSES[loss], N_ROWS, n_outputs)
    weights = rng.rand(N_ROWS) if with_weights else None
    rows = ArrayRows(storage(X), Y, weights, scaling, block_size=4)
    objective = Objective(Network(shape, ACTIVATIONS[activation], LOSSES[loss]), rows, alpha)

    expected = numerical_gradient(objective, theta, STEP, scheme="central")
    _, gradient = objective(theta)
    assert np.linalg.norm(gradient - expected) <= 1e-6 * np.linalg.norm(expected)
