"""Solvers: optimisation of the objective, or least squares and likelihood by curvature.

To add one: write ``solve`` in a file of its own, add one line to ``SOLVERS``.
"""

from collections.abc import Callable
from dataclasses import dataclass

from . import lbfgs, levenberg_marquardt, stochastic
from .optimizers import OPTIMIZERS
from .solution import Solution


@dataclass(frozen=True)
class Solver:
    """How to solve, whether new rows can be taken in later, and what is needed of a loss.

    A solver that `projects` keeps to the bounds of an objective.
    """

    solve: Callable[..., Solution]
    incremental: bool
    needs_curvature: bool = False
    projects: bool = False


SOLVERS = {
    "lbfgs": Solver(lbfgs.solve, incremental=False),
    "lm": Solver(levenberg_marquardt.solve, incremental=False, needs_curvature=True),
    **{name: Solver(stochastic.solve, incremental=True, projects=True) for name in OPTIMIZERS},
}
