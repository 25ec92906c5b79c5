"""Sensitivity: the derivatives of the outputs by the inputs, and the hidden units in between.

    dZ2_ik / dX_ij = sum_h W1_jh a'(Z1_ih) W2_hk + W0_jk

All is in raw units, computed in blocks of rows, and dense whatever X is.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..data.encoded import Encoded
from ..numerics import Array, exponent, row_blocks, within_range
from .activations import Activation
from .folded import Folded
from .movement import Movement, movement, movement_by_deviations
from .network import block_size


def hidden_features(
    coefs: list[Array],
    intercepts: list[Array],
    activation: Activation,
    X: Array,
    origin: Array | None = None,
) -> Array:
    """A1 = activation(X W1 + b1), (n_rows, n_hidden), in the precision of X."""
    network, n_hidden = Folded(coefs, intercepts, activation, X, origin), len(intercepts[0])
    features = np.empty((X.shape[0], n_hidden), dtype=network.dtype)
    for block in _blocks(X, n_hidden):
        features[block] = network.hidden(X[block])
    return features


def input_gradient(
    coefs: list[Array],
    intercepts: list[Array],
    activation: Activation,
    X: Any,
    origin: Array | None = None,
) -> Array:
    """dZ2 / dX, (n_rows, n_outputs, n_features), in the precision of X.

    NaN for categories and for what is missing.
    """
    network, moved = Folded(coefs, intercepts, activation, X, origin), movement(coefs, X)
    W1, W2, W0, power = _in_units(moved, coefs[1], network.dtype)
    n_features = len(W1) if not isinstance(X, Encoded) else X.X.shape[1]
    gradient = np.full((X.shape[0], W2.shape[1], n_features), np.nan, dtype=network.dtype)
    for block in _blocks(X, max(coefs[0].shape)):
        slope = network.slope(X[block])
        for k, to_output in enumerate(W2.T):
            with np.errstate(all="ignore"):
                of_output = (slope * to_output) @ W1.T
                if W0 is not None:
                    of_output += W0[:, k]
                of_output = moved.of_numbers(of_output, X, block)
            if power:
                of_output = within_range(of_output, network.dtype, power)
            gradient[block, k, moved.numbers] = of_output
    return gradient


def gradient_magnitude(
    coefs: list[Array],
    intercepts: list[Array],
    activation: Activation,
    X: Any,
    weights: Array | None,
) -> Array:
    """How far Z2 moves when a column moves by its standard deviation s_j: (n_features,) floats.

    s_j sqrt(sum_k mean_i (dZ2_ik / dX_ij)^2), mean and s_j weighted. In float64, and without the
    three-dimensional array. A column that is constant in X has s_j = 0. A category counts by the
    standard deviation of what its levels contribute. All are made smaller alike where the largest
    would leave the range.
    """
    with np.errstate(all="ignore"):
        return _gradient_magnitude(coefs, intercepts, activation, X, weights)


def _gradient_magnitude(
    coefs: list[Array],
    intercepts: list[Array],
    activation: Activation,
    X: Any,
    weights: Array | None,
) -> Array:
    moved, double = movement_by_deviations(coefs, X, weights), np.dtype(np.float64)
    of_steps = int(exponent(moved.steps))
    per_step = np.ldexp(moved.steps, -of_steps)[:, None]
    network = Folded(coefs, intercepts, activation, X, dtype=double)
    normalized = np.full(X.shape[0], 1 / X.shape[0]) if weights is None else weights / weights.sum()
    # a matrix of pairs of hidden units costs more than gradients where there are many of these
    row_by_row = isinstance(X, Encoded) or len(network.b1) > moved.n_columns * coefs[1].shape[1]
    if not row_by_row:
        of_slopes = _moments_of_slopes(network, X, normalized)
        del network  # it may be large
    W0 = None if moved.W0 is None else moved.W0 * per_step
    # squares of outputs in extreme units would leave the range
    in_steps = replace(moved, W1=moved.W1 * per_step, W0=W0)
    W1, W2, W0, power = _in_units(in_steps, coefs[1], double, always=True)
    if row_by_row:
        mean_square = _mean_square_row_by_row(network, moved, W1, W2, W0, X, normalized)
    else:
        mean_square = _mean_square(W1, W2, W0, *of_slopes)
    magnitude = np.sqrt(mean_square)
    return np.ldexp(magnitude, min(power + of_steps, 1000 - int(exponent(magnitude))))


def _mean_square_row_by_row(
    network: Folded,
    moved: Movement,
    W1: Array,
    W2: Array,
    W0: Array | None,
    X: Any,
    normalized: Array,
) -> Array:
    """sum_k mean_i of the squared movement of Z2_ik by each original column."""
    mean_square = np.zeros(moved.n_columns)
    for block in _blocks(X, max(*X.shape[1:], *W1.shape)):
        slope = network.slope(X[block])
        for k, to_output in enumerate(W2.T):
            gradient = (slope * to_output) @ W1.T
            if W0 is not None:
                gradient += W0[:, k]
            mean_square += normalized[block] @ moved.squares(gradient, X, block)
    return mean_square


def _moments_of_slopes(network: Folded, X: Array, normalized: Array) -> tuple[Array, Array]:
    """The means of a'(Z1), (n_hidden,), and of the products of two of them."""
    n_hidden = network.W1.shape[1]
    first, second = np.zeros(n_hidden), np.zeros((n_hidden, n_hidden))
    for block in _blocks(X, n_hidden):
        slope = network.slope(X[block])
        weighted = slope * normalized[block, None]
        first += weighted.sum(axis=0)
        second += weighted.T @ slope
    return first, second


def _mean_square(W1: Array, W2: Array, W0: Array | None, first: Array, second: Array) -> Array:
    """sum_k mean_i (sum_h W1_jh a'_ih W2_hk + W0_jk)^2 for each column j, without its gradients.

    The square of the sum is one over pairs of hidden units, in which the mean over rows and the sum
    over outputs are factors: the price does not grow with columns times outputs.
    """
    pairs, squares = second * (W2 @ W2.T), np.empty(len(W1))
    for rows in row_blocks(*W1.shape):
        squares[rows] = (W1[rows] @ pairs * W1[rows]).sum(axis=1)
    if W0 is not None:
        squares += (2 * (W1 * first) * (W0 @ W2.T)).sum(axis=1) + (W0**2).sum(axis=1)
    return np.asarray(np.maximum(squares, 0.0))


def _in_units(
    moved: Movement, W2: Array, dtype: np.dtype, always: bool = False
) -> tuple[Array, Array, Array | None, int]:
    """W1, W2, W0 or None, and a power of two: slopes are W1 W2 + W0 times 2^power.

    The power is 0 unless slopes may leave the range of `dtype`, or it is `always` wanted: then
    W1 W2 + W0 are below 1, and in float64; the W1 given is written over.
    """
    W1, skip = moved.W1, [] if moved.W0 is None else [moved.W0]
    of_W1 = int(exponent(W1))
    products = of_W1 + int(exponent(W2)) + W2.shape[0].bit_length()
    power = max([products, *(int(exponent(W0)) for W0 in skip)]) + 1
    if not always and power < np.finfo(dtype).maxexp - 2:
        W1, W2, *skip = (W.astype(dtype, copy=False) for W in (W1, W2, *skip))
        return W1, W2, skip[0] if skip else None, 0
    out = W1 if always and W1.dtype == np.float64 else None
    W1, W2 = np.ldexp(_wide(W1), -of_W1, out=out), np.ldexp(_wide(W2), of_W1 - power)
    return W1, W2, np.ldexp(_wide(skip[0]), -power) if skip else None, power


def _wide(A: Array) -> Array:
    return A.astype(np.float64, copy=False)


def _blocks(X: Array, width: int) -> Iterator[slice]:
    size = block_size(width)
    return (slice(start, start + size) for start in range(0, X.shape[0], size))
