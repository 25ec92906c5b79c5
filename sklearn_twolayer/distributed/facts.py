"""What is known of the records of all partitions together."""

from dataclasses import dataclass

import numpy as np

from .partition import Partition
from .partitions import Partitions


@dataclass(frozen=True)
class Facts:
    """What is known of all rows together, those of weight zero being left out.

    `n_rows` counts them before equal ones are merged, `rows_of_partitions` those that are there.
    """

    n_rows: int
    rows_of_partitions: tuple[int, ...]
    weight: float
    dtype: np.dtype
    """Of X: float32 if that of all partitions is."""
    is_missing: np.ndarray
    """Which columns have a missing value (n_columns,)."""
    dtypes: frozenset
    """Those of X before they became one."""

    @property
    def has_missing(self) -> bool:
        """Whether any of them has one."""
        return bool(self.is_missing.any())


def facts_of(rows: Partitions) -> Facts:
    """What is known of rows that have been converted."""
    return rows.reduce(_facts_of, _merge_facts)


def _facts_of(partition: Partition) -> Facts:
    dtypes = frozenset([partition.X.dtype])
    is_missing = np.isnan(partition.X).any(axis=0)
    n = partition.n_rows
    with np.errstate(over="ignore"):
        weight = partition.weight
    return Facts(n, (n,), weight, partition.X.dtype, is_missing, dtypes)


def _merge_facts(a: Facts, b: Facts) -> Facts:
    with_rows = [facts.dtype for facts in (a, b) if facts.n_rows] or [a.dtype]
    return Facts(
        a.n_rows + b.n_rows,
        a.rows_of_partitions + b.rows_of_partitions,
        a.weight + b.weight,
        np.result_type(*with_rows),
        a.is_missing | b.is_missing,
        a.dtypes | b.dtypes,
    )
