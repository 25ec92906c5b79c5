"""Many rows: ``python benchmarks/large.py [--rows 100000] [--only NAME ...] [--json FILE]``.

Two generated problems of 20 columns, at least ten of them idle, with known noise. The untouched
estimator on raw columns against scikit-learn's MLP with standardised columns (and target), on a
fifth as many fresh rows. Seconds are the processor's, on one thread; the memory is the most that
fit asks for beyond its data, as tracemalloc sees arrays in a fit of its own; `best` is how the
truth scores.
"""

import argparse
import json
import sys
import time
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
from scipy.special import softmax
from sklearn.datasets import make_friedman1
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from accuracy import markdown, scaled_target
from run import machine
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

N_FEATURES = 20


def regression(n_rows):
    """Friedman's first function, noise 1, and the truth."""
    X, truth = make_friedman1(n_rows, N_FEATURES, noise=0.0, random_state=0)
    return X, truth + np.random.RandomState(1).standard_normal(n_rows), truth


def classification(n_rows):
    """Three classes with curved borders that overlap, and their true probabilities."""
    random_state = np.random.RandomState(0)
    X = random_state.standard_normal((n_rows, N_FEATURES))
    ring = np.sum(X[:, :4] ** 2, axis=1) - 4
    saddle = 2 * X[:, 4] * X[:, 5] + 2 * np.sin(2 * X[:, 6])
    line = X[:, 7] + X[:, 8] - X[:, 9]
    truth = softmax(2 * np.column_stack([ring, saddle, line]), axis=1)
    y = (np.cumsum(truth, axis=1) < random_state.uniform(size=(n_rows, 1))).sum(axis=1)
    return X, np.minimum(y, 2), truth


def regression_error(y, out):
    """RMSE over the standard deviation of the targets."""
    return float(np.sqrt(np.mean((y - out) ** 2)) / np.std(y))


def class_error(y, out):
    """Log-loss."""
    return float(log_loss(y, out, labels=np.arange(3)))


def contenders(task):
    """Ours and theirs, unfitted."""
    if task == "regression":
        mlp = scaled_target(MLPRegressor, random_state=0)
        ours = TwoLayerRegressor(random_state=0)
    else:
        mlp = MLPClassifier(random_state=0)
        ours = TwoLayerClassifier(random_state=0)
    return {"ours": ours, "MLP": make_pipeline(StandardScaler(), mlp)}


PROBLEMS = {
    "regression, nRMSE": ("regression", regression, regression_error),
    "classes, log-loss": ("classification", classification, class_error),
}


def measure(model, method, error, train, test):
    """Seconds, error, and the peak memory of a second fit."""
    start = time.process_time()
    model.fit(*train)
    seconds = time.process_time() - start
    start = time.process_time()
    out = getattr(model, method)(test[0])
    found = {"fit, s": seconds, "predict, s": time.process_time() - start}
    found["error"] = error(test[1], out)
    tracemalloc.start()
    try:
        model.fit(*train)
        found["peak, MB"] = tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
    return found


def run(name, n_rows):
    """What every contender does on one problem."""
    task, make, error = PROBLEMS[name]
    n_test = n_rows // 5
    X, y, truth = make(n_rows + n_test)
    train, test = (X[:n_rows], y[:n_rows]), (X[n_rows:], y[n_rows:])
    method = "predict" if task == "regression" else "predict_proba"
    found = {}
    for contender, model in contenders(task).items():
        print(f"{name}, {contender} ...", file=sys.stderr, flush=True)
        found[contender] = measure(model, method, error, train, test)
    found["best"] = {"error": error(test[1], truth[n_rows:])}
    return found


def main(arguments=None):
    """Measure, print the table and return its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="to learn from")
    parser.add_argument("--only", nargs="*", metavar="NAME", choices=PROBLEMS, default=PROBLEMS)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here")
    options = parser.parse_args(arguments)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = {name: run(name, options.rows) for name in options.only}
    keys = ("error", "fit, s", "predict, s", "peak, MB")
    rows = [
        [problem, who, *(scores.get(key) for key in keys)]
        for problem, row in found.items()
        for who, scores in row.items()
    ]
    print(markdown(["problem", "", *keys], rows))
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "problems": found}, indent=1))
    return found


if __name__ == "__main__":
    main()
