"""Fits in Dask beside plain ones: tables and targets for both, and what they are to have alike."""

import dask
import numpy as np
from dask import array as da
from dask import dataframe as dd
from numpy.testing import assert_allclose, assert_array_equal
from partitioned_tables import N_ROWS

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer.distributed import DaskTwoLayerClassifier, DaskTwoLayerRegressor

IN_DASK = {
    TwoLayerClassifier: DaskTwoLayerClassifier,
    TwoLayerRegressor: DaskTwoLayerRegressor,
}
FIXED = {"tol": 0, "random_state": 0}
"""As many iterations as are asked for, from the same weights."""

SOLVERS = {
    "given alpha": {"solver": "lbfgs", "alpha": 1.0, "max_iter": 40, **FIXED},
    "evidence": {"solver": "lbfgs", "max_iter": 45, **FIXED},
    "curvature, given alpha": {"solver": "lm", "alpha": 1.0, "max_iter": 8, **FIXED},
    "exact evidence": {"solver": "lm", "max_iter": 8, **FIXED},
}
LOSSES = {
    "poisson": {"loss": "poisson"},
    "gamma": {"loss": "gamma"},
    "tweedie": {"loss": "tweedie"},
    "varying noise": {"noise": "varying"},
}
WITHOUT_EVIDENCE = {
    "absolute error": {"loss": "absolute_error"},
    "a quantile": {"loss": "quantile", "quantile": 0.8},
    "quantiles": {"loss": "quantile", "quantile": [0.1, 0.9]},
    "huber": {"loss": "huber", "huber_delta": 1.0},
}
"""Losses that have none of their own: alpha is given."""


def weights(rng, n_rows=N_ROWS):
    """Some are zero."""
    return rng.randint(4, size=n_rows).astype(np.float64)


def targets(kind, rng, n_rows=N_ROWS):
    """Positive quantities, so that all losses take them, or labels."""
    if kind == "one target":
        return np.rint(rng.gamma(2, 3, n_rows)) + 0.5
    if kind == "two targets":
        return rng.gamma(2, 3, (n_rows, 2))
    if kind == "several labels":
        return rng.randint(2, size=(n_rows, 3))
    return np.array(["no", "yes", "perhaps"])[rng.randint(2 + (kind == "classes"), size=n_rows)]


TARGETS = {
    "one target": TwoLayerRegressor,
    "two targets": TwoLayerRegressor,
    "two classes": TwoLayerClassifier,
    "classes": TwoLayerClassifier,
    "several labels": TwoLayerClassifier,
}


def in_dask(plain, **own):
    """The Dask estimator of the same parameters."""
    return IN_DASK[type(plain)](**plain.get_params(), **own)


def _itself(part):
    return part


def collection(table, cuts):
    """The table in these partitions; None stays None."""
    if table is None:
        return None
    if hasattr(table, "iloc"):
        ends = zip([0, *cuts], [*cuts, len(table)], strict=True)
        parts = [table.iloc[start:stop] for start, stop in ends]
        with dask.config.set({"dataframe.convert-string": False}):  # numbers among objects, too
            return dd.from_map(_itself, parts, meta=table.iloc[:0])
    sizes = tuple(np.diff([0, *cuts, len(table)]).tolist())
    return da.from_array(table, chunks=(sizes, *table.shape[1:]))


def collections(cuts, *tables):
    """Each of them in these partitions."""
    return [collection(table, cuts) for table in tables]


def assert_same(found, expected, rtol, name=""):
    """The same numbers to `rtol` of the largest of their array, and all else the same."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), name
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, list | tuple):
        assert len(found) == len(expected), name
        for ours, theirs in zip(found, expected, strict=True):
            assert_same(ours, theirs, rtol, name)
        return
    ours, theirs = np.asarray(found), np.asarray(expected)
    assert ours.dtype == theirs.dtype, name
    if theirs.dtype.kind != "f":
        assert_array_equal(ours, theirs, err_msg=name)
    elif theirs.size:
        atol = rtol * np.abs(np.where(np.isfinite(theirs), theirs, 0)).max()
        assert_allclose(ours, theirs, rtol=0, atol=atol, err_msg=name)


def learnt(estimator):
    """All public attributes that a fit has left, by name."""
    names = [name for name in dir(estimator) if name.endswith("_") and not name.startswith("_")]
    return {name: getattr(estimator, name) for name in names if hasattr(estimator, name)}


def assert_same_fit(found, expected, X, rtol=1e-8, but=()):
    """All attributes but those, and all that is predicted."""
    ours, theirs = ({k: v for k, v in learnt(e).items() if k not in but} for e in (found, expected))
    assert ours.keys() == theirs.keys()
    assert len(theirs) > 30
    for name, value in theirs.items():
        assert_same(ours[name], value, rtol, name)
    for name in ("predict_proba", "decision_function", "predict"):
        if hasattr(expected, name):
            assert_same(getattr(found, name)(X), getattr(expected, name)(X), rtol, name)
    if isinstance(expected, TwoLayerRegressor) and expected._predictive is not None:
        deviations = (each.predict(X, return_std=True) for each in (found, expected))
        assert_same(*deviations, rtol, "deviation")
        assert_same(found.predict_interval(X), expected.predict_interval(X), rtol, "interval")
