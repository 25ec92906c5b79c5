"""The order of the levels of categories, by sums over partitions; see `engine.level_order`."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import engine
from .partition import Partition
from .partitions import Partitions


@dataclass(frozen=True)
class Quantity:
    """What is summed over the rows of a level, times their weights: "one" is the weights."""

    kind: str
    number: int = 0

    def of(self, partition: Partition) -> np.ndarray | None:
        """Its value in each row, None for one."""
        if self.kind == "one":
            return None
        if self.kind == "class":
            return partition.Y == self.number
        return (partition.Y if self.kind == "target" else partition.X)[:, self.number]


def of_targets(Y: np.ndarray, n_classes: int) -> list[Quantity]:
    """Those of the columns of such Y, or of the classes that it has the numbers of."""
    if Y.ndim == 1:
        return [Quantity("class", c) for c in range(n_classes)]
    return [Quantity("target", k) for k in range(Y.shape[1])]


def order_levels(
    rows: Partitions, n_levels: np.ndarray, is_missing: np.ndarray, targets: list[Quantity]
) -> list[np.ndarray]:
    """For each category the levels that occur, in order.

    `is_missing` tells which columns have missing values. As exact sums take their time, there
    are more and more of them in each pass, until no two levels of a column are alike.
    """
    numbers = np.flatnonzero((n_levels == engine.NUMBER) & ~is_missing)
    left = [Quantity("one"), *targets]
    left += [Quantity("column", int(j)) for j in numbers]
    keys: dict[int, list[np.ndarray]] = {int(j): [] for j in np.flatnonzero(n_levels >= 0)}
    occurs: dict[int, np.ndarray] = {}
    alike, n_at_once = list(keys), 1
    while alike and left:
        taken, left = left[:n_at_once], left[n_at_once:]
        n_at_once *= 1 if taken[0].kind == "one" else 2
        sums = rows.reduce(_sums_of, _add, {j: int(n_levels[j]) for j in alike}, taken)
        for j in alike:
            for of_levels, _ in sums[j]:
                # all that occur have weight
                known = occurs.setdefault(j, of_levels > 0)
                keys[j].append(engine.key(of_levels[known]))
        alike = [j for j in alike if not engine.all_differ(keys[j])]
    return [np.flatnonzero(occurs[j])[engine.sort_levels(of_j)] for j, of_j in keys.items()]


Sums = dict[int, list[tuple[np.ndarray, int]]]
"""For each column the level sums of each quantity."""


def _sums_of(partition: Partition, n_levels: dict[int, int], taken: list[Quantity]) -> Sums | None:
    if partition.n_rows == 0:
        return None
    values: list[Any] = [quantity.of(partition) for quantity in taken]
    return {
        j: [engine.level_sums(partition.X[:, j], n, partition.weights, y) for y in values]
        for j, n in n_levels.items()
    }


def _add(some: Sums, others: Sums) -> Sums:
    return {
        j: [engine.add_sums(*pair) for pair in zip(some[j], others[j], strict=True)] for j in some
    }
