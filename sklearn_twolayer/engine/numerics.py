"""Numerically stable functions, and the range of floating-point numbers."""

from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from scipy.linalg import blas
from scipy.special import expit

Array = NDArray[Any]

AXPY = {"f": blas.saxpy, "d": blas.daxpy}
"""y += a x in one pass, ``AXPY[dtype.char](x, y, a=a)``, for contiguous vectors."""


OF_ZERO = -1100
"""The power of two that stands for 0: below those of all numbers."""


def exponent(A: Array, axis: int | None = None) -> Array:
    """The power of two just above the largest magnitude."""
    if axis is None:
        # as many numbers again, for the magnitudes of all, may be more than there is room for
        largest = np.maximum(np.max(A, initial=0), -np.min(A, initial=0))
    else:
        largest = np.abs(A).max(axis=axis, initial=0, keepdims=True)
    return np.where(largest == 0, OF_ZERO, np.frexp(largest)[1])


AT_ONCE, BLOCK = 2**24, 2**20
"""Numbers of which there may be copies, and how many are taken at a time where there are more."""


def row_blocks(n_rows: int, width: int = 1) -> list[slice]:
    """Rows of a matrix: all of them, or, where there is no room to spare for copies, some."""
    size = n_rows if n_rows * width <= AT_ONCE else max(1, BLOCK // width)
    return [slice(start, start + size) for start in range(0, n_rows, max(size, 1))]


def largest(dtype: np.dtype | type) -> float:
    """A quarter of the largest number, so that the difference of two is finite still."""
    return float(np.finfo(dtype).max) / 4


def within_range(A: Array, dtype: np.dtype | type, power: Array | int = 0) -> Array:
    """A 2^power in another precision; `largest`, with its sign, for what would be beyond it."""
    limit = largest(dtype)
    with np.errstate(all="ignore"):
        A = np.ldexp(A, power) if np.any(power) else A
        return np.clip(A, -limit, limit).astype(dtype, copy=False)


SHUFFLED = 2**20
"""Up to so many rows some are drawn by a shuffle of all of them."""


def draw_rows(n_rows: int, n: int, random_state: RandomState) -> Array:
    """The numbers of n different rows, all if there are fewer, in random order."""
    if n_rows <= max(SHUFFLED, 2 * n):
        return random_state.permutation(n_rows)[:n]
    found = np.empty(0, np.int64)
    while len(found) < n:  # of many rows few are drawn twice
        drawn = random_state.randint(n_rows, size=n, dtype=np.int64)
        found = np.unique(np.concatenate([found, drawn]))
    return random_state.permutation(found)[:n]


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


def semidefinite_root(C: Array) -> Array:
    """R (n, k, k), lower triangular, with R R' = C for a stack of semidefinite matrices.

    Cholesky's, a column of zeros where the pivot is lost in rounding. Without exchanges of rows
    one that is nearly lost may cost half the digits; those of a softmax never are.
    """
    rest, root = C.astype(np.float64), np.zeros(C.shape)
    smallest = 1e-14 * np.einsum("ikk->i", C)
    for k in range(C.shape[1]):
        pivot = rest[:, k, k]
        inverse = np.where(pivot > smallest, pivot, np.inf) ** -0.5
        root[:, k:, k] = rest[:, k:, k] * inverse[:, None]
        rest[:, k:, k:] -= root[:, k:, k, None] * root[:, None, k:, k]
    return root
