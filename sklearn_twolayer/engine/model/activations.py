"""Activation functions of the hidden units, and their derivatives.

To add one: write its value and its slope, add one line to ``ACTIVATIONS``.

``value(Z, out)`` writes a(Z); `out` may be `Z`. ``slope(Z, A, out)`` writes a'(Z), given
both Z and A = a(Z); `out` may be either. An activation whose slope can be read off A alone
sets ``keeps_input=False``: the network then overwrites Z by A and passes A for both. One that
falls anywhere sets ``is_monotonic=False``.
At a kink the slope is the one from the left, 0 for relu.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtr

from ..numerics import Array, sigmoid, softplus


@dataclass(frozen=True)
class Activation:
    """A pointwise function, its slope, and the initialiser that suits it."""

    value: Callable[[Array, Array], object]
    slope: Callable[[Array, Array, Array], object]
    initializer: str
    keeps_input: bool = False
    is_monotonic: bool = True


LEAK = 0.01
"""Slope of ``leaky_relu`` below zero."""


def _identity(Z: Array, out: Array) -> None:
    if out is not Z:
        np.copyto(out, Z)


def _identity_slope(Z: Array, A: Array, out: Array) -> None:
    out.fill(1)


def _logistic(Z: Array, out: Array) -> None:
    # (1 + tanh(Z / 2)) / 2 is the same function; NumPy's tanh is vectorised, expit is not
    np.multiply(Z, 0.5, out=out)
    np.tanh(out, out=out)
    np.add(out, 1, out=out)
    np.multiply(out, 0.5, out=out)


def _logistic_slope(Z: Array, A: Array, out: Array) -> None:
    np.multiply(A, np.subtract(1, A), out=out)


def _tanh(Z: Array, out: Array) -> None:
    np.tanh(Z, out=out)


def _tanh_slope(Z: Array, A: Array, out: Array) -> None:
    np.multiply(A, A, out=out)
    np.subtract(1, out, out=out)


def _relu(Z: Array, out: Array) -> None:
    # against an array, NumPy's maximum is up to three times faster than against the number 0
    zeros = _zeros(Z.size, Z.dtype)
    fortran = Z.flags.f_contiguous
    np.maximum(Z, zeros.reshape(Z.T.shape).T if fortran else zeros.reshape(Z.shape), out=out)


@lru_cache(maxsize=4)
def _zeros(size: int, dtype: np.dtype) -> Array:
    zeros = np.zeros(size, dtype)
    zeros.flags.writeable = False
    return zeros


def _relu_slope(Z: Array, A: Array, out: Array) -> None:
    np.greater(A, 0, out=out)


def _leaky_relu(Z: Array, out: Array) -> None:
    np.maximum(Z, LEAK * Z, out=out)


def _leaky_relu_slope(Z: Array, A: Array, out: Array) -> None:
    np.greater(A, 0, out=out)
    np.maximum(out, LEAK, out=out)


def _elu(Z: Array, out: Array) -> None:
    below = np.expm1(np.minimum(Z, 0))
    np.maximum(Z, 0, out=out)
    out += below


def _elu_slope(Z: Array, A: Array, out: Array) -> None:
    # below zero a' = exp(Z) = a + 1, above it 1
    np.minimum(A, 0, out=out)
    out += 1


def _gelu(Z: Array, out: Array) -> None:
    np.multiply(Z, ndtr(Z), out=out)


def _gelu_slope(Z: Array, A: Array, out: Array) -> None:
    # Phi(Z) + Z phi(Z)
    density = np.exp(-0.5 * np.square(Z)) / np.sqrt(2 * np.pi).astype(Z.dtype)
    np.add(ndtr(Z), Z * density, out=out)


def _silu(Z: Array, out: Array) -> None:
    np.multiply(Z, sigmoid(Z), out=out)


def _silu_slope(Z: Array, A: Array, out: Array) -> None:
    # s + Z s (1 - s) = s + A (1 - s)
    S = sigmoid(Z)
    np.add(S, A * (1 - S), out=out)


def _softplus(Z: Array, out: Array) -> None:
    softplus(Z, out=out)


def _softplus_slope(Z: Array, A: Array, out: Array) -> None:
    # sigmoid(Z) = 1 - exp(-softplus(Z))
    np.negative(A, out=out)
    np.expm1(out, out=out)
    np.negative(out, out=out)


ACTIVATIONS = {
    "identity": Activation(_identity, _identity_slope, "glorot_uniform"),
    "logistic": Activation(_logistic, _logistic_slope, "glorot_uniform"),
    "tanh": Activation(_tanh, _tanh_slope, "glorot_uniform"),
    "relu": Activation(_relu, _relu_slope, "he_uniform"),
    "leaky_relu": Activation(_leaky_relu, _leaky_relu_slope, "he_uniform"),
    "elu": Activation(_elu, _elu_slope, "he_uniform"),
    "gelu": Activation(_gelu, _gelu_slope, "he_uniform", keeps_input=True, is_monotonic=False),
    "silu": Activation(_silu, _silu_slope, "he_uniform", keeps_input=True, is_monotonic=False),
    "softplus": Activation(_softplus, _softplus_slope, "he_uniform"),
}


def side_by_side(names: Sequence[str], sizes: Sequence[int]) -> Activation:
    """Of several activations, each for so many of the hidden units, one behind the other."""
    if len(set(names)) == 1:
        return ACTIVATIONS[names[0]]
    ends = np.cumsum(sizes)
    parts = [
        (ACTIVATIONS[name], slice(end - size, end))
        for name, size, end in zip(names, sizes, ends, strict=True)
    ]

    def value(Z: Array, out: Array) -> None:
        for activation, units in parts:
            activation.value(Z[:, units], out[:, units])

    def slope(Z: Array, A: Array, out: Array) -> None:
        for activation, units in parts:
            activation.slope(Z[:, units], A[:, units], out[:, units])

    return Activation(value, slope, "glorot_uniform", any(part.keeps_input for part, _ in parts))
