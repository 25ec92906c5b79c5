import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm

from engine.model.test_losses import central_differences, gradient, value
from sklearn_twolayer.engine.data.moments import Moments
from sklearn_twolayer.engine.data.scaling import Scaling
from sklearn_twolayer.engine.model.losses import LOSSES, loss_with
from sklearn_twolayer.engine.model.varying_noise import LEAST, VaryingNoise

LOSS = VaryingNoise()
every_width = pytest.mark.parametrize("n_targets", [1, 3])
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@pytest.fixture
def outputs(rng):
    def draw(n_targets, n_rows=20):
        return rng.randn(n_rows, 2 * n_targets), rng.randn(n_rows, n_targets)

    return draw


@every_width
def test_value_is_that_of_a_gaussian_density(n_targets, outputs):
    Z2, Y = outputs(n_targets)
    mean, deviation = Z2[:, :n_targets], np.exp(Z2[:, n_targets:] / 2)
    density = norm(mean, deviation).logpdf(Y) + 0.5 * np.log(2 * np.pi)
    assert_allclose(value(LOSS, Z2, Y), -density.sum(axis=1), atol=1e-6)


@every_width
def test_gradient_is_the_derivative_of_the_value(n_targets, outputs):
    Z2, Y = outputs(n_targets)
    Z2[0, n_targets:] = np.log(LEAST)  # where the least variance counts as much
    Y[0] = Z2[0, :n_targets] + 1e-4
    expected = central_differences(lambda Z: value(LOSS, Z, Y), Z2)
    assert_allclose(gradient(LOSS, Z2, Y), expected, rtol=1e-5, atol=1e-7)


@every_width
def test_curvature_is_the_expected_derivative_of_the_gradient(n_targets, outputs):
    Z2, _ = outputs(n_targets)
    # of two targets alike on either side, a deviation off, mean and mean square are the true ones
    deviation = np.exp(Z2[:, n_targets:] / 2)
    expected = np.zeros((len(Z2), 2 * n_targets, 2 * n_targets))
    for side in (-1, 1):
        Y = Z2[:, :n_targets] + side * deviation
        expected += 0.5 * central_differences(lambda Z, Y=Y: gradient(LOSS, Z, Y), Z2)
    assert_allclose(LOSS.curvature(Z2, Z2[:, :n_targets]), expected, atol=1e-6)


@every_width
@every_dtype
def test_extreme_raw_outputs_stay_finite_and_keep_the_dtype(n_targets, dtype, rng):
    Z2 = rng.choice([-1e3, 0, 1e3], size=(40, 2 * n_targets)).astype(dtype)
    Y = rng.randn(40, n_targets).astype(dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        results = value(LOSS, Z2, Y), gradient(LOSS, Z2, Y), LOSS.curvature(Z2, Y)
        located = LOSS.location_scale(Z2, np.full(Z2.shape, 1e3, dtype), np.ones(1))
    for result in (*results, *located):
        assert result.dtype == dtype
        assert np.isfinite(result).all()


def test_far_out_the_loss_is_straight():
    values = [value(LOSS, np.array([[0.0, t]]), np.zeros((1, 1)))[0] for t in (400, 500, 600)]
    assert_allclose(np.diff(values), 50)


def test_losses_of_several_targets_are_summed(outputs):
    Z2, Y = outputs(3)
    columns = [(Z2[:, [k, 3 + k]], Y[:, [k]]) for k in range(3)]
    assert_allclose(value(LOSS, Z2, Y), sum(value(LOSS, *column) for column in columns))


def test_memory_order_does_not_matter_and_raw_outputs_are_left_alone(outputs):
    Z2, Y = outputs(2)
    before = Z2.copy()
    assert_allclose(value(LOSS, np.asfortranarray(Z2), Y), value(LOSS, Z2, Y))
    LOSS.curvature(Z2, Y)
    LOSS.location_scale(Z2, np.ones(Z2.shape), np.ones(1))
    assert_array_equal(Z2, before)
    assert_array_equal(LOSS.inverse_link(Z2), before[:, :2])
    assert pickle.loads(pickle.dumps(LOSS)) == LOSS


def test_a_constant_begins_at_mean_and_variance(rng):
    Y, weights = rng.randn(50, 2) * [1, 3], rng.randint(1, 4, 50).astype(float)
    copies = np.repeat(Y, weights.astype(int), axis=0)
    expected = [*copies.mean(axis=0), *np.log(copies.var(axis=0))]
    assert_allclose(LOSS.best_constant(Y, weights), expected)
    assert_allclose(LOSS.best_constant(np.ones((9, 1)), np.ones(9)), [1, np.log(LEAST)])


def test_scale_integrates_over_what_is_left_open(rng):
    t, variance = 0.3, 0.8
    draws = np.exp(t + np.sqrt(variance) * rng.randn(200_000))
    Z2, of_outputs = np.array([[1.0, t]]), np.array([[0.5, variance]])
    location, scale = LOSS.location_scale(Z2, of_outputs, np.ones(1))
    assert location == 1
    assert_allclose(scale**2, draws.mean() + 0.5, rtol=0.02)
    known = LOSS.predictive_outputs(Z2, of_outputs)
    assert_allclose(LOSS.location_scale(known, 0 * of_outputs, np.ones(1))[1], scale, rtol=1e-6)


def test_ratios_of_losses_are_those_of_variances(rng):
    Y, one = rng.randn(2000, 1), np.ones(2000)
    mean_loss = [value(LOSS, np.tile(LOSS.best_constant(s * Y, one), (2000, 1)), s * Y).mean()
                 for s in (1, 2)]  # fmt: skip
    first, second = (LOSS.ratio_scale(each) for each in mean_loss)
    assert_allclose(second / first, 4, rtol=1e-5)
    assert np.isfinite(LOSS.ratio_scale(1e30))


def test_units_of_variances_follow_those_of_targets():
    one = Moments(np.zeros(2), np.ones(2), np.ones(2), np.ones(2))
    Y = Moments(*(np.array(each) for each in ([5.0, -1.0], [3.0, 0.1], [3.0, 0.1], [9.0, 2.0])))
    scaling = Scaling(one, Y, 10, 10.0, link="log_variance")
    factor, offset = scaling.outputs(4)
    assert_allclose(factor, [*scaling.Y_scale, 1, 1])
    assert_allclose(offset, [5, -1, *(2 * np.log(scaling.Y_scale))])
    for found, expected in zip(scaling.outputs(2), (factor[:2], offset[:2]), strict=True):
        assert_array_equal(found, expected)


def test_which_loss_a_noise_asks_for():
    assert loss_with("squared_error", {"noise": "constant"}) is LOSSES["squared_error"]
    assert not loss_with("squared_error", {"noise": "varying"}).beside_constant
    assert loss_with("squared_error", {"noise": "mixture"}).beside_constant
