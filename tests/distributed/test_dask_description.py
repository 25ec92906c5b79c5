"""What partitions tell, one by one and together; what cannot be one table is refused."""

from datetime import date

import dask
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from partitions_here import PartitionsHere
from scipy import sparse

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer.distributed import conversion
from sklearn_twolayer.distributed.plain import plain, plain_reader, unlearnt

N = 4
"""Rows of a partition."""


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.setattr(conversion, "Partitions", PartitionsHere)


def good(rng, k=0):
    """A partition of an array, two classes and weights."""
    return rng.randn(N, 2), np.arange(N) % 2, np.ones(N)


def learn(parts, estimator=None):
    """An estimator that has learnt of them."""
    estimator = TwoLayerClassifier() if estimator is None else estimator
    delayed = [dask.delayed(part) for part in parts]
    conversion.learn_delayed(estimator, None, delayed, parts[0][0].shape[1])
    return estimator


def frames(*columns):
    """A partition for each, with a column of that name."""
    return [(pd.DataFrame({"a": c}), np.arange(len(c)) % 2, None) for c in columns]


def test_what_is_wrong_in_a_partition_is_told_as_by_a_plain_estimator(rng):
    """With the number of the partition, and for later rows with the suffix of their names."""
    X, y, w = good(rng)
    infinite, dates = X.copy(), X.astype(object)
    infinite[1, 1] = np.inf
    dates[0, 0] = date(2020, 1, 1)
    cases = [
        ((infinite, y, w), ValueError, "column 1 of X{}: must be finite or missing"),
        ((dates, y, w), TypeError, "X{}: float"),
        ((X, np.where(y, np.nan, 1.0), w), ValueError, "Input y contains NaN"),
        ((X, np.where(y, None, 1.0), w), ValueError, "y{} must have no missing values"),
        ((X, y, -w), ValueError, "sample_weight{} must not be negative"),
        ((X, y, w * np.nan), ValueError, "Input sample_weight{} contains NaN"),
        ((X, y[1:], w), ValueError, "X{} and y{} must have as many rows, got 4 and 3"),
        ((X, y, w[1:]), ValueError, "X{} and sample_weight{} must have as many rows, got 4 and 3"),
        ((sparse.csr_matrix(X), y, w), TypeError, "X{} must be dense, got csr_matrix"),
    ]
    learnt = learn([good(rng)])
    for part, kind, text in cases:
        parts = [good(rng), good(rng), part]
        with pytest.raises(kind, match=r"^partition 2: .*" + text.replace("{}", "")):
            learn(parts)
        delayed = [dask.delayed(part) for part in parts]
        with pytest.raises(kind, match=r"^partition 2: .*" + text.replace("{}", "_val")):
            conversion.later_delayed(learnt, None, delayed, "_val")


@pytest.mark.parametrize(
    ("y", "kind", "text"),
    [
        ([0.5, 1.5, 2.5, 3.5], ValueError, "Unknown label type: continuous"),
        (["a", 1, "b", 2], TypeError, "labels in y must be all strings or all numbers"),
        ([[0, 1], [2, 1], [0, 1], [1, 1]], ValueError, "y should be a 1d array"),
    ],
)
def test_what_are_no_labels(y, kind, text, rng):
    y = np.array(y, dtype=object if "a" in y else None)
    with pytest.raises(kind, match=f"partition 0: {text}"):
        learn([(rng.randn(N, 2), y, None)])


def test_labels_that_do_not_go_together(rng):
    X = rng.randn(N, 2)
    words, numbers = np.array(["a", "b", "a", "b"]), np.arange(N) % 2
    for first, then in ((words, numbers), (numbers, words), (words.astype(object), numbers)):
        text = r"all strings or all numbers, got \['int', 'str'\] in partitions 0 and 1"
        with pytest.raises(TypeError, match=text):
            learn([(X, first, None), (X, then, None)])
    labels = np.eye(N, 2, dtype=int)
    with pytest.raises(ValueError, match=r"shape \(2,\) in partition 0 and \(\) in 1"):
        learn([(X, labels, None), (X, numbers, None)])
    # 0 and 1 in one partition, 0 and 2 in another
    with pytest.raises(ValueError, match="y should be a 1d array"):
        learn([(X, labels, None), (X, 2 * labels, None)])


def test_labels_of_all_partitions(rng):
    X = rng.randn(N, 2)
    parts = [(X, np.array(y), None) for y in (["c"] * N, ["a"] * N, ["bbb"] * N)]
    found = learn(parts).classes_
    assert found.tolist() == ["a", "bbb", "c"]
    assert found.dtype == np.dtype("U3")
    parts = [(X, np.array(y), None) for y in ([3] * N, [1.0] * N)]
    found = learn(parts).classes_
    assert found.tolist() == [1, 3]
    assert found.dtype == np.float64


def test_labels_of_rows_of_weight_zero_are_not_learnt(rng):
    X, y, w = good(rng)
    parts = [(X, y, w), (X, y + 5, 0 * w), (X, np.full(N, 2), w * [0, 1, 0, 0])]
    assert learn(parts).classes_.tolist() == [0, 1, 2]
    assert learn(parts)._class_totals.tolist() == [2, 2, 1]


def test_columns_that_differ_between_partitions(rng):
    X, y, w = good(rng)
    with pytest.raises(ValueError, match="got 2 in partition 0 and 1 in 2"):
        learn([(X, y, w), (X[:0], y[:0], w[:0]), (X[:, :1], y, w)])
    named = pd.DataFrame(X, columns=["a", "b"])
    text = r"same names .* \['a', 'b'\] in partition 0 and \['b', 'a'\] in 1"
    with pytest.raises(ValueError, match=text):
        learn([(named, y, w), (named[["b", "a"]], y, w)])
    with pytest.raises(ValueError, match=r"same names .* \['a', 'b'\] in partition 0 and none in"):
        learn([(named, y, w), (X, y, w)])


def test_kinds_of_a_column_that_differ_between_partitions():
    numbers, words = [1.0, 2.0], ["x", "y"]
    text = "column 'a' of X: numbers are mixed with text or categories in partitions 0 and 2"
    for first, then in ((numbers, words), (words, numbers), (pd.Categorical(words), numbers)):
        with pytest.raises(ValueError, match=text):
            learn(frames(first, [None, None], then))
    with pytest.raises(ValueError, match="column 'a' of X: text and numbers are mixed in part"):
        learn(frames(pd.Categorical(words), pd.Categorical(numbers)))
    with pytest.raises(ValueError, match="column 'a' of X: text and numbers are mixed in part"):
        learn(frames(numbers, words), TwoLayerClassifier(categorical_features=["a"]))
    with pytest.raises(ValueError, match="partition 1: column 'a' of X: text is no number"):
        learn(frames(numbers, words), TwoLayerClassifier(categorical_features=None))


def test_a_column_that_is_missing_in_a_partition_is_what_others_say():
    for blank in ([None, None], [np.nan, np.nan], pd.Categorical([None, None])):
        found = learn(frames(blank, ["x", None], blank, ["y", "y"], blank))
        assert found._columns["categories"][0].tolist() == ["y", "x"]
    found = learn(frames([None, None], [1.5, None]))
    assert found._columns is None
    found = learn(frames(pd.Categorical([None, None]), [np.nan, np.nan]))
    assert found._columns["categories"][0].tolist() == []


def test_categories_that_are_declared_otherwise():
    """Each partition has its own list of them, in an order of its own."""
    parts = frames(
        pd.Categorical(["b", "a"], categories=["b", "a", "unused"]),
        pd.Categorical(["c", "c"], categories=["c"]),
        pd.Series(["a", "d"], dtype="string[pyarrow]"),
    )
    labels = learn(parts)._columns["categories"][0].tolist()
    assert sorted(labels) == ["a", "b", "c", "d"]


def test_dates_and_complex_numbers():
    for column in (pd.date_range("2020", periods=2), np.array([1j, 2])):
        with pytest.raises(TypeError, match=r"^partition 1: column 'a' of X: "):
            learn(frames([1.0, 2.0], column))


def test_nothing_to_learn_from(rng):
    X, y, w = good(rng)
    empty = X[:0], y[:0], w[:0]
    text = (
        r"Found array with 0 sample\(s\) \(shape=\(0, 2\)\) while a minimum of 1 is required by Two"
    )
    with pytest.raises(ValueError, match=text):
        learn([empty, empty])
    with pytest.raises(ValueError, match=r"^sample_weight must not be zero for all rows"):
        learn([(X, y, 0 * w), empty, (X, y, 0 * w)])
    with pytest.raises(ValueError, match=r"^sample_weight times class_weight must not be zero for"):
        learn([(X, 0 * y, w)], TwoLayerClassifier(class_weight={0: 0, 1: 1}))
    with pytest.raises(ValueError, match=r"^sample_weight must have a finite sum"):
        learn([(X, y, w * 1e308), empty, (X, y, w * 1e308)])
    learnt = learn([(X, y, w)])
    for nothing in (empty, (X, y, 0 * w)):
        with pytest.raises(ValueError, match=r"^X_val must have a row of positive weight"):
            conversion.later_delayed(learnt, None, [dask.delayed(nothing)], "_val")


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_single_precision_is_that_of_all_rows(solver, rng):
    X, y, _ = good(rng)
    single = X.astype(np.float32)
    for parts, dtype in (
        ((single, single), "f4"),
        ((single, X), "f8"),
        ((single, single[:0]), "f4"),
    ):
        delayed = [dask.delayed((part, y[: len(part)], None)) for part in parts]
        rows, facts = conversion.learn_delayed(TwoLayerClassifier(solver=solver), None, delayed, 2)
        assert facts.dtype == dtype
        assert [part.X.dtype for part in rows.parts] == [np.dtype(dtype)] * 2


def test_parameters_that_do_not_suit_the_targets_are_not_about_a_partition(rng):
    X, y, _ = good(rng)
    with pytest.raises(ValueError, match=r"^noise='varying' needs loss='squared_error'"):
        learn([(X, y, None)], TwoLayerRegressor(noise="varying", loss="poisson"))
    with pytest.raises(ValueError, match=r"^a list for quantile needs a single target"):
        estimator = TwoLayerRegressor(loss="quantile", quantile=[0.1, 0.9])
        learn([(X, np.c_[y, y], None)], estimator)
    with pytest.raises(ValueError, match=r"^partition 1: y must be above 0 for the gamma loss"):
        learn([(X, y + 1, None), (X, y, None)], TwoLayerRegressor(loss="gamma"))
    with pytest.raises(ValueError, match=r"^class_weight must have labels among"):
        learn([(X, y, None)], TwoLayerClassifier(class_weight={"a": 1}))


class Distributed(TwoLayerClassifier):
    """With parameters of its own."""

    def __init__(self, hidden_size="auto", *, client=None, alpha="auto"):
        super().__init__(hidden_size, alpha=alpha)
        self.client = client


def test_the_plain_estimator_within(rng):
    X, y = rng.randn(30, 2), np.arange(30) % 2
    fitted = Distributed(3, client=object(), alpha=1.0).fit(pd.DataFrame({"a": X[:, 0]}), y)
    made = plain(fitted)
    assert type(made) is TwoLayerClassifier
    assert not hasattr(made, "client")
    assert made.get_params() == {**TwoLayerClassifier(3, alpha=1.0).get_params()}
    table = pd.DataFrame({"a": X[:, 0]})
    assert_array_equal(made.predict_proba(table), fitted.predict_proba(table))
    reader = plain_reader(fitted)
    assert_array_equal(reader._rows(table, y, None)[0], X[:, :1])
    assert not hasattr(reader, "coefs_")
    assert vars(unlearnt(fitted)) == vars(TwoLayerClassifier(3, alpha=1.0))
