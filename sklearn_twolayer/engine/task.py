"""The records of training: what it is given, what it leaves behind, what a later call needs."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.random import RandomState

from .bayes.ensemble import Predictive
from .bayes.extrapolation import Ranges
from .bayes.residuals import Residuals
from .data.encoding import Encoding
from .data.scaling import Scaling
from .data.table import ArrayTable, Table
from .model.activations import ACTIVATIONS
from .model.losses import Loss
from .model.monotonic import Bounds, bounds
from .model.network import Network
from .model.parameters import Shape
from .numerics import Array
from .recipe import (
    CHEAP_TO_JUDGE,
    JUDGED,
    STEPS_OF_EVIDENCE,
    STEPS_OF_LBFGS,
    Begin,
    cost_of_curvature,
)
from .settings import Settings
from .solvers.monitor import Monitor
from .solvers.progress import Watcher
from .solvers.solution import Solution, State


@dataclass(frozen=True)
class Task:
    """Rows of positive weight in raw units, and what is asked of them.

    X may be a `Table` of rows that live elsewhere; Y then has none, and weights are None.
    `n_levels` counts the levels of categories among the columns of X, whose codes stand there, and
    is `NUMBER` for the others; None stands for numbers only. With `has_missing` some of X, or of
    validation rows, is NaN. `used` (n_columns,) tells which columns of X are not to be ignored;
    None stands for all. `monotonic` has 1 or -1 for the columns of X with which predictions are to
    rise or to fall, 0 for the others; None where there are none. `score` rates folded weights, the
    more the better, given as ``score(coefs, intercepts, activation, encoding, scaling)``; without
    it, `validation` rows (X, Y, weights) are rated by their negated loss. `watcher` is told of the
    fit while it runs.
    """

    X: Any
    Y: Array
    weights: Array | None
    n_outputs: int
    loss: Loss
    settings: Settings
    n_levels: Array | None = None
    has_missing: bool = False
    monotonic: Array | None = None
    used: Array | None = None
    validation: tuple[Any, Array, Array | None] | None = None
    score: Callable[..., float] | None = None
    early_stopping: bool = False
    watcher: Watcher | None = None

    @property
    def table(self) -> Table:
        """The rows before they are scaled; X itself where they live elsewhere."""
        return self.X if isinstance(self.X, Table) else ArrayTable(self.X, self.Y, self.weights)

    @property
    def is_elsewhere(self) -> bool:
        """Whether the rows are in other processes, from where their sums take milliseconds."""
        return isinstance(self.X, Table)

    @property
    def is_constrained(self) -> Array:
        """In which columns of X predictions are to be monotonic (n_columns,)."""
        if self.monotonic is None:
            return np.zeros(self.X.shape[1], dtype=bool)
        return np.asarray(self.monotonic != 0)

    @property
    def n_targets(self) -> int:
        """Columns of quantities in Y, of which a loss may make several outputs each."""
        return self.Y.shape[1] if self.Y.ndim == 2 else self.n_outputs


@dataclass(frozen=True)
class Choices:
    """What was chosen for a network, or alike for each of those averaged."""

    hidden_size: int
    activation: str
    skip: bool


AlphaBy = Literal["given", "evidence", "squared_error"]
"""Who chooses alpha: the caller, the evidence, or the evidence for squared errors."""


@dataclass(frozen=True)
class Plan:
    """What a fit is to do: the task, every choice in its settings definite.

    Equal rows of the task are one where the solver takes all rows at once; `n_rows` counts them
    as they came. `alpha` is None until something has chosen it. `product_size` counts the
    multiplications in the largest matrix product to come, and `no_posterior` says why there will be
    no posterior, if there will be none. With `has_constant_noise` the log variances of the task's
    loss, which may vary, are alike in all rows. With `n_spaces` the network is trained in so many
    spaces of the rows, one after the other (`wide`). This is the plan of one kind of network, of
    which there are ``settings.n_members``; `others` has those of further kinds that are averaged
    with it, weighted by what they predict of rows held out `n_folds` times.
    """

    task: Task
    n_rows: int
    settings: Settings
    shape: Shape
    alpha_by: AlphaBy
    alpha: float | Array | None
    no_posterior: str
    product_size: int
    encoding: Encoding | None = None
    begin: Begin = "noise"
    prior: float = 1.0
    has_constant_noise: bool = False
    n_spaces: int = 0
    others: tuple["Plan", ...] = ()
    n_folds: int = 0

    @property
    def kinds(self) -> tuple["Plan", ...]:
        """The plan of each kind of network."""
        return (self, *self.others)

    @property
    def choices(self) -> Choices:
        """Of one network; of all that are averaged alike."""
        settings = self.settings
        return Choices(self.shape.n_hidden, settings.activation, self.shape.skip)

    def with_loss(self, loss: Loss) -> "Plan":
        """The same for another loss."""
        others = tuple(plan.with_loss(loss) for plan in self.others)
        return replace(self, task=replace(self.task, loss=loss), others=others)

    @property
    def is_exact(self) -> bool:
        """Whether the evidence takes the whole curvature."""
        return self.settings.solver == "lm"

    @property
    def is_clean(self) -> bool:
        """Whether the exact evidence begins as if there were no noise."""
        return self.is_exact and self.begin == "signal"

    @property
    def n_judged(self) -> int:
        """Starts that are judged by held-out rows: of exact ones each ends at a mode of its own."""
        cost = cost_of_curvature(self.task.X.shape[0], self.shape.size)
        cheap = self.is_exact and cost <= CHEAP_TO_JUDGE
        return min(JUDGED, self.settings.n_members) if cheap else 1

    @property
    def cost(self) -> float:
        """Multiplications of all networks of this kind, roughly."""
        settings, n_rows, shape = self.settings, self.task.X.shape[0], self.shape
        if settings.solver == "lbfgs":
            settings = replace(settings, max_iter=min(settings.max_iter, STEPS_OF_LBFGS))
        if settings.solver == "lm":
            each = STEPS_OF_EVIDENCE * cost_of_curvature(n_rows, shape.size)
        else:
            each = 6.0 * settings.max_iter * n_rows * (shape.n_features + 1) * shape.n_hidden
        return settings.n_members * max(1, self.n_spaces) * each

    @cached_property
    def bounds(self) -> Bounds | None:
        """Those of theta where predictions are to be monotonic in some columns."""
        return None if self.directions is None else bounds(self.shape, self.directions)

    @property
    def directions(self) -> Array | None:
        """Whether predictions are to rise (1) or fall (-1) with encoded columns, or either (0)."""
        if self.task.monotonic is None or self.encoding is None:
            return self.task.monotonic
        return self.encoding.of_numbers(self.task.monotonic)

    def network(self) -> Network:
        """A network of this shape, with buffers of its own."""
        return Network(self.shape, ACTIVATIONS[self.settings.activation], self.task.loss)


@dataclass(frozen=True)
class Continuation:
    """What a later call needs to go on: weights and their units, solver state, history.

    An average goes on as its `members`, each from what it left behind itself; `theta` is then that
    of the wide network in which the hidden units of all stand side by side. `n_asked` counts the
    networks that were trained, some of which may have got no weight. `ranges` are those of all rows
    so far, or None where they do not matter or are not known. `residuals` are those of the average
    or of the one network, if there are any. `member_densities` are the weights in the density of
    new targets, where these are others than those in means; with `has_constant_noise` log variances
    are alike in all rows. `n_spaces` is that of the plan.
    """

    theta: Array
    scaling: Scaling
    solver: str
    choices: Choices
    alpha: float | Array | None
    state: State = field(default_factory=State)
    loss_curve: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    n_seen: int = 0
    encoding: Encoding | None = None
    members: list["Continuation"] = field(default_factory=list)
    member_weights: Array | None = None
    member_densities: Array | None = None
    ranges: Ranges | None = None
    n_asked: int = 1
    residuals: Residuals | None = None
    has_constant_noise: bool = False
    n_spaces: int = 0

    @property
    def networks(self) -> list["Continuation"]:
        """The networks that are averaged, or the one there is."""
        return self.members or [self]

    @property
    def n_members(self) -> int:
        """Networks that are averaged."""
        return len(self.networks)


@dataclass(frozen=True)
class Fit:
    """What training leaves behind; `coefs` ([W1, W2], and W0 with a skip path) and `intercepts`
    act on raw units. `settings` are those of this network, all definite, as are the parameters of
    `loss`, in standardised units. With a posterior, `noise` is the noise variance of each output,
    and `predictive` says how sure predictions are, both in standardised units.
    """

    coefs: list[Array]
    intercepts: list[Array]
    solution: Solution
    monitor: Monitor
    continuation: Continuation
    random_state: RandomState
    settings: Settings
    loss: Loss
    noise: Array | None = None
    predictive: Predictive | None = None
