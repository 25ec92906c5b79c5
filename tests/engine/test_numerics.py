import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax, logsumexp

from sklearn_twolayer.engine.numerics import (
    OF_ZERO,
    exponent,
    largest,
    sigmoid,
    softmax,
    softplus,
    within_range,
)

Z = np.linspace(-30, 30, 61)
EXTREMES = np.array([-1e3, -700.0, 0.0, 700.0, 1e3])


def test_sigmoid_is_the_logistic_function():
    assert_allclose(sigmoid(Z), 1 / (1 + np.exp(-Z)), rtol=1e-14)


def test_sigmoid_keeps_its_digits_in_the_tails():
    assert_allclose(sigmoid(EXTREMES), [0, np.exp(-700.0), 0.5, 1, 1], rtol=1e-12)


def test_softplus_is_its_definition():
    assert_allclose(softplus(Z), np.logaddexp(0, Z), rtol=1e-14)


def test_softplus_keeps_its_digits_in_the_tails():
    expected = [0, np.exp(-700.0), np.log(2), 700, 1e3]
    assert_allclose(softplus(EXTREMES), expected, rtol=1e-12)


@pytest.mark.parametrize("function", [sigmoid, softplus])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_writes_in_place_and_keeps_the_dtype(function, dtype):
    in_place = EXTREMES.astype(dtype)
    expected = function(in_place.copy())
    assert expected.dtype == dtype
    assert function(in_place, out=in_place) is in_place
    assert_array_equal(in_place, expected)


@pytest.mark.parametrize("scale", [1, 1e3, 1e300])
def test_softmax_of_logits_of_any_size(rng, scale):
    logits = scale * rng.randn(20, 4)
    out = np.empty_like(logits)
    assert_allclose(softmax(logits, out=out), logsumexp(logits, axis=1), rtol=1e-14)
    assert_allclose(out, np.exp(log_softmax(logits, axis=1)), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_writes_in_place_and_keeps_the_dtype(rng, dtype):
    logits = rng.randn(20, 4).astype(dtype)
    expected = np.empty_like(logits)
    log_sum = softmax(logits, out=expected)
    assert log_sum.dtype == dtype
    assert_array_equal(softmax(logits, out=logits), log_sum)
    assert_array_equal(logits, expected)


def test_exponents_are_those_of_the_largest_magnitude():
    A = np.array([[0.75, -3.0], [0.0, 0.0], [1e-310, np.finfo(float).max]])
    assert exponent(A) == 1024
    assert_array_equal(exponent(A, axis=1), [[2], [OF_ZERO], [1024]])
    assert exponent(np.empty((0, 3))) == OF_ZERO


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_beyond_the_range_end_at_its_end(dtype):
    A = np.array([[1.5, -1.0, 0.0, 1e30, -1e30]])
    found = within_range(A, dtype, np.array([[np.finfo(dtype).maxexp - 10]]))
    limit = largest(dtype)
    assert found.dtype == dtype
    assert_allclose(found[0, 3:], [limit, -limit])
    assert np.isfinite(found[0, 3] - found[0, 4])
    assert_allclose(found[0, :3] / limit, [1.5 / 2**8, -1 / 2**8, 0], rtol=1e-6)
    assert_allclose(within_range(A[:, :3], dtype), A[:, :3])
