"""What is to be small. The only place that divides, and the only one that penalises.

    F(theta) = ( sum_i w_i loss_i + alpha/2 (|W1|^2 + |W2|^2 + |W0|^2) ) / sum_i w_i

So alpha is the precision of a Gaussian prior on the weights; biases are free.
"""

from dataclasses import replace

import numpy as np

from ..data.inputs import SparseInputs
from ..data.rows import ArrayRows, Kernel
from ..data.sources import Index, SparseSource, split
from ..model.network import Network
from ..numerics import AXPY, Array


class Objective:
    """F over given rows: call it for value and gradient."""

    def __init__(
        self,
        network: Network,
        rows: ArrayRows,
        alpha: float | Array,
        total_weight: float | None = None,
        mean_weight: float | None = None,
    ):
        """Rows that are part of a stream come with the weight of all rows seen so far.

        An array for `alpha` has a precision for each group of weights (`Shape.groups`).
        """
        self.network, self.rows = network, rows
        # where each weight has a precision of its own, alpha only says that there is a penalty
        self.alpha = float(alpha) if np.ndim(alpha) == 0 else 1.0
        self.precision = self._of_each_weight(np.asarray(alpha)) if np.ndim(alpha) else None
        self.total_weight = rows.sum_weights if total_weight is None else total_weight
        self.mean_weight = rows.sum_weights / rows.n_rows if mean_weight is None else mean_weight

    def __call__(self, theta: Array) -> tuple[float, Array]:
        loss, gradient = self.rows.reduce(self.network.loss_gradient, theta)
        gradient /= self.rows.sum_weights
        self._add_penalty_gradient(theta, gradient)
        return float(loss) / self.rows.sum_weights + self.penalty(theta), gradient

    def value(self, theta: Array, most_rows: int | None = None) -> float:
        """F alone; on more rows than `most_rows`, as evenly spaced ones among them estimate it."""
        n_rows = self.rows.n_rows
        if most_rows is None or n_rows <= most_rows:
            return self.data_loss(theta) + self.penalty(theta)
        spaced = np.linspace(0, n_rows - 1, most_rows).astype(np.intp)
        share = 1 / (most_rows * self.mean_weight)
        parts = split(spaced, n_rows, self.rows.block_size)
        losses = (self._part(self.network.loss_sum, theta, part, share)[0] for part, _ in parts)
        return sum(losses) + self.penalty(theta)

    def data_loss(self, theta: Array) -> float:
        """The weighted mean of the loss, without the penalty."""
        (loss,) = self.rows.reduce(self.network.loss_sum, theta)
        return float(loss) / self.rows.sum_weights

    def penalty(self, theta: Array) -> float:
        """alpha/2 (|W1|^2 + |W2|^2 + |W0|^2) / sum_i w_i."""
        if self.precision is not None:
            return 0.5 * float(self.precision @ theta**2) / self.total_weight
        if self.alpha == 0:
            return 0.0
        squares = sum(float(W @ W) for W in self.network.shape.penalized(theta))
        return 0.5 * self.alpha * squares / self.total_weight

    def batch(self, theta: Array, index: Index) -> tuple[float, Array]:
        """Data loss and gradient of F as a mini-batch estimates them.

        The data sum is divided by |B| mean(w over all rows), not by the weight in the batch:
        its expectation over batches is the gradient of F, whatever the weights and the size.
        """
        parts = split(index, self.rows.n_rows, self.rows.block_size)
        share = 1 / (sum(size for _, size in parts) * self.mean_weight)
        kernel = self.network.loss_gradient
        loss, gradient = self._part(kernel, theta, parts[0][0], share)
        if len(parts) > 1:
            # a large batch goes through the processor's cache in parts
            gradient = gradient.copy()
            for part, _ in parts[1:]:
                loss_of_part, gradient_of_part = self._part(kernel, theta, part, share)
                loss += loss_of_part
                gradient += gradient_of_part
        self._add_penalty_gradient(theta, gradient)
        return loss, gradient

    @property
    def leaves_absent_columns(self) -> bool:
        """Whether W1 has no gradient for columns that a sparse batch does not store."""
        source = self.rows.source
        uncentred = isinstance(source, SparseSource) and source.offset is None
        return uncentred and self.alpha == 0 and not self.network.shape.skip

    def narrowed(self, index: Index) -> tuple[Array, "Objective"]:
        """The columns that sparse rows at `index` store, and F of a network that has no other."""
        X, Y, w = self.rows.take(index)
        assert isinstance(X, SparseInputs)
        columns, compact = X.compact()
        shape = replace(self.network.shape, n_features=len(columns))
        network = replace(self.network, shape=shape)
        rows = ArrayRows(compact.X, Y, w, None, compact.X.dtype, self.rows.block_size)
        return columns, Objective(network, rows, 0.0, mean_weight=self.mean_weight)

    def _of_each_weight(self, alpha: Array) -> Array:
        shape = self.network.shape
        if len(alpha) != shape.n_groups:
            raise ValueError(
                f"alpha must be one number, or {shape.n_groups}: for each column of X, the hidden "
                f"biases, the output weights{' and the skip path' if shape.skip else ''}, got "
                f"{len(alpha)}"
            )
        return np.append(alpha, 0.0)[shape.groups()]

    def _part(self, kernel: Kernel, theta: Array, index: Index, share: float) -> tuple:
        X, Y, w = self.rows.take(index)
        return kernel(theta, X, Y, share if w is None else w * share)

    def _add_penalty_gradient(self, theta: Array, gradient: Array) -> None:
        if self.precision is not None:
            gradient += (self.precision * theta / self.total_weight).astype(theta.dtype)
            return
        if self.alpha == 0:
            return
        axpy = AXPY[theta.dtype.char]
        strength = self.alpha / self.total_weight
        stretches = map(self.network.shape.penalized, (theta, gradient))
        for W, out in zip(*stretches, strict=True):
            axpy(W, out, a=strength)  # out += strength * W, in one pass
