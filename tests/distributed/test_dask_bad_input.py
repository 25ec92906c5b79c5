"""Bad input to fits in Dask: clear errors, estimators as they were, nothing left on the cluster."""

import time

import numpy as np
import pandas as pd
import pytest
from dask import array as da
from dask import dataframe as dd
from parity import FIXED, IN_DASK, collection, collections, in_dask
from partitioned_tables import N_ROWS, array, frame
from partitions_here import partitions_here

from kinds import IGNORE_CONVERGENCE
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer.distributed import DaskTwoLayerClassifier, DaskTwoLayerRegressor

pytestmark = IGNORE_CONVERGENCE
CUTS = [50, 50, 100]
SMALL = {"solver": "lbfgs", "alpha": 1.0, "max_iter": 3, **FIXED}
RNG = np.random.RandomState(0)
X, QUANTITIES, FRAME = array(RNG), RNG.gamma(2, size=N_ROWS), frame(RNG)
LABELS = np.array(["no", "yes"])[RNG.randint(2, size=N_ROWS)]


@pytest.fixture
def here(monkeypatch):
    partitions_here(monkeypatch)


def spoilt(table, row, column, value):
    """With one other value."""
    table = table.copy()
    if hasattr(table, "iloc"):
        table[column] = table[column].astype(object)
        table.loc[row, column] = value
    elif table.ndim == 1:
        table[row] = value
    else:
        table[row, column] = value
    return table


LISTS = pd.DataFrame({"a": pd.Series([[1]] * N_ROWS, dtype=object), "b": X[:, 0]})
REGRESSOR, CLASSIFIER = TwoLayerRegressor(3, **SMALL), TwoLayerClassifier(3, **SMALL)
ONES = np.ones(N_ROWS)
BAD = {
    "infinite X": (REGRESSOR, spoilt(X, 120, 1, np.inf), QUANTITIES, None),
    "infinite in a frame": (REGRESSOR, spoilt(FRAME, 7, "number", np.inf), QUANTITIES, None),
    "a text among numbers": (REGRESSOR, spoilt(FRAME, 7, "number", "x"), QUANTITIES, None),
    "lists": (REGRESSOR, LISTS, QUANTITIES, None),
    "complex": (REGRESSOR, X * 1j, QUANTITIES, None),
    "missing y": (REGRESSOR, X, spoilt(QUANTITIES, 60, 0, np.nan), None),
    "y of text": (REGRESSOR, X, LABELS, None),
    "negative y": (TwoLayerRegressor(3, loss="poisson", **SMALL), X, -QUANTITIES, None),
    "quantities for labels": (CLASSIFIER, X, QUANTITIES, None),
    "missing label": (CLASSIFIER, X, spoilt(LABELS.astype(object), 149, 0, None), None),
    "mixed labels": (CLASSIFIER, X, spoilt(LABELS.astype(object), 0, 0, 3), None),
    "negative weight": (REGRESSOR, X, QUANTITIES, spoilt(ONES, 101, 0, -1.0)),
    "missing weight": (REGRESSOR, X, QUANTITIES, spoilt(ONES, 101, 0, np.nan)),
    "no weight": (REGRESSOR, X, QUANTITIES, 0 * ONES),
    "huge weights": (REGRESSOR, X, QUANTITIES, 1e307 * ONES),
    "tiny weights": (REGRESSOR, X, QUANTITIES, 1e-315 * ONES),
    "no columns": (REGRESSOR, X[:, :0], QUANTITIES, None),
    "no rows": (REGRESSOR, X[:0], QUANTITIES[:0], None),
    "unknown category": (
        TwoLayerRegressor(3, categorical_features=["zz"], **SMALL),
        FRAME,
        QUANTITIES,
        None,
    ),
    "unknown direction": (
        TwoLayerRegressor(3, **{**SMALL, "solver": "adam"}, monotonic_cst={"zz": 1}),
        FRAME,
        QUANTITIES,
        None,
    ),
    "class_weight of no class": (
        TwoLayerClassifier(3, class_weight={"perhaps": 1.0}, **SMALL),
        X,
        LABELS,
        None,
    ),
    "no curvature": (
        TwoLayerRegressor(3, **{**SMALL, "solver": "lm"}, loss="absolute_error"),
        X,
        QUANTITIES,
        None,
    ),
    "beyond single precision": (
        TwoLayerRegressor(3, dtype="float32", standardize=False, **SMALL),
        1e37 * X,
        QUANTITIES,
        None,
    ),
}


OF_VALUES = ("mixed labels", "y of text", "lists", "complex", "negative y", "no columns")
"""Errors that tell of values in the table, where those in Dask know of the partition's alone."""


@pytest.mark.parametrize("name", BAD)
def test_errors_are_those_of_plain_fits(name, here):
    """With the number of the partition in front, where it is about one."""
    plain, *table = BAD[name]
    kinds = (ValueError, TypeError)
    with pytest.raises(kinds) as theirs:
        plain.fit(*table)
    cuts = CUTS if len(table[0]) else [0]
    estimator = in_dask(plain)
    before = dict(vars(estimator))
    with pytest.raises(kinds) as ours:
        estimator.fit(*collections(cuts, *table))
    assert vars(estimator) == before
    found = str(ours.value).replace("DaskTwo", "Two")
    if found.startswith("partition "):
        number, _, found = found.removeprefix("partition ").partition(": ")
        assert int(number) in range(len(cuts) + 1)
    expected = str(theirs.value)
    if name in OF_VALUES:
        expected, found = (text.split()[:3] for text in (expected, found))
    assert found == expected


@pytest.mark.parametrize("plain", IN_DASK)
def test_rows_in_memory(plain, here):
    y = LABELS if plain is TwoLayerClassifier else QUANTITIES
    (dX, dy, _), estimator = collections(CUTS, X, y, ONES), IN_DASK[plain](3, **SMALL)
    for given, name in (((X, y), "X"), ((dX, y), "y"), ((dX, dy, ONES), "sample_weight")):
        with pytest.raises(TypeError, match=f"^{name} must be a dask array.* got numpy.ndarray"):
            estimator.fit(*given)
    with pytest.raises(TypeError, match=r"^X must be in memory"):
        plain(3, **SMALL).fit(dX, y)


@pytest.mark.parametrize("kind", ["array", "frame"])
def test_other_partitions(kind, here):
    table = X if kind == "array" else FRAME
    rows, y, w = collections(CUTS, table, pd.Series(QUANTITIES), pd.Series(ONES))
    longer = collection(pd.Series(QUANTITIES), [50, 50, 101])
    fewer = collection(pd.Series(QUANTITIES), [50])
    for y_given, w_given, name in ((fewer, None, "y"), (y, fewer, "sample_weight")):
        with pytest.raises(ValueError, match=f"^{name} must be partitioned as X is"):
            DaskTwoLayerRegressor(3, **SMALL).fit(rows, y_given, w_given)
    for y_given, w_given, name in ((longer, w, "y"), (y, longer, "sample_weight")):
        with pytest.raises(
            ValueError, match=f"^partition [23]: X and {name} must have as many rows, got 50 and 5?"
        ):
            DaskTwoLayerRegressor(3, **SMALL).fit(rows, y_given, w_given)


def test_columns_of_predictions(here):
    """They are looked at before anything is computed."""
    rows = dd.concat([dd.from_pandas(FRAME, npartitions=1)])
    model = DaskTwoLayerRegressor(3, **SMALL).fit(*collections(CUTS, FRAME, QUANTITIES))
    for other, message in (
        (rows[FRAME.columns[::-1]], "same order"),
        (rows.drop(columns="tied"), "yet now missing:\n- tied"),
        (rows.assign(zz=1.0), "unseen at fit time:\n- zz"),
    ):
        with pytest.raises(ValueError, match=message):
            model.predict(other)
    of_arrays = DaskTwoLayerRegressor(3, **SMALL).fit(*collections(CUTS, X, QUANTITIES))
    with pytest.raises(ValueError, match=r"X has 4 features, but .* is expecting 3"):
        of_arrays.predict(da.zeros((4, 4), chunks=2))
    with pytest.raises(TypeError, match="X must be a dask array or DataFrame"):
        model.predict(dd.from_pandas(FRAME, npartitions=1).to_bag())


def test_a_client_that_is_not_there():
    rows = collections(CUTS, X, QUANTITIES)
    estimator = DaskTwoLayerRegressor(3, **SMALL)
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match="there is no Dask client: make one before"):
        estimator.fit(*rows)
    with pytest.raises(TypeError, match=r"client must be a distributed.Client or None, got 'tcp"):
        estimator.set_params(client="tcp://127.0.0.1:8786").fit(*rows)
    assert vars(estimator) == {**before, "client": "tcp://127.0.0.1:8786"}


def keys(client):
    """Those of the scheduler, once it has done what it was told."""
    for _ in range(50):
        found = client.run_on_scheduler(lambda dask_scheduler: list(map(str, dask_scheduler.tasks)))
        if not found:
            break
        time.sleep(0.1)
    return found


@pytest.mark.parametrize("name", ["missing y", "mixed labels", "no weight", "huge weights"])
def test_errors_come_from_workers_and_leave_nothing_there(name, client):
    plain, *table = BAD[name]
    assert not keys(client)
    estimator = in_dask(plain, client=client)
    before = dict(vars(estimator))
    with pytest.raises((ValueError, TypeError)):
        estimator.fit(*collections(CUTS, *table))
    assert vars(estimator) == before
    assert not keys(client)


def test_a_closed_client(cluster, client):
    from distributed import Client

    rows = collections(CUTS, X, LABELS)
    closed = Client(cluster, set_as_default=False)
    closed.close()
    with pytest.raises(ValueError, match="client must be running, got a closed one"):
        DaskTwoLayerClassifier(3, client=closed, **SMALL).fit(*rows)
    # another one takes over
    DaskTwoLayerClassifier(3, client=client, **SMALL).fit(*rows)
    assert not keys(client)


def test_a_fit_within_a_task_would_wait_for_itself(client):
    from dask.distributed import get_client

    def fit_there():
        X = da.ones((20, 2), chunks=(10, 2))
        DaskTwoLayerRegressor(2, client=get_client(), **SMALL).fit(X, X[:, 0])

    future = client.submit(fit_there, pure=False)
    with pytest.raises(ValueError, match="fit within a task of a cluster would wait"):
        future.result(timeout=30)
    future.release()
    assert not keys(client)
