"""The order of the levels of a category: by what their rows sum up to, not by their names.

The heaviest comes first, of equal ones that of larger targets, then that of larger numbers, columns
of X of which those without missing values are taken: so relabelled categories are the same problem,
down to the order of sums. Levels that even so are alike stand as they came. Rows in any order,
copies and weights make the same sums.
"""

import math
from itertools import chain, pairwise

import numpy as np

from ..numerics import Array, exponent


def level_order(codes: Array, Y: Array, weights: Array | None, numbers: list[Array]) -> Array:
    """The levels that occur, in an order that depends on their rows alone, not on their names."""
    known = np.flatnonzero(codes >= 0)
    levels, codes = np.unique(codes[known].astype(np.intp), return_inverse=True)
    w, Y = None if weights is None else weights[known], Y[known]
    keys = [key(_level_sums(codes, len(levels), w, None)[0])]
    if Y.ndim == 1:  # class numbers
        Y = Y[:, None] == np.unique(Y)
    columns = (x[known] for x in numbers if not np.isnan(x).any())
    for y in chain(Y.T, columns):
        # exact sums take their time, and the first of them tell most levels apart
        if all_differ(keys):
            break
        keys.append(key(_level_sums(codes, len(levels), w, y)[0]))
    return levels[sort_levels(keys)]


def level_sums(
    codes: Array, n_levels: int, weights: Array | None, y: Array | None = None
) -> tuple[Array, int]:
    """(s, power): the weights of each level, or those of its rows times y, are s 2^power.

    What `level_order` goes by, of some of the rows. Booleans y choose rows.
    """
    known = np.flatnonzero(codes >= 0)
    of_known = [None if values is None else values[known] for values in (weights, y)]
    return _level_sums(codes[known].astype(np.intp), n_levels, *of_known)


def _level_sums(codes: Array, n: int, w: Array | None, y: Array | None) -> tuple[Array, int]:
    """The same where all codes are known."""
    if y is not None and y.dtype == bool:
        codes, w, y = codes[y], None if w is None else w[y], None
    if y is None:
        if w is None:
            return np.bincount(codes, minlength=n).astype(np.float64), 0
        return _sums([w], codes, n), 0
    parts, power = _scaled(y) if w is None else _products(w, y)
    return _sums(parts, codes, n), power


def add_sums(some: tuple[Array, int], others: tuple[Array, int]) -> tuple[Array, int]:
    """The level sums of both, in the larger of their units."""
    power = max(some[1], others[1])
    return sum(np.ldexp(sums, own - power) for sums, own in (some, others)), power  # type: ignore


SAME_DIGITS = 40
"""Binary digits of a sum that the rounding of what it is made of leaves alone."""


def key(sums: Array) -> Array:
    """What to sort levels by: the larger sum comes first.

    Whole numbers in units that are too large to tell 3 times 0.1 from three of 0.1.
    """
    return -np.rint(np.ldexp(sums, SAME_DIGITS - exponent(sums)))


def all_differ(keys: list[Array]) -> bool:
    """Whether no two levels are alike."""
    return len(np.unique(keys, axis=1).T) == len(keys[0])


def sort_levels(keys: list[Array]) -> Array:
    """The numbers of the levels, sorted by the first key, then by the others."""
    return np.lexsort([np.arange(len(keys[0])), *reversed(keys)])


def _sums(parts: list[Array], codes: Array, n: int) -> Array:
    """The exact sum of all numbers of each code (n,), whatever part they are in."""
    order = np.argsort(codes, kind="stable")
    ends = np.searchsorted(codes[order], np.arange(n + 1)).tolist()
    numbers = [part[order].tolist() for part in parts]
    return np.array([math.fsum(chain(*(p[a:b] for p in numbers))) for a, b in pairwise(ends)])


def _scaled(y: Array) -> tuple[list[Array], int]:
    """The array in units of 2^power, in which no sum leaves the range."""
    power = int(exponent(y))
    return [np.ldexp(y.astype(np.float64), -power)], power


def _products(w: Array, y: Array) -> tuple[list[Array], int]:
    """Four arrays whose sum is w y without rounding (Dekker 1971), in units of 2^power."""
    factors, powers = [], 0
    for a in (w, y):
        (a,), power = _scaled(a)
        # half of the 53 digits: a product of two halves has no more than there are
        high = ((a.view(np.int64) + 2**26) & -(2**27)).view(np.float64)
        factors.append((high, a - high))
        powers += power
    return [a * b for a in factors[0] for b in factors[1]], powers
