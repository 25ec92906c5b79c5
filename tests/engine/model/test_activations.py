import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm

from sklearn_twolayer.engine.model.activations import ACTIVATIONS, LEAK
from sklearn_twolayer.engine.model.initializers import INITIALIZERS

AWAY_FROM_KINKS = np.linspace(-6, 6, 200)

FORMULAS = {
    "identity": lambda z: z,
    "logistic": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": lambda z: (np.exp(2 * z) - 1) / (np.exp(2 * z) + 1),
    "relu": lambda z: np.where(z > 0, z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, LEAK * z),
    "elu": lambda z: np.where(z > 0, z, np.exp(z) - 1),
    "gelu": lambda z: z * norm.cdf(z),
    "silu": lambda z: z / (1 + np.exp(-z)),
    "softplus": lambda z: np.log(1 + np.exp(z)),
}

every_activation = pytest.mark.parametrize("name", ACTIVATIONS)
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def value(activation, Z):
    out = np.full_like(Z, np.nan)
    activation.value(Z, out)
    return out


def slope(activation, Z):
    A = value(activation, Z)
    out = np.full_like(Z, np.nan)
    activation.slope(Z if activation.keeps_input else A, A, out)
    return out


@pytest.mark.parametrize("name", FORMULAS)
def test_value_is_the_formula(name):
    expected = FORMULAS[name](AWAY_FROM_KINKS)
    assert_allclose(value(ACTIVATIONS[name], AWAY_FROM_KINKS), expected, rtol=1e-12, atol=1e-15)


@every_activation
def test_slope_is_the_derivative_of_the_value(name):
    activation, Z, step = ACTIVATIONS[name], AWAY_FROM_KINKS, 1e-6
    expected = (value(activation, Z + step) - value(activation, Z - step)) / (2 * step)
    assert_allclose(slope(activation, Z), expected, atol=2e-9)


@every_activation
def test_slope_at_zero_is_the_one_from_the_left(name):
    activation, step = ACTIVATIONS[name], 1e-7
    here, left = value(activation, np.array([0.0, -step]))
    assert_allclose(slope(activation, np.zeros(1)), (here - left) / step, atol=1e-7)


def test_relu_is_flat_at_zero():
    assert_array_equal(slope(ACTIVATIONS["relu"], np.array([-0.0, 0.0])), 0)


@every_activation
@every_dtype
def test_extreme_inputs_stay_finite_and_keep_the_dtype(name, dtype):
    Z = np.array([-1e3, -100, 0, 100, 1e3], dtype=dtype)
    for result in (value(ACTIVATIONS[name], Z), slope(ACTIVATIONS[name], Z)):
        assert result.dtype == dtype
        assert np.isfinite(result).all()


@every_activation
@every_dtype
def test_value_may_overwrite_its_input(name, dtype, rng):
    Z = rng.randn(3, 5).astype(dtype)
    expected = value(ACTIVATIONS[name], Z)
    ACTIVATIONS[name].value(Z, Z)
    assert_array_equal(Z, expected)


@every_activation
def test_value_leaves_its_input_alone(name, rng):
    Z = rng.randn(3, 5)
    before = Z.copy()
    value(ACTIVATIONS[name], Z)
    assert_array_equal(Z, before)


@every_activation
@pytest.mark.parametrize("overwritten", [0, 1])
def test_slope_may_overwrite_either_argument(name, overwritten, rng):
    activation = ACTIVATIONS[name]
    Z = rng.randn(3, 5)
    expected = slope(activation, Z)
    A = value(activation, Z)
    arguments = [Z if activation.keeps_input else A.copy(), A]
    out = arguments[overwritten]
    activation.slope(*arguments, out)
    assert_array_equal(out, expected)


@pytest.mark.parametrize("name", [n for n, a in ACTIVATIONS.items() if not a.keeps_input])
def test_slope_when_the_value_took_the_place_of_the_input(name, rng):
    activation = ACTIVATIONS[name]
    Z = rng.randn(3, 5)
    expected = slope(activation, Z)
    activation.value(Z, Z)
    activation.slope(Z, Z, Z)
    assert_array_equal(Z, expected)


@every_activation
def test_names_an_initializer(name):
    assert ACTIVATIONS[name].initializer in INITIALIZERS


@every_activation
def test_survives_pickling(name):
    copy = pickle.loads(pickle.dumps(ACTIVATIONS[name]))
    assert copy == ACTIVATIONS[name]
    assert_array_equal(slope(copy, AWAY_FROM_KINKS), slope(ACTIVATIONS[name], AWAY_FROM_KINKS))
