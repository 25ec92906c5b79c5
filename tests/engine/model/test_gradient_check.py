import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_twolayer.engine.model.gradient_check import numerical_gradient

CURVATURE = np.array([1.0, 4.0, -2.0])


def parabola(theta):
    return 0.5 * CURVATURE @ theta**2, CURVATURE * theta


def cubic(theta):
    return np.sum(theta**3), 3 * theta**2


@pytest.fixture
def theta(rng):
    return rng.randn(3)


def test_central_differences_are_exact_for_a_parabola(theta):
    gradient = numerical_gradient(parabola, theta, epsilon=1e-3, scheme="central")
    assert_allclose(gradient, parabola(theta)[1], atol=1e-12)


@pytest.mark.parametrize("epsilon", [1e-2, 1e-3])
def test_forward_differences_err_by_half_the_curvature_times_the_step(theta, epsilon):
    gradient = numerical_gradient(parabola, theta, epsilon)
    assert_allclose(gradient - parabola(theta)[1], 0.5 * epsilon * CURVATURE, atol=1e-11)


def test_central_differences_err_by_the_square_of_the_step(theta):
    gradient = numerical_gradient(cubic, theta, epsilon=1e-2, scheme="central")
    assert_allclose(gradient - cubic(theta)[1], 1e-4, rtol=1e-6)


def test_the_simple_method_is_the_default(theta):
    expected = numerical_gradient(parabola, theta, epsilon=1e-4, scheme="forward")
    assert_array_equal(numerical_gradient(parabola, theta), expected)


@pytest.mark.parametrize("scheme", ["forward", "central"])
def test_theta_is_left_alone(theta, scheme):
    before = theta.copy()
    numerical_gradient(parabola, theta, scheme=scheme)
    assert_array_equal(theta, before)


def test_an_unknown_scheme_is_answered_with_the_choices(theta):
    with pytest.raises(ValueError, match="'forward' or 'central', got 'backward'"):
        numerical_gradient(parabola, theta, scheme="backward")
