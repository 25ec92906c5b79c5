"""Kronecker factors: pairs of small matrices whose products stand for the curvature of a layer.

With N the sum of weights, x1 = [x, 1], b = [a, 1] the features of layer two (with a skip path
[a, 1, x]), S = slope * W2, C the curvature of the loss, and means taken over rows,

    layer 1    N A (x) G    A = mean of x1 x1'                          G = mean of S C S'
    layer 2    N B (x) C    B = mean of b b', weighted by trace of C    C = mean of C

where (x) is the Kronecker product (Martens and Grosse 2015). Columns of categories of many levels,
and all columns where there are very many, are taken for uncorrelated: there A, and B, are diagonal.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ..data.inputs import Inputs
from ..data.rows import ArrayRows
from ..data.sources import Index, split
from ..model.loss import squared_residuals, with_noise
from ..model.network import Network
from ..numerics import Array, semidefinite_root
from .evidence import TINY

MOST_CORRELATED = 1000
"""Columns whose correlations are taken into account: an eigendecomposition of 0.2 s."""

ROWS_AT_A_TIME, NUMBERS_AT_A_TIME = 256, 2**21
"""Rows for which features, slopes and curvatures are held in double precision, and how many numbers
these may be. With more rows memory goes back to the system after each block: twice the time."""


@dataclass(frozen=True)
class InputFactor:
    """A: it does not change while weights are learnt.

    A (n_joint + 1, n_joint + 1) is that of the first columns and the one behind them, `alone` the
    diagonal of the other columns.
    """

    A: Array
    alone: Array

    @property
    def n_joint(self) -> int:
        """Columns whose correlations count."""
        return len(self.A) - 1


@dataclass(frozen=True)
class Factors:
    """What rows say around theta: means over rows, for N of them.

    G (n_noises, n_hidden, n_hidden) and `errors` are those of each output that has a noise of its
    own, at precision 1, as is `squares`, half the sum of the squared residuals that tell of it. B
    is that of [a, 1] and, with a skip path, of the joint columns; `B_alone` the diagonal of the
    others.
    """

    theta: Array
    n: float
    inputs: InputFactor
    G: Array
    B: Array
    B_alone: Array
    C: Array
    errors: Array
    squares: Array

    @property
    def are_finite(self) -> bool:
        """Whether anything can be made of them."""
        parts = self.theta, self.G, self.B, self.B_alone, self.C, self.errors, self.squares
        return all(bool(np.isfinite(part).all()) for part in parts)

    def means(self) -> dict[str, Array]:
        """All that are means over rows, the errors among them."""
        of_layers = {name: getattr(self, name) for name in ("G", "B", "B_alone", "C")}
        sums = {"errors": self.errors / self.n, "squares": self.squares / self.n}
        return vars(self.inputs) | of_layers | sums

    def after(self, earlier: Mapping[str, Array], fraction: float) -> "Factors":
        """Of a stream: means over the rows so far, of which these are a fraction."""
        means = {k: (1 - fraction) * earlier[k] + fraction * v for k, v in self.means().items()}
        inputs = InputFactor(means["A"], means["alone"])
        errors, squares = (means[name] * self.n for name in ("errors", "squares"))
        G, B, alone, C = (means[name] for name in ("G", "B", "B_alone", "C"))
        return Factors(self.theta, self.n, inputs, G, B, alone, C, errors, squares)


def input_factor(rows: ArrayRows, index: Index, n_columns: int, n_wide: int) -> InputFactor:
    """A of the rows at `index`, whose last `n_wide` columns are levels of wide categories."""
    n_joint = n_columns - n_wide
    if n_joint > MOST_CORRELATED:
        n_joint = 0
    A, alone, total = np.zeros((n_joint + 1, n_joint + 1)), np.zeros(n_columns - n_joint), 0.0
    for X, _, w in _blocks(rows, index, n_joint + 1):
        joint, squares = X.parts(n_joint)
        A += (joint * w[:, None]).T @ joint
        alone += squares.sums(w)
        total += w.sum()
    return InputFactor(A / total, alone / total)


def factors(
    network: Network, theta: Array, rows: ArrayRows, index: Index, n: float, inputs: InputFactor
) -> Factors:
    """The factors around theta, from the rows at `index`."""
    theta = theta.astype(np.float64)
    sums = _Sums(network, inputs)
    n_numbers = max(network.shape.n_outputs**2, network.shape.n_hidden)
    for X, Y, w in _blocks(rows, index, n_numbers):
        sums.add(theta, X, Y, w)
    total, trace = sums.weight, max(sums.trace, TINY * sums.weight)
    return Factors(
        theta,
        n,
        inputs,
        sums.G / total,
        sums.B / trace,
        sums.B_alone / trace,
        sums.C / total,
        sums.errors * (n / total),
        sums.squares * (n / total),
    )


class _Sums:
    """The factors of layers one and two, as sums over rows that are added block by block."""

    def __init__(self, network: Network, inputs: InputFactor):
        shape = network.shape
        self.network, self.inputs = network, inputs
        n_noises = shape.n_outputs if network.loss.has_noise else 1
        n_features, n_alone = shape.n_hidden + 1, 0
        if shape.skip:
            n_features, n_alone = n_features + inputs.n_joint, len(inputs.alone)
        self.G = np.zeros((n_noises, shape.n_hidden, shape.n_hidden))
        self.errors, self.squares = np.zeros((2, n_noises))
        self.B, self.B_alone = np.zeros((n_features, n_features)), np.zeros(n_alone)
        self.C = np.zeros((shape.n_outputs, shape.n_outputs))
        self.weight = self.trace = 0.0

    def add(self, theta: Array, X: Inputs, Y: Array, w: Array) -> None:
        """Some rows, and their weights."""
        network = self.network
        A1, slope, Z2 = forward(network, theta, X)
        curvature = network.loss.curvature(Z2, Y)
        self._add_output_factor(theta, slope, curvature, w)
        self.C += np.tensordot(w, curvature, 1)
        self.weight += w.sum()
        errors = _errors(network, Z2, Y, w)
        self.errors += errors
        self.squares += _squares(network, Z2, Y, w, errors)
        trace, B = w * np.einsum("ikk->i", curvature), features(A1, np.ones((len(w), 1)))
        self.trace += trace.sum()
        if network.shape.skip:
            joint, squares = X.parts(self.inputs.n_joint)
            B = features(A1, joint)
            self.B_alone += squares.sums(trace)
        self.B += (B * trace[:, None]).T @ B

    def _add_output_factor(self, theta: Array, slope: Array, curvature: Array, w: Array) -> None:
        """Add sum_i w_i S_i C_i S_i', by roots of C: a product for each output."""
        W2 = self.network.shape.views(theta).W2
        root, weighted = semidefinite_root(curvature), slope * np.sqrt(w)[:, None]
        for k in range(root.shape[2]):
            V = weighted * (root[:, :, k] @ W2.T)
            self.G[k if len(self.G) > 1 else 0] += V.T @ V


def _blocks(rows: ArrayRows, index: Index, n_numbers: int) -> Iterator[tuple[Inputs, Array, Array]]:
    """Inputs, targets and weights in double precision, of rows that have so many numbers each."""
    at_a_time = min(ROWS_AT_A_TIME, max(1, NUMBERS_AT_A_TIME // n_numbers))
    for part, size in split(index, rows.n_rows, at_a_time):
        X, Y, w = rows.take(part)
        yield X, Y, np.ones(size) if w is None else w.astype(np.float64)


def forward(network: Network, theta: Array, X: Inputs) -> tuple[Array, Array, Array]:
    """A1, slope (n_rows, n_hidden) and Z2, for theta in float64."""
    parameters = network.shape.views(theta)
    # as the network's own, hidden and raw outputs have the rows last in memory
    Z1 = np.empty((network.shape.n_hidden, X.n_rows)).T
    X.forward(parameters.layer1, Z1)
    A1, slope = np.empty_like(Z1), np.empty_like(Z1)
    network.activation.value(Z1, A1)
    network.activation.slope(Z1, A1, slope)
    Z2 = (parameters.W2.T @ A1.T).T
    Z2 += parameters.b2
    if parameters.W0 is not None:
        X.add_skip(parameters.W0, Z2)
    return A1, slope, Z2


def features(A1: Array, joint: Array) -> Array:
    """[A1, 1] and what else is in [X, 1], in the order of layer two's weights."""
    return np.concatenate([A1, joint[:, -1:], joint[:, :-1]], axis=1)


def _errors(network: Network, Z2: Array, Y: Array, w: Array) -> Array:
    """sum_i w_i loss_i, of each output if each has a noise of its own."""
    scratch, losses = np.empty_like(Z2, order="F"), [network.loss]
    if network.loss.has_noise:
        losses = [with_noise(network.loss, of_one) for of_one in np.eye(Z2.shape[1])]
    return np.array([float(w @ loss.loss_gradient(Z2, Y, scratch)) for loss in losses])


def _squares(network: Network, Z2: Array, Y: Array, w: Array, errors: Array) -> Array:
    """Half the sum of squared residuals of each output that has a noise: its errors, usually."""
    squares = squared_residuals(network.loss, Z2, Y) if network.loss.has_noise else None
    return errors if squares is None else 0.5 * w @ squares
