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
    batch = objective.narrowed(index)
    part = batch.part_of(theta)
    loss, gradient = batch.data_loss(part)
    if not math.isfinite(loss):
        return loss
    if not objective.penalty.is_absent:
        _add_penalty(objective, batch, _owed(batch, state), rate, part, gradient)
    remembered = cast(dict[str, Any], state)
    vectors = {k: v for k, v in remembered.items() if _is_like(v, theta)}
    of_part = remembered | {k: batch.part_of(v) for k, v in vectors.items()}
    optimizer.update(part, gradient, rate, cast(State, of_part), settings)
    # what decays by its unit must not do so where no row is
    optimizer.settle(cast(State, of_part))
    batch.put(part, theta)
    for k, v in vectors.items():
        batch.put(of_part[k], v)
    remembered.update({k: v for k, v in of_part.items() if k not in vectors})
    return loss


def _is_like(value: object, theta: Array) -> bool:
    return isinstance(value, np.ndarray) and value.shape == theta.shape


def _owed(batch: Narrowed, state: State) -> Array:
    """For how many steps each column of the batch owes its penalty, this one included."""
    state["n_steps"] += 1
    visited = state["visited"]
    owed = state["n_steps"] - visited.take(batch.columns)
    visited[batch.columns] = state["n_steps"]
    return owed


def _add_penalty(
    objective: Objective, batch: Narrowed, owed: Array, rate: float, part: Array, gradient: Array
) -> None:
    """Add the gradient of the penalty, of a column once for each step that it owes."""
    of_columns, of_b1, of_W2, of_W0 = objective.penalty.by_layer
    weights, out = (batch.network.shape.views(vector) for vector in (part, gradient))
    total = objective.total_weight
    of_W1 = _strength(of_columns.take(batch.columns) / total, owed, rate, part)
    terms = [(out.W1, weights.W1, of_W1), (out.W2, weights.W2, of_W2 / total)]
    if of_b1:
        terms.append((out.b1, weights.b1, of_b1 / total))
    if out.W0 is not None and weights.W0 is not None:
        terms.append((out.W0, weights.W0, _strength(of_W0 / total, owed, rate, part)))
    for gradient_of_W, W, strength in terms:
        np.add(gradient_of_W, strength * W, out=gradient_of_W)


def _strength(precision: Array | float, owed: Array, rate: float, like: Array) -> Array:
    # a schedule may end at a rate of zero, where nothing overshoots
    most = 1 / rate if rate else math.inf
    strength = np.minimum(precision * owed, np.maximum(precision, most))
    return strength.astype(like.dtype)[:, None]
