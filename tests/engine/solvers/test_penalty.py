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


RATIOS = (0.25, 1.0)


@every_shape
@pytest.mark.parametrize("alpha", [ALPHAS["one"], ALPHAS["groups"]], ids=["one", "groups"])
@pytest.mark.parametrize("ratio", RATIOS)
def test_the_elastic_net_is_shared_out_between_absolutes_and_squares(shape, alpha, ratio, rng):
    theta, alpha = rng.randn(shape.size), alpha(shape)
    penalty, of_squares = Penalty(shape, alpha, ratio), Penalty(shape, alpha)
    expected = ratio * (of_squares.diagonal @ np.abs(theta))
    expected += (1 - ratio) * of_squares.value(theta)
    assert_allclose(penalty.value(theta), expected, rtol=1e-13)
    assert_allclose(penalty.absolute, ratio * of_squares.diagonal)
    assert_allclose(penalty.diagonal, (1 - ratio) * of_squares.diagonal)
    assert not penalty.is_absent


@every_shape
def test_without_a_ratio_there_are_no_absolutes(shape):
    assert Penalty(shape, 0.7).absolute is None
    nothing = Penalty(shape, 0.0, 1.0)
    assert nothing.absolute is None and nothing.is_absent


@every_shape
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("step", [0.9, None], ids=["one step", "a step each"])
def test_the_proximal_point_is_the_minimum_of_its_definition(shape, dtype, step, rng):
    """No point of a fine grid is lower."""
    theta, penalty = rng.randn(shape.size).astype(dtype), Penalty(shape, 0.8, 0.5)
    step = np.linspace(0.1, 5, shape.size).astype(dtype) if step is None else step
    before = theta.copy()
    penalty.proximal(theta, step)
    assert theta.dtype == dtype and (theta == 0).any() and not np.signbit(theta[theta == 0]).any()
    grid = np.linspace(-3, 3, 6001)[:, None]
    values = step * penalty.absolute * np.abs(grid) + 0.5 * (grid - before) ** 2
    assert_allclose(theta, grid[values.argmin(axis=0), 0], atol=1e-3)


@every_shape
def test_the_pseudo_gradient_is_the_shortest_subgradient(shape, rng):
    theta, gradient = rng.randn(shape.size), rng.randn(shape.size)
    theta[::2] = 0.0
    penalty = Penalty(shape, 3.0, 0.5)
    found = penalty.pseudo_gradient(theta, gradient, divisor=2.0)
    for at, g, strength, actual in zip(theta, gradient, penalty.absolute / 2, found, strict=True):
        signs = np.linspace(-1, 1, 20_001) if at == 0 else np.sign([at])
        of_all = g + strength * signs
        assert_allclose(actual, of_all[np.abs(of_all).argmin()], atol=1e-3)
    assert (found == 0).any()
