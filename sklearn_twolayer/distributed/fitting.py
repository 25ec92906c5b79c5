"""The way of the data in a fit to rows in Dask partitions: the engine runs here, sums come back."""

from dataclasses import replace

import numpy as np

from .._inspection import evenly_spaced
from .._parallel import parallel
from .conversion import later_rows, learn_rows
from .facts import facts_of
from .given import get_client
from .journal import Journal
from .selection import split
from .table import DaskTable


class FittingMixin:
    """A plain estimator whose `fit` takes Dask collections."""

    def _train(self, X, y, sample_weight, held_out):
        _check_options(self)
        self._tables, self._journal = [], None
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
            del self._tables, self._journal

    def _parallel(self):
        # each run has all workers to itself
        return parallel(1)

    def _task(self, X, y, sample_weight, start, streaming=False, watcher=None):
        client = get_client(self.client)
        read = learn_rows if start is None else later_rows
        table = self._lease(DaskTable(*read(self, client, X, y, sample_weight)))
        if self.checkpoint is not None:
            self._journal = Journal(self.checkpoint, *self._told_of_fit(table, start))
            table.record = self._journal
        return self._task_of(table, self._no_targets(), None, table.has_missing, watcher)

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
            random_state.set_state(_restored(self._journal.state))
        return random_state

    def _told_of_fit(self, table, start):
        """What tells this fit from others, and where its random numbers begin."""
        parameters = self.get_params(deep=False)
        for name in ("client", "checkpoint", "verbose", "n_jobs"):
            parameters.pop(name)
        fit = {
            "the class": type(self).__name__,
            **{name: repr(value) for name, value in parameters.items()},
            "rows of the partitions": [int(n) for n in table.counts],
            "the rows themselves": repr([table.weight, *map(repr, table.told())]),
            "earlier weights": None if start is None else start.theta.tobytes().hex()[:64],
        }
        state = super()._random_stream(start).get_state(legacy=False)
        return fit, _preserved(state)

    def _with_validation(self, task, held_out, random_state):
        if held_out[0] is not None:
            client = get_client(self.client)
            table = self._lease(DaskTable(*later_rows(self, client, *held_out, suffix="_val")))
            missing = task.has_missing or table.has_missing
            task = replace(task, validation=(table, task.Y, None), has_missing=missing)
        elif self.early_stopping and all(part is None for part in held_out):
            seed = random_state.randint(np.iinfo(np.int32).max)
            sides = split(task.X.partitions, self.validation_fraction, seed)
            train, test = (self._lease(DaskTable(side, facts_of(side))) for side in sides)
            train.record = task.X.record
            task = replace(task, X=train, validation=(test, task.Y, None))
        else:
            return super()._with_validation(task, held_out, random_state)
        task.validation[0].record = task.X.record
        return replace(task, early_stopping=self.early_stopping)

    def _keep_importances(self, plan, most):
        table = plan.task.X
        n = min(most, table.shape[0])
        X, Y, weights = table.part(evenly_spaced(n, table.shape[0], None))
        some = replace(plan.task, X=X, Y=Y, weights=weights)
        super()._keep_importances(replace(plan, task=some), most)


def _check_options(estimator):
    """ValueError for what takes each row in one process."""
    plain = type(estimator).__name__.removeprefix("Dask")
    refused = {
        "scoring": estimator.scoring != "loss",
        "group_lasso": bool(estimator.group_lasso),
        "noise": getattr(estimator, "noise", "constant") == "mixture",
    }
    for name, is_refused in refused.items():
        if is_refused:
            raise ValueError(
                f"{name}={getattr(estimator, name)!r} takes all rows in one process: leave it at "
                f"its default, or take {plain}"
            )


def _preserved(state):
    """The state of a random stream, for JSON."""
    inner = dict(state["state"], key=state["state"]["key"].tolist())
    return dict(state, state={k: v if isinstance(v, list) else int(v) for k, v in inner.items()})


def _restored(state):
    inner = dict(state["state"], key=np.array(state["state"]["key"], np.uint32))
    return dict(state, state=inner)
