"""The columns of an array or a frame (pandas, polars, pyarrow): their kinds, floats and levels.

No library of frames is imported: who has a frame has imported its library.
"""

import re
import sys
from dataclasses import dataclass
from datetime import date, time, timedelta
from numbers import Number

import numpy as np
import sklearn
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from ._validation import has_missing


def library_of(X, name):
    """The name of the library whose frame X is, found without an import; None for other X."""
    polars = sys.modules.get("polars")
    if polars and isinstance(X, polars.LazyFrame):
        raise TypeError(f"{name} must hold its rows, got a polars LazyFrame: call collect() first")
    for library, (frames, _) in _FRAMES.items():
        module = sys.modules.get(library)
        if module and isinstance(X, tuple(getattr(module, frame) for frame in frames)):
            return library
    return None


def read_columns(estimator, X, library, reset):
    """The columns of X, each as its library holds it, and their names, None for an array."""
    if library is None:
        if not hasattr(X, "shape"):  # of text and numbers in a list NumPy would make text
            X = np.asarray(X, dtype=object)
        X = validate_data(estimator, X, reset=reset, dtype=None, ensure_all_finite=False)
        return [_Column(column) for column in X.T], None
    if library == "pyarrow" and not hasattr(X, "to_batches"):
        X = sys.modules["pyarrow"].Table.from_batches([X])
    names = list(X.column_names if library == "pyarrow" else X.columns)
    named = _NamesAlone(X.shape, names) if _hides_names(library, names) else X
    validate_data(estimator, named, reset=reset, skip_check_array=True)
    if 0 in X.shape:
        check_array(np.empty(X.shape), estimator=estimator)
    return _FRAMES[library][1](X), names


def is_category(X, library, position):
    """Whether a column of a frame holds categories or text."""
    return _FRAMES[library][1](X)[position].kind in ("category", "text")


def _hides_names(library, names):
    """Whether scikit-learn finds no names in such a frame, or refuses those that are there."""
    if tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 9):
        return library == "polars"  # whose version 2 has no __dataframe__
    return len(set(names)) < len(names)


@dataclass(frozen=True)
class _NamesAlone:
    """A frame as far as scikit-learn asks for its names and size (from 1.9 on, for its size)."""

    shape: tuple
    names: list

    def __dataframe__(self):
        return self

    def column_names(self):
        return self.names


def is_missing(value):
    """Whether it is None, a NaN of any kind or pandas.NA."""
    return has_missing((value,))


class _Column:
    """A column of an array; for frames, the classes below. What it holds is read when asked for."""

    def __init__(self, values):
        self.values = values
        self.dtype = str(values.dtype).lower()
        self.kind = self._kind()

    def _kind(self):
        """Of what kind the values are: a key of _KINDS or "other"."""
        if self.dtype == "object":
            return _kind_of_objects(self.values)
        return next((kind for kind in _KINDS if re.match(_KINDS[kind], self.dtype)), "other")

    def floats(self):
        """Its numbers (n_rows,), NaN where missing."""
        if self.dtype == "object":
            return _floats_of_objects(self.values, in_frame=False)
        return self.values if self.values.dtype.kind == "f" else self.values.astype(np.float64)

    def levels(self):
        """The labels there are, and for each row the number of its label, -1 where missing."""
        if self.dtype != "object":
            return np.unique(self.values, return_inverse=True)
        index = {}
        codes = [index.setdefault(value, len(index)) for value in self.values.tolist()]
        return list(index), np.array(codes)


class _PandasColumn(_Column):
    def floats(self):
        if self.dtype == "object":
            return _floats_of_objects(self.values, in_frame=True)
        if isinstance(self.values.dtype, np.dtype):
            return self.values.to_numpy()
        return self.values.to_numpy(dtype=np.float64, na_value=np.nan)

    def levels(self):
        if self.dtype == "category":
            return self.values.cat.categories.tolist(), self.values.cat.codes.to_numpy()
        codes, labels = self.values.factorize()
        return labels.tolist(), codes


class _PolarsColumn(_Column):
    def _kind(self):
        return "other" if self.dtype == "object" else super()._kind()

    def floats(self):
        return self.values.cast(float).to_numpy()

    def levels(self):
        is_decimal = self.dtype.startswith("decimal")  # of which polars 1 knows no unique
        values = self.values.cast(float) if is_decimal else self.values
        labels = values.drop_nulls().unique()
        if labels.is_empty():
            return [], np.full(len(values), -1)
        codes = values.to_physical().replace_strict(
            labels.to_physical(), list(range(len(labels))), default=-1
        )
        return labels.to_list(), codes.to_numpy()


class _ArrowColumn(_Column):
    def __init__(self, values):
        self.values = values
        self.dtype = str(values.type)
        self.kind = self._kind()

    def floats(self):
        return self.values.cast("float64", safe=False).to_numpy()

    def levels(self):
        if self.values.null_count == len(self.values):
            return [], np.full(len(self.values), -1)
        is_encoded = self.kind == "category"
        encoded = self.values if is_encoded else self.values.dictionary_encode()
        encoded = encoded.combine_chunks()  # which unifies the dictionaries of the chunks
        codes = encoded.indices.cast("int64").fill_null(-1).to_numpy()
        return encoded.dictionary.to_pylist(), codes


def _pandas_columns(X):
    dtypes = set(X.dtypes)
    # a series for each of many short columns takes longer than a second copy of the numbers
    if X.size < _SMALL and len(dtypes) == 1 and dtypes <= {np.dtype("f4"), np.dtype("f8")}:
        return [_Column(column) for column in X.to_numpy().T]
    return [_pandas_column(column) for _, column in X.items()]


def _pandas_column(series):
    if not hasattr(series.dtype, "pyarrow_dtype"):
        return _PandasColumn(series)
    arrow = sys.modules["pyarrow"]
    values = arrow.array(series)
    return _ArrowColumn(values if hasattr(values, "chunks") else arrow.chunked_array([values]))


_SMALL = 1_000_000


def _kind_of_objects(values):
    """The kind of the first object that is not missing; that all are alike is checked later."""
    first = next((value for value in values if not is_missing(value)), np.nan)
    for kind, types in _KINDS_OF_OBJECTS.items():
        if isinstance(first, types):
            return kind
    return "other"


def _floats_of_objects(values, in_frame):
    """Numbers that are objects, NaN where missing."""
    kinds = set(map(type, values))
    strange = {kind for kind in kinds if not issubclass(kind, Number | np.bool_)}
    if in_frame and len(kinds) > 1 and kinds & {bool, np.bool_}:
        raise TypeError(
            "bools are mixed with missing values or other objects; make them all numbers, or a "
            "column of dtype 'boolean'"
        )
    values = [np.nan if type(value) in strange and is_missing(value) else value for value in values]
    wrong = sorted({type(value).__name__ for value in values if type(value) in strange})
    if wrong:
        raise TypeError(f"numbers are mixed with {', '.join(wrong)}; make them all numbers")
    return np.array(values, dtype=np.float64)


_KINDS = {
    "category": r"categor|enum|dictionary",
    "text": r"str$|string|large_string",
    "number": r"bool|u?int\d|float|halffloat|double|decimal|null|sparse\[(float|u?int|bool)|<u",
    "date": r"date|time|duration|period|month_day_nano",
    "complex": r"complex",
}
"""Kinds of columns, by the names that the libraries give their dtypes, in lower case."""

_KINDS_OF_OBJECTS = {
    "text": str,
    "date": (date, time, timedelta, np.datetime64, np.timedelta64),
    "complex": (complex, np.complexfloating),
    "number": (Number, np.bool_),
}

REFUSED = {
    "date": "dates and times are no numbers; make numbers of them, for example by skrub's "
    "DatetimeEncoder, got {}",
    "complex": "Complex data not supported, got {}",
    "other": "must hold numbers, bools, text or categories, got {}",
}

SINGLE = ("float16", "float32", "float", "halffloat")

_FRAMES = {
    "pandas": (("DataFrame",), _pandas_columns),
    "polars": (("DataFrame",), lambda X: [_PolarsColumn(column) for column in X]),
    "pyarrow": (("Table", "RecordBatch"), lambda X: [_ArrowColumn(column) for column in X.columns]),
}
"""The frames of each library, and how to take one apart."""
