"""What happens between raw X and Z2: the hidden units, and how the outputs follow the inputs.

    dZ2_ik / dX_ij = sum_h W1_jh a'(Z1_ih) W2_hk + W0_jk

All is in raw units, computed in blocks of rows, and dense whatever X is.
"""

from collections.abc import Iterator

import numpy as np

from .activations import Activation
from .network import block_size, hidden_layer
from .numerics import Array
from .scaling import moments


def hidden_features(
    coefs: list[Array], intercepts: list[Array], activation: Activation, X: Array
) -> Array:
    """A1 = activation(X W1 + b1), (n_rows, n_hidden), in the precision of X."""
    W1, b1 = coefs[0].astype(X.dtype, copy=False), intercepts[0].astype(X.dtype, copy=False)
    features = np.empty((X.shape[0], len(b1)), dtype=X.dtype)
    for block in _blocks(X, len(b1)):
        features[block] = hidden_layer(W1, b1, activation, X[block])[1]
    return features


def input_gradient(
    coefs: list[Array], intercepts: list[Array], activation: Activation, X: Array
) -> Array:
    """dZ2 / dX, (n_rows, n_outputs, n_features), in the precision of X."""
    W1, W2, *skip = (W.astype(X.dtype, copy=False) for W in coefs)
    b1 = intercepts[0].astype(X.dtype, copy=False)
    gradient = np.empty((X.shape[0], W2.shape[1], W1.shape[0]), dtype=X.dtype)
    for block, slope in _slopes(W1, b1, activation, X):
        for k, to_output in enumerate(W2.T):
            np.matmul(slope * to_output, W1.T, out=gradient[block, k])
    for W0 in skip:
        gradient += W0.T
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
    three-dimensional array. A column that is constant in X has s_j = 0.
    """
    scale = moments(X, weights).scale
    scale = np.where(np.isinf(scale), 0, scale)
    W1, W2, *skip = (W.astype(np.float64, copy=False) for W in coefs)
    steps = W1 * scale[:, None]
    W0 = skip[0] * scale[:, None] if skip else np.zeros((len(W1), W2.shape[1]))
    # squares of outputs in extreme units would leave the range
    unit = max(np.abs(W2).max(), np.abs(W0).max()) or 1.0
    shares = np.full(X.shape[0], 1 / X.shape[0]) if weights is None else weights / weights.sum()
    mean_square = np.zeros(len(W1))
    for block, slope in _slopes(W1, intercepts[0].astype(np.float64, copy=False), activation, X):
        for to_output, past_hidden in zip(W2.T / unit, W0.T / unit, strict=True):
            gradient = (slope * to_output) @ steps.T
            gradient += past_hidden
            mean_square += shares[block] @ np.square(gradient, out=gradient)
    return unit * np.sqrt(mean_square)


def _slopes(
    W1: Array, b1: Array, activation: Activation, X: Array
) -> Iterator[tuple[slice, Array]]:
    """activation'(Z1) of one block of rows after the other, in the precision of W1."""
    for block in _blocks(X, max(W1.shape)):
        Z1, A1 = hidden_layer(W1, b1, activation, X[block])
        # the slope far out is a limit, which overflow on the way does not change
        with np.errstate(over="ignore", under="ignore"):
            activation.slope(Z1, A1, A1)
        yield block, A1


def _blocks(X: Array, width: int) -> Iterator[slice]:
    size = block_size(width)
    return (slice(start, start + size) for start in range(0, X.shape[0], size))
