"""The smallest instance: XOR, two hidden units, plain gradient descent, by its own formulas."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import training
from sklearn_twolayer import TwoLayerClassifier, engine
from sklearn_twolayer.engine.data.rows import ArrayRows
from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.losses import LOSSES
from sklearn_twolayer.engine.model.network import Network
from sklearn_twolayer.engine.model.parameters import Shape
from sklearn_twolayer.engine.solvers.objective import Objective

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = np.array([[0.0], [1.0], [1.0], [0.0]])
RATE = 0.03


def draw():
    random_state = np.random.RandomState(0)
    shapes = ((2, 2), (1, 2), (2, 1), (1, 1))
    return [random_state.randn(*shape) for shape in shapes]


def loss_and_gradients(W1, b1, W2, b2):
    m = len(X)
    Z1 = X @ W1 + b1
    A1 = np.maximum(Z1, 0)
    Z2 = A1 @ W2 + b2
    P = 1 / (1 + np.exp(-Z2))
    loss = -np.mean(Y * np.log(P) + (1 - Y) * np.log(1 - P))
    dZ2 = P - Y
    dZ1 = (dZ2 @ W2.T) * (Z1 > 0)
    return loss, (X.T @ dZ1 / m, dZ1.sum(axis=0) / m, A1.T @ dZ2 / m, dZ2.sum(axis=0) / m)


def descend(n_epochs):
    """The losses before each epoch and the weights after the last."""
    parameters, losses = draw(), []
    for _ in range(n_epochs):
        loss, gradients = loss_and_gradients(*parameters)
        losses.append(loss)
        parameters = [p - RATE * g for p, g in zip(parameters, gradients, strict=True)]
    return losses, flat(parameters)


def flat(parameters):
    return np.concatenate([p.ravel() for p in parameters])


@pytest.fixture
def objective():
    network = Network(Shape(2, 2, 1), ACTIVATIONS["relu"], LOSSES["binary_log_loss"])
    return Objective(network, ArrayRows(X, Y), alpha=0)


def test_follows_the_seed_for_ten_thousand_epochs():
    settings = engine.Settings(
        hidden_size=2,
        activation="relu",
        initializer="standard_normal",
        standardize=False,
        solver="sgd",
        momentum=0,
        alpha=0,
        batch_size=4,
        shuffle=False,
        learning_rate_init=RATE,
        max_iter=10_000,
        tol=0,
        n_iter_no_change=10**9,
    )
    fitted = training.fit(
        training.task(X, Y, None, 1, "binary_log_loss", settings), keep_best=False
    )
    expected_losses, expected_theta = descend(10_000)
    assert fitted.solution.n_iter == 10_000
    assert_allclose(fitted.monitor.loss_curve, expected_losses, rtol=0, atol=1e-10)
    assert_allclose(fitted.solution.theta, expected_theta, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("scheme", "epsilon", "atol"), [("central", 1e-5, 1e-7), ("forward", 1e-4, 1e-3)]
)
def test_nudging_each_parameter_agrees_with_backpropagation(objective, scheme, epsilon, atol):
    _, gradients = loss_and_gradients(*draw())
    nudged = engine.numerical_gradient(objective, flat(draw()), epsilon, scheme)
    assert_allclose(nudged, flat(gradients), rtol=0, atol=atol)
    assert_allclose(objective(flat(draw()))[1], flat(gradients), rtol=0, atol=1e-14)


def test_descent_by_nudging_learns_as_well_as_backpropagation(objective):
    theta = flat(draw())
    for _ in range(1000):
        theta -= RATE * engine.numerical_gradient(objective, theta)
    expected = objective.value(descend(1000)[1])
    assert_allclose(objective.value(theta), expected, rtol=0, atol=1e-3)
    assert expected < loss_and_gradients(*draw())[0] - 0.05


def test_a_suitable_classifier_solves_xor():
    model = TwoLayerClassifier(hidden_size=4, activation="tanh", alpha=0.01, random_state=0)
    y = Y[:, 0].astype(int)
    assert model.fit(X, y).score(X, y) == 1
    assert np.abs(model.predict_proba(X)[:, 1] - y).max() < 0.1
