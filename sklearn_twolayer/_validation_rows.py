"""Validation rows: those that judge a fit, the caller's own or some that are set aside."""

import copy
from dataclasses import replace

import numpy as np
from scipy import sparse
from sklearn.metrics import check_scoring

from . import engine
from ._scoring import rating, takes_weights
from ._validation import held_out_rows, without_zero_weights


class ValidationRowsMixin:
    """How a task comes by its validation rows and their score."""

    def _with_validation(self, task, held_out, random_state):
        """The task with the caller's own validation rows, with some set aside, or as it is."""
        if held_out[0] is not None:
            X, Y, weights = self._rows(*held_out, suffix="_val")
            validation = without_zero_weights(X, Y, self._weigh(Y, weights))
            missing = task.has_missing or engine.has_missing(validation[0])
            task = replace(task, validation=validation, has_missing=missing)
        elif any(part is not None for part in held_out):
            raise ValueError("y_val and sample_weight_val need X_val, got X_val=None")
        elif self.early_stopping:
            task = self._split(task, random_state)
        return task if task.validation is None else self._judged(task)

    def _split(self, task, random_state):
        """Set rows aside for validation, where there are enough to tell anything."""
        train, test = held_out_rows(
            task.X.shape[0], self.validation_fraction, self._stratification(task.Y), random_state
        )
        if test is None:
            return self._too_few(task)
        (X, Y, weights), validation = (_take(task, rows) for rows in (train, test))
        return replace(task, X=X, Y=Y, weights=weights, validation=validation)

    def _too_few(self, task):
        """The task as it is, to be judged by its loss."""
        if self.verbose:
            print("early_stopping: too few rows to set any aside for validation")
        return task

    def _judged(self, task):
        """The task with the score that `scoring` asks for, on its validation rows."""
        task = replace(task, early_stopping=self.early_stopping)
        if self.scoring == "loss":
            return task
        scorer = check_scoring(self, scoring=self.scoring)
        X, Y, weights = task.validation
        X, y = X if sparse.issparse(X) else X[:], self._decode(Y)
        options = {"sample_weight": weights} if takes_weights(scorer) else {}
        snapshot = copy.copy(self)
        # the rows no longer have the names the caller gave their columns
        vars(snapshot).pop("feature_names_in_", None)
        snapshot._columns = None  # categories are codes by now

        def score(*weights):
            snapshot._keep_weights(*weights)
            if not np.isfinite(snapshot._raw_prediction(X)).all():
                return -np.inf
            return rating(self.scoring, scorer, snapshot, X, y, options)

        return replace(task, score=score)


def _take(task, rows):
    weights = None if task.weights is None else task.weights[rows]
    return engine.subset(task.X, rows), task.Y[rows], weights
