"""`Rows` in the partitions of a Dask cluster: kernels go to the rows, sums come back."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from .._threads import one_blas_thread_if_small
from ..engine import ArrayRows, Moments, RowFormat
from .journal import Record, compute_anew
from .partition import Partition
from .partitions import Partitions
from .selection import rows_at, turns
from .travel import aligned

Kernel = Callable[..., tuple]
"""``kernel(theta, X, Y, w)`` returns sums over rows, see `ArrayRows.reduce`."""

ROWS_OF_TARGETS = 100_000
"""Rows that tell well enough what the quantiles of targets are."""


@dataclass(frozen=True)
class Batch:
    """Step `number` of `n_steps` of a turn, in the order that the seed of the epoch shuffles to.

    Where memory holds all partitions there is one turn, and each gives a part of its rows in every
    step, so that all workers share the work and each row comes once. Elsewhere they take turns, see
    `selection.turns`: `partitions` are those whose turn it is. Which turn a partition has and which
    part is first is drawn by lot: over the seeds the sum over a batch is on average the sum over
    all rows, divided by the steps of an epoch.
    """

    number: int
    n_steps: int
    seed: int | None
    size: float
    turn: int = 0
    partitions: np.ndarray | None = None


class DaskRows:
    """Rows that stay where they are, behind the same protocol as those of this process."""

    are_uncorrelated = can_narrow = leaves_absent_columns = False

    def __init__(
        self,
        raw: Partitions,
        counts: np.ndarray,
        form: RowFormat,
        moments_of_targets: Moments,
        record: Record = compute_anew,
    ):
        """`counts` has the rows of each raw partition; `record` is told of every sum."""
        self.raw, self.form, self.record = raw, form, record
        self.moments_of_targets = moments_of_targets
        self.counts, self.starts = np.asarray(counts), np.append(0, np.cumsum(counts))
        self.n_rows, self.block_size = int(self.starts[-1]), form.block_size
        # weights are relative to their mean
        self.sum_weights, self.copies = float(self.n_rows), form.copies
        self.prepared = raw.transform(_prepared, form, in_runs=True)

    @property
    def n_wide(self) -> int:
        encoding = self.form.encoding
        return 0 if encoding is None else int(encoding.sizes[encoding.is_wide].sum())

    @cached_property
    def n_turns(self) -> int:
        """In an epoch; told of as a sum, so that a fit which goes on elsewhere has the same."""

        def evaluate() -> list:
            return [self.prepared.n_turns()]

        return int(self.record("turns", np.empty(0), evaluate)[0])

    def alone(self) -> "DaskRows":
        return self

    def release(self) -> None:
        """Let the workers forget the scaled rows."""
        self.prepared.release()

    def reduce(self, kernel: Kernel, theta: np.ndarray) -> list:
        def evaluate() -> list:
            return self.prepared.reduce(_sums, _added, kernel, theta)

        return self.record(f"rows {_name(kernel)}", theta, evaluate)

    def batches(
        self, size: int, shuffle: bool, random_state: np.random.RandomState
    ) -> Iterator[tuple[Batch, float]]:
        n_steps = -(-self.n_rows // size)
        seed = random_state.randint(2**31 - 1) if shuffle and n_steps > 1 else None
        partitions = turns(self.counts, min(self.n_turns, n_steps), seed)
        n_steps = -(-n_steps // len(partitions))
        size_of_each = self.n_rows / (n_steps * len(partitions))
        for turn, of_turn in enumerate(partitions):
            for number in range(n_steps):
                yield Batch(number, n_steps, seed, size_of_each, turn, of_turn), size_of_each

    def reduce_batch(self, kernel: Kernel, theta: np.ndarray, batch: Batch, scale: float) -> list:
        def evaluate() -> list:
            arguments, those = (kernel, theta, replace(batch, partitions=None), scale), {}
            if batch.partitions is not None:
                those = {"those": batch.partitions}
            return self.prepared.reduce(_sums_of_batch, _added, *arguments, numbered=True, **those)

        return self.record(f"batch {batch.turn} {batch.number} {batch.seed}", theta, evaluate)

    def size_of(self, batch: Batch) -> float:
        return batch.size

    def part(self, index: np.ndarray) -> ArrayRows:
        return self.form.rows(*rows_at(self.raw, self.starts, index))

    def take(self, index: Any) -> tuple[Any, np.ndarray, np.ndarray | None]:
        numbers = np.arange(self.n_rows)[index] if isinstance(index, slice) else index
        return self.part(numbers).take(slice(None))

    def of_targets(
        self, compute: Callable[[np.ndarray, np.ndarray], Any], by_moments: bool = True
    ) -> Any:
        if by_moments:
            # two rows of the same mean and deviation
            known, scaling = self.moments_of_targets, self.form.scaling
            Y = known.mean + np.outer([-1, 1], known.deviation)
            if scaling is not None:
                Y = (Y - scaling.Y_offset) / scaling.Y_scale
            return compute(Y, np.ones(2))
        spaced = np.linspace(0, self.n_rows - 1, min(ROWS_OF_TARGETS, self.n_rows))
        some = self.part(spaced.astype(np.intp))
        return compute(some.Y, some.weights_of_rows())


@dataclass
class ScaledPartition:
    """The scaled rows of a partition, and in which order the epoch at hand has them."""

    rows: ArrayRows
    seed: int | None = None
    order: np.ndarray | None = None

    def __post_init__(self) -> None:
        # sums over rows that were moved are the same bits
        for holder in (self.rows, self.rows.source):
            for name, value in vars(holder).items():
                if isinstance(value, np.ndarray):
                    setattr(holder, name, aligned(value))

    def __sizeof__(self) -> int:
        # what a worker goes by when its memory is short
        return self.rows.nbytes

    def __reduce__(self) -> tuple:
        # an order can be drawn again
        return ScaledPartition, (self.rows,)

    def ordered(self, number: int, seed: int) -> tuple[int, np.ndarray]:
        """Which part of an epoch comes first, and the order of rows, by the seed of the epoch."""
        random_state = np.random.RandomState([seed, number])
        first = int(random_state.randint(2**31 - 1))
        if self.seed != seed or self.order is None:
            self.seed, self.order = seed, random_state.permutation(self.rows.n_rows)
        return first, self.order

    def of_step(self, number: int, batch: Batch) -> Any:
        """The rows of partition `number` that take part in a step."""
        n, n_steps, place, order = self.rows.n_rows, batch.n_steps, batch.number, None
        if batch.seed is not None:
            first, order = self.ordered(number, batch.seed)
            place = (place + first) % n_steps
        part = slice(place * n // n_steps, (place + 1) * n // n_steps)
        return part if order is None else order[part]


def _prepared(partition: Partition, form: RowFormat) -> ScaledPartition | None:
    """The rows of a partition, scaled and cast; None where there are none."""
    if not partition.n_rows:
        return None
    with np.errstate(all="ignore"):
        rows = form.rows(partition.X, partition.Y, partition.weights)
    return ScaledPartition(rows.lighter())


def _name(kernel: Kernel) -> str:
    """That of the function, also where some of its arguments are given."""
    return getattr(getattr(kernel, "func", kernel), "__name__", "")


def _sums(partition: ScaledPartition | None, kernel: Kernel, theta: np.ndarray) -> list | None:
    if partition is None:
        return None
    with one_blas_thread_if_small(0), np.errstate(all="ignore"):
        return partition.rows.reduce(kernel, theta)


def _sums_of_batch(
    number: int,
    partition: ScaledPartition | None,
    kernel: Kernel,
    theta: np.ndarray,
    batch: Batch,
    scale: float,
) -> list | None:
    if partition is None:
        return None
    # a step may have no rows of any partition: those of no rows are zeros, too
    index = partition.of_step(number, batch)
    with one_blas_thread_if_small(0), np.errstate(all="ignore"):
        sums = partition.rows.reduce_batch(kernel, theta, index, scale)
    return [np.array(of_part) for of_part in sums]


def _added(some: list, others: list) -> list:
    for total, part in zip(some, others, strict=True):
        total += part
    return some
