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
    gradient is zero stays as it is, and need not be visited.
    """

    start: Callable[[Array], State]
    update: Callable[[Array, Array, float, State, Settings], None]
    length: Callable[[State, float, Settings], float | Array]
    forgets: Callable[[Settings], bool]
    settle: Callable[[State], None] = lambda state: None


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
    t, beta_1, beta_2 = state["n_updates"] + 1, settings.beta_1, settings.beta_2
    first_unit = _decay(state["first_moment"], state["first_unit"], beta_1)
    second_unit = _decay(state["second_moment"], state["second_unit"], beta_2)
    state["n_updates"], state["first_unit"], state["second_unit"] = t, first_unit, second_unit
    root = ((1 - beta_2) * second_unit) ** 0.5
    rate *= (1 - beta_2**t) ** 0.5 / (1 - beta_1**t) * (1 - beta_1) * first_unit / root
    axpy = AXPY[theta.dtype.char]
    for start in range(0, len(theta), CHUNK):
        chunk = slice(start, start + CHUNK)
        g, first = gradient[chunk], state["first_moment"][chunk]
        second = state["second_moment"][chunk]
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


def _decay(moment: Array, unit: float, beta: float) -> float:
    """The unit of a moment, shrunk by beta; the moment is expressed in units of one in time."""
    unit *= beta
    if unit < SMALLEST_UNIT:
        moment *= unit
        return 1.0
    return unit


OPTIMIZERS = {
    "sgd": Optimizer(_start_sgd, _sgd, _sgd_length, _without_momentum),
    "rmsprop": Optimizer(_start_rmsprop, _rmsprop, _rmsprop_length, _never),
    "adam": Optimizer(_start_adam, _adam, _adam_length, _never, _settle_adam),
}
