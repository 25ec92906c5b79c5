"""Placement: which worker is to hold which partitions, so that sums of neighbours are taken there.

Partitions that follow each other are merged first. Where a worker holds a run of them it answers
with a few sums, however many partitions there are; were they dealt out like cards it would answer
with one for each.
"""

from collections.abc import Mapping, Sequence

import numpy as np


def runs(
    sizes: Sequence[float], holders: Sequence[str | None], threads: Mapping[str, int]
) -> list[str]:
    """A worker for each partition: runs of about the same size for each thread.

    Workers take their runs in the order of the partitions that they hold already, so that few move.
    """
    weights = np.maximum(np.asarray(sizes, dtype=np.float64), 1.0)
    middle = (np.cumsum(weights) - weights / 2) / weights.sum()
    workers = sorted(threads, key=lambda worker: (_center(worker, holders, middle), worker))
    ends = np.cumsum([threads[worker] for worker in workers])
    places = np.searchsorted(ends / ends[-1], middle)
    return [workers[min(place, len(workers) - 1)] for place in places]


def _center(worker: str, holders: Sequence[str | None], middle: np.ndarray) -> float:
    """Where on average the partitions of a worker are, of one that has none behind all others."""
    held = [place for place, holder in zip(middle, holders, strict=True) if holder == worker]
    return float(np.mean(held)) if held else 2.0
