"""Sensitivity: the derivatives of the outputs by the inputs, and the hidden units in between.

    dZ2_ik / dX_ij = sum_h W1_jh a'(Z1_ih) W2_hk + W0_jk

All is in raw units, computed in blocks of rows, and dense whatever X is.
"""

from collections.abc import Iterator

import numpy as np

from ..data.scaling import moments
from ..numerics import Array, exponent, within_range
from .activations import Activation
from .folded import Folded
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
    X: Array,
    origin: Array | None = None,
) -> Array:
    """dZ2 / dX, (n_rows, n_outputs, n_features), in the precision of X."""
    network = Folded(coefs, intercepts, activation, X, origin)
    W1, W2, W0, power = _in_units(coefs, network.dtype)
    gradient = np.empty((X.shape[0], W2.shape[1], W1.shape[0]), dtype=network.dtype)
    for block in _blocks(X, max(W1.shape)):
        slope = network.slope(X[block])
        for k, to_output in enumerate(W2.T):
            with np.errstate(all="ignore"):
                of_output = (slope * to_output) @ W1.T
                if W0 is not None:
                    of_output += W0[:, k]
            if power:
                of_output = within_range(of_output, network.dtype, power)
            gradient[block, k] = of_output
    return gradient


def gradient_magnitude(
    coefs: list[Array],
    intercepts: list[Array],
    activation: Activation,
    X: Array,
    weights: Array | None,
) -> Array:
    """How far Z2 moves when a column moves by its standard deviation s_j: (n_features,) floats.

    s_j sqrt(sum_k mean_i (dZ2_ik / dX_ij)^2), mean and s_j weighted. In float64, and without the
    three-dimensional array. A column that is constant in X has s_j = 0. All are made smaller
    alike where the largest would leave the range.
    """
    with np.errstate(all="ignore"):
        return _gradient_magnitude(coefs, intercepts, activation, X, weights)


def _gradient_magnitude(
    coefs: list[Array],
    intercepts: list[Array],
    activation: Activation,
    X: Array,
    weights: Array | None,
) -> Array:
    scale = moments(X, weights).scale
    scale = np.where(np.isinf(scale), 0, scale)
    of_scale, double = int(exponent(scale)), np.dtype(np.float64)
    per_step = np.ldexp(scale, -of_scale)[:, None]
    coefs_of_steps = [coefs[0] * per_step, coefs[1], *(W0 * per_step for W0 in coefs[2:])]
    # squares of outputs in extreme units would leave the range
    steps, W2, W0, power = _in_units(coefs_of_steps, double, always=True)
    network = Folded(coefs, intercepts, activation, X, dtype=double)
    normalized = np.full(X.shape[0], 1 / X.shape[0]) if weights is None else weights / weights.sum()
    mean_square = np.zeros(len(steps))
    for block in _blocks(X, max(steps.shape)):
        slope = network.slope(X[block])
        for k, to_output in enumerate(W2.T):
            gradient = (slope * to_output) @ steps.T
            if W0 is not None:
                gradient += W0[:, k]
            mean_square += normalized[block] @ np.square(gradient, out=gradient)
    magnitude = np.sqrt(mean_square)
    return np.ldexp(magnitude, min(power + of_scale, 1000 - int(exponent(magnitude))))


def _in_units(
    coefs: list[Array], dtype: np.dtype, always: bool = False
) -> tuple[Array, Array, Array | None, int]:
    """W1, W2, W0 or None, and a power of two: slopes are W1 W2 + W0 times 2^power.

    The power is 0 unless slopes may leave the range of `dtype`, or it is `always` wanted: then
    W1 W2 + W0 are below 1, and in float64.
    """
    W1, W2, *skip = coefs
    of_W1 = int(exponent(W1))
    products = of_W1 + int(exponent(W2)) + W2.shape[0].bit_length()
    power = max([products, *(int(exponent(W0)) for W0 in skip)]) + 1
    if not always and power < np.finfo(dtype).maxexp - 2:
        W1, W2, *skip = (W.astype(dtype, copy=False) for W in coefs)
        return W1, W2, skip[0] if skip else None, 0
    W1, W2 = np.ldexp(_wide(W1), -of_W1), np.ldexp(_wide(W2), of_W1 - power)
    return W1, W2, np.ldexp(_wide(skip[0]), -power) if skip else None, power


def _wide(A: Array) -> Array:
    return A.astype(np.float64, copy=False)


def _blocks(X: Array, width: int) -> Iterator[slice]:
    size = block_size(width)
    return (slice(start, start + size) for start in range(0, X.shape[0], size))
