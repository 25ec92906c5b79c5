"""The solution of an optimisation, as data: a solver never warns and never prints."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypedDict

from ..numerics import Array


class Status(Enum):
    """Why a solver stopped."""

    CONVERGED = "converged"
    MAX_ITER = "max_iter"
    MAX_FUN = "max_fun"
    DIVERGED = "diverged"
    STOPPED = "stopped by a callback"


@dataclass(frozen=True)
class Posterior:
    """Laplace's approximation around the weights of one network: theta has this covariance.

    `alpha` has the prior precision of each group of weights times the noise variance, `noise` the
    noise variance of each output (1 where there is none), in standardised units.
    """

    theta: Array
    covariance: Any
    alpha: Array
    noise: Array
    n_effective_parameters: float
    log_evidence: float


class State(TypedDict, total=False):
    """What a solver carries on with, in a plain dict that any version can unpickle.

    Of a stochastic solver the epochs and rows so far, what an adaptive rate was divided by, and
    what its update rule remembers, and when each level of many was visited last; of the evidence
    the precisions of prior and noise, the steps since they were estimated, and what the rows of a
    stream have told so far.
    """

    epoch: int
    n_seen: int
    division: float
    velocity: Array
    mean_square: Array
    first_moment: Array
    second_moment: Array
    first_unit: float
    second_unit: float
    n_updates: int
    n_steps: int
    visited: Array
    precision: Array
    beta: Array
    since_estimate: float
    factors: dict[str, Array]


@dataclass
class Solution:
    """Where a run ended and what is needed to go on.

    `theta` are the weights to keep and `value` what they were compared by. A solver that knows how
    sure it is of them says so in `posterior`.
    """

    theta: Array
    value: float
    n_iter: int
    status: Status
    state: State = field(default_factory=State)
    posterior: Posterior | None = None
