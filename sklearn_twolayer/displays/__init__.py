"""Pictures, after the conventions of scikit-learn's displays; they need matplotlib."""

from .importance import ImportanceDisplay
from .interval_calibration import IntervalCalibrationDisplay
from .loss_curve import LossCurveDisplay
from .prediction_interval import PredictionIntervalDisplay

__all__ = [
    "ImportanceDisplay",
    "IntervalCalibrationDisplay",
    "LossCurveDisplay",
    "PredictionIntervalDisplay",
]
