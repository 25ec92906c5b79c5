"""What kinds of columns X has, numbers or categories, and X as one array of floats.

A number is itself, a category the code of its level, an unknown level -1, a missing value NaN.
"""

import math
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral, Number

import numpy as np
import sklearn
from sklearn.utils.validation import validate_data

from . import engine
from ._frames import REFUSED, SINGLE, is_missing, library_of, read_columns
from ._validation import numbers_fit_a_float


@dataclass(frozen=True)
class Columns:
    """What kinds of columns X had in training; plain data, so that a pickle holds it."""

    is_categorical: np.ndarray
    """Whether each column holds categories (n_columns,)."""
    categories: list[np.ndarray]
    """Of each column of categories, in their order, the sorted labels, none of them missing."""

    def n_levels(self):
        """How many levels each column has; the engine's mark for a number elsewhere."""
        counts = np.full(len(self.is_categorical), engine.NUMBER)
        counts[self.is_categorical] = [len(labels) for labels in self.categories]
        return counts

    def arranged(self, X, orders):
        """Floats and columns with the levels of each category in the given order, and no others."""
        floats, categories = X.copy(), []
        columns = np.flatnonzero(self.is_categorical)
        for j, labels, order in zip(columns, self.categories, orders, strict=True):
            code = np.append(np.full(len(labels), -1.0), [np.nan, -1.0])  # the last is for unknown
            code[order] = np.arange(len(order))
            missing = np.isnan(X[:, j])
            floats[:, j] = code[np.where(missing, len(labels), X[:, j]).astype(np.intp)]
            categories.append(labels[order])
        return floats, Columns(self.is_categorical, categories)


def learn_columns(estimator, X, categorical_features, name="X"):
    """Floats (n_rows, n_columns) and their `Columns`; sets the names and the number of columns."""
    library = library_of(X, name)
    by_dtype = isinstance(categorical_features, str) and categorical_features == "from_dtype"
    if library is None and (by_dtype or categorical_features is None):
        X = _plain_floats(estimator, X, True, name)
        return X, Columns(np.zeros(X.shape[1], dtype=bool), [])
    columns, names = read_columns(estimator, X, library, True)
    if by_dtype:
        is_categorical = np.array([column.kind in ("category", "text") for column in columns])
    else:
        is_categorical = _mask(categorical_features, names, len(columns))
    floats, categories = _floats(columns, names, is_categorical, None, name)
    return floats, Columns(is_categorical, categories)


def convert_columns(estimator, X, columns, name="X"):
    """Floats (n_rows, n_columns) of later rows, by the labels learnt."""
    library = library_of(X, name)
    if library is None and not columns.is_categorical.any():
        return _plain_floats(estimator, X, False, name)
    found, names = read_columns(estimator, X, library, False)
    return _floats(found, names, columns.is_categorical, columns.categories, name)[0]


def _plain_floats(estimator, X, reset, name):
    """An array without categories as scikit-learn reads it, not copied if it holds floats."""
    rules = {"reset": reset, "dtype": (np.float64, np.float32), "ensure_all_finite": False}
    with numbers_fit_a_float(name):
        try:
            floats = validate_data(estimator, X, **rules)
        except TypeError:  # of pandas.NA, which is no number for NumPy, or of something worse
            X = np.asarray(X)
            if X.dtype != object or X.ndim == 0:
                raise
            missing = np.frompyfunc(is_missing, 1, 1)(X).astype(bool)
            floats = validate_data(estimator, np.where(missing, np.nan, X), **rules)
    _check_no_infinity(floats, None, name)
    return floats


def _mask(categorical_features, names, n_columns):
    """Which columns the parameter calls categories: bool (n_columns,)."""
    wanted = (
        "categorical_features must be 'from_dtype', None, a list of column names or of column "
        f"numbers from 0 to {n_columns - 1}, or a mask of {n_columns} booleans, got "
    )
    if categorical_features is None:
        return np.zeros(n_columns, dtype=bool)
    if isinstance(categorical_features, str):
        raise ValueError(f"{wanted}{categorical_features!r}")
    if not np.iterable(categorical_features):
        raise TypeError(f"{wanted}{categorical_features!r}")
    items = [item.item() if isinstance(item, np.generic) else item for item in categorical_features]
    kinds = {type(item) for item in items}
    if kinds == {bool}:
        if len(items) != n_columns:
            raise ValueError(f"{wanted}a mask of {len(items)}")
        return np.array(items)
    if kinds not in ({str}, {int}, set()):
        raise TypeError(f"{wanted}{categorical_features!r}")
    if kinds == {str} and names is None:
        raise ValueError(f"{wanted}{items!r}, but X has no column names")
    known = names if kinds == {str} else list(range(n_columns))
    for item in items:
        if item not in known:
            some = known if len(known) <= 20 else [*known[:20], ...]
            raise ValueError(f"{wanted}{item!r}, which is not among {some}")
        if items.count(item) > 1:
            raise ValueError(f"{wanted}{item!r} twice")
    return np.array([item in items for item in known])


def _floats(columns, names, is_categorical, known, name):
    """All columns as floats, and the labels of the categories: those known, or all there are."""
    numbers = [column for column, is_one in zip(columns, is_categorical, strict=True) if not is_one]
    single = numbers and all(column.dtype in SINGLE for column in numbers)
    floats = np.empty((len(columns[0].values), len(columns)), np.float32 if single else np.float64)
    categories = []
    for j, column in enumerate(columns):
        with _about(_title(j, names, name)):
            if column.kind in REFUSED:
                raise TypeError(REFUSED[column.kind].format(column.dtype))
            if is_categorical[j]:
                labels = None if known is None else known[len(categories)]
                floats[:, j], labels = _codes(column, labels)
                categories.append(labels)
            else:
                floats[:, j] = _numbers(column, known is not None)
    _check_no_infinity(floats, names, name)
    return floats, categories


def _title(j, names, name):
    return f"column {j if names is None else repr(names[j])} of {name}"


@contextmanager
def _about(title):
    """Errors say which column they are about."""
    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{title}: {error}") from error


def _check_no_infinity(floats, names, name):
    """ValueError that names a column with an infinite number; one sum tells that there is none."""
    with np.errstate(over="ignore", invalid="ignore"):
        if sklearn.get_config()["assume_finite"] or np.isfinite(floats.sum()):
            return
    n_at_once = max(1, _NUMBERS_AT_ONCE // floats.shape[1])
    for start in range(0, len(floats), n_at_once):
        infinite = np.isinf(floats[start : start + n_at_once]).any(axis=0)
        if infinite.any():
            title = _title(np.argmax(infinite), names, name)
            raise ValueError(f"{title}: must be finite or missing (NaN), got infinity")


_NUMBERS_AT_ONCE = 200_000


def _numbers(column, later):
    """The floats of a column of numbers, or of categories whose labels are numbers."""
    labels = codes = None
    if column.kind == "category":
        labels, codes = _levels(column)
    if column.kind == "text" or (labels and any(isinstance(label, str) for label in labels)):
        raise ValueError(
            "held numbers in training, and holds text now"
            if later
            else "text is no number; name the column in categorical_features, or leave that at "
            "'from_dtype', or encode the column as numbers before"
        )
    if labels is None:
        return column.floats()
    return np.array([np.nan if label is None else label for label in [*labels, None]], float)[codes]


def _codes(column, known):
    """The codes of a column of categories, by the labels known or else by its own, and these."""
    labels, codes = _levels(column)
    found = {label for label in labels if label is not None}
    if known is None:
        known = label_array(sorted(found))
    elif found and len(known) and _are_text(found) != _are_text(known):
        was, now = ("text", "numbers") if _are_text(known) else ("numbers", "text")
        raise ValueError(f"held categories that were {was} in training, and holds {now} now")
    code_of = {label: code for code, label in enumerate(known.tolist())}
    by_level = [np.nan if label is None else code_of.get(label, -1) for label in labels]
    return np.array([*by_level, np.nan])[codes], known


def _are_text(labels):
    return isinstance(next(iter(labels)), str)


def label_array(labels):
    """Labels of one kind as an array, which holds each of them as it is."""
    array = np.array(labels, dtype=object if not labels or _are_text(labels) else None)
    return array if array.tolist() == labels else np.array(labels, dtype=object)


def _levels(column):
    """Labels, None for what is missing or does not occur, and the codes of all rows."""
    labels, codes = column.levels()
    occurs = np.zeros(len(labels) + 1, dtype=bool)
    occurs[codes] = True  # code -1, a missing value, is the last
    plain = [
        _plain_label(label, column.kind) if label_occurs else None
        for label, label_occurs in zip(labels, occurs, strict=False)
    ]
    if len({isinstance(label, str) for label in plain if label is not None}) > 1:
        raise ValueError("text and numbers are mixed; make them all text, or all numbers")
    return plain, codes


def _plain_label(label, kind):
    """A string, bool, int or float that equals what the label is called; None for missing."""
    if isinstance(label, str | bool | np.bool_):
        return str(label) if isinstance(label, str) else bool(label)
    if is_missing(label):
        return None
    if isinstance(label, Integral):
        return int(label)
    if isinstance(label, Number):
        number = float(label)
        if math.isinf(number):
            raise ValueError("a category must be finite, text or missing, got infinity")
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    if kind == "category":  # as pandas.cut has intervals
        return str(label)
    raise TypeError(f"a category must be text, a number or a bool, got {label!r}")
