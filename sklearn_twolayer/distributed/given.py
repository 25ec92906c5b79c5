"""What the caller gives: a client, and collections of rows as one delayed tuple per partition.

All is checked here that can be known without computing anything.
"""

import math
from typing import Any

import dask
import dask.array
import dask.dataframe
import distributed
import numpy as np
from distributed.threadpoolexecutor import thread_state

ESTIMATORS = "TwoLayerClassifier or TwoLayerRegressor"
"""Which take rows that are in memory."""


def get_client(client: Any = None) -> distributed.Client:
    """The client given, or the one that is current; ValueError where there is none that works."""
    how = "for example distributed.Client(n_workers=2, threads_per_worker=1)"
    if client is None:
        try:
            client = distributed.get_client()
        except ValueError:
            raise ValueError(
                f"there is no Dask client: make one before, {how}, or pass one as client"
            ) from None
    if not isinstance(client, distributed.Client):
        raise TypeError(f"client must be a distributed.Client or None, got {client!r}")
    if client.status != "running":
        raise ValueError(f"client must be running, got a {client.status} one: make another, {how}")
    if getattr(thread_state, "proceed", False):
        raise ValueError(
            "fit within a task of a cluster would wait for workers that wait for it: call it where "
            "the client is, or within distributed.worker_client()"
        )
    if client.asynchronous:
        raise ValueError("client must be synchronous, got one with asynchronous=True")
    return client


def delayed_partitions(X: Any, y: Any, sample_weight: Any = None, suffix: str = "") -> list:
    """A delayed ``(X, y, sample_weight)`` for each partition of rows; no weights: None.

    TypeError for what is no collection of rows, ValueError for other partitions than those of X.
    """
    given = {"X" + suffix: X, "y" + suffix: y}
    if sample_weight is not None:
        given["sample_weight" + suffix] = sample_weight
    if y is None:
        # in words that scikit-learn's common checks know
        raise ValueError(
            f"X{suffix} needs y{suffix}, got y{suffix}=None: fit requires y to be passed, but the "
            "target y is None"
        )
    for (name, collection), n_dimensions in zip(given.items(), ((2,), (1, 2), (1,)), strict=False):
        _check_collection(collection, name)
        _check_dimensions(collection, name, n_dimensions)
    given = {name: whole_rows(collection, name) for name, collection in given.items()}
    first, *others = given
    for name in others:
        _check_same_rows(given[first], given[name], first, name)
    if all(map(is_frame, given.values())):
        return _delayed_frames(*given.values())
    parts = [_delayed(collection) for collection in given.values()]
    if sample_weight is None:
        parts.append([None] * len(parts[0]))
    return [dask.delayed(rows) for rows in zip(*parts, strict=True)]


def _delayed_frames(*frames: Any) -> list:
    """Of partitions that are optimised together: what they share, a file say, is read once.

    One by one they would be read with other columns, for which Dask may take several files as one
    partition, of X perhaps more than of y.
    """
    options = {"enforce_metadata": False, "align_dataframes": False}
    return dask.dataframe.map_partitions(
        _rows, *frames, meta=(None, object), **options
    ).to_delayed()


def _rows(X: Any, y: Any, sample_weight: Any = None) -> tuple:
    return X, y, sample_weight


def _delayed(collection: Any) -> list:
    """As they are, so that what several collections share stays shared."""
    return np.ravel(collection.to_delayed(optimize_graph=False)).tolist()


def is_frame(collection: Any) -> bool:
    """Whether it is a dask DataFrame or Series."""
    return isinstance(collection, dask.dataframe.DataFrame | dask.dataframe.Series)


def _check_collection(collection: Any, name: str) -> None:
    if is_frame(collection):
        return
    if isinstance(collection, dask.array.Array):
        if type(collection._meta) is not np.ndarray:
            kind = type(collection._meta)
            raise TypeError(
                f"{name} must have blocks of NumPy arrays, got a dask array of {kind.__module__}."
                f"{kind.__name__}: make them dense, for example by {name}.map_blocks"
                "(lambda block: block.toarray())"
            )
        return
    what = f"{name} must be a dask array, DataFrame or Series, got {kind_of(collection)}"
    if dask.is_dask_collection(collection):
        raise TypeError(f"{what}: convert it, for example by to_dataframe()")
    raise TypeError(
        f"{what}: fit {ESTIMATORS} on rows in memory, or make a collection, for example by "
        "dask.array.from_array or dask.dataframe.from_pandas"
    )


def kind_of(thing: Any) -> str:
    """The name of its class, as an import would have it."""
    kind = type(thing)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _check_dimensions(collection: Any, name: str, allowed: tuple[int, ...]) -> None:
    if collection.ndim not in allowed:
        wanted = " or ".join(map(str, allowed))
        raise ValueError(f"{name} must have {wanted} dimensions, got {collection.ndim}")


def whole_rows(collection: Any, name: str) -> Any:
    """The collection cut between rows alone."""
    if is_frame(collection) or collection.ndim == 1 or collection.numblocks[1] == 1:
        return collection
    if any(map(math.isnan, collection.chunks[1])):
        raise ValueError(
            f"{name} must have known numbers of columns, got chunks {collection.chunks[1]}"
        )
    return collection.rechunk({1: -1})


def _check_same_rows(X: Any, other: Any, name_of_X: str, name: str) -> None:
    """ValueError where their partitions differ, as far as these are known."""
    n, n_other = _n_partitions(X), _n_partitions(other)
    sizes, of_other = _sizes(X), _sizes(other)
    differ = n != n_other or any(
        a != b and not math.isnan(a + b) for a, b in zip(sizes, of_other, strict=True)
    )
    if differ:
        raise ValueError(
            f"{name} must be partitioned as {name_of_X} is, got {_told(n_other, of_other)} and "
            f"{_told(n, sizes)}: use rechunk of dask arrays, or repartition of dask DataFrames"
        )


def _n_partitions(collection: Any) -> int:
    return collection.npartitions if is_frame(collection) else collection.numblocks[0]


def _sizes(collection: Any) -> list[float]:
    """The rows of each partition, NaN where it is not known."""
    if is_frame(collection):
        return [math.nan] * collection.npartitions
    return list(collection.chunks[0])


MOST_SIZES = 8
"""That an error tells of."""


def _told(n: int, sizes: list[float]) -> str:
    """In words."""
    if all(map(math.isnan, sizes)):
        return f"{n} partitions of unknown sizes"
    some = ", ".join(map(str, sizes[:MOST_SIZES])) + (", ..." if n > MOST_SIZES else "")
    return f"{n} of ({some}) rows"
