"""Plain estimators take no Dask collections: they would be pulled into memory, unasked."""

import dask
import numpy as np
import pandas as pd
import pytest
from dask import array as da
from trained import CLASSES, FRAME, QUANTITIES, X, chunked, of_unknown_sizes, partitioned

from kinds import IGNORE_CONVERGENCE
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer._validation import is_dask_collection

ROWS = X[:, :2]
WEIGHTS = np.ones(60)


def a_plain(kind):
    return kind(2, alpha=1.0, solver="adam", max_iter=3, random_state=0)


def targets(kind):
    return (QUANTITIES > 1).astype(int) if kind is TwoLayerClassifier else QUANTITIES


def refused(kind, name):
    """An error that names the input and both ways out."""
    ways = rf"use sklearn_twolayer.distributed.{CLASSES[kind].__name__}, or pass {name}.compute\(\)"
    return pytest.raises(TypeError, match=f"^{name} must be in memory for this .*, got .*: {ways}$")


ROWS_IN_DASK = {
    "array": chunked(ROWS),
    "array of unknown sizes": of_unknown_sizes(ROWS),
    "frame": partitioned(FRAME[["a", "b"]]),
    "delayed": dask.delayed(ROWS),
}
BY_ROWS = {
    TwoLayerClassifier: ["predict_proba", "predict_log_proba", "decision_function"],
    TwoLayerRegressor: ["predict_interval", "predict_quantiles"],
}
OF_BOTH = ["predict", "input_gradients", "hidden_features", "gradient_importances", "__call__"]


@IGNORE_CONVERGENCE
@pytest.mark.parametrize("rows", ROWS_IN_DASK)
@pytest.mark.parametrize("kind", CLASSES)
def test_as_X(kind, rows):
    collection, y = ROWS_IN_DASK[rows], targets(kind)
    for method in ("fit", "partial_fit"):
        estimator = a_plain(kind)
        with refused(kind, "X"):
            getattr(estimator, method)(collection, y)
        assert vars(estimator) == vars(a_plain(kind))
    estimator = a_plain(kind).fit(ROWS, y)
    with refused(kind, "X_val"):
        estimator.fit(ROWS, y, X_val=collection, y_val=y)
    with refused(kind, "X"):
        estimator.score(collection, y)
    for method in BY_ROWS[kind] + OF_BOTH:
        with refused(kind, "X"):
            getattr(estimator, method)(collection)
    if kind is TwoLayerRegressor:
        with refused(kind, "X"):
            estimator.log_predictive_density(collection, y)


@IGNORE_CONVERGENCE
@pytest.mark.parametrize("make", [chunked, lambda y: partitioned(pd.Series(y))])
@pytest.mark.parametrize("kind", CLASSES)
def test_as_targets_or_weights(kind, make):
    y = targets(kind)
    estimator, lazy, weights = a_plain(kind).fit(ROWS, y), make(y), make(WEIGHTS)
    more = {"classes": [0, 1]} if kind is TwoLayerClassifier else {}
    with refused(kind, "y"):
        estimator.fit(ROWS, lazy)
    with refused(kind, "sample_weight"):
        estimator.fit(ROWS, y, weights)
    with refused(kind, "y"):
        estimator.partial_fit(ROWS, lazy, **more)
    with refused(kind, "sample_weight"):
        estimator.partial_fit(ROWS, y, sample_weight=weights, **more)
    with refused(kind, "y_val"):
        estimator.fit(ROWS, y, X_val=ROWS, y_val=lazy)
    with refused(kind, "sample_weight_val"):
        estimator.fit(ROWS, y, X_val=ROWS, y_val=y, sample_weight_val=weights)
    with refused(kind, "y"):
        estimator.score(ROWS, lazy)
    with refused(kind, "sample_weight"):
        estimator.score(ROWS, y, weights)
    with refused(kind, "sample_weight"):
        estimator.gradient_importances(ROWS, weights)
    if kind is TwoLayerRegressor:
        with refused(kind, "y"):
            estimator.log_predictive_density(ROWS, lazy)


class OfXarray:
    """An object of xarray has the method, and a graph where what it holds is of Dask."""

    def __init__(self, graph):
        self.graph = graph

    def __dask_graph__(self):
        return self.graph


def test_what_is_a_collection():
    assert is_dask_collection(da.ones(3))
    assert is_dask_collection(OfXarray({"a": 1}))
    assert not is_dask_collection(OfXarray(None))
    for other in (None, X, FRAME, pd.DataFrame({"__dask_graph__": [1]}), [da.ones(3)], da.Array):
        assert not is_dask_collection(other)
