"""Neural networks with one hidden layer for scikit-learn: no scaling, no tuning, no torch."""

from ._classifier import TwoLayerClassifier
from ._regressor import TwoLayerRegressor
from ._version import __version__ as __version__
from .displays import (
    ImportanceDisplay,
    IntervalCalibrationDisplay,
    LossCurveDisplay,
    PredictionIntervalDisplay,
)

__all__ = [
    "SKOPS_TRUSTED_TYPES",
    "ImportanceDisplay",
    "IntervalCalibrationDisplay",
    "LossCurveDisplay",
    "PredictionIntervalDisplay",
    "TwoLayerClassifier",
    "TwoLayerRegressor",
]

SKOPS_TRUSTED_TYPES = ["sklearn_twolayer.TwoLayerClassifier", "sklearn_twolayer.TwoLayerRegressor"]
"""The types that skops has to be told to trust, in ``skops.io.load(file, trusted=...)`` and in
``mlflow.sklearn.log_model(model, skops_trusted_types=...)``: what estimators hold are arrays,
numbers, strings, lists and dicts."""

for _estimator in (TwoLayerClassifier, TwoLayerRegressor):
    # pickles and allow-lists name the public module, so files may move without breaking them
    _estimator.__module__ = __name__
del _estimator
