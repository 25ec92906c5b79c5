"""How a solver reports back: as data. It never warns and never prints."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ..numerics import Array


class Status(Enum):
    """Why a solver stopped."""

    CONVERGED = "converged"
    MAX_ITER = "max_iter"
    MAX_FUN = "max_fun"
    DIVERGED = "diverged"
    STOPPED = "stopped by a callback"


@dataclass
class Solution:
    """Where the walk ended and what is needed to go on.

    `theta` are the weights to keep and `value` what they were judged by, `last` the weights of the
    last iteration. A solver that knows how sure it is of them says so in `posterior`.
    """

    theta: Array
    last: Array
    value: float
    n_iter: int
    status: Status
    state: dict[str, Any] = field(default_factory=dict)
    posterior: Any = None
