"""Rows are measured, scaled and cast once in a fit, whatever it makes of them."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

from kinds import IGNORE_CONVERGENCE
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer.engine.data import table
from sklearn_twolayer.engine.data.sources import DenseSource

pytestmark = IGNORE_CONVERGENCE

SINGLE = {"dtype": "float32"}
"""Networks of different precision have the rows in either: see below."""

FITS = {
    "members": (TwoLayerRegressor, load_diabetes, {}),
    "two members": (TwoLayerClassifier, load_breast_cancer, {"hidden_size": 3, "n_members": 2}),
    "restarts": (TwoLayerRegressor, load_diabetes, {"hidden_size": 3, "n_init": 3}),
    "a trial": (TwoLayerClassifier, load_digits, {"n_members": 2, "max_iter": 3, **SINGLE}),
    "mini-batches": (TwoLayerClassifier, load_breast_cancer, {"solver": "adam", "max_iter": 3}),
    "restarts of mini-batches": (
        TwoLayerRegressor,
        load_diabetes,
        {"solver": "adam", "max_iter": 3, "n_init": 2},
    ),
}


@pytest.fixture
def work(monkeypatch):
    """How many rows were standardised, and of how many the moments were taken."""
    counted = {"standardised": 0, "measured": 0}
    load, measure = DenseSource._load, table.moments

    def counting_load(source, index, out):
        counted["standardised"] += len(out)
        load(source, index, out)

    def counting_moments(X, weights):
        counted["measured"] += X.shape[0] * (X.shape[1] > 1)
        return measure(X, weights)

    monkeypatch.setattr(DenseSource, "_load", counting_load)
    monkeypatch.setattr(table, "moments", counting_moments)
    return counted


@pytest.mark.parametrize(("estimator", "load", "options"), FITS.values(), ids=FITS)
def test_each_row_is_measured_and_standardised_once(estimator, load, options, work):
    X, y = load(return_X_y=True)
    distinct = np.unique(np.column_stack([X, y]), axis=0)
    assert len(distinct) == len(X)
    estimator(random_state=0, **options).fit(X, y)
    assert work == {"standardised": len(X), "measured": len(X)}


def test_rows_are_standardised_once_for_each_precision(work):
    """Mini-batches of the untouched estimator are in single, its L-BFGS is in double precision."""
    X, y = load_digits(return_X_y=True)
    TwoLayerClassifier(n_members=2, max_iter=3, random_state=0).fit(X, y)
    assert work == {"standardised": 2 * len(X), "measured": 2 * len(X)}


def test_validation_rows_are_standardised_once(work):
    X, y = load_diabetes(return_X_y=True)
    options = {"hidden_size": 3, "max_iter": 3, "n_init": 2, "solver": "adam"}
    model = TwoLayerRegressor(random_state=0, **options)
    model.fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
    assert work == {"standardised": len(X), "measured": 300}


def test_a_warm_start_of_several_members_standardises_once_more(work):
    X, y = load_diabetes(return_X_y=True)
    model = TwoLayerRegressor(3, n_members=2, warm_start=True, random_state=0).fit(X, y)
    model.fit(X, y)
    assert work == {"standardised": 2 * len(X), "measured": 2 * len(X)}
