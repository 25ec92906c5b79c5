"""A loss is a class and a line in the table: two of them, written here, are put to the test.

A Poisson loss with a log link, and a pinball loss, which has no curvature.
"""

import pickle
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import xlogy
from sklearn.base import clone
from sklearn.linear_model import PoissonRegressor, QuantileRegressor
from sklearn.metrics import mean_pinball_loss, mean_poisson_deviance
from sklearn.model_selection import GridSearchCV

from engine.model import test_gradients as gradients
from engine.model import test_losses as exam
from kinds import IGNORE_CONVERGENCE
from sklearn_twolayer import TwoLayerRegressor
from sklearn_twolayer.engine import LOSSES, SOLVERS
from sklearn_twolayer.engine.model.loss import ForQuantities


class Counts(ForQuantities):
    """exp(Z2) - Y Z2 - Y + Y log Y, half the deviance; link: log. Straight far out."""

    out_activation = "exponential"
    standardizes_target = False
    has_curvature = True

    def _limit(self, Z2):
        return Z2.dtype.type(0.4 * np.log(np.finfo(Z2.dtype).max))

    def _mean(self, Z2):
        return np.exp(np.minimum(Z2, self._limit(Z2)))

    def loss_gradient(self, Z2, Y, gradient):
        mean = self._mean(Z2)
        beyond = np.maximum(Z2 - self._limit(Z2), 0)
        np.subtract(mean, Y, out=gradient)
        return (mean * (1 + beyond) - Y * Z2 - Y + xlogy(Y, Y)).sum(axis=1)

    def curvature(self, Z2, Y):
        return self._mean(Z2)[:, :, None] * np.eye(Z2.shape[1], dtype=Z2.dtype)

    def inverse_link(self, Z2):
        return self._mean(Z2)

    def check_targets(self, Y, name):
        if Y.min() < 0:
            raise ValueError(f"{name} must be at least 0 for the Poisson loss, got {Y.min()}")


class Ninth(ForQuantities):
    """max(0.9 (Y - Z2), 0.1 (Z2 - Y)); link: identity. It has kinks and no curvature."""

    def loss_gradient(self, Z2, Y, gradient):
        gradient[:] = np.where(Y > Z2, -0.9, 0.1)
        return (gradient * (Z2 - Y)).sum(axis=1)


NEW = {"counts": Counts(), "ninth": Ninth()}
of_counts = partial(TwoLayerRegressor, loss="counts")
of_ninth = partial(TwoLayerRegressor, loss="ninth")
every_new = pytest.mark.parametrize("loss", NEW.values(), ids=NEW)


@pytest.fixture(autouse=True)
def in_the_table(monkeypatch):
    for name, loss in NEW.items():
        monkeypatch.setitem(LOSSES, name, loss)


@every_new
@pytest.mark.parametrize("n_outputs", [1, 3])
class TestExam:
    """What every loss of the table sits."""

    def test_derivatives(self, loss, n_outputs, rng, draw_targets):
        exam.test_gradient_is_the_derivative_of_the_value(loss, n_outputs, rng, draw_targets)
        if loss.has_curvature:
            exam.test_curvature_is_the_expected_derivative_of_the_gradient(
                loss, n_outputs, rng, draw_targets
            )

    def test_link(self, loss, n_outputs, rng):
        exam.test_inverse_link_is_what_the_output_activation_says(loss, n_outputs, rng)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_extremes(self, loss, n_outputs, dtype, rng, draw_targets):
        exam.test_extreme_raw_outputs_stay_finite_and_keep_the_dtype(
            loss, n_outputs, dtype, rng, draw_targets
        )

    def test_the_rest(self, loss, n_outputs, rng, draw_targets):
        exam.test_memory_order_does_not_matter(loss, rng, draw_targets)
        exam.test_raw_outputs_are_left_alone(loss, rng, draw_targets)
        exam.test_admits_its_own_targets(loss, draw_targets)
        exam.test_a_noise_is_declared_where_there_is_one(loss)
        exam.test_survives_pickling(loss, rng, draw_targets)

    @pytest.mark.parametrize("activation", ["tanh", "relu"])
    @pytest.mark.parametrize("skip", [False, True])
    @pytest.mark.parametrize("with_weights", [False, True])
    def test_backpropagation(
        self, loss, n_outputs, activation, skip, with_weights, rng, draw_targets
    ):
        name = next(name for name, each in NEW.items() if each is loss)
        gradients.test_backpropagation_agrees_with_central_differences(
            activation, name, skip, n_outputs, with_weights, 2.5, np.asarray, rng, draw_targets
        )


@pytest.mark.parametrize("name", NEW)
def test_losses_of_several_outputs_are_summed(name, rng, draw_targets):
    exam.test_losses_of_several_outputs_are_summed(name, rng, draw_targets)


def counts(rng, n_rows=300):
    X = rng.randn(n_rows, 3)
    return X, rng.poisson(np.exp(0.5 * X @ [1.0, -0.5, 0.2] + 1)).astype(float)


EXACT = {"activation": "identity", "alpha": 0.0, "tol": 1e-10, "n_iter_no_change": 10**9}


@pytest.mark.parametrize("solver", ["lbfgs", "lm"])
def test_a_linear_network_is_poisson_regression(solver, rng):
    X, y = counts(rng)
    weights = rng.randint(1, 4, len(y)).astype(float)
    options = {"solver": solver, "max_iter": 5000, "random_state": 0}
    model = of_counts(1, **EXACT, **options).fit(X, y, sample_weight=weights)
    expected = PoissonRegressor(alpha=0, tol=1e-12, solver="newton-cholesky")
    expected.fit(X, y, sample_weight=weights)
    assert_allclose(model.predict(X), expected.predict(X), rtol=1e-5)


@IGNORE_CONVERGENCE
def test_a_linear_network_is_quantile_regression(rng):
    X = rng.randn(200, 2)
    y = X @ [1.0, 2.0] + (1 + 0.5 * X[:, 0]) * rng.randn(200)
    model = of_ninth(1, **EXACT, solver="lbfgs", max_iter=5000, random_state=0).fit(X, y)
    expected = QuantileRegressor(quantile=0.9, alpha=0).fit(X, y)
    found, best = (mean_pinball_loss(y, m.predict(X), alpha=0.9) for m in (model, expected))
    assert best - 1e-12 <= found <= 1.001 * best


@IGNORE_CONVERGENCE
@pytest.mark.parametrize("solver", ["auto", *SOLVERS])
def test_predictions_are_counts_whatever_the_solver(solver, rng):
    X, y = counts(rng)
    options = {"learning_rate_init": 0.01, "max_iter": 200, "random_state": 0}
    model = of_counts(5, solver=solver, **options).fit(X, y)
    assert (model.predict(X) > 0).all()
    null = mean_poisson_deviance(y, np.full(len(y), y.mean()))
    assert mean_poisson_deviance(y, model.predict(X)) < 0.9 * null


def test_the_evidence_chooses_the_prior_of_a_loss_without_noise(rng):
    X, y = counts(rng)
    model = of_counts(5, random_state=0).fit(X, y)
    assert model.solver_ == "lm" and np.ndim(model.alpha_) == 1
    assert model.noise_variance_ is None
    with pytest.raises(ValueError, match=r"return_std=True needs a loss with a noise.*'counts'"):
        model.predict(X, return_std=True)


def test_far_outside_a_loss_without_noise_has_nothing_to_compare_with(rng):
    X, y = counts(rng)
    model, far = of_counts(5, random_state=0).fit(X, y), 20 * rng.randn(50, 3)
    expected = model._raw_prediction(far)
    assert model._predictive is not None
    assert_array_equal(model.predict(far), Counts().inverse_link(expected)[:, 0])


@IGNORE_CONVERGENCE
def test_streams_warm_starts_validation_and_pickles(rng):
    X, y = counts(rng)
    model = of_counts(5, solver="adam", alpha=1.0, random_state=0)
    for _ in range(3):
        model.partial_fit(X, y)
    assert (model.predict(X) > 0).all()
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    warm = of_counts(5, warm_start=True, random_state=0).fit(X, y)
    assert_allclose(warm.fit(X, y).predict(X), warm.predict(X))
    judged = of_counts(5, max_iter=20, random_state=0).fit(X, y, X_val=X, y_val=y)
    assert np.isfinite(judged.best_validation_score_)
    assert GridSearchCV(clone(model), {"alpha": [1.0, 10.0]}, cv=2).fit(X, y).best_score_ > 0


@pytest.mark.parametrize("name", ["y", "y_val"])
def test_targets_that_are_not_admitted_are_named(name, rng):
    X, y = counts(rng)
    data = {"y": y, "X_val": X, "y_val": y}
    data[name] = y - 1.5
    model = of_counts(5, random_state=0)
    with pytest.raises(ValueError, match=rf"^{name} must be at least 0 .*got -1.5"):
        model.fit(X, **data)
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "lm", "alpha": 1.0}, "solver='lm' needs the curvature .*Ninth.*'lbfgs'"),
        ({}, "alpha='auto' needs the curvature of the loss, which Ninth .*number"),
        ({"solver": "adam"}, "alpha='auto' needs the curvature of the loss"),
    ],
)
def test_what_needs_a_curvature_refuses_a_loss_without(options, message, rng):
    X, y = counts(rng)
    model = of_ninth(5, random_state=0, **options)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")
