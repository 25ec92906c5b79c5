"""What classifier and regressor share: check, encode, one call of the engine, attributes."""

import warnings
from abc import ABCMeta, abstractmethod
from dataclasses import fields

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state, gen_batches

from . import engine
from ._callbacks import CallbackSupportMixin, tasks_of, with_callbacks
from ._constraints import check_parameters
from ._documentation import DocumentationMixin
from ._fitted import FittedMixin
from ._inspection import MOST_ROWS, MOST_ROWS_OF_A_CHUNK, InspectionMixin
from ._members import MembersMixin
from ._parallel import parallel
from ._pickles import PicklesMixin
from ._table import TableMixin
from ._threads import one_blas_thread_if_small
from ._validation import (
    check_sample_weight,
    check_y,
    refuse_collections,
    unchanged_on_error,
    without_zero_weights,
)
from ._validation_rows import ValidationRowsMixin
from ._verbose import advice, summary

OUTPUTS_PER_BLOCK = 2**17
"""Raw outputs that prediction holds at a time: a megabyte."""


def can_go_on(estimator):
    """Whether `partial_fit` exists; a misspelt solver is answered when it is called."""
    if getattr(estimator, "noise", None) == "mixture":
        raise AttributeError(
            "noise='mixture' weighs networks by held-out rows, which partial_fit has none of: take "
            "noise='varying'"
        )
    solver = engine.SOLVERS.get(estimator.solver)
    return solver is None or solver.incremental


class BaseTwoLayer(
    TableMixin,
    ValidationRowsMixin,
    FittedMixin,
    MembersMixin,
    InspectionMixin,
    DocumentationMixin,
    CallbackSupportMixin,
    PicklesMixin,
    BaseEstimator,
    metaclass=ABCMeta,
):
    """A network with one hidden layer behind the scikit-learn API."""

    _for_collections = None
    """The name of the class that takes Dask collections, where this one does not."""

    @abstractmethod
    def _learn_targets(self, y, streaming):
        """Set the attributes that describe the targets, `_loss` and `n_outputs_` among them."""

    @abstractmethod
    def _encode(self, y):
        """Targets as the engine wants them; ValueError for what was not learnt."""

    @abstractmethod
    def _decode(self, Y):
        """From encoded targets back to those of the caller."""

    def _count_classes(self, Y, weights, afresh):
        """Take note of how often each class occurs."""

    def _weigh(self, Y, weights):
        """Weights of rows, times those of their classes."""
        return weights

    def _stratification(self, Y):
        """The labels that a split should keep in proportion, or None."""
        return None

    def _fit(self, X, y, sample_weight, held_out):
        """Train to the end; `held_out` is (X_val, y_val, sample_weight_val)."""
        with unchanged_on_error(self), np.errstate(all="ignore"):
            fitted = self._train(X, y, sample_weight, held_out)
        if self.verbose:
            print(summary(self, fitted), flush=True)
        self._warn(fitted)
        return self

    @with_callbacks  # what is left open for them is closed here, before an error undoes the rest
    def _train(self, X, y, sample_weight, held_out):
        check_parameters(self)
        tasks = tasks_of(self, X, y, sample_weight)
        start = self._continuation() if self.warm_start else None
        task = self._task(X, y, sample_weight, start, watcher=tasks)
        random_state = self._random_stream(start)
        task = self._with_validation(task, held_out, random_state)
        if self.group_lasso:
            task = self._with_chosen_columns(task, random_state, start)
        # its products are small, and threads that others limit meanwhile may never end
        with one_blas_thread_if_small(0):
            plan = engine.make_plan(task, start)
        with one_blas_thread_if_small(plan.product_size):
            fitted = engine.fit(plan, random_state, start, self._parallel())
        self._keep(fitted, plan)
        self._keep_importances(plan, MOST_ROWS)
        if tasks is not None:
            tasks.finish()
        return fitted

    def _with_chosen_columns(self, task, random_state, start):
        """The task without the columns that are not needed; those of an earlier fit stay out."""
        if task.watcher is not None:
            task.watcher.begin(engine.Part("fit", n_parts=2))  # to choose takes as long as to train
        if start is None or self.features_used_.all():
            with one_blas_thread_if_small(0):
                used = engine.choose_columns(task, random_state, self._parallel())
        else:
            used = self.features_used_
        return engine.using(task, used)

    def _partial_fit(self, X, y, sample_weight, **targets):
        """One epoch over new rows."""
        with unchanged_on_error(self), np.errstate(all="ignore"):
            check_parameters(self)
            start = self._continuation()
            task = self._task(X, y, sample_weight, start, streaming=True, **targets)
            random_state = self._random_stream(start)
            with one_blas_thread_if_small(0):
                plan = engine.make_plan(task, start, streaming=True)
            with one_blas_thread_if_small(plan.product_size):
                fitted = engine.partial_fit(plan, random_state, start)
            self._keep(fitted, plan)
            self._keep_importances(plan, MOST_ROWS_OF_A_CHUNK)
        if fitted.solution.status is engine.Status.DIVERGED:
            self._warn(fitted)
        return self

    def _task(self, X, y, sample_weight, start, streaming=False, watcher=None, **targets):
        """Everything the engine is to know of the rows to train on."""
        if start is None:
            targets["streaming"] = streaming
        X, Y, weights = self._rows(X, y, sample_weight, learn=targets if start is None else None)
        self._count_classes(Y, weights, afresh=start is None or not streaming)
        X, Y, weights = without_zero_weights(X, Y, self._weigh(Y, weights))
        if start is None:
            X = self._arrange_levels(X, Y, weights)
        return self._task_of(X, Y, weights, engine.has_missing(X), watcher)

    def _task_of(self, X, Y, weights, has_missing, watcher):
        """The task for rows as the engine wants them, and what the parameters say of it."""
        chosen = {field.name: getattr(self, field.name) for field in fields(engine.Settings)}
        if not isinstance(self.dtype, str):
            chosen["dtype"] = np.dtype(self.dtype).name
        return engine.Task(
            X,
            Y,
            weights,
            self.n_outputs_,
            self._loss_at_fit,
            engine.Settings(**chosen),
            n_levels=None if self._columns is None else self._known_columns().n_levels(),
            has_missing=has_missing,
            monotonic=self._monotonic_directions(),
            watcher=self._watcher(watcher),
        )

    def _parallel(self):
        """What makes the calls of several runs."""
        return parallel(self.n_jobs)

    def _watcher(self, other):
        """Who watches the fit: what prints its progress, another one, both or nobody."""
        report = engine.Report(self.verbose) if self.verbose else None
        return engine.Together((report, other)) if report and other else report or other

    def _rows(self, X, y, sample_weight, learn=None, suffix=""):
        """Checked and encoded rows of positive weight: (X, Y, weights).

        With `learn`, options of `_learn_targets`, columns and targets are met for the first time.
        """
        X = self._columns_of(X, learn is not None, "X" + suffix)
        y = check_y(self, X, y, suffix)
        refuse_collections(self, **{"sample_weight" + suffix: sample_weight})
        weights = check_sample_weight(sample_weight, X.shape[0], "sample_weight" + suffix)
        X, y, weights = without_zero_weights(X, y, weights)
        if learn is not None:
            self._learn_targets(y, **learn)
        Y = self._encode(y)
        self._loss_at_fit.check_targets(Y, "y" + suffix)
        return X, Y, weights

    def _continuation(self):
        """What an earlier call left to go on from, or None."""
        if not self.__sklearn_is_fitted__():
            return None
        if self._state["state"] is None:
            raise ValueError(
                f"this {type(self).__name__} was read from JSON, where there is no state of the "
                "solver to go on from: predict with it, or fit with warm_start=False"
            )
        start = engine.restore(self._state)
        for name in ("hidden_size", "skip"):
            value = getattr(start.choices, name)
            if getattr(self, name) not in ("auto", value):
                raise ValueError(
                    f"{name}={getattr(self, name)!r} differs from the fitted network's "
                    f"{value}: keep it, or fit with warm_start=False"
                )
        return start

    def _random_stream(self, start):
        """The stream of random numbers, carried on where an earlier call left it."""
        if start is None:
            return check_random_state(self.random_state)
        random_state = np.random.RandomState()
        random_state.set_state(self._random_state)
        return random_state

    def _warn(self, fitted):
        text = advice(self, fitted)
        if text is not None:
            warnings.warn(text, ConvergenceWarning, stacklevel=4)

    def _by_blocks(self, X, *computations):
        """What each of them makes of raw outputs and their rows, an array each.

        ``computation(raw, X)`` gets one block of rows after the other, whoever asks the same ones:
        a product of matrices rounds as the number of rows has it, and methods must agree.
        """
        *network, X, origin = self._network_on(X)
        found = []
        for rows in gen_batches(X.shape[0], max(64, OUTPUTS_PER_BLOCK // self.n_outputs_)):
            block = X.part(rows) if isinstance(X, engine.Encoded) else X[rows]
            raw = engine.raw_prediction(*network, block, origin)
            with np.errstate(all="ignore"):
                parts = [compute(raw, block) for compute in computations]
            if not found:
                found = [np.empty((X.shape[0], *part.shape[1:]), part.dtype) for part in parts]
            for array, part in zip(found, parts, strict=True):
                array[rows] = part
        return found

    def _uncertainty(self, X, compute):
        """``compute(rows, covariance)`` for blocks of checked rows: J A^-1 J', standardised."""
        fitted = engine.restore(self._state)
        # all products are as small as a block
        with np.errstate(all="ignore"), one_blas_thread_if_small(0):
            blocks = engine.outputs_and_covariance(
                fitted, self._loss_at_fit, engine.restore_predictive(self._predictive), X
            )
            for rows, _, covariance in blocks:
                compute(rows, covariance)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "coefs_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self._takes_sparse()
        tags.input_tags.allow_nan = True
        # scikit-learn's common checks then round X to integers
        tags.input_tags.categorical = self.categorical_features is not None
        return tags
