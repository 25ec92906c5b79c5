"""What a partition tells of its rows, and how that of two partitions is merged."""

from dataclasses import dataclass

import numpy as np

from ..engine import Counts, Summary, count, numbers_of, summarise, sums_of_increments
from .partition import Partition
from .sketches import Sketch, sketch


@dataclass(frozen=True)
class Asked:
    """What a pass is to tell: summaries, the weights of the levels of columns, and sketches.

    `n_levels` is None where nobody asks for these weights. `columns` are those to be sketched, by
    `size` values each.
    """

    summaries: bool
    n_levels: np.ndarray | None
    columns: tuple[int, ...]
    size: int

    def __bool__(self) -> bool:
        return self.summaries or self.n_levels is not None or bool(self.columns)


@dataclass(frozen=True)
class Told:
    """The answer: `summaries` are those of X and of Y, or there are none."""

    summaries: tuple[Summary, ...]
    counts: list[Counts]
    sketches: list[Sketch]


def tell(partition: Partition, asked: Asked) -> Told | None:
    """That of one partition; nothing from one without rows."""
    if not partition.n_rows:
        return None
    X, weights = partition.X, partition.weights
    w = np.ones(len(X)) if weights is None else weights
    summaries = ()
    if asked.summaries:
        # class numbers are a column like any other
        Y = partition.Y.reshape(len(X), -1)
        Y = Y if Y.dtype.kind == "f" else Y.astype(np.float64)
        summaries = summarise(X, weights), summarise(Y, weights)
    n_levels = () if asked.n_levels is None else asked.n_levels
    counts = [count(X[:, column], w, int(n)) for column, n in enumerate(n_levels)]
    return Told(summaries, counts, [_sketch(X[:, j], weights, asked.size) for j in asked.columns])


def merge_told(some: Told, others: Told) -> Told:
    """The answer of both."""
    pairs = zip(vars(some).values(), vars(others).values(), strict=True)
    summaries, counts, sketches = (
        [a.merged(b) for a, b in zip(ours, theirs, strict=True)] for ours, theirs in pairs
    )
    return Told(tuple(summaries), counts, sketches)


def _sketch(x: np.ndarray, weights: np.ndarray | None, size: int) -> Sketch:
    if weights is None:
        return sketch(x[~np.isnan(x)], None, size)
    return sketch(*numbers_of(x, weights), size)


def increments(partition: Partition, knots: dict[int, np.ndarray]) -> dict[int, np.ndarray] | None:
    """The sums of increments of the columns that have knots."""
    if not partition.n_rows:
        return None
    X, w = partition.X, partition.weights
    w = np.ones(len(X)) if w is None else w
    return {
        column: sums_of_increments(*numbers_of(X[:, column], w), of_column)
        for column, of_column in knots.items()
    }


def merge_increments(
    some: dict[int, np.ndarray], others: dict[int, np.ndarray]
) -> dict[int, np.ndarray]:
    """Those of both."""
    return {column: sums + others[column] for column, sums in some.items()}
