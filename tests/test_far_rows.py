"""Far outside the training rows a regressor that does not know predicts what it knows nearby."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor, _base
from sklearn_twolayer.engine.bayes.extrapolation import measure, rows_outside

POSTERIORS = {
    "exact": {"solver": "lm"},
    "piecewise": {"solver": "lm", "encoding": "piecewise_linear", "n_knots": 3, "hidden_size": 4},
    "kronecker": {"solver": "adam", "max_iter": 30},
    "kronecker, lbfgs": {"solver": "lbfgs", "max_iter": 100},
}
every_posterior = pytest.mark.parametrize("posterior", POSTERIORS)
every_number_of_targets = pytest.mark.parametrize("n_targets", [1, 2])
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
LIMIT = 0.1


def rows(n_targets=1, n_rows=150, seed=0):
    """Columns of several units, and targets of which the second is noise."""
    rng = np.random.RandomState(seed)
    X = rng.uniform(-1, 1, size=(n_rows, 3)) * [1, 100, 0.01] + [0, 500, 0.1]
    u = (X - [0, 500, 0.1]) / [1, 100, 0.01]
    y = 50 + 10 * (np.tanh(2 * u[:, 0]) + u[:, 1] * u[:, 2] + 0.1 * rng.randn(n_rows))
    return X, y if n_targets == 1 else np.column_stack([y, rng.randn(n_rows)])


def later(n_rows=300, seed=1):
    """Rows that lie inside, a little outside, and far outside in one column or several."""
    rng = np.random.RandomState(seed)
    u = rng.uniform(-1, 1, size=(n_rows, 3))
    u *= np.where(rng.rand(n_rows, 3) < 0.3, 10.0 ** rng.uniform(0, 2, size=(n_rows, 3)), 1)
    return u * [1, 100, 0.01] + [0, 500, 0.1]


def fitted(posterior, X, y, **options):
    model = TwoLayerRegressor(random_state=0, **{**POSTERIORS[posterior], **options})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y)


def of_network(model, X):
    """What the network itself says, (n_rows, n_targets)."""
    return model._raw_prediction(X)


def by_hand(model, X, near, y):
    """The rule, from public deviations: X as it is, and with its numbers moved inside.

    The answer, and which of the outputs of which rows changed.
    """
    y = y.reshape(len(y), -1)
    deviation = model.predict(X, return_std=True)[1].astype(float).reshape(-1, y.shape[1])
    variance = deviation**2 - model.noise_variance_
    margin = LIMIT * np.ptp(y, axis=0)
    limited = np.clip(of_network(model, near), y.min(axis=0) - margin, y.max(axis=0) + margin)
    inside = (np.asarray(pd.isna(X)) | (np.asarray(X) == np.asarray(near))).all(axis=1)
    changed = (variance > y.var(axis=0)) & ~inside[:, None]
    return np.where(changed, limited, of_network(model, X)), changed


def check(model, X, near, y, rtol=1e-9):
    """Predictions are those of the rule, which changes some and not others; these are returned."""
    expected, changed = by_hand(model, X, near, y)
    assert 0 < changed.sum() < changed.size
    found = model.predict(X).reshape(expected.shape)
    assert_allclose(found, expected, rtol=rtol, atol=rtol * np.abs(y).max())
    assert_array_equal(found[~changed], of_network(model, X)[~changed])
    assert not np.allclose(found[changed], of_network(model, X)[changed], rtol=1e-3)
    return changed


@pytest.mark.sampled(3)
@every_posterior
@every_number_of_targets
@every_dtype
def test_is_the_rule(posterior, n_targets, dtype):
    X, y = rows(n_targets)
    X, far = X.astype(dtype), later().astype(dtype)
    model = fitted(posterior, X, y)
    changed = check(
        model, far, np.clip(far, X.min(0), X.max(0)), y, 1e-5 if dtype == np.float32 else 1e-9
    )
    assert model.predict(far).dtype == dtype
    if n_targets == 2:
        # of many rows one target alone
        assert (changed[:, 0] != changed[:, 1]).any()


def test_columns_of_large_offset_in_single_precision():
    """They are counted from near their means, drawn in or not."""
    X, y = rows()
    offset = np.array([3e4, 0, 0])
    X, far = (X + offset).astype(np.float32), (later() + offset).astype(np.float32)
    model = fitted("exact", X, y)
    assert model._origin is not None
    # float64 is exact without
    check(model, far.astype(float), np.clip(far, X.min(0), X.max(0)).astype(float), y)
    expected = model.predict(far.astype(float))
    assert_allclose(model.predict(far), expected, rtol=2e-5)


@pytest.mark.parametrize("posterior", ["exact", "kronecker"])
@every_number_of_targets
def test_sparse_rows_stay_sparse(posterior, n_targets, monkeypatch):
    X, y = rows(n_targets)
    X[np.random.RandomState(2).rand(len(X)) < 0.3, 0] = 0
    X[:, 0] = np.abs(X[:, 0])  # absent zeros are the end of the range
    far = later()
    far[::7] = 0  # and outside that of the other columns
    model = fitted(posterior, sparse.csr_array(X), y)
    near = np.clip(far, X.min(0), X.max(0))
    expected, changed = by_hand(model, far, near, y)
    asked = []

    def note(self, X):
        asked.append(X)
        return _as_it_is(self, X)

    _as_it_is = TwoLayerRegressor._as_it_is
    monkeypatch.setattr(TwoLayerRegressor, "_as_it_is", note)
    found = model.predict(sparse.csr_array(far)).reshape(expected.shape)
    assert_allclose(found, expected, rtol=1e-8)
    assert len(asked) == 1 and sparse.issparse(asked[0])
    assert_allclose(asked[0].toarray(), near[changed.any(axis=1)])


def frame(seed=0, n_rows=200):
    rng = np.random.RandomState(seed)
    x = rng.uniform(-1, 1, size=(n_rows, 2))
    levels = np.array(["a", "b", "c"])[rng.randint(3, size=n_rows)]
    many = np.array([f"level {i}" for i in range(70)])[rng.randint(70, size=n_rows)]
    x[rng.rand(n_rows) < 0.2, 1] = np.nan
    X = pd.DataFrame({"number": 10 * x[:, 0], "few": levels, "gaps": x[:, 1], "many": many})
    X = X.astype({"few": "category", "many": "category"})
    y = np.tanh(2 * x[:, 0]) + (levels == "a") + np.nan_to_num(x[:, 1]) + 0.1 * rng.randn(n_rows)
    return X, y


@pytest.mark.parametrize("posterior", ["exact", "piecewise", "kronecker, lbfgs"])
def test_categories_and_missing_values_stay_as_they_are(posterior):
    X, y = frame()
    model = fitted(posterior, X, y, hidden_size=4)
    far, _ = frame(seed=1)
    far["number"] *= np.random.RandomState(3).choice([1, 3, 100], len(far))
    far["gaps"] *= np.random.RandomState(4).choice([1, 50], len(far))
    far.loc[::5, "number"] = np.nan
    far["few"] = far["few"].astype(str).where(np.arange(len(far)) % 4 > 0, "new").astype("category")
    near = far.copy()
    for name in ("number", "gaps"):
        near[name] = far[name].clip(X[name].min(), X[name].max())
    check(model, far, near, y)


@pytest.mark.parametrize("posterior", ["exact", "kronecker"])
def test_values_missing_at_prediction_only_stay_missing(posterior):
    X, y = rows()
    far = later()
    far[::3, 1] = np.nan
    check(fitted(posterior, X, y), far, np.clip(far, X.min(0), X.max(0)), y)


@every_posterior
@every_dtype
def test_rows_inside_cost_no_covariance(posterior, dtype, monkeypatch):
    X, y = rows()
    model = fitted(posterior, X.astype(dtype), y)
    expected = of_network(model, X.astype(dtype))[:, 0]

    def refuse(*args):
        raise AssertionError("nobody needs to know how sure these are")

    monkeypatch.setattr(TwoLayerRegressor, "_uncertainty", refuse)
    assert_array_equal(model.predict(X.astype(dtype)), expected)
    assert_array_equal(
        model.predict(np.full((2, 3), np.nan)), of_network(model, [[np.nan] * 3] * 2)[:, 0]
    )
    with pytest.raises(AssertionError, match="nobody"):
        model.predict(later())


@pytest.mark.parametrize("options", [{"store_posterior": False}, {"standardize": False}], ids=str)
@pytest.mark.parametrize("posterior", ["exact", "kronecker"])
def test_the_network_has_the_word_where_nothing_can_be_compared(posterior, options):
    X, y = rows()
    X, far = (X - X.mean(0)) / X.std(0), 100 * later()
    model = fitted(posterior, X, y, **options)
    assert_array_equal(model.predict(far), of_network(model, far)[:, 0])
    usual = fitted(posterior, X, y)
    assert (usual.predict(far) != of_network(usual, far)[:, 0]).any()


def test_labels_have_no_ranges():
    X, y = rows()
    model = TwoLayerClassifier(random_state=0).fit(X, y > y.mean())
    assert model._state["ranges"] is None
    assert_array_equal(model.predict(later()), of_network(model, later())[:, 0] > 0)


# L-BFGS makes 1e-2 of 1e-16 within a hundred iterations
@pytest.mark.parametrize("posterior", ["exact", "piecewise", "kronecker"])
@every_number_of_targets
def test_units_do_not_matter(posterior, n_targets):
    X, y = rows(n_targets)
    far, scale, offset = later(), np.array([8.0, 0.25, 2.0]), np.array([1.0, -2.0, 4.0])
    moved = fitted(posterior, X * scale + offset, 4 * y - 8)
    found = (moved.predict(far * scale + offset) + 8) / 4
    model = fitted(posterior, X, y)
    assert_allclose(found, model.predict(far), rtol=1e-6, atol=1e-6)
    assert not np.allclose(found.reshape(len(far), -1), of_network(model, far), rtol=0.1)


def test_weights_are_copies_and_rows_without_weight_do_not_count():
    X, y = rows()
    weights = np.random.RandomState(5).randint(4, size=len(y)).astype(float)
    outermost = np.concatenate([X.argmax(axis=0), X.argmin(axis=0), [y.argmax(), y.argmin()]])
    weights[outermost] = 0
    far = later()
    model = TwoLayerRegressor(random_state=0).fit(X, y, sample_weight=weights)
    copies = np.repeat(np.arange(len(y)), weights.astype(int))
    expected = TwoLayerRegressor(random_state=0).fit(X[copies], y[copies])
    assert_array_equal(model.predict(far), expected.predict(far))
    kept = weights > 0
    ranges = model._state["ranges"]
    assert_array_equal(ranges["low"], X[kept].min(axis=0))
    assert_array_equal(ranges["high"], X[kept].max(axis=0))
    assert_array_equal([ranges["Y_low"], ranges["Y_high"]], [[y[kept].min()], [y[kept].max()]])
    assert (ranges["high"] < X.max(axis=0)).all()


def ends(model):
    ranges = model._state["ranges"]
    return np.array([ranges["low"], ranges["high"]]), [ranges["Y_low"][0], ranges["Y_high"][0]]


@pytest.mark.parametrize(
    ("posterior", "method"),
    [
        ("exact", "warm_start"),
        ("kronecker", "warm_start"),
        ("kronecker", "partial_fit"),
        ("kronecker", "both"),
    ],
)
def test_ranges_are_those_of_all_rows_so_far(posterior, method):
    X, y = rows()
    X = X[order := np.argsort(X[:, 0])]
    y = y[order]
    model = fitted(posterior, X[:50], y[:50], warm_start=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for part in (slice(50, 100), slice(100, 150)):
            again = model.partial_fit if method != "warm_start" else model.fit
            again(X[part], y[part])
            assert_array_equal(ends(model)[0], [X[: part.stop].min(0), X[: part.stop].max(0)])
            assert_array_equal(ends(model)[1], [y[: part.stop].min(), y[: part.stop].max()])
        if method == "both":
            model.fit(X[:10], y[:10])
    assert_array_equal(ends(model)[0], [X.min(0), X.max(0)])
    far = later()
    assert model._predictive is not None or method == "partial_fit"
    if model._predictive is not None:
        # the variance of the target is in the units of the last call
        of_target = {"warm_start": y[100:], "partial_fit": y, "both": y[:10]}[method]
        near = np.clip(far, X.min(0), X.max(0))
        changed = model._variance(far)[:, 0] * model._unit_of_y**2 > of_target.var()
        changed &= (far != near).any(axis=1)
        margin = LIMIT * np.ptp(y)
        limited = np.clip(of_network(model, near)[:, 0], y.min() - margin, y.max() + margin)
        assert changed.any()
        expected = np.where(changed, limited, of_network(model, far)[:, 0])
        assert_allclose(model.predict(far), expected, rtol=1e-9)


def test_a_fit_afresh_forgets_earlier_rows():
    X, y = rows()
    model = TwoLayerRegressor(random_state=0).fit(10 * X, y)
    assert_array_equal(ends(model.fit(X, y))[0], [X.min(0), X.max(0)])


@every_posterior
def test_pickles_carry_the_ranges_as_arrays(posterior):
    X, y = rows()
    model = fitted(posterior, X, y)
    ranges = model._state["ranges"]
    assert type(ranges) is dict and {type(value) for value in ranges.values()} == {np.ndarray}
    far = later()
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(far), model.predict(far))


@pytest.mark.parametrize("posterior", ["exact", "kronecker"])
def test_pickles_from_before_there_were_ranges(posterior):
    """They predict as they did, and go on, with ranges that are still not known."""
    X, y = rows()
    model = fitted(posterior, X, y, warm_start=True)
    del model._state["ranges"]
    for member in model._state["members"]:
        del member["ranges"]
    old = pickle.loads(pickle.dumps(model))
    far = later()
    assert_array_equal(old.predict(far), of_network(old, far)[:, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        old.fit(X, y)
    assert old._state["ranges"] is None
    assert_array_equal(old.predict(far), of_network(old, far)[:, 0])


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("posterior", "storage"),
    [*((posterior, np.asarray) for posterior in POSTERIORS), ("exact", sparse.csr_array)],
)
@every_number_of_targets
def test_blocks_and_neighbours_do_not_matter(posterior, n_targets, storage, monkeypatch):
    X, y = rows(n_targets)
    far = later()
    model = fitted(posterior, X, y)
    whole = model.predict(storage(far))
    alone = np.concatenate([model.predict(storage(far[i : i + 1])) for i in range(60)])
    assert_allclose(alone, whole[:60], rtol=1e-9)
    monkeypatch.setattr(_base, "OUTPUTS_PER_BLOCK", 64 * n_targets)
    assert_allclose(model.predict(storage(far)), whole, rtol=1e-9)


@every_posterior
def test_deviations_and_gradients_are_those_of_the_network(posterior, monkeypatch):
    X, y = rows()
    model, far = fitted(posterior, X, y), later()
    found = model.predict(far, return_std=True)
    assert_array_equal(found[0], model.predict(far))
    gradients, features = model.input_gradients(far), model.hidden_features(far)
    monkeypatch.setitem(model._state, "ranges", None)
    prediction, deviation = model.predict(far, return_std=True)
    assert (prediction != found[0]).any()
    assert_array_equal(found[1], deviation)
    assert_array_equal(model.input_gradients(far), gradients)
    assert_array_equal(model.hidden_features(far), features)


@every_posterior
@every_number_of_targets
def test_deviations_widen_with_the_distance(posterior, n_targets):
    """In the median, and in each row from the edge to ten ranges outside.

    Not in each row at every step: tanh units saturate, and averaged networks may cross.
    """
    X, y = rows(n_targets)
    model, rng = fitted(posterior, X, y), np.random.RandomState(0)
    direction = rng.choice([-1, 0, 1], size=(60, 3))
    direction = direction[direction.any(axis=1)]
    edge = np.where(direction > 0, X.max(0), np.where(direction < 0, X.min(0), X[: len(direction)]))
    steps = [edge + t * direction * np.ptp(X, axis=0) for t in (0, 2, 10)]
    deviations = np.array([model.predict(step, return_std=True)[1] for step in steps])
    median = np.median(deviations, axis=1)
    assert (np.diff(median[:, ..., None], axis=0) > 0).all()
    assert (deviations[-1] > deviations[0]).all()


@every_posterior
def test_a_few_rows_far_outside_do_not_cost_the_whole_table(posterior):
    """A line that levels off just outside: the network goes on, the truth does not."""
    rng = np.random.RandomState(0)
    X = np.column_stack([rng.uniform(0, 1, size=300), rng.randn(300)])
    y = 5 * X[:, 0] + 0.3 * rng.randn(300)
    model = fitted(posterior, X, y)
    far = np.column_stack([[30.0, 1000.0, 1e6, -50.0, -1e9], np.zeros(5)])
    truth = np.clip(5 * far[:, 0], 0, 5)
    found = model.predict(far)
    assert np.abs(found - truth).max() < 1.5
    assert np.abs(of_network(model, far)[:, 0] - truth).max() > 3


@every_posterior
@every_dtype
def test_rows_as_far_as_numbers_go(posterior, dtype):
    X, y = rows()
    model = fitted(posterior, X.astype(dtype), y)
    far = np.array([[1, 1, 1], [-1, 1, 0.1], [1e-3, -1, -1]], dtype) * np.finfo(dtype).max
    margin = LIMIT * np.ptp(y)
    found = model.predict(far)
    assert ((found >= y.min() - margin - 1e-4) & (found <= y.max() + margin + 1e-4)).all()


def test_rows_of_single_precision_may_come_again_before_they_were_rounded():
    X, y = rows()
    ranges = measure(X.astype(np.float32), y[:, None])
    for container in (np.asarray, sparse.csr_array):
        assert len(rows_outside(container(X), ranges)) == 0
    beyond = X.max(axis=0) * (1 + 3 * np.finfo(np.float32).eps)
    assert_array_equal(rows_outside(np.diag(beyond - X[0]) + X[0], ranges), [0, 1, 2])
