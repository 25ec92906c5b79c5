"""Predictions for collections: those for rows in memory, of the type that was foretold, later."""

import dask
import numpy as np
import pandas as pd
import pytest
from dask import array as da
from dask import dataframe as dd
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import NotFittedError
from trained import FRAME, QUANTITIES, SIZES, X, as_dask, chunked, of_unknown_sizes, partitioned

from kinds import IGNORE_CONVERGENCE
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer.distributed import DaskTwoLayerClassifier, DaskTwoLayerRegressor

pytestmark = IGNORE_CONVERGENCE

OF_ALL = {"predict": {}, "input_gradients": {}, "hidden_features": {}}
OF_LABELS = OF_ALL | {"predict_proba": {}, "predict_log_proba": {}, "decision_function": {}}
OF_QUANTITIES = OF_ALL | {
    "predict_interval": {"coverage": 0.5},
    "predict_quantiles": {"quantiles": [0.1, 0.9]},
}
WORDS = np.array(["below", "between", "far above"])
TWO_TARGETS = np.column_stack([QUANTITIES, X[:, 2]])
CASES = {
    "words": (TwoLayerClassifier, {}, WORDS[np.digitize(QUANTITIES, [0, 2])], OF_LABELS),
    "bools": (TwoLayerClassifier, {}, QUANTITIES > 1, OF_LABELS),
    "multilabel": (TwoLayerClassifier, {}, (TWO_TARGETS > 0).astype(int), OF_LABELS),
    "quantities": (TwoLayerRegressor, {}, QUANTITIES, OF_QUANTITIES),
    "two targets": (TwoLayerRegressor, {}, TWO_TARGETS, OF_QUANTITIES),
    "two quantiles": (
        TwoLayerRegressor,
        {"loss": "quantile", "quantile": [0.2, 0.8]},
        QUANTITIES,
        OF_ALL,
    ),
}


def fitted(case, rows=X):
    plain, options, y, methods = CASES[case]
    return as_dask(plain(3, random_state=0, max_iter=30, **options).fit(rows, y)), methods


def check(found, expected, chunks):
    """A lazy array is what it says it is, and what the plain estimator says."""
    assert isinstance(found, da.Array)
    assert found.dtype == expected.dtype
    assert_array_equal(found.chunks[0], chunks)
    assert found.shape[1:] == expected.shape[1:]
    assert len(found.chunks) == expected.ndim
    computed = found.compute(scheduler="sync")
    assert type(computed) is np.ndarray
    assert computed.dtype == expected.dtype
    assert computed.shape == expected.shape
    if expected.dtype.kind == "f":
        # a product of matrices rounds as the number of rows has it
        epsilon = 200 * np.finfo(expected.dtype).eps
        assert_allclose(computed, expected, rtol=epsilon, atol=epsilon)
    else:
        assert_array_equal(computed, expected)


UNKNOWN = [np.nan] * len(SIZES)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_all_methods_of_arrays(case, dtype):
    estimator, methods = fitted(case)
    rows = X.astype(dtype)
    for name, options in methods.items():
        expected = getattr(estimator.to_local(), name)(rows, **options)
        method = getattr(estimator, name)
        check(method(chunked(rows), **options), expected, SIZES)
        check(method(of_unknown_sizes(rows), **options), expected, UNKNOWN)
        assert_array_equal(method(rows, **options), expected)
    check(estimator(chunked(rows)), estimator.to_local()(rows), SIZES)


@pytest.mark.parametrize("case", ["words", "two targets"])
@pytest.mark.parametrize("city", ["object", "category"])
def test_all_methods_of_frames(case, city):
    frame = FRAME.astype({"a": np.float32, "city": city})
    frame.loc[::7, "b"] = np.nan
    estimator, methods = fitted(case, frame)
    for name, options in methods.items():
        expected = getattr(estimator.to_local(), name)(frame, **options)
        check(getattr(estimator, name)(partitioned(frame), **options), expected, UNKNOWN)


def test_categories_that_are_not_known_yet():
    estimator, _ = fitted("quantities", FRAME)
    rows = partitioned(FRAME).astype({"city": "category"})
    assert not rows["city"].cat.known
    check(estimator.predict(rows), estimator.predict(FRAME), UNKNOWN)


@pytest.mark.parametrize("columns", [["a", "b"], ["a", "b", "city"]])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_precision_of_frames(columns, dtype):
    frame = FRAME[columns].astype(dict.fromkeys(["a", "b"], dtype))
    estimator, _ = fitted("quantities", frame)
    expected = estimator.predict(frame)
    assert expected.dtype == dtype
    check(estimator.predict(partitioned(frame)), expected, UNKNOWN)


def test_integers_and_bools_of_frames():
    frame = pd.DataFrame({"n": np.arange(60) % 7, "is": X[:, 0] > 0, "x": X[:, 1]})
    estimator, _ = fitted("quantities", frame)
    check(estimator.predict(partitioned(frame)), estimator.predict(frame), UNKNOWN)


def test_words_in_arrays():
    rows = FRAME.to_numpy(dtype=object)
    plain = TwoLayerRegressor(3, alpha=1.0, categorical_features=[3], random_state=0)
    estimator = as_dask(plain.fit(rows, QUANTITIES))
    check(estimator.predict(chunked(rows)), estimator.predict(rows), SIZES)


def test_sparse_blocks():
    estimator, _ = fitted("quantities", sparse.csr_matrix(X))
    rows = chunked(X).rechunk({1: -1}).map_blocks(sparse.csr_matrix)
    expected = estimator.predict(sparse.csr_matrix(X))
    check(estimator.predict(rows), expected, SIZES)


@pytest.mark.parametrize("make", [chunked, of_unknown_sizes])
@pytest.mark.parametrize("case", ["quantities", "two targets"])
def test_deviations_come_along_in_one_pass(case, make, monkeypatch):
    estimator, _ = fitted(case)
    for dtype in (np.float64, np.float32):
        found = estimator.predict(make(X.astype(dtype)), return_std=True)
        expected = estimator.predict(X.astype(dtype), return_std=True)
        assert isinstance(found, tuple)
        for part, of_plain in zip(found, expected, strict=True):
            check(part, of_plain, part.chunks[0])
    n_rows = []
    predict = TwoLayerRegressor.predict
    monkeypatch.setattr(
        TwoLayerRegressor,
        "predict",
        lambda self, X, **options: n_rows.append(len(X)) or predict(self, X, **options),
    )
    dask.compute(*found, scheduler="sync")
    assert sorted(n_rows) == [7, 20, 33]


class Counting:
    """Rows, and how many blocks of them have been asked for."""

    def __init__(self):
        self.n_blocks = 0

    def __call__(self, number):
        self.n_blocks += 1
        return pd.DataFrame(X, columns=["a", "b", "c"])

    def array(self):
        """Three blocks."""
        blocks = [dask.delayed(lambda: self(0).to_numpy(), pure=False)() for _ in range(3)]
        return da.concatenate([da.from_delayed(b, X.shape, X.dtype) for b in blocks])

    def frame(self):
        """Three partitions."""
        return dd.from_map(self, range(3), meta=pd.DataFrame(X[:0], columns=["a", "b", "c"]))


@pytest.mark.parametrize("kind", ["array", "frame"])
@pytest.mark.parametrize("case", ["words", "quantities"])
def test_nothing_is_computed_before_it_is_asked_for(case, kind):
    counting = Counting()
    rows = getattr(counting, kind)()
    estimator, methods = fitted(case, X if kind == "array" else counting(0))
    counting.n_blocks = 0
    found = [getattr(estimator, name)(rows, **options) for name, options in methods.items()]
    if case == "quantities":
        found += estimator.predict(rows, return_std=True)
    assert counting.n_blocks == 0
    dask.compute(*found, scheduler="sync")
    # rows are read once for all that is asked of them together
    assert counting.n_blocks == 3


@pytest.mark.parametrize("make", [chunked, of_unknown_sizes])
def test_the_estimator_is_in_the_graph_once_and_plain(make):
    estimator, _ = fitted("quantities")
    rows = make(X)
    graph = dict(estimator.predict(rows).__dask_graph__())
    (key,) = [key for key in graph if "TwoLayer" in str(key)]
    assert key.startswith("TwoLayerRegressor-")
    assert type(dask.get(graph, key)) is TwoLayerRegressor


def test_keys_tell_estimators_apart_and_know_them_again():
    one, _ = fitted("quantities")
    another, _ = fitted("two quantiles")
    rows = chunked(X)
    assert one.predict(rows).name == as_dask(one.to_local()).predict(rows).name
    assert one.predict(rows).name != another.predict(rows).name
    options = [{"coverage": 0.5}, {"coverage": 0.6}]
    assert len({one.predict_interval(rows, **each).name for each in options}) == 2


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["b", "a", "c"], "in the same order"),
        (["a", "b", "z"], "unseen at fit time"),
        (["a", "b"], "missing"),
    ],
)
def test_unknown_columns_are_told_at_the_call(columns, message):
    counting = Counting()
    estimator, _ = fitted("quantities", counting(0))
    rows = counting.frame().rename(columns={"c": "z"} if "z" in columns else {})[columns]
    for ask in (estimator.predict, lambda rows: estimator.score(rows, rows["a"])):
        with pytest.raises(ValueError, match=message):
            ask(rows)


def test_a_wrong_number_of_columns_is_told_at_the_call():
    estimator, _ = fitted("quantities")
    with pytest.raises(ValueError, match=r"X has 2 features, but .* expecting 3"):
        estimator.predict(chunked(X[:, :2]))
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
        estimator.predict(chunked(X[:, 0]))
    unknown = da.from_delayed(dask.delayed(X), (60, np.nan), X.dtype)
    with pytest.raises(ValueError, match=r"X must have a known number of columns.*compute_chunk_s"):
        estimator.predict(unknown)


def test_columns_of_a_kind_that_is_none_are_told_at_the_call():
    estimator, _ = fitted("quantities", FRAME[["a", "b"]])
    dates = FRAME[["a", "b"]].assign(b=pd.Timestamp("2020-01-01"))
    with pytest.raises(TypeError, match="column 'b' of X: dates and times"):
        estimator.predict(partitioned(dates))


def test_options_are_checked_at_the_call():
    estimator, _ = fitted("quantities")
    with pytest.raises(ValueError, match="coverage must be"):
        estimator.predict_interval(chunked(X), coverage=2.0)
    with pytest.raises(ValueError, match="quantiles must be"):
        estimator.predict_quantiles(chunked(X), quantiles=[2.0])


@pytest.mark.parametrize("other", [dask.delayed(X), da.from_array(X).sum().to_delayed()])
def test_other_collections_are_refused(other):
    estimator, _ = fitted("quantities")
    with pytest.raises(TypeError, match=r"X must be a dask array or DataFrame, got dask"):
        estimator.predict(other if not isinstance(other, np.ndarray) else other.item())


@pytest.mark.parametrize("estimator", [DaskTwoLayerClassifier(), DaskTwoLayerRegressor()])
def test_before_fit(estimator):
    with pytest.raises(NotFittedError):
        estimator.predict(chunked(X))
    with pytest.raises(NotFittedError):
        estimator.score(chunked(X), chunked(QUANTITIES))


def test_importances_take_rows_in_memory():
    estimator, _ = fitted("quantities")
    expected = estimator.to_local().gradient_importances(X)
    assert_array_equal(estimator.gradient_importances(X), expected)
    message = "X must be in memory for this DaskTwoLayerRegressor.*array.*: pass X.compute"
    with pytest.raises(TypeError, match=message):
        estimator.gradient_importances(chunked(X))


def test_methods_are_those_of_the_plain_estimators():
    assert not hasattr(DaskTwoLayerClassifier(), "predict_interval")
    assert not hasattr(DaskTwoLayerRegressor(), "predict_proba")


@pytest.mark.parametrize("make", [chunked, of_unknown_sizes])
@pytest.mark.parametrize("case", ["quantities", "two targets"])
def test_log_predictive_density(case, make):
    estimator, _ = fitted(case)
    y = CASES[case][2]
    rows = make(X)
    targets = partitioned(pd.DataFrame(y).squeeze(axis=1)) if make is not chunked else chunked(y)
    expected = estimator.log_predictive_density(X, y)
    check(estimator.log_predictive_density(rows, targets), expected, rows.chunks[0])


def test_on_workers(client):
    estimator, _ = fitted("words")
    found = client.compute(estimator.predict_proba(chunked(X)), sync=True)
    assert_allclose(found, estimator.predict_proba(X), rtol=1e-12)
