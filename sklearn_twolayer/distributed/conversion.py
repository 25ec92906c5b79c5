"""Raw rows of a Dask collection as `Partition` records, by a plain estimator's own methods."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import dask
import numpy as np
from distributed import Client
from sklearn.base import is_classifier
from sklearn.utils import check_array

from .. import engine
from .._columns import Columns
from .._validation import check_each_weight, check_total_weight
from .description import (
    Description,
    Rows,
    about_partition,
    categories,
    check_rows,
    describe,
    flat_labels,
    merge,
)
from .facts import Facts, facts_of
from .given import delayed_partitions
from .levels import of_targets, order_levels
from .partition import Partition
from .partitions import Partitions
from .plain import plain_reader, unlearnt


def learn_rows(
    estimator: Any, client: Client, X: Any, y: Any, sample_weight: Any = None
) -> tuple[Partitions, Facts]:
    """Partitions of converted rows, and their facts, columns and targets being met first.

    The estimator gets the attributes that a plain one has when it begins to train.
    """
    return learn_delayed(estimator, client, delayed_partitions(X, y, sample_weight), X.shape[1])


def learn_delayed(
    estimator: Any, client: Client, delayed: Sequence[Any], n_columns: int
) -> tuple[Partitions, Facts]:
    """The same of a delayed ``(X, y, sample_weight)`` for each partition."""
    description = _described(unlearnt(estimator), client, delayed)
    if description is None:
        check_array(np.empty((0, n_columns)), estimator=estimator)  # which has the error for it
    targets = _learn(estimator, description)
    of_none = _no_rows(estimator, targets, description.dtype)
    return _converted(estimator, client, delayed, of_none, "", learns=True)


def later_rows(
    estimator: Any, client: Client, X: Any, y: Any, sample_weight: Any = None, suffix: str = ""
) -> tuple[Partitions, Facts]:
    """The same where columns and targets are known: validation rows, warm starts."""
    delayed = delayed_partitions(X, y, sample_weight, suffix)
    return later_delayed(estimator, client, delayed, suffix)


def later_delayed(
    estimator: Any, client: Client, delayed: Sequence[Any], suffix: str = ""
) -> tuple[Partitions, Facts]:
    """The same of a delayed ``(X, y, sample_weight)`` for each partition."""
    of_none = _no_rows(estimator, _targets(estimator), np.dtype(np.float32))
    return _converted(estimator, client, delayed, of_none, suffix, learns=False)


def _described(reader: Any, client: Client, delayed: Sequence[Any]) -> Description | None:
    """What all partitions tell."""
    described = _computed(client, describe, delayed, reader)
    try:
        return described.reduce(_itself, merge)
    finally:
        described.release()


def _itself(description: Description | None) -> Description | None:
    return description


def _computed(
    client: Client, function: Any, delayed: Sequence[Any], reader: Any, *arguments: Any
) -> Partitions:
    """Partitions of ``function(rows, reader, number, *arguments)``."""
    task = dask.delayed(partial(_run, function, arguments), pure=False)
    reader = dask.delayed(reader)  # once in the graph, not in each task
    return Partitions.compute(client, [task(rows, reader, k) for k, rows in enumerate(delayed)])


def _run(function: Any, arguments: tuple, rows: Rows, reader: Any, number: int) -> Any:
    with np.errstate(all="ignore"):
        # threads share what they are given
        return function(rows, copy.copy(reader), number, *arguments)


def _learn(estimator: Any, description: Description) -> np.ndarray:
    """Set what a plain estimator learns of rows; some targets, encoded."""
    check_total_weight(description.weight, "sample_weight")
    columns = description.columns
    estimator.n_features_in_ = len(columns)
    vars(estimator).pop("feature_names_in_", None)
    if description.names is not None:
        estimator.feature_names_in_ = np.array(description.names, dtype=object)
    is_category = np.array([column.is_category for column in columns])
    estimator._encoding = estimator._columns = None
    if is_category.any():
        estimator._columns = dict(vars(Columns(is_category, categories(columns))))
    y = description.targets.representative()
    estimator._learn_targets(y)
    return estimator._encode(y)


def _targets(estimator: Any) -> np.ndarray:
    """Some that would be known to it, encoded."""
    if not is_classifier(estimator):
        return np.ones((1, estimator._n_targets))
    some = np.ones((1, len(estimator.classes_))) if estimator._is_multilabel else estimator.classes_
    return estimator._encode(some)


def _no_rows(estimator: Any, targets: np.ndarray, dtype: np.dtype) -> Partition:
    """What becomes of a partition of which no row counts."""
    return Partition(np.empty((0, estimator.n_features_in_), dtype), targets[:0], None)


def _converted(
    estimator: Any,
    client: Client,
    delayed: Sequence[Any],
    of_none: Partition,
    suffix: str,
    learns: bool,
) -> tuple[Partitions, Facts]:
    """Records of all partitions, and their facts."""
    rows = _computed(client, convert, delayed, plain_reader(estimator), of_none, suffix)
    try:
        rows = _weighed(estimator, rows, suffix)
        facts = facts_of(rows)
        _check_facts(estimator, facts, suffix, learns)
        orders = None
        if learns and estimator._columns is not None:
            orders = _arrange_levels(estimator, rows, facts.is_missing, of_none.Y)
        return _finished(estimator, rows, facts, orders)
    except BaseException:
        rows.release()
        raise


def convert(rows: Rows, reader: Any, number: int, of_none: Partition, suffix: str) -> Partition:
    """The rows of positive weight of one partition, levels by the order that the reader knows."""
    with about_partition(number):
        n_rows = check_rows(rows, suffix)
        X, y, given = rows
        weights = check_each_weight(given, n_rows, "sample_weight" + suffix) if n_rows else None
        if n_rows == 0 or (weights is not None and not weights.any()):
            return replace(of_none, weights=None if given is None else np.empty(0))
        X, Y, weights = reader._rows(X, flat_labels(reader, y), weights, suffix=suffix)
        return Partition(np.ascontiguousarray(X[:]), Y, weights)


def _weighed(estimator: Any, rows: Partitions, suffix: str) -> Partitions:
    """Rows with the weights of their classes; training rows are where these are counted."""
    if not is_classifier(estimator):
        return rows
    reader = plain_reader(estimator)
    reader._columns = None
    if not suffix:
        estimator._class_totals = reader._class_totals = rows.reduce(_totals_of, np.add, reader)
    return rows if estimator.class_weight is None else rows.replace(_weigh, reader)


def _totals_of(partition: Partition, reader: Any) -> np.ndarray:
    """The weight of each class."""
    reader = copy.copy(reader)
    reader._count_classes(partition.Y, partition.weights, afresh=True)
    return reader._class_totals


def _weigh(partition: Partition, reader: Any) -> Partition:
    """Its weights times those of classes, and none that is zero."""
    weights = reader._weigh(partition.Y, partition.weights)
    X, Y = partition.X, partition.Y
    kept = np.flatnonzero(weights)
    if len(kept) == len(X):
        return Partition(X, Y, weights)
    return Partition(X[kept], Y[kept], weights[kept])


def _check_facts(estimator: Any, facts: Facts, suffix: str, learns: bool) -> None:
    """ValueError where no row counts, or where weights are too large or too small."""
    has_class_weight = getattr(estimator, "class_weight", None) is not None
    if facts.n_rows == 0 and not (learns and has_class_weight):
        raise ValueError(f"X{suffix} must have a row of positive weight, got none")
    name = "sample_weight" + suffix
    check_total_weight(facts.weight, f"{name} times class_weight" if has_class_weight else name)


def _arrange_levels(
    estimator: Any, rows: Partitions, is_missing: np.ndarray, Y: np.ndarray
) -> tuple[Columns, list[np.ndarray]]:
    """Number levels anew as a plain estimator does; what `_finish` needs to do the same."""
    columns = estimator._known_columns()
    targets = of_targets(Y, len(getattr(estimator, "classes_", ())))
    orders = order_levels(rows, columns.n_levels(), is_missing, targets)
    no_rows = np.empty((0, len(columns.is_categorical)))
    estimator._columns = dict(vars(columns.arranged(no_rows, orders)[1]))
    # rows hold codes: labels need not travel
    codes = [np.arange(len(labels)) for labels in columns.categories]
    return Columns(columns.is_categorical, codes), orders


def _finished(
    estimator: Any,
    rows: Partitions,
    facts: Facts,
    arrangement: tuple[Columns, list[np.ndarray]] | None,
) -> tuple[Partitions, Facts]:
    """Rows of one dtype, with levels by their new numbers, and equal ones as one."""
    merges = engine.merges_rows(estimator.solver, facts.n_rows)
    if arrangement is None and not merges and facts.dtypes == {facts.dtype}:
        return rows, facts
    rows = rows.replace(_finish, facts.dtype, arrangement, merges)
    if merges:
        facts = replace(facts, rows_of_partitions=tuple(rows.map(_n_rows)))
    return rows, facts


def _finish(
    partition: Partition,
    dtype: np.dtype,
    arrangement: tuple[Columns, list[np.ndarray]] | None,
    merges: bool,
) -> Partition:
    X, Y, weights = partition.X, partition.Y, partition.weights
    if arrangement is not None:
        columns, orders = arrangement
        X, _ = columns.arranged(X, orders)
    X = X.astype(dtype, copy=False)
    if merges:
        if partition.n_rows:
            X, Y, weights = engine.merge_equal_rows(X, Y, weights)
        weights = np.ones(len(X)) if weights is None else weights
    return Partition(X, Y, weights)


def _n_rows(partition: Partition) -> int:
    return partition.n_rows
