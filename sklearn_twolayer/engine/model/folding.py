"""Folding the standardisation into the weights, and out of them again.

With m and s the means and scales of the columns of X, m_y and s_y those of Y, the network that
sees (x - m) / s and predicts (y - m_y) / s_y is the same function of raw x as

    W1 / s      b1 - (m / s) W1      W2 s_y      b2 s_y + m_y - (m / s) W0 s_y      W0 s_y / s

Behind a logarithm, where targets are y / m_y, s_y is 1 there and m_y its logarithm.
"""

from typing import Any

import numpy as np

from ..data.scaling import Scaling
from ..numerics import OF_ZERO, Array, exponent, row_blocks
from .parameters import Shape


def fold(
    scaling: Scaling,
    shape: Shape,
    theta: Array,
    dtype: Any = np.float64,
    largest_alone: bool = False,
) -> tuple[list[Array], list[Array]]:
    """The weights and biases for raw units: ([W1, W2], [b1, b2]), W0 being third of the weights.

    Weights are rounded to `dtype` first; the biases, in float64, suit them as they are then. Who
    asks for the `largest_alone` gets one row for W1, which may be large: its magnitudes.
    """
    parameters = shape.views(theta)
    n_rows, n_hidden = parameters.W1.shape
    W1 = np.zeros((1 if largest_alone else n_rows, n_hidden), dtype)
    b1 = parameters.b1.astype(np.float64)
    for rows in row_blocks(n_rows, n_hidden):
        part = (_wide(parameters.W1[rows]) / scaling.X.scale[rows, None]).astype(dtype, copy=False)
        b1 -= scaling.X.mean[rows] @ part
        if largest_alone:
            np.maximum(W1, np.abs(part).max(axis=0), out=W1)
        else:
            W1[rows] = part
    factor, offset = scaling.outputs(shape.n_outputs)
    W2 = (_wide(parameters.W2) * factor).astype(dtype, copy=False)
    b2 = _wide(parameters.b2) * factor + offset
    if parameters.W0 is None:
        return [W1, W2], [b1, b2]
    W0 = (_wide(parameters.W0) * factor / scaling.X.scale[:, None]).astype(dtype, copy=False)
    return [W1, W2, W0], [b1, b2 - scaling.X.mean @ W0]


def _wide(A: Array) -> Array:
    return A.astype(np.float64, copy=False)


def raw_weights(
    scaling: Scaling, shape: Shape, theta: Array, dtype: np.dtype
) -> tuple[list[Array], list[Array]]:
    """The same in `dtype`, or in float64 where float32 cannot hold them.

    The biases stay in float64 where float32 would lose the digits of large offsets.
    """
    # float64 weights are judged first: whether float32 holds them shows only in raw units
    if dtype != np.float64:
        dtype = precision(*fold(scaling, shape, theta, largest_alone=True), dtype)
    coefs, intercepts = fold(scaling, shape, theta, dtype)
    if dtype == np.float64:
        return coefs, intercepts
    if scaling.X.origin() is not None:
        return coefs, intercepts
    return coefs, [b.astype(dtype) for b in intercepts]


def express(old: Scaling, new: Scaling, shape: Shape, theta: Array) -> Array:
    """The theta that computes under `new` what `theta` computes under `old`.

    Only how far the means have moved is looked at, however far from zero they are.
    """
    (W1, W2, *skip), _ = fold(old, shape, theta)
    before = shape.views(theta.astype(np.float64))
    expressed = np.zeros(shape.size)
    parameters = shape.views(expressed)
    known, step = np.isfinite(new.X.scale), new.X.mean - old.X.mean
    parameters.W1[known] = W1[known] * new.X.scale[known, None]
    parameters.b1[:] = before.b1 + step @ W1
    (of_old, offset), (factor, new_offset) = (s.outputs(shape.n_outputs) for s in (old, new))
    parameters.W2[:] = W2 / factor
    b2 = before.b2 * of_old - (new_offset - offset)
    if parameters.W0 is not None:
        (W0,) = skip
        parameters.W0[known] = W0[known] * new.X.scale[known, None] / factor
        b2 = b2 + step @ W0
    parameters.b2[:] = b2 / factor
    return expressed.astype(theta.dtype)


def precision(coefs: list[Array], intercepts: list[Array], dtype: np.dtype) -> np.dtype:
    """That of X, but float64 where float32 cannot hold the parameters.

    Targets of 1e39, or of 1e-39, are no business of float32.
    """
    parameters = [*coefs, *intercepts]
    if dtype == np.float64 or all(A.dtype == dtype for A in parameters):
        return dtype
    of_all = max(int(exponent(A)) for A in parameters)
    of_outputs = max(int(exponent(A)) for A in (coefs[1], intercepts[1]))
    limits = np.finfo(dtype)
    fits = of_all < limits.maxexp - 1 and not OF_ZERO < of_outputs < limits.minexp
    return dtype if fits else np.dtype(np.float64)
