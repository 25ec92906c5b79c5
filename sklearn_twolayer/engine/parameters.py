"""All parameters are one flat vector theta; the matrices are windows onto it.

    theta = [ W1 (n_features, n_hidden) | b1 | W2 (n_hidden, n_outputs) | b2 ]

Each bias lies behind its weights, so that ``layer1 = [W1; b1]`` and ``layer2 = [W2; b2]``
are matrices of their own: a column of ones in the input makes the bias part of the product.
"""

from dataclasses import dataclass
from typing import NamedTuple

from .numerics import Array


class Parameters(NamedTuple):
    """Views of one theta; writing to one writes to theta."""

    W1: Array
    b1: Array
    W2: Array
    b2: Array
    layer1: Array
    layer2: Array


@dataclass(frozen=True)
class Shape:
    """The sizes of the network, and where each matrix lies in theta."""

    n_features: int
    n_hidden: int
    n_outputs: int

    @property
    def size(self) -> int:
        """Number of parameters."""
        return (self.n_features + 1) * self.n_hidden + (self.n_hidden + 1) * self.n_outputs

    @property
    def width(self) -> int:
        """Units in the wider of the two layers."""
        return max(self.n_hidden, self.n_outputs)

    def views(self, theta: Array) -> Parameters:
        """Zero-copy windows onto a contiguous theta."""
        d, h, k = self.n_features, self.n_hidden, self.n_outputs
        layer1 = theta[: (d + 1) * h].reshape(d + 1, h)
        layer2 = theta[(d + 1) * h :].reshape(h + 1, k)
        return Parameters(layer1[:d], layer1[d], layer2[:h], layer2[h], layer1, layer2)

    def penalized(self, theta: Array) -> tuple[Array, Array]:
        """The two flat stretches of theta that hold weights rather than biases."""
        d, h, k = self.n_features, self.n_hidden, self.n_outputs
        start = (d + 1) * h
        return theta[: d * h], theta[start : start + h * k]
