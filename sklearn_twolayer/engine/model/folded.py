"""The network with the scaling folded into it, asked for rows in raw units.

Raw units may be unkind in two ways that standardised ones are not. Where a column lies thousands
of its deviations from zero, float32 rounds away what X W1 + b1 is about: such columns are counted
from an origin near them, which changes how the function is computed but not the function. And
rows may lie so far out that products leave the range: their outputs are computed again in units
of a power of two, and end at the end of the range if they must.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from ..data.moments import rows_per_block
from ..numerics import Array, exponent, largest, within_range
from .activations import Activation
from .folding import precision

ROOM = 500
"""Powers of two that sums of products may grow to, where rows lie far out."""


class Folded:
    """[W1, W2] or [W1, W2, W0] and [b1, b2], in the precision that suits X if none is given.

    `origin` (n_features,) is a point near the training rows in the columns of large offset, 0 in
    the others; None where there are none. With o the origin,

        X W1 + b1 = (X - o) W1 + (b1 + o W1)      X W0 + b2 = (X - o) W0 + (b2 + o W0)

    for any o, the constants being summed in float64: weights that were edited count in full.
    """

    def __init__(
        self,
        coefs: list[Array],
        intercepts: list[Array],
        activation: Activation,
        X: Array,
        origin: Array | None = None,
        dtype: np.dtype | None = None,
    ):
        self.raw, self.activation = (coefs, intercepts), activation
        self.dtype = first = dtype or precision(coefs, intercepts, X.dtype)
        W1, W2, *skip = coefs
        b1, b2 = intercepts
        self.origin = None
        if origin is not None and self.dtype == np.float32:
            if sparse.issparse(X):
                first = np.dtype(np.float64)  # sparse rows are never centred
            else:
                # the difference of two float32 numbers near each other is exact
                self.origin = within_range(origin, np.float32)
                exact = self.origin.astype(np.float64)
                b1 = b1 + exact @ W1
                b2 = b2 + exact @ skip[0] if skip else b2
        self.W1, self.b1 = W1.astype(first, copy=False), b1.astype(first, copy=False)
        self.W2, self.b2 = W2.astype(self.dtype, copy=False), b2.astype(first, copy=False)
        self.W0 = skip[0].astype(first, copy=False) if skip else None

    def watched(self) -> np.errstate:
        """A context without warnings, in which it is noted when a product leaves the range.

        An infinite Z1 may end as a finite A1, on the wrong side if a part of the sum was infinite
        and the sum was not. NumPy looks for overflow anyway: listening to it costs nothing.
        """
        self.has_left_range = False
        return np.errstate(all="ignore", over="call", call=self._note_overflow)

    def _note_overflow(self, kind: str, flag: int) -> None:
        self.has_left_range = True

    def outputs(self, X: Array, out: Array) -> None:
        """Write Z2 of some rows into `out`; see `mend_outputs`."""
        X = self._from_origin(X)
        np.dot(self._layer(X)[1], self.W2, out=out)
        if self.W0 is None:
            out += self.b2
        else:
            # of large offsets these two are large, and their sum is not
            out += X @ self.W0 + self.b2

    def mend_outputs(self, X: Array, Z2: Array) -> None:
        """Compute anew, in place, what has left the range."""
        limit = largest(Z2.dtype)
        fine = Z2.size == 0 or (Z2.min() >= -limit and Z2.max() <= limit)
        if not fine or self.has_left_range:
            self._mend(X, Z2, ~(np.abs(Z2) <= limit).all(axis=1), _far_outputs)

    def hidden(self, X: Array) -> Array:
        """A1 of some rows."""
        with self.watched():
            _, A1 = self._layer(self._from_origin(X))
        finite = np.isfinite(A1)
        if self.has_left_range or not finite.all():
            self._mend(X, A1, ~finite.all(axis=1), _far_hidden)
        return A1

    def slope(self, X: Array) -> Array:
        """activation'(Z1) of some rows."""
        with self.watched():
            Z1, A1 = self._layer(self._from_origin(X))
        finite = np.isfinite(A1)
        with np.errstate(all="ignore"):
            self.activation.slope(Z1, A1, A1)
        if self.has_left_range or not finite.all():
            self._mend(X, A1, ~finite.all(axis=1), _far_slope)
        return A1

    def _from_origin(self, X: Array) -> Array:
        return X if self.origin is None else X - self.origin

    def _layer(self, X: Array) -> tuple[Array, Array]:
        """Z1 and A1; one array for both, unless the activation needs its input later."""
        Z1 = X @ self.W1
        Z1 += self.b1
        if sparse.issparse(X) and not np.isfinite(Z1).all():
            self.has_left_range = True  # SciPy does not tell
        Z1 = Z1.astype(self.dtype, copy=False)
        A1 = np.empty_like(Z1) if self.activation.keeps_input else Z1
        self.activation.value(Z1, A1)
        return Z1, A1

    def _mend(
        self,
        X: Array,
        out: Array,
        far: Any,
        compute: Callable[["_FarOut", np.dtype], Array],
    ) -> None:
        """Write what ``compute`` finds into `out`, in rows that are `far` or may be, in blocks."""
        size = rows_per_block(X.shape[1])
        for start in range(0, len(out), size):
            block = slice(start, start + size)
            with np.errstate(all="ignore"):
                rows = start + np.flatnonzero(far[block] | self._may_leave_range(X[block]))
                if len(rows):
                    network = _FarOut(*self.raw, self.activation, X[rows])
                    out[rows] = compute(network, out.dtype)

    def _may_leave_range(self, X: Array) -> Array:
        """Whether |X| |W1| + |b1| does, for each row: no sum on the way is larger."""
        largest_sums = abs(self._from_origin(X)) @ np.abs(self.W1) + np.abs(self.b1)
        return ~(largest_sums <= largest(self.dtype)).all(axis=1)


class _FarOut:
    """The hidden layer of rows whose products leave the range, in float64.

    X, U = X W1 + b1 and A, the activations, are in units of 2^power, a power for each row. Beyond
    the largest Z1 every activation goes on as a straight line: A = a(Z1) + a'(Z1) (U - Z1).
    """

    def __init__(self, coefs: list[Array], intercepts: list[Array], activation: Activation, X: Any):
        W1, *self.onwards = (W.astype(np.float64, copy=False) for W in coefs)
        b1, self.b2 = (b.astype(np.float64, copy=False) for b in intercepts)
        X = (X.toarray() if sparse.issparse(X) else X).astype(np.float64)
        size = max(int(exponent(W1)), 0) + X.shape[1].bit_length()
        self.power = np.maximum(exponent(X, axis=1) + size - ROOM, 0)
        self.X = np.ldexp(X, -self.power)
        U = self.X @ W1 + np.ldexp(b1, -self.power)
        Z1 = within_range(U, np.float64, self.power)
        self.A, self.slope = np.empty_like(Z1), np.empty_like(Z1)
        activation.value(Z1, self.A)
        activation.slope(Z1, self.A, self.slope)
        self.A = np.ldexp(self.A, -self.power) + self.slope * (U - np.ldexp(Z1, -self.power))


def _far_hidden(far: _FarOut, dtype: np.dtype) -> Array:
    return within_range(far.A, dtype, far.power)


def _far_slope(far: _FarOut, dtype: np.dtype) -> Array:
    return far.slope.astype(dtype)


def _far_outputs(far: _FarOut, dtype: np.dtype) -> Array:
    """Z2, its weights too in units of a power of two."""
    power = max(int(exponent(A)) for A in (*far.onwards, far.b2))
    W2, *skip = (np.ldexp(W, -power) for W in far.onwards)
    Z2 = far.A @ W2 + np.ldexp(far.b2, -power - far.power)
    for W0 in skip:
        Z2 += far.X @ W0
    return within_range(Z2, dtype, far.power + power)
