"""The objective function: the penalised mean loss. The only place that divides.

F(theta) = ( sum_i w_i loss_i + penalty(theta) ) / sum_i w_i
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..data.inputs import Inputs, MixedInputs, SparseInputs
from ..data.rows import Rows
from ..data.sources import Index
from ..model.monotonic import Bounds
from ..model.network import Network
from ..model.parameters import Shape
from ..numerics import Array
from .penalty import Penalty

MOST_KEPT = 2**22
"""Parameters of networks that have some of the columns, beyond which they are not kept."""


@dataclass(frozen=True)
class Narrowed:
    """A mini-batch, and the network that has only the columns in it: its weights are some of theta.

    `columns` are those columns of the whole network, in whose theta `bounds` say where W1 ends, and
    where W0 begins.
    """

    network: Network
    bounds: tuple[int, int]
    columns: Array
    X: Inputs
    Y: Array
    w: Array | None
    scale: float

    def part_of(self, vector: Array, out: Array | None = None) -> Array:
        """Those numbers of a vector like the whole theta that belong to this network."""
        shape, (first, second) = self.network.shape, self.bounds
        part = np.empty(shape.size, vector.dtype) if out is None else out
        W1, n_in_W1 = vector[:first].reshape(-1, shape.n_hidden), len(self.columns) * shape.n_hidden
        of_W1 = part[:n_in_W1].reshape(-1, shape.n_hidden)
        np.take(W1, self.columns, axis=0, out=of_W1, mode="clip")
        part[n_in_W1 : n_in_W1 + second - first] = vector[first:second]
        if shape.skip:
            W0 = vector[second:].reshape(-1, shape.n_outputs)
            part[n_in_W1 + second - first :] = W0[self.columns].ravel()
        return part

    def put(self, part: Array, vector: Array) -> None:
        """Write them back into the vector."""
        shape, (first, second) = self.network.shape, self.bounds
        n_in_W1 = len(self.columns) * shape.n_hidden
        W1 = vector[:first].reshape(-1, shape.n_hidden)
        W1[self.columns] = part[:n_in_W1].reshape(-1, shape.n_hidden)
        vector[first:second] = part[n_in_W1 : n_in_W1 + second - first]
        if shape.skip:
            W0 = vector[second:].reshape(-1, shape.n_outputs)
            W0[self.columns] = part[n_in_W1 + second - first :].reshape(-1, shape.n_outputs)

    def data_loss(self, theta: Array) -> tuple[float, Array]:
        """Data loss and its gradient, as `Objective.batch` estimates them, for its own weights."""
        w = self.scale if self.w is None else self.w * self.scale
        return self.network.loss_gradient(theta, self.X, self.Y, w)


class Objective:
    """F over given rows: call it for value and gradient."""

    def __init__(
        self,
        network: Network,
        rows: Rows,
        alpha: float | Array,
        total_weight: float | None = None,
        mean_weight: float | None = None,
        bounds: Bounds | None = None,
        l1_ratio: float = 0.0,
    ):
        """Rows that are part of a stream come with the weight of all rows so far.

        An array for `alpha` has a precision for each group of weights (`Shape.groups`), of which
        the part `l1_ratio` goes to their absolute values. Within `bounds` theta is to stay, if
        there are any.
        """
        self.network, self.rows, self.bounds = network, rows, bounds
        self.penalty = Penalty(network.shape, alpha, l1_ratio)
        self.total_weight = rows.sum_weights if total_weight is None else total_weight
        self.mean_weight = rows.sum_weights / rows.n_rows if mean_weight is None else mean_weight
        # one for each number of columns: so they keep their buffers
        self._narrow: dict[int, Network] = {}

    def __call__(self, theta: Array) -> tuple[float, Array]:
        loss, gradient = self.rows.reduce(self.network.loss_gradient, theta)
        gradient /= self.rows.sum_weights
        self.penalty.add_gradient(theta, gradient, self.total_weight)
        return float(loss) / self.rows.sum_weights + self.mean_penalty(theta), gradient

    def value(self, theta: Array, most_rows: int | None = None) -> float:
        """F alone; on more rows than `most_rows`, as evenly spaced ones among them estimate it."""
        n_rows = self.rows.n_rows
        if most_rows is None or n_rows <= most_rows:
            return self.data_loss(theta) + self.mean_penalty(theta)
        spaced = np.linspace(0, n_rows - 1, most_rows).astype(np.intp)
        scale = 1 / (most_rows * self.mean_weight)
        asked = self.rows.part(spaced)
        (loss,) = asked.reduce_batch(self.network.loss_sum, theta, slice(None), scale)
        return float(loss) + self.mean_penalty(theta)

    def data_loss(self, theta: Array) -> float:
        """The weighted mean of the loss, without the penalty."""
        (loss,) = self.rows.reduce(self.network.loss_sum, theta)
        return float(loss) / self.rows.sum_weights

    def mean_penalty(self, theta: Array) -> float:
        """The penalty, divided as the losses are."""
        return self.penalty.value(theta) / self.total_weight

    def batch(self, theta: Array, batch: Any) -> tuple[float, Array]:
        """Data loss and gradient of F as a mini-batch estimates them.

        The data sum is divided by |B| mean(w over all rows), not by the weight in the batch:
        its expectation over batches is the gradient of F, whatever the weights and the size.
        """
        scale = 1 / (self.rows.size_of(batch) * self.mean_weight)
        loss, gradient = self.rows.reduce_batch(self.network.loss_gradient, theta, batch, scale)
        self.penalty.add_gradient(theta, gradient, self.total_weight)
        return float(loss), gradient

    @property
    def is_smooth(self) -> bool:
        """Whether F has no absolute values in it; gradients are of the other terms if it has."""
        return self.penalty.absolute is None

    @property
    def has_kink(self) -> Array:
        """Of which parameters there are absolute values, (n_parameters,), in an F that has any."""
        assert self.penalty.absolute is not None
        return self.penalty.absolute > 0

    def proximal(self, theta: Array, step: float | Array) -> None:
        """After a step by the gradient, of that length, the part of the absolute values."""
        self.penalty.proximal(theta, step / self.total_weight)

    def pseudo_gradient(self, theta: Array, gradient: Array) -> Array:
        """That of F, see `Penalty`."""
        return self.penalty.pseudo_gradient(theta, gradient, self.total_weight)

    def adapt(self, theta: Array, n_steps: float) -> bool:
        """Whether F has changed: a solver asks whenever weights have been learnt for some steps.

        At a minimum these count as infinitely many; if F stays the same there, all has settled.
        """
        return False

    @property
    def leaves_absent_columns(self) -> bool:
        """Whether W1 has no gradient for columns that a sparse batch does not store."""
        is_left = self.penalty.is_absent and not self.network.shape.skip
        return is_left and self.rows.leaves_absent_columns

    @property
    def has_wide_categories(self) -> bool:
        """Whether columns stand for levels of which a batch has few."""
        return self.rows.can_narrow and self.rows.n_wide > 0

    def narrowed(self, index: Index) -> "Narrowed":
        """The part of the network that a batch of sparse rows, or of wide categories, involves."""
        X, Y, w = self.rows.take(index)
        assert isinstance(X, (SparseInputs, MixedInputs))
        columns, compact = X.compact()
        return self.narrowed_to(columns, compact, Y, w)

    def narrowed_to(self, columns: Array, X: Inputs, Y: Array, w: Array | None) -> "Narrowed":
        """The part of the network that has these columns alone, with rows that have no other."""
        n, whole = len(columns), self.network.shape
        if n not in self._narrow:
            if len(self._narrow) * n * whole.n_hidden > MOST_KEPT:
                self._narrow.clear()
            shape = Shape(n, whole.n_hidden, whole.n_outputs, whole.skip)
            self._narrow[n] = replace(self.network, shape=shape)
        scale = 1 / (X.n_rows * self.mean_weight)
        in_layer1 = (whole.n_features + 1) * whole.n_hidden
        bounds = in_layer1 - whole.n_hidden, in_layer1 + (whole.n_hidden + 1) * whole.n_outputs
        return Narrowed(self._narrow[n], bounds, columns, X, Y, w, scale)
