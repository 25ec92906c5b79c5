"""What a newcomer gets: ``python benchmarks/newcomer.py [--only NAME ...]``.

Raw columns into an untouched estimator: five folds of five small tables, the mean over five seeds
of the estimator; beside scikit-learn's MLP, raw and with columns and target standardised, and its
linear model. Greater is better: minus the log-loss for classes, R2 for regression.
"""

import argparse
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from accuracy import markdown, scaled_target
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from tables import bundled_tables

TABLES = ("iris", "wine", "breast cancer", "diabetes", "friedman1")
SEEDS = range(5)
SCORING = {"regression": "r2", "classification": "neg_log_loss"}


def models(task, seed):
    """The columns of the table."""
    scale = StandardScaler
    if task == "classification":
        return {
            "ours, raw": TwoLayerClassifier(random_state=seed),
            "MLP, raw": MLPClassifier(random_state=seed),
            "MLP, scaled": make_pipeline(scale(), MLPClassifier(random_state=seed)),
            "linear model, scaled": make_pipeline(scale(), LogisticRegression()),
        }
    scaled = make_pipeline(scale(), scaled_target(MLPRegressor, random_state=seed))
    return {
        "ours, raw": TwoLayerRegressor(random_state=seed),
        "MLP, raw": MLPRegressor(random_state=seed),
        "MLP, scaled": scaled,
        "linear model, scaled": make_pipeline(scale(), Ridge()),
    }


def scores(table, seeds=SEEDS):
    """Mean score of each model over folds and seeds."""
    found = {}
    for seed in seeds:
        for name, model in models(table.task, seed).items():
            folds = cross_val_score(
                model, table.X, table.y, cv=table.folds(), scoring=SCORING[table.task]
            )
            found.setdefault(name, []).append(folds.mean())
    return {name: float(np.mean(values)) for name, values in found.items()}


def main(arguments=None):
    """Print the table and return its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", metavar="NAME", default=TABLES, help="some tables")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="how many seeds")
    options = parser.parse_args(arguments)
    found = {}
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for table in sorted(bundled_tables(options.only), key=lambda t: TABLES.index(t.name)):
            found[table.name] = scores(table, range(options.seeds))
            found[table.name] = {"score": SCORING[table.task], **found[table.name]}
    header = ["table", *next(iter(found.values()))]
    print(markdown(header, [[name, *row.values()] for name, row in found.items()]))
    return found


if __name__ == "__main__":
    main()
