"""One small step downhill, given the gradient of a mini-batch.

To add one: write its two functions, add one line to ``OPTIMIZERS``.

An update rule keeps no secrets: ``start(theta)`` returns its state, a dict of arrays and
numbers, and ``update(theta, gradient, rate, state, settings)`` changes theta and that state in
place. It may use the gradient as scratch space, and never hears of layers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .numerics import Array
from .settings import Settings

State = dict[str, Any]


@dataclass(frozen=True)
class Optimizer:
    """An update rule on flat vectors."""

    start: Callable[[Array], State]
    update: Callable[[Array, Array, float, State, Settings], None]


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


def _start_adam(theta: Array) -> State:
    return {
        "first_moment": np.zeros_like(theta),
        "second_moment": np.zeros_like(theta),
        "n_updates": 0,
    }


def _adam(theta: Array, gradient: Array, rate: float, state: State, settings: Settings) -> None:
    """Kingma and Ba 2014, in ten passes over the vector.

    m <- beta_1 m + (1 - beta_1) g, v <- beta_2 v + (1 - beta_2) g^2 and
    theta <- theta - rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon).
    The state holds m / (1 - beta_1) and v / (1 - beta_2); both factors move into the rate.
    """
    state["n_updates"] += 1
    t = state["n_updates"]
    beta_1, beta_2 = settings.beta_1, settings.beta_2
    scale = (1 - beta_2) ** 0.5
    rate *= (1 - beta_2**t) ** 0.5 / (1 - beta_1**t) * (1 - beta_1) / scale
    for start in range(0, len(theta), CHUNK):
        chunk = slice(start, start + CHUNK)
        g, first = gradient[chunk], state["first_moment"][chunk]
        second = state["second_moment"][chunk]
        first *= beta_1
        first += g
        np.multiply(g, g, out=g)
        second *= beta_2
        second += g
        np.sqrt(second, out=g)
        g += settings.epsilon / scale
        np.divide(first, g, out=g)
        g *= rate
        theta[chunk] -= g


CHUNK = 2**15
"""Parameters updated at a time, so that the passes over long vectors stay in the cache."""


OPTIMIZERS = {
    "sgd": Optimizer(_start_sgd, _sgd),
    "rmsprop": Optimizer(_start_rmsprop, _rmsprop),
    "adam": Optimizer(_start_adam, _adam),
}
