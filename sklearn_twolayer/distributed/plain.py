"""The plain estimator within one whose rows are in partitions: it does the work on a worker."""

from typing import Any

from sklearn.base import is_classifier

from .._classifier import TwoLayerClassifier
from .._regressor import TwoLayerRegressor

OWN = ("client", "checkpoint")
"""Parameters that the plain estimators do not have."""

LEARNT_OF_ROWS = (
    "n_features_in_",
    "feature_names_in_",
    "classes_",
    "n_outputs_",
    "_class_totals",
    "_columns",
    "_encoding",
    "_is_multilabel",
    "_loss",
    "_loss_asked",
    "_loss_parameters",
    "_n_targets",
    "_single_target",
)
"""Attributes that `fit` takes from rows before it trains: all that it takes to read later ones."""


def plain(estimator: Any) -> Any:
    """A plain estimator of the same parameters and attributes."""
    made = (TwoLayerClassifier if is_classifier(estimator) else TwoLayerRegressor)()
    vars(made).update({k: v for k, v in vars(estimator).items() if k not in OWN})
    return made


def plain_reader(estimator: Any) -> Any:
    """The same, with those attributes alone that it takes to read rows."""
    made = plain(estimator)
    kept = {*made.get_params(deep=False), *LEARNT_OF_ROWS}
    for name in vars(made).keys() - kept:
        delattr(made, name)
    return made


def unlearnt(estimator: Any) -> Any:
    """The same with no attributes but its parameters."""
    made = plain(estimator)
    for name in vars(made).keys() - made.get_params(deep=False).keys():
        delattr(made, name)
    return made
