"""What is particular to losses of quantities other than squared errors."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import huber
from sklearn.metrics import mean_pinball_loss, mean_tweedie_deviance

from engine.model.test_losses import central_differences, gradient, value
from sklearn_twolayer.engine.model.losses import LOSSES, loss_with
from sklearn_twolayer.engine.model.quantile_losses import Huber, Pinball, weighted_quantiles

LEVELS = (0.1, 0.5, 0.9)
POWERS = {"poisson": 1.0, "tweedie": 1.5, "gamma": 2.0}
of_log_link = pytest.mark.parametrize("name", POWERS)


@of_log_link
def test_losses_with_a_log_link_are_half_the_deviance(name, rng):
    Z2, Y = rng.randn(50, 1), rng.gamma(2, size=(50, 1))
    mean, loss = np.exp(Z2[:, 0]), LOSSES[name]
    expected = mean_tweedie_deviance(Y[:, 0], mean, power=POWERS[name]) / 2
    assert_allclose(value(loss, Z2, Y).mean(), expected, rtol=1e-13)


@pytest.mark.parametrize("power", [1.01, 1.3, 1.99])
def test_tweedie_of_any_power(power, rng):
    loss = loss_with("tweedie", {"power": power, "quantile": 0.3})
    Z2, Y = rng.randn(50, 1), rng.gamma(2, size=(50, 1)) * (rng.rand(50, 1) < 0.7)
    expected = mean_tweedie_deviance(Y[:, 0], np.exp(Z2[:, 0]), power=power) / 2
    assert_allclose(value(loss, Z2, Y).mean(), expected, rtol=1e-12)
    slopes = central_differences(lambda Z: value(loss, Z, Y), Z2)
    assert_allclose(gradient(loss, Z2, Y), slopes, rtol=1e-6, atol=1e-8)


@of_log_link
def test_a_noise_multiplies_losses_of_each_output(name, rng):
    loss, beta = LOSSES[name], np.array([0.5, 3.0])
    Z2, Y = rng.randn(20, 2), rng.gamma(2, size=(20, 2))
    noisy = loss.with_noise(beta)
    each = np.stack([value(loss, Z2[:, [k]], Y[:, [k]]) for k in range(2)], axis=1)
    assert_allclose(value(noisy, Z2, Y), each @ beta, rtol=1e-14)
    assert_allclose(gradient(noisy, Z2, Y), gradient(loss, Z2, Y) * beta, rtol=1e-14)
    assert_allclose(noisy.curvature(Z2, Y), loss.curvature(Z2, Y) * np.diag(beta), rtol=1e-14)


@of_log_link
def test_the_dispersion_is_the_mean_of_squared_residuals(name, rng):
    loss, power = LOSSES[name], POWERS[name]
    Z2 = rng.randn(200_000, 1)
    mean = np.exp(Z2)
    Y = mean + np.sqrt(0.3 * mean**power) * rng.standard_normal(Z2.shape)
    assert_allclose(loss.squared_residuals(Z2, Y).mean(), 0.3, rtol=0.02)
    assert_allclose(loss.noise_variance(mean, np.array([0.3])), 0.3 * mean**power, rtol=1e-14)
    assert_allclose(loss.variance_of_mean(mean, 0.2 * np.ones_like(mean)), 0.2 * mean**2)


@of_log_link
def test_all_of_a_constant_is_noise(name, rng):
    loss, Y = LOSSES[name], rng.gamma(2, size=(40, 2))
    weights = rng.randint(1, 4, 40).astype(float)
    (found,) = loss.noise_of_constant(Y, weights)[None]
    constant = np.tile(loss.best_constant(Y, weights), (40, 1))
    expected = weights @ loss.squared_residuals(constant, Y) / weights.sum()
    assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "y", "message"),
    [
        ("poisson", -1.0, "y must be at least 0 for the Poisson loss, got -1"),
        ("tweedie", -0.5, "y must be at least 0 for the Tweedie loss, got -0.5"),
        ("gamma", 0.0, "y must be above 0 for the gamma loss, got 0"),
    ],
)
def test_inadmissible_targets(name, y, message):
    LOSSES[name].check_targets(np.array([[1.0], [2.0]]), "y")
    with pytest.raises(ValueError, match=message):
        LOSSES[name].check_targets(np.array([[1.0], [y]]), "y")


def test_zeros_are_counts_and_amounts():
    for name in ("poisson", "tweedie"):
        LOSSES[name].check_targets(np.zeros((2, 1)), "y")


@pytest.mark.parametrize("level", LEVELS)
def test_a_quantile_costs_its_pinball_loss(level, rng):
    Z2, Y = rng.randn(50, 1), rng.randn(50, 1)
    found = value(loss_with("quantile", {"quantile": level}), Z2, Y).mean()
    assert_allclose(found, mean_pinball_loss(Y, Z2, alpha=level), rtol=1e-13)


def test_hubers_loss_is_that_of_scipy(rng):
    Z2, Y = 3 * rng.randn(50, 1), rng.randn(50, 1)
    assert_allclose(value(Huber(0.7), Z2, Y), huber(0.7, (Y - Z2)[:, 0]), rtol=1e-13)


@pytest.mark.parametrize("unit", [1.0, 40.0])
class TestSeveralQuantiles:
    def loss(self, unit):
        return Pinball(LEVELS, unit)

    def test_they_never_cross(self, unit, rng):
        found = self.loss(unit).inverse_link(100 * unit * rng.randn(500, 3))
        assert (np.diff(found, axis=1) >= 0).all()

    def test_their_losses_are_summed(self, unit, rng):
        Z2, Y = unit * rng.randn(50, 3), unit * rng.randn(50, 1)
        found, quantiles = value(self.loss(unit), Z2, Y).mean(), self.loss(unit).inverse_link(Z2)
        each = zip(LEVELS, quantiles.T, strict=True)
        expected = sum(mean_pinball_loss(Y, q, alpha=level) for level, q in each)
        assert_allclose(found, expected, rtol=1e-13)

    def test_gradient(self, unit, rng):
        Z2, Y = unit * rng.randn(50, 3), unit * rng.randn(50, 1)
        expected = central_differences(lambda Z: value(self.loss(unit), Z, Y), Z2)
        assert_allclose(gradient(self.loss(unit), Z2, Y), expected, atol=1e-7)

    def test_raw_outputs_invert_the_link(self, unit):
        quantiles = unit * np.array([-1.0, 0.3, 5.0])
        raw = self.loss(unit).raw_outputs(quantiles)
        assert_allclose(self.loss(unit).inverse_link(raw[None])[0], quantiles, rtol=1e-12)

    def test_units_of_raw_outputs(self, unit, rng):
        Z2 = rng.randn(20, 3)
        in_units = Pinball(LEVELS).for_raw_outputs(np.array([unit]))
        assert_allclose(in_units.inverse_link(unit * Z2), unit * Pinball(LEVELS).inverse_link(Z2))

    def test_equal_quantiles_have_raw_outputs(self, unit):
        found = self.loss(unit).raw_outputs(np.zeros(3))
        assert np.isfinite(found).all()


BEGINNING = {
    "absolute_error": LOSSES["absolute_error"],
    "quantile": Pinball(0.2),
    "several quantiles": Pinball(LEVELS),
    **{name: LOSSES[name] for name in POWERS},
}


@pytest.mark.parametrize("loss", BEGINNING.values(), ids=BEGINNING)
def test_no_other_constant_is_better_than_the_best(loss, rng):
    Y, weights = rng.gamma(2, size=(60, 1)), rng.randint(1, 4, 60).astype(float)
    best = loss.best_constant(Y, weights)

    def total(constant):
        return weights @ value(loss, np.tile(constant, (60, 1)), Y)

    for k in range(len(best)):
        for step in (-0.3, 0.3):
            assert total(best) < total(best + step * (np.arange(len(best)) == k))


def test_weights_of_quantiles_are_copies(rng):
    Y, weights = rng.randn(30, 2), rng.randint(0, 4, 30)
    copies = np.repeat(Y, weights, axis=0)
    for level in (0.05, 0.5, 0.95):
        found = weighted_quantiles(Y, weights.astype(float), level)
        assert_array_equal(found, weighted_quantiles(copies, np.ones(len(copies)), level))
        assert_array_equal(found, np.quantile(copies, level, axis=0, method="inverted_cdf"))


class TestThreshold:
    """Of Huber's loss, in units of the noise."""

    def test_of_a_gaussian_noise(self, rng):
        errors, weights = 2.5 * rng.randn(100_000, 1), np.ones(100_000)
        found = Huber("auto").for_noise(errors, weights).huber_delta
        assert_allclose(found, 1.345 * 2.5, rtol=0.02)

    def test_far_off_rows_do_not_move_it(self, rng):
        errors, weights = rng.randn(1000, 1), np.ones(1000)
        before = Huber("auto").for_noise(errors, weights).huber_delta
        errors[np.argsort(np.abs(errors[:, 0]))[-50:]] *= 1000
        assert Huber("auto").for_noise(errors, weights).huber_delta < 100 * before

    @pytest.mark.parametrize("errors", [np.zeros((20, 1)), np.eye(20)[:, :1]])
    def test_without_noise_there_is_one_still(self, errors):
        assert Huber("auto").for_noise(errors, np.ones(20)).huber_delta > 0

    def test_units(self):
        assert Huber(6.0).in_units_of(np.array([2.0])).huber_delta == 3.0
        assert Huber("auto").in_units_of(np.array([2.0])).follows_noise
