"""Targets, bounds and weights that belong together, and numbers of what is to be drawn."""

from numbers import Integral

import numpy as np

from .._validation import check_sample_weight


def check_targets(y, name):
    """As a 1-d array of floats; ValueError if they are no single quantity."""
    y = np.asarray(y, dtype=np.float64)
    if y.ndim != 1:
        raise ValueError(
            f"{name} must be one target, of shape (n_samples,), got shape {y.shape}: draw each "
            "target by from_predictions"
        )
    if not len(y):
        raise ValueError(f"{name} must have at least one row, got none")
    return y


def check_bounds(intervals, y):
    """As an array (n_samples, 2); ValueError if they are not one for each target."""
    bounds = np.asarray(intervals, dtype=np.float64)
    if bounds.shape != (len(y), 2):
        raise ValueError(
            f"intervals must have shape ({len(y)}, 2), a lower and an upper bound for each target, "
            f"got shape {bounds.shape}"
        )
    return bounds


def check_weights(sample_weight, n_samples):
    """One for each row, 1 by default."""
    weights = check_sample_weight(sample_weight, n_samples, "sample_weight")
    return np.ones(n_samples) if weights is None else weights


def check_predictions(y_pred):
    """As a 1-d array of floats; ValueError if there is not one for each row."""
    y_pred = np.asarray(y_pred, dtype=np.float64)
    if y_pred.ndim != 1 or not len(y_pred):
        raise ValueError(
            "predictions must be one for each row, of shape (n_samples,), got shape "
            f"{y_pred.shape}: draw each target, or each quantile, by from_predictions"
        )
    return y_pred


def check_number(n, name):
    """ValueError for anything but a whole number of at least 1."""
    if not isinstance(n, Integral) or isinstance(n, bool) or n < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {n!r}")
