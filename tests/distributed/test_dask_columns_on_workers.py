"""Rows that workers read: the same records as in this process, and nothing else stays there."""

import copy
import time

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from distributed import Client
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer.distributed.conversion import later_rows, learn_rows
from sklearn_twolayer.distributed.given import get_client

N_ROWS = 120


@pytest.fixture
def table(rng):
    """Numbers, text with missing values, a category, labels, and weights."""
    number = rng.randn(N_ROWS)
    number[::7] = np.nan
    text = rng.choice(["x", "yy", "z"], N_ROWS).astype(object)
    text[::5] = None
    return pd.DataFrame(
        {
            "number": number,
            "text": text,
            "kind": pd.Categorical(np.repeat(["late", "a", "b"], [40, 60, 20])),
            "y": rng.choice(["no", "yes", "maybe"], N_ROWS),
            "w": rng.rand(N_ROWS) * (np.arange(N_ROWS) > 30),
        }
    )


def records(partitions):
    """All rows, put together here."""
    parts = partitions.map(copy.copy)
    names = ("X", "Y", "weights")
    return (np.concatenate([getattr(part, name) for part in parts]) for name in names)


def check(client, estimator, collections, whole):
    """A task of the plain estimator and the records agree; nothing is left on the workers."""
    before, found, plain = keys_of(client), copy.copy(estimator), copy.copy(estimator)
    partitions, facts = learn_rows(found, client, *collections)
    task = plain._task(*whole, None)
    X, Y, weights = records(partitions)
    assert_array_equal(X, task.X[:])
    assert_array_equal(Y, task.Y)
    assert_allclose(weights, task.weights, rtol=1e-12)
    assert facts.n_rows == task.X.shape[0]
    later, _ = later_rows(found, client, *collections, "_val")
    assert_array_equal(next(records(later)), task.X[:])
    later.release()
    assert settles_at(client, before, partitions)
    partitions.release()
    assert settles_at(client, before)
    return found, plain


def keys_of(client):
    return {key for keys in client.has_what().values() for key in keys}


def settles_at(client, before, *kept):
    """Whether workers soon hold no new results but these: letting go takes its time."""
    kept = {future.key for partitions in kept for future in partitions.futures}
    for _ in range(100):
        if keys_of(client) - before == kept:
            return True
        time.sleep(0.05)
    return False


def test_frames_of_unknown_divisions(client, table, tmp_path):
    for k, part in enumerate(np.split(np.arange(N_ROWS), [25, 31, 90])):
        table.iloc[part].to_parquet(tmp_path / f"{k}.parquet")
    frame = dd.read_parquet(tmp_path)
    frame = frame[frame["w"] < 0.95]  # a filter leaves partitions as they are
    whole = table[table["w"] < 0.95]
    columns, estimator = (
        ["number", "text", "kind"],
        TwoLayerClassifier(solver="adam", class_weight="balanced"),
    )
    found, plain = check(
        client,
        estimator,
        (frame[columns], frame["y"], frame["w"]),
        (whole[columns], whole["y"], whole["w"]),
    )
    assert found.classes_.tolist() == plain.classes_.tolist()
    assert_allclose(found._class_totals, plain._class_totals, rtol=1e-12)
    for a, b in zip(found._columns["categories"], plain._columns["categories"], strict=True):
        assert a.tolist() == b.tolist()


def test_arrays_of_unknown_chunks(client, rng):
    X, w = rng.randn(N_ROWS, 3), rng.rand(N_ROWS)
    y = X @ [1, 2, 3]
    blocks = da.from_array(X, (30, 2)), da.from_array(y, 30), da.from_array(w, 30)
    mask = blocks[1] > -1
    collections = [block[mask] for block in blocks]
    whole = [part[y > -1] for part in (X, y, w)]
    check(client, TwoLayerRegressor(solver="adam"), collections, whole)


def test_lengths_that_only_workers_know(client, rng):
    before = keys_of(client)
    X, y = da.from_array(rng.randn(N_ROWS, 2), (40, 2)), da.from_array(np.arange(N_ROWS) % 2, 40)
    text = r"partition 1: X and y must have as many rows, got 40 and \d+"
    with pytest.raises(ValueError, match=text):
        learn_rows(
            TwoLayerClassifier(), client, X, y[(y == 0) | (da.arange(N_ROWS, chunks=40) < 40)]
        )
    assert settles_at(client, before)


def test_what_goes_wrong_leaves_nothing_on_workers(client, rng):
    before = keys_of(client)
    X, y = da.from_array(rng.randn(N_ROWS, 2), (40, 2)), da.from_array(np.arange(N_ROWS) % 2, 40)
    with pytest.raises(ValueError, match="class_weight must have labels among"):
        learn_rows(TwoLayerClassifier(class_weight={"a": 1}), client, X, y)
    with pytest.raises(ValueError, match="must have a finite sum"):
        learn_rows(TwoLayerClassifier(class_weight={0: 1e308, 1: 1e308}), client, X, y)
    assert settles_at(client, before)


def test_the_client_that_is_taken(client):
    assert get_client(client) is client
    with client.as_current():
        assert get_client() is client
    other = Client(client.scheduler.address, set_as_default=False)
    other.close()
    with pytest.raises(ValueError, match="client must be running, got a closed one"):
        get_client(other)
