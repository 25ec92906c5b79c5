import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.initializers import INITIALIZERS, initialize
from sklearn_twolayer.engine.model.parameters import Shape

VARIANCES = {
    "he": lambda fan_in, fan_out: 2 / fan_in,
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "lecun": lambda fan_in, fan_out: 1 / fan_in,
    "standard": lambda fan_in, fan_out: 1,
}

every_initializer = pytest.mark.parametrize("name", INITIALIZERS)


@every_initializer
def test_draws_have_mean_zero_and_the_variance_of_their_name(name, rng):
    W = INITIALIZERS[name].draw(rng, 400, 200)
    expected = VARIANCES[name.split("_")[0]](400, 200)
    assert W.shape == (400, 200)
    assert_allclose(W.var(), expected, rtol=0.02)
    assert_allclose(W.mean() / np.sqrt(expected), 0, atol=0.015)


@every_initializer
def test_draws_have_the_shape_of_their_name(name, rng):
    W = INITIALIZERS[name].draw(rng, 400, 200)
    kurtosis = (W**4).mean() / W.var() ** 2
    expected = {"uniform": 9 / 5, "normal": 3}[name.split("_")[1]]
    assert_allclose(kurtosis, expected, rtol=0.03)


@every_initializer
def test_layers_are_drawn_one_after_the_other(name):
    shape = Shape(5, 4, 3)
    theta = initialize(shape, "relu", name, np.random.RandomState(0))
    random_state = np.random.RandomState(0)
    draws_biases = INITIALIZERS[name].draws_biases
    for W, b in [shape.views(theta)[:2], shape.views(theta)[2:4]]:
        assert_array_equal(W, INITIALIZERS[name].draw(random_state, *W.shape))
        assert_array_equal(b, random_state.randn(len(b)) if draws_biases else 0)


def test_standard_normal_is_the_draw_of_the_seed():
    theta = initialize(Shape(2, 2, 1), "relu", "standard_normal", np.random.RandomState(0))
    random_state = np.random.RandomState(0)
    W1, b1 = random_state.randn(2, 2), random_state.randn(1, 2)
    W2, b2 = random_state.randn(2, 1), random_state.randn(1, 1)
    expected = np.concatenate([m.ravel() for m in (W1, b1, W2, b2)])
    assert_array_equal(theta, expected)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_auto_suits_the_activation_of_each_layer(activation):
    shape = Shape(5, 4, 3)
    theta = initialize(shape, activation, "auto", np.random.RandomState(0))
    random_state = np.random.RandomState(0)
    parameters = shape.views(theta)
    hidden, output = (
        INITIALIZERS[ACTIVATIONS[name].initializer] for name in (activation, "identity")
    )
    assert_array_equal(parameters.W1, hidden.draw(random_state, 5, 4))
    assert_array_equal(parameters.W2, output.draw(random_state, 4, 3))
    assert_array_equal([*parameters.b1, *parameters.b2], 0)


@every_initializer
def test_a_skip_path_starts_at_zero_and_leaves_the_rest_as_it_is(name):
    plain, shape = Shape(5, 4, 3), Shape(5, 4, 3, skip=True)
    expected, theta = (
        initialize(s, "relu", name, np.random.RandomState(0)) for s in (plain, shape)
    )
    assert_array_equal(theta[: plain.size], expected)
    assert_array_equal(theta[plain.size :], 0)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_auto_keeps_the_size_of_a_signal(activation):
    """Glorot where the activation passes its input near zero, He where it halves it."""
    balanced = {"identity", "logistic", "tanh"}
    expected = "glorot_uniform" if activation in balanced else "he_uniform"
    assert ACTIVATIONS[activation].initializer == expected
