import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.folded import Folded
from sklearn_twolayer.engine.model.folding import precision
from sklearn_twolayer.engine.model.network import raw_prediction
from sklearn_twolayer.engine.model.sensitivity import (
    gradient_magnitude,
    hidden_features,
    input_gradient,
)
from sklearn_twolayer.engine.numerics import largest

every_activation = pytest.mark.parametrize("name", ACTIVATIONS)
every_storage = pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
skips = pytest.mark.parametrize("skip", [False, True], ids=["no skip", "skip"])
OFFSET = np.array([3e6, -2e5, 0.0])


def draw_network(rng, skip=True, n_features=3, n_outputs=2):
    coefs = [rng.randn(n_features, 4), rng.randn(4, n_outputs)]
    coefs += [rng.randn(n_features, n_outputs)] if skip else []
    return coefs, [rng.randn(4), rng.randn(n_outputs)]


def far_from_zero(rng, skip, dtype):
    """A network whose weights suit columns around OFFSET, and such rows, in float32."""
    coefs, (b1, b2) = draw_network(rng, skip)
    coefs = [W.astype(dtype) for W in coefs]
    b1 = b1 - OFFSET @ coefs[0]
    b2 = b2 - OFFSET @ coefs[2] if skip else b2
    return coefs, [b1, b2], (OFFSET + rng.randn(50, 3)).astype(np.float32)


@every_activation
@every_storage
@skips
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_origin_saves_the_digits_of_large_offsets(name, storage, skip, dtype, rng):
    coefs, intercepts, X = far_from_zero(rng, skip, dtype)
    exact = [W.astype(np.float64) for W in coefs], intercepts, ACTIVATIONS[name]
    for compute in (raw_prediction, hidden_features, input_gradient):
        expected = compute(*exact, X.astype(np.float64))
        found = compute(coefs, intercepts, ACTIVATIONS[name], storage(X), OFFSET)
        assert found.dtype == np.float32
        # relu's slope jumps where a rounding error takes Z1 across zero: not in these rows
        assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
        if compute is raw_prediction:
            blunt = compute(coefs, intercepts, ACTIVATIONS[name], X)
            assert np.abs(blunt - expected).max() > 1e-2


@every_activation
def test_any_origin_gives_the_same_function(name, rng):
    coefs, intercepts = draw_network(rng)
    X = rng.randn(20, 3).astype(np.float32)
    arguments = coefs, intercepts, ACTIVATIONS[name], X
    for origin in (rng.randn(3), np.array([0, 5, -3.0])):
        for compute in (raw_prediction, hidden_features, input_gradient):
            moved = compute(*arguments, origin)
            assert_allclose(moved, compute(*arguments), rtol=1e-4, atol=1e-4)


def test_an_origin_does_not_touch_float64_rows(rng):
    coefs, intercepts = draw_network(rng)
    arguments = coefs, intercepts, ACTIVATIONS["tanh"], rng.randn(20, 3)
    assert_array_equal(raw_prediction(*arguments, OFFSET), raw_prediction(*arguments))


def test_arguments_are_left_alone(rng):
    coefs, intercepts, X = far_from_zero(rng, True, np.float32)
    X[0] = 3e38
    arrays = [*coefs, *intercepts, X]
    before = [array.copy() for array in arrays]
    for compute in (raw_prediction, hidden_features, input_gradient):
        compute(coefs, intercepts, ACTIVATIONS["relu"], X, OFFSET)
    for array, original in zip(arrays, before, strict=True):
        assert_array_equal(array, original)


def extended(coefs, intercepts, name, X):
    """Z2 in twice the exponents that float64 has, for activations that are lines far out."""
    wide = np.longdouble
    W1, W2, W0 = (W.astype(wide) for W in coefs)
    b1, b2 = (b.astype(wide) for b in intercepts)
    Z1 = X.astype(wide) @ W1 + b1
    A1 = {
        "identity": lambda Z: Z,
        "relu": lambda Z: np.maximum(Z, 0),
        "leaky_relu": lambda Z: np.maximum(Z, wide(0.01) * Z),
        "elu": lambda Z: np.where(Z > 0, Z, np.expm1(np.minimum(Z, 0))),
        "tanh": np.tanh,
    }[name](Z1)
    return A1 @ W2 + X.astype(wide) @ W0 + b2


needs_wide_numbers = pytest.mark.skipif(
    np.finfo(np.longdouble).maxexp <= np.finfo(np.float64).maxexp,
    reason="long doubles have no more range than doubles here",
)


@needs_wide_numbers
@every_storage
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["identity", "relu", "leaky_relu", "elu", "tanh"])
@pytest.mark.parametrize("unit_of_y", [1e-20, 1.0, 1e20])
def test_rows_far_out_have_their_outputs_or_the_end_of_the_range(
    storage, dtype, name, unit_of_y, rng
):
    coefs, intercepts = draw_network(rng)
    coefs = [coefs[0], *(unit_of_y * W for W in coefs[1:])]
    intercepts = [intercepts[0], unit_of_y * intercepts[1]]
    end = np.finfo(dtype).max
    size = end ** rng.uniform(0.8, 1, size=(60, 1))
    X = np.vstack([(size * rng.uniform(-1, 1, (60, 3))).astype(dtype), np.zeros((1, 3), dtype)])
    X[:20, :2] = rng.randn(20, 2)
    found = raw_prediction(coefs, intercepts, ACTIVATIONS[name], storage(X))
    expected = extended(coefs, intercepts, name, X)
    limit = largest(dtype)
    assert found.dtype == dtype
    assert unit_of_y <= 1 or name == "tanh" or (np.abs(expected) > limit).any()
    wanted = np.clip(expected, -limit, limit).astype(dtype)
    assert_allclose(found, wanted, rtol=1e-4 if dtype == np.float32 else 1e-10)


@every_activation
@every_storage
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_happens_inside_is_finite_far_out(name, storage, dtype, rng):
    coefs, intercepts = draw_network(rng)
    end = np.finfo(dtype).max
    far = (end * np.sign(rng.randn(30, 3))).astype(dtype)
    near = np.sign(far).astype(np.float64) * 1e12
    arguments = coefs, intercepts, ACTIVATIONS[name]
    slopes = input_gradient(*arguments, storage(far))
    assert_allclose(slopes, input_gradient(*arguments, near), rtol=1e-4)
    features = hidden_features(*arguments, storage(far))
    assert np.isfinite(features).all()
    at_hand = hidden_features(*arguments, near)
    assert_array_equal(np.sign(features), np.sign(at_hand.astype(dtype)))
    magnitude = gradient_magnitude(*arguments, storage(far), None)
    assert np.isfinite(magnitude).all()
    assert (magnitude > 0).all()


def test_far_out_a_column_without_weight_does_not_matter(rng):
    coefs, intercepts = draw_network(rng)
    coefs[0][0] = coefs[2][0] = 0
    X = rng.randn(20, 3)
    far = np.column_stack([np.full(20, 1e308), X[:, 1:]])
    for name, activation in ACTIVATIONS.items():
        expected = raw_prediction(coefs, intercepts, activation, X)
        found = raw_prediction(coefs, intercepts, activation, far)
        assert_allclose(found, expected, rtol=1e-10, err_msg=name)


@pytest.mark.parametrize("unit", [1e39, 1e200, 1e-60])
def test_float32_rows_are_answered_in_float64_where_targets_do_not_fit(unit, rng):
    coefs, intercepts = draw_network(rng)
    X = rng.randn(20, 3).astype(np.float32)
    plain = raw_prediction(coefs, intercepts, ACTIVATIONS["tanh"], X.astype(np.float64))
    coefs = [coefs[0], *(unit * W for W in coefs[1:])]
    intercepts = [intercepts[0], unit * intercepts[1]]
    found = raw_prediction(coefs, intercepts, ACTIVATIONS["tanh"], X)
    assert found.dtype == np.float64
    assert_allclose(found, unit * plain, rtol=1e-10)


@pytest.mark.parametrize("unit", [1e-30, 1e-200])
def test_slopes_beyond_the_range_are_at_its_end(unit, rng):
    """Columns in small units and targets in large ones."""
    dtype = np.float32 if unit == 1e-30 else np.float64
    (W1, W2, W0), intercepts = draw_network(rng)
    plain = input_gradient([W1, W2, W0], intercepts, ACTIVATIONS["tanh"], np.ones((5, 3)))
    W1, W2, W0 = W1 / unit, W2 / unit, W0 / unit
    X = np.full((5, 3), unit, dtype=dtype)
    coefs = [W.astype(dtype) for W in (W1, W2, W0)]
    intercepts = [b.astype(dtype) for b in intercepts]
    found = input_gradient(coefs, intercepts, ACTIVATIONS["tanh"], X)
    assert found.dtype == dtype
    without_skip = [coefs[0], coefs[1]]
    slopes = input_gradient(without_skip, intercepts, ACTIVATIONS["tanh"], X)
    expected = plain - W0.T * unit
    steep = np.abs(expected) > 1e-3
    limit = largest(dtype)
    assert np.isfinite(found).all()
    assert_allclose(slopes[steep], limit * np.sign(expected[steep]), rtol=1e-6)


def test_precision_is_that_of_the_rows_where_it_can_be(rng):
    coefs, intercepts = draw_network(rng)
    assert precision(coefs, intercepts, np.dtype(np.float32)) == np.float32
    assert precision(coefs, intercepts, np.dtype(np.float64)) == np.float64
    nothing = [coefs[0], 0 * coefs[1]], [intercepts[0], 0 * intercepts[1]]
    assert precision(*nothing, np.dtype(np.float32)) == np.float32
    assert Folded(coefs, intercepts, ACTIVATIONS["tanh"], np.ones((2, 3))).dtype == np.float64
