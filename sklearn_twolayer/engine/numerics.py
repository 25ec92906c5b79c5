"""Before anything can be learned, a few functions must not overflow."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas
from scipy.special import expit

Array = NDArray[Any]

AXPY = {"f": blas.saxpy, "d": blas.daxpy}
"""y += a x in one pass, ``AXPY[dtype.char](x, y, a=a)``, for contiguous vectors."""


def sigmoid(Z: Array, out: Array | None = None) -> Array:
    """1 / (1 + exp(-Z)), accurate in relative terms in both tails."""
    return expit(Z, out=out)


def softplus(Z: Array, out: Array | None = None) -> Array:
    """log(1 + exp(Z)) = max(Z, 0) + log(1 + exp(-|Z|)), finite for every finite Z."""
    tail = np.abs(Z)
    np.negative(tail, out=tail)
    np.exp(tail, out=tail)
    np.log1p(tail, out=tail)
    return np.add(np.maximum(Z, 0), tail, out=out)


def softmax(Z: Array, out: Array) -> Array:
    """Write softmax(Z) over the columns into `out`, return log(sum(exp(Z))) per row.

    The largest logit of a row is subtracted first, so no exponential exceeds one.
    """
    largest = np.maximum.reduce(Z, axis=1)
    np.subtract(Z, largest[:, None], out=out)
    np.exp(out, out=out)
    total = np.add.reduce(out, axis=1)
    np.divide(out, total[:, None], out=out)
    np.log(total, out=total)
    total += largest
    return total
