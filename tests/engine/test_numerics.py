import numpy as np
import pytest
from numpy.random import RandomState
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax, logsumexp

from sklearn_twolayer.engine.numerics import (
    OF_ZERO,
    SHUFFLED,
    draw_rows,
    exponent,
    largest,
    semidefinite_root,
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


def semidefinite(kind, rng, n=3000, k=4):
    """A stack of matrices, singular but for the first kind."""
    if kind == "of full rank":
        F = rng.randn(n, k, k)
    elif kind == "of rank two":
        F = rng.randn(n, k, 2)
    elif kind == "zero":
        F = np.zeros((n, k, 1))
    elif kind == "of a constant row":
        F = rng.randn(n, k, k)
        F[:, 1] = 0
    else:
        # the curvature of a softmax, some of whose classes are all but certain
        P = np.exp(rng.randn(n, k) * np.linspace(0, 30, n)[:, None])
        P /= P.sum(axis=1, keepdims=True)
        C = -P[:, :, None] * P[:, None]
        C[:, range(k), range(k)] = P * (P @ (1 - np.eye(k)))
        return C
    return F @ F.transpose(0, 2, 1)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize(
    "kind", ["of full rank", "of rank two", "zero", "of a constant row", "of a softmax"]
)
def test_a_root_is_one_even_of_singular_matrices(kind, scale, rng):
    C = scale * semidefinite(kind, rng)
    before = C.copy()
    R = semidefinite_root(C)
    assert_array_equal(C, before)
    assert_array_equal(R, np.tril(R))
    size = np.trace(C, axis1=1, axis2=2)[:, None, None]
    near = 1e-13 if kind != "of rank two" else np.finfo(float).eps ** 0.5
    assert (np.abs(R @ R.transpose(0, 2, 1) - C) <= near * size).all()


def test_a_root_of_a_definite_matrix_is_that_of_cholesky(rng):
    C = semidefinite("of full rank", rng) + np.eye(4)
    assert_allclose(semidefinite_root(C), np.linalg.cholesky(C), rtol=1e-12, atol=1e-12)
    assert semidefinite_root(C.astype(np.float32)).dtype == np.float64


def test_a_root_of_no_matrix_is_none():
    assert semidefinite_root(np.empty((0, 3, 3))).shape == (0, 3, 3)


@pytest.mark.parametrize("n_rows", [50, SHUFFLED + 1, 10**10])
def test_drawn_rows_are_different_ones_of_all(n_rows):
    drawn = draw_rows(n_rows, 5000, RandomState(0))
    assert len(drawn) == len(set(drawn.tolist())) == min(5000, n_rows)
    assert drawn.min() >= 0 and drawn.max() < n_rows
    # in random order, from anywhere
    assert (np.diff(drawn) < 0).any()
    if n_rows > 5000:
        assert_allclose(drawn.mean() / n_rows, 0.5, atol=4 / (12 * 5000) ** 0.5)


@pytest.mark.parametrize("n", [SHUFFLED // 2 + 1, SHUFFLED + 1])
def test_many_of_many_rows_are_drawn(n):
    assert len(np.unique(draw_rows(SHUFFLED + 2, n, RandomState(0)))) == n
