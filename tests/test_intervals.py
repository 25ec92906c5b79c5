"""Intervals and quantiles of a regressor: how often they hold, and what they are made of."""

import pickle
import warnings
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import ndtri
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor, _base

LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95]
ONE = {"n_members": 1, "random_state": 0}
TWO = {"n_members": 2, "random_state": 0}
"""Kinds, of which rows are held out."""
ALONE = {
    "exact": {"solver": "lm"},
    "kronecker": {"solver": "adam", "max_iter": 100},
    "piecewise": {"solver": "adam", "encoding": "piecewise_linear", "max_iter": 30},
    "no posterior": {"solver": "lm", "store_posterior": False},
    "validated": {"solver": "adam", "early_stopping": True, "validation_fraction": 0.3},
}
every_kind = pytest.mark.parametrize("kind", ALONE)
every_number_of_targets = pytest.mark.parametrize("n_targets", [1, 2])


def rows(n_rows=200, n_targets=1, seed=0, df=3):
    """A curved function and noise of heavy tails; a second target is skewed."""
    rng = np.random.RandomState(seed)
    X = rng.uniform(-2, 2, size=(n_rows, 3)) * [1, 100, 0.01] + [0, 500, 1]
    u = (X - [0, 500, 1]) / [1, 100, 0.01]
    y = 50 + 10 * (np.sin(2 * u[:, 0]) + 0.5 * u[:, 1]) + 3 * rng.standard_t(df, n_rows)
    return X, y if n_targets == 1 else np.column_stack([y, u[:, 2] + rng.exponential(size=n_rows)])


def fitted(X, y, kind="exact", **options):
    model = TwoLayerRegressor(**ONE, **ALONE[kind]).set_params(**options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y)


def covered(model, X, y, coverage):
    low, high = np.moveaxis(model.predict_interval(X, coverage), -1, 0)
    return np.mean((low <= y) & (y <= high), axis=0)


# how often they hold


@every_number_of_targets
@pytest.mark.parametrize("n_rows", [150, 1500])
def test_they_hold_as_often_as_is_asked(n_targets, n_rows):
    X, y = rows(n_rows + 4000, n_targets)
    model = TwoLayerRegressor(**TWO).fit(X[:n_rows], y[:n_rows])
    new, truth = X[n_rows:], y[n_rows:]
    # rows that told: all, or a fifth of them
    tolerance = 3 * np.sqrt(0.25 / (n_rows if n_rows <= 1000 else n_rows / 5))
    for coverage in (0.5, 0.9):
        assert_allclose(covered(model, new, truth, coverage), coverage, atol=tolerance)
    below = np.mean(truth[..., None] <= model.predict_quantiles(new, LEVELS), axis=0)
    assert_allclose(below, np.broadcast_to(LEVELS, below.shape), atol=tolerance)


@every_kind
def test_so_they_do_where_no_rows_were_held_out(kind):
    X, y = rows(4300)
    model = fitted(X[:300], y[:300], kind)
    for coverage in (0.5, 0.9):
        assert_allclose(covered(model, X[300:], y[300:], coverage), coverage, atol=0.12)


def test_heavy_tails_make_wide_intervals_where_they_are_rare_and_narrow_ones_elsewhere():
    """The normal distribution would have the ratio 2.58 / 0.67 of widths."""
    X, y = rows(800, df=2)
    widths = [np.ptp(fitted(X, y).predict_interval(X, c), axis=1).mean() for c in (0.5, 0.99)]
    assert widths[1] / widths[0] > 6


def test_skew_is_for_quantiles():
    X, y = rows(800, n_targets=2)
    model = fitted(X, y[:, 1], hidden_size=4)
    lowest, median, highest = model.predict_quantiles(X, [0.05, 0.5, 0.95]).T
    assert (highest - median > 2 * (median - lowest)).all()
    low, high = model.predict_interval(X, 0.9).T
    assert_allclose(high - model.predict(X), model.predict(X) - low)


OTHER_LOSSES = {
    "absolute_error": {},
    "huber": {},
    "quantile": {},
    "upper quantile": {"loss": "quantile", "quantile": 0.9},
    "several quantiles": {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]},
    "poisson": {},
    "gamma": {},
    "tweedie": {},
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("keeps_posterior", [True, False])
@pytest.mark.parametrize("name", OTHER_LOSSES)
def test_they_hold_for_every_loss(name, keeps_posterior):
    rng = np.random.RandomState(0)
    X = rng.uniform(-1, 1, size=(3400, 2))
    y = rng.gamma(2, np.exp(X[:, 0]))
    y = np.floor(3 * y) if name == "poisson" else y
    model = TwoLayerRegressor(loss=name, **ONE, hidden_size=4, store_posterior=keeps_posterior)
    model.set_params(**OTHER_LOSSES[name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X[:400], y[:400])
    assert_allclose(covered(model, X[400:], y[400:], 0.8), 0.8, atol=0.1)
    found = model.predict_quantiles(X[400:], LEVELS)
    # counts lie on the bounds
    below, at_most = (
        np.mean(compare(y[400:, None], found), 0) for compare in (np.less, np.less_equal)
    )
    assert ((below < np.array(LEVELS) + 0.1) & (at_most > np.array(LEVELS) - 0.1)).all()
    if model.out_activation_ == "exponential":
        assert (found >= 0).all()


@pytest.mark.parametrize("loss", ["gamma", "poisson"])
def test_behind_a_log_link_intervals_are_skewed_and_widen_with_the_mean(loss):
    rng = np.random.RandomState(0)
    X = rng.uniform(-1, 1, size=(400, 1))
    y = np.floor(10 * rng.gamma(1, np.exp(2 * X[:, 0]))) + 1
    model = TwoLayerRegressor(4, loss=loss, **ONE).fit(X, y)
    low, high = model.predict_interval(X, 0.8).T
    mean, order = model.predict(X), np.argsort(X[:, 0])
    assert ((low >= 0) & (high - mean > 1.2 * (mean - low))).all()
    widths = (high - low)[order]
    assert widths[-50:].mean() > 3 * widths[:50].mean()


# what they are made of


@every_kind
@every_number_of_targets
def test_widths_are_those_of_error_bars(kind, n_targets):
    X, y = rows(n_targets=n_targets)
    model = fitted(X, y, kind)
    low, high = np.moveaxis(model.predict_interval(X, 0.8), -1, 0)
    assert_allclose((low + high) / 2, model.predict(X))
    scale = np.broadcast_to(np.sqrt(model.noise_variance_), y.shape)
    if model.store_posterior:
        scale = model.predict(X, return_std=True)[1]
    ratio = (high - low) / scale
    assert_allclose(ratio, np.broadcast_to(ratio[0], ratio.shape), rtol=1e-6)


def test_residuals_of_held_out_rows_say_how_wide():
    X, y = rows(100)
    model = TwoLayerRegressor(**TWO).fit(X, y)
    state = model._state["residuals"]
    assert state["by_held_out"] and state["weight"] == 100
    deviation = model.predict(X, return_std=True)[1]
    width = np.ptp(model.predict_interval(X, 0.9), axis=1)
    factor = width / deviation / 2
    assert_allclose(factor, factor[0])
    assert_allclose(factor[0], np.interp(0.9, state["levels"], state["absolute"][0]))


def test_an_average_of_more_networks_than_were_held_out_from_has_narrower_ones():
    X, y = rows(40)
    deviations = []
    for n_members in (2, 6):  # of two kinds, of which two networks are judged
        model = TwoLayerRegressor(hidden_size=2, n_members=n_members, random_state=0).fit(X, y)
        assert model._state["residuals"]["by_held_out"]
        deviations.append(model._state["residuals"]["deviation"][0])
    assert deviations[0] == 1 and 0.5 < deviations[1] < 1


@every_kind
def test_the_bounds_are_ordered_in_every_row(kind):
    X, y = rows(60, n_targets=2)
    model = fitted(X, y, kind)
    levels = np.random.RandomState(0).permutation(np.linspace(0.001, 0.999, 301))
    found = model.predict_quantiles(X, levels)
    assert found.shape == (60, 2, 301)
    assert (np.diff(found[..., np.argsort(levels)], axis=-1) >= 0).all()
    # each column is that of its level
    assert_array_equal(found[..., [7]], model.predict_quantiles(X, levels[[7]]))
    widths = [np.ptp(model.predict_interval(X, c), axis=-1) for c in (0.1, 0.5, 0.9, 0.999)]
    assert (np.diff(widths, axis=0) >= 0).all()


def test_beyond_what_rows_tell_tails_are_normal_or_as_long_as_the_longest():
    X, y = rows(30)
    model = fitted(X, y, hidden_size=2)
    deviation = model.predict(X, return_std=True)[1]
    factor = np.ptp(model.predict_interval(X, 0.99999), axis=1) / deviation / 2
    longest = model._state["residuals"]["absolute"][0, -1]
    assert_allclose(factor, max(longest, ndtri(1 - 0.000005)))


def test_far_outside_they_lie_around_the_prediction():
    X, y = rows()
    model = fitted(X, y)
    far = X * [1e3, 1, 1]
    low, high = model.predict_interval(far).T
    assert_allclose((low + high) / 2, model.predict(far), rtol=1e-6)
    assert np.median(high - low) > 10 * np.median(np.ptp(model.predict_interval(X), axis=1))
    assert not np.allclose(model.predict(far), model._raw_prediction(far)[:, 0])


# rows and their weights


@pytest.mark.parametrize("kind", ["exact", "no posterior", "average"])
def test_a_weight_is_as_many_rows(kind):
    X, y = rows(60)
    copies = np.random.RandomState(1).randint(1, 4, 60)
    model = TwoLayerRegressor(**(TWO if kind == "average" else ONE | ALONE[kind]))
    weighted = model.fit(X, y, sample_weight=copies)
    copied = clone(model).fit(X.repeat(copies, axis=0), y.repeat(copies))
    for method, argument in (("predict_interval", 0.7), ("predict_quantiles", LEVELS)):
        found, expected = (getattr(m, method)(X, argument) for m in (weighted, copied))
        assert_allclose(found, expected, rtol=1e-10)


def test_units_do_not_matter():
    X, y = rows()
    model, other = fitted(X, y), fitted(1e3 * X, 1e-3 * y - 7)
    for method in ("predict_interval", "predict_quantiles"):
        expected = 1e-3 * getattr(model, method)(X) - 7
        assert_allclose(getattr(other, method)(1e3 * X), expected, rtol=1e-6)


@every_number_of_targets
def test_single_precision_stays_single(n_targets):
    X, y = rows(n_targets=n_targets)
    model = fitted(X, y)
    for method in ("predict_interval", "predict_quantiles"):
        found = getattr(model, method)(X.astype(np.float32))
        assert found.dtype == np.float32
        expected = getattr(model, method)(X)
        assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.ptp(expected))


def test_blocks_of_rows_do_not_matter(monkeypatch):
    X, y = rows()
    model = fitted(X, y)
    expected = model.predict_quantiles(X, LEVELS)
    monkeypatch.setattr(_base, "OUTPUTS_PER_BLOCK", 64)
    assert_allclose(model.predict_quantiles(X, LEVELS), expected, rtol=1e-12)


def test_rows_may_be_sparse():
    X, y = rows()
    model = fitted(sparse.csr_array(X), y)
    found = model.predict_interval(sparse.csr_array(X))
    assert_allclose(found, model.predict_interval(X), rtol=1e-6)


def test_the_same_seed_gives_the_same_bits_and_so_does_a_pickle():
    X, y = rows(60)
    models = [TwoLayerRegressor(**TWO).fit(X, y) for _ in range(2)]
    models.append(pickle.loads(pickle.dumps(models[0])))
    for method in ("predict_interval", "predict_quantiles"):
        first, *others = (getattr(model, method)(X) for model in models)
        for other in others:
            assert_array_equal(other, first)


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_a_constant_target_is_all_there_is(value):
    X, _ = rows(40)
    model = fitted(X, np.full(40, value))
    assert_allclose(model.predict_interval(X), value, atol=1e-3)
    assert_allclose(model.predict_quantiles(X), value, atol=1e-3)


def test_targets_of_any_size_have_finite_bounds():
    X, y = rows(40)
    for unit in (1e-300, 1e300):
        model = fitted(X, unit * (y / y.max()))
        for found in (model.predict_interval(X, 0.9999), model.predict_quantiles(X, [1e-9])):
            assert np.isfinite(found).all()


# fits that go on


def test_what_was_held_out_stays_when_a_fit_goes_on():
    X, y = rows(100)
    model = TwoLayerRegressor(**TWO, warm_start=True, max_iter=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        before = model.fit(X, y)._state["residuals"]
        after = model.fit(X[:50], y[:50])._state["residuals"]
    assert before["by_held_out"]
    assert_array_equal(after["signed"], before["signed"])
    assert after["weight"] == 100


def test_in_a_stream_residuals_are_told_anew_when_its_rows_have_doubled():
    X, y = rows(700)
    model, told = TwoLayerRegressor(20, solver="adam", random_state=0), []
    for end in range(100, 701, 100):
        model.partial_fit(X[end - 100 : end], y[end - 100 : end])
        state = model._state["residuals"]
        assert state["weight"] == 100 and not state["by_held_out"]
        assert model.predict_interval(X).shape == (700, 2)
        told.append(state["signed"])
    # 200, 300 and 600 rows are past 128, 256 and 512
    changed = [not np.array_equal(*pair) for pair in pairwise(told)]
    assert changed == [True, True, False, False, True, False]


def test_a_warm_start_tells_those_of_its_own_rows():
    X, y = rows(100)
    model = fitted(X, y, warm_start=True)
    first = model._state["residuals"]["signed"]
    model.fit(X[:60], y[:60])
    assert model._state["residuals"]["weight"] == 60
    assert not np.array_equal(model._state["residuals"]["signed"], first)


def test_residuals_of_another_scale_are_not_kept():
    X, y = rows(100)
    model = TwoLayerRegressor(**TWO, warm_start=True).fit(X, y)
    model.set_params(store_posterior=False).fit(X, y)
    assert not model._state["residuals"]["by_held_out"]
    assert np.isfinite(model.predict_interval(X)).all()
    with pytest.raises(ValueError, match="return_std"):
        model.predict(X, return_std=True)


# what is refused


@pytest.mark.parametrize("method", ["predict_interval", "predict_quantiles"])
def test_there_is_nothing_before_a_fit(method):
    with pytest.raises(NotFittedError):
        getattr(TwoLayerRegressor(), method)([[1.0]])


def test_labels_have_none():
    assert not hasattr(TwoLayerClassifier, "predict_interval")
    X, y = rows(60)
    model = TwoLayerClassifier(random_state=0, n_members=1).fit(X, y > 50)
    assert model._state["residuals"] is None


@pytest.mark.parametrize("method", ["predict_interval", "predict_quantiles"])
def test_what_has_diverged_has_no_residuals(method):
    X, y = rows(40)
    model = TwoLayerRegressor(4, solver="sgd", alpha=0.0, learning_rate_init=1e30, max_iter=3)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        model.fit(X, y)
    with pytest.raises(ValueError, match=rf"^{method} needs residuals .*diverged"):
        getattr(model, method)(X)


WRONG_COVERAGES = [
    (0.0, ValueError),
    (1.0, ValueError),
    (-0.1, ValueError),
    (90, ValueError),
    (np.nan, ValueError),
    ("0.9", TypeError),
    ([0.9], TypeError),
    (None, TypeError),
]


@pytest.mark.parametrize(("coverage", "error"), WRONG_COVERAGES, ids=str)
def test_a_coverage_is_a_fraction(coverage, error):
    X, y = rows(30)
    model = fitted(X, y, hidden_size=2)
    with pytest.raises(error, match=r"^coverage must be a number in \(0, 1\), got") as raised:
        model.predict_interval(X, coverage)
    assert repr(coverage) in str(raised.value)


WRONG_LEVELS = [
    (0.5, TypeError, r"got 0\.5"),
    ("0.5", TypeError, r"got '0\.5'"),
    ([[0.5]], TypeError, r"got \[\[0\.5\]\]"),
    ([[0.5], [0.1, 0.2]], TypeError, r"got \[\[0\.5\]"),
    (["a"], TypeError, "got .'a'."),
    ([0.5, 0.0], ValueError, r"got 0\.0"),
    ([0.5, 1], ValueError, r"got 1"),
    ([0.1, np.nan], ValueError, "got nan"),
    ([], ValueError, "got none"),
]


@pytest.mark.parametrize(("levels", "error", "message"), WRONG_LEVELS, ids=str)
def test_levels_are_fractions(levels, error, message):
    X, y = rows(30)
    model = fitted(X, y, hidden_size=2)
    with pytest.raises(error, match=rf"^quantiles must be .*in \(0, 1\).*{message}"):
        model.predict_quantiles(X, levels)


def test_other_rows_than_in_training_are_refused():
    X, y = rows(30)
    with pytest.raises(ValueError, match="features"):
        fitted(X, y, hidden_size=2).predict_interval(X[:, :2])
