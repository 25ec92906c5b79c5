"""Rows of partitions as the engine wants them: what a plain estimator makes of the whole table."""

import copy

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from partitioned_tables import CUTS, N_ROWS, X_OF_KINDS, delayed, frame
from partitions_here import PartitionsHere

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer.distributed import conversion
from sklearn_twolayer.engine import compatibility
from sklearn_twolayer.engine.data.rows import merge_equal_rows

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
MANY = CUTS["17 uneven, two empty"]
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


def weights_of(rng):
    """Some are zero, all of a partition too."""
    weights = rng.rand(N_ROWS) * (rng.rand(N_ROWS) < 0.7)
    weights[61:90] = 0
    return weights


every_kind = pytest.mark.parametrize("kind", X_OF_KINDS.values(), ids=X_OF_KINDS)


@every_kind
@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_partitions_hold_what_the_whole_table_becomes(kind, problem, rng):
    estimator, draw = problem
    check(estimator, MANY, kind(rng), draw(rng), weights_of(rng))


@every_cut
@every_kind
@pytest.mark.parametrize("name", ["balanced", "quantities"])
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
def test_however_it_is_cut(cuts, kind, name, weighted, rng):
    estimator, draw = PROBLEMS[name]
    check(estimator, cuts, kind(rng), draw(rng), weights_of(rng) if weighted else None)


@pytest.mark.parametrize(
    "categorical_features",
    [None, ["a", "integer"], [0, 2], [True, False, True], "from_dtype"],
    ids=str,
)
def test_columns_that_are_named_as_categories(categorical_features, rng):
    X = pd.DataFrame({"a": rng.randint(9, size=N_ROWS), "b": rng.randn(N_ROWS)})
    X["integer"] = np.where(np.arange(N_ROWS) == 77, 100, X["a"] // 2)
    estimator = TwoLayerRegressor(solver="adam", categorical_features=categorical_features)
    check(estimator, MANY, X, rng.randn(N_ROWS))
    if categorical_features != ["a", "integer"]:
        check(estimator, MANY, X.to_numpy().astype(object), rng.randn(N_ROWS))


def test_names_that_are_no_strings_are_none(rng):
    X = pd.DataFrame(rng.randn(N_ROWS, 2)).assign(**{"2": 0.0})[[0, 1]]
    found, _ = check(TwoLayerRegressor(solver="adam"), MANY, X, rng.randn(N_ROWS))
    assert not hasattr(found, "feature_names_in_")


def test_names_of_an_earlier_fit_are_forgotten(rng):
    estimator = TwoLayerRegressor(solver="adam")
    estimator.feature_names_in_ = np.array(["a", "b", "c"], dtype=object)
    found, *_ = learn(estimator, MANY, rng.randn(N_ROWS, 3), rng.randn(N_ROWS))
    assert not hasattr(found, "feature_names_in_")


@pytest.mark.parametrize("problem", ["classes", "quantities"])
@pytest.mark.parametrize("told_by", ["weights", "targets", "numbers", "the last number", "names"])
def test_levels_come_in_the_order_of_their_sums(problem, told_by, rng):
    """The levels of thirty tie but for what tells them apart."""
    level, row = np.divmod(np.arange(N_ROWS), 5)
    order = rng.permutation(30)
    y, weights = row % 3, 0.1 + row
    # a number with missing values has no part in it
    X = pd.DataFrame(
        {"a": row * 0.1, "gaps": -np.where(order == 3, np.nan, order)[level], "b": 0.7 * row}
    )
    if told_by == "weights":
        weights = weights * (1 + order[level])
    elif told_by == "targets":
        y = np.where(row == 0, order[level], 30 + row)
    elif told_by == "numbers":
        X["a"] += order[level]
    elif told_by == "the last number":
        X["b"] -= order[level]
    X["c"] = [f"level {k}" for k in level]
    X["other"] = np.where(level % 2, "odd", "even")
    mixed = rng.permutation(N_ROWS)
    y, weights, X = y[mixed], weights[mixed], X.iloc[mixed]
    if problem == "quantities":
        check(TwoLayerRegressor(solver="adam"), MANY, X, np.c_[row * 0.1, y * 0.3], weights)
    else:
        check(TwoLayerClassifier(solver="adam"), MANY, X, y, weights)


def test_equal_rows_of_a_partition_become_one(rng):
    X = np.floor(3 * rng.rand(N_ROWS, 2))
    y = (X.sum(axis=1) > 2).astype(int)
    for weights in (None, weights_of(rng)):
        estimator = TwoLayerClassifier()
        _, partitions, facts = learn(estimator, MANY, X, y, weights)
        _, task = task_of_plain(estimator, X, y, weights)
        assert facts.n_rows == task.X.shape[0]
        assert sum(facts.rows_of_partitions) < facts.n_rows
        assert facts.rows_of_partitions == tuple(part.n_rows for part in partitions.parts)
        w = joined(partitions, "weights")
        assert facts.weight == pytest.approx(w.sum())
        found, expected = (
            merge_equal_rows(X, Y, w)
            for X, Y, w in (
                (joined(partitions, "X"), joined(partitions, "Y"), w),
                (task.X[:], task.Y, task.weights),
            )
        )
        for a, b in zip(found, expected, strict=True):
            assert_allclose(a, b, rtol=1e-12)
        for part in partitions.parts:
            assert len(part.weights) == part.n_rows
            assert len(np.unique(np.c_[part.X, part.Y], axis=0)) == part.n_rows


def test_many_rows_stay_apart(rng, monkeypatch):
    monkeypatch.setattr(compatibility, "FEW_ROWS", N_ROWS - 1)
    check(TwoLayerClassifier(), MANY, np.zeros((N_ROWS, 2)), np.arange(N_ROWS) % 2)


@every_kind
@pytest.mark.parametrize("name", ["balanced", "quantities", "several labels", "two classes"])
def test_later_rows_are_read_alike(kind, name, rng):
    estimator, draw = PROBLEMS[name]
    X, y, weights = kind(rng), draw(rng), weights_of(rng)
    fitted, _, _ = learn(estimator, MANY, X, y, weights)
    plain, _ = task_of_plain(estimator, X, y, weights)
    X, y, weights = kind(rng), draw(rng), weights_of(rng)
    before = copy.deepcopy(vars(fitted))
    partitions, facts = conversion.later_delayed(fitted, None, delayed(MANY, X, y, weights), "_val")
    np.testing.assert_equal(vars(fitted), before)
    X, Y, weights = plain._rows(X, y, weights, suffix="_val")
    weights = plain._weigh(Y, weights)
    assert_array_equal(joined(partitions, "X"), X[:])
    assert_array_equal(joined(partitions, "Y"), Y)
    assert_allclose(joined(partitions, "weights"), weights, rtol=1e-12)
    assert facts.dtype == X.dtype
    assert facts.n_rows == X.shape[0]


def test_a_warm_start_counts_the_classes_of_its_own_rows(rng):
    estimator, draw = PROBLEMS["balanced"]
    X, y = rng.randn(N_ROWS, 2), draw(rng)
    fitted, _, _ = learn(estimator, MANY, X, y)
    later = np.where(rng.rand(N_ROWS) < 0.5, y[0], y)
    partitions, _ = conversion.later_delayed(fitted, None, delayed(MANY, X, later, None))
    _, task = task_of_plain(estimator, X, later)
    assert_allclose(joined(partitions, "weights"), task.weights, rtol=1e-12)


def test_rows_of_the_caller_stay_as_they_are(rng):
    X, weights = frame(rng), weights_of(rng)
    X_before, weights_before = X.copy(), weights.copy()
    learn(TwoLayerClassifier(class_weight="balanced"), MANY, X, np.arange(N_ROWS) % 3, weights)
    pd.testing.assert_frame_equal(X, X_before)
    assert_array_equal(weights, weights_before)
