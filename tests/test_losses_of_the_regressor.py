"""The regressor's losses: textbook models as oracles, and what every one of them must stand."""

import pickle
from inspect import signature

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import huber
from sklearn.base import clone
from sklearn.linear_model import (
    GammaRegressor,
    HuberRegressor,
    PoissonRegressor,
    QuantileRegressor,
    TweedieRegressor,
)
from sklearn.metrics import (
    d2_absolute_error_score,
    d2_pinball_score,
    d2_tweedie_score,
    mean_absolute_error,
    mean_pinball_loss,
    r2_score,
)
from sklearn.neural_network import MLPRegressor

from kinds import IGNORE_CONVERGENCE
from sklearn_twolayer import TwoLayerRegressor

LINEAR = {
    "activation": "identity",
    "alpha": 0.0,
    "tol": 1e-10,
    "n_iter_no_change": np.inf,
    "max_iter": 5000,
    "random_state": 0,
}
LEVELS = [0.1, 0.5, 0.9]
NEWTON = {"alpha": 0, "tol": 1e-12, "solver": "newton-cholesky"}
GLM = {
    "poisson": PoissonRegressor(**NEWTON),
    "gamma": GammaRegressor(**NEWTON),
    "tweedie": TweedieRegressor(power=1.5, link="log", **NEWTON),
}
LOSSES = {
    "squared_error": {},
    "absolute_error": {},
    "quantile": {"quantile": 0.8},
    "quantiles": {"loss": "quantile", "quantile": LEVELS},
    "huber": {},
    "poisson": {},
    "gamma": {},
    "tweedie": {"power": 1.3},
}
OPTIONS = {name: {"loss": name} | options for name, options in LOSSES.items()}
every_loss = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


def counts(rng, n_rows=200, n_columns=3):
    X = rng.randn(n_rows, n_columns)
    return X, rng.poisson(np.exp(X @ np.array([0.5, -0.25, 0.1])[:n_columns] + 1)).astype(float)


def targets(loss, rng, n_rows=200):
    """Rows and targets that the loss admits."""
    X, y = counts(rng, n_rows)
    return X, (y + 0.5) * rng.gamma(3, 1 / 3, n_rows) if loss == "gamma" else y


def heteroscedastic(rng, n_rows=200):
    X = rng.randn(n_rows, 3)
    return X, X @ [1.0, 2.0, 0.0] + (1 + 0.5 * X[:, 0]) * rng.randn(n_rows)


@pytest.mark.parametrize("loss", GLM)
@pytest.mark.parametrize("solver", ["lbfgs", "lm"])
@pytest.mark.parametrize("standardize", [False, True])
def test_a_linear_network_is_a_generalised_linear_model(loss, solver, standardize, rng):
    X, y = targets(loss, rng)
    weights = rng.randint(1, 4, len(y)).astype(float)
    model = TwoLayerRegressor(1, loss=loss, solver=solver, standardize=standardize, **LINEAR)
    model.fit(X, y, sample_weight=weights)
    expected = clone(GLM[loss]).fit(X, y, sample_weight=weights).predict(X)
    assert_allclose(model.predict(X), expected, rtol=1e-5)


@pytest.mark.parametrize("loss", GLM)
@pytest.mark.parametrize("alpha", [1.0, 10.0])
def test_the_penalty_of_two_layers_is_one_on_the_length_of_their_product(loss, alpha, rng):
    # |W1|^2 + |W2|^2 is least at 2 |w| where W1 W2 = w, of which alpha |w| is the derivative of
    # alpha' |w|^2 / 2 with alpha' = alpha / |w|
    X, y = targets(loss, rng)
    options = {**LINEAR, "alpha": alpha, "standardize": False}
    model = TwoLayerRegressor(1, loss=loss, solver="lbfgs", **options).fit(X, y)
    length = np.linalg.norm(model.coefs_[0] @ model.coefs_[1])
    expected = clone(GLM[loss]).set_params(alpha=alpha / (len(X) * length)).fit(X, y)
    assert_allclose(model.predict(X), expected.predict(X), rtol=1e-4)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("skip", [False, True])
@IGNORE_CONVERGENCE
def test_a_linear_network_is_quantile_regression(level, skip, rng):
    X, y = heteroscedastic(rng)
    model = TwoLayerRegressor(1, loss="quantile", quantile=level, solver="lbfgs", skip=skip)
    model.set_params(**LINEAR).fit(X, y)
    expected = QuantileRegressor(quantile=level, alpha=0).fit(X, y)
    found, best = (mean_pinball_loss(y, m.predict(X), alpha=level) for m in (model, expected))
    assert_allclose(found, best, rtol=1e-5)


@IGNORE_CONVERGENCE
def test_a_linear_network_has_the_least_absolute_errors(rng):
    X, y = heteroscedastic(rng)
    model = TwoLayerRegressor(1, loss="absolute_error", solver="lbfgs", **LINEAR).fit(X, y)
    expected = QuantileRegressor(quantile=0.5, alpha=0).fit(X, y)
    found, best = (mean_absolute_error(y, m.predict(X)) for m in (model, expected))
    assert_allclose(found, best, rtol=1e-5)


@pytest.mark.parametrize("solver", ["lbfgs", "lm"])
def test_a_linear_network_is_hubers_regression(solver, rng):
    X, y = heteroscedastic(rng)
    expected = HuberRegressor(alpha=0, tol=1e-10, max_iter=10_000).fit(X, y)
    delta = expected.epsilon * expected.scale_
    model = TwoLayerRegressor(1, loss="huber", huber_delta=delta, solver=solver, **LINEAR)
    assert_allclose(model.fit(X, y).predict(X), expected.predict(X), atol=1e-4)
    assert_allclose(model.huber_delta_, delta)


def test_scikit_learns_network_has_the_same_predictions(rng):
    # as scikit-learn tests its own: a network whose hidden units only pass on a linear model
    if "loss" not in signature(MLPRegressor).parameters:
        pytest.skip("scikit-learn 1.6 has none")
    X, y = counts(rng, 100, 2)
    options = {"hidden_layer_sizes": (1,), "activation": "identity", "alpha": 0, "loss": "poisson"}
    mlp = MLPRegressor(solver="lbfgs", tol=1e-7, random_state=1, max_iter=1000, **options).fit(X, y)
    glm = PoissonRegressor(alpha=0, tol=1e-7).fit(X, y)
    ours = TwoLayerRegressor(1, loss="poisson", solver="lbfgs", standardize=False, **LINEAR)
    assert_allclose(ours.fit(X, y).predict(X), glm.predict(X), rtol=1e-4)
    assert_allclose(ours.predict(X), mlp.predict(X), rtol=1e-4)


@every_loss
@IGNORE_CONVERGENCE
def test_weights_are_copies(options, rng):
    X, y = targets(options["loss"], rng, 80)
    weights = rng.randint(0, 4, 80)
    copies = np.repeat(np.arange(80), weights)
    model = TwoLayerRegressor(3, random_state=0, n_members=1, **options)
    weighted = clone(model).fit(X, y, sample_weight=weights)
    repeated = clone(model).fit(X[copies], y[copies])
    assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-9, atol=1e-9)
    assert_allclose(
        weighted.predict_interval(X), repeated.predict_interval(X), rtol=1e-8, atol=1e-8
    )


@every_loss
def test_the_units_of_y_make_no_difference(options, rng):
    X, y = targets(options["loss"], rng)
    model = TwoLayerRegressor(3, random_state=0, n_members=1, **options)
    # a power of two: rounding alone may part two searches along kinks
    found = clone(model).fit(X, 1024 * y).predict(X) / 1024
    assert_allclose(found, clone(model).fit(X, y).predict(X), rtol=1e-5, atol=1e-5 * y.std())


@pytest.mark.sampled(3)
@every_loss
@pytest.mark.parametrize("settings", [{}, {"solver": "adam", "max_iter": 20}])
def test_untouched_it_beats_a_constant_without_a_warning(options, settings, rng):
    X, y = targets(options["loss"], rng)
    model = TwoLayerRegressor(random_state=0, **settings, **options).fit(X, y)
    X_test, y_test = targets(options["loss"], rng)
    assert model.score(X_test, y_test) > 0.05
    low, high = model.predict_interval(X_test, coverage=0.8).T
    assert 0.65 < np.mean((low <= y_test) & (y_test <= high)) < 0.95


SCORES = {
    "squared_error": r2_score,
    "absolute_error": d2_absolute_error_score,
    "quantile": lambda y, found, **kw: d2_pinball_score(y, found, alpha=0.8, **kw),
    "quantiles": lambda y, found, **kw: np.mean(
        [
            d2_pinball_score(y, q, alpha=level, **kw)
            for level, q in zip(LEVELS, found.T, strict=True)
        ]
    ),
    "poisson": lambda y, found, **kw: d2_tweedie_score(y, found, power=1, **kw),
    "gamma": lambda y, found, **kw: d2_tweedie_score(y, found, power=2, **kw),
    "tweedie": lambda y, found, **kw: d2_tweedie_score(y, found, power=1.3, **kw),
}


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("weighted", [False, True])
def test_score(name, weighted, rng):
    options = OPTIONS[name]
    X, y = targets(options["loss"], rng)
    model = TwoLayerRegressor(3, random_state=0, **options).fit(X, y)
    weights = {"sample_weight": rng.rand(len(y))} if weighted else {}
    assert_allclose(model.score(X, y, **weights), SCORES[name](y, model.predict(X), **weights))


def test_score_of_hubers_loss(rng):
    X, y = targets("huber", rng)
    model = TwoLayerRegressor(3, loss="huber", huber_delta=1.0, random_state=0).fit(X, y)
    constants = np.linspace(y.min(), y.max(), 20_001)
    best = min(huber(1.0, y - c).sum() for c in constants)
    expected = 1 - huber(1.0, y - model.predict(X)).sum() / best
    assert_allclose(model.score(X, y), expected, atol=1e-6)


@pytest.mark.parametrize("options", [o for n, o in OPTIONS.items() if n != "quantiles"])
def test_several_targets(options, rng):
    X, y = targets(options["loss"], rng)
    model = TwoLayerRegressor(3, random_state=0, **options).fit(X, np.column_stack([y, 3 * y]))
    found = model.predict(X)
    assert found.shape == (200, 2)
    # one more column of the same tells as much of the other
    assert_allclose(3 * found[:, 0], found[:, 1], rtol=0.2, atol=0.2 * y.std())
    assert 0 < model.score(X, np.column_stack([y, 3 * y])) < 1
    assert model.predict_interval(X).shape == (200, 2, 2)


def test_quantiles_are_heads_that_never_cross(rng):
    X, y = heteroscedastic(rng)
    model = TwoLayerRegressor(loss="quantile", quantile=LEVELS, random_state=0).fit(X, y)
    far = np.concatenate([X, 100 * rng.randn(500, 3)])
    found = model.predict(far)
    assert found.shape == (700, 3) and (np.diff(found, axis=1) >= 0).all()
    assert model.n_outputs_ == 3
    below = (y[:, None] <= found[:200]).mean(axis=0)
    assert_allclose(below, LEVELS, atol=0.08)
    single = TwoLayerRegressor(loss="quantile", quantile=LEVELS[:1], random_state=0).fit(X, y)
    assert single.predict(X).shape == (200,)


def test_a_log_link_has_a_dispersion_and_error_bars(rng):
    X = rng.randn(1000, 2)
    mean = np.exp(0.4 * X[:, 0] + 2)
    y = 3.0 * rng.poisson(mean / 3)  # three times as variable as counts are
    model = TwoLayerRegressor(loss="poisson", n_members=1, random_state=0).fit(X, y)
    assert_allclose(model.dispersion_, 3, rtol=0.15)
    prediction, deviation = model.predict(X, return_std=True)
    assert_allclose(deviation, np.sqrt(3 * prediction), rtol=0.15)
    assert model.noise_variance_ is None and model.out_activation_ == "exponential"
    # in other units of y it is another number
    other = clone(model).fit(X, 10 * y)
    assert_allclose(other.dispersion_, 10 * model.dispersion_, rtol=1e-3)


@pytest.mark.parametrize("solver", ["lm", "adam", "lbfgs"])
def test_the_dispersion_of_rare_counts_is_not_their_deviance(solver, rng):
    # half the deviance of counts of mean 0.1 is 0.4 a row, whatever their variance is
    X = rng.randn(4000, 2)
    y = rng.poisson(0.1 * np.exp(0.3 * X[:, 0])).astype(float)
    model = TwoLayerRegressor(5, loss="poisson", solver=solver, random_state=0).fit(X, y)
    assert_allclose(model.dispersion_, 1, rtol=0.1)


@IGNORE_CONVERGENCE
def test_a_stream_may_change_the_units(rng):
    X, y = targets("poisson", rng)
    model = TwoLayerRegressor(5, loss="poisson", solver="adam", alpha=1.0, random_state=0)
    model.set_params(learning_rate_init=1e-9).partial_fit(X, y)
    before = model.predict(X)
    # a chunk of another mean, from which hardly anything is learnt
    assert_allclose(model.partial_fit(X + 3, 20 * y).predict(X), before, rtol=1e-4)


@pytest.mark.parametrize("loss", GLM)
def test_far_outside_the_variance_of_the_mean_is_compared_with_that_of_y(loss, rng):
    X, y = targets(loss, rng)
    model = TwoLayerRegressor(3, loss=loss, n_members=1, random_state=0).fit(X, y)
    far = 5 * rng.randn(400, 3)
    mean = model._as_it_is(far)[:, 0]
    variance = mean**2 * model._variance(far)[:, 0]
    outside = (far < X.min(axis=0)).any(axis=1) | (far > X.max(axis=0)).any(axis=1)
    unknown = outside & (variance > y.var())
    assert 0.1 < unknown.mean() < 0.9
    assert_array_equal(model.predict(far)[~unknown], mean[~unknown])
    assert (model.predict(far)[unknown] != mean[unknown]).mean() > 0.9


@pytest.mark.parametrize("solver", ["auto", "adam"])
def test_medians_go_their_own_way(solver, rng):
    # of an exponential distribution they are log 2 of the mean, so that their slope is another one
    x = rng.rand(1000)
    y = (1 + 4 * x) * rng.exponential(size=1000)
    options = {"loss": "absolute_error", "solver": solver, "n_members": 1, "random_state": 0}
    first, last = TwoLayerRegressor(**options).fit(x[:, None], y).predict([[0.1], [0.9]])
    assert_allclose(last - first, 0.8 * 4 * np.log(2), rtol=0.2)


def test_the_mean_loss_takes_the_place_of_the_noise(rng):
    X, y = heteroscedastic(rng)
    options = {"hidden_size": 5, "solver": "lm", "random_state": 0}
    mean = TwoLayerRegressor(**options).fit(X, y)
    options = options | {"loss": "huber", "huber_delta": 1e6}
    median = TwoLayerRegressor(**options).fit(X, y)
    # a threshold that no error reaches: twice the loss is the mean square of the residuals
    square = np.mean((y - mean.predict(X)) ** 2)
    assert_allclose(median.alpha_, mean.alpha_ / mean.noise_variance_ * square, rtol=1e-6)


@IGNORE_CONVERGENCE
@pytest.mark.parametrize("name", ["absolute_error", "quantile", "quantiles", "poisson", "gamma"])
def test_training_begins_at_the_best_constant(name, rng):
    X, y = rng.randn(300, 3), rng.gamma(100, 10, 300)
    options = OPTIONS[name] | {"solver": "sgd", "learning_rate_init": 1e-12, "max_iter": 1}
    options |= {"alpha": 1.0, "standardize": False, "random_state": 0}
    found = np.median(TwoLayerRegressor(5, **options).fit(X, y).predict(X), axis=0)
    levels = {"quantile": 0.8, "quantiles": LEVELS, "absolute_error": 0.5}
    expected = np.quantile(y, levels[name]) if name in levels else y.mean()
    if name in GLM:
        found, expected = np.log(found), np.log(expected)
    # the weights that are drawn move raw outputs by no more than one
    assert_allclose(found, expected, atol=1 if name in GLM else 10)


def test_rates_with_their_exposure_as_weights_are_counts(rng):
    X, exposure = rng.randn(500, 2), rng.uniform(0.1, 1, 500)
    rate = np.exp(0.8 * X[:, 0])
    y = rng.poisson(rate * exposure)
    model = TwoLayerRegressor(loss="poisson", n_members=1, random_state=0)
    model.fit(X, y / exposure, sample_weight=exposure)
    assert np.corrcoef(np.log(model.predict(X)), 0.8 * X[:, 0])[0, 1] > 0.97
    assert_allclose(exposure @ model.predict(X), y.sum(), rtol=0.02)


def test_the_threshold_follows_the_noise(rng):
    X = rng.randn(400, 2)
    y = 10 * X[:, 0] + 2 * rng.randn(400)
    y[:20] += 500
    model = TwoLayerRegressor(loss="huber", random_state=0).fit(X, y)
    assert model.huber_delta_.shape == (1,)
    assert 1 < model.huber_delta_[0] / (1.345 * 2) < 4
    clean = np.arange(20, 400)
    assert r2_score(10 * X[clean, 0], model.predict(X[clean])) > 0.95


def test_the_prior_is_that_of_squared_errors(rng):
    X, y = heteroscedastic(rng)
    model = TwoLayerRegressor(loss="absolute_error", n_members=1, random_state=0).fit(X, y)
    assert model.solver_ == "lbfgs" and np.ndim(model.alpha_) == 1
    again = TwoLayerRegressor(loss="absolute_error", n_members=1, random_state=0).fit(X, y)
    assert_array_equal(again.predict(X), model.predict(X))
    with pytest.raises(ValueError, match=r"return_std=True needs a loss with a noise"):
        model.predict(X, return_std=True)


@pytest.mark.sampled(3)
@every_loss
@IGNORE_CONVERGENCE
def test_streams_warm_starts_validation_and_pickles(options, rng):
    X, y = targets(options["loss"], rng)
    model = TwoLayerRegressor(5, solver="adam", random_state=0, **options)
    for _ in range(3):
        model.partial_fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    warm = TwoLayerRegressor(5, warm_start=True, random_state=0, **options).fit(X, y)
    before, score = warm.predict(X), warm.score(X, y)
    assert warm.fit(X, y).score(X, y) > score - 0.05
    assert warm.predict(X).shape == before.shape
    judged = TwoLayerRegressor(5, max_iter=20, random_state=0, **options)
    judged.fit(X, y, X_val=X, y_val=y)
    assert np.isfinite(judged.best_validation_score_)
    judged.set_params(scoring=lambda model, X, y: model.score(X, y)).fit(X, y, X_val=X, y_val=y)
    assert 0 < judged.best_validation_score_ < 1


@every_loss
def test_float32(options, rng):
    X, y = targets(options["loss"], rng)
    model = TwoLayerRegressor(3, random_state=0, **options).fit(X.astype(np.float32), y)
    assert model.predict(X.astype(np.float32)).dtype == np.float32
    assert model.predict_interval(X.astype(np.float32)).dtype == np.float32


@pytest.mark.sampled(3)
@every_loss
def test_rows_of_any_size_have_finite_predictions(options, rng):
    X, y = targets(options["loss"], rng)
    model = TwoLayerRegressor(random_state=0, **options).fit(X, y)
    for size in (1e3, 1e30, 1e300):
        far = size * rng.randn(50, 3)
        for found in (model.predict(far), model.predict_interval(far)):
            assert np.isfinite(found).all()


@every_loss
def test_without_a_posterior_there_are_intervals_still(options, rng):
    X, y = targets(options["loss"], rng)
    model = TwoLayerRegressor(3, alpha=1.0, store_posterior=False, random_state=0, **options)
    low, high = model.fit(X, y).predict_interval(X, coverage=0.8).T
    assert 0.7 < np.mean((low <= y) & (y <= high)) < 0.9
    assert model.noise_variance_ is None and model.dispersion_ is None


def test_zeros_alone(rng):
    model = TwoLayerRegressor(3, loss="poisson", random_state=0)
    found = model.fit(rng.randn(30, 2), np.zeros(30)).predict(rng.randn(5, 2))
    assert (found >= 0).all() and (found < 0.1).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "l1"}, r"loss must be one of 'squared_error', .*'tweedie', got 'l1'"),
        ({"loss": "quantile", "quantile": 1.0}, r"quantile must be a number in \(0, 1\).*got 1.0"),
        ({"quantile": [0.5, 0.5]}, r"quantile must be .*that increase, got \[0.5, 0.5\]"),
        ({"quantile": [0.9, 0.1]}, r"quantile must be .*that increase"),
        ({"quantile": []}, r"quantile must be .*that increase"),
        ({"power": 1.0}, r"power must be a number in \(1, 2\), got 1.0"),
        ({"power": 2}, r"power must be a number in \(1, 2\), got 2"),
        ({"huber_delta": 0.0}, "huber_delta must be .*above 0, got 0.0"),
        ({"loss": "absolute_error", "solver": "lm"}, "solver='lm' needs the curvature"),
    ],
)
def test_bad_parameters(options, message, rng):
    X, y = counts(rng)
    model = TwoLayerRegressor(3, random_state=0, **options)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize("name", ["y", "y_val"])
@pytest.mark.parametrize("loss", GLM)
def test_inadmissible_targets_are_named(loss, name, rng):
    X, y = targets("gamma", rng)
    data = {"y": y, "X_val": X, "y_val": y}
    data[name] = y - 10
    model = TwoLayerRegressor(3, loss=loss, random_state=0)
    with pytest.raises(ValueError, match=rf"^{name} must be (at least|above) 0 for the"):
        model.fit(X, **data)
    assert not hasattr(model, "coefs_")


def test_a_list_of_quantiles_is_for_one_target(rng):
    X, y = counts(rng)
    model = TwoLayerRegressor(loss="quantile", quantile=LEVELS)
    with pytest.raises(ValueError, match="list for quantile needs a single target, got 2"):
        model.fit(X, np.column_stack([y, y]))


@pytest.mark.parametrize("change", [{"loss": "gamma"}, {"power": 1.2}, {"quantile": LEVELS}])
def test_a_loss_does_not_change_on_the_way(change, rng):
    X, y = targets("gamma", rng)
    model = TwoLayerRegressor(3, loss="tweedie", warm_start=True, random_state=0).fit(X, y)
    before = model.predict(X)
    (name,) = change
    with pytest.raises(ValueError, match=rf"{name}=.* differs from the fitted network's"):
        model.set_params(**change).fit(X, y)
    assert_array_equal(model.predict(X), before)
