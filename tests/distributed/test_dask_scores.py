"""Scores of collections are those of the same rows in memory."""

import numpy as np
import pandas as pd
import pytest
from distributed import get_worker
from sklearn.exceptions import UndefinedMetricWarning
from trained import FRAME, QUANTITIES, X, as_dask, chunked, of_unknown_sizes, partitioned

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

WEIGHTS = np.random.RandomState(1).randint(3, size=60).astype(float)
TWO_TARGETS = np.column_stack([QUANTITIES, X[:, 2]])
CASES = {
    "labels": (TwoLayerClassifier, {}, np.array(["a", "b"])[(QUANTITIES > 1).astype(int)]),
    "multilabel": (TwoLayerClassifier, {}, (TWO_TARGETS > 0).astype(int)),
    "quantities": (TwoLayerRegressor, {}, QUANTITIES + 1e3),
    "two targets": (TwoLayerRegressor, {}, TWO_TARGETS),
    "quantiles": (TwoLayerRegressor, {"loss": "quantile", "quantile": [0.2, 0.8]}, QUANTITIES),
    "counts": (TwoLayerRegressor, {"loss": "poisson"}, np.exp(QUANTITIES).round()),
}


def fitted(case, rows=X):
    plain, options, y = CASES[case]
    # few units, so that there is something to miss
    return as_dask(plain(1, alpha=20.0, random_state=0, **options).fit(rows, y)), y


def series(y):
    return partitioned(pd.DataFrame(y).squeeze(axis=1))


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("case", CASES)
def test_arrays_and_frames(case, weights):
    estimator, y = fitted(case)
    expected = estimator.to_local().score(X, y, weights)
    assert 0.1 < expected < 0.99
    assert estimator.score(X, y, weights) == expected
    of_chunks = None if weights is None else chunked(weights)
    assert estimator.score(chunked(X), chunked(y), of_chunks) == pytest.approx(expected, rel=1e-9)
    of_parts = None if weights is None else series(weights)
    rows = of_unknown_sizes(X)
    assert estimator.score(rows, series(y), of_parts) == pytest.approx(expected, rel=1e-9)


def on_a_worker(part):
    """The same; ValueError elsewhere."""
    get_worker()
    return part


def test_a_frame_on_workers(client):
    plain = TwoLayerClassifier(2, alpha=1.0, random_state=0).fit(FRAME, CASES["labels"][2])
    estimator = as_dask(plain, client=client)
    frame = partitioned(FRAME.assign(y=CASES["labels"][2]))
    frame = frame.map_partitions(on_a_worker, meta=frame)
    found = estimator.score(frame.drop(columns="y"), frame["y"])
    assert found == pytest.approx(plain.score(FRAME, CASES["labels"][2]))


@pytest.mark.parametrize("y", [np.full(60, 3.0), QUANTITIES])
def test_targets_that_are_constant(y):
    plain = TwoLayerRegressor(1, alpha=1.0, random_state=0).fit(X, QUANTITIES)
    estimator = as_dask(plain)
    assert estimator.score(chunked(X), chunked(y)) == pytest.approx(plain.score(X, y))
    with pytest.warns(UndefinedMetricWarning, match="less than two samples"):
        assert np.isnan(estimator.score(chunked(X)[:1], chunked(y)[:1]))


@pytest.mark.parametrize("case", ["labels", "quantities", "counts"])
def test_what_does_not_match_is_told(case):
    estimator, y = fitted(case)
    rows, targets = chunked(X), chunked(y)
    with pytest.raises(ValueError, match="y must be partitioned as X is"):
        estimator.score(rows, targets[:59])
    with pytest.raises(ValueError, match=r"y must be partitioned as X is, got 3 .* and 4 of"):
        estimator.score(rows, series(y).partitions[:3])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        estimator.score(of_unknown_sizes(X), chunked(y).rechunk(15))
    with pytest.raises(TypeError, match="y must be a dask array, DataFrame or Series, got numpy"):
        estimator.score(rows, y)
    with pytest.raises(TypeError, match="sample_weight must be a dask array"):
        estimator.score(rows, targets, WEIGHTS)
    with pytest.raises(TypeError, match="y must be in memory for this DaskTwoLayer"):
        estimator.score(X, targets)


@pytest.mark.parametrize("case", ["labels", "quantities"])
def test_no_rows(case):
    estimator, y = fitted(case)
    with pytest.raises(ValueError, match="X must hold rows of a positive weight, got none"):
        estimator.score(chunked(X)[:0], chunked(y)[:0])
