"""Mini-batches of a table that memory does not hold at once: its partitions take turns."""

import numpy as np
import pytest
from mortal import Evaluations, graphs, is_as_before
from numpy.testing import assert_array_equal

from sklearn_twolayer.distributed import DaskTwoLayerRegressor, holders
from sklearn_twolayer.distributed.holders import Holders
from sklearn_twolayer.distributed.rows import DaskRows
from sklearn_twolayer.distributed.selection import turns


@pytest.mark.parametrize("seed", [None, 0, 1])
@pytest.mark.parametrize("n_turns", [2, 3, 5])
def test_each_partition_with_rows_has_one_turn(n_turns, seed):
    counts = np.array([3, 0, 1, 9, 9, 0, 9, 9, 2, 4, 7, 7])
    found = turns(counts, n_turns, seed)
    assert len(found) == n_turns
    assert_array_equal(np.sort(np.concatenate(found)), np.flatnonzero(counts))
    # of so many neighbours each has another
    for k in range(10 // n_turns):
        block = np.flatnonzero(counts)[k * n_turns : (k + 1) * n_turns]
        assert [len(np.intersect1d(block, turn)) for turn in found] == [1] * n_turns


def test_turns_are_drawn_by_lot():
    counts = np.full(9, 5)
    of_first = [np.isin(np.arange(9), turns(counts, 3, seed)[0]) for seed in range(400)]
    assert np.abs(np.mean(of_first, axis=0) - 1 / 3).max() < 0.1
    assert_array_equal(turns(counts, 3, 7)[1], turns(counts, 3, 7)[1])


@pytest.mark.parametrize(("counts", "n_turns"), [([5, 5, 5], 1), ([0, 5, 0], 4), ([0, 0], 2)])
def test_no_turns(counts, n_turns):
    assert turns(np.array(counts), n_turns, 0) == [None]


@pytest.mark.parametrize(
    ("size", "memory", "expected"),
    [(10, 1000, 1), (25, 1000, 1), (26, 1000, 3), (60, 1000, 6), (500, 200, 10), (10**9, 0, 1)],
)
def test_as_many_turns_as_memory_asks_for(size, memory, expected):
    """Twenty partitions on two workers, a tenth of whose memory may hold those of a turn."""
    worker = {"nthreads": 1, "memory_limit": memory}
    found = Holders({"a": worker, "b": worker}, {"a": [], "b": list(range(20))}, [size] * 20)
    assert found.n_turns() == expected


def small_memory(monkeypatch):
    """As if workers had hardly any."""
    monkeypatch.setattr(holders, "PART_AT_ONCE", 1e-9)
    monkeypatch.setattr(holders, "PART_IN_TURN", 1e-9)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_only_partitions_whose_turn_it_is_are_asked(client, monkeypatch):
    """Each row comes once in an epoch, and the workers hold nothing in the end."""
    small_memory(monkeypatch)
    asked = []
    reduce_batch = DaskRows.reduce_batch

    def watched(rows, kernel, theta, batch, scale):
        asked.append(batch)
        (n,) = reduce_batch(rows, count, theta, batch, scale)
        counted.append(n)
        return reduce_batch(rows, kernel, theta, batch, scale)

    counted = []
    monkeypatch.setattr(DaskRows, "reduce_batch", watched)
    A, b = graphs()
    options = {"solver": "adam", "max_iter": 2, "tol": 0.0, "batch_size": 50}
    model = DaskTwoLayerRegressor(**options, random_state=0, client=client).fit(A, b)
    assert model.t_ == 800
    steps = len(asked) // 2
    assert {len(batch.partitions) for batch in asked} == {2}
    assert {batch.turn for batch in asked} == {0, 1}
    assert {tuple(batch.partitions) for batch in asked[:steps]} != {(0, 1)}
    assert sum(counted[:steps]) == sum(counted[steps:]) == 400
    assert is_as_before(client)


def count(theta, X, Y, w):
    return (np.array(float(len(Y))),)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_that_goes_on_has_the_turns_that_it_had(client, tmp_path, monkeypatch):
    """Also on a cluster that would need none."""
    rows, path = graphs(), tmp_path / "journal"
    options = {"solver": "adam", "max_iter": 2, "tol": 0.0, "batch_size": 50, "random_state": 0}
    without = DaskTwoLayerRegressor(**options, client=client).fit(*rows)
    model = DaskTwoLayerRegressor(**options, client=client, checkpoint=path)
    with monkeypatch.context() as patch:
        small_memory(patch)
        whole = DaskTwoLayerRegressor(**options, client=client).fit(*rows)
        Evaluations(patch, 5, fail)
        with pytest.raises(ArithmeticError):
            model.fit(*rows)
    found = model.fit(*rows)
    assert_array_equal(found.coefs_[0], whole.coefs_[0])
    assert not np.array_equal(found.coefs_[0], without.coefs_[0])


def fail(kernel):
    raise ArithmeticError
