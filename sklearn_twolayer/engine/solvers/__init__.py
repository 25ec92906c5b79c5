"""Ways to walk downhill.

To add one: write ``solve`` in a file of its own, add one line to ``SOLVERS``.
"""

from collections.abc import Callable
from dataclasses import dataclass

from . import lbfgs, levenberg_marquardt, stochastic
from .optimizers import OPTIMIZERS
from .solution import Solution


@dataclass(frozen=True)
class Solver:
    """How to solve, and whether the walk can be carried on with new rows."""

    solve: Callable[..., Solution]
    incremental: bool


SOLVERS = {
    "lbfgs": Solver(lbfgs.solve, incremental=False),
    "lm": Solver(levenberg_marquardt.solve, incremental=False),
    **{name: Solver(stochastic.solve, incremental=True) for name in OPTIMIZERS},
}
