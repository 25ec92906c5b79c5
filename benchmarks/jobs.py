"""Measurements that are not one fit against another: each prints what it found and returns it.

To add one: write it, add one line to ``JOBS``.
"""

import time
import tracemalloc
import warnings
from functools import partial

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from problems import PROBLEMS
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor


def seconds_of(work):
    """Wall-clock seconds, unconverged fits being what is wanted."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        work()
    return time.perf_counter() - start


def alternate(contenders, repeats):
    """Median seconds of each, taken in turns so that a drift of the machine meets all."""
    seconds = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, work in contenders.items():
            seconds[name].append(seconds_of(work))
    return {name: float(np.median(values)) for name, values in seconds.items()}


def lbfgs(repeats):
    """200 iterations of L-BFGS on digits."""
    X, y = load_digits(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    common = {"solver": "lbfgs", "max_iter": 200, "alpha": 1e-4, "random_state": 0, "tol": 0}
    ours = TwoLayerClassifier(
        100, standardize=False, n_iter_no_change=10**6, store_posterior=False, **common
    )
    theirs = MLPClassifier((100,), **common)
    with threadpool_limits(1):
        found = alternate(
            {"ours": lambda: ours.fit(X, y), "scikit-learn": lambda: theirs.fit(X, y)}, repeats
        )
    found |= {"iterations": [ours.n_iter_, theirs.n_iter_]}
    found["per iteration, ratio"] = (found["scikit-learn"] / theirs.n_iter_) / (
        found["ours"] / ours.n_iter_
    )
    return found


def tuning(repeats):
    """GridSearchCV, 12 candidates x 5 folds on breast cancer, the user's own BLAS threads."""
    X, y = load_breast_cancer(return_X_y=True)
    ours = {"hidden_size": [25, 50, 100], "alpha": [0.1, 1, 10, 100]}
    theirs = {
        "mlpclassifier__hidden_layer_sizes": [(25,), (50,), (100,)],
        "mlpclassifier__alpha": [1e-4, 1e-2, 1, 10],
    }
    scaled = make_pipeline(StandardScaler(), MLPClassifier(random_state=0, max_iter=1000))
    found = {}
    for n_jobs in (1, 2):
        searches = {
            "ours": GridSearchCV(TwoLayerClassifier(random_state=0), ours, n_jobs=n_jobs),
            "scikit-learn": GridSearchCV(scaled, theirs, n_jobs=n_jobs),
        }
        times = alternate({k: partial(s.fit, X, y) for k, s in searches.items()}, repeats)
        found[f"n_jobs={n_jobs}"] = times | {
            "best scores": [float(s.best_score_) for s in searches.values()],
            "ratio": times["scikit-learn"] / times["ours"],
        }
    return found


def quality(repeats):
    """Seconds until the validation log-loss of scikit-learn's default fit is reached."""
    found = {}
    for name in ("1797 x 64", "10k x 784"):
        X, y = PROBLEMS[name].data()
        X, X_val, y, y_val = train_test_split(X, y, random_state=0, stratify=y)
        with threadpool_limits(1):
            theirs = MLPClassifier(random_state=0)
            slow = alternate({"fit": partial(theirs.fit, X, y)}, repeats)["fit"]
            target = log_loss(y_val, theirs.predict_proba(X_val))
            fast = [_seconds_until(target, X, y, X_val, y_val) for _ in range(repeats)]
        found[name] = {
            "validation log-loss": float(target),
            "scikit-learn": slow,
            "ours": float(np.median(fast)),
            "ratio": float(slow / np.median(fast)),
        }
    return found


class _Reached(Exception):
    """The target was reached; it carries the seconds."""


def _seconds_until(target, X, y, X_val, y_val):
    """Seconds of training; looking whether it is good enough, which nobody else does, is free."""
    start, looking = time.perf_counter(), 0.0

    def watch(estimator, X, y):
        nonlocal looking
        looked = time.perf_counter()
        loss = log_loss(y, estimator.predict_proba(X))
        if loss <= target:
            raise _Reached(looked - start - looking)
        looking += time.perf_counter() - looked
        return -loss

    estimator = TwoLayerClassifier(random_state=0, scoring=watch)
    try:
        estimator.fit(X, y, X_val=X_val, y_val=y_val)
    except _Reached as reached:
        return reached.args[0]
    return np.inf


def growth(repeats):
    """Log-log slope of the seconds against rows, hidden units and epochs."""
    random_state = np.random.RandomState(0)
    X = random_state.standard_normal((100_000, 100))
    y = random_state.standard_normal(100_000)

    def fit(n_rows=10_000, hidden_size=100, epochs=3):
        estimator = TwoLayerRegressor(
            hidden_size,
            solver="adam",
            dtype="float64",
            max_iter=epochs,
            tol=0,
            batch_size=500,
            standardize=False,
        )
        return seconds_of(lambda: estimator.fit(X[:n_rows], y[:n_rows]))

    found = {}
    steps = np.array([1, 3, 10, 30, 100])
    with threadpool_limits(1):
        # sizes at which the products dominate
        for name, (fixed, sizes) in {
            "n_rows": ({}, 1000 * steps),
            "hidden_size": ({"n_rows": 2000}, 50 * steps),
            "epochs": ({"n_rows": 2000}, 3 * steps),
        }.items():
            seconds = [
                np.median([fit(**fixed, **{name: int(s)}) for _ in range(repeats)]) for s in sizes
            ]
            slope = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
            found[name] = {"seconds": [round(float(s), 4) for s in seconds], "slope": float(slope)}
    return found


def memory(repeats):
    """Peak memory a fit asks for beyond its data, in MB, as tracemalloc sees arrays."""
    found = {}
    for n_rows in (100_000, 200_000):  # smaller ones are copied, which is faster
        for hidden_size in (100, 400):
            found[f"{n_rows} rows, hidden {hidden_size}"] = _peak(n_rows, hidden_size)
    return found


def _peak(n_rows, hidden_size):
    random_state = np.random.RandomState(0)
    X, y = random_state.standard_normal((n_rows, 100)), random_state.standard_normal(n_rows)
    model = TwoLayerRegressor(
        hidden_size, solver="adam", dtype="float64", max_iter=2, standardize=False
    )
    tracemalloc.start()
    try:
        seconds_of(lambda: model.fit(X, y))
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def repeatability(repeats):
    """Same seed, same bits; other thread counts, the same up to rounding."""
    X, y = PROBLEMS["1797 x 64"].data()

    def weights(threads):
        with threadpool_limits(threads):
            model = TwoLayerClassifier(solver="adam", max_iter=5, random_state=0, tol=0)
            seconds_of(lambda: model.fit(X, y))
        return model.coefs_[0]

    first, again, threaded = weights(1), weights(1), weights(2)
    return {
        "same bits": bool(np.array_equal(first, again)),
        "two threads differ by": float(np.abs(first - threaded).max()),
    }


JOBS = {
    "L-BFGS, 200 iterations on digits": lbfgs,
    "tuning": tuning,
    "time to quality": quality,
    "growth": growth,
    "memory": memory,
    "repeatability": repeatability,
}
QUICK_JOBS = ("L-BFGS, 200 iterations on digits", "repeatability")
