"""Dask estimators with what plain ones have learnt, and rows for them in collections."""

import numpy as np
import pandas as pd
from dask import array as da
from dask import dataframe as dd

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer.distributed import DaskTwoLayerClassifier, DaskTwoLayerRegressor

CLASSES = {
    TwoLayerClassifier: DaskTwoLayerClassifier,
    TwoLayerRegressor: DaskTwoLayerRegressor,
}
RNG = np.random.RandomState(0)
X = RNG.randn(60, 3)
QUANTITIES = X[:, 0] + X[:, 1] ** 2 + 0.1 * RNG.randn(60)
FRAME = pd.DataFrame(X, columns=["a", "b", "c"]).assign(city=RNG.choice(["Bonn", "Graz"], 60))
SIZES = (20, 0, 7, 33)
"""Of partitions, one of them empty."""


def as_dask(plain, **own):
    """The Dask estimator as a fit would leave it that finds the same."""
    estimator = CLASSES[type(plain)](**plain.get_params(), **own)
    vars(estimator).update(vars(plain))
    return estimator


def chunked(array):
    """An array in blocks, one of them empty, its columns in two."""
    columns = () if array.ndim == 1 else ((1, array.shape[1] - 1),)
    return da.from_array(array, chunks=(SIZES, *columns))


def of_unknown_sizes(array):
    """The same in blocks whose sizes are not known."""
    return partitioned(pd.DataFrame(array)).to_dask_array()


def partitioned(frame):
    """A frame in partitions, one of them empty."""
    ends = np.cumsum(SIZES)
    parts = [frame.iloc[end - size : end] for size, end in zip(SIZES, ends, strict=True)]
    return dd.from_map(lambda number: parts[number], range(len(parts)), meta=frame.iloc[:0])
