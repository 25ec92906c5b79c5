"""Optimizers: the update rules of stochastic gradient descent.

To add one: write its three functions, add one line to ``OPTIMIZERS``.

An update rule keeps no secrets: ``start(theta)`` returns its state, a dict of arrays and
numbers, and ``update(theta, gradient, rate, state, settings)`` changes theta and that state in
place. It may use the gradient as scratch space, and never hears of layers. ``length(state, rate,
settings)`` is how far a lasting gradient of one moves each parameter in a step: the rate in the
rule's own metric, in which proximal steps are taken. If a part of the state is in units of its own,
``settle(state)`` expresses it in units of one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..numerics import AXPY, Array
from ..settings import Settings
from .solution import State


@dataclass(frozen=True)
class Optimizer:
    """An update rule on flat vectors.

    `forgets` tells whether a step depends on nothing but its gradient: then a parameter whose
    gradient is zero stays as it is, and need not be visited. `only_decays` tells whether moments
    as those of Adam do nothing else there, so that it may catch up later (`catching_up`).
    """

    start: Callable[[Array], State]
    update: Callable[[Array, Array, float, State, Settings], None]
    length: Callable[[State, float, Settings], float | Array]
    forgets: Callable[[Settings], bool]
    settle: Callable[[State], None] = lambda state: None
    only_decays: Callable[[Settings], bool] = lambda settings: False


def _never(settings: Settings) -> bool:
    return False


def _start_sgd(theta: Array) -> State:
    return {"velocity": np.zeros_like(theta)}


def _sgd(theta: Array, gradient: Array, rate: float, state: State, settings: Settings) -> None:
    """V <- momentum v - rate g; theta <- theta + v, or + momentum v - rate g (Nesterov 1983)."""
    velocity = state["velocity"]
    gradient *= rate
    velocity *= settings.momentum
    velocity -= gradient
    if settings.nesterovs_momentum and settings.momentum > 0:
        theta -= gradient
        np.multiply(velocity, settings.momentum, out=gradient)
        theta += gradient
    else:
        theta += velocity


def _sgd_length(state: State, rate: float, settings: Settings) -> float:
    """What the velocity of a lasting gradient of one tends to, with either kind of momentum."""
    return rate / (1 - settings.momentum)


def _without_momentum(settings: Settings) -> bool:
    return settings.momentum == 0


def _start_rmsprop(theta: Array) -> State:
    return {"mean_square": np.zeros_like(theta)}


def _rmsprop(theta: Array, gradient: Array, rate: float, state: State, settings: Settings) -> None:
    """S <- beta_2 s + (1 - beta_2) g^2; theta <- theta - rate g / (sqrt(s) + epsilon).

    Hinton 2012. The state holds s / (1 - beta_2), which saves a pass over the vector.
    """
    square = state["mean_square"]
    scale = (1 - settings.beta_2) ** 0.5
    square *= settings.beta_2
    scratch = gradient * gradient
    square += scratch
    np.sqrt(square, out=scratch)
    scratch += settings.epsilon / scale
    gradient /= scratch
    gradient *= rate / scale
    theta -= gradient


def _rmsprop_length(state: State, rate: float, settings: Settings) -> Array:
    scale = (1 - settings.beta_2) ** 0.5
    return np.asarray(rate / scale / (np.sqrt(state["mean_square"]) + settings.epsilon / scale))


def _start_adam(theta: Array) -> State:
    return {
        "first_moment": np.zeros_like(theta),
        "second_moment": np.zeros_like(theta),
        "first_unit": 1.0,
        "second_unit": 1.0,
        "n_updates": 0,
    }


def _settle_adam(state: State) -> None:
    state["first_moment"] *= state["first_unit"]
    state["second_moment"] *= state["second_unit"]
    state["first_unit"] = state["second_unit"] = 1.0


def _adam(theta: Array, gradient: Array, rate: float, state: State, settings: Settings) -> None:
    """Kingma and Ba 2014, in seven passes over the vector.

    m <- beta_1 m + (1 - beta_1) g, v <- beta_2 v + (1 - beta_2) g^2 and
    theta <- theta - rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon).
    The state holds m / (1 - beta_1) and v / (1 - beta_2) in units that shrink by beta_1 and
    beta_2 at each step: what decays is the unit, not the vector. All factors move into the rate.
    """
    shrink_units(state, settings)
    if state["first_unit"] < SMALLEST_UNIT:
        state["first_moment"] *= state["first_unit"]
        state["first_unit"] = 1.0
    if state["second_unit"] < SMALLEST_UNIT:
        state["second_moment"] *= state["second_unit"]
        state["second_unit"] = 1.0
    moments = state["first_moment"], state["second_moment"]
    move_by_adam(theta, gradient, rate, moments, state, settings)


def shrink_units(state: State, settings: Settings) -> None:
    """Begin a step of Adam: what moments decay by in it is taken off their units."""
    state["n_updates"] += 1
    state["first_unit"] *= settings.beta_1
    state["second_unit"] *= settings.beta_2


def root_of_unit(state: State, settings: Settings) -> float:
    """What the root of the second moment is in units of."""
    return float(((1 - settings.beta_2) * state["second_unit"]) ** 0.5)


def adam_rate(rate: float, state: State, settings: Settings) -> float:
    """The rate of a step in the units of both moments."""
    t, beta_1, beta_2 = state["n_updates"], settings.beta_1, settings.beta_2
    correction = (1 - beta_2**t) ** 0.5 / (1 - beta_1**t)
    in_units = correction * (1 - beta_1) * state["first_unit"]
    return float(rate * (in_units / root_of_unit(state, settings)))


def move_by_adam(
    theta: Array,
    gradient: Array,
    rate: float,
    moments: tuple[Array, Array],
    state: State,
    settings: Settings,
) -> None:
    """Take the gradient into both moments, which are in the units of the state, and move theta."""
    first_unit, second_unit = state["first_unit"], state["second_unit"]
    rate, root = adam_rate(rate, state, settings), root_of_unit(state, settings)
    axpy = AXPY[theta.dtype.char]
    for start in range(0, len(theta), CHUNK):
        chunk = slice(start, start + CHUNK)
        g, first, second = gradient[chunk], moments[0][chunk], moments[1][chunk]
        axpy(g, first, a=1 / first_unit)
        np.multiply(g, g, out=g)
        axpy(g, second, a=1 / second_unit)
        np.sqrt(second, out=g)
        g += settings.epsilon / root
        np.divide(first, g, out=g)
        axpy(g, theta[chunk], a=-rate)


def _adam_length(state: State, rate: float, settings: Settings) -> Array:
    """After the update: rate sqrt(1 - beta_2^t) / (sqrt(v) + epsilon)."""
    root = ((1 - settings.beta_2) * state["second_unit"]) ** 0.5
    rate *= (1 - settings.beta_2 ** state["n_updates"]) ** 0.5 / root
    return np.asarray(rate / (np.sqrt(state["second_moment"]) + settings.epsilon / root))


CHUNK = 2**16
"""Parameters updated at a time, so that the passes over long vectors stay in the cache."""

SMALLEST_UNIT = 1e-3
"""Before a moment's unit gets smaller, the moment is expressed in units of one again."""


def _has_moments(settings: Settings) -> bool:
    return settings.beta_1 > 0 and settings.beta_2 > 0


OPTIMIZERS = {
    "sgd": Optimizer(_start_sgd, _sgd, _sgd_length, _without_momentum),
    "rmsprop": Optimizer(_start_rmsprop, _rmsprop, _rmsprop_length, _never),
    "adam": Optimizer(_start_adam, _adam, _adam_length, _never, _settle_adam, _has_moments),
}
