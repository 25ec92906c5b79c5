"""From rows to weights: scale, initialise, build the objective, solve, fold back."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.random import RandomState

from .activations import ACTIVATIONS
from .callbacks import Monitor, Progress
from .initializers import initialize
from .losses import LOSSES, Loss
from .network import Network, block_size
from .numerics import Array
from .objective import Objective
from .parameters import Shape
from .rows import ArrayRows, merge_equal_rows
from .scaling import Scaling, identity_scaling, standardization
from .settings import Settings
from .solution import Solution
from .solvers import FEW_ROWS, SOLVERS, choose_solver
from .stochastic import batch_size


@dataclass
class Fit:
    """What training leaves behind; `coefs` and `intercepts` act on raw units."""

    coefs: list[Array]
    intercepts: list[Array]
    solution: Solution
    scaling: Scaling
    monitor: Monitor
    settings: Settings
    shape: Shape
    n_rows: int


def fit(
    X: Array,
    Y: Array,
    weights: Array | None,
    n_outputs: int,
    loss: str,
    settings: Settings,
    random_state: RandomState,
    theta: Array | None = None,
    callback: Callable[[Progress], bool | None] | None = None,
) -> Fit:
    """Train on raw rows of positive weight; `theta` overrides the initial draw.

    `random_state` is consumed by the initial weights, then by the shuffles.
    """
    chosen = LOSSES[loss]
    settings = replace(settings, solver=choose_solver(settings.solver, X.shape[0]))
    if not SOLVERS[settings.solver].incremental and X.shape[0] <= FEW_ROWS:
        X, Y, weights = merge_equal_rows(X, Y, weights)
    scaling = _scaling(X, Y, weights, n_outputs, chosen, settings)
    shape = Shape(X.shape[1], settings.hidden_size, n_outputs)
    network = Network(shape, ACTIVATIONS[settings.activation], chosen)
    rows = ArrayRows(
        X,
        Y,
        weights,
        scaling if settings.standardize else None,
        X.dtype,
        block_size=block_size(settings.hidden_size),
    )
    if theta is None:
        theta = initialize(shape, settings.activation, settings.initializer, random_state)
    monitor = Monitor(settings.tol, settings.n_iter_no_change, callback=callback)
    objective = Objective(network, rows, settings.alpha)
    # overflow is answered by the solvers, which see that a value is not finite
    with np.errstate(all="ignore"):
        solve: Any = SOLVERS[settings.solver].solve
        solution = solve(objective, theta.astype(X.dtype), settings, monitor, random_state)
    coefs, intercepts = scaling.fold(shape, solution.theta)
    coefs, intercepts = ([m.astype(X.dtype) for m in pair] for pair in (coefs, intercepts))
    return Fit(coefs, intercepts, solution, scaling, monitor, settings, shape, X.shape[0])


def _scaling(
    X: Array, Y: Array, weights: Array | None, n_outputs: int, loss: Loss, settings: Settings
) -> Scaling:
    """What `standardize` asks for; a constant target keeps its scale."""
    scaling = identity_scaling(X.shape[1], n_outputs)
    if settings.standardize:
        X_mean, X_scale = standardization(X, weights)
        scaling = replace(scaling, X_mean=X_mean, X_scale=X_scale)
        if loss.standardizes_target:
            Y_mean, Y_scale = standardization(Y, weights)
            Y_scale[np.isinf(Y_scale)] = 1
            scaling = replace(scaling, Y_mean=Y_mean, Y_scale=Y_scale)
    return scaling


def product_size(n_rows: int, n_features: int, settings: Settings) -> int:
    """Multiplications in one product with the first layer, as the solver will ask for it."""
    solver = SOLVERS[choose_solver(settings.solver, n_rows)]
    at_a_time = (
        batch_size(settings, n_rows) if solver.incremental else block_size(settings.hidden_size)
    )
    return at_a_time * n_features * settings.hidden_size
