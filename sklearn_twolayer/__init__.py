"""Neural networks with one hidden layer for scikit-learn: no scaling, no tuning, no torch."""

from ._classifier import TwoLayerClassifier
from ._regressor import TwoLayerRegressor
from .displays import (
    ImportanceDisplay,
    IntervalCalibrationDisplay,
    LossCurveDisplay,
    PredictionIntervalDisplay,
)

__version__ = "0.1.0"

__all__ = [
    "ImportanceDisplay",
    "IntervalCalibrationDisplay",
    "LossCurveDisplay",
    "PredictionIntervalDisplay",
    "TwoLayerClassifier",
    "TwoLayerRegressor",
]

for _estimator in (TwoLayerClassifier, TwoLayerRegressor):
    # pickles and allow-lists name the public module, so files may move without breaking them
    _estimator.__module__ = __name__
del _estimator
