"""Numerical gradients by finite differences: nudge each parameter and see what happens.

Far too slow to train with, and the referee of every analytic gradient.
"""

from collections.abc import Callable

import numpy as np

from ..numerics import Array


def numerical_gradient(
    objective: Callable[[Array], tuple[float, Array]],
    theta: Array,
    epsilon: float = 1e-4,
    scheme: str = "forward",
) -> Array:
    """Differences of ``objective(theta)[0]``, one parameter at a time.

    ``"forward"``: (F(theta + e) - F(theta)) / epsilon, an error of order epsilon;
    ``"central"``: (F(theta + e) - F(theta - e)) / (2 epsilon), of order epsilon^2.
    """
    if scheme not in ("forward", "central"):
        raise ValueError(f"scheme must be 'forward' or 'central', got {scheme!r}")
    theta = theta.copy()
    here = objective(theta)[0]
    gradient = np.empty_like(theta)
    for i, original in enumerate(theta.copy()):
        theta[i] = original + epsilon
        above = objective(theta)[0]
        below, width = here, epsilon
        if scheme == "central":
            theta[i] = original - epsilon
            below, width = objective(theta)[0], 2 * epsilon
        theta[i] = original
        gradient[i] = (above - below) / width
    return gradient
