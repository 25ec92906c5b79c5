"""What training is given, what it leaves behind, and what a later call goes on from."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from numpy.random import RandomState

from .data.scaling import Moments, Scaling
from .model.parameters import Shape
from .numerics import Array
from .settings import Settings
from .solvers.monitor import Monitor, Progress
from .solvers.solution import Solution


@dataclass
class Task:
    """Rows of positive weight in raw units, and what is asked of them.

    `score` rates folded weights, ``score(coefs, intercepts, activation, origin)``, the more the
    better; without it, `validation` rows (X, Y, weights) are rated by their negated loss. `phase`
    is what the callback is told to name a run of the solver by. `no_posterior` says why none will
    be found, once every ``"auto"`` is settled.
    """

    X: Any
    Y: Array
    weights: Array | None
    n_outputs: int
    loss: str
    settings: Settings
    validation: tuple[Any, Array, Array | None] | None = None
    score: Callable[[list[Array], list[Array], str, Array | None], float] | None = None
    early_stopping: bool = False
    callback: Callable[[Progress], bool | None] | None = None
    phase: str = ""
    no_posterior: str = ""

    @property
    def shape(self) -> Shape:
        """Of the network, once every ``"auto"`` is settled."""
        settings = self.settings
        hidden_size, skip = int(settings.hidden_size), bool(settings.skip)
        return Shape(self.X.shape[1], hidden_size, self.n_outputs, skip)


@dataclass
class Continuation:
    """What a later call needs to go on: weights and their units, solver state, history.

    An average goes on as its `members`, each from what it left behind itself; what they count in
    it are its `shares`.
    """

    theta: Array
    scaling: Scaling
    solver: str
    network: dict[str, Any]
    alpha: float | Array | None
    state: dict[str, Any] = field(default_factory=dict)
    loss_curve: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    n_seen: int = 0
    members: list["Continuation"] = field(default_factory=list)
    shares: Array | None = None

    @property
    def choices(self) -> dict[str, Any]:
        """What was chosen for the network, or for each of those averaged."""
        n_hidden = self.network["hidden_size"] // self.network["n_members"]
        return self.network | {"hidden_size": n_hidden}


def preserve(continuation: Continuation) -> dict[str, Any]:
    """The same as a dict of arrays, numbers, strings, lists and dicts; arrays are not copied."""
    state, scaling = dict(vars(continuation)), dict(vars(continuation.scaling))
    scaling["X"], scaling["Y"] = dict(vars(scaling["X"])), dict(vars(scaling["Y"]))
    histories = {name: list(state[name]) for name in ("loss_curve", "scores")}
    members = [preserve(member) for member in continuation.members]
    return state | histories | {"scaling": scaling, "members": members}


def restore(state: dict[str, Any]) -> Continuation:
    """What `preserve` was given."""
    scaling = dict(state["scaling"])
    scaling["X"], scaling["Y"] = Moments(**scaling["X"]), Moments(**scaling["Y"])
    members = [restore(member) for member in state["members"]]
    return Continuation(**{**state, "scaling": Scaling(**scaling), "members": members})


@dataclass
class Fit:
    """What training leaves behind; `coefs` ([W1, W2], and W0 with a skip path) and `intercepts`
    act on raw units. `no_posterior` says why there is none. `alpha_by` tells who chose alpha: the
    caller ("given"), held-out rows ("held_out") or the evidence ("evidence").
    """

    coefs: list[Array]
    intercepts: list[Array]
    solution: Solution
    monitor: Monitor
    continuation: Continuation
    random_state: RandomState
    no_posterior: str = ""
    alpha_by: str = "given"
