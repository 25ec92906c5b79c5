"""Watching a run: who rates the weights on its way, and who is told of them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .data.scaling import Scaling
from .model.folding import raw_weights
from .model.parameters import Shape
from .numerics import Array
from .plan import Plan
from .preparation import Training
from .solvers.monitor import Monitor
from .solvers.objective import Objective
from .solvers.progress import Progress
from .task import Continuation, Task

Raw = tuple[list[Array], list[Array]]
"""Weights and biases that act on raw units."""

Shown = Callable[[list[Array], list[Array]], Raw]
"""Makes of the raw weights of a run those of the network that the fit is to find."""


def as_it_is(coefs: list[Array], intercepts: list[Array]) -> Raw:
    """The network of the run is the one that the fit is to find."""
    return coefs, intercepts


def watch(
    plan: Plan,
    training: Training,
    start: Continuation | None,
    keep_best: bool,
    shown: Shown | None,
) -> Monitor:
    """The monitor of a run; what whoever watches is told of raw weights, `shown` makes of them."""
    return Monitor(
        plan.settings.tol,
        plan.settings.n_iter_no_change,
        score=None if plan.task.validation is None else _score(plan, training),
        stops_by_score=plan.task.early_stopping,
        callback=_callback(plan, training, shown),
        keep_best=keep_best,
        loss_curve=list(start.loss_curve) if start else [],
        scores=list(start.scores) if start else [],
    )


def _callback(
    plan: Plan, training: Training, shown: Shown | None
) -> Callable[[Progress], bool | None] | None:
    """What tells of each iteration, if anybody watches."""
    watcher = plan.task.watcher
    if watcher is None:
        return None
    if shown is None:
        return watcher.iterate

    def tell(progress: Progress) -> bool | None:
        def weights() -> tuple[Any, ...]:
            coefs, intercepts, *others = _to_predict_with(plan, training, progress.theta)
            return *shown(coefs, intercepts), *others

        return watcher.iterate(progress, weights)

    return tell


def _to_predict_with(plan: Plan, training: Training, theta: Array) -> tuple[Any, ...]:
    """Theta as (coefs, intercepts, activation, encoding, scaling), in raw units."""
    settings, scaling = plan.settings, training.scaling
    raw = in_raw_units(plan.task, settings.dtype, scaling, plan.shape, theta)
    return *raw, settings.activation, plan.encoding, scaling


def _score(plan: Plan, training: Training) -> Callable[[Array], float]:
    """The rating of theta on the validation rows, by the caller's score or the negated loss."""
    score = plan.task.score
    if score is not None:
        return lambda theta: float(score(*_to_predict_with(plan, training, theta)))
    assert training.validation is not None
    held_out = Objective(plan.network(), training.validation, 0.0)
    return lambda theta: -held_out.data_loss(theta)


def in_raw_units(task: Task, dtype: str, scaling: Scaling, shape: Shape, theta: Array) -> Raw:
    """Weights and biases that act on raw units, in the wider precision of rows and training."""
    return raw_weights(scaling, shape, theta, np.result_type(task.X.dtype, dtype))
