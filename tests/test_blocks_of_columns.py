"""Weights of very many columns, taken a block at a time: the same numbers in less memory."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer.engine import numerics
from sklearn_twolayer.engine.bayes import kronecker_factors

STORAGES = {"sparse": sparse.csr_array, "dense": np.asarray}


def facts(estimator, X, y):
    """What a fit says of rows and of columns."""
    fitted = estimator.fit(X, y)
    found = [*fitted.coefs_, *fitted.intercepts_, fitted.feature_importances_]
    if isinstance(fitted, TwoLayerRegressor):
        return [*found, *fitted.predict(X, return_std=True), fitted.log_evidence_]
    return [*found, fitted.predict_proba(X), fitted.log_evidence_]


@pytest.mark.filterwarnings("ignore:.*before it converged")
@pytest.mark.parametrize("store", STORAGES.values(), ids=STORAGES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("alpha", ["auto", 1.0])
@pytest.mark.parametrize("kind", [TwoLayerRegressor, TwoLayerClassifier])
def test_blocks_of_columns_fit_together(kind, alpha, dtype, store, rng, monkeypatch):
    monkeypatch.setattr(kronecker_factors, "MOST_CORRELATED", 5)
    X = rng.poisson(0.3, (120, 30)).astype(dtype)
    y = X[:, :5].sum(axis=1) + rng.randn(120)
    y = y if kind is TwoLayerRegressor else (y > y.mean()).astype(int)
    common = {"solver": "adam", "hidden_size": 4, "max_iter": 5, "random_state": 0}
    estimator = kind(alpha=alpha, activation="tanh", **common)
    expected = facts(estimator, store(X), y)
    monkeypatch.setattr(numerics, "AT_ONCE", 40)
    monkeypatch.setattr(numerics, "BLOCK", 12)
    assert numerics.row_blocks(30, 4) == [slice(i, i + 3) for i in range(0, 30, 3)]
    found = facts(estimator, store(X), y)
    near = {"rtol": 1e-9, "atol": 1e-9} if dtype == np.float64 else {"rtol": 2e-4, "atol": 1e-5}
    for one, other in zip(found, expected, strict=True):
        assert_allclose(one, other, **near)


def test_a_block_is_all_there_is_where_that_is_not_much():
    assert numerics.row_blocks(1000, 100) == [slice(0, 1000)]
    assert numerics.row_blocks(0, 100) == []
    rows = numerics.row_blocks(500_000, 100)
    assert rows[0].start == 0 and rows[-1].stop >= 500_000
    assert all(a.stop == b.start and a.stop - a.start < 20_000 for a, b in pairwise(rows))
