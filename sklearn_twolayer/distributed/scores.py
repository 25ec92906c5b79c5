"""Scores of predictions for Dask collections: sums over rows, block by block, where they are."""

import warnings
from dataclasses import dataclass

import dask
import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils import check_array, check_consistent_length

from .._scoring import fraction_explained
from .given import delayed_partitions, is_frame
from .lazy import a_row_like, once, rows_of, stacked


def score(model, X, y, sample_weight, client):
    """What ``model.score`` would return for all rows in memory."""
    model.predict(a_row_like(rows_of(X)))  # which tells of unknown columns
    if is_classifier(model):
        of_block, of_all = _hits, _accuracy
    elif model._loss == "squared_error":
        of_block, of_all = _squares, _r2
    else:
        of_block, of_all = _pairs, _fraction_explained
    model = once(model)
    of_block = dask.delayed(of_block, pure=True)
    found = [of_block(model, rows) for rows in delayed_partitions(X, y, sample_weight)]
    total = dask.delayed(of_all, pure=True)(model, found)
    return total.compute() if client is None else client.compute(total, sync=True)


def log_predictive_density(model, X, y):
    """That of the model as a lazy array, chunked along rows as X is."""
    blocks = delayed_partitions(X, y)
    n_targets = () if y.ndim == 1 else (y.shape[1],)
    like = model.log_predictive_density(a_row_like(rows_of(X)), np.zeros((1, *n_targets)))
    sizes = [np.nan] * len(blocks) if is_frame(X) else X.chunks[0]
    of_block, model = dask.delayed(_density, pure=True), once(model)
    found = [of_block(model, rows) for rows in blocks]
    return stacked(found, sizes, like[:0], "log_predictive_density")


def _density(model, rows):
    X, y, _ = rows
    if X.shape[0] == 0:
        return np.empty((0, *np.shape(y)[1:]))
    return model.log_predictive_density(X, y)


def _hits(model, rows):
    """Weights of the rows whose labels are predicted, and of all."""
    X, y, weights = rows
    check_consistent_length(X, y, weights)
    total = float(X.shape[0] if weights is None else np.sum(weights))
    return (model.score(X, y, weights) * total if total else 0.0), total


def _accuracy(model, found):
    hit, total = np.sum(found, axis=0)
    if not total:
        raise ValueError("X must hold rows of a positive weight, got none")
    return float(hit / total)


@dataclass
class _Squares:
    """Sums over rows: of weights, of squared residuals, and of squares around the mean."""

    n_rows: int
    weight: float
    residual: np.ndarray
    mean: np.ndarray
    around_mean: np.ndarray

    def add(self, other):
        """Those of both; each needs a weight."""
        weight = self.weight + other.weight
        distance = other.mean - self.mean
        return _Squares(
            self.n_rows + other.n_rows,
            weight,
            self.residual + other.residual,
            self.mean + distance * (other.weight / weight),
            self.around_mean
            + other.around_mean
            + distance**2 * (self.weight * other.weight / weight),
        )


def _squares(model, rows):
    Y, prediction, weights = _pairs(model, rows)
    total = float(weights.sum())
    if total == 0:
        return None
    mean = weights @ Y / total
    sums = (weights @ np.square(part) for part in (Y - prediction, Y - mean))
    residual, around_mean = sums
    return _Squares(len(Y), total, residual, mean, around_mean)


def _r2(_, found):
    """The mean over targets, as scikit-learn has it: 1 or 0 for one that is constant."""
    found = [each for each in found if each is not None]
    if not found:
        raise ValueError("X must hold rows of a positive weight, got none")
    total = found[0]
    for each in found[1:]:
        total = total.add(each)
    if total.n_rows < 2:
        warnings.warn(
            "R^2 score is not well-defined with less than two samples.",
            UndefinedMetricWarning,
            stacklevel=2,
        )
        return float("nan")
    varies = total.around_mean > 0
    lost = np.where(varies, total.residual, total.residual > 0)
    return float(np.mean(1 - lost / np.where(varies, total.around_mean, 1)))


def _pairs(model, rows):
    """Targets and predictions (n_rows, n_columns) of a block, and its weights."""
    X, y, weights = rows
    check_consistent_length(X, y, weights)
    if X.shape[0] == 0:
        return np.empty((0, model._n_targets)), np.empty((0, model.n_outputs_)), np.empty(0)
    Y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    prediction = model.predict(X)
    weights = np.ones(len(Y)) if weights is None else np.asarray(weights, dtype=np.float64)
    return Y.reshape(len(Y), -1), prediction.reshape(len(Y), -1), weights


def _fraction_explained(model, found):
    """Of losses whose best constant is no mean: by all targets and predictions."""
    Y, prediction, weights = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return fraction_explained(model._loss, model._loss_parameters, Y, prediction, weights)
