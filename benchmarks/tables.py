"""The tables of accuracy.py: scikit-learn's own, or a folder of yours.

A folder holds

    manifest.json       a list of tables, such as [{"name": "cars", "task": "regression",
                        "numeric": ["weight", "power"], "categorical": ["maker"]}]
    data/cars.csv.gz    the columns named there and one called "target", header in the first line

The task is "regression" or "classification"; empty cells are missing values. At most 3000 rows are
used, drawn with seed 0; classes of fewer than five rows are left out. Missing numbers become the
column's median, categories one column each (those met once share one). Folders need pandas.
To add a bundled table: one line in ``BUNDLED``.
"""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from sklearn import datasets
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, OneHotEncoder, StandardScaler

MAX_ROWS = 3000
MIN_CLASS = 5


@dataclass(frozen=True)
class Table:
    """Rows to learn from; the columns of X from `n_numeric` on are categories."""

    name: str
    task: str
    X: np.ndarray
    y: np.ndarray
    n_numeric: int

    def folds(self):
        """The same five for everybody; of classes, each fold holds its share."""
        splitter = KFold if self.task == "regression" else StratifiedKFold
        return splitter(5, shuffle=True, random_state=0).split(self.X, self.y)

    def encoder(self, scale):
        """What turns rows of X into numbers, standardised with `scale`: raw units otherwise."""
        numbers = [SimpleImputer(strategy="median")] + [StandardScaler()] * scale
        categories = make_pipeline(
            SimpleImputer(strategy="constant", fill_value="NA"),
            OneHotEncoder(handle_unknown="ignore", sparse_output=False, min_frequency=2),
        )
        return make_column_transformer(
            (make_pipeline(*numbers), list(range(self.n_numeric))),
            (categories, list(range(self.n_numeric, self.X.shape[1]))),
        )


def prepared(name, task, X, y, n_numeric=None):
    """A table of at most ``MAX_ROWS`` rows; classes are counted from 0."""
    if len(y) > MAX_ROWS:
        rows = np.random.RandomState(0).choice(len(y), MAX_ROWS, replace=False)
        X, y = X[rows], y[rows]
    if task == "classification":
        y = LabelEncoder().fit_transform(y.astype(str))
        rows = np.bincount(y)[y] >= MIN_CLASS
        X, y = X[rows], LabelEncoder().fit_transform(y[rows])
    return Table(name, task, X, y, X.shape[1] if n_numeric is None else n_numeric)


def folder_tables(folder, only=None):
    """Yield the tables of a folder, in the order of its manifest."""
    import pandas as pd

    for entry in json.loads((Path(folder) / "manifest.json").read_text()):
        name, numeric, categorical = (entry[key] for key in ("name", "numeric", "categorical"))
        if only and name not in only:
            continue
        frame = pd.read_csv(
            Path(folder) / "data" / f"{name}.csv.gz", dtype=dict.fromkeys(categorical, str)
        )
        y = frame["target"].to_numpy()
        X = frame[numeric].to_numpy(float)
        if categorical:
            labels = frame[categorical].astype(object)
            X = np.hstack([X.astype(object), labels.where(labels.notna(), np.nan).to_numpy()])
        yield prepared(name, entry["task"], X, y, len(numeric))


def bundled_tables(only=None):
    """Yield the tables scikit-learn brings or generates."""
    for name, (task, load) in BUNDLED.items():
        if not only or name in only:
            yield prepared(name, task, *load())


def _linnerud():
    X, Y = datasets.load_linnerud(return_X_y=True)
    return X, Y[:, 0]


def _bundled(load, **settings):
    return partial(load, return_X_y=True, **settings)


def _friedman(make, noise):
    return partial(make, 300, noise=noise, random_state=0)


BUNDLED = {
    "diabetes": ("regression", _bundled(datasets.load_diabetes, scaled=False)),
    "friedman1": ("regression", _friedman(datasets.make_friedman1, 1.0)),
    "friedman2": ("regression", _friedman(datasets.make_friedman2, 125.0)),
    "friedman3": ("regression", _friedman(datasets.make_friedman3, 0.1)),
    "linnerud": ("regression", _linnerud),
    "iris": ("classification", _bundled(datasets.load_iris)),
    "wine": ("classification", _bundled(datasets.load_wine)),
    "breast cancer": ("classification", _bundled(datasets.load_breast_cancer)),
    "digits": ("classification", _bundled(datasets.load_digits)),
}
