"""Collections as delayed partitions, and what is refused without computing anything."""

import dask
import dask.array as da
import dask.bag as bag
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from sklearn_twolayer.distributed.given import delayed_partitions, get_client

N_ROWS = 10


@pytest.fixture
def X():
    return np.arange(3.0 * N_ROWS).reshape(N_ROWS, 3)


@pytest.fixture
def y():
    return np.arange(N_ROWS) % 2


def computed(*collections, suffix=""):
    return dask.compute(*delayed_partitions(*collections, suffix=suffix), scheduler="sync")


def check(parts, X, y, weights=None):
    """The parts put together again."""
    for k, whole in enumerate((X, y, weights)):
        if whole is None:
            assert all(part[k] is None for part in parts)
        else:
            assert_array_equal(np.concatenate([np.asarray(part[k]) for part in parts]), whole)


@pytest.mark.parametrize("columns", [(3,), (1, 2), (1, 1, 1)], ids=str)
@pytest.mark.parametrize("y_columns", [None, (2,), (1, 1)], ids=str)
def test_arrays_are_cut_between_rows_alone(columns, y_columns, X, y):
    rows, w = (3, 0, 7), np.arange(N_ROWS)
    y = y if y_columns is None else np.c_[y, y]
    chunks_of_y = (rows,) if y_columns is None else (rows, y_columns)
    collections = (
        da.from_array(X, (rows, columns)),
        da.from_array(y, chunks_of_y),
        da.from_array(w, (rows,)),
    )
    check(computed(*collections[:2]), X, y)
    parts = computed(*collections)
    assert [len(part[0]) for part in parts] == [3, 0, 7]
    check(parts, X, y, w)


def test_frames_and_arrays_may_be_mixed(X, y):
    frame = dd.from_pandas(pd.DataFrame(X, columns=list("abc")).assign(y=y), npartitions=3)
    array = frame[list("abc")].to_dask_array()
    for of_X in (frame[list("abc")], array):
        for of_y in (frame["y"], frame[["y"]], frame["y"].to_dask_array()):
            parts = computed(of_X, of_y, frame["a"])
            assert len(parts) == frame.npartitions
            check(parts, X, y if of_y.ndim == 1 else y[:, None], X[:, 0])
    known = da.from_array(y, ((4, 4, 2),))
    check(computed(array, known), X, y)


def test_chunks_of_unknown_sizes(X, y):
    mask = y == 1
    of_X, of_y = da.from_array(X, ((5, 5), (2, 1))), da.from_array(y, 5)
    rows = of_y == 1
    check(computed(of_X[rows], of_y[rows]), X[mask], y[mask])


def test_what_collections_share_is_computed_once():
    calls = []

    def read(number):
        calls.append(number)
        return pd.DataFrame({"a": [1.0, 2.0], "y": [0, 1], "w": [1.0, 1.0]})

    frame = dd.from_map(read, range(3), meta=read(None).iloc[:0])
    calls.clear()
    parts = delayed_partitions(frame[["a"]], frame["y"], frame["w"])
    assert calls == []
    dask.compute(*parts, scheduler="sync")
    assert sorted(calls) == [0, 1, 2]


def test_blocks_that_arrays_share_are_computed_once():
    calls = []

    def make(block_id):
        calls.append(block_id[0])
        return np.ones((2, 3))

    table = da.map_blocks(make, chunks=((2, 2), (3,)), dtype=float, meta=np.empty((0, 0)))
    calls.clear()
    parts = delayed_partitions(table[:, :2], table[:, 2])
    assert calls == []
    dask.compute(*parts, scheduler="sync")
    assert sorted(calls) == [0, 1]


def test_partitions_of_files_belong_together(tmp_path):
    """Dask takes several files as one partition where few of their columns are wanted."""
    names = [*"abcdefghijklmnopqrst"]
    for k in range(5):
        numbers = {name: np.arange(50.0) + 100 * k for name in names}
        pd.DataFrame(numbers).to_parquet(tmp_path / f"{k}.parquet")
    table = dd.read_parquet(tmp_path)
    X, y, w = table[["b", "c", "d"]], table["a"], table["e"]
    parts = computed(X, y, w)
    rows = np.concatenate([np.arange(50.0) + 100 * k for k in range(5)])
    check(parts, np.c_[rows, rows, rows], rows, rows)
    for part in parts:
        assert_array_equal(part[0]["b"], part[1])
    # which to_dask_array has for itself
    with pytest.raises(ValueError, match="y must be partitioned as X is, got 5 partitions"):
        delayed_partitions(X.to_dask_array(), y)


def of_other_kinds(X):
    return {
        "ndarray": X,
        "DataFrame": pd.DataFrame(X),
        "list": X.tolist(),
        "csr_matrix": sparse.csr_matrix(X),
        "None": None,
    }


@pytest.mark.parametrize("kind", of_other_kinds(np.eye(2)))
@pytest.mark.parametrize("suffix", ["", "_val"])
def test_rows_in_memory_are_for_the_plain_estimators(kind, suffix, X, y):
    array, labels = da.from_array(X, (5, 3)), da.from_array(y, 5)
    match = "{}" + suffix + " must be a dask array, .*TwoLayerClassifier.*from_array"
    with pytest.raises(TypeError, match=match.format("^X")):
        delayed_partitions(of_other_kinds(X)[kind], labels, suffix=suffix)
    if kind == "None":
        with pytest.raises(ValueError, match=f"X{suffix} needs y{suffix}"):
            delayed_partitions(array, None, suffix=suffix)
        return
    with pytest.raises(TypeError, match=match.format("^y")):
        delayed_partitions(array, of_other_kinds(X)[kind], suffix=suffix)
    with pytest.raises(TypeError, match=match.format("^sample_weight")):
        delayed_partitions(array, labels, of_other_kinds(X)[kind], suffix=suffix)


def test_other_collections_are_refused(X, y):
    array, labels = da.from_array(X, (5, 3)), da.from_array(y, 5)
    for other in (bag.from_sequence([1, 2]), dask.delayed(X), labels.sum(), array.to_delayed()):
        with pytest.raises((TypeError, ValueError), match=r"^X must"):
            delayed_partitions(other, labels)
    with pytest.raises(TypeError, match=r"X must be a dask array, .* got dask\.bag"):
        delayed_partitions(bag.from_sequence([1, 2]), labels)


def test_blocks_must_be_dense(X, y):
    array, labels = da.from_array(X, (5, 3)), da.from_array(y, 5)
    for make in (sparse.csr_matrix, sparse.csr_array):
        with pytest.raises(TypeError, match=r"X must have blocks of NumPy arrays, .*toarray"):
            delayed_partitions(array.map_blocks(make), labels)
        with pytest.raises(TypeError, match="y must have blocks of NumPy arrays"):
            delayed_partitions(array, array.map_blocks(make))


@pytest.mark.parametrize(
    ("name", "shape", "wanted"),
    [
        ("X", (N_ROWS,), "2 dimensions, got 1"),
        ("X", (N_ROWS, 3, 1), "2 dimensions, got 3"),
        ("y", (N_ROWS, 1, 1), "1 or 2 dimensions, got 3"),
        ("sample_weight", (N_ROWS, 1), "1 dimensions, got 2"),
    ],
)
def test_dimensions(name, shape, wanted, X, y):
    given = {"X": da.from_array(X, (5, 3)), "y": da.from_array(y, 5)}
    given |= {name: da.ones(shape, chunks=(5, *shape[1:]))}
    with pytest.raises(ValueError, match=f"^{name} must have {wanted}"):
        delayed_partitions(**given)


def test_partitions_must_be_those_of_X(X, y):
    array, labels = da.from_array(X, (5, 3)), da.from_array(y, 5)
    other = da.from_array(y, ((4, 6),))
    with pytest.raises(ValueError, match=r"y must be .* 2 of \(4, 6\) rows and 2 of \(5, 5\) rows"):
        delayed_partitions(array, other)
    with pytest.raises(ValueError, match=r"weight_val must be partitioned as X_val.*rechunk"):
        delayed_partitions(array, labels, other, suffix="_val")
    frame = dd.from_pandas(pd.DataFrame(X), npartitions=3)
    with pytest.raises(ValueError, match=r"and 3 partitions of unknown sizes: .*repartition"):
        delayed_partitions(frame, labels)
    unknown = labels[labels < 2]
    many = da.from_array(np.ones(100), 5)
    with pytest.raises(ValueError, match=r"20 of \(5, 5, 5, 5, 5, 5, 5, 5, ...\) rows"):
        delayed_partitions(array, unknown, many)


def test_columns_of_unknown_number(X, y):
    array = da.from_array(X, (5, 1))
    columns = array[:, da.from_array(np.array([True, False, True]), 1)]
    with pytest.raises(ValueError, match="X must have known numbers of columns"):
        delayed_partitions(columns, da.from_array(y, 5))


def test_a_client_that_is_not_there():
    with pytest.raises(ValueError, match="there is no Dask client: make one before"):
        get_client()
    with pytest.raises(TypeError, match=r"client must be a distributed\.Client or None, got 'tcp"):
        get_client("tcp://127.0.0.1:8786")
