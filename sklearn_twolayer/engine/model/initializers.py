"""Weight initialisation: small enough to learn, different enough to disagree.

To add one: write it, add one line to ``INITIALIZERS``. Uniform draws reach to
sqrt(3) times the standard deviation, which keeps the variance of the normal ones.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import RandomState

from ..numerics import Array, row_blocks
from .activations import ACTIVATIONS
from .parameters import Shape


@dataclass(frozen=True)
class Initializer:
    """Standard deviation from (fan_in, fan_out), the shape of the draw, and biases or not."""

    deviation: Callable[[float, int], float]
    uniform: bool
    draws_biases: bool = False

    def draw(
        self, random_state: RandomState, n_in: int, n_out: int, fan_in: float | None = None
    ) -> Array:
        """A weight matrix (n_in, n_out)."""
        deviation = self.deviation(n_in if fan_in is None else fan_in, n_out)
        if self.uniform:
            bound = np.sqrt(3) * deviation
            return random_state.uniform(-bound, bound, (n_in, n_out))
        return deviation * random_state.standard_normal((n_in, n_out))


def _he(fan_in: float, fan_out: int) -> float:
    """He et al. 2015: keeps the size of a signal that relu halves."""
    return float(np.sqrt(2 / fan_in))


def _glorot(fan_in: float, fan_out: int) -> float:
    """Glorot and Bengio 2010: a compromise between signal and gradient."""
    return float(np.sqrt(2 / (fan_in + fan_out)))


def _lecun(fan_in: float, fan_out: int) -> float:
    """LeCun et al. 1998: keeps the size of the signal."""
    return float(np.sqrt(1 / fan_in))


def _one(fan_in: float, fan_out: int) -> float:
    return 1.0


INITIALIZERS = {
    "he_uniform": Initializer(_he, uniform=True),
    "he_normal": Initializer(_he, uniform=False),
    "glorot_uniform": Initializer(_glorot, uniform=True),
    "glorot_normal": Initializer(_glorot, uniform=False),
    "lecun_uniform": Initializer(_lecun, uniform=True),
    "lecun_normal": Initializer(_lecun, uniform=False),
    "standard_normal": Initializer(_one, uniform=False, draws_biases=True),
}


def initialize(shape: Shape, activation: str, initializer: str, random_state: RandomState) -> Array:
    """Draw theta in float64, in the order W1, b1, W2, b2.

    ``"auto"`` takes each layer's initialiser from its activation; the output layer's is the
    identity. Biases are zero unless the initialiser draws them (``standard_normal``); a skip
    path starts at zero.
    """
    theta = np.zeros(shape.size)
    parameters = shape.views(theta)
    # encoded columns that are mostly zero count for less than one input each
    layers = (
        (activation, parameters.W1, parameters.b1, shape.fan_in),
        ("identity", parameters.W2, parameters.b2, shape.n_hidden),
    )
    for layer_activation, W, b, fan_in in layers:
        name = initializer
        if name == "auto":
            name = ACTIVATIONS[layer_activation].initializer
        chosen = INITIALIZERS[name]
        n_in, n_out = W.shape
        for rows in row_blocks(n_in, n_out):
            W[rows] = chosen.draw(random_state, len(W[rows]), n_out, fan_in)
        if chosen.draws_biases:
            b[:] = chosen.draw(random_state, 1, len(b))[0]
    return theta
