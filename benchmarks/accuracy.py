"""How good untouched estimators are: ``python benchmarks/accuracy.py [--data FOLDER]``.

Ours get raw columns; their peers, with scikit-learn's defaults, get standardised ones, and the MLP
a standardised target too. Everybody gets the same five shuffled folds. Errors are nRMSE, the
RMSE over that of predicting the training mean, and for classes the log-loss; means over tables and
ratios are geometric, errors below 0.001 counting as 0.001. Seconds are the processor's for five
fits and predictions, on one thread. Prints Markdown.
"""

import argparse
import json
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import tables
from run import machine
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

FLOOR = 1e-3
SD_OF_90_PERCENT = 1.645
OURS = "ours"


def scaled_target(regressor, **settings):
    """The regressor, fitted to a standardised target."""
    return TransformedTargetRegressor(regressor(**settings), transformer=StandardScaler())


MODELS = {
    "regression": {
        OURS: partial(TwoLayerRegressor, random_state=0),
        "ridge": Ridge,
        "forest": partial(RandomForestRegressor, random_state=0),
        "boosting": partial(HistGradientBoostingRegressor, random_state=0),
        "MLP": partial(scaled_target, MLPRegressor, random_state=0),
    },
    "classification": {
        OURS: partial(TwoLayerClassifier, random_state=0),
        "logistic": LogisticRegression,
        "forest": partial(RandomForestClassifier, random_state=0),
        "boosting": partial(HistGradientBoostingClassifier, random_state=0),
        "MLP": partial(MLPClassifier, random_state=0),
    },
}


def gives_deviations(model):
    """Whether the fitted model can say how sure it is: ours, if it keeps a posterior."""
    return getattr(model, "noise_variance_", None) is not None and model.store_posterior


def evaluate(make, table, scale):
    """What one model does on one table: errors, seconds, warnings, honesty."""
    folds, seconds, raised = [], 0.0, 0
    for train, test in table.folds():
        encoder = table.encoder(scale)
        A = encoder.fit_transform(table.X[train]).astype(float)
        B = encoder.transform(table.X[test]).astype(float)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            start = time.process_time()
            model = make().fit(A, table.y[train])
            out = model.predict(B) if table.task == "regression" else model.predict_proba(B)
            seconds += time.process_time() - start
            deviation = None
            if table.task == "regression" and gives_deviations(model):
                deviation = model.predict(B, return_std=True)[1]
        raised += len(caught)
        folds.append((table.y[train], table.y[test], out, deviation))
    scores = (regression_scores if table.task == "regression" else class_scores)(folds)
    return scores | {"seconds": seconds, "warnings": raised}


def regression_scores(folds):
    """The nRMSE, and where there are deviations the part of targets in 90 % intervals."""
    ours = np.mean([np.mean((out - y) ** 2) for _, y, out, _ in folds])
    null = np.mean([np.mean((past.mean() - y) ** 2) for past, y, _, _ in folds])
    scores = {"error": float(np.sqrt(ours / null)), "null": 1.0}
    if all(fold[3] is not None for fold in folds):
        hits = [np.abs(out - y) <= SD_OF_90_PERCENT * sd for _, y, out, sd in folds]
        scores["coverage"] = float(np.mean(np.concatenate(hits)))
    return scores


def class_scores(folds):
    """Log-loss, that of the training frequencies, and the calibration error of all folds."""
    labels = np.arange(folds[0][2].shape[1])
    ours, null = [], []
    for past, y, out, _ in folds:
        prior = np.bincount(past, minlength=len(labels)) / len(past)
        ours.append(log_loss(y, out, labels=labels))
        null.append(log_loss(y, np.tile(prior, (len(y), 1)), labels=labels))
    y, probability = (np.concatenate([fold[part] for fold in folds]) for part in (1, 2))
    return {
        "error": float(np.mean(ours)),
        "null": float(np.mean(null)),
        "calibration": calibration_error(y, probability),
    }


def calibration_error(y, probability, n_bins=10):
    """Mean gap between the top probability and how often it is right, in bins of equal width."""
    top = probability.max(axis=1)
    gap = (probability.argmax(axis=1) == y) - top
    bins = np.minimum((top * n_bins).astype(int), n_bins - 1)
    return float(np.abs(np.bincount(bins, gap)).sum() / len(y))


def geometric_mean(values):
    """That of positive values, those below ``FLOOR`` counting as it."""
    return float(np.exp(np.mean(np.log(np.maximum(values, FLOOR)))))


def summary(results):
    """Over all tables of a task, by model: means, ratios to ours, the worst case, totals."""
    found = {}
    ours = geometric_mean([row[OURS]["error"] for row in results.values()])
    for name in next(iter(results.values())):
        scores = [row[name] for row in results.values()]
        error = geometric_mean([s["error"] for s in scores])
        found[name] = {
            "error": error,
            "ours / theirs": ours / error,
            "worst / null": max(s["error"] / s["null"] for s in scores),
            "seconds": sum(s["seconds"] for s in scores),
            "warnings": sum(s["warnings"] for s in scores),
        }
        for key in ("coverage", "calibration"):
            known = [s[key] for s in scores if key in s]
            if known:
                found[name][key] = float(np.mean(known))
    return found


def markdown(header, rows):
    """A Markdown table; numbers with three decimals, None an empty cell."""
    cells = [header, ["---"] * len(header), *([_cell(value) for value in row] for row in rows)]
    return "\n".join("| " + " | ".join(row) + " |" for row in cells)


def _cell(value):
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


ROWS = {
    "geometric mean": "error",
    "ours / theirs": "ours / theirs",
    "worst / null": "worst / null",
    "seconds": "seconds",
    "mean coverage": "coverage",
    "mean calibration error": "calibration",
}


def report(task, results, sizes):
    """Print the tables of a task."""
    names = list(MODELS[task])
    regression = task == "regression"
    print(f"\n### {'Regression: nRMSE' if regression else 'Classes: log-loss'}\n")
    rows = [
        [table, sizes[table], *(row[name]["error"] for name in names)]
        + [row[OURS].get("coverage")] * regression
        for table, row in results.items()
    ]
    header = ["table", "size", *names] + ["coverage of 90 %"] * regression
    print(markdown(header, rows))
    if not regression:
        rows = [[t, *(row[name]["calibration"] for name in names)] for t, row in results.items()]
        print("\n" + markdown(["calibration error", *names], rows))
    totals = summary(results)
    rows = [[title, *(totals[name].get(key) for name in names)] for title, key in ROWS.items()]
    rows = [row for row in rows if any(value is not None for value in row[1:])]
    print("\n" + markdown(["over all tables", *names], rows))
    print(f"\nWarnings of ours: {totals[OURS]['warnings']}.", flush=True)


def measure(some_tables):
    """Results by task, table and model, and the sizes of the tables."""
    results, sizes = {task: {} for task in MODELS}, {}
    with threadpool_limits(1):
        for table in some_tables:
            print(f"{table.name} ...", file=sys.stderr, flush=True)
            sizes[table.name] = " x ".join(map(str, table.X.shape))
            results[table.task][table.name] = {
                name: evaluate(make, table, scale=name != OURS)
                for name, make in MODELS[table.task].items()
            }
    return {task: found for task, found in results.items() if found}, sizes


def main(arguments=None):
    """Measure what was asked for, print it and return it."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=tables.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="tables, see below")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="names of tables")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here")
    options = parser.parse_args(arguments)
    if options.data:
        chosen = tables.folder_tables(options.data, options.only)
    else:
        chosen = tables.bundled_tables(options.only)
    results, sizes = measure(chosen)
    for task, found in results.items():
        report(task, found, sizes)
    whole = {"machine": machine(), "sizes": sizes, "tables": results}
    whole["summary"] = {task: summary(found) for task, found in results.items()}
    if options.json:
        options.json.write_text(json.dumps(whole, indent=1))
    return whole


if __name__ == "__main__":
    main()
