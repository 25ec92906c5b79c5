"""Error and seconds against rows: ``python benchmarks/scaling.py [--json FILE] [--plot PICTURE]``.

Friedman's first function (10 columns, noise 1) and three classes of three clusters each (20
columns, 10 of them informative), 300 to 300,000 rows to learn from and 5,000 to be asked for. The
untouched estimator on raw columns, histogram gradient boosting, and scikit-learn's MLP with
standardised columns (and target). Errors are the RMSE over that of the true function on the same
rows, and for classes the log-loss: up to 1,000 rows the geometric mean of four draws. Each number
of rows has clusters of its own: errors on classes compare within a row of the table. Seconds are
the processor's, for fit and predictions, on one thread.

``--only ours`` measures ours again and takes what FILE says of the others. ``--only`` without a
name measures nothing: it prints and draws FILE.
"""

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.datasets import make_classification, make_friedman1
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

import large
from accuracy import MODELS, OURS, geometric_mean, markdown
from run import machine

SIZES = (300, 1_000, 3_000, 9_000, 11_000, 30_000, 100_000, 300_000)
QUICK = 3_000
"""The most rows with ``--quick``."""

N_TEST = 5_000
FEW = 1_000
"""Up to here several draws count, where one alone says little."""

BOOSTING, MLP = "boosting", "MLP"
CONTENDERS = (OURS, BOOSTING, MLP)


@dataclass(frozen=True)
class Problem:
    """Rows that ``make(n_rows, seed)`` draws, (X, y, truth), and ``error(y, out, truth)``."""

    task: str
    make: Callable
    error: Callable
    n_draws: int

    def draws(self, n_rows):
        """The seeds of the draws."""
        return range(self.n_draws if n_rows <= FEW else 1)


def _regression(n_rows, seed):
    """Noisy targets, and what they would be without noise: columns are drawn before it."""
    X, y = make_friedman1(n_rows, noise=1.0, random_state=seed)
    return X, y, make_friedman1(n_rows, noise=0.0, random_state=seed)[1]


def _classification(n_rows, seed):
    """Labels, which are all that is known of the truth."""
    kind = {"n_informative": 10, "n_classes": 3, "n_clusters_per_class": 3}
    X, y = make_classification(n_rows, 20, random_state=seed, **kind)
    return X, y, y


def _rmse_over_that_of_truth(y, out, truth):
    return float(np.sqrt(np.mean((y - out) ** 2) / np.mean((y - truth) ** 2)))


def _log_loss(y, out, truth):
    return float(log_loss(y, out))


PROBLEMS = {
    "regression, RMSE over that of the truth": Problem(
        "regression", _regression, _rmse_over_that_of_truth, 1
    ),
    "three classes, log-loss": Problem("classification", _classification, _log_loss, 4),
}


def contender(who, task):
    """One of them, unfitted."""
    return MODELS[task][who]() if who == BOOSTING else large.contenders(task)[who]


def measure(who, problem, n_rows):
    """The geometric means over draws of error and seconds."""
    found = [_of_draw(who, problem, n_rows, seed) for seed in problem.draws(n_rows)]
    return {key: geometric_mean([each[key] for each in found]) for key in found[0]}


def _of_draw(who, problem, n_rows, seed):
    X, y, truth = problem.make(n_rows + N_TEST, seed)
    model = contender(who, problem.task)
    predict = model.predict if problem.task == "regression" else model.predict_proba
    start = time.process_time()
    model.fit(X[:n_rows], y[:n_rows])
    out = predict(X[n_rows:])
    seconds = time.process_time() - start
    return {"error": problem.error(y[n_rows:], out, truth[n_rows:]), "seconds": seconds}


def run(who, sizes):
    """What one contender does on every problem, by number of rows."""
    found = {}
    for name, problem in PROBLEMS.items():
        for n_rows in sizes:
            print(f"{name}, {n_rows} rows, {who} ...", file=sys.stderr, flush=True)
            found.setdefault(name, {})[str(n_rows)] = measure(who, problem, n_rows)
    return {"machine": machine(), "problems": found}


def figures(results, problem):
    """Of one problem, by number of rows, in their order: what each contender was found to do."""
    by_rows = {}
    for who in CONTENDERS:
        if who in results:
            for n_rows, scores in results[who]["problems"][problem].items():
                by_rows.setdefault(int(n_rows), {})[who] = scores
    return dict(sorted(by_rows.items()))


def report(results):
    """Print a table of each problem."""
    who = [name for name in CONTENDERS if name in results]
    for problem in PROBLEMS:
        header = ["rows", *who, "ours / best", *(f"{name}, s" for name in who), "ours / MLP, s"]
        rows = [
            [n_rows]
            + [found.get(name, {}).get("error") for name in who]
            + [_ratio(found, "error", (BOOSTING, MLP))]
            + [found.get(name, {}).get("seconds") for name in who]
            + [_ratio(found, "seconds", (MLP,))]
            for n_rows, found in figures(results, problem).items()
        ]
        print(f"\n### {problem}\n\n{markdown(header, rows)}", flush=True)


def _ratio(found, key, peers):
    """Ours over the least of the peers, None where one of them is missing."""
    if OURS not in found or any(peer not in found for peer in peers):
        return None
    return found[OURS][key] / min(found[peer][key] for peer in peers)


STYLES = {
    OURS: {"color": "tab:blue", "marker": "o", "linewidth": 2.5, "zorder": 3},
    BOOSTING: {"color": "tab:orange", "marker": "s", "linewidth": 1.5},
    MLP: {"color": "tab:green", "marker": "^", "linewidth": 1.5},
}
LABELS = {OURS: "ours, untouched", BOOSTING: "gradient boosting", MLP: "scaled MLP"}
TICKS = [k * 10.0**e for e in range(-3, 4) for k in (1, 2, 5)]
TICKS_NEAR_ONE = [1, 1.1, 1.2, 1.4, 1.6, 1.8, 2]
ROWS = {300: "300", 1e3: "1k", 3e3: "3k", 1e4: "10k", 3e4: "30k", 1e5: "100k", 3e5: "300k"}
"""Where the axes have numbers."""


def draw(results, picture):
    """Two panels of error above two of seconds, all axes logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(8, 6), sharex=True, layout="constrained")
    for column, problem in zip(axes.T, PROBLEMS, strict=True):
        for ax, key in zip(column, ("error", "seconds"), strict=True):
            _panel(ax, figures(results, problem), key)
        column[0].set_title(problem, fontsize=11)
        column[1].set_xlabel("rows to learn from")
    axes[1, 0].set_ylabel("seconds of one core")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    figure.savefig(picture, dpi=120)
    plt.close(figure)


def _panel(ax, found, key):
    from matplotlib.ticker import FixedLocator

    for who, style in STYLES.items():
        points = [(n_rows, each[who][key]) for n_rows, each in found.items() if who in each]
        if points:
            ax.loglog(*zip(*points, strict=True), label=LABELS[who], markersize=5, **style)
    low, high = ax.get_ylim()
    ticks = TICKS if high > 5 * low else TICKS_NEAR_ONE
    ax.yaxis.set_major_locator(FixedLocator(ticks))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_major_locator(FixedLocator(list(ROWS)))
    ax.xaxis.set_major_formatter(lambda n_rows, place: ROWS[n_rows])
    ax.minorticks_off()
    ax.grid(alpha=0.3)


def main(arguments=None):
    """Measure what was asked for, print it, write it, draw it and return it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help=f"at most {QUICK} rows")
    parser.add_argument("--rows", nargs="*", type=int, default=SIZES, help="other numbers of rows")
    parser.add_argument("--only", nargs="*", metavar="NAME", choices=CONTENDERS, default=CONTENDERS)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here")
    parser.add_argument("--plot", type=Path, metavar="PICTURE", help="draw them there")
    options = parser.parse_args(arguments)
    sizes = [n_rows for n_rows in options.rows if n_rows <= QUICK or not options.quick]
    results = {}
    if options.json and options.json.exists():
        known = json.loads(options.json.read_text())
        results = {who: found for who, found in known.items() if who not in options.only}
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        results |= {who: run(who, sizes) for who in options.only}
    report(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    if options.plot:
        draw(results, options.plot)
    return results


if __name__ == "__main__":
    main()
