"""The estimator inside of pipelines and searches, and the rows as they reach it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted


@dataclass
class Inside:
    """What was found inside of an estimator."""

    estimator: Any
    X: Any = None
    """The rows, after the steps of the pipelines before it; None if there are none."""
    column_names: Any = None
    """What these steps call the columns, where they tell."""
    target_transformers: list = field(default_factory=list)
    """Those of the targets, outermost first."""

    def in_units_of_the_caller(self, bounds):
        """Lower and upper bounds (n_samples, 2) of targets, before they were transformed."""
        for transformer in reversed(self.target_transformers):
            column = transformer.inverse_transform(bounds.reshape(-1, 1))
            # a transformation that falls turns them around
            bounds = np.sort(np.reshape(column, bounds.shape), axis=-1)
        return bounds


def unwrap(estimator, attribute, what, X=None):
    """What has the attribute, in a fitted estimator, however deep; TypeError if nothing has it."""
    check_is_fitted(estimator)
    found = Inside(estimator, X)
    while not hasattr(found.estimator, attribute):
        within = found.estimator
        if hasattr(within, "best_estimator_"):
            found.estimator = within.best_estimator_
        elif hasattr(within, "steps"):
            found.estimator = within.steps[-1][1]
            _pass_on(found, within[:-1])
        elif hasattr(within, "regressor_"):
            found.estimator = within.regressor_
            found.target_transformers.append(within.transformer_)
        else:
            raise TypeError(
                f"estimator must have {what}, or be a Pipeline that ends in such a one or a search "
                f"(with refit=True) that found it, got {estimator!r}"
            )
    return found


def _pass_on(found, steps):
    """Rows and names after the steps of a pipeline."""
    if not steps.steps:
        return
    if found.X is not None:
        found.X = steps.transform(found.X)
    if hasattr(steps, "get_feature_names_out"):
        try:
            found.column_names = steps.get_feature_names_out(found.column_names)
        except (AttributeError, ValueError):  # a step that does not know them
            found.column_names = None
