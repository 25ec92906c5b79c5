"""Raw units: the weights that solvers have found, for rows as they come."""

from dataclasses import replace

import numpy as np

from .data.scaling import Scaling
from .numerics import Array
from .plan import Plan
from .solvers.solution import Solution, Status
from .watching import in_raw_units


def in_finite_units(
    plan: Plan, scaling: Scaling, solution: Solution, initial: Array
) -> tuple[Solution, list[Array], list[Array]]:
    """The solution and its raw weights; the initial weights where these are not finite.

    ValueError where even the initial weights do not exist in raw units.
    """
    units = plan.task, plan.settings.dtype, scaling, plan.shape
    coefs, intercepts = in_raw_units(*units, solution.theta)
    if not _are_finite(coefs, intercepts):
        # finite weights for standardised columns may not be so for the raw ones
        solution = _diverged(replace(solution, theta=initial))
        coefs, intercepts = in_raw_units(*units, initial)
    if solution.posterior and not np.isfinite(solution.posterior.log_evidence):
        solution = _diverged(solution)
    if not _are_finite(coefs, intercepts):
        raise ValueError(
            "y is so large, and a column of X varies so little, that weights in their units would "
            "be beyond 1e308: take other units for either"
        )
    return solution, coefs, intercepts


def _diverged(solution: Solution) -> Solution:
    """The solution as one that says nothing of how sure it is."""
    return replace(solution, status=Status.DIVERGED, posterior=None)


def _are_finite(coefs: list[Array], intercepts: list[Array]) -> bool:
    return all(np.isfinite(array).all() for array in (*coefs, *intercepts))
