"""Fits on a cluster: to the last bit those of the same partitions in one process.

What these find beside plain fits is told by `test_dask_parity`; here it is whether who holds which
partition makes a difference.
"""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from parity import (
    SOLVERS,
    TARGETS,
    assert_same,
    assert_same_fit,
    collections,
    in_dask,
    learnt,
    targets,
    weights,
)
from partitioned_tables import CUTS, array, frame
from partitions_here import PartitionsHere, partitions_here

from kinds import IGNORE_CONVERGENCE
from sklearn_twolayer import TwoLayerRegressor
from sklearn_twolayer.distributed.partitions import Partitions

pytestmark = IGNORE_CONVERGENCE
UNEVEN = CUTS["17 uneven, two empty"]
CASES = {
    "given alpha": ("given alpha", array, "one target"),
    "evidence": ("evidence", frame, "classes"),
    "exact evidence": ("exact evidence", frame, "two targets"),
    "curvature, given alpha": ("curvature, given alpha", array, "several labels"),
}
"""Each solver, each kind of table, and targets of several kinds."""


def fit_here(estimator, rows):
    with pytest.MonkeyPatch.context() as monkeypatch:
        partitions_here(monkeypatch)
        return estimator.fit(*rows)


def check(client, name, cuts, max_iter):
    solver, draw, target = CASES[name]
    rng = np.random.RandomState(0)
    X, y, w = draw(rng), targets(target, rng), weights(rng)
    rows = collections(cuts, X, y, w)
    plain = TARGETS[target](3, **{**SOLVERS[solver], "max_iter": max_iter})
    found = in_dask(plain, client=client).fit(*rows)
    expected = fit_here(in_dask(plain), rows)
    for attribute, value in learnt(expected).items():
        assert_same(getattr(found, attribute), value, 0.0, attribute)
    assert_same_fit(found, plain.fit(X, y, w), X)


@pytest.mark.parametrize("name", CASES)
def test_the_same_bits_on_two_workers(name, client):
    check(client, name, CUTS["3, one empty"], 12 if "evidence" != name else 41)


@pytest.mark.slow
@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("name", CASES)
def test_the_same_bits_however_it_is_cut(name, cuts, client):
    check(client, name, cuts, 45)


@pytest.fixture(scope="module", params=[1, 4])
def other_client(request):
    """A cluster of another number of workers."""
    import warnings

    from distributed import Client, LocalCluster

    options = {"n_workers": request.param, "threads_per_worker": 1, "dashboard_address": ":0"}
    with warnings.catch_warnings():
        # of sockets that Dask closes when it likes
        warnings.simplefilter("ignore", ResourceWarning)
        with (
            LocalCluster(processes=True, **options) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            yield client


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.parametrize("name", CASES)
def test_the_same_bits_on_one_worker_and_on_four(name, other_client):
    check(other_client, name, UNEVEN, 45)


def number(value):
    return value


def times(part, factor):
    return [factor * part]


def added(some, others):
    return [a + b for a, b in zip(some, others, strict=True)]


def test_sums_are_the_same_bits_wherever_partitions_are(client):
    """Whoever holds them, in whatever order, and after they have been moved about."""
    rng = np.random.RandomState(0)
    numbers = rng.randn(23, 4) * 10.0 ** rng.randint(-8, 8, size=(23, 1))
    expected = PartitionsHere(list(numbers)).reduce(times, added, 0.1)
    workers = list(client.scheduler_info()["workers"])
    for seed in range(4):
        places = np.random.RandomState(seed).choice(workers, len(numbers))
        futures = [
            client.submit(number, value, workers=[place], pure=False)
            for value, place in zip(numbers, places, strict=True)
        ]
        partitions = Partitions(client, futures)._settled()
        assert_array_equal(partitions.reduce(times, added, 0.1), expected)
        client.rebalance(futures)
        partitions._groups = None
        assert_array_equal(partitions.reduce(times, added, 0.1), expected)
        partitions.release()


def test_rows_may_be_anywhere(client):
    """Rows that lie on some workers, and are dealt anew before a second fit."""
    rng = np.random.RandomState(0)
    X, y = array(rng), targets("one target", rng)
    rows = collections([20, 20, 50, 90, 110], X, y)
    plain = TwoLayerRegressor(3, **{**SOLVERS["given alpha"], "max_iter": 8})
    expected = fit_here(in_dask(plain), rows)
    workers = list(client.scheduler_info()["workers"])
    with client.as_current():
        persisted = client.persist(rows, workers=workers[:1])
        for _ in range(2):
            found = in_dask(plain, client=client).fit(*persisted)
            for ours, theirs in zip(found.coefs_, expected.coefs_, strict=True):
                assert_array_equal(ours, theirs)
            client.rebalance()


def test_the_default_client(client):
    with client.as_current():
        rng = np.random.RandomState(0)
        X, y = array(rng), targets("one target", rng)
        plain = TwoLayerRegressor(3, **{**SOLVERS["given alpha"], "max_iter": 3})
        found = in_dask(plain).fit(*collections([70], X, y))
    assert_same_fit(found, plain.fit(X, y), X)
