"""What a partition of raw rows tells of its columns and targets, and what two tell together."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import is_classifier

from .._columns import label_array
from .._validation import check_each_weight, check_y

Rows = tuple[Any, Any, Any]
"""(X, y, sample_weight) as the caller has them; weights may be None."""


@contextmanager
def about_partition(number: int) -> Iterator[None]:
    """Errors say which partition they are about."""
    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"partition {number}: {error}") from error


@dataclass(frozen=True)
class ColumnDescription:
    """One column of some partitions: whether it is a category, and the labels that occur."""

    is_category: bool
    labels: frozenset
    number: int | None
    """A partition in which it has a value, None where there is none."""


@dataclass(frozen=True)
class TargetDescription:
    """Targets of positive weight: their shape but for rows and, of a classifier, their labels."""

    shape: tuple[int, ...]
    labels: np.ndarray | None
    number: int

    def representative(self) -> np.ndarray:
        """Targets of which a plain estimator learns the same; thrice, as are not mostly unique."""
        labels = np.ones(1) if self.labels is None else self.labels
        rows = np.repeat(labels, 3)
        if not self.shape:
            return rows
        return np.repeat(rows[:, None], self.shape[0], axis=1)


@dataclass(frozen=True)
class Description:
    """What some partitions tell: those that have rows."""

    number: int
    """The first of them."""
    names: tuple | None
    """Of columns, where all are strings."""
    columns: list[ColumnDescription]
    dtype: np.dtype
    """Of numbers: float32 if all of them are."""
    n_rows: int
    weight: float
    targets: TargetDescription | None
    """None where no row has a positive weight."""


def check_rows(rows: Rows, suffix: str) -> int:
    """How many rows there are; ValueError where parts differ, or what they are cannot be taken."""
    names = [name + suffix for name in ("X", "y", "sample_weight")]
    given = [(name, part) for name, part in zip(names, rows, strict=True) if part is not None]
    for name, part in given:
        if sparse.issparse(part):
            raise TypeError(f"{name} must be dense, got {type(part).__name__}: call its toarray()")
    (first, X), *others = given
    for name, part in others:
        if part.shape[0] != X.shape[0]:
            raise ValueError(
                f"{first} and {name} must have as many rows, got {X.shape[0]} and {part.shape[0]}"
            )
    return X.shape[0]


def flat_labels(estimator: Any, y: Any) -> Any:
    """Labels of one column as they are wanted; that they are to be is told once, not everywhere."""
    one_column = is_classifier(estimator) and y.ndim == 2 and y.shape[1] == 1
    return np.ravel(y) if one_column else y


def describe(rows: Rows, estimator: Any, number: int, suffix: str = "") -> Description | None:
    """What one partition tells, None where it has no rows.

    `estimator` is a plain one that has learnt nothing, and will have learnt of this partition.
    """
    with about_partition(number):
        n_rows = check_rows(rows, suffix)
        if n_rows == 0:
            return None
        X, y, weights = rows
        floats = estimator._columns_of(X, True, "X" + suffix)
        y = check_y(estimator, floats, y, suffix)
        weights = check_each_weight(weights, n_rows, "sample_weight" + suffix)
        names = getattr(estimator, "feature_names_in_", None)
        counts = slice(None) if weights is None else weights > 0
        return Description(
            number,
            None if names is None else tuple(names),
            _describe_columns(estimator, floats, number),
            floats.dtype,
            n_rows,
            float(n_rows if weights is None else weights.sum()),
            _describe_targets(estimator, y[counts], number),
        )


def _describe_columns(estimator: Any, floats: np.ndarray, number: int) -> list[ColumnDescription]:
    columns = estimator._known_columns()
    labels = iter(columns.categories)
    has_values = ~np.isnan(floats).all(axis=0)
    return [
        ColumnDescription(
            bool(is_category),
            frozenset(next(labels).tolist()) if is_category else frozenset(),
            number if has_value else None,
        )
        for is_category, has_value in zip(columns.is_categorical, has_values, strict=True)
    ]


def _describe_targets(estimator: Any, y: np.ndarray, number: int) -> TargetDescription | None:
    if len(y) == 0:
        return None
    labels = None
    if is_classifier(estimator):
        estimator._learn_targets(flat_labels(estimator, y))  # which has errors for no labels
        labels = np.unique(y)
    return TargetDescription(y.shape[1:], labels, number)


def merge(a: Description, b: Description) -> Description:
    """What both tell together; ValueError where they cannot be parts of one table."""
    if len(a.columns) != len(b.columns):
        raise ValueError(
            "X must have as many columns in all partitions, got "
            f"{len(a.columns)} in partition {a.number} and {len(b.columns)} in {b.number}"
        )
    if a.names != b.names:
        raise ValueError(
            "X must have the same names of columns, in the same order, in all partitions, got "
            f"{_names(a)} in partition {a.number} and {_names(b)} in {b.number}"
        )
    names = range(len(a.columns)) if a.names is None else a.names
    columns = [
        _merge_columns(*pair, name) for *pair, name in zip(a.columns, b.columns, names, strict=True)
    ]
    return replace(
        a,
        columns=columns,
        dtype=np.promote_types(a.dtype, b.dtype),
        n_rows=a.n_rows + b.n_rows,
        weight=a.weight + b.weight,
        targets=_merge_targets(a.targets, b.targets),
    )


def _names(description: Description) -> str:
    names = description.names
    return "none" if names is None else str([*names[:20], ...] if len(names) > 20 else [*names])


def _merge_columns(a: ColumnDescription, b: ColumnDescription, name: Any) -> ColumnDescription:
    """What is missing altogether does not say what it would have been."""
    if a.number is None or b.number is None:
        return max(a, b, key=lambda column: (column.number is not None, column.is_category))
    where = f"in partitions {a.number} and {b.number}"
    if a.is_category != b.is_category:
        raise ValueError(
            f"column {name!r} of X: numbers are mixed with text or categories {where}; make them "
            "all alike, for example by astype"
        )
    if a.labels and b.labels and _are_text(a.labels) != _are_text(b.labels):
        raise ValueError(
            f"column {name!r} of X: text and numbers are mixed {where}; make them all text, or all "
            "numbers"
        )
    return replace(a, labels=a.labels | b.labels)


def _are_text(labels: frozenset) -> bool:
    return isinstance(next(iter(labels)), str)


def _merge_targets(
    a: TargetDescription | None, b: TargetDescription | None
) -> TargetDescription | None:
    if a is None or b is None:
        return b if a is None else a
    if a.shape != b.shape:
        raise ValueError(
            "y must have as many columns in all partitions, got targets of shape "
            f"{a.shape} in partition {a.number} and {b.shape} in {b.number}"
        )
    if a.labels is None or b.labels is None:
        return a
    kinds = {labels.dtype.kind in "biuf" for labels in (a.labels, b.labels)}
    if len(kinds) > 1:  # of which NumPy would make words
        a, b = (replace(of, labels=of.labels.astype(object)) for of in (a, b))
    labels = np.concatenate([a.labels, b.labels])
    try:
        return replace(a, labels=np.unique(labels))
    except TypeError:
        kinds = sorted({type(label).__name__ for label in labels.tolist()})
        raise TypeError(
            f"labels in y must be all strings or all numbers, got {kinds} in partitions "
            f"{a.number} and {b.number}"
        ) from None


def categories(columns: list[ColumnDescription]) -> list[np.ndarray]:
    """The sorted labels of each category."""
    return [label_array(sorted(column.labels)) for column in columns if column.is_category]
