import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_twolayer.engine.model.gradient_check import numerical_gradient
from sklearn_twolayer.engine.model.parameters import Shape
from sklearn_twolayer.engine.solvers.penalty import Penalty, per_parameter

SHAPES = {"no skip": Shape(3, 4, 2), "skip": Shape(3, 4, 1, skip=True)}
ALPHAS = {
    "none": lambda shape: 0.0,
    "one": lambda shape: 0.7,
    "groups": lambda shape: 1.0 + np.arange(shape.n_groups),
}

every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
every_alpha = pytest.mark.parametrize("alpha", ALPHAS.values(), ids=ALPHAS)


def brute_force(shape, alpha, theta):
    """Group by group, from the matrices."""
    parts = shape.views(theta)
    if np.ndim(alpha) == 0:
        weights = [parts.W1, parts.W2] + ([] if parts.W0 is None else [parts.W0])
        return 0.5 * alpha * sum((W**2).sum() for W in weights)
    *of_columns, of_biases, of_outputs = alpha[: shape.n_features + 2]
    total = sum(a * (row**2).sum() for a, row in zip(of_columns, parts.W1, strict=True))
    total += of_biases * (parts.b1**2).sum() + of_outputs * (parts.W2**2).sum()
    return 0.5 * (total + (0 if parts.W0 is None else alpha[-1] * (parts.W0**2).sum()))


@every_shape
@every_alpha
def test_value_is_that_of_the_groups(shape, alpha, rng):
    theta = rng.randn(shape.size)
    penalty = Penalty(shape, alpha(shape))
    assert_allclose(penalty.value(theta), brute_force(shape, alpha(shape), theta), rtol=1e-13)
    assert penalty.is_absent == (np.ndim(alpha(shape)) == 0 and alpha(shape) == 0)


@every_shape
@every_alpha
def test_gradient_and_diagonal_are_its_derivatives(shape, alpha, rng):
    theta, penalty = rng.randn(shape.size), Penalty(shape, alpha(shape))
    gradient = np.ones(shape.size)
    penalty.add_gradient(theta, gradient, divisor=4.0)
    expected = numerical_gradient(lambda at: (penalty.value(at), None), theta, 1e-5, "central")
    assert_allclose(gradient - 1, expected / 4, atol=1e-8)
    assert_allclose(penalty.diagonal * theta, expected, atol=1e-8)


@every_shape
@every_alpha
def test_output_biases_are_free(shape, alpha):
    assert_array_equal(shape.views(Penalty(shape, alpha(shape)).diagonal).b2, 0)


@every_shape
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_alpha
def test_the_gradient_keeps_its_precision(shape, dtype, alpha, rng):
    theta, gradient = rng.randn(shape.size).astype(dtype), np.zeros(shape.size, dtype)
    Penalty(shape, alpha(shape)).add_gradient(theta, gradient, divisor=2.0)
    assert gradient.dtype == dtype


@every_shape
def test_a_wrong_number_of_precisions_is_named(shape):
    with pytest.raises(ValueError, match=rf"alpha must be one number, or {shape.n_groups}.*got 99"):
        Penalty(shape, np.ones(99))


def test_free_parameters_have_no_precision():
    assert_array_equal(per_parameter(np.array([2.0, 3.0]), np.array([1, -1, 0])), [3, 0, 2])
