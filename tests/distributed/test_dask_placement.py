"""Runs of neighbours, as large as others, where they are already if that can be."""

from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("distributed")

from sklearn_twolayer.distributed.holders import Holders
from sklearn_twolayer.distributed.placement import runs


def n_changes(workers):
    return sum(a != b for a, b in pairwise(workers))


@pytest.mark.parametrize("n", [1, 2, 3, 17, 40])
@pytest.mark.parametrize("n_workers", [1, 2, 5])
def test_each_worker_has_one_run(n, n_workers):
    threads = {f"w{k}": 1 for k in range(n_workers)}
    found = runs([10.0] * n, [None] * n, threads)
    assert len(found) == n
    assert n_changes(found) == len(set(found)) - 1 == min(n, n_workers) - 1
    counts = [found.count(worker) for worker in set(found)]
    assert max(counts) - min(counts) <= 1


def test_workers_of_more_threads_have_more():
    found = runs([1.0] * 30, [None] * 30, {"a": 2, "b": 1})
    assert (found.count("a"), found.count("b")) == (20, 10)


def test_sizes_count_and_empty_partitions_have_none():
    found = runs([0, 100, 0, 50, 50, 0], [None] * 6, {"a": 1, "b": 1})
    assert found[1] != found[3] == found[4]


def test_runs_stay_where_they_are():
    holders = ["b"] * 10 + ["a"] * 10
    assert runs([1.0] * 20, holders, {"a": 1, "b": 1}) == holders


def test_cards_dealt_out_become_runs():
    holders = ["b", "a"] * 10
    found = runs([1.0] * 20, holders, {"a": 1, "b": 1})
    assert found == ["b"] * 10 + ["a"] * 10
    assert np.sum(np.array(found) == holders) == 10


@pytest.mark.parametrize(
    ("sizes", "n_workers"), [([1, 1], 4), ([1, 1, 1], 4), ([10, 1, 1], 3), ([1] * 9, 2), ([5], 3)]
)
def test_partitions_that_have_moved_stay(sizes, n_workers):
    """Where some worker holds nothing, whatever is moved."""
    worker = {"nthreads": 1, "memory_limit": None}
    workers = {f"w{k}": worker for k in range(n_workers)}
    held = {name: [] for name in workers} | {"w0": list(range(len(sizes)))}
    sizes = [1_000_000 * size for size in sizes]
    moved = dict(Holders(workers, held, sizes).moves())
    assert bool(moved) == (len(sizes) > 1)
    after = {name: [] for name in workers}
    for number in held["w0"]:
        after[moved.get(number, "w0")].append(number)
    assert Holders(workers, after, sizes).moves() == []
