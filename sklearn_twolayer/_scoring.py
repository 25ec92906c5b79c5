"""Scorers on the validation rows, while a fit goes on."""

from inspect import signature

import numpy as np


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
