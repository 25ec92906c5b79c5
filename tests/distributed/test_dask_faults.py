"""Workers that die, come and go in the middle of a fit, and fits that end before their end."""

import signal
import threading
import warnings

import numpy as np
import pytest
from mortal import (
    SOLVERS,
    Evaluations,
    Fails,
    KillsOnce,
    Sleeps,
    frames,
    graphs,
    is_as_before,
    mortal_cluster,
    persisted,
    scattered,
)
from numpy.testing import assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from sklearn_twolayer.distributed import DaskTwoLayerRegressor, conversion, partitions
from sklearn_twolayer.distributed.partitions import Partitions

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

MIDDLE = 12
"""Which evaluation is in the middle of each of the fits."""


@pytest.fixture(scope="module")
def mortal():
    with mortal_cluster() as client:
        yield client


def estimator(client, solver, **options):
    return DaskTwoLayerRegressor(**SOLVERS[solver] | options, random_state=0, client=client)


def fitted(client, solver, rows, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator(client, solver, **options).fit(*rows)


def learnt(model):
    parts = [*model.coefs_, *model.intercepts_, model.loss_curve_, model.alpha_]
    return np.concatenate([np.ravel(part) for part in parts])


def assert_same_in_spite_of(fault, client, solver, make_rows, monkeypatch):
    """A fit whose kernel is changed once finds the same bits, and leaves nothing."""
    rows = make_rows(client)
    expected = learnt(fitted(client, solver, rows))
    with monkeypatch.context() as patch:
        evaluations = Evaluations(patch, MIDDLE, fault)
        found = learnt(fitted(client, solver, rows))
    assert evaluations.n > MIDDLE
    assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("solver", "make_rows"), [("lbfgs", graphs), ("lm", persisted), ("adam", frames)]
)
def test_a_worker_killed_in_an_evaluation(solver, make_rows, mortal, tmp_path, monkeypatch):
    assert_same_in_spite_of(
        lambda kernel: KillsOnce(kernel, tmp_path), mortal, solver, make_rows, monkeypatch
    )
    assert list(tmp_path.iterdir())
    assert is_as_before(mortal)


def test_scattered_rows_that_are_lost(mortal, tmp_path, monkeypatch):
    rows = scattered(mortal)
    model = fitted(mortal, "lbfgs", rows)
    before = vars(model).copy()
    # what one of them holds the other one may have, too
    Evaluations(monkeypatch, MIDDLE, lambda kernel: KillsOnce(kernel, tmp_path, 2))
    with pytest.raises(RuntimeError, match="rows were lost with the worker that held them"):
        model.fit(*rows)
    assert vars(model) == before
    del rows
    assert is_as_before(mortal)


@pytest.mark.slow
@pytest.mark.parametrize("make_rows", [graphs, persisted, frames])
@pytest.mark.parametrize("solver", SOLVERS)
def test_both_workers_killed_in_an_evaluation(solver, make_rows, tmp_path, monkeypatch):
    with mortal_cluster() as client:
        assert_same_in_spite_of(
            lambda kernel: KillsOnce(kernel, tmp_path, 2), client, solver, make_rows, monkeypatch
        )
        assert len(list(tmp_path.iterdir())) == 2
        assert is_as_before(client)


@pytest.mark.slow
@pytest.mark.parametrize("make_rows", [graphs, persisted, frames])
@pytest.mark.parametrize("function", ["describe", "convert"])
def test_a_worker_killed_while_rows_are_read(function, make_rows, mortal, tmp_path, monkeypatch):
    rows = make_rows(mortal)
    expected = learnt(fitted(mortal, "lbfgs", rows))
    kills = KillsOnce(getattr(conversion, function), tmp_path)
    monkeypatch.setattr(conversion, function, kills)
    found = learnt(fitted(mortal, "lbfgs", rows))
    assert list(tmp_path.iterdir())
    assert_array_equal(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("function", ["describe", "convert"])
def test_scattered_rows_lost_while_they_are_read(function, mortal, tmp_path, monkeypatch):
    rows = scattered(mortal)
    monkeypatch.setattr(conversion, function, KillsOnce(getattr(conversion, function), tmp_path, 2))
    with pytest.raises(RuntimeError, match="rows were lost"):
        fitted(mortal, "lbfgs", rows)


@pytest.mark.slow
@pytest.mark.parametrize("solver", SOLVERS)
def test_workers_that_retire_and_come(solver, monkeypatch):
    with mortal_cluster() as client:
        monkeypatch.setattr(partitions, "LOOK_EVERY", 0.0)

        def retire(kernel):
            client.retire_workers([min(client.nthreads())])
            return kernel

        def gain(kernel):
            client.cluster.scale(3)
            client.wait_for_workers(3)
            return kernel

        for fault in (gain, retire):
            assert_same_in_spite_of(fault, client, solver, graphs, monkeypatch)
        assert is_as_before(client)


def block(number):
    return np.full(100_000, float(number))


def on_one_worker(client, n=6, **options):
    options = {"workers": [min(client.nthreads())], "pure": False, **options}
    futures = [client.submit(block, k, **options) for k in range(n)]
    return Partitions(client, futures)._settled()


def sum_of(partition):
    return partition.sum()


def held(client, found):
    """How many partitions each worker holds."""
    holders = [min(who) for who in client.who_has(found.futures).values()]
    return sorted(holders.count(worker) for worker in client.nthreads())


def test_idle_workers_get_a_share(client):
    found = on_one_worker(client)
    try:
        assert held(client, found) == [0, 6]
        assert found.reduce(sum_of, np.add) == 15e5
        assert held(client, found) == [3, 3]
    finally:
        found.release()
    assert is_as_before(client)


@pytest.mark.slow
def test_a_worker_that_is_back_gets_a_share(monkeypatch):
    monkeypatch.setattr(partitions, "LOOK_EVERY", 0.0)
    with mortal_cluster() as client:
        found = on_one_worker(client, allow_other_workers=True)
        found.reduce(sum_of, np.add)
        address = min(client.nthreads())
        with pytest.raises(Exception, match=r".*"):
            client.run(kill_self, workers=[address])
        assert found.reduce(sum_of, np.add) == 15e5
        client.wait_for_workers(2)
        assert found.reduce(sum_of, np.add) == 15e5
        assert held(client, found) == [3, 3]


def kill_self():
    import os

    os.kill(os.getpid(), signal.SIGKILL)


def interrupt_soon(kernel):
    """A kernel that lasts, while a signal comes as that of a user who has seen enough."""
    main = threading.main_thread().ident
    threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGINT)).start()
    return Sleeps(kernel)


def interrupt_now(kernel):
    raise KeyboardInterrupt


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (interrupt_soon, KeyboardInterrupt),
        (interrupt_now, KeyboardInterrupt),
        (Fails, ArithmeticError),
    ],
)
def test_what_ends_before_its_end_leaves_nothing(fault, error, solver, client, monkeypatch):
    rows = graphs()
    model = fitted(client, "lm", rows)
    assert is_as_before(client)
    model.set_params(**SOLVERS[solver])
    before = vars(model).copy()
    Evaluations(monkeypatch, MIDDLE, fault)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(error, match=None if error is KeyboardInterrupt else "has failed"):
            model.fit(*rows)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert vars(model) == before
    assert is_as_before(client)
