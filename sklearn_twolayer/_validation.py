"""What comes in from outside is checked here, once, before anything is changed."""

from contextlib import contextmanager
from numbers import Number

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array, check_X_y
from sklearn.utils.validation import validate_data

from . import engine

MatrixLike = ArrayLike | sparse.spmatrix | sparse.sparray
"""What X, or y of several columns, may be: also a DataFrame, which converts to an array."""


def is_dask_collection(value):
    """Whether it is one, rows that are still to be computed; found without an import."""
    graph = getattr(type(value), "__dask_graph__", None)
    if graph is None:
        return False
    # objects of xarray have a graph only where what they hold is of Dask; those of Dask always
    # have, and of frames it would take long to make
    return type(value).__module__.partition(".")[0] == "dask" or graph(value) is not None


def refuse_collections(estimator, **inputs):
    """TypeError for the first that NumPy would silently pull into memory."""
    for name, value in inputs.items():
        if not is_dask_collection(value):
            continue
        ways_out = [f"pass {name}.compute()"]
        if estimator._for_collections is not None:
            ways_out.insert(0, f"use {estimator._for_collections}")
        raise TypeError(
            f"{name} must be in memory for this {type(estimator).__name__}, got a Dask collection, "
            f"{type(value).__module__}.{type(value).__name__}: {', or '.join(ways_out)}"
        )


def check_sparse(estimator, X, reset, name="X"):
    """Finite sparse rows, as canonical CSR of float32 or float64."""
    with numbers_fit_a_float(name), np.errstate(invalid="ignore"):
        X = validate_data(
            estimator, X, reset=reset, accept_sparse="csr", dtype=(np.float64, np.float32)
        )
    return _canonical(X)


@contextmanager
def numbers_fit_a_float(name):
    """Integers beyond the range of floats, which NumPy calls an OverflowError, are a ValueError.

    What is no number is told by NumPy without a word of where it is.
    """
    try:
        yield
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from error
    except ValueError as error:
        if not str(error).startswith("could not convert"):
            raise
        raise ValueError(f"{name}: {error}") from error
    except OverflowError as error:
        raise ValueError(
            f"{name} must hold numbers within the range of float64, got more: {error}"
        ) from error


def _canonical(X):
    if sparse.issparse(X) and not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def check_y(estimator, X, y, suffix=""):
    """Targets, as many as there are rows in a checked X."""
    if y is None and suffix:
        raise ValueError(f"X{suffix} needs y{suffix}, got y{suffix}=None")
    refuse_collections(estimator, **{"y" + suffix: y})
    _check_none_is_missing(y, "y" + suffix)
    _, y = check_X_y(
        X,
        y,
        accept_sparse="csr",
        dtype=None,
        ensure_all_finite=False,
        multi_output=True,
        estimator=estimator,
    )
    return y


def _check_none_is_missing(y, name):
    """ValueError for a None or a NaN among objects; among floats scikit-learn finds them."""
    if y is None or sparse.issparse(y):
        return
    try:
        # of a list of words NumPy would make words of all else in it
        y = np.asarray(y, dtype=object if isinstance(y, (list, tuple)) else None)
    except ValueError:  # lists of unequal length, of which scikit-learn tells more
        return
    if y.dtype.kind == "O" and has_missing(np.ravel(y)):
        raise ValueError(f"{name} must have no missing values, got None or NaN among them")


SMALLEST_TOTAL = float(np.finfo(np.float64).tiny)
"""A sum of weights below this has lost its digits, and what is divided by it may be infinite."""


def check_sample_weight(sample_weight, n_rows, name):
    """Finite, non-negative, not all zero: an array (n_rows,) in float64, or None."""
    weights = check_each_weight(sample_weight, n_rows, name)
    if weights is not None:
        with np.errstate(over="ignore"):
            check_total_weight(weights.sum(), name)
    return weights


def check_each_weight(sample_weight, n_rows, name):
    """Finite, non-negative: an array (n_rows,) in float64, or None."""
    if sample_weight is None:
        return None
    with numbers_fit_a_float(name), np.errstate(invalid="ignore"):
        weights = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name=name)
    if weights.shape != (n_rows,):
        raise ValueError(
            f"{name} must have shape ({n_rows},), one number per row of X, "
            f"got shape {weights.shape}"
        )
    if np.any(weights < 0):
        raise ValueError(f"{name} must not be negative, got {weights.min()}")
    return weights


def check_total_weight(total, name):
    """ValueError for a sum of weights by which nothing can be divided."""
    if total == 0:
        raise ValueError(f"{name} must not be zero for all rows")
    if not np.isfinite(total):
        raise ValueError(f"{name} must have a finite sum")
    if total < SMALLEST_TOTAL:
        raise ValueError(
            f"{name} must have a sum of at least {SMALLEST_TOTAL:.0e}, got {total:.0e}"
        )


def check_classes(classes):
    """Distinct labels, sorted: an array (n_classes,), all strings or all numbers."""
    wanted = "classes must be a list of labels, all strings or all numbers"
    try:
        labels = list(np.asarray(classes, dtype=object))
    except (TypeError, ValueError):  # a single thing, or lists of unequal length
        raise ValueError(f"{wanted}, got {classes!r}") from None
    if not labels or has_missing(labels) or any(np.ndim(label) > 0 for label in labels):
        raise ValueError(f"{wanted}, got {classes!r}")
    if len({_kind(label) for label in labels}) > 1:
        raise ValueError(f"{wanted}, got {classes!r}")
    return np.unique(np.asarray(classes))


def has_missing(labels):
    """Whether there is a None or a NaN of any kind among them."""
    return any(label is None or not _equals_itself(label) for label in labels)


def _equals_itself(label):
    try:
        return bool(label == label)
    except (TypeError, ValueError):  # pandas.NA gives no answer
        return False


def _kind(label):
    return Number if isinstance(label, (Number, np.bool_)) else type(label)


FEWEST_TO_VALIDATE = 10
"""Fewer rows than this say nothing about when to stop."""


def without_zero_weights(X, y, weights):
    """Rows that count for nothing do not take part in anything."""
    if weights is None or weights.all():
        return X, y, weights
    kept = np.flatnonzero(weights)
    if len(kept) == 0:
        raise ValueError("sample_weight times class_weight must not be zero for all rows")
    return engine.subset(X, kept), y[kept], weights[kept]


def held_out_rows(n_rows, fraction, labels, random_state):
    """Row numbers (train, test); (all, None) where the test rows would be too few.

    Labels are kept in proportion where there are enough rows of each, and none is lost to
    training.
    """
    everyone = np.arange(n_rows)
    n_test = int(fraction * n_rows)
    if n_test < FEWEST_TO_VALIDATE or n_test == n_rows:
        return everyone, None
    eligible, stratify = everyone, None
    if labels is not None:
        eligible = _eligible(labels, n_test, random_state)
        n_test = min(n_test, len(eligible) - 1)
        if n_test < FEWEST_TO_VALIDATE:
            return everyone, None
        stratify = _if_possible(labels[eligible], n_test)
    _, test = train_test_split(
        eligible, test_size=n_test, random_state=random_state, stratify=stratify
    )
    return np.setdiff1d(everyone, test), test


def _eligible(labels, n_test, random_state):
    """Row numbers but for one row of each label, and, if it can be, both of a pair."""
    order = random_state.permutation(len(labels))
    _, first, codes, counts = np.unique(
        labels[order], return_index=True, return_inverse=True, return_counts=True
    )
    spare = np.ones(len(labels), dtype=bool)
    spare[first] = False
    spare_of_many = spare & (counts[codes] > 2)
    if np.count_nonzero(spare_of_many) > n_test:
        spare = spare_of_many
    return np.sort(order[spare])


def _if_possible(labels, n_test):
    """The labels, if both sides of a split can have each of them, else None."""
    counts = np.unique(labels, return_counts=True)[1]
    possible = counts.min() > 1 and len(counts) <= min(n_test, len(labels) - n_test)
    return labels if possible else None


@contextmanager
def unchanged_on_error(estimator):
    """Whatever goes wrong inside, the estimator's attributes are as before."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
