"""Rows, targets and weights of several Dask collections, block by block."""

import numpy as np

from .._validation import is_dask_collection
from .lazy import is_frame, whole_rows


def blocks_of(X, **others):
    """For each block of rows of X a list of delayed: it, and that of the others, None where None.

    Collections of known chunks are cut where X is; of others the blocks must be as many, and what
    uses them sees whether they have as many rows.
    """
    columns = [_delayed(whole_rows(X))]
    for name, other in others.items():
        if other is None:
            columns.append([None] * len(columns[0]))
            continue
        if not is_dask_collection(other):
            raise TypeError(
                f"{name} must be a Dask collection as X is, got {type(other).__name__}: make it "
                "one, in the partitions of X, or compute both"
            )
        columns.append(_delayed(_cut_as(X, whole_rows(other, name), name)))
        if len(columns[-1]) != len(columns[0]):
            raise ValueError(
                f"{name} must have the partitions of X, {len(columns[0])}, got {len(columns[-1])}"
            )
    return list(zip(*columns, strict=True))


def _cut_as(X, other, name):
    """The other one in blocks of as many rows as those of X, as far as these are known."""
    if is_frame(X) or is_frame(other) or np.isnan(X.shape[0]) or np.isnan(other.shape[0]):
        return other
    if X.shape[0] != other.shape[0]:
        raise ValueError(f"{name} must have as many rows as X, {X.shape[0]}, got {other.shape[0]}")
    return other.rechunk({0: X.chunks[0]})


def _delayed(collection):
    return list(np.ravel(collection.to_delayed()))
