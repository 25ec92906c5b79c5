"""Lazy updates: a mini-batch changes the weights of the columns that its rows involve, no others.

Of thousands of levels a batch has a few, of a text's words as well. What the weights of the others
would do meanwhile is this:

- their part of the loss has no gradient, so nothing is missed there;
- the penalty would shrink them a little in each step. What a level owes is kept count of, and paid
  when it is visited next: the gradient of its penalty then counts once for each step since, but
  never for more than the weight itself in a plain step, which would overshoot zero and may diverge;
- what an update rule remembers of them stays as it is, and does not move them while they are away.
  If Adam's moments decayed as they do in the steps of others, nothing would be left of the mean
  gradient at the next visit, and each step of a rare level would be a tenth of the usual one.

A batch of all rows involves all levels, and is the same step as any other.
"""

import math
from typing import Any, cast

import numpy as np

from ..data.sources import Index
from ..numerics import Array
from ..settings import Settings
from .objective import Narrowed, Objective
from .optimizers import Optimizer
from .solution import State


def start(objective: Objective) -> State:
    """The count of steps, and the step in which each level of many was visited last."""
    if not objective.has_wide_categories:
        return {}
    return {"n_steps": 0, "visited": np.zeros(objective.network.shape.n_features, dtype=np.intp)}


def step(
    objective: Objective,
    theta: Array,
    index: Index,
    rate: float,
    settings: Settings,
    optimizer: Optimizer,
    state: State,
) -> float:
    """One step on the rows at `index`, theta and state changed in place; returns the loss."""
    batch, whole = objective.narrowed(index), objective.network.shape
    part = batch.part_of(theta, whole)
    loss, gradient = batch.data_loss(part)
    if not math.isfinite(loss):
        return loss
    if not objective.penalty.is_absent:
        owed = _owed(batch, state)
        gradient += _precision(objective, batch, owed, rate) * part
    remembered = cast(dict[str, Any], state)
    vectors = {k: v for k, v in remembered.items() if _is_like(v, theta)}
    of_part = remembered | {k: batch.part_of(v, whole) for k, v in vectors.items()}
    optimizer.update(part, gradient, rate, cast(State, of_part), settings)
    # what decays by its unit must not do so where no row is
    optimizer.settle(cast(State, of_part))
    batch.put(part, theta, whole)
    for k, v in vectors.items():
        batch.put(of_part[k], v, whole)
    remembered.update({k: v for k, v in of_part.items() if k not in vectors})
    return loss


def _is_like(value: object, theta: Array) -> bool:
    return isinstance(value, np.ndarray) and value.shape == theta.shape


def _owed(batch: Narrowed, state: State) -> Array:
    """For how many steps each column of the batch owes its penalty, this one included."""
    state["n_steps"] += 1
    visited = state["visited"]
    owed = state["n_steps"] - visited[batch.columns]
    visited[batch.columns] = state["n_steps"]
    return owed


def _precision(objective: Objective, batch: Narrowed, owed: Array, rate: float) -> Array:
    """What the weights of the batch are multiplied with in the gradient of the penalty."""
    precision = batch.part_of(objective.mean_precision, objective.network.shape)
    views = batch.network.shape.views(precision)
    for W in (views.W1, views.W0):
        if W is not None:
            np.minimum(W * owed[:, None], np.maximum(W, 1 / rate), out=W)
    return precision
