"""Clusters whose workers may be killed, and kernels that kill them or fail during a fit."""

import contextlib
import os
import signal
import time
import warnings

import dask
import numpy as np
import pandas as pd
from dask import array as da
from dask import dataframe as dd
from distributed import Client, LocalCluster

from sklearn_twolayer.distributed.rows import DaskRows

RNG = np.random.RandomState(0)
X = RNG.randn(400, 4)
Y = np.sin(X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * RNG.randn(400)
SIZES = (90, 110, 0, 70, 130)
"""Rows of partitions."""

SOLVERS = {
    "lbfgs": {"solver": "lbfgs", "max_iter": 25, "tol": 0.0},
    "lm": {"solver": "lm", "hidden_size": 4, "max_iter": 15},
    "adam": {"solver": "adam", "max_iter": 3, "tol": 0.0, "batch_size": 50},
}


@contextlib.contextmanager
def mortal_cluster(n_workers=2, **options):
    """A client of a cluster that waits long for workers that it starts anew."""
    settings = {"distributed.deploy.lost-worker-timeout": "5 minutes"}
    options = {"threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": 50, **options}
    with warnings.catch_warnings(), dask.config.set(settings):
        warnings.simplefilter("ignore", ResourceWarning)
        with (
            LocalCluster(n_workers=n_workers, processes=True, **options) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            yield client


def graphs(client=None):
    """X and y that are computed from a graph."""
    return da.from_array(X, chunks=(SIZES, 4)), da.from_array(Y, chunks=(SIZES,))


def persisted(client):
    return client.persist(list(graphs()))


def frames(client=None):
    return tuple(dd.from_pandas(part, npartitions=4) for part in (pd.DataFrame(X), pd.Series(Y)))


def scattered(client):
    """The same from futures that nothing can compute anew."""
    ends = np.cumsum(SIZES)
    parts = [slice(end - size, end) for end, size in zip(ends, SIZES, strict=True)]
    return tuple(
        da.concatenate(
            [
                da.from_delayed(client.scatter(A[part], hash=False), A[part].shape, float)
                for part in parts
            ]
        )
        for A in (X, Y)
    )


class KillsOnce:
    """A function whose first calls each kill the process that they are in, one for each flag."""

    def __init__(self, function, path, n_kills=1):
        self.function = function
        self.flags = [os.fspath(path / f"killed-{k}") for k in range(n_kills)]

    def __call__(self, *arguments):
        for flag in self.flags:
            with contextlib.suppress(FileExistsError):
                os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
                os.kill(os.getpid(), signal.SIGKILL)
        return self.function(*arguments)


class Fails:
    def __init__(self, function):
        self.function = function

    def __call__(self, *arguments):
        raise ArithmeticError("the kernel has failed")


class Sleeps:
    def __init__(self, function):
        self.function = function

    def __call__(self, *arguments):
        time.sleep(0.3)
        return self.function(*arguments)


class Evaluations:
    """Counts what rows are asked for sums; `change` makes another kernel of that of one of them."""

    def __init__(self, monkeypatch, number=None, change=None):
        self.n, self.number, self.change = 0, number, change
        reduce, reduce_batch = DaskRows.reduce, DaskRows.reduce_batch
        monkeypatch.setattr(
            DaskRows, "reduce", lambda rows, kernel, *rest: reduce(rows, self.next(kernel), *rest)
        )
        monkeypatch.setattr(
            DaskRows,
            "reduce_batch",
            lambda rows, kernel, *rest: reduce_batch(rows, self.next(kernel), *rest),
        )

    def next(self, kernel):
        self.n += 1
        return self.change(kernel) if self.n == self.number else kernel


def n_keys(client):
    return client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))


def n_held(client):
    """Of values that workers hold."""
    return sum(client.run(lambda dask_worker: len(dask_worker.data)).values())


def n_running(client):
    return sum(map(len, client.processing().values()))


def waits_for(found, expected, seconds=60):
    """Whether it comes to that: what a client lets go of goes when the scheduler hears of it."""
    end = time.monotonic() + seconds
    while found() != expected and time.monotonic() < end:
        time.sleep(0.02)
    return found() == expected


def is_as_before(client, keys=0):
    """Whether there are so many keys, and nothing that runs."""
    return waits_for(lambda: (n_keys(client), n_held(client), n_running(client)), (keys, keys, 0))
