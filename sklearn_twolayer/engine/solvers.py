"""Ways to walk downhill, and which of them to take when nobody says.

To add one: write ``solve`` in a file of its own, add one line to ``SOLVERS``.
"""

from collections.abc import Callable
from dataclasses import dataclass

from . import gauss_newton, lbfgs, stochastic
from .optimizers import OPTIMIZERS
from .solution import Solution


@dataclass(frozen=True)
class Solver:
    """How to solve, and whether the walk can be carried on with new rows."""

    solve: Callable[..., Solution]
    incremental: bool


SOLVERS = {
    "lbfgs": Solver(lbfgs.solve, incremental=False),
    "lm": Solver(gauss_newton.solve, incremental=False),
    **{name: Solver(stochastic.solve, incremental=True) for name in OPTIMIZERS},
}

FEW_ROWS = 10_000
"""Up to this many rows ``solver="auto"`` takes L-BFGS, beyond it Adam.

On 7,000 generated rows of 50 columns both take seconds, and L-BFGS predicts better.
"""


def choose_solver(solver: str, n_rows: int) -> str:
    """Resolve ``"auto"``."""
    if solver != "auto":
        return solver
    return "lbfgs" if n_rows <= FEW_ROWS else "adam"
