"""What an evaluation costs where rows live in Dask partitions, beside the same one in this process.

    python benchmarks/cluster.py                   # 4 million x 30 in float32: ten minutes
    python benchmarks/cluster.py --rows 400000     # smaller

Both sums, of the loss and its gradient over all rows, are taken in turns, on one BLAS thread each;
medians count, and what is told are ratios within one run. A second part has hardly any rows, and
tells what a round trip costs by itself.
"""

import argparse
import time
from functools import partial
from statistics import median

import dask
import numpy as np
from dask.distributed import Client, LocalCluster
from threadpoolctl import threadpool_limits

from sklearn_twolayer import TwoLayerRegressor, engine
from sklearn_twolayer.distributed.partition import Partition
from sklearn_twolayer.distributed.partitions import Partitions
from sklearn_twolayer.distributed.rows import DaskRows

PARTITIONS = 16


def rows_of(number, n_rows, n_columns):
    """One partition, the same wherever it is made."""
    random_state = np.random.RandomState(number)
    X = random_state.standard_normal((n_rows, n_columns)).astype(np.float32)
    Y = np.sin(X[:, :1]) + X[:, 1:2] * X[:, 2:3] + random_state.standard_normal((n_rows, 1))
    return Partition(X, Y, None)


def parts(n_rows, n_columns):
    """What makes each partition."""
    return [dask.delayed(rows_of)(k, n_rows // PARTITIONS, n_columns) for k in range(PARTITIONS)]


def form_and_moments(n_columns):
    """Rows in the units they are in, in single precision."""
    Y = engine.Moments(np.zeros(1), np.ones(1))
    return engine.RowFormat(None, "float32", 600, None, np.zeros(n_columns)), Y


def network(n_columns, n_hidden):
    """A network for a squared error, and its weights."""
    task = TwoLayerRegressor(n_hidden, solver="lbfgs", alpha=1.0, encoding="linear")._task(
        np.eye(n_columns, dtype=np.float32), np.arange(n_columns), None, None
    )
    plan = engine.make_plan(task)
    theta = 0.1 * np.random.RandomState(0).standard_normal(plan.shape.size)
    return plan.network(), theta.astype(np.float32)


def seconds(evaluate):
    """Of one call."""
    began = time.perf_counter()
    evaluate()
    return time.perf_counter() - began


def compare(client, n_rows, n_columns, units, repeats):
    """Seconds of an evaluation here and there, for each number of units."""
    form, moments = form_and_moments(n_columns)
    here = [rows_of(k, n_rows // PARTITIONS, n_columns) for k in range(PARTITIONS)]
    X, Y = (np.concatenate([getattr(part, name) for part in here]) for name in "XY")
    local = form.rows(X, Y, None)
    raw = Partitions.compute(client, parts(n_rows, n_columns))
    rows = DaskRows(raw, [n_rows // PARTITIONS] * PARTITIONS, form, moments)
    raw.release()
    for n_hidden in units:
        net, theta = network(n_columns, n_hidden)
        kernel = net.loss_gradient
        (loss, gradient), (of_dask, other) = local.reduce(kernel, theta), rows.reduce(kernel, theta)
        # sums of four million numbers in single precision differ by their order
        assert abs(loss - of_dask) <= 1e-5 * abs(loss)
        assert np.abs(gradient - other).max() <= 1e-2 * np.abs(gradient).max()
        both = [partial(each.reduce, kernel, theta) for each in (local, rows)]
        pairs = [tuple(map(seconds, both)) for _ in range(repeats)]
        ratio = median(there / here for here, there in pairs)
        here, there = (median(times) for times in zip(*pairs, strict=True))
        print(
            f"{n_rows:>9,} x {n_columns}, {n_hidden:>3} units: {here:.3f} s here, {there:.3f} s "
            f"there, ratio {ratio:.2f}",
            flush=True,
        )
    rows.release()


def overhead(client, n_columns, n_hidden, repeats=100):
    """Milliseconds of a round trip that computes next to nothing."""
    form, moments = form_and_moments(n_columns)
    raw = Partitions.compute(client, parts(10 * PARTITIONS, n_columns))
    rows = DaskRows(raw, [10] * PARTITIONS, form, moments)
    net, theta = network(n_columns, n_hidden)
    times = [seconds(lambda: rows.reduce(net.loss_gradient, theta)) for _ in range(repeats)]
    print(
        f"round trip, {len(theta):,} parameters: median {1e3 * median(times):.1f} ms, least "
        f"{1e3 * min(times):.1f} ms"
    )
    rows.release()
    raw.release()


def main():
    """All of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--columns", type=int, default=30)
    parser.add_argument("--units", type=int, nargs="+", default=[20, 50, 100])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    options = {"n_workers": asked.workers, "threads_per_worker": 1, "dashboard_address": ":0"}
    with threadpool_limits(1), LocalCluster(**options) as cluster, Client(cluster) as client:
        for n_hidden in asked.units:
            overhead(client, asked.columns, n_hidden)
        compare(client, asked.rows, asked.columns, asked.units, asked.repeats)


if __name__ == "__main__":
    main()
