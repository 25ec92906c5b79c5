"""What travels to workers is each receiver's own, and arrays are multiplied as they were here."""

import asyncio
import pickle
import time
from types import SimpleNamespace

import numpy as np
import pytest
from held_partitions import records
from numpy.testing import assert_array_equal

from sklearn_twolayer.distributed.direct import _of_worker
from sklearn_twolayer.distributed.partitions import _of_group
from sklearn_twolayer.distributed.rows import _prepared
from sklearn_twolayer.distributed.travel import aligned, packed, unpacked
from sklearn_twolayer.engine.data.table import RowFormat


class Kernel:
    """Computes in what it has itself."""

    def __init__(self):
        self.buffer = 0

    def __call__(self, number):
        self.buffer = number
        time.sleep(0.05)
        return self.buffer


def asked(partition, kernel):
    return [kernel(partition)]


def joined(some, others):
    return some + others


def test_groups_of_one_worker_share_no_kernel():
    """They are asked at the same time, in threads."""
    data = {str(number): number for number in range(4)}
    worker = SimpleNamespace(address="here", data=data)
    held = {"here": [([number], [str(number)]) for number in range(4)]}
    what = asked, joined, packed((Kernel(),)), False, 4
    found = asyncio.run(_of_worker(_of_group, what, held, worker))
    values = [value for piece in found for value in unpacked(piece).values()]
    assert values == [[0], [1], [2], [3]]


def moved(thing):
    """The thing as Dask takes it off the wire: arrays at any byte of what has come."""
    buffers = []
    piece = pickle.dumps(thing, protocol=5, buffer_callback=buffers.append)
    received = []
    for buffer in buffers:
        whole = bytearray(buffer.raw().nbytes + 3)
        whole[3:] = buffer.raw()
        received.append(memoryview(whole)[3:])
    assert received
    return pickle.loads(piece, buffers=received)


def arrays(thing):
    return [value for value in vars(thing).values() if isinstance(value, np.ndarray)]


def test_arrays_are_aligned():
    array = np.arange(12.0).reshape(3, 4)
    at_any_byte = moved(array)
    assert not at_any_byte.flags.aligned
    found = aligned(at_any_byte)
    assert found.flags.aligned
    assert_array_equal(found, array)
    assert aligned(array) is array
    for other in (array, array.T, at_any_byte):
        assert unpacked(packed(other)).flags.aligned


@pytest.mark.parametrize("with_weights", [True, False])
def test_rows_that_were_moved(with_weights, rng):
    X, Y = rng.randn(5, 3), rng.randn(5, 1)
    (one,) = records(X, Y, rng.uniform(size=5) if with_weights else None, [slice(0, 5)])
    scaled = _prepared(one, RowFormat(None, "float64", 4, None, np.zeros(3)))
    again = moved(scaled).rows
    for found, expected in (
        (moved(one), one),
        (again, scaled.rows),
        (again.source, scaled.rows.source),
    ):
        assert len(arrays(found)) > 0
        for ours, theirs in zip(arrays(found), arrays(expected), strict=True):
            assert ours.flags.aligned
            assert_array_equal(ours, theirs)
