"""The parameter vector theta, of which the weight matrices are views.

    theta = [ W1 (n_features, n_hidden) | b1 | W2 (n_hidden, n_outputs) | b2 | W0 ]

Each bias lies behind its weights, so that ``layer1 = [W1; b1]`` and ``layer2 = [W2; b2]``
are matrices of their own: a column of ones in the input makes the bias part of the product.
W0 (n_features, n_outputs), the path that skips the hidden layer, is there with ``skip`` only.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..numerics import Array

MOST_PARAMETERS = 10**9
"""Of a network: 8 GB in double precision, and as much again several times over to train it."""


class Parameters(NamedTuple):
    """Views of one theta; writing to one writes to theta."""

    W1: Array
    b1: Array
    W2: Array
    b2: Array
    layer1: Array
    layer2: Array
    W0: Array | None


@dataclass(frozen=True)
class Shape:
    """The sizes of the network, and where each matrix lies in theta.

    Of encoded columns `blocks` has (original column, number of its encoded columns), one block
    behind the other, and `n_inputs` the standardised columns that they weigh as much as.
    """

    n_features: int
    n_hidden: int
    n_outputs: int
    skip: bool = False
    blocks: tuple[tuple[int, int], ...] | None = None
    n_inputs: float | None = None

    @property
    def size(self) -> int:
        """Number of parameters."""
        d, h, k = self.n_features, self.n_hidden, self.n_outputs
        return (d + 1) * h + (h + 1) * k + (d * k if self.skip else 0)

    @property
    def width(self) -> int:
        """Units in the wider of the two layers."""
        return max(self.n_hidden, self.n_outputs)

    def rows_are_cheaper_than_units(self, n_rows: int) -> bool:
        """Whether one output's error is passed on sooner by scaling input rows than hidden units.

        That touches X and dW1 instead of D1, twice.
        """
        d, h = self.n_features + 1, self.n_hidden
        return self.n_outputs == 1 and d * (n_rows + h) < 2 * n_rows * h

    @property
    def fan_in(self) -> float:
        """The mean squared length of an input row in standardised units."""
        return float(self.n_features) if self.n_inputs is None else self.n_inputs

    @property
    def n_columns(self) -> int:
        """Original columns of X."""
        return self.n_features if self.blocks is None else len(self.blocks)

    @property
    def columns(self) -> Array:
        """The original column of X that each feature belongs to (n_features,)."""
        if self.blocks is None:
            return np.arange(self.n_features)
        columns, sizes = np.array(self.blocks, dtype=np.intp).reshape(-1, 2).T
        return np.repeat(columns, sizes)

    @property
    def n_groups(self) -> int:
        """Groups of weights that may have a prior of their own; see `groups`."""
        return self.n_columns + 2 + self.skip

    def groups(self) -> Array:
        """The group of each parameter: the original column of X for W1, then b1, W2 and W0.

        It is -1 for b2.
        """
        group, n_columns = np.empty(self.size, dtype=np.int32), self.n_columns
        parts = self.views(group)
        parts.W1[:] = self.columns[:, None]
        parts.b1[:], parts.W2[:], parts.b2[:] = n_columns, n_columns + 1, -1
        if parts.W0 is not None:
            parts.W0[:] = n_columns + 2
        return group

    def views(self, theta: Array) -> Parameters:
        """Zero-copy windows onto a contiguous theta."""
        d, h, k = self.n_features, self.n_hidden, self.n_outputs
        layer1 = theta[: (d + 1) * h].reshape(d + 1, h)
        end = (d + 1) * h + (h + 1) * k
        layer2 = theta[(d + 1) * h : end].reshape(h + 1, k)
        W0 = theta[end:].reshape(d, k) if self.skip else None
        return Parameters(layer1[:d], layer1[d], layer2[:h], layer2[h], layer1, layer2, W0)

    def penalized(self, theta: Array) -> tuple[Array, ...]:
        """The two or three flat stretches of theta that hold weights rather than biases."""
        d, h, k = self.n_features, self.n_hidden, self.n_outputs
        start = (d + 1) * h
        stretches = theta[: d * h], theta[start : start + h * k]
        return (*stretches, theta[start + (h + 1) * k :]) if self.skip else stretches


def check_size(shape: Shape) -> None:
    """ValueError for a network that no memory would hold."""
    if shape.size > MOST_PARAMETERS:
        raise ValueError(
            f"hidden_size={shape.n_hidden} makes {shape.size} parameters, X having "
            f"{shape.n_features} columns: they must be at most {MOST_PARAMETERS:.0e}"
        )
