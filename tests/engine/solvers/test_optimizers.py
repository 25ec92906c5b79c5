import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_twolayer.engine.settings import Settings
from sklearn_twolayer.engine.solvers.optimizers import OPTIMIZERS

RATES = [0.1, 0.1, 0.05, 0.2, 0.01, 0.1, 0.1]

every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


def gradients(rng):
    return rng.randn(len(RATES), 6) * [1e-6, 1e-3, 1, 1, 1e3, 1e6]


def walk(name, theta, gradients, settings):
    theta = theta.copy()
    state = OPTIMIZERS[name].start(theta)
    path = []
    for gradient, rate in zip(gradients, RATES, strict=True):
        OPTIMIZERS[name].update(theta, gradient.copy(), rate, state, settings)
        path.append(theta.copy())
    return path


def sgd(theta, gradients, settings):
    for g, rate in zip(gradients, RATES, strict=True):
        theta = theta - rate * g
        yield theta


def momentum(theta, gradients, settings):
    v = np.zeros_like(theta)
    for g, rate in zip(gradients, RATES, strict=True):
        v = settings.momentum * v - rate * g
        theta = theta + v
        yield theta


def nesterov(theta, gradients, settings):
    v = np.zeros_like(theta)
    for g, rate in zip(gradients, RATES, strict=True):
        v = settings.momentum * v - rate * g
        theta = theta + settings.momentum * v - rate * g
        yield theta


def rmsprop(theta, gradients, settings):
    s = np.zeros_like(theta)
    for g, rate in zip(gradients, RATES, strict=True):
        s = settings.beta_2 * s + (1 - settings.beta_2) * g**2
        theta = theta - rate * g / (np.sqrt(s) + settings.epsilon)
        yield theta


def adam(theta, gradients, settings):
    m = v = np.zeros_like(theta)
    for t, (g, rate) in enumerate(zip(gradients, RATES, strict=True), start=1):
        m = settings.beta_1 * m + (1 - settings.beta_1) * g
        v = settings.beta_2 * v + (1 - settings.beta_2) * g**2
        corrected = rate * np.sqrt(1 - settings.beta_2**t) / (1 - settings.beta_1**t)
        theta = theta - corrected * m / (np.sqrt(v) + settings.epsilon)
        yield theta


TEXTBOOK = {
    "sgd": ("sgd", sgd, Settings(momentum=0)),
    "sgd, Nesterov without momentum": ("sgd", sgd, Settings(momentum=0, nesterovs_momentum=True)),
    "momentum": ("sgd", momentum, Settings(momentum=0.8, nesterovs_momentum=False)),
    "Nesterov": ("sgd", nesterov, Settings(momentum=0.8, nesterovs_momentum=True)),
    "rmsprop": ("rmsprop", rmsprop, Settings(beta_2=0.9, epsilon=1e-3)),
    "adam": ("adam", adam, Settings()),
    "adam, large epsilon": ("adam", adam, Settings(beta_1=0.8, beta_2=0.95, epsilon=1e-1)),
    "adam without memory": ("adam", adam, Settings(beta_1=0, beta_2=0)),
}


@pytest.mark.parametrize("case", TEXTBOOK)
def test_follows_the_textbook(case, rng):
    name, rule, settings = TEXTBOOK[case]
    theta, steps = rng.randn(6), gradients(rng)
    expected = list(rule(theta, steps, settings))
    assert_allclose(walk(name, theta, steps, settings), expected, rtol=1e-12)


def test_bias_correction_makes_the_first_step_of_adam_as_long_as_the_rate(rng):
    gradient = gradients(rng)[0]
    theta = np.zeros(6)
    settings = Settings(epsilon=1e-20)
    OPTIMIZERS["adam"].update(
        theta, gradient.copy(), 0.1, OPTIMIZERS["adam"].start(theta), settings
    )
    assert_allclose(theta, -0.1 * np.sign(gradient), rtol=1e-12)


@every_optimizer
def test_walks_to_the_bottom_of_a_valley(name):
    steepness = np.array([1.0, 10.0])
    theta = np.array([1.0, -1.0])
    state = OPTIMIZERS[name].start(theta)
    for step in range(800):
        OPTIMIZERS[name].update(theta, steepness * theta, 0.05 * 0.99**step, state, Settings())
    assert_allclose(theta, 0, atol=1e-3)


@every_optimizer
def test_state_survives_pickling_in_the_middle_of_a_walk(name, rng):
    theta, steps = rng.randn(6), gradients(rng)
    expected = walk(name, theta, steps, Settings())[-1]
    state = OPTIMIZERS[name].start(theta)
    for gradient, rate in zip(steps, RATES, strict=True):
        OPTIMIZERS[name].update(theta, gradient, rate, state, Settings())
        state = pickle.loads(pickle.dumps(state))
    assert_array_equal(theta, expected)


@every_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_changes_theta_in_place_and_keeps_the_dtype(name, dtype, rng):
    whole = rng.randn(8).astype(dtype)
    theta, before = whole[1:7], whole.copy()
    state = OPTIMIZERS[name].start(theta)
    OPTIMIZERS[name].update(theta, np.ones(6, dtype), 0.1, state, Settings())
    assert_array_equal(whole != before, [False] + 6 * [True] + [False])
    arrays = [value for value in state.values() if isinstance(value, np.ndarray)]
    assert all(array.dtype == dtype for array in arrays)


@every_optimizer
@pytest.mark.parametrize("every", [1, 3])
def test_a_settled_state_is_the_same_state(name, every, rng):
    theta, steps = rng.randn(6), gradients(rng)
    settings = Settings(beta_1=0.1, beta_2=0.5)
    expected = walk(name, theta, steps, settings)[-1]
    state = OPTIMIZERS[name].start(theta)
    for number, (gradient, rate) in enumerate(zip(steps, RATES, strict=True)):
        OPTIMIZERS[name].update(theta, gradient, rate, state, settings)
        if number % every == 0:
            OPTIMIZERS[name].settle(state)
            assert all(value == 1 for key, value in state.items() if key.endswith("_unit"))
    assert_allclose(theta, expected, rtol=1e-12)


@pytest.mark.parametrize("nesterovs_momentum", [True, False])
@every_optimizer
def test_the_length_is_how_far_a_lasting_gradient_moves_it(name, nesterovs_momentum):
    settings = Settings(momentum=0.8, nesterovs_momentum=nesterovs_momentum, epsilon=0.1)
    gradient, theta = np.array([0.01, -1.0, 100.0]), np.zeros(3)
    state, n_updates = OPTIMIZERS[name].start(theta), 3 if name == "adam" else 8000
    for _ in range(n_updates):
        before = theta.copy()
        OPTIMIZERS[name].update(theta, gradient.copy(), 0.3, state, settings)
    length = OPTIMIZERS[name].length(state, 0.3, settings)
    assert_allclose(theta - before, -length * gradient, rtol=1e-3)
