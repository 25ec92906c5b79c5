"""The callbacks of scikit-learn, 1.9 and newer: what a fit tells while it runs, as their tasks.

A part of a fit is a task, and so is an iteration: nobody else here knows of tasks, and the engine
nothing of scikit-learn. Before 1.9 there are no callbacks, and estimators no ``set_callbacks``.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

try:
    from sklearn.callback import AutoPropagatedCallback, CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:
        """Adds no method, so that who asks for ``set_callbacks`` is told the truth."""

    def with_callbacks(method):
        """The method as it is."""
        return method


MOST_ITERATIONS = 1000
"""Tasks of one run; where there may be more iterations, a task is a block of them.

A progress bar takes the longer for each the more there are: 0.04 ms of 1,000, 0.4 of 10,000.
"""

STEPS_OF_A_BAR = 25
"""The same where all callbacks are such as meta-estimators hand down, bars that only look on."""

LEAVES = ("fold",)
"""Parts told as a whole: there are dozens, of a second at most, and their bars would hide all."""


def tasks_of(estimator, X, y, sample_weight):
    """Who tells the callbacks of an estimator of a fit to these rows; None if there are none.

    X and y are the caller's. Where there are none this is all that callbacks cost.
    """
    callbacks = getattr(estimator, "_skl_callbacks", None)
    return Tasks(estimator, callbacks, X, y, sample_weight) if callbacks else None


@dataclass
class _Task:
    """A task that has begun; `block` iterations are one task below it, `n_left` such may follow."""

    context: Any
    block: int
    n_left: int
    n_iter: int = 0
    weights: Any = None
    is_stopped: bool = False


class Tasks:
    """Tells callbacks of a fit; a watcher of the engine.

    A part that consists of one part is one task with it. An iteration is told of when it has ended,
    its beginning and its end. The first task is that of the fit, which ends with `finish`.
    """

    def __init__(self, estimator, callbacks, X, y, sample_weight):
        self.estimator = estimator
        only_look_on = all(isinstance(each, AutoPropagatedCallback) for each in callbacks)
        self.most = STEPS_OF_A_BAR if only_look_on else MOST_ITERATIONS
        metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
        self.told = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self.root = None
        self.open = []
        self.name = None

    def begin(self, part):
        """A part of the fit begins, and with it a task."""
        if part.n_parts == 1:
            self.name = self.name or part.name
            self.open.append(None)
            return
        name, self.name = self.name or part.name, None
        block = -(-part.n_iter // self.most) or 1
        size = part.n_parts or -(-part.n_iter // block)
        size = 0 if part.name in LEAVES else size
        if self.root is None:
            context = self.root = self.estimator._init_callback_context(max_subtasks=size)
        else:
            context = self._context().subcontext(task_name=name, max_subtasks=size)
        context.call_on_fit_task_begin(**self.told)
        self.open.append(_Task(context, block, 0 if part.n_parts else size))

    def iterate(self, progress, weights=None):
        """An iteration has ended; whether the run is to stop."""
        task = self.open[-1]
        task.n_iter, task.weights = task.n_iter + 1, weights
        if task.n_iter == task.block:
            self._end_iterations(task)
        return task.is_stopped

    def end(self, weights=None):
        """A part has ended; whether no other is to begin beside it."""
        task = self.open.pop()
        if task is None:
            self.name = None
            return False  # what was one task with it has told already
        if task.n_iter:
            self._end_iterations(task)
        if task.context is self.root:
            return False  # see `finish`
        return self._end(task.context, weights) or task.is_stopped

    def finish(self):
        """The fit has ended, and the estimator is fitted."""
        self.root.call_on_fit_task_end(**self.told, reconstruction_attributes=dict)

    def _context(self):
        """That of the innermost task."""
        return next(task.context for task in reversed(self.open) if task is not None)

    def _end_iterations(self, task):
        """Those since the last block are a task; once one has asked to stop, the run is to end."""
        n_iter, task.n_iter = task.n_iter, 0
        if task.n_left == 0:
            return
        task.n_left -= 1
        name = "iteration" if n_iter == 1 else f"{n_iter} iterations"
        context = task.context.subcontext(task_name=name)
        context.call_on_fit_task_begin(**self.told)
        task.is_stopped |= self._end(context, task.weights)

    def _end(self, context, weights):
        attributes = None if weights is None else lambda: self._attributes(*weights())
        return context.call_on_fit_task_end(**self.told, reconstruction_attributes=attributes)

    def _attributes(self, coefs, intercepts, *others):
        """What makes a copy of the estimator predict with such weights; None where it cannot."""
        if not all(np.isfinite(array).all() for array in (*coefs, *intercepts)):
            return None
        return self.estimator._attributes_of_weights(coefs, intercepts, *others)
