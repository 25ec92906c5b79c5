"""The demonstration: ``python -m sklearn_twolayer``.

Cross-validates both estimators, as they come, on the raw columns of the real tables that
scikit-learn bundles, beside its MLP and its linear models; then watches the smallest network
learn XOR.
"""

import argparse
import sys
import time
import warnings
from importlib.util import find_spec

import numpy as np
from sklearn import datasets
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold, cross_validate
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from . import LossCurveDisplay, TwoLayerClassifier, TwoLayerRegressor, __version__, engine

TABLES = {
    "breast cancer": (datasets.load_breast_cancer, "classification"),
    "digits": (datasets.load_digits, "classification"),
    "wine": (datasets.load_wine, "classification"),
    "diabetes": (datasets.load_diabetes, "regression"),
}
CONTENDERS = {
    "classification": {
        "TwoLayerClassifier": TwoLayerClassifier(random_state=0),
        "MLPClassifier": MLPClassifier(random_state=0),
        "scaler + MLPClassifier": make_pipeline(StandardScaler(), MLPClassifier(random_state=0)),
        "LogisticRegression": LogisticRegression(),
    },
    "regression": {
        "TwoLayerRegressor": TwoLayerRegressor(random_state=0),
        "MLPRegressor": MLPRegressor(random_state=0),
        "scaler + MLPRegressor": make_pipeline(StandardScaler(), MLPRegressor(random_state=0)),
        "LinearRegression": LinearRegression(),
    },
}
EPOCHS = 10_000


def cross_validate_all():
    """Print the table row by row; return a fitted estimator of ours for each table."""
    print(
        "5-fold cross-validation on raw columns: accuracy or R2, and seconds for all folds,"
        " one BLAS thread\n"
    )
    print(f"{'table':14s} {'estimator':24s} {'score':>7s} {'seconds':>8s} {'warnings':>9s}")
    ours = {}
    for table, (load, task) in TABLES.items():
        X, y = load(return_X_y=True)
        split = StratifiedKFold if task == "classification" else KFold
        folds = split(5, shuffle=True, random_state=0)
        for name, estimator in CONTENDERS[task].items():
            _progress(f"fitting {name} to {table} ...")
            start = time.perf_counter()
            with warnings.catch_warnings(record=True) as raised:
                warnings.simplefilter("always")
                result = cross_validate(estimator, X, y, cv=folds, return_estimator=True)
            seconds = time.perf_counter() - start
            _progress("")
            score = result["test_score"].mean()
            print(
                f"{table:14s} {name:24s} {score:7.3f} {seconds:8.2f} {len(raised):9d}", flush=True
            )
            if name.startswith("TwoLayer"):
                ours[table] = result["estimator"][0]
    return ours


def learn_xor():
    """The smallest network, by plain gradient descent; return its losses."""
    X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    Y = np.array([[0.0], [1.0], [1.0], [0.0]])
    print(f"\nXOR by full-batch gradient descent: 2 inputs, 2 hidden units, {EPOCHS} epochs\n")
    settings = engine.Settings(
        hidden_size=2,
        initializer="standard_normal",
        solver="sgd",
        momentum=0,
        batch_size=len(X),
        learning_rate_init=0.03,
        alpha=0,
        max_iter=EPOCHS,
        n_iter_no_change=EPOCHS,
        standardize=False,
    )
    loss = engine.LOSSES["binary_log_loss"]
    watcher = engine.EachIteration(_every_thousandth)
    task = engine.Task(X, Y, None, 1, loss, settings, watcher=watcher)
    fitted = engine.fit(engine.make_plan(task), np.random.RandomState(0))
    raw = engine.raw_prediction(fitted.coefs, fitted.intercepts, engine.ACTIVATIONS["relu"], X)
    for (a, b), z in zip(X, raw[:, 0], strict=True):
        print(f"{a:.0f} xor {b:.0f}: probability {1 / (1 + np.exp(-z)):.3f}")
    return fitted.monitor.loss_curve


def _every_thousandth(progress):
    if progress.iteration in (1, 100) or progress.iteration % 1000 == 0:
        print(f"epoch {progress.iteration:6d}  loss {progress.loss:.6f}", flush=True)


def _progress(text):
    """A line that is overwritten, where somebody is watching."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def main():
    """Run the demonstration."""
    about = __doc__.partition("\n\n")[2]
    parser = argparse.ArgumentParser(prog="python -m sklearn_twolayer", description=about)
    parser.add_argument("--plot", metavar="FILE.png", help="draw the loss curves into this file")
    parser.add_argument("--version", action="version", version=f"sklearn-twolayer {__version__}")
    arguments = parser.parse_args()
    if arguments.plot and find_spec("matplotlib") is None:
        parser.error("--plot needs matplotlib: pip install matplotlib")
    # one BLAS thread for everybody: these tables are too small for two
    with threadpool_limits(1, user_api="blas"):
        curves = {name: estimator.loss_curve_ for name, estimator in cross_validate_all().items()}
    curves["XOR"] = learn_xor()
    if arguments.plot:
        display = LossCurveDisplay(loss_curves=list(curves.values()), names=list(curves)).plot()
        display.ax_.set_xscale("log")
        display.figure_.savefig(arguments.plot, dpi=150)
        print(f"\nloss curves drawn into {arguments.plot}")


if __name__ == "__main__":
    main()
