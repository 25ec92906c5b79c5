"""What a fitted estimator says of each row of a Dask collection, without computing anything.

The estimator is one key of the graph, however many blocks there are.
"""

from functools import partial

import dask
import numpy as np
from dask import array as da
from dask.array.utils import meta_from_array
from dask.base import tokenize
from dask.dataframe.utils import make_meta
from dask.highlevelgraph import HighLevelGraph
from dask.typing import DaskCollection
from scipy import sparse

from .._validation import MatrixLike
from .given import is_frame, kind_of, whole_rows

Rows = MatrixLike | DaskCollection
"""What X, targets or weights may be: a dask array, DataFrame or Series, or something in memory."""

Array = np.ndarray | da.Array
"""What is said of them: lazy of a collection."""


def lazily(model, method, X, **options):
    """``model.method(X, **options)``: a lazy array, chunked along rows as X is, or a tuple of them.

    What can be told without its rows is checked now: the number and names of columns, the options.
    """
    X = rows_of(X)
    found = getattr(model, method)(a_row_like(X), **options)
    like = _joined(found)[:0]
    function = partial(
        of_block, method=method, options=options, width=like.shape[1:], dtype=like.dtype
    )
    model = once(model)
    if is_frame(X):
        # of map_partitions each method would read the rows anew: reading is fused with what follows
        blocks = [dask.delayed(function, pure=True)(rows, model) for rows in X.to_delayed()]
        rows = stacked(blocks, [np.nan] * len(blocks), like, method)
    else:
        rows = X.map_blocks(
            function,
            model=model,
            chunks=(X.chunks[0], *((size,) for size in like.shape[1:])),
            drop_axis=1,
            new_axis=range(1, like.ndim),
            dtype=like.dtype,
            meta=like,
            name=f"{method}-{tokenize(X.name, model.key, function)}",
        )
    if not isinstance(found, tuple):
        return rows
    return tuple(rows[..., k].astype(part.dtype) for k, part in enumerate(found))


def stacked(blocks, sizes, like, name):
    """An array whose blocks of rows are what is delayed, of types and widths like those of one.

    Blocks without rows stay, which ``dask.array.concatenate`` would leave out.
    """
    name = f"{name}-{tokenize([block.key for block in blocks])}"
    zeros = (0,) * (like.ndim - 1)
    layer = {(name, number, *zeros): block.key for number, block in enumerate(blocks)}
    graph = HighLevelGraph.from_collections(name, layer, dependencies=blocks)
    return da.Array(graph, name, (tuple(sizes), *((size,) for size in like.shape[1:])), meta=like)


def of_block(rows, model, method, options, width, dtype):
    """What the method says of a block of rows; scikit-learn takes none without rows."""
    if rows.shape[0] == 0:
        return np.empty((0, *width), dtype)
    return _joined(getattr(model, method)(rows, **options)).astype(dtype, copy=False)


def once(model):
    """A key for the estimator, the same for the same estimator."""
    return dask.delayed(model, pure=True, traverse=False)


def rows_of(X):
    """The collection cut between rows alone; TypeError for one that holds no rows."""
    if not is_frame(X) and not isinstance(X, da.Array):
        raise TypeError(f"X must be a dask array or DataFrame, got {kind_of(X)}")
    if not is_frame(X) and np.isnan(X.shape[1:]).any():
        raise ValueError(
            f"X must have a known number of columns, got the shape {X.shape}: call "
            "X.compute_chunk_sizes() first"
        )
    return whole_rows(X, "X")


def a_row_like(X):
    """A row of the same columns and types, in memory: zeros, or missing values."""
    if is_frame(X):
        return make_meta(X).reset_index(drop=True).reindex([0])
    meta, shape = meta_from_array(X), (1, *X.shape[1:])
    if sparse.issparse(meta):
        return type(meta)(shape, dtype=X.dtype)
    if X.dtype.kind in "US":
        return np.full(shape, "nan")  # which is a number as well as a word
    return np.full(shape, np.nan, object) if X.dtype.kind == "O" else np.zeros(shape, X.dtype)


def _joined(found):
    """One array, also of several that one pass has found."""
    return np.stack(found, axis=-1) if isinstance(found, tuple) else found
