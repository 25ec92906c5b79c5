"""Options of fits in Dask: each does what it does in a plain fit, or is refused by name."""

import re

import numpy as np
import pandas as pd
import pytest
from held_partitions import records
from numpy.testing import assert_allclose, assert_array_equal
from parity import (
    FIXED,
    IN_DASK,
    SOLVERS,
    assert_same_fit,
    collections,
    in_dask,
    targets,
    weights,
)
from partitioned_tables import array, frame
from partitions_here import PartitionsHere, partitions_here
from sklearn.base import clone

from kinds import IGNORE_CONVERGENCE
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer.distributed import DaskTwoLayerClassifier, DaskTwoLayerRegressor, fitting
from sklearn_twolayer.distributed.selection import split

pytestmark = IGNORE_CONVERGENCE
CUTS = [0, 20, 90]
SMALL = {"solver": "lbfgs", "alpha": 1.0, "max_iter": 4, **FIXED}

every_kind = pytest.mark.parametrize("plain", IN_DASK)


@pytest.fixture(autouse=True)
def here(monkeypatch):
    partitions_here(monkeypatch)


@pytest.fixture
def X(rng):
    return array(rng)


@pytest.fixture
def y(rng):
    return targets("one target", rng)


def labels_if(plain, y):
    return np.digitize(y, [3.0, 6.0]) if plain is TwoLayerClassifier else y


REFUSED = {
    "scoring": {"scoring": "r2"},
    "group_lasso": {"group_lasso": True},
    "noise": {"noise": "mixture", "alpha": "auto"},
    "alpha": {"loss": "absolute_error", "alpha": "auto"},
    "alpha of quantiles": {"loss": "quantile", "quantile": [0.1, 0.9], "alpha": "auto"},
    "alpha of huber": {"loss": "huber", "huber_delta": 1.0, "alpha": "auto"},
    "huber_delta": {"loss": "huber"},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_takes_all_rows_in_one_process(name, X, y, monkeypatch):
    """It is refused before any is read."""

    def read(*arguments):
        raise AssertionError("rows were read")

    estimator = DaskTwoLayerRegressor(3, **{**SMALL, **REFUSED[name]})
    before = dict(vars(estimator))
    name = name.partition(" ")[0]
    given = re.escape(f"{name}={getattr(estimator, name)!r}")
    ways_out = "(take|give it|for loss=).*, or fit TwoLayerRegressor on rows in memory"
    monkeypatch.setattr(fitting, "learn_rows", read)
    with pytest.raises(ValueError, match=f"^{given} takes all rows in one process: {ways_out}$"):
        estimator.fit(*collections(CUTS, X, y))
    assert vars(estimator) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "nope"}, "loss must be one of"),
        ({"scoring": "nope"}, "scoring must be one of"),
        ({"alpha": -1.0}, "alpha must be"),
        ({"huber_delta": 0.0, "loss": "huber"}, "huber_delta must be"),
    ],
)
def test_wrong_values_are_told_as_such(options, message, X, y):
    with pytest.raises(ValueError, match=message):
        DaskTwoLayerRegressor(3, **{**SMALL, **options}).fit(*collections(CUTS, X, y))


WITH_A_NUMBER = {
    "absolute_error": {"loss": "absolute_error"},
    "quantile": {"loss": "quantile", "quantile": 0.7},
    "huber": {"loss": "huber", "huber_delta": 2.0},
}


@pytest.mark.parametrize("name", WITH_A_NUMBER)
def test_what_is_advised_instead_works(name, X, y):
    plain = TwoLayerRegressor(3, **{**SMALL, **WITH_A_NUMBER[name]})
    found = in_dask(plain).fit(*collections(CUTS, X, y))
    assert_same_fit(found, plain.fit(X, y), X)


def test_tables_with_more_columns_than_rows(rng):
    """Networks are then trained on the columns: the space of the rows is not looked for."""
    X, y = rng.randn(40, 1100), rng.randn(40)
    model = DaskTwoLayerRegressor(max_iter=2, random_state=0).fit(*collections([10], X, y))
    assert model.coefs_[0].shape[0] == 1100
    assert np.isfinite(model.predict(X)).all()


VALIDATED = {
    "given alpha": SOLVERS["given alpha"],
    "evidence": SOLVERS["evidence"],
    "early stopping": {**SOLVERS["given alpha"], "early_stopping": True, "n_iter_no_change": 3},
}


@pytest.mark.parametrize("in_memory", [True, False], ids=["in memory", "in Dask"])
@pytest.mark.parametrize("options", VALIDATED.values(), ids=VALIDATED)
@every_kind
def test_validation_rows(plain, options, in_memory, rng):
    X, w = frame(rng), weights(rng)
    y = labels_if(plain, targets("one target", rng))
    held_out = frame(np.random.RandomState(1)).assign(tied="f"), y[::-1].copy(), w[::-1].copy()
    given = held_out if in_memory else collections([1, 1, 60], *held_out)
    names = "X_val", "y_val", "sample_weight_val"
    estimator = plain(3, **{**options, "max_iter": 15})
    found = in_dask(estimator).fit(
        *collections(CUTS, X, y, w), **dict(zip(names, given, strict=True))
    )
    expected = estimator.fit(X, y, w, **dict(zip(names, held_out, strict=True)))
    assert expected.validation_scores_ is not None
    assert_same_fit(found, expected, X)


def test_missing_values_in_validation_rows_alone(X, y):
    held_out = np.where(X > 1, np.nan, X)
    plain = TwoLayerRegressor(3, **SMALL)
    expected = plain.fit(X, y, X_val=held_out, y_val=y)
    rows, there = collections(CUTS, X, y), collections([7], held_out, y)
    for X_val, y_val in (there, (held_out, y)):
        found = in_dask(plain).fit(*rows, X_val=X_val, y_val=y_val)
        assert_same_fit(found, expected, X)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("X_val", ValueError, "X_val needs y_val, got y_val=None"),
        ("y_val", ValueError, "y_val and sample_weight_val need X_val"),
        ("X_val, y_val in memory", TypeError, "^y_val must be a dask array"),
        ("y_val, X_val in memory", TypeError, "^y_val must be in memory"),
        ("columns", ValueError, "X has 2 features, but .* is expecting 3"),
        ("partitions", ValueError, "^y_val must be partitioned as X_val is"),
    ],
)
def test_wrong_validation_rows(given, error, message, X, y):
    dX, dy = collections(CUTS, X, y)
    held_out = {
        "X_val": {"X_val": dX},
        "y_val": {"y_val": dy},
        "X_val, y_val in memory": {"X_val": dX, "y_val": y},
        "y_val, X_val in memory": {"X_val": X, "y_val": dy},
        "columns": {"X_val": dX[:, :2], "y_val": dy},
        "partitions": {"X_val": dX, "y_val": collections([50], y)[0]},
    }[given]
    estimator = DaskTwoLayerRegressor(3, **SMALL)
    before = dict(vars(estimator))
    with pytest.raises(error, match=message):
        estimator.fit(dX, dy, **held_out)
    assert vars(estimator) == before


@every_kind
def test_rows_set_aside(plain, X, y):
    """About the fraction of the rows judge; which, follows from the seed."""
    options = {**SMALL, "early_stopping": True, "validation_fraction": 0.2}
    ours, rows = IN_DASK[plain](3, **options), collections(CUTS, X, labels_if(plain, y))
    first, again = clone(ours).fit(*rows), clone(ours).fit(*rows)
    other = clone(ours).set_params(random_state=1).fit(*rows)
    assert len(first.validation_scores_) == 4
    assert first.validation_scores_ == again.validation_scores_ != other.validation_scores_
    assert abs(first.t_ / 4 - 120) <= len(CUTS) + 1


def test_a_split_keeps_labels_in_proportion(rng):
    Y = rng.choice(3, p=[0.6, 0.3, 0.1], size=1000)
    X = np.arange(1000.0)[:, None]
    held = PartitionsHere(
        records(X, Y, X[:, 0], [slice(0, 500), slice(500, 500), slice(500, 1000)])
    )
    train, test = split(held, 0.1, 7)
    numbers = [np.concatenate([part.X[:, 0] for part in side.parts]) for side in (train, test)]
    assert_array_equal(np.sort(np.concatenate(numbers)), X[:, 0])
    assert len(numbers[1]) == pytest.approx(100, abs=2)
    for side in (train, test):
        for part in side.parts:
            assert_array_equal(part.X[:, 0], part.weights)
            assert_array_equal(part.Y, Y[part.X[:, 0].astype(int)])
    held_out = np.bincount(np.concatenate([part.Y for part in test.parts]))
    assert_allclose(held_out, np.bincount(Y) / 10, atol=4)
    # each row as often as another
    n_times = np.zeros(1000)
    for seed in range(100):
        for part in split(held, 0.1, seed)[1].parts:
            n_times[part.X[:, 0].astype(int)] += 1
    assert n_times.mean() == pytest.approx(10, rel=0.02)
    assert n_times.max() < 30 and n_times.min() > 0


def test_too_few_rows_to_set_any_aside(X, y, capsys):
    plain = TwoLayerRegressor(3, early_stopping=True, verbose=1, **SMALL)
    found = in_dask(plain).fit(*collections([10], X[:95], y[:95]))
    ours = capsys.readouterr().out
    expected = plain.fit(X[:95], y[:95])
    assert ours.splitlines()[0] == capsys.readouterr().out.splitlines()[0]
    assert "too few rows" in ours
    assert_same_fit(found, expected, X)


@pytest.mark.parametrize("solver", SOLVERS)
@every_kind
def test_a_second_fit_goes_on(plain, solver, rng):
    X, y, w = frame(rng), labels_if(plain, targets("one target", rng)), weights(rng)
    estimator = plain(3, warm_start=True, **{**SOLVERS[solver], "max_iter": 8})
    ours, rows = in_dask(estimator).fit(*collections(CUTS, X, y, w)), collections([75], X, y, w)
    first = ours.n_iter_
    ours.fit(*rows)
    expected = estimator.fit(X, y, w).fit(X, y, w)
    assert ours.n_iter_ > first
    assert_same_fit(ours, expected, X)
    # and by itself, with rows in memory
    assert_same_fit(ours.to_local().fit(X, y, w), expected.fit(X, y, w), X)


def test_a_second_fit_to_other_rows(rng):
    X, y = frame(rng), targets("one target", rng)
    plain = TwoLayerRegressor(3, warm_start=True, **SMALL)
    found = in_dask(plain).fit(*collections(CUTS, X, y))
    found.fit(*collections(CUTS, X[:100].assign(text="Köln"), y[:100]))
    assert_same_fit(found, plain.fit(X, y).fit(X[:100].assign(text="Köln"), y[:100]), X)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"hidden_size": 4}, "hidden_size=4 differs from"), ({"loss": "huber"}, "loss|huber_delta")],
)
def test_a_second_fit_that_cannot_go_on(change, message, X, y):
    rows = collections(CUTS, X, y)
    estimator = DaskTwoLayerRegressor(3, warm_start=True, **SMALL).fit(*rows).set_params(**change)
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match=message):
        estimator.fit(*rows)
    assert vars(estimator).keys() == before.keys()
    assert all(value is before[name] for name, value in vars(estimator).items())


@pytest.mark.parametrize("verbose", [1, 2])
def test_what_is_printed(verbose, X, y, capsys):
    """As a plain fit prints it, but for the time it takes."""
    plain = TwoLayerRegressor(3, n_init=2, verbose=verbose, **SMALL)
    in_dask(plain).fit(*collections(CUTS, X, y))
    ours = capsys.readouterr().out
    plain.fit(X, y)
    theirs = capsys.readouterr().out

    def lines(printed):
        found = re.sub(r"\S+ s/iteration", "", printed.replace("Dask", "")).splitlines()
        # once in a second, some iteration is met
        return found if verbose > 1 else [found[0], found[-1]]

    assert lines(ours) == lines(theirs)
    assert len(theirs.splitlines()) >= (9 if verbose > 1 else 2)


@pytest.mark.parametrize("n_members", [2, "auto"])
def test_members_of_a_classifier(n_members, rng):
    """Networks are the same; which rows are held out to moderate them, is not."""
    X, y = array(rng), targets("classes", rng)
    plain = TwoLayerClassifier(3, solver="lbfgs", n_members=n_members, max_iter=20, **FIXED)
    found = in_dask(plain).fit(*collections(CUTS, X, y))
    expected = plain.fit(X, y)
    for ours, theirs in zip(found.coefs_, expected.coefs_, strict=True):
        assert_allclose(ours, theirs, rtol=0, atol=1e-8 * np.abs(theirs).max())
    assert_array_equal(found.predict(X), expected.predict(X))
    assert_allclose(found.predict_proba(X), expected.predict_proba(X), atol=0.1)


def test_mini_batches_learn_as_well(rng):
    """They are other ones: all partitions have a part in each."""
    X = rng.randn(1500, 3)
    y = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * rng.randn(1500)
    cuts = [0, 10, 700, 1100]
    options = {"solver": "adam", "max_iter": 12, "batch_size": 64, "random_state": 0}
    for more in ({}, {"alpha": 0.1, "learning_rate_init": 0.01}, {"monotonic_cst": [0, 1, 0]}):
        plain = TwoLayerRegressor(30, **options, **more)
        found = in_dask(plain).fit(*collections(cuts, X[:1200], y[:1200]))
        expected = plain.fit(X[:1200], y[:1200])
        ours, theirs = (each.score(X[1200:], y[1200:]) for each in (found, expected))
        assert theirs > 0.3
        assert ours > theirs - 0.1
        assert (found.n_iter_, found.t_) == (expected.n_iter_, expected.t_)


def test_constraints_hold(X, y):
    model = DaskTwoLayerRegressor(5, monotonic_cst={"a": 1}, max_iter=3, random_state=0)
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    model.fit(*collections(CUTS, table, y))
    line = np.repeat(table.iloc[:1], 50, axis=0)
    line = pd.DataFrame(line, columns=["a", "b", "c"]).assign(a=np.linspace(-4, 4, 50))
    assert (np.diff(model.predict(line)) >= 0).all()


callback = pytest.importorskip("sklearn.callback")


class Counted:
    """Takes note of the iterations, and asks to stop after some."""

    def __init__(self, most=None):
        self.most, self.given, self.losses = most, [], []

    def setup(self, estimator, context):
        self.n_setups = 1

    def teardown(self, estimator, context):
        self.n_setups -= 1

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
    ):
        if context.task_name != "iteration":
            return False
        self.given.append((X, y, metadata))
        rows = np.zeros((2, 3))
        self.losses.append(fitted_estimator.predict(rows))
        return self.most is not None and len(self.given) >= self.most


@every_kind
def test_callbacks(plain, X, y, rng):
    """They are told what those of a plain fit are told, but of collections, and may end it."""
    y, w = labels_if(plain, y), weights(rng)
    rows = collections(CUTS, X, y, w)
    estimator = plain(3, **{**SMALL, "max_iter": 20})
    ours, theirs = Counted(most=7), Counted(most=7)
    found = in_dask(estimator).set_callbacks(ours).fit(*rows)
    expected = estimator.set_callbacks(theirs).fit(X, y, w)
    assert found.n_iter_ == expected.n_iter_ == 7
    assert_same_fit(found, expected, X)
    assert ours.n_setups == theirs.n_setups == 0
    for a, b in zip(ours.losses, theirs.losses, strict=True):
        if plain is TwoLayerRegressor:
            assert_allclose(a, b, rtol=1e-8)
        else:
            assert_array_equal(a, b)
    for given_X, given_y, metadata in ours.given:
        assert (given_X, given_y, metadata["sample_weight"]) == (*rows,)


def test_callbacks_stay_here(X, y, monkeypatch):
    """A callback need not be such as could travel to a worker."""
    recorder = Counted()
    recorder.handle = open(__file__)
    try:
        model = DaskTwoLayerClassifier(3, **SMALL).set_callbacks(recorder)
        rows = collections(CUTS, X, np.digitize(y, [4.0]))
        model.fit(*rows)
        assert recorder.given
        assert model.predict(rows[0]).compute(scheduler="sync").shape == (150,)
    finally:
        recorder.handle.close()
