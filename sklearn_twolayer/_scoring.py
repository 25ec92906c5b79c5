"""Scores of quantities, and scorers on the validation rows while a fit goes on."""

from inspect import signature

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import huber
from sklearn.metrics import (
    d2_absolute_error_score,
    d2_pinball_score,
    d2_tweedie_score,
    r2_score,
)


def rating(scoring, scorer, estimator, X, y, options):
    """What the scorer says; ValueError where it cannot rate such an estimator or such targets."""
    try:
        rating = scorer(estimator, X, y, **options)
    except Exception as error:
        if not isinstance(scoring, str):
            raise  # the caller's own function knows best what went wrong in it
        raise ValueError(
            f"scoring={scoring!r} cannot rate {type(estimator).__name__} on the validation rows: "
            f"{error}"
        ) from error
    try:
        number = float(rating)
    except (TypeError, ValueError):
        number = np.nan
    if np.isnan(number):
        raise ValueError(
            f"scoring must rate the validation rows by a number, got {rating!r} from {scoring!r}"
        )
    return number


def takes_weights(scorer):
    """Whether a scorer knows what to do with `sample_weight`."""
    parameters = signature(scorer).parameters.values()
    return any(p.name == "sample_weight" or p.kind is p.VAR_KEYWORD for p in parameters)


def fraction_explained(loss, parameters, y, prediction, sample_weight=None):
    """1 - loss / loss of the best constant: R2, or the D2 of a loss named with its parameters."""
    weights = {"sample_weight": sample_weight}
    if loss == "absolute_error":
        return d2_absolute_error_score(y, prediction, **weights)
    if loss == "quantile":
        levels, heads = parameters["quantile"], prediction
        if np.ndim(levels) == 0:
            return d2_pinball_score(y, prediction, alpha=levels, **weights)
        scores = [
            d2_pinball_score(y, head, alpha=level, **weights)
            for level, head in zip(levels, heads.T, strict=True)
        ]
        return float(np.mean(scores))
    if loss in POWERS:
        power = POWERS[loss] or parameters["power"]
        targets = zip(_columns(y), _columns(prediction), strict=True)
        scores = [d2_tweedie_score(*each, power=power, **weights) for each in targets]
        return float(np.mean(scores))
    # a threshold that is left open is told at the end of a fit
    if loss == "huber" and not isinstance(parameters["huber_delta"], str):
        return _d2_of_huber(parameters["huber_delta"], y, prediction, sample_weight)
    return r2_score(y, prediction, **weights)


POWERS = {"poisson": 1, "gamma": 2, "tweedie": None}
"""Of the mean, to which variances are proportional."""


def _columns(y):
    y = np.asarray(y)
    return y.reshape(len(y), -1).T


def _d2_of_huber(deltas, y, prediction, sample_weight):
    """The same for Huber's loss, which scikit-learn's metrics do not have."""
    weights = np.ones(len(prediction)) if sample_weight is None else np.asarray(sample_weight)
    scores = []
    columns = _columns(y), _columns(prediction)
    for y_k, found, delta in zip(*columns, np.broadcast_to(deltas, len(columns[0])), strict=True):
        y_k = y_k.astype(np.float64)

        def total(prediction, y_k=y_k, delta=delta):
            return float(weights @ huber(delta, y_k - prediction))

        best = minimize_scalar(total, bounds=(y_k.min(), y_k.max()), method="bounded").fun
        lost = total(found)
        scores.append(1 - lost / best if best > 0 else float(lost == 0))
    return float(np.mean(scores))
