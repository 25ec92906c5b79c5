"""Frames that the fuzzer passes: columns of any kind, held as any library does, and spoilt."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
from hypothesis import strategies as st
from scipy import sparse

from fuzz_data import LARGEST, SMALLEST, middling, mostly, one_of

try:
    import pyarrow as pa
except ImportError:
    pa = None

WORDS = ["a", "b", "", " ", "é", "a_b", "1", "nan", "None", "0_to_1", "B" * 99]
POOLS = {
    "few numbers": [0.0, 1.0, 2.5, -3.0],
    "small integers": [-2, 0, 1, 7, 30],
    "large integers": [0, 2**53 + 1, 2**53, -(2**62), 2**63 - 1],
    "extremes": [0.0, LARGEST, SMALLEST, -LARGEST, -SMALLEST, 1e-300, 1.0, 1e308],
    "flags": [True, False],
    "words": WORDS,
    "many words": [f"w{i}" for i in range(99)],
    "numbers in words": ["1", "2.5", "-3", "1e400"],
    "one number": [3.5],
    "one word": ["x"],
    "one flag": [True],
    "decimals": [Decimal("1.5"), Decimal("-2")],
    "normal": None,
    "large normal": None,
    "nothing": [None],
}
ODD_POOLS = {
    "infinities": [0.0, np.inf, -np.inf],
    "words and numbers": ["a", 1, 2.5],
    "flags and numbers": [True, 2, 0.5],
    "words and flags": ["a", True],
    "huge integers": [1, 10**400],
    "datetimes": [datetime(2020, 1, 1), datetime(2021, 1, 1)],
    "dates": [date(2020, 1, 1), date(2021, 1, 1)],
    "durations": [timedelta(1), timedelta(2)],
    "lists": [[1], [2, 3]],
    "arrays": [np.zeros(2), np.ones(2)],
    "dicts": [{"a": 1}, {"a": 2}],
    "bytes": [b"a", b"b"],
    "complex": [1j, 2.0 + 1j],
    "fractions": [Fraction(1, 3)],
    "intervals": [pd.Interval(0, 1), pd.Interval(1, 2)],
    "periods": [pd.Period("2020-01")],
    "things": [object(), len],
}
KINDS_OF_COLUMNS = [*POOLS, *POOLS, *ODD_POOLS]


def as_words(values):
    return [None if pd.isna(value) else str(value) for value in map(_scalar, values)]


def _scalar(value):
    return value if pd.api.types.is_scalar(value) else str(value)


PANDAS = {
    "inferred": pd.Series,
    "object": lambda values: pd.Series(values, dtype=object),
    "category": lambda values: pd.Series(pd.Categorical(values)),
    "ordered": lambda values: pd.Series(pd.Categorical(values, ordered=True)),
    "unused": lambda values: PANDAS["category"](values).cat.add_categories(["unused"]),
    "nullable": lambda values: pd.Series(values, dtype=object).convert_dtypes(),
    "float32": lambda values: pd.Series(values, dtype="float32"),
    "Float32": lambda values: pd.Series(values, dtype=object).astype("Float32"),
    "Int8": lambda values: pd.Series(values, dtype="Int8"),
    "str": lambda values: pd.Series(as_words(values), dtype="str"),
    "string": lambda values: pd.Series(as_words(values), dtype="string[python]"),
    "sparse": lambda values: pd.Series(pd.arrays.SparseArray(np.array(values, float))),
}
POLARS = {
    "inferred": lambda values: pl.Series(values, strict=False),
    "object": lambda values: pl.Series(values, dtype=pl.Object),
    "categorical": lambda values: pl.Series(as_words(values)).cast(pl.Categorical),
    "enum": lambda values: pl.Series(
        as_words(values), dtype=pl.Enum(sorted({*as_words(values), "unused"} - {None}))
    ),
    "float32": lambda values: pl.Series(values, strict=False).cast(pl.Float32),
    "decimal": lambda values: pl.Series(values).cast(pl.Decimal(20, 2)),
}
ARRAY = {"object": lambda values: _objects(values)}
HOLDERS = {"pandas": PANDAS, "polars": POLARS, "array": ARRAY, "list": ARRAY}
if pa is not None:
    PANDAS["arrow"] = lambda values: pd.Series(values, dtype=object).convert_dtypes(
        dtype_backend="pyarrow"
    )
    PANDAS["arrow dictionary"] = lambda values: pd.Series(
        pd.arrays.ArrowExtensionArray(pa.array(values, from_pandas=True).dictionary_encode())
    )
    HOLDERS["pyarrow"] = {
        "inferred": lambda values: pa.array(values, from_pandas=True),
        "nan": pa.array,
        "dictionary": lambda values: pa.array(values, from_pandas=True).dictionary_encode(),
        "chunks": lambda values: pa.chunked_array([pa.array(values[:1]), pa.array(values[1:])]),
        "large string": lambda values: pa.array(as_words(values), pa.large_string()),
        "float16": lambda values: pa.array(np.array(values, np.float16), from_pandas=True),
    }


def _objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = [None] * len(values)
    for i, value in enumerate(values):
        array[i] = value
    return array


def held(values, library, holder):
    """The values as a library holds them; as words where it cannot."""
    hold = HOLDERS[library]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for way in (holder, "inferred", "object"):
            try:
                return hold[way](values)
            except Exception:
                continue
        return hold["inferred"](as_words(values))


@dataclass(frozen=True)
class Column:
    """What a column is called, what is in it, and how it is held."""

    name: object
    kind: str
    holder: str
    fraction_missing: float = 0.0

    def values(self, n_rows, rng):
        pool = {**POOLS, **ODD_POOLS}[self.kind]
        if pool is None:
            factor = 1e30 if "large" in self.kind else 1.0
            values = (factor * rng.randn(n_rows)).tolist()
        else:
            # not all of them, so that there are levels that training has not met
            pool = pool[: rng.randint(len(pool)) + 1] if rng.rand() < 0.5 else pool
            values = [pool[i] for i in rng.randint(len(pool), size=n_rows)]
        missing = rng.rand(n_rows) < self.fraction_missing
        none = [None, np.nan][rng.randint(2)]
        return [none if gone else v for v, gone in zip(values, missing, strict=True)]


@dataclass(frozen=True)
class Schema:
    """Columns, and whose frame they are in."""

    library: str
    columns: tuple[Column, ...]

    def frame(self, n_rows, seed):
        rng = np.random.RandomState(seed)
        values = [column.values(n_rows, rng) for column in self.columns]
        series = [
            held(column, self.library, how.holder)
            for column, how in zip(values, self.columns, strict=True)
        ]
        names = [column.name for column in self.columns]
        return BUILDERS[self.library](series, names, n_rows)


def _pandas_frame(series, names, n_rows):
    frame = pd.DataFrame(dict(enumerate(series)), index=range(n_rows))
    frame.columns = pd.Index(names, dtype=object)
    return frame.set_axis(frame.index[::-1] * 2)


def _polars_frame(series, names, n_rows):
    # which has no two columns of a name
    names = [f"{name}" if name not in names[:j] else f"{name}{j}" for j, name in enumerate(names)]
    return pl.DataFrame([s.alias(name) for s, name in zip(series, names, strict=True)])


def _array(series, names, n_rows):
    return np.column_stack(series) if series else np.empty((n_rows, 0), dtype=object)


BUILDERS = {
    "pandas": _pandas_frame,
    "polars": _polars_frame,
    "pyarrow": lambda series, names, n_rows: pa.Table.from_arrays(series, list(map(str, names))),
    "array": _array,
    "list": lambda series, names, n_rows: [list(row) for row in zip(*series, strict=True)],
}


def values_of(X):
    """The values of each column of a frame, in lists."""
    if isinstance(X, pd.DataFrame):
        return [column.astype(object).tolist() for _, column in X.items()]
    if isinstance(X, pl.DataFrame):
        return [column.to_list() for column in X]
    if hasattr(X, "column_names"):
        return [column.to_pylist() for column in X.columns]
    return [list(column) for column in zip(*X, strict=True)]


def missing_in(X):
    """Where values are missing, (n_rows, n_columns)."""
    return np.array([pd.isna(_objects(values)) for values in values_of(X)]).T


def check_gradients(model, X, gradients):
    """NaN for categories and missing values, else finite."""
    expected = np.zeros((len(gradients), model.n_features_in_), dtype=bool)
    if not sparse.issparse(X):
        expected |= missing_in(X)
    if model.is_categorical_ is not None:
        expected |= model.is_categorical_
    found = np.isnan(gradients)
    assert np.isfinite(gradients[~found]).all()
    np.testing.assert_array_equal(found, np.broadcast_to(expected[:, None], found.shape))


NAMES = ["a", "b", "c", "d", "ä b", "a_b"]
libraries = st.sampled_from([*HOLDERS, *[name for name in HOLDERS if name[0] == "p"] * 2])
libraries_of_frames = st.sampled_from([name for name in HOLDERS if name[0] == "p"])
kinds = st.sampled_from(list(POOLS))
# without what is too large for some fits
sensible_kinds = st.sampled_from(
    [
        "small integers",
        "flags",
        "words",
        "many words",
        "one number",
        "one word",
        "normal",
        "nothing",
    ]
)


@st.composite
def any_columns(draw, library, name, kinds=kinds):
    holders = sorted(HOLDERS[library].keys() - ({"object"} if library == "polars" else set()))
    holder = draw(st.sampled_from(holders))
    fraction = draw(st.sampled_from([0.0, 0.0, 0.0, 0.3, 1.0]))
    return Column(name, draw(kinds), holder, fraction)


@st.composite
def schemas(draw, libraries=libraries, kinds=kinds):
    """Columns that may be learnt from, as a rule."""
    library = draw(libraries)
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    return Schema(library, tuple(draw(any_columns(library, name, kinds)) for name in names))


def another_library(draw, schema):
    library = draw(libraries)
    holders = st.sampled_from(sorted(HOLDERS[library]))
    return Schema(library, tuple(replace(c, holder=draw(holders)) for c in schema.columns))


def less(draw, schema):
    return replace(schema, columns=schema.columns[1:])


def more(draw, schema):
    column = draw(any_columns(schema.library, draw(st.sampled_from([*NAMES, "e"]))))
    return replace(schema, columns=(*schema.columns, column))


def another_order(draw, schema):
    return replace(schema, columns=tuple(draw(st.permutations(schema.columns))))


def one_changed(draw, schema, **changes):
    j = draw(st.integers(0, len(schema.columns) - 1))
    columns = list(schema.columns)
    columns[j] = replace(columns[j], **changes)
    return replace(schema, columns=tuple(columns))


def another_name(draw, schema):
    name = draw(st.sampled_from(["e", "a", 3, ("a", "b"), None, 1.5]))
    return one_changed(draw, schema, name=name)


def another_kind(draw, schema):
    return one_changed(draw, schema, kind=draw(kinds))


def with_odd(draw, schema, column):
    """The schema with something odd in this column."""
    odd = replace(column, kind=draw(st.sampled_from(list(ODD_POOLS))), fraction_missing=0.0)
    return replace(schema, columns=tuple(odd if c is column else c for c in schema.columns))


def an_odd_kind(draw, schema):
    return with_odd(draw, schema, draw(st.sampled_from(schema.columns)))


def another_holder(draw, schema):
    holder = draw(st.sampled_from(sorted(HOLDERS[schema.library])))
    return one_changed(draw, schema, holder=holder)


def all_missing(draw, schema):
    return one_changed(draw, schema, fraction_missing=1.0)


def some_missing(draw, schema):
    return one_changed(draw, schema, fraction_missing=0.5)


def unchanged(draw, schema):
    return schema


CHANGES: list[Callable] = [another_library, less, more, another_order, another_name, another_kind]
CHANGES += [an_odd_kind, another_holder, all_missing, some_missing, some_missing]


@st.composite
def any_frames(draw, schema, n_rows):
    """Rows of the schema, or of one that has been changed in some way."""
    change = draw(mostly(st.just(unchanged), st.sampled_from(CHANGES)))
    n_rows = draw(st.sampled_from([*[n_rows] * 19, 0, n_rows + 1]))
    if change is not unchanged:
        schema = change(draw, schema) if schema.columns else schema
    return schema.frame(n_rows, draw(st.integers(0, 999)))


def any_categorical_features(schema):
    """Names, numbers or masks of columns, as lists, arrays or tuples; some of them wrong."""
    n = len(schema.columns)
    names = st.lists(st.sampled_from([column.name for column in schema.columns]), unique=True)
    numbers = st.lists(st.integers(0, n - 1), unique=True)
    masks = st.lists(st.booleans(), min_size=n, max_size=n)
    listed = st.tuples(names | numbers | masks, st.sampled_from([list, tuple, np.array, pd.Index]))
    right = listed.map(lambda drawn: drawn[1](drawn[0]))
    return one_of([*["from_dtype"] * 8, None, right, right, right, st.sampled_from(WRONG_FEATURES)])


WRONG_FEATURES = [["nope"], [99], [-1], [True] * 9, "text", 3, [1.5], [True, "a"], [0, 0], {}]
WRONG_FEATURES += [[None], [[0]], np.array([[True]]), ["a", 0], b"a", np.nan, [np.nan], [10**400]]


def settings_of_encoding(schema):
    """What matters to an encoding."""
    return st.fixed_dictionaries(
        {},
        optional={
            "encoding": st.sampled_from(["linear", "piecewise_linear", "piecewise_linear"]),
            "n_knots": st.sampled_from([1, 2, 3, 7, 30]),
            "categorical_features": any_categorical_features(schema),
            "solver": st.sampled_from(["adam", "lbfgs", "lm"]),
            "warm_start": st.booleans(),
            "early_stopping": st.just(True),
            "validation_fraction": st.just(0.5),
            "scoring": st.sampled_from(["loss", middling]),
            "standardize": st.just(False),
            "dtype": st.just("float32"),
            "n_members": st.just(2),
            "skip": st.booleans(),
            "batch_size": st.just(3),
        },
    )
