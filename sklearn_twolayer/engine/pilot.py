"""A pilot: the network that tells how large the noise is, where the loss goes by it."""

import numpy as np
from numpy.random import RandomState

from .borrowing import fit_squared_error, of_squared_error, residuals
from .data.rows import all_here
from .model.quantile_losses import weighted_quantiles
from .numerics import Array
from .parts import most_iterations, watched
from .plan import Plan
from .preparation import Training
from .run import run
from .solvers.progress import Part
from .task import Fit


def with_definite_loss(
    plan: Plan, training: Training, random_state: RandomState | None = None
) -> Plan:
    """The plan with the parameters of its loss in standardised units.

    Where one goes by the noise, the residuals of a network for squared errors tell it; in a stream
    those of a constant do.
    """
    loss = plan.task.loss.in_units_of(training.scaling.Y_scale)
    if loss.follows_noise:
        rows = all_here(training.rows)
        weights, errors = rows.weights_of_rows(), rows.Y.astype(np.float64)
        if random_state is None:
            errors = errors - weighted_quantiles(errors, weights, 0.5)
        else:
            errors = _residuals_of_pilot(plan, training, random_state)
        loss = loss.for_noise(errors, weights)
    return plan.with_loss(loss)


def _residuals_of_pilot(plan: Plan, training: Training, random_state: RandomState) -> Array:
    """Those of a network for squared errors."""
    of_mean = of_squared_error(plan)

    def pilot() -> Fit:
        return fit_squared_error(
            plan, training, lambda plan, rows: run(plan, rows, random_state, shown=None)
        )

    part = Part("pilot", n_iter=most_iterations(of_mean))
    found = watched(plan.task.watcher, part, pilot)
    return residuals(of_mean.network(), all_here(training.rows), found.solution.theta)
