"""Estimators for rows that live in the partitions of a Dask cluster."""

try:
    import dask.array  # noqa: F401
    import distributed  # noqa: F401
except ImportError as error:
    raise ImportError(
        "sklearn_twolayer.distributed needs dask and distributed: "
        f'pip install "sklearn-twolayer[dask]" ({error})'
    ) from error

from .estimators import DaskTwoLayerClassifier, DaskTwoLayerRegressor

__all__ = ["DaskTwoLayerClassifier", "DaskTwoLayerRegressor"]

for _estimator in (DaskTwoLayerClassifier, DaskTwoLayerRegressor):
    # pickles name the public module, so files may move without breaking them
    _estimator.__module__ = __name__
del _estimator
