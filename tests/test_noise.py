"""Noise that varies from row to row, as the regressor offers it."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from sklearn.base import clone

from kinds import IGNORE_CONVERGENCE, with_checks
from sklearn_twolayer import TwoLayerRegressor

both = pytest.mark.parametrize("noise", ["varying", "mixture"])
LM = {"solver": "lm", "hidden_size": 3, "random_state": 0}


def deviation_of(X):
    return 0.1 + 0.9 / (1 + np.exp(-3 * X[:, 1]))


def table(n_rows, seed=0):
    """Rows, targets of known noise, and its deviation."""
    rng = np.random.RandomState(seed)
    X = rng.uniform(-2, 2, (n_rows, 2))
    deviation = deviation_of(X)
    return X, np.sin(3 * X[:, 0]) + deviation * rng.randn(n_rows), deviation


def few(n_targets=1, n_rows=60):
    rng = np.random.RandomState(0)
    X = rng.randn(n_rows, 3)
    Y = X[:, :n_targets] ** 2 + np.exp(0.5 * X[:, [2]]) * rng.randn(n_rows, n_targets)
    return X, Y[:, 0] if n_targets == 1 else Y


@both
def test_known_noise_is_found(noise):
    X, y, _ = table(2000)
    model = TwoLayerRegressor(noise=noise, random_state=0).fit(X, y)
    X, y, expected = table(5000, seed=1)
    mean, deviation = model.predict(X, return_std=True)
    assert np.corrcoef(deviation, expected)[0, 1] > 0.95
    truth = norm(np.sin(3 * X[:, 0]), expected).logpdf(y).mean()
    assert norm(mean, deviation).logpdf(y).mean() > truth - 0.03
    assert model.log_predictive_density(X, y).mean() > truth - 0.03
    interval = model.predict_interval(X, coverage=0.9)
    is_in = (interval[:, 0] <= y) & (y <= interval[:, 1])
    for rows in (expected < 0.3, expected > 0.8):
        assert_allclose(is_in[rows].mean(), 0.9, atol=0.05)
    found = np.mean(y[:, None] <= model.predict_quantiles(X, [0.1, 0.9]), axis=0)
    assert_allclose(found, [0.1, 0.9], atol=0.03)


OPTIONS = [
    ("varying", LM),
    ("mixture", LM),
    ("varying", {"solver": "adam", "hidden_size": 20}),
    ("varying", {"solver": "lbfgs", "hidden_size": 10}),
    ("mixture", {"alpha": 1.0, "hidden_size": 10}),
    ("varying", {"alpha": 1.0, "solver": "lm", "hidden_size": 3}),
]


@pytest.mark.parametrize(("noise", "options"), OPTIONS)
@IGNORE_CONVERGENCE
def test_every_solver_finds_more_noise_where_there_is_more(noise, options):
    X, y, expected = table(400)
    model = TwoLayerRegressor(noise=noise, **{"random_state": 0} | options).fit(X, y)
    _, deviation = model.predict(X, return_std=True)
    assert np.corrcoef(deviation, expected)[0, 1] > 0.7


@both
def test_units_make_no_difference(noise):
    X, y = few()
    model = TwoLayerRegressor(noise=noise, **LM).fit(X, y)
    other = clone(model).fit(1e3 * X + 7, 1e-5 * y + 3)
    for found, expected in zip(
        other.predict(1e3 * X + 7, return_std=True), model.predict(X, return_std=True), strict=True
    ):
        shift = 3 if expected is not None and found.mean() > 1 else 0
        assert_allclose((found - shift) / 1e-5, expected, rtol=1e-3, atol=1e-3)
    difference = other.log_predictive_density(1e3 * X + 7, 1e-5 * y + 3)
    assert_allclose(difference, model.log_predictive_density(X, y) + np.log(1e5), atol=1e-3)


@both
def test_weights_are_copies(noise):
    X, y = few()
    copies = np.random.RandomState(1).randint(0, 3, len(X))
    weighted = TwoLayerRegressor(noise=noise, **LM).fit(X, y, sample_weight=copies)
    copied = clone(weighted).fit(np.repeat(X, copies, axis=0), np.repeat(y, copies))
    for found, expected in zip(*(m.predict(X, return_std=True) for m in (weighted, copied)),
                               strict=True):  # fmt: skip
        assert_allclose(found, expected, rtol=1e-6)


@both
def test_same_seed_same_bits_and_pickles(noise):
    X, y = few()
    model = TwoLayerRegressor(3, noise=noise, random_state=0).fit(X, y)
    for other in (clone(model).fit(X, y), pickle.loads(pickle.dumps(model))):
        for found, expected in zip(
            other.predict(X, return_std=True), model.predict(X, return_std=True), strict=True
        ):
            assert_array_equal(found, expected)
        assert_array_equal(other.predict_interval(X), model.predict_interval(X))


@both
def test_several_targets(noise):
    X, Y = few(n_targets=2)
    Y = Y * [1.0, 1e4]
    model = TwoLayerRegressor(noise=noise, **LM).fit(X, Y)
    mean, deviation = model.predict(X, return_std=True)
    assert mean.shape == deviation.shape == model.log_predictive_density(X, Y).shape == (60, 2)
    assert model.predict_interval(X).shape == (60, 2, 2)
    assert 1e3 < deviation[:, 1].mean() / deviation[:, 0].mean() < 1e5
    assert model.n_outputs_ == 4
    assert model.noise_variance_ is None
    assert model.input_gradients(X).shape == (60, 4, 3)
    assert_allclose(model.gradient_importances(X).sum(), 1)


@IGNORE_CONVERGENCE
def test_a_mixture_has_networks_of_both_kinds():
    X, y = few(n_rows=30)
    model = TwoLayerRegressor(noise="mixture", max_iter=5, random_state=0).fit(X, y)
    noises = [member["noise"] for member in model.members_]
    assert {*noises} == {"constant", "varying"}
    assert_allclose(sum(member["weight"] for member in model.members_), 1)
    one = TwoLayerRegressor(3, noise="mixture", n_members=1, random_state=0).fit(X, y)
    assert sorted(member["noise"] for member in one.members_) == ["constant", "varying"]


def test_networks_of_constant_noise_are_what_they_are_alone():
    X, y = few(n_rows=19)  # too few rows to hold any out
    model = TwoLayerRegressor(noise="mixture", n_members=1, **LM).fit(X, y)
    location, scale = (each[0] for each in model._located(np.zeros((len(X), 2)), X)[:2])
    seeds = np.random.RandomState(0).randint(np.iinfo(np.int32).max, size=(1, 1))
    alone = TwoLayerRegressor(**LM | {"random_state": int(seeds[0, 0])}).fit(X, y)
    mean, deviation = alone.predict(X, return_std=True)
    assert_allclose(location[:, 0] * y.std() + y.mean(), mean, rtol=1e-8)
    assert_allclose(scale[:, 0] * y.std(), deviation, rtol=1e-6)


@IGNORE_CONVERGENCE
def test_the_average_of_constant_noise_is_that_of_constant_noise():
    X, y = few(n_rows=40)
    options = {"n_members": 2, "max_iter": 10, "random_state": 0}
    alone = TwoLayerRegressor(3, **options).fit(X, y)
    model = TwoLayerRegressor(3, noise="mixture", **options).fit(X, y)
    locations, scales, (_, weights) = model._located(np.zeros((len(X), 2)), X)
    assert len(weights) == 2
    mean, deviation = alone.predict(X, return_std=True)
    assert_allclose(locations[0, :, 0] * y.std() + y.mean(), mean, rtol=1e-5, atol=1e-5)
    assert_allclose(scales[0, :, 0] * y.std(), deviation, rtol=1e-4)


def test_monotonic_predictions_have_constant_noise():
    X, y = few()
    with pytest.raises(ValueError, match=r"monotonic_cst .*, got noise='varying'"):
        TwoLayerRegressor(noise="varying", monotonic_cst=[1, 0, 0]).fit(X, y)


@both
@pytest.mark.parametrize("options", [{"group_lasso": True}, {"alpha": 1.0, "l1_ratio": 0.5}])
@IGNORE_CONVERGENCE
def test_sparse_weights(noise, options):
    X, y = few()
    model = TwoLayerRegressor(3, noise=noise, random_state=0, **options).fit(X, y)
    assert np.isfinite(model.predict_interval(X)).all()


@both
def test_validation_rows(noise):
    X, y, _ = table(600)
    model = TwoLayerRegressor(noise=noise, early_stopping=True, random_state=0).fit(X, y)
    assert np.isfinite(model.predict_interval(X)).all()
    assert model.score(X, y) > 0.3
    by_score = TwoLayerRegressor(noise=noise, scoring="r2", random_state=0)
    by_score.fit(X[:500], y[:500], X_val=X[500:], y_val=y[500:])
    assert by_score.score(X, y) > 0.3


@both
def test_a_warm_start_goes_on(noise):
    X, y = few()
    model = TwoLayerRegressor(3, noise=noise, warm_start=True, random_state=0).fit(X, y)
    before, members = model.predict(X), len(model.members_)
    model.fit(X, y)
    assert len(model.members_) == members
    assert np.sqrt(np.mean((model.predict(X) - before) ** 2)) < 0.2 * y.std()
    with pytest.raises(ValueError, match=r"noise='constant' differs from the fitted .*'"):
        model.set_params(noise="constant").fit(X, y)


def test_a_stream_learns_the_noise():
    X, y, _ = table(3000)
    model = TwoLayerRegressor(30, noise="varying", random_state=0, learning_rate_init=0.01)
    for _ in range(5):
        for start in range(0, 3000, 500):
            model.partial_fit(X[start : start + 500], y[start : start + 500])
    X, _, expected = table(500, seed=1)
    _, deviation = model.predict(X, return_std=True)
    assert np.corrcoef(deviation, expected)[0, 1] > 0.8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": "varying", "loss": "poisson"}, r"noise='varying' needs loss='squared_error', "
         r"got loss='poisson'"),
        ({"noise": "mixture", "loss": "huber"}, r"noise='mixture' needs .*, got loss='huber'"),
        ({"noise": "some"}, r"noise must be one of 'constant', 'varying', 'mixture', got 'some'"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        TwoLayerRegressor(**options).fit(*few())


def test_a_mixture_is_not_for_streams():
    model = TwoLayerRegressor(noise="mixture")
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError) as found:
        model.partial_fit(*few())
    assert "noise='mixture' weighs networks by held-out rows" in str(found.value.__cause__)


@both
def test_without_a_posterior_there_is_no_deviation(noise):
    X, y = few()
    model = TwoLayerRegressor(noise=noise, store_posterior=False, **LM).fit(X, y)
    with pytest.raises(ValueError, match="return_std=True needs the posterior"):
        model.predict(X, return_std=True)
    with pytest.raises(ValueError, match="log_predictive_density needs the posterior"):
        model.log_predictive_density(X, y)
    # raw outputs alone tell the scale, in whatever units
    width = np.diff(model.predict_interval(X))
    other = clone(model).fit(X, 1e3 * y + 7)
    assert_allclose(np.diff(other.predict_interval(X)), 1e3 * width, rtol=1e-3)
    assert 0.5 < width.mean() / (3.3 * np.exp(0.5 * X[:, 2]).mean()) < 2


def test_density_of_constant_noise_is_gaussian():
    X, y = few()
    model = TwoLayerRegressor(**LM).fit(X, y)
    expected = norm(*model.predict(X, return_std=True)).logpdf(y)
    assert_allclose(model.log_predictive_density(X, y), expected, rtol=1e-8)
    with pytest.raises(ValueError, match=r"needs loss='squared_error', got 'poisson'"):
        TwoLayerRegressor(loss="poisson", **LM).fit(X, y**2).log_predictive_density(X, y**2)


@both
@pytest.mark.parametrize("y", [np.ones(40), np.arange(40.0), np.where(np.arange(40) == 7, 1e6, 0)])
@IGNORE_CONVERGENCE
def test_odd_targets_have_finite_answers(noise, y):
    X = np.arange(40.0)[:, None]
    model = TwoLayerRegressor(3, noise=noise, random_state=0).fit(X, y)
    for found in (*model.predict(X, return_std=True), model.predict_interval(X)):
        assert np.isfinite(found).all()


@pytest.mark.sampled(3)
@with_checks(
    [TwoLayerRegressor(3, noise="varying", solver="lm", max_iter=20)],
    [
        TwoLayerRegressor(10, noise="varying", solver="adam", max_iter=40, learning_rate_init=0.05),
        TwoLayerRegressor(3, noise="mixture", alpha=1.0, max_iter=15),
    ],
)  # fmt: skip
@IGNORE_CONVERGENCE
def test_common_checks(estimator, check):
    check(estimator)
