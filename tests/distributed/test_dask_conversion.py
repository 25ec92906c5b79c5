"""Rows of partitions as the engine wants them: what a plain estimator makes of the whole table."""

import copy

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

pytest.importorskip("dask")
pytest.importorskip("distributed")

from partitioned_tables import CUTS, N_ROWS, X_OF_KINDS, delayed
from partitions_here import PartitionsHere

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer.distributed import conversion

LEARNT = (
    "n_features_in_",
    "feature_names_in_",
    "classes_",
    "n_outputs_",
    "_is_multilabel",
    "_loss",
    "_loss_asked",
    "_loss_parameters",
    "_n_targets",
    "_single_target",
    "_encoding",
)
every_cut = pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.setattr(conversion, "Partitions", PartitionsHere)


def learn(estimator, cuts, X, y, weights=None):
    """A copy of the estimator that has learnt, partitions, and facts."""
    estimator = copy.deepcopy(estimator)
    rows = delayed(cuts, X, y, weights)
    return estimator, *conversion.learn_delayed(estimator, None, rows, X.shape[1])


def task_of_plain(estimator, X, y, weights=None):
    """What a plain estimator has learnt, and its task."""
    estimator = copy.deepcopy(estimator)
    return estimator, estimator._task(X, y, weights, None)


def joined(partitions, name):
    parts = [getattr(part, name) for part in partitions.parts]
    return None if parts[0] is None else np.concatenate(parts)


def check_learnt(found, expected):
    for name in LEARNT:
        assert hasattr(found, name) == hasattr(expected, name), name
        if hasattr(expected, name):
            a, b = getattr(found, name), getattr(expected, name)
            assert_array_equal(a, b, err_msg=name)
            assert getattr(a, "dtype", None) == getattr(b, "dtype", None), name
    assert (found._columns is None) == (expected._columns is None)
    if expected._columns is not None:
        assert_array_equal(found._columns["is_categorical"], expected._columns["is_categorical"])
        pairs = zip(found._columns["categories"], expected._columns["categories"], strict=True)
        for a, b in pairs:
            assert a.tolist() == b.tolist()
            assert a.dtype == b.dtype
    if hasattr(expected, "_class_totals"):
        assert_allclose(found._class_totals, expected._class_totals, rtol=1e-12)


def check(estimator, cuts, X, y, weights=None):
    """All is as if the table were one."""
    found, partitions, facts = learn(estimator, cuts, X, y, weights)
    expected, task = task_of_plain(estimator, X, y, weights)
    check_learnt(found, expected)
    assert len(partitions) == len(cuts) + 1
    assert_array_equal(joined(partitions, "X"), task.X[:])
    assert_array_equal(joined(partitions, "Y"), task.Y)
    w = joined(partitions, "weights")
    assert (w is None) == (task.weights is None)
    if w is not None:
        assert_allclose(w, task.weights, rtol=1e-12)
    for part in partitions.parts:
        assert type(part.X) is np.ndarray and part.X.flags.c_contiguous
        assert part.X.dtype == task.X.dtype == facts.dtype
        assert part.Y.dtype == task.Y.dtype
    assert facts.n_rows == task.X.shape[0]
    assert facts.rows_of_partitions == tuple(part.n_rows for part in partitions.parts)
    assert facts.weight == pytest.approx(facts.n_rows if w is None else w.sum(), rel=1e-12)
    assert facts.has_missing == task.has_missing
    return found, partitions


PROBLEMS = {
    "quantity": (TwoLayerRegressor(solver="adam"), lambda rng: rng.randn(N_ROWS)),
    "quantities": (TwoLayerRegressor(solver="adam"), lambda rng: rng.randn(N_ROWS, 2)),
    "one column": (TwoLayerRegressor(solver="adam"), lambda rng: rng.randn(N_ROWS, 1)),
    "alike": (TwoLayerRegressor(solver="adam"), lambda rng: np.ones(N_ROWS)),
    "poisson": (
        TwoLayerRegressor(solver="adam", loss="poisson"),
        lambda rng: pd.Series(rng.randint(5, size=N_ROWS)),
    ),
    "two classes": (TwoLayerClassifier(solver="adam"), lambda rng: rng.rand(N_ROWS) < 0.3),
    "balanced": (
        TwoLayerClassifier(solver="adam", class_weight="balanced"),
        lambda rng: rng.choice(list("abbcccc"), N_ROWS),
    ),
    "words": (
        TwoLayerClassifier(solver="adam"),
        lambda rng: pd.Series(rng.choice(["a", "bb", "ccc"], N_ROWS)),
    ),
    "sorted": (TwoLayerClassifier(solver="adam"), lambda rng: np.arange(N_ROWS) // 40 * 2.0),
    "class of weight 0": (
        TwoLayerClassifier(solver="adam", class_weight={0: 0, 1: 0.1, 2: 3, 3: 1}),
        lambda rng: np.arange(N_ROWS) // 40,
    ),
    "several labels": (
        TwoLayerClassifier(solver="adam", class_weight="balanced"),
        lambda rng: (rng.rand(N_ROWS, 3) < 0.2).astype(int),
    ),
}


@every_cut
@pytest.mark.parametrize("kind", X_OF_KINDS.values(), ids=X_OF_KINDS)
@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
def test_partitions_hold_what_the_whole_table_becomes(cuts, kind, problem, weighted, rng):
    estimator, draw = problem
    weights = None
    if weighted:
        weights = rng.rand(N_ROWS) * (rng.rand(N_ROWS) < 0.7)
        weights[61:90] = 0  # all of a partition
    check(estimator, cuts, kind(rng), draw(rng), weights)
