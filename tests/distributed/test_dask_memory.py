"""What fits leave in the memory of workers, and tables that are larger than all of it together."""

import os
import shutil
import threading
import time

import numpy as np
import pytest
from mortal import SOLVERS, graphs, is_as_before, mortal_cluster

from sklearn_twolayer.distributed import DaskTwoLayerClassifier, DaskTwoLayerRegressor

psutil = pytest.importorskip("psutil")
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

MB = 1e6


def resident(client):
    """The largest resident memory of a worker, in MB."""
    return max(client.run(lambda: psutil.Process().memory_info().rss / MB).values())


def fit_and_predict(client, options):
    A, b = graphs()
    model = DaskTwoLayerRegressor(**options, random_state=0, client=client).fit(A, b)
    assert np.isfinite(client.compute(model.predict(A)).result()).all()
    assert np.isfinite(model.score(A, b))


@pytest.mark.parametrize("solver", SOLVERS)
def test_ten_fits_leave_nothing(solver, client):
    options = SOLVERS[solver] | {"max_iter": 3}
    fit_and_predict(client, options)
    assert is_as_before(client)
    before = resident(client)
    for _ in range(10):
        fit_and_predict(client, options)
        assert is_as_before(client)
    assert resident(client) < before + 20


N_COLUMNS, N_ROWS = 30, 200_000
"""Of a partition in single precision, 25 MB."""


def write_table(folder, n_partitions):
    """Files of Parquet, a partition each."""
    import pyarrow
    from pyarrow import parquet

    for number in range(n_partitions):
        rng = np.random.default_rng(number)
        X = rng.standard_normal((N_ROWS, N_COLUMNS), dtype=np.float32)
        y = np.sin(X[:, 0]) + X[:, 1] * X[:, 2] + X[:, 3] + 0.1 * X[:, 4]
        columns = {f"c{k}": X[:, k] for k in range(N_COLUMNS)}
        parquet.write_table(
            pyarrow.table(columns | {"y": y}),
            folder / f"part-{number:04}.parquet",
            compression="none",
            use_dictionary=False,
            row_group_size=N_ROWS,
        )


class Peaks:
    """The largest resident memory of this process and of those of workers, in MB, meanwhile."""

    def __init__(self, client):
        self.workers = [psutil.Process(pid) for pid in client.run(os.getpid).values()]
        self.here, self.of_worker, self.ends = 0.0, 0.0, threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.ends.wait(0.1):
            self.here = max(self.here, psutil.Process().memory_info().rss / MB)
            for worker in self.workers:
                self.of_worker = max(self.of_worker, worker.memory_info().rss / MB)

    def __exit__(self, *error):
        self.ends.set()
        self.thread.join()
        for worker in self.workers:
            assert worker.is_running()  # the same as in the beginning


def fit_table(client, model, folder, n_partitions):
    """Peaks of memory of a fit to so many files, and of its predictions."""
    import dask.dataframe as dd

    files = sorted(folder.iterdir())[:n_partitions]
    table = dd.read_parquet([os.fspath(file) for file in files])
    assert table.npartitions == n_partitions
    X, y = table.drop(columns="y"), table["y"]
    if isinstance(model, DaskTwoLayerClassifier):
        y = y > 0
    began = time.monotonic()
    with Peaks(client) as peaks:
        model.fit(X, y)
        ended = time.monotonic()
        mean = client.compute(model.predict(X).mean()).result()
        score = model.score(X, y)
    seconds = ended - began, time.monotonic() - ended
    print(n_partitions, model, peaks.here, peaks.of_worker, *seconds, mean, score)
    assert np.isfinite(mean)
    assert score > 0
    return peaks


@pytest.mark.slow
def test_a_table_larger_than_the_memory_of_all_workers(tmp_path):
    pytest.importorskip("pyarrow")
    folder, spilled = tmp_path / "table", tmp_path / "spilled"
    folder.mkdir()
    spilled.mkdir()
    try:
        write_table(folder, 121)
        assert sum(file.stat().st_size for file in folder.iterdir()) > 3e9
        with mortal_cluster(memory_limit="700MB", local_directory=spilled) as client:
            options = {"hidden_size": 20, "random_state": 0, "tol": 0.0, "client": client}
            of_steps = DaskTwoLayerClassifier(
                solver="adam", max_iter=1, batch_size=100_000, **options
            )
            of_sums = DaskTwoLayerRegressor(solver="lbfgs", max_iter=3, **options)
            for model in (of_steps, of_sums):
                small = fit_table(client, model, folder, 20)
                large = fit_table(client, model, folder, 121)
                assert large.here < small.here + 40
                assert large.of_worker < 700
                assert is_as_before(client)
    finally:
        shutil.rmtree(folder)
        shutil.rmtree(spilled)
