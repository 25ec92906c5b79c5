"""Where the time of one step goes: ``python benchmarks/step.py`` prints a table of shares.

Each part of a mini-batch step of Adam is run by itself on the problem's own rows, one BLAS
thread; `rest` is what the whole step takes beyond them.
"""

import time

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from problems import PROBLEMS
from sklearn_twolayer.engine.data.moments import moments, no_moments
from sklearn_twolayer.engine.data.rows import ArrayRows
from sklearn_twolayer.engine.data.scaling import Scaling
from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.losses import LOSSES
from sklearn_twolayer.engine.model.network import Network, block_size
from sklearn_twolayer.engine.model.parameters import Shape
from sklearn_twolayer.engine.settings import Settings
from sklearn_twolayer.engine.solvers.objective import Objective
from sklearn_twolayer.engine.solvers.optimizers import OPTIMIZERS

PARTS = ("product", "loss", "activation and slope", "update", "gather", "rest")


def seconds_of(work, repeats):
    """Median seconds of one call; the first one does not count."""
    found = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return float(np.median(found[1:]))


def prepared(problem, dtype):
    """The objective of the problem and a batch of random rows."""
    X, y = problem.data()
    loss, Y, n_outputs = LOSSES["squared_error"], y, 1
    if problem.task == "classification":
        n_outputs = len(np.unique(y))
        n_outputs, loss = (1, "binary_log_loss") if n_outputs == 2 else (n_outputs, "log_loss")
        loss = LOSSES[loss]
    if not loss.labels:
        Y = np.asarray(y, dtype=float)[:, None]
    shape = Shape(X.shape[1], problem.hidden_size, n_outputs)
    scaling = Scaling(moments(X, None), no_moments(n_outputs), len(Y), len(Y))
    network = Network(shape, ACTIVATIONS["relu"], loss)
    units = scaling if problem.standardize else None
    rows = ArrayRows(X, Y, None, units, dtype, block_size(shape.width))
    index = np.random.RandomState(0).permutation(len(Y))[: problem.batch_size]
    return Objective(network, rows, 1e-4, len(Y), 1.0), index


def parts_of(objective, index, dtype, repeats):
    """Seconds of each part of a step, and of the whole."""
    network, rows = objective.network, objective.rows
    shape = network.shape
    n_parts = -(-len(index) // rows.block_size)
    index_of_part = index[: -(-len(index) // n_parts)]
    random_state = np.random.RandomState(0)
    theta = 0.1 * random_state.standard_normal(shape.size).astype(dtype)
    network.loss_gradient(theta, *rows.take(index_of_part)[:2], 1.0)
    b = network._buffers_for(len(index_of_part), theta.dtype)
    p, g = shape.views(theta), shape.views(np.empty_like(theta))
    X, Y, _ = rows.take(index_of_part)
    one_output = not sparse.issparse(rows.source.X) and shape.rows_are_cheaper_than_units(X.n_rows)

    def products():
        X.forward(p.layer1, b.Z1)
        np.dot(p.layer2.T, b.with_ones.T, out=b.Z2.T)
        np.dot(b.with_ones.T, b.D2, out=g.layer2)
        if one_output:
            X.times(b.D2).backward(b.A1, g.layer1)
        else:
            np.dot(p.W2, b.D2.T, out=b.D1.T)
            X.backward(b.D1, g.layer1)

    def activation():
        network.activation.value(b.Z1, b.A1)
        network.activation.slope(b.Z1, b.A1, b.A1)
        if not one_output:
            np.multiply(b.D1, b.A1, out=b.D1)

    adam, settings = OPTIMIZERS["adam"], Settings()
    state, gradient = adam.start(theta), np.full_like(theta, 1e-3)

    def step():
        _, gradient = objective.batch(theta, index)
        adam.update(theta, gradient, 1e-3, state, settings)

    found = {
        "product": n_parts * seconds_of(products, repeats),
        "loss": n_parts * seconds_of(lambda: network.loss.loss_gradient(b.Z2, Y, b.D2), repeats),
        "activation and slope": n_parts * seconds_of(activation, repeats),
        "gather": n_parts * seconds_of(lambda: rows.take(index_of_part), repeats),
        "update": seconds_of(lambda: adam.update(theta, gradient, 0.0, state, settings), repeats),
    }
    return found, seconds_of(step, repeats)


def main(repeats=200):
    """Print the table."""
    print("| problem | precision | step, ms | " + " | ".join(PARTS) + " |")
    print("|---" * (3 + len(PARTS)) + "|")
    for name, problem in PROBLEMS.items():
        for dtype in (np.float64, np.float32):
            objective, index = prepared(problem, dtype)
            with threadpool_limits(1), np.errstate(all="ignore"):
                n = repeats if not sparse.issparse(objective.rows.source.X) else repeats // 10
                found, whole = parts_of(objective, index, dtype, max(n, 2))
            found["rest"] = whole - sum(found.values())
            shares = " | ".join(f"{found[part] / whole:.0%}" for part in PARTS)
            precision = np.dtype(dtype).name
            print(f"| {name} | {precision} | {whole * 1e3:.2f} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
