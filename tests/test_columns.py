"""Frames and arrays as floats: kinds of columns, codes of categories, missing values."""

import copy
import pickle
import subprocess
import sys
import warnings
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.base import BaseEstimator

from sklearn_twolayer._columns import Columns, convert_columns, learn_columns

NAN = np.nan


class Any(BaseEstimator):
    pass


def learn(X, categorical_features="from_dtype", name="X"):
    """The estimator, the floats and the columns."""
    estimator = Any()
    return estimator, *learn_columns(estimator, X, categorical_features, name)


def there_and_back(X, later, categorical_features="from_dtype"):
    """The floats of later rows."""
    estimator, _, columns = learn(X, categorical_features)
    return convert_columns(estimator, later, columns)


def labels(columns):
    return [categories.tolist() for categories in columns.categories]


def as_pandas(data):
    return pd.DataFrame(
        {
            name: pd.Series(values, dtype="boolean" if bool in map(type, values) else None)
            for name, values in data.items()
        }
    )


def as_nullable(data, **options):
    with np.errstate(invalid="ignore"):  # pandas 2 makes integers of infinity to see
        return as_pandas(data).convert_dtypes(**options)


def as_objects(data):
    frame = pd.DataFrame(data, dtype=object)
    return frame.assign(
        **{name: as_pandas(data)[name] for name in data if bool in map(type, data[name])}
    )


def as_pandas_arrow(data):
    pytest.importorskip("pyarrow")
    return as_nullable(data, dtype_backend="pyarrow")


def as_polars(data):
    return pytest.importorskip("polars").DataFrame(data)


def as_arrow(data):
    return pytest.importorskip("pyarrow").table(data)


def as_record_batch(data):
    return pytest.importorskip("pyarrow").RecordBatch.from_pydict(data)


def as_chunks(data):
    """A table of one chunk per row, whose dictionaries differ from chunk to chunk."""
    arrow = pytest.importorskip("pyarrow")
    chunks = []
    for row in range(len(next(iter(data.values())))):
        table = as_arrow(data).slice(row, 1)
        columns = [
            column.dictionary_encode() if arrow.types.is_string(column.type) else column
            for column in table.columns
        ]
        chunks.append(arrow.table(columns, names=table.column_names))
    return arrow.concat_tables(chunks)


def as_pandas_categories(data):
    return as_pandas(data).astype({name: "category" for name in data if "a" in data[name]})


def as_polars_categories(data):
    polars = pytest.importorskip("polars")
    return as_polars(data).with_columns(polars.col(polars.String).cast(polars.Categorical))


def as_polars_enums(data):
    polars = pytest.importorskip("polars")
    # one level that does not occur, and another order
    return as_polars(data).with_columns(
        polars.col(polars.String).cast(polars.Enum(["z", "ü", "b", "a"]))
    )


FRAMES = [
    as_pandas,
    as_nullable,
    as_objects,
    as_pandas_arrow,
    as_polars,
    as_arrow,
    as_record_batch,
    as_chunks,
    as_pandas_categories,
    as_polars_categories,
    as_polars_enums,
]
every_frame = pytest.mark.parametrize("as_frame", FRAMES)

DATA = {
    "size": [1.5, None, -3.0, 0.25],
    "count": [1, 2, None, 40],
    "flag": [True, None, False, False],
    "colour": ["b", None, "ü", "a"],
    "whole": [3, 2, 1, 0],
}
FLOATS = np.array(
    [
        [1.5, 1.0, 1.0, 1.0, 3.0],
        [NAN, 2.0, NAN, NAN, 2.0],
        [-3.0, NAN, 0.0, 2.0, 1.0],
        [0.25, 40.0, 0.0, 0.0, 0.0],
    ]
)


@every_frame
def test_all_frames_give_the_same_floats(as_frame):
    X = as_frame(DATA)
    estimator, floats, columns = learn(X)
    assert_array_equal(floats, FLOATS)
    assert floats.dtype == np.float64
    assert floats.flags.c_contiguous
    assert_array_equal(columns.is_categorical, [False, False, False, True, False])
    assert columns.is_categorical.dtype == bool
    assert labels(columns) == [["a", "b", "ü"]]
    assert_array_equal(estimator.feature_names_in_, list(DATA))
    assert estimator.n_features_in_ == 5
    assert_array_equal(convert_columns(estimator, X, columns), FLOATS)


@every_frame
@pytest.mark.parametrize("as_later", FRAMES)
def test_labels_are_matched_across_libraries(as_frame, as_later):
    later = {name: values[::-1] for name, values in DATA.items()}
    later["colour"] = ["a", "b", None, "ü"]
    expected = FLOATS[::-1].copy()
    expected[:, 3] = [0, 1, NAN, 2]
    assert_array_equal(there_and_back(as_frame(DATA), as_later(later)), expected)


@pytest.mark.parametrize("as_frame", [frame for frame in FRAMES if frame is not as_polars_enums])
def test_an_unknown_level_is_minus_one(as_frame):
    later = dict(DATA, colour=["zebra", "a", None, ""])
    floats = there_and_back(as_frame(DATA), as_frame(later))
    assert_array_equal(floats[:, 3], [-1, 0, NAN, -1])


@every_frame
def test_what_is_missing_only_later(as_frame):
    whole = {name: [values[0], values[3]] for name, values in DATA.items()}
    later = {name: [None, values[0]] for name, values in DATA.items()}
    floats = there_and_back(as_frame(whole), as_frame(later))
    assert_array_equal(floats, [[NAN] * 5, [1.5, 1, 1, 1, 3]])


@every_frame
def test_columns_without_a_value(as_frame):
    """Of text, of numbers and of nothing at all, later and in training."""
    nothing = {name: [None] * 4 for name in DATA}
    floats = there_and_back(as_frame(DATA), as_frame(nothing))
    assert_array_equal(floats, np.full((4, 5), NAN))
    estimator, floats, columns = learn(as_frame(nothing), ["colour", "count"])
    assert_array_equal(floats, np.full((4, 5), NAN))
    assert labels(columns) == [[], []]
    floats = convert_columns(estimator, as_frame(DATA), columns)
    assert_array_equal(floats[:, 3], [-1, NAN, -1, -1])
    assert_array_equal(floats[:, 1], [-1, -1, NAN, -1])


@every_frame
def test_names_are_checked_as_scikit_learn_does(as_frame):
    estimator, _, columns = learn(as_frame(DATA))
    for data, message in (
        (dict(reversed(DATA.items())), "same order"),
        ({"new" if name == "flag" else name: DATA[name] for name in DATA}, "unseen at fit time"),
        ({name: DATA[name] for name in DATA if name != "flag"}, "yet now missing"),
    ):
        with pytest.raises(ValueError, match=message):
            convert_columns(estimator, as_frame(data), columns)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        floats = convert_columns(estimator, as_objects(DATA).to_numpy(), columns)
    assert_array_equal(floats, FLOATS)
    with (
        pytest.warns(UserWarning, match="does not have valid feature names"),
        pytest.raises(ValueError, match="4 features, but Any is expecting 5"),
    ):
        convert_columns(estimator, as_objects(DATA).to_numpy()[:, :4], columns)


@every_frame
def test_categorical_features_name_columns_of_any_kind(as_frame):
    for wanted in (
        ["count", "flag", "whole"],
        [4, 1, 2],
        np.array([1, 2, 4], dtype=np.int8),
        [False, True, True, False, True],
        np.array([False, True, True, False, True]),
        pd.Index(["whole", "flag", "count"]),
    ):
        data = {name: DATA[name] for name in DATA if name != "colour"} | {"other": [5, 6, 7, 8]}
        data = {name: data[name] for name in ("size", "count", "flag", "other", "whole")}
        _, floats, columns = learn(as_frame(data), wanted)
        assert labels(columns) == [[1, 2, 40], [False, True], [0, 1, 2, 3]]
        assert_array_equal(floats[:, 1], [0, 1, NAN, 2])
        assert_array_equal(floats[:, 2], [1, NAN, 0, 0])
        assert_array_equal(floats[:, 4], [3, 2, 1, 0])
        assert_array_equal(floats[:, [0, 3]], [[1.5, 5], [NAN, 6], [-3, 7], [0.25, 8]])


@every_frame
@pytest.mark.parametrize("wanted", [None, [], ["count"], [0], [False] * 5])
def test_text_that_is_no_category_is_an_error(as_frame, wanted):
    with pytest.raises(ValueError, match=r"column 'colour' of X: text is no number; name.*'from_d"):
        learn(as_frame(DATA), wanted)


@every_frame
def test_kinds_may_not_change(as_frame):
    estimator, _, columns = learn(as_frame(DATA))
    later = dict(DATA, size=["a", "b", None, "a"])
    with pytest.raises(
        ValueError, match="column 'size' of X: held numbers in training, and holds text now"
    ):
        convert_columns(estimator, as_frame(later), columns)
    later = dict(DATA, colour=[1, 2, None, 3])
    message = "column 'colour' of X_val: held categories that were text in training, and holds num"
    with pytest.raises(ValueError, match=message):
        convert_columns(estimator, as_frame(later), columns, name="X_val")
    estimator, _, columns = learn(as_frame({"k": [1, 2]}), ["k"])
    message = "column 'k' of X: held categories that were numbers in training, and holds text now"
    with pytest.raises(ValueError, match=message):
        convert_columns(estimator, as_frame({"k": ["a", "b"]}), columns)


@every_frame
@pytest.mark.parametrize("where", [0, 3])
def test_infinity_names_its_column(as_frame, where):
    size = [1.0, None, 2.0, 3.0]
    size[where] = -np.inf
    with pytest.raises(ValueError, match=r"column 'size' of X_val: must be finite .* got infinity"):
        learn(as_frame(dict(DATA, size=size)), name="X_val")
    with pytest.raises(ValueError, match="column 'size' of X: a category must be finite"):
        learn(as_frame(dict(DATA, size=size)), ["size", "colour"])


@pytest.mark.parametrize("as_frame", [as_objects, as_polars, as_arrow, as_pandas_arrow])
@pytest.mark.parametrize(
    "value", [date(2020, 1, 1), timedelta(1), pd.Timestamp("2020").to_pydatetime()]
)
@pytest.mark.parametrize("categorical_features", ["from_dtype", None, ["when"]])
def test_dates_and_durations_are_refused(as_frame, value, categorical_features):
    X = as_frame({"a": [1, 2], "when": [None, value]})
    with pytest.raises(TypeError, match=r"column 'when' of X: dates and times .*DatetimeEncoder"):
        learn(X, categorical_features)


@pytest.mark.parametrize(
    "values",
    [
        pd.to_datetime(["2020", "2021"]),
        pd.to_datetime(["2020", "2021"]).tz_localize("UTC"),
        pd.to_timedelta([1, 2], unit="s"),
        pd.period_range("2020", periods=2),
        np.array(["2020-01-01", "2020-01-02"], dtype="datetime64[s]"),
    ],
)
def test_dates_of_pandas_are_refused_now_and_later(values):
    X = pd.DataFrame({"when": values})
    with pytest.raises(TypeError, match=r"column 'when' of X: dates and times .*DatetimeEncoder"):
        learn(X)
    estimator, _, columns = learn(pd.DataFrame({"when": [1, 2]}))
    with pytest.raises(TypeError, match=r"column 'when' of X_val: dates and times .*DatetimeEn"):
        convert_columns(estimator, X, columns, name="X_val")


@pytest.mark.parametrize("as_frame", [as_objects, as_polars, as_arrow])
@pytest.mark.parametrize("value", [[1, 2], {"a": 1}, b"bytes"])
@pytest.mark.parametrize("categorical_features", ["from_dtype", None, ["odd"]])
def test_nested_columns_are_refused(as_frame, value, categorical_features):
    X = as_frame({"a": [1, 2], "odd": [value, None]})
    with pytest.raises(TypeError, match="column 'odd' of X: must hold numbers, bools, text or cat"):
        learn(X, categorical_features)


def test_other_columns_are_refused():
    polars = pytest.importorskip("polars")
    for X in (
        pd.DataFrame({"odd": pd.interval_range(0, 2)}),
        polars.DataFrame({"odd": polars.Series(["a", "b"], dtype=polars.Object)}),
    ):
        for wanted in ("from_dtype", ["odd"]):
            with pytest.raises(TypeError, match="column 'odd' of X: must hold numbers, bools"):
                learn(X, wanted)


@pytest.mark.parametrize(
    "values, error, message",
    [
        (["a", 1], ValueError, "text and numbers are mixed"),
        ([None, 1, "a"], TypeError, "numbers are mixed with str"),
        (["a", [1]], TypeError, "unhashable"),
        (["a", (1,)], TypeError, r"must be text, a number or a bool, got \(1,\)"),
        ([1, [1]], TypeError, "numbers are mixed with list"),
        ([1.0, date(2020, 1, 1)], TypeError, "numbers are mixed with date"),
        ([True, None], TypeError, "bools are mixed with missing values .*'boolean'"),
        ([None, False, NAN, pd.NA], TypeError, "bools are mixed"),
        ([True, "a"], TypeError, "bools are mixed"),
        ([1, 1j], TypeError, "complex"),
        ([1j, 1], TypeError, "Complex data not supported"),
        ([10**400, 1], ValueError, "too large"),
        ([object(), 1], TypeError, "must hold numbers, bools, text or categories"),
    ],
)
def test_objects_of_mixed_kinds_are_refused(values, error, message):
    X = pd.DataFrame({"a": 1.0, "odd": pd.Series(values, dtype=object)})
    with pytest.raises(error, match=f"column 'odd' of X: .*{message}"):
        learn(X)
    if "bools" in message:  # an array has no dtype for bools that may be missing
        return
    with pytest.raises(error, match=f"column 1 of X: .*{message}"):
        # as an array, in which the first column is a category
        text = ["odd"] if isinstance(values[0], str) else []
        learn(X.to_numpy(), [0, 1] if text else [0])


@pytest.mark.parametrize(
    "values, expected",
    [
        ([1, 2.5, np.float32(3)], [1, 2.5, 3]),
        ([None, pd.NA, 1], [NAN, NAN, 1]),
        ([NAN, None, NAN], [NAN, NAN, NAN]),
        ([Decimal("1.5"), Decimal("NaN"), None], [1.5, NAN, NAN]),
        ([True, False, True], [1, 0, 1]),
        ([2**70, -1, None], [2.0**70, -1, NAN]),
    ],
)
def test_objects_that_are_numbers(values, expected):
    _, floats, columns = learn(pd.DataFrame({"a": pd.Series(values, dtype=object)}))
    assert_array_equal(floats[:, 0], expected)
    assert not columns.is_categorical.any()


@pytest.mark.parametrize("dtype", [object, "string", "string[python]", "string[pyarrow]", "str"])
def test_strings_of_pandas_are_categories(dtype):
    if dtype == "string[pyarrow]":
        pytest.importorskip("pyarrow")
    values = ["b", None, "a", "b"]
    X = pd.DataFrame({"a": pd.Series(values, dtype=None if dtype == "str" else dtype)})
    _, floats, columns = learn(X)
    assert_array_equal(floats[:, 0], [1, NAN, 0, 1])
    assert labels(columns) == [["a", "b"]]
    assert all(type(label) is str for label in columns.categories[0])


@pytest.mark.parametrize("kind", ["string", "large_string", "string_view"])
def test_strings_of_arrow_are_categories(kind):
    arrow = pytest.importorskip("pyarrow")
    column = arrow.array(["b", None, "a"], getattr(arrow, kind)())
    if kind == "string_view":
        pytest.skip("pyarrow has no dictionary_encode for it") if not _encodes(column) else None
    _, floats, columns = learn(arrow.table({"a": column}))
    assert_array_equal(floats[:, 0], [1, NAN, 0])
    assert labels(columns) == [["a", "b"]]


def _encodes(column):
    try:
        column.dictionary_encode()
    except NotImplementedError:
        return False
    return True


@pytest.mark.parametrize(
    "values, expected",
    [
        (["x", "y"], ["x", "y"]),
        ([10, -20], [-20, 10]),
        ([0.5, 2.0], [0.5, 2]),
        ([True, False], [False, True]),
        ([pd.Interval(0, 1), pd.Interval(1, 2)], ["(0, 1]", "(1, 2]"]),
        (
            [pd.Timestamp("2020"), pd.Timestamp("2021")],
            ["2020-01-01 00:00:00", "2021-01-01 00:00:00"],
        ),
    ],
)
def test_pandas_categories_of_any_label(values, expected):
    X = pd.DataFrame({"a": pd.Categorical([*values, None, values[0]], categories=values[::-1])})
    estimator, floats, columns = learn(X)
    assert labels(columns) == [expected]
    first = float(
        expected.index(values[0] if type(values[0]) in (str, int, float, bool) else expected[0])
    )
    assert_array_equal(floats[:, 0], [first, 1 - first, NAN, first])
    assert_array_equal(convert_columns(estimator, X, columns), floats)


def test_levels_that_do_not_occur_are_dropped():
    X = pd.DataFrame({"a": pd.Categorical(["b", "d", None], categories=["d", "c", "b", "a"])})
    estimator, floats, columns = learn(X)
    assert labels(columns) == [["b", "d"]]
    assert_array_equal(floats[:, 0], [0, 1, NAN])
    later = pd.DataFrame({"a": pd.Categorical(["d", "a", "b"], categories=["a", "b", "c", "d"])})
    assert_array_equal(convert_columns(estimator, later, columns)[:, 0], [1, -1, 0])
    # unused levels of another kind say nothing
    later = pd.DataFrame({"a": pd.Categorical(["d", None], categories=["d", 1])})
    assert_array_equal(convert_columns(estimator, later, columns)[:, 0], [1, NAN])


def test_categories_of_text_and_numbers_are_refused():
    X = pd.DataFrame({"a": pd.Categorical(["b", 1])})
    with pytest.raises(ValueError, match="column 'a' of X: text and numbers are mixed"):
        learn(X)


def test_dictionaries_of_arrow_may_hold_numbers_and_repeat_or_miss_a_label():
    arrow = pytest.importorskip("pyarrow")
    column = arrow.DictionaryArray.from_arrays(
        arrow.array([0, 1, 2, None, 3], arrow.uint8()), arrow.array([7, 5, 7, None])
    )
    for X in (arrow.table({"a": column}), pd.DataFrame({"a": _arrow_series(column)})):
        _, floats, columns = learn(X)
        assert labels(columns) == [[5, 7]]
        assert_array_equal(floats[:, 0], [1, 0, 1, NAN, NAN])


def _arrow_series(column):
    return pd.Series(pd.arrays.ArrowExtensionArray(column))


def test_categories_of_numbers_are_numbers_where_no_category_is_wanted():
    X = pd.DataFrame({"a": pd.Categorical([10, 20, None, 10])})
    assert_array_equal(learn(X, None)[1][:, 0], [10, 20, NAN, 10])
    numbers = pd.DataFrame({"a": [1.0, 2.0]})
    assert_array_equal(there_and_back(numbers, X)[:, 0], [10, 20, NAN, 10])


@pytest.mark.parametrize(
    "train, later",
    [
        ([1, 0, -2], [1.0, NAN, -2.0]),
        ([1.0, 0.0, -2.0], [1, 5, -2]),
        ([True, False, True], pd.array([True, None, False], dtype="boolean")),
        ([True, False, False], [1.0, NAN, 0.0]),
        ([2**53 + 1, 2**53, 0], [2**53 + 1, 2**53 - 1, 2**53]),
        ([2**63, -1, 0], [2**63, 3, -1]),
    ],
)
@pytest.mark.parametrize("wrap", ["plain", "category"])
def test_equal_labels_match_whatever_their_dtype(train, later, wrap):
    X, later = pd.DataFrame({"k": pd.Series(train)}), pd.DataFrame({"k": pd.Series(later)})
    if wrap == "category":
        X = X.astype("category")
    columns = learn(X, ["k"])[2]
    assert labels(columns) == [sorted(set(train))]
    ours = there_and_back(X, later, ["k"])[:, 0]
    order = sorted(set(train))
    expected = [
        NAN if pd.isna(value) else order.index(value) if value in order else -1
        for value in later["k"]
    ]
    assert_array_equal(ours, expected)
    assert -1 in ours or np.isnan(ours).any()


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int8, bool, object, "U8"])
def test_categories_of_arrays(dtype):
    X = np.array([[3, 1], [-4, 0], [3, 1]]).astype(dtype)
    estimator, floats, columns = learn(X, [0])
    expected = sorted(set(X[:, 0].tolist()))
    assert labels(columns) == [expected]
    assert_array_equal(floats[:, 0], [expected.index(value) for value in X[:, 0].tolist()])
    assert_array_equal(floats[:, 1], [1, 0, 1])
    assert floats.dtype == (np.float32 if dtype == np.float32 else np.float64)
    assert_array_equal(convert_columns(estimator, X.copy(), columns), floats)


def test_labels_keep_all_their_digits():
    X = np.array([[0.5], [2**53 + 1], [2**53], [1e300]], dtype=object)
    estimator, floats, columns = learn(X, [0])
    assert labels(columns) == [[0.5, 2**53, 2**53 + 1, 1e300]]
    assert_array_equal(floats[:, 0], [0, 2, 1, 3])
    assert_array_equal(convert_columns(estimator, X, columns), floats)
    large = learn(np.array([[1e300], [2.0]]), [0])[2].categories[0]
    assert large.dtype == np.float64
    assert_array_equal(large, [2, 1e300])


def test_text_in_arrays_and_lists():
    X = [["a", 1.5, None], ["b", NAN, "x"], ["a", 2, "y"], [None, 3, pd.NA]]
    expected = [[0, 1.5, NAN], [1, NAN, 0], [0, 2, 1], [NAN, 3, NAN]]
    for rows in (X, np.array(X, dtype=object)):
        estimator, floats, columns = learn(rows, [0, 2])
        assert_array_equal(floats, expected)
        assert labels(columns) == [["a", "b"], ["x", "y"]]
        later = convert_columns(estimator, [["b", 1, "z"], ["c", pd.NA, "x"]], columns)
        assert_array_equal(later, [[1, 1, -1], [-1, NAN, 0]])
        with pytest.raises(ValueError, match="column 1 of X: held numbers in training"):
            convert_columns(estimator, [["b", "1", "z"]], columns)
        with pytest.raises(ValueError, match="column 0 of X: held categories that were text"):
            convert_columns(estimator, [[1, 1, "z"]], columns)
        with pytest.raises(ValueError, match="column 2 of X: text is no number"):
            learn([row[::-1] for row in X], [0, 1])
    with pytest.raises(
        ValueError, match=r"column 0 of X: could not convert string to float: .*'a'"
    ):
        learn(np.array([["a", "1"], ["b", "2"]]), [1])


def test_bools_of_arrays_may_be_missing():
    X = np.array([[True, "a"], [None, "b"], [False, "a"], [pd.NA, "b"]], dtype=object)
    assert_array_equal(learn(X, [1])[1], [[1, 0], [NAN, 1], [0, 0], [NAN, 1]])
    assert_array_equal(learn(X[:, :1])[1], [[1], [NAN], [0], [NAN]])


def test_one_level_and_many():
    _, floats, columns = learn(pd.DataFrame({"a": ["x", "x"], "b": ["", " "]}))
    assert labels(columns) == [["x"], ["", " "]]
    names = np.array([f"level {number:05d}" for number in range(5000)])
    codes = np.random.default_rng(0).integers(5000, size=20_000)
    for as_frame in FRAMES:
        if as_frame is not as_polars_enums and as_frame is not as_chunks:
            _, floats, columns = learn(as_frame({"a": names[codes].tolist()}))
            found, expected = np.unique(codes, return_inverse=True)
            assert_array_equal(columns.categories[0], names[found])
            assert_array_equal(floats[:, 0], expected)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("categorical_features", ["from_dtype", None])
def test_float_arrays_are_not_copied(tmp_path, dtype, categorical_features):
    X = np.arange(12, dtype=dtype).reshape(4, 3)
    with_nan = X.copy()
    with_nan[1, 1] = NAN
    on_disk = np.memmap(tmp_path / "X", dtype=dtype, mode="w+", shape=(4, 3))
    for rows in (X, with_nan, np.asfortranarray(X), X[:, ::2], on_disk):
        estimator, floats, columns = learn(rows, categorical_features)
        later = convert_columns(estimator, rows, columns)
        for result in (floats, later):
            assert np.shares_memory(result, rows)
            assert result.dtype == dtype
            assert_array_equal(result, rows)
        assert not columns.is_categorical.any()
        assert columns.categories == []
        assert len(columns.is_categorical) == rows.shape[1]


def test_other_arrays_and_lists_are_read_as_scikit_learn_does():
    for rows in (
        [[1, 2], [3, None]],
        np.array([[1, 2], [3, NAN]], dtype=object),
        np.array([["1", "2"], ["3", "nan"]]),
        np.array([[1, 2], [3, pd.NA]], dtype=object),
        [[1, 2], [3, pd.NA]],
    ):
        estimator, floats, columns = learn(rows)
        assert_array_equal(floats, [[1, 2], [3, NAN]])
        assert_array_equal(convert_columns(estimator, rows, columns), floats)
    assert learn(np.eye(2, dtype=int))[1].dtype == np.float64
    assert learn(np.eye(2, dtype=np.float16))[1].dtype == np.float64


@pytest.mark.parametrize(
    "rows, error, message",
    [
        ([1.0, 2.0], ValueError, "Expected 2D array, got 1D array"),
        (pd.Series([1.0, 2.0]), ValueError, "Expected a 2-dimensional container"),
        (np.zeros((2, 2, 2)), ValueError, "Found array with dim 3"),
        (np.zeros((0, 2)), ValueError, r"Found array with 0 sample\(s\)"),
        (np.zeros((2, 0)), ValueError, r"0 feature\(s\)"),
        (np.array([[1j, 2]]), ValueError, "Complex data not supported"),
        ([[10**400, 2]], ValueError, "X_val must hold numbers within the range of float64"),
        (np.array([["a", 1.0]], dtype=object), ValueError, "could not convert string"),
        (np.array([[{}, 1.0]], dtype=object), TypeError, "argument must be .* string.* number"),
        (np.matrix([[1.0]]), TypeError, "np.matrix is not supported"),
        ([[1, 2], [3, np.inf]], ValueError, "column 1 of X_val: must be finite .*got infinity"),
        ([[-np.inf, 2], [NAN, 1]], ValueError, "column 0 of X_val: must be finite .*got inf"),
    ],
)
@pytest.mark.parametrize("categorical_features", ["from_dtype", None])
def test_arrays_that_are_refused(rows, error, message, categorical_features):
    with pytest.raises(error, match=message):
        learn(rows, categorical_features, name="X_val")


def test_infinity_far_down_and_sums_beyond_floats():
    X = np.ones((100_000, 3))
    X[:, 0] = np.finfo(float).max
    assert learn(X)[1] is X or np.shares_memory(learn(X)[1], X)
    X[99_999, 2] = np.inf
    with pytest.raises(ValueError, match="column 2 of X"):
        learn(X)
    X[99_998, 1] = -np.inf  # inf - inf is NaN
    with pytest.raises(ValueError, match="column 1 of X"):
        learn(X)
    with config_context(assume_finite=True):
        assert np.isinf(learn(X)[1][99_999, 2])


WRONG = [
    ("colour", ValueError, "got 'colour'"),
    (3, TypeError, "got 3"),
    (1.5, TypeError, "got 1.5"),
    ([0.0], TypeError, r"got \[0.0\]"),
    ([None], TypeError, r"got \[None\]"),
    (["a", 1], TypeError, r"got \['a', 1\]"),
    ([True, 1], TypeError, r"got \[True, 1\]"),
    ([[0]], TypeError, r"got \[\[0\]\]"),
    ([2], ValueError, r"got 2, which is not among \[0, 1\]"),
    ([-1], ValueError, "got -1, which"),
    ([0, 1, 0], ValueError, "got 0 twice"),
    ([True], ValueError, "got a mask of 1"),
    ([True, False, True], ValueError, "got a mask of 3"),
]


@pytest.mark.parametrize("wanted, error, message", WRONG)
@pytest.mark.parametrize("X", [np.eye(2), pd.DataFrame({"a": [1, 2], "b": [1, 2]})], ids=type)
def test_wrong_categorical_features(X, wanted, error, message):
    rule = "categorical_features must be 'from_dtype', None, .* from 0 to 1, or a mask of 2 bool"
    with pytest.raises(error, match=f"{rule}.*{message}"):
        learn(X, wanted)


def test_wrong_names_in_categorical_features():
    X = pd.DataFrame({"a": [1, 2], "b": [1, 2]})
    with pytest.raises(ValueError, match=r"got 'c', which is not among \['a', 'b'\]"):
        learn(X, ["a", "c"])
    with pytest.raises(ValueError, match="got 'a' twice"):
        learn(X, ["a", "a"])
    with pytest.raises(ValueError, match=r"got \['a'\], but X has no column names"):
        learn(X.to_numpy(), ["a"])


@pytest.mark.parametrize("as_library", [pd.DataFrame, as_arrow])
def test_equal_names_are_columns_of_their_own(as_library):
    X = pd.DataFrame([["x", 1, "u"], ["y", 2, "v"]], columns=["a", "a", "b"])
    if as_library is as_arrow:
        arrow = pytest.importorskip("pyarrow")
        X = arrow.Table.from_arrays(
            [arrow.array(X.iloc[:, j].tolist()) for j in range(3)], names=["a", "a", "b"]
        )
    estimator, floats, columns = learn(X)
    assert_array_equal(floats, [[0, 1, 0], [1, 2, 1]])
    assert estimator.n_features_in_ == 3
    assert_array_equal(convert_columns(estimator, X, columns), floats)
    _, floats, columns = learn(X, ["a", "b"])
    assert_array_equal(floats, [[0, 0, 0], [1, 1, 1]])


def test_names_that_are_no_text():
    X = pd.DataFrame([["x", 1.0], ["y", 2.0]], columns=[7, 8])
    estimator, floats, columns = learn(X)
    assert not hasattr(estimator, "feature_names_in_")
    assert_array_equal(floats, [[0, 1], [1, 2]])
    with pytest.raises(ValueError, match="column 8 of X: held numbers"):
        convert_columns(estimator, pd.DataFrame([["x", "y"]], columns=[7, 8]), columns)
    with pytest.raises(ValueError, match="3 features, but Any is expecting 2"):
        convert_columns(estimator, pd.DataFrame([["x", 1, 1]]), columns)
    with pytest.raises(TypeError, match="only supported if all input features have string names"):
        learn(pd.DataFrame([["x", 1.0]], columns=["a", 8]))


@pytest.mark.parametrize("as_frame", [as_pandas, as_polars, as_arrow])
def test_empty_frames(as_frame):
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\) \(shape=\(0, 1\)\)"):
        learn(as_frame({"a": []}))
    with pytest.raises(ValueError, match=r"Found array with 0 (sample|feature)\(s\)"):
        learn(as_frame({}))
    estimator, _, columns = learn(as_frame({"a": [1]}))
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\) \(shape=\(0, 1\)\)"):
        convert_columns(estimator, as_frame({"a": []}), columns)
    if as_frame is as_pandas:
        with pytest.raises(ValueError, match=r"Found array with 0 feature\(s\) \(shape=\(2, 0\)\)"):
            learn(pd.DataFrame(index=[0, 1]))


def test_lazy_frames_must_be_collected():
    with pytest.raises(TypeError, match=r"X_val must hold its rows.*LazyFrame: call collect\(\)"):
        learn(as_polars({"a": [1]}).lazy(), name="X_val")


@pytest.mark.parametrize(
    "dtypes, expected",
    [
        (["float32", "float32"], np.float32),
        (["float16", "float32"], np.float32),
        (["Float32", "float32"], np.float32),
        (["float32", "category"], np.float32),
        (["float32", object], np.float32),
        (["float32", "int8"], np.float64),
        (["float32", "float64"], np.float64),
        (["float32", "bool"], np.float64),
        (["category", "category"], np.float64),
    ],
)
def test_single_precision_of_pandas(dtypes, expected):
    columns = [
        pd.Series(["1", "0"] if dtype is object else [1, 0]).astype(dtype) for dtype in dtypes
    ]
    floats = learn(pd.DataFrame(dict(zip("ab", columns, strict=True))))[1]
    assert floats.dtype == expected
    assert_array_equal(floats, [[1, 1], [0, 0]])


@pytest.mark.parametrize("kind", ["f4", "f8", "f2"])
def test_single_precision_of_others(kind):
    polars, arrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    values = np.array([0.5, 1.25], dtype=kind)
    frames = [arrow.table({"a": values, "b": ["x", "y"]})]
    if kind != "f2":
        frames.append(polars.DataFrame({"a": values, "b": ["x", "y"]}))
    frames.append(frames[0].to_pandas(types_mapper=pd.ArrowDtype))
    for X in frames:
        floats = learn(X)[1]
        assert floats.dtype == (np.float64 if kind == "f8" else np.float32)
        assert_array_equal(floats, [[0.5, 0], [1.25, 1]])


def test_decimals_and_large_integers_are_numbers():
    values = [Decimal("1.50"), None, Decimal("-2.25")]
    for X in (as_polars({"a": values}), as_arrow({"a": values}), as_pandas_arrow({"a": values})):
        _, floats, columns = learn(X)
        assert_array_equal(floats[:, 0], [1.5, NAN, -2.25])
        assert not columns.is_categorical.any()
        assert labels(learn(X, [0])[2]) == [[-2.25, 1.5]]
    values = [2**63 + 2**20, None, 1]
    for as_frame in (as_arrow, as_polars):
        X = as_frame({"a": np.array([2**63 + 2**20, 5, 1], dtype=np.uint64)})
        assert_array_equal(learn(X)[1][:, 0], [2.0**63 + 2**20, 5, 1])


def test_sparse_columns_of_pandas_are_numbers():
    X = pd.DataFrame({"a": pd.arrays.SparseArray([0.0, 2.0, NAN]), "b": [1, 2, 3]})
    assert_array_equal(learn(X)[1], [[0, 1], [2, 2], [NAN, 3]])


def test_complex_columns_are_refused():
    with pytest.raises(TypeError, match="column 'a' of X: Complex data not supported"):
        learn(pd.DataFrame({"a": [1j, 2]}))


def test_levels_are_arranged_and_those_left_out_are_dropped():
    X = pd.DataFrame({"a": ["x", "y", "z", None], "n": [1, 2, 3, 4], "b": ["u", "v", "u", "v"]})
    _, floats, columns = learn(X)
    before = floats.copy()
    moved, arranged = columns.arranged(floats, [np.array([2, 0, 1]), np.array([0, 1])])
    assert_array_equal(moved, [[1, 1, 0], [2, 2, 1], [0, 3, 0], [NAN, 4, 1]])
    assert labels(arranged) == [["z", "x", "y"], ["u", "v"]]
    assert_array_equal(arranged.is_categorical, columns.is_categorical)
    assert_array_equal(arranged.n_levels(), [3, -1, 2])
    fewer, left = columns.arranged(floats[[1, 2, 3]], [np.array([2, 1]), np.array([1, 0])])
    assert_array_equal(fewer, [[1, 2, 0], [0, 3, 1], [NAN, 4, 0]])
    assert labels(left) == [["z", "y"], ["v", "u"]]
    unknown, _ = columns.arranged(np.array([[-1.0, 1, 1]]), [np.array([0]), np.array([0])])
    assert_array_equal(unknown, [[-1, 1, -1]])
    assert_array_equal(floats, before)
    assert labels(columns) == [["x", "y", "z"], ["u", "v"]]


def test_columns_are_plain_data():
    estimator, floats, columns = learn(as_nullable(DATA), ["colour", "count"])
    again = pickle.loads(pickle.dumps(columns))
    assert type(again) is Columns
    assert {type(label) for label in again.categories[1]} == {str}
    assert again.categories[0].dtype == np.int64
    assert_array_equal(convert_columns(estimator, as_nullable(DATA), again), floats)
    assert b"pandas" not in pickle.dumps(columns)


def test_X_is_not_changed():
    X = as_objects(DATA)
    before = copy.deepcopy(X)
    there_and_back(X, X)
    pd.testing.assert_frame_equal(X, before)


def test_no_library_of_frames_is_imported():
    code = (
        "import sys; from sklearn_twolayer._columns import learn_columns; "
        "from sklearn.base import BaseEstimator; "
        "before = {'pandas', 'polars', 'pyarrow'} & set(sys.modules); "
        "learn_columns(BaseEstimator(), [['a', 1.0], ['b', 2.0]], [0]); "
        "assert not {'pandas', 'polars', 'pyarrow'} & set(sys.modules) - before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_warns_on_a_fragmented_frame():
    X = pd.DataFrame({"a": [1.0]})
    for number in range(5):
        X[f"b{number}"] = "x"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert learn(X)[1].shape == (1, 6)


@pytest.mark.parametrize("X", [{}, object(), np.array({}, dtype=object), [[{}]], [[object(), 1.0]]])
def test_what_is_no_number_is_told_of_x(X):
    with pytest.raises(TypeError, match="X: "):
        learn(X)


@pytest.mark.parametrize("X", [[["1", "a lot"]], np.array([[1.0, "a lot"]], dtype=object)])
def test_text_among_the_numbers_of_an_array_is_told_of_x(X):
    with pytest.raises(ValueError, match=r"X: could not convert .* 'a lot'"):
        learn(X)
