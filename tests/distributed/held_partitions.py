"""Partitions held in this process, which stand in for those on the workers of a cluster."""

from types import SimpleNamespace

import numpy as np

from sklearn_twolayer.distributed.partition import Partition
from sklearn_twolayer.distributed.tree import add_node, root


def reduced(leaves, merge, groups):
    """The value of all leaves, those of a group being merged first, as on the worker with them."""
    nodes, n = {}, len(leaves)
    for numbers in groups:
        of_group = {}
        for number in numbers:
            add_node(of_group, (0, int(number)), leaves[number], n, merge)
        for node, value in of_group.items():
            add_node(nodes, node, value, n, merge)
    return root(nodes)


def random_groups(n, rng):
    """Some numbers each, in any order."""
    cuts = np.sort(rng.randint(n + 1, size=rng.randint(1, 5)))
    return np.split(rng.permutation(n), cuts)


class HeldPartitions:
    """Records in groups by chance; `n_passes` counts how often they were asked."""

    def __init__(self, records, seed=0):
        self.records, self.n_passes = records, 0
        self.groups = random_groups(len(records), np.random.RandomState(seed))

    def reduce(self, function, merge, *arguments):
        self.n_passes += 1
        leaves = [function(record, *arguments) for record in self.records]
        return reduced(leaves, merge, self.groups)


def cut(n_rows, n_partitions, rng):
    """Slices of very different lengths, one of them empty where there are several."""
    sizes = rng.exponential(size=n_partitions) ** 2
    if n_partitions > 1:
        sizes[n_partitions // 2] = 0
    ends = np.rint(np.cumsum(sizes) / sizes.sum() * n_rows).astype(int)
    return [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]


def records(X, Y, weights, slices):
    """A record of each slice."""
    return [Partition(X[s], Y[s], None if weights is None else weights[s]) for s in slices]


def facts(held):
    """Of records, as they are when they have been converted."""
    X = [record.X for record in held]
    return SimpleNamespace(
        n_rows=sum(map(len, X)),
        rows_of_partitions=[len(part) for part in X],
        weight=sum(record.weight for record in held),
        dtype=X[0].dtype,
        is_missing=np.isnan(np.concatenate(X)).any(axis=0),
    )
