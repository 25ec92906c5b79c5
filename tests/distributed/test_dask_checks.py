"""scikit-learn's own common checks, of estimators that cut what they are given into partitions.

The checks give arrays and data frames, which such an estimator makes collections of before it fits.
There is not a single exception.
"""

import numpy as np
import pytest
from parity import collection
from partitions_here import partitions_here
from scipy import sparse

from kinds import IGNORE_CONVERGENCE, with_checks
from sklearn_twolayer.distributed import DaskTwoLayerClassifier, DaskTwoLayerRegressor

pytestmark = IGNORE_CONVERGENCE


@pytest.fixture(autouse=True)
def here(monkeypatch):
    partitions_here(monkeypatch)


class InPartitions:
    """Rows in memory become collections of four partitions, one of them empty."""

    def fit(self, X, y, sample_weight=None):
        return super().fit(*map(_in_partitions, (X, y, sample_weight)))


def _in_partitions(rows):
    if rows is None or sparse.issparse(rows):
        return rows
    rows = rows if hasattr(rows, "iloc") else np.asarray(rows)
    if rows.ndim == 0:
        return rows
    third = len(rows) // 3
    return collection(rows, [third, third, 2 * third])


class Classifier(InPartitions, DaskTwoLayerClassifier):
    """One that any check can be asked of."""


class Regressor(InPartitions, DaskTwoLayerRegressor):
    """The same for quantities."""


SETTINGS = {
    "given alpha": {"solver": "lbfgs", "alpha": 1.0, "max_iter": 50},
    "evidence": {"solver": "lbfgs", "max_iter": 50},
    "exact evidence": {"solver": "lm", "max_iter": 50},
    "mini-batches": {"solver": "adam", "max_iter": 30, "learning_rate_init": 0.03},
    "knots": {"solver": "lbfgs", "max_iter": 50, "encoding": "piecewise_linear", "n_knots": 2},
    "numbers alone": {"solver": "lbfgs", "max_iter": 50, "categorical_features": None},
    "as it comes": {},
}


def estimators():
    for estimator in (Classifier, Regressor):
        for name, options in SETTINGS.items():
            yield estimator(10, **options) if name != "as it comes" else estimator()


@pytest.mark.sampled(11)
@with_checks(estimators(), [])
def test_common_checks(estimator, check):
    check(estimator)
