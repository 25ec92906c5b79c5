"""The standardisation folded into the weights: the same function of raw units."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sklearn_twolayer.engine.data.moments import moments, no_moments
from sklearn_twolayer.engine.data.scaling import Scaling
from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.folding import express, fold
from sklearn_twolayer.engine.model.network import raw_prediction
from sklearn_twolayer.engine.model.parameters import Shape

weighted = pytest.mark.parametrize("with_weights", [False, True], ids=["unweighted", "weighted"])
stored_as = pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array, sparse.csr_matrix])
skips = pytest.mark.parametrize("skip", [False, True], ids=["no skip", "skip"])


def columns(rng, n_rows=50):
    """Columns of different location and size, a third of their entries zero."""
    X = rng.randn(n_rows, 4) * [1, 1e-3, 1e4, 5] + [0, 1, -1e4, 100]
    X[rng.rand(n_rows, 4) < 1 / 3] = 0
    return X


def measured(X, Y=None, weights=None):
    weight = float(X.shape[0] if weights is None else weights.sum())
    of_Y = no_moments(1) if Y is None else moments(Y, weights)
    return Scaling(moments(X, weights), of_Y, X.shape[0], weight)


def predicted(scaling, shape, theta, X):
    """Raw-unit output of tanh units that see X in standardised units."""
    p = shape.views(theta)
    A1 = np.tanh((X - scaling.X.mean) / scaling.X.scale @ p.W1 + p.b1)
    Z2 = A1 @ p.W2 + p.b2
    if shape.skip:
        Z2 += (X - scaling.X.mean) / scaling.X.scale @ p.W0
    return Z2 * scaling.Y_scale + scaling.Y.mean


@stored_as
@skips
def test_folded_weights_give_the_same_prediction_in_raw_units(storage, skip, rng):
    shape = Shape(4, 3, 2, skip)
    theta = rng.randn(shape.size)
    X, Y = columns(rng), rng.randn(50, 2) * [0.1, 1e3] + [10, -1e6]
    scaling = measured(X, Y)
    coefs, intercepts = fold(scaling, shape, theta)
    raw = raw_prediction(coefs, intercepts, ACTIVATIONS["tanh"], storage(X))
    assert_allclose(raw, predicted(scaling, shape, theta, X), rtol=1e-10)


def test_a_folded_constant_column_has_weight_zero(rng):
    shape = Shape(2, 3, 1, skip=True)
    X = np.column_stack([np.full(50, 0.1), rng.randn(50)])
    coefs, intercepts = fold(measured(X), shape, rng.randn(shape.size))
    assert_array_equal(coefs[0][0], 0)
    assert_array_equal(coefs[2][0], 0)
    assert all(np.isfinite(m).all() for m in (*coefs, *intercepts))


def test_folding_without_scaling_changes_nothing_but_the_precision(rng):
    shape = Shape(2, 3, 1)
    theta = rng.randn(shape.size).astype(np.float32)
    coefs, intercepts = fold(Scaling(no_moments(2), no_moments(1), 50, 50.0), shape, theta)
    pieces = (coefs[0], intercepts[0], coefs[1], intercepts[1])
    assert all(m.dtype == np.float64 for m in pieces)
    assert_array_equal(np.concatenate([m.ravel() for m in pieces]), theta)


def test_folding_leaves_theta_alone(rng):
    shape = Shape(2, 3, 1, skip=True)
    theta = rng.randn(shape.size)
    before = theta.copy()
    coefs, intercepts = fold(Scaling(no_moments(2), no_moments(1), 50, 50.0), shape, theta)
    assert not any(np.shares_memory(m, theta) for m in (*coefs, *intercepts))
    assert_array_equal(theta, before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@skips
def test_weights_expressed_in_new_units_compute_the_same(dtype, skip, rng):
    shape = Shape(4, 3, 2, skip)
    theta = rng.randn(shape.size).astype(dtype)
    X, Y = columns(rng), rng.randn(50, 2) * [0.1, 1e3] + [10, -1e6]
    old, new = measured(X[:20], Y[:20]), measured(X, Y)
    expressed = express(old, new, shape, theta)
    assert expressed.dtype == dtype
    expected = predicted(old, shape, theta, X)
    rtol = 1e-10 if dtype is np.float64 else 1e-4
    assert_allclose(predicted(new, shape, expressed, X), expected, rtol=rtol)


@skips
def test_a_column_that_begins_to_vary_starts_from_nothing(skip, rng):
    shape = Shape(2, 3, 1, skip)
    theta = rng.randn(shape.size)
    X = rng.randn(50, 2)
    constant = X.copy()
    constant[:, 0] = 5
    old, new = measured(constant), measured(X)
    expressed = express(old, new, shape, theta)
    assert_array_equal(shape.views(expressed).W1[0], 0)
    expected = predicted(old, shape, theta, constant)
    assert_allclose(predicted(new, shape, expressed, X), expected, rtol=1e-10)


@skips
def test_biases_suit_the_rounded_weights(skip, rng):
    shape = Shape(4, 3, 2, skip)
    X = rng.randn(50, 4) + 1e6
    theta = rng.randn(shape.size)
    scaling = measured(X)
    (W1, _, *W0), (b1, b2) = fold(scaling, shape, theta, np.float32)
    assert W1.dtype == np.float32
    assert b1.dtype == b2.dtype == np.float64
    parameters = shape.views(theta)
    at_the_mean = scaling.X.mean @ W1.astype(np.float64) + b1
    assert_allclose(at_the_mean, parameters.b1, rtol=0, atol=1e-9)
    if skip:
        at_the_mean = scaling.X.mean @ W0[0].astype(np.float64) + b2
        assert_allclose(at_the_mean, parameters.b2, rtol=0, atol=1e-9)


@skips
def test_weights_are_expressed_to_the_last_digit_however_far_from_zero(skip, rng):
    """What counts is how far the means have moved."""
    shape, far = Shape(4, 3, 2, skip), 2.0**45
    theta = rng.randn(shape.size)
    X = np.round(rng.randn(50, 4) * 2**6) / 2**6
    Y = rng.randn(50, 2)
    expected = express(measured(X[:20], Y[:20]), measured(X, Y), shape, theta)
    found = express(measured(X[:20] + far, Y[:20]), measured(X + far, Y), shape, theta)
    assert_allclose(found, expected, rtol=0, atol=0.01)
