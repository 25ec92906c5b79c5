"""What is timed: a table of problems. To add one: write its data, add one line to ``PROBLEMS``."""

import gzip
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn import datasets
from sklearn.preprocessing import StandardScaler

FASHION_MNIST = "FASHION_MNIST"
"""Environment variable that names the folder of Fashion-MNIST's ``*-ubyte.gz`` files, if any."""


@dataclass(frozen=True)
class Problem:
    """Data, already standardised where dense, and the work to do on them.

    `standardize` is what ours is told: sparse data, which nobody standardises for the others, are
    the same work for all only without it.
    """

    make: Callable
    task: str
    hidden_size: int
    batch_size: int
    epochs: int
    quick: bool = False
    standardize: bool = True

    def data(self):
        """X in float64 (dense or CSR) and y."""
        X, y = self.make()
        return (X if sparse.issparse(X) else StandardScaler().fit_transform(X)), y


def _breast_cancer():
    return datasets.load_breast_cancer(return_X_y=True)


def _digits():
    return datasets.load_digits(return_X_y=True)


def _classes(n_rows, n_features, n_classes):
    return datasets.make_classification(
        n_rows,
        n_features,
        n_informative=min(n_features - 2, 12),
        n_classes=n_classes,
        n_clusters_per_class=2,
        class_sep=0.7,
        random_state=0,
    )


def _100k_20():
    return _classes(100_000, 20, 3)


def _100k_54():
    return _classes(100_000, 54, 7)


def _10k_784():
    folder = os.environ.get(FASHION_MNIST)
    if folder is None:
        return _classes(10_000, 784, 10)
    images = _read_idx(Path(folder) / "train-images-idx3-ubyte.gz", header=16)
    labels = _read_idx(Path(folder) / "train-labels-idx1-ubyte.gz", header=8)
    return images.reshape(len(labels), -1)[:10_000].astype(np.float64), labels[:10_000]


def _read_idx(path, header):
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), dtype=np.uint8, offset=header)


def _1m_50():
    random_state = np.random.RandomState(0)
    X = random_state.standard_normal((1_000_000, 50))
    return X, np.sin(X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * random_state.standard_normal(len(X))


def _text():
    random_state = np.random.RandomState(0)
    X = sparse.random_array(
        (20_000, 50_000), density=0.001, format="csr", rng=np.random.default_rng(0)
    )
    return X, (X @ random_state.standard_normal(50_000) > 0).astype(int)


PROBLEMS = {
    "569 x 30": Problem(_breast_cancer, "classification", 100, 200, 100, quick=True),
    "1797 x 64": Problem(_digits, "classification", 100, 200, 40, quick=True),
    "100k x 20": Problem(_100k_20, "classification", 64, 200, 5),
    "10k x 784": Problem(_10k_784, "classification", 128, 200, 10),
    "100k x 54": Problem(_100k_54, "classification", 256, 1024, 5),
    "1M x 50": Problem(_1m_50, "regression", 128, 4096, 3),
    "text 20k x 50k": Problem(_text, "classification", 64, 256, 2, standardize=False),
    "text, centred": Problem(_text, "classification", 64, 256, 2),
}
