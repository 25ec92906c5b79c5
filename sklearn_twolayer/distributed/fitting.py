"""The way of the data in a fit to rows in Dask partitions: the engine runs here, sums come back."""

import numbers
from dataclasses import replace

import joblib
import numpy as np

from .. import engine
from .._constraints import check_parameters
from .._inspection import evenly_spaced
from .._parallel import parallel
from .._validation import FEWEST_TO_VALIDATE, is_dask_collection
from .._version import __version__
from .conversion import later_rows, learn_rows
from .facts import facts_of
from .given import get_client
from .journal import Journal, digest
from .plain import unlearnt
from .selection import split
from .table import DaskTable


class FittingMixin:
    """A plain estimator whose `fit` takes Dask collections."""

    def _train(self, X, y, sample_weight, held_out):
        _check_options(self)
        self._tables, self._held_out = [], _kind_of(held_out)
        self._journal = None if self.checkpoint is None else Journal(self.checkpoint)
        try:
            fitted = super()._train(X, y, sample_weight, held_out)
            if self._journal is not None:
                self._journal.remove()
            return fitted
        finally:
            if self._journal is not None:
                self._journal.close()
            for table in self._tables:
                table.release()
            del self._tables, self._journal, self._held_out
            vars(self).pop("_state_at_begin", None)

    def _parallel(self):
        # each run has all workers to itself
        return parallel(1)

    def _task(self, X, y, sample_weight, start, streaming=False, watcher=None):
        client = get_client(self.client)
        read = learn_rows if start is None else later_rows
        table = self._lease(DaskTable(*read(self, client, X, y, sample_weight)))
        if self._journal is not None:
            state = super()._random_stream(start).get_state(legacy=False)
            self._state_at_begin = self._journal.begin(
                self._told_of_fit(table, start), _preserved(state)
            )
            table.record = self._journal
        return self._task_of(table, self._no_targets(), None, table.has_missing, watcher)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        return tags

    def _lease(self, table):
        """The table, whose rows the workers forget when the fit ends."""
        self._tables.append(table)
        return table

    def _no_targets(self):
        """Targets of no rows."""
        if self._loss_at_fit.labels:
            return np.empty(0, np.intp)
        return np.empty((0, getattr(self, "_n_targets", self.n_outputs_)))

    def _random_stream(self, start):
        random_state = super()._random_stream(start)
        if self._journal is not None:
            random_state.set_state(_restored(self._state_at_begin))
        return random_state

    def _told_of_fit(self, table, start):
        """What tells this fit from others."""
        parameters = self.get_params(deep=False)
        for name in ("client", "checkpoint", "verbose", "n_jobs"):
            parameters.pop(name)
        # another process has it elsewhere: what it draws is kept
        if not isinstance(self.random_state, numbers.Integral | None):
            parameters["random_state"] = type(self.random_state)
        return {
            "the class": type(self).__name__,
            "the version": __version__,
            **{name: repr(value) for name, value in parameters.items()},
            **_told_of_rows(table, "rows"),
            "the validation rows": self._held_out,
            "earlier weights": None if start is None else digest(start.theta),
        }

    def _with_validation(self, task, held_out, random_state):
        if is_dask_collection(held_out[0]):
            client = get_client(self.client)
            table = self._lease(DaskTable(*later_rows(self, client, *held_out, suffix="_val")))
            if self._journal is not None:
                self._journal.tell(_told_of_rows(table, "validation rows"))
            missing = task.has_missing or table.has_missing
            table.record = task.X.record
            return self._judged(
                replace(task, validation=(table, task.Y, None), has_missing=missing)
            )
        # rows in memory are rated here
        return super()._with_validation(task, held_out, random_state)

    def _split(self, task, random_state):
        if int(self.validation_fraction * task.X.shape[0]) < FEWEST_TO_VALIDATE:
            return self._too_few(task)
        seed = random_state.randint(np.iinfo(np.int32).max)
        sides = split(task.X.partitions, self.validation_fraction, seed)
        train, test = (self._lease(DaskTable(side, facts_of(side))) for side in sides)
        if not (train.shape[0] and test.shape[0]):
            return self._too_few(task)
        train.record = test.record = task.X.record
        task.X.partitions.release()  # both sides are there
        return replace(task, X=train, validation=(test, task.Y, None))

    def _keep_importances(self, plan, most):
        table = plan.task.X
        n = min(most, table.shape[0])
        X, Y, weights = table.part(evenly_spaced(n, table.shape[0], None))
        some = replace(plan.task, X=X, Y=Y, weights=weights)
        super()._keep_importances(replace(plan, task=some), most)


def _kind_of(held_out):
    """Where validation rows are, if there are any, and which those in this process are."""
    if held_out[0] is None:
        return "none"
    if is_dask_collection(held_out[0]):
        return "in Dask"
    parts = [part for part in held_out if part is not None]
    return f"in memory, {joblib.hash(parts)}"


def _check_options(estimator):
    """ValueError, before any row is read, for what takes each of them in one process."""
    check_parameters(estimator)
    loss = getattr(estimator, "loss", None)
    borrows_prior = loss is not None and engine.LOSSES[loss].borrows_prior
    open_alpha, open_delta = (
        isinstance(getattr(estimator, name, None), str) for name in ("alpha", "huber_delta")
    )
    refused = {
        "scoring": (estimator.scoring != "loss", "take scoring='loss'"),
        "group_lasso": (estimator.group_lasso, "take group_lasso=False"),
        "noise": (getattr(estimator, "noise", None) == "mixture", "take noise='varying'"),
        "alpha": (borrows_prior and open_alpha, f"for loss={loss!r} give it a number, such as 1.0"),
        "huber_delta": (
            loss == "huber" and open_delta,
            "give it a number, in the units of y, beyond which an error is that of an outlier",
        ),
    }
    for name, (is_refused, advice) in refused.items():
        if is_refused:
            raise ValueError(
                f"{name}={getattr(estimator, name)!r} takes all rows in one process: {advice}, or "
                f"fit {type(unlearnt(estimator)).__name__} on rows in memory"
            )


def _told_of_rows(table, name):
    """What tells the rows of a table from others."""
    return {
        f"the {name} of the partitions": table.counts.tolist(),
        f"the {name} themselves": digest(np.float64(table.weight), *table.told()),
    }


def _preserved(state):
    """The state of a random stream, for JSON."""
    inner = dict(state["state"], key=state["state"]["key"].tolist())
    return dict(state, state={k: v if isinstance(v, list) else int(v) for k, v in inner.items()})


def _restored(state):
    inner = dict(state["state"], key=np.array(state["state"]["key"], np.uint32))
    return dict(state, state=inner)
