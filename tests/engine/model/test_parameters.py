import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_twolayer.engine.model.parameters import Shape

shapes = pytest.mark.parametrize("sizes", [(1, 1, 1), (3, 2, 1), (2, 4, 3)])
skips = pytest.mark.parametrize("skip", [False, True], ids=["no skip", "skip"])


@shapes
def test_views_are_windows_in_the_order_W1_b1_W2_b2(sizes):
    d, h, k = sizes
    theta = np.arange(float(Shape(*sizes).size))
    parameters = Shape(*sizes).views(theta)
    blocks = parameters[:4]
    assert [block.shape for block in blocks] == [(d, h), (h,), (h, k), (k,)]
    assert_array_equal(np.concatenate([block.ravel() for block in blocks]), theta)
    assert all(np.shares_memory(view, theta) for view in parameters if view is not None)
    assert parameters.W0 is None


@shapes
def test_a_skip_path_lies_behind_the_rest(sizes):
    d, _, k = sizes
    plain, shape = Shape(*sizes), Shape(*sizes, skip=True)
    theta = np.arange(float(shape.size))
    parameters = shape.views(theta)
    rest = plain.views(theta[: plain.size])
    for block, expected in zip(parameters[:6], rest[:6], strict=True):
        assert_array_equal(block, expected)
    assert parameters.W0.shape == (d, k)
    assert_array_equal(parameters.W0.ravel(), theta[plain.size :])
    assert np.shares_memory(parameters.W0, theta)


@shapes
def test_size_counts_weights_and_biases(sizes):
    d, h, k = sizes
    assert Shape(*sizes).size == d * h + h + h * k + k
    assert Shape(*sizes, skip=True).size == d * h + h + h * k + k + d * k


def test_writing_to_a_view_writes_to_theta():
    shape = Shape(3, 2, 2)
    theta = np.zeros(shape.size)
    for number, view in enumerate(shape.views(theta)[:4], start=1):
        view[:] = number
    assert_array_equal(theta, np.repeat([1, 2, 3, 4], [6, 2, 4, 2]))


def test_each_layer_has_its_bias_as_last_row(rng):
    shape = Shape(3, 2, 2)
    parameters = shape.views(rng.randn(shape.size))
    assert_array_equal(parameters.layer1, np.vstack([parameters.W1, parameters.b1]))
    assert_array_equal(parameters.layer2, np.vstack([parameters.W2, parameters.b2]))
    assert parameters.layer1.flags.c_contiguous
    assert parameters.layer2.flags.c_contiguous


@shapes
@skips
def test_penalized_are_the_weights_and_not_the_biases(sizes, skip):
    shape = Shape(*sizes, skip)
    theta = np.arange(float(shape.size))
    parameters = shape.views(theta)
    stretches = shape.penalized(theta)
    weights = [parameters.W1, parameters.W2, *([parameters.W0] if skip else [])]
    for stretch, W in zip(stretches, weights, strict=True):
        assert_array_equal(stretch, W.ravel())
    assert all(np.shares_memory(stretch, theta) for stretch in stretches)
