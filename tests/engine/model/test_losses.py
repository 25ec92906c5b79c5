import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_twolayer.engine.model.losses import LOSSES

STEP = 1e-6

every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
every_curved_loss = pytest.mark.parametrize(
    "loss",
    [loss for loss in LOSSES.values() if loss.has_curvature],
    ids=lambda loss: type(loss).__name__,
)
every_width = pytest.mark.parametrize("n_outputs", [1, 3])
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
of_separate_outputs = [name for name, loss in LOSSES.items() if not loss.labels]
with_logistic_link = [n for n, loss in LOSSES.items() if loss.out_activation == "logistic"]


def value(loss, Z2, Y):
    return loss.loss_gradient(Z2, Y, np.empty_like(Z2, order="F"))


def gradient(loss, Z2, Y):
    out = np.full_like(Z2, np.nan, order="F")
    loss.loss_gradient(Z2, Y, out)
    return out


def central_differences(function, Z2):
    """d function(Z2) / d Z2[:, k], stacked along the last axis."""
    nudges = STEP * np.eye(Z2.shape[1])
    return np.stack(
        [(function(Z2 + nudge) - function(Z2 - nudge)) / (2 * STEP) for nudge in nudges], axis=-1
    )


def raw_outputs(loss, n_outputs, rng):
    """Confident ones, but for a log link, where differences would drown in large values."""
    return (1 if loss.out_activation == "exponential" else 3) * rng.randn(20, n_outputs)


def perfect_raw_outputs(loss, Y, n_outputs):
    if loss.link == "log":
        return np.log(Y)
    if loss.out_activation == "identity":
        return Y.copy()
    hits = np.eye(n_outputs)[Y] if loss.labels else Y
    return 1e3 * (2 * hits - 1)


def as_float(Y, dtype):
    return Y if Y.dtype.kind == "i" else Y.astype(dtype)


@every_loss
@every_width
def test_gradient_is_the_derivative_of_the_value(loss, n_outputs, rng, draw_targets):
    Z2, Y = raw_outputs(loss, n_outputs, rng), draw_targets(loss, 20, n_outputs)
    expected = central_differences(lambda Z: value(loss, Z, Y), Z2)
    assert_allclose(gradient(loss, Z2, Y), expected, atol=1e-8)


@every_curved_loss
@every_width
def test_curvature_is_the_expected_derivative_of_the_gradient(loss, n_outputs, rng, draw_targets):
    Z2, Y = raw_outputs(loss, n_outputs, rng), draw_targets(loss, 20, n_outputs)
    if loss.link == "log":
        Y = loss.inverse_link(Z2)  # the gradient is linear in Y, of which this is the mean
    expected = central_differences(lambda Z: gradient(loss, Z, Y), Z2)
    assert_allclose(loss.curvature(Z2, Y), expected, atol=1e-8)


INVERSE_LINKS = {
    "identity": lambda Z2: Z2,
    "exponential": np.exp,
    "logistic": lambda Z2: 1 / (1 + np.exp(-Z2)),
    "softmax": lambda Z2: np.exp(Z2) / np.exp(Z2).sum(axis=1, keepdims=True),
}


@every_loss
@every_width
def test_inverse_link_is_what_the_output_activation_says(loss, n_outputs, rng):
    Z2 = 3 * rng.randn(20, n_outputs)
    expected = INVERSE_LINKS[loss.out_activation](Z2)
    assert_allclose(loss.inverse_link(Z2), expected, rtol=1e-13)


@every_loss
@every_width
def test_a_perfect_prediction_costs_nothing(loss, n_outputs, draw_targets):
    Y = draw_targets(loss, 20, n_outputs)
    Z2 = perfect_raw_outputs(loss, Y, n_outputs)
    rounding = 1e-14 if loss.link == "log" else 0
    assert_allclose(value(loss, Z2, Y), 0, atol=rounding)
    assert_allclose(gradient(loss, Z2, Y), 0, atol=rounding)


@every_loss
@every_width
@every_dtype
def test_extreme_raw_outputs_stay_finite_and_keep_the_dtype(
    loss, n_outputs, dtype, rng, draw_targets
):
    Z2 = rng.choice([-1e3, 0, 1e3], size=(40, n_outputs)).astype(dtype)
    Y = as_float(draw_targets(loss, 40, n_outputs), dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        results = (
            value(loss, Z2, Y),
            gradient(loss, Z2, Y),
            loss.inverse_link(Z2),
        )
        if loss.has_curvature:
            results += (loss.curvature(Z2, Y),)
    for result in results:
        assert result.dtype == dtype
        assert np.isfinite(result).all()


@every_dtype
def test_binary_log_loss_is_exact_for_confident_outputs(dtype):
    Z2 = np.array([[-1e3], [-1e3], [1e3], [1e3], [-50], [0]], dtype=dtype)
    Y = np.array([[0], [1], [0], [1], [0], [1]], dtype=dtype)
    rtol = 4 * np.finfo(dtype).eps
    expected = [0, 1e3, 1e3, 0, np.exp(-50.0), np.log(2)]
    assert_allclose(value(LOSSES["binary_log_loss"], Z2, Y), expected, rtol=rtol)
    expected = np.array([[0, -1, 1, 0, np.exp(-50.0), -0.5]]).T
    assert_allclose(gradient(LOSSES["binary_log_loss"], Z2, Y), expected, rtol=rtol)


@every_dtype
def test_log_loss_is_exact_for_confident_outputs(dtype):
    Z2 = np.array([[1e3, -1e3, 0], [1e3, -1e3, 0], [1e3, 1e3, 0]], dtype=dtype)
    Y = np.array([0, 1, 1])
    rtol = 4 * np.finfo(dtype).eps
    assert_allclose(value(LOSSES["log_loss"], Z2, Y)[:2], [0, 2e3], rtol=rtol)
    expected = [[0, 0, 0], [1, -1, 0], [0.5, -0.5, 0]]
    assert_allclose(gradient(LOSSES["log_loss"], Z2, Y), expected, rtol=rtol)


@pytest.mark.parametrize("name", of_separate_outputs)
def test_losses_of_several_outputs_are_summed(name, rng, draw_targets):
    loss = LOSSES[name]
    Z2, Y = rng.randn(20, 3), draw_targets(loss, 20, 3)
    columns = [(Z2[:, [k]], Y[:, [k]]) for k in range(3)]
    expected = sum(value(loss, *column) for column in columns)
    assert_allclose(value(loss, Z2, Y), expected, rtol=1e-14)
    expected = np.hstack([gradient(loss, *column) for column in columns])
    assert_allclose(gradient(loss, Z2, Y), expected, rtol=1e-14)


@pytest.mark.parametrize("name", with_logistic_link)
@every_dtype
def test_probabilities_of_separate_outputs_are_never_certain(name, dtype):
    Z2 = np.array([[-1e3, 1e3, -100], [100, 0, -1e30]], dtype=dtype)
    P = LOSSES[name].inverse_link(Z2)
    assert (P > 0).all()
    assert (P < 1).all()


@every_loss
def test_memory_order_does_not_matter(loss, rng, draw_targets):
    Z2, Y = rng.randn(20, 3), draw_targets(loss, 20, 3)
    by_columns = np.asfortranarray(Z2)
    assert_allclose(value(loss, by_columns, Y), value(loss, Z2, Y), rtol=1e-14)
    assert_allclose(gradient(loss, by_columns, Y), gradient(loss, Z2, Y), rtol=1e-14)


@every_loss
def test_raw_outputs_are_left_alone(loss, rng, draw_targets):
    Z2, Y = rng.randn(20, 3), draw_targets(loss, 20, 3)
    before = Z2.copy()
    value(loss, Z2, Y)
    loss.curvature(Z2, Y)
    loss.inverse_link(Z2)
    assert_array_equal(Z2, before)


@every_loss
def test_admits_its_own_targets(loss, draw_targets):
    for n_outputs in (1, 3):
        loss.check_targets(draw_targets(loss, 20, n_outputs), "y")


@pytest.mark.parametrize(
    ("name", "Y"), [("binary_log_loss", [[0.0], [2.0]]), ("log_loss", [0, -1])]
)
def test_other_targets_are_refused_by_name(name, Y):
    with pytest.raises(ValueError, match=r"^y_val must be "):
        LOSSES[name].check_targets(np.array(Y), "y_val")


@every_loss
def test_a_noise_is_declared_where_there_is_one(loss):
    assert loss.has_noise == hasattr(loss, "with_noise")


@every_loss
def test_survives_pickling(loss, rng, draw_targets):
    Z2, Y = rng.randn(20, 3), draw_targets(loss, 20, 3)
    copy = pickle.loads(pickle.dumps(loss))
    assert_array_equal(gradient(copy, Z2, Y), gradient(loss, Z2, Y))
