"""The training plan: what every ``"auto"`` means, given the table and the loss. Made once per fit.

A table small enough for the curvature of the network is trained by Levenberg-Marquardt, its prior
chosen by the evidence: few tanh units, started at the linear model where there is one output. A
larger one gets many relu units and L-BFGS or, for many rows, Adam; held-out rows choose its prior.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy import sparse

from .data.encoding import Encoding, learn, plain
from .data.rows import merge_equal_rows
from .model.activations import ACTIVATIONS
from .model.losses import Loss
from .model.network import Network, block_size
from .model.parameters import Shape
from .numerics import Array
from .settings import Settings
from .solvers import SOLVERS
from .solvers.levenberg_marquardt import LARGEST
from .solvers.stochastic import batch_size
from .task import Choices, Continuation, Task

FEW_ROWS = 10_000
"""Up to this many rows a solver takes all of them at once; beyond, mini-batches learn sooner."""

CHEAP = 1e9
"""Multiplications for a step by curvature, n P^2 + P^3, that pay: about 50 ms."""

FEW_UNITS, MORE_UNITS, MANY_UNITS = 10, 20, 100
"""Hidden units under the evidence, the same from `ROWS_FOR_MORE` rows on, and without it."""

ROWS_FOR_MORE = 3000

SEVERAL_MEMBERS, CHEAP_TO_REPEAT = 3, 5e7
"""Networks to average where a step costs no more multiplications than this: milliseconds."""

MOST_PARAMETERS = 10**9
"""Of a network: 8 GB in double precision, and as much again several times over to train it."""

USUAL_ALPHA = 1.0
"""The prior's precision where nothing chooses it."""

ALPHAS_TO_TRY = (1.0, 10.0, 100.0)
"""Precisions among which held-out rows choose: for little noise, for some and for much."""

AlphaBy = Literal["given", "held_out", "evidence"]
"""Who chooses alpha: the caller, held-out rows, or the evidence."""


@dataclass(frozen=True)
class Plan:
    """What a fit is to do: the task, every choice in its settings definite.

    Equal rows of the task are one where the solver takes all rows at once; `n_rows` counts them
    as they came. `alpha` is None until something has chosen it. `product_size` counts the
    multiplications in the largest matrix product to come, and `no_posterior` says why there will be
    no posterior, if there will be none.
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

    @property
    def choices(self) -> Choices:
        """Of one network; of all that are averaged alike."""
        settings = self.settings
        return Choices(self.shape.n_hidden, settings.activation, self.shape.skip)

    def network(self) -> Network:
        """A network of this shape, with buffers of its own."""
        return Network(self.shape, ACTIVATIONS[self.settings.activation], self.task.loss)


def make_plan(task: Task, start: Continuation | None = None, streaming: bool = False) -> Plan:
    """Make every ``"auto"`` definite; a network that goes on from `start` stays as it is.

    ValueError for what does not go together. A chunk of a stream is one epoch of a stochastic
    solver.
    """
    n_rows = task.X.shape[0]
    asked = _of_one_chunk(task) if streaming else task.settings
    if not streaming:
        task = _merged(task)
    if start is not None:
        asked = _as_started(asked, start)
    check_pair(task.loss, asked)
    encoding = _encoding(task, asked, start)
    blocks, n_inputs = (encoding.blocks, encoding.fan_in) if encoding else (None, None)
    n_columns = int(encoding.sizes.sum()) if encoding else task.X.shape[1]
    validating = task.validation is not None
    # alpha first: whether the evidence is to choose it decides solver, units and members
    reason = why_no_evidence(asked, task.X.shape[0], n_columns, task.n_outputs, validating)
    alpha_by, alpha = _who_chooses_alpha(asked, reason, task, start)
    settings = _definite(asked, task, alpha_by == "evidence", reason)
    sizes = n_columns, int(settings.hidden_size), task.n_outputs
    shape = Shape(*sizes, bool(settings.skip), blocks, n_inputs)
    _check_size(shape)
    settings = replace(settings, n_members=_n_members(asked, shape, task, alpha_by, start, reason))
    reason = "partial_fit keeps none" if streaming else reason
    if not settings.store_posterior:
        reason = reason or "the fit was with store_posterior=False"
    size = _product_size(settings, shape, task.X.shape[0])
    return Plan(task, n_rows, settings, shape, alpha_by, alpha, reason, size, encoding)


def _encoding(task: Task, asked: Settings, start: Continuation | None) -> Encoding | None:
    """How columns are encoded, None where all are numbers that stay as they are.

    ValueError for sparse X, of which only that is possible. What has been learnt once stays.
    """
    piecewise_linear = asked.encoding == "piecewise_linear" and start is None
    if not (piecewise_linear or task.has_missing or task.n_levels is not None):
        return None if start is None else start.encoding
    held_out = () if task.validation is None else task.validation[:1]
    if any(map(sparse.issparse, (task.X, *held_out))):
        what = "encoding='piecewise_linear'" if piecewise_linear else "a missing value"
        raise ValueError(f"{what} needs dense X, and dense X_val, got a sparse one")
    if start is not None:
        return start.encoding or plain(task.X.shape[1])
    n_knots = None if is_auto(asked.n_knots) else int(asked.n_knots)
    return learn(task.X, task.weights, task.n_levels, piecewise_linear, n_knots)


def check_pair(loss: Loss, asked: Settings) -> None:
    """ValueError where the solver, or the evidence, needs what the loss does not have."""
    if loss.has_curvature:
        return
    lacks = f"the curvature of the loss, which {type(loss).__name__} does not have"
    able = [name for name, solver in SOLVERS.items() if not solver.needs_curvature]
    if not is_auto(asked.solver) and SOLVERS[asked.solver].needs_curvature:
        raise ValueError(
            f"solver={asked.solver!r} needs {lacks}: take one of {', '.join(map(repr, able))}"
        )
    if is_auto(asked.alpha):
        raise ValueError(f"alpha='auto' needs {lacks}: give alpha a number")


def _of_one_chunk(task: Task) -> Settings:
    """Adam where nothing else is asked for, in the precision of the rows, for one epoch."""
    solver = "adam" if is_auto(task.settings.solver) else task.settings.solver
    dtype = task.X.dtype.name if is_auto(task.settings.dtype) else task.settings.dtype
    return replace(task.settings, solver=solver, dtype=dtype, max_iter=1)


def _merged(task: Task) -> Task:
    """Equal rows as one, where the solver takes all rows at once.

    Before anything is chosen, which must not depend on whether rows come as copies or with weights.
    """
    solver = task.settings.solver
    if task.X.shape[0] > FEW_ROWS or not (is_auto(solver) or not SOLVERS[solver].incremental):
        return task
    X, Y, weights = merge_equal_rows(task.X, task.Y, task.weights)
    return replace(task, X=X, Y=Y, weights=weights)


def _as_started(asked: Settings, start: Continuation) -> Settings:
    """What is asked for, what is open being as it was."""
    kept = vars(start.choices)
    return replace(asked, **{k: v for k, v in kept.items() if is_auto(getattr(asked, k))})


def _who_chooses_alpha(
    asked: Settings, no_evidence: str, task: Task, start: Continuation | None
) -> tuple[AlphaBy, float | Array | None]:
    """Who chooses alpha, and the alpha where it is known by now."""
    if not is_auto(asked.alpha):
        return "given", asked.alpha
    return "evidence", None


def _definite(asked: Settings, task: Task, by_evidence: bool, no_exact: str) -> Settings:
    """The settings with solver, hidden_size, activation, skip and dtype settled."""
    n_rows, solver = task.X.shape[0], asked.solver
    if is_auto(solver):
        solver = "adam" if no_exact else "lm"
    in_single = SOLVERS[solver].incremental and n_rows > FEW_ROWS
    cycle = by_evidence and SOLVERS[solver].incremental
    definite: dict[str, Any] = {
        "solver": solver,
        "hidden_size": _hidden_size(solver, n_rows),
        "activation": "tanh" if by_evidence else "relu",
        "skip": by_evidence and task.n_outputs == 1 and solver == "lm",
        "dtype": "float32" if in_single else task.X.dtype.name,
        "learning_rate": "one_cycle" if cycle else "constant",
        "learning_rate_init": 0.01 if cycle else 0.001,
        "max_iter": _epochs(n_rows) if cycle else 1000,
        "batch_size": 256 if cycle else 200,
    }
    return replace(asked, **{k: v for k, v in definite.items() if is_auto(getattr(asked, k))})


def _epochs(n_rows: int) -> int:
    import os
    if os.environ.get("EPOCHS"):
        return int(os.environ["EPOCHS"])
    return int(min(max(20, 600_000 / n_rows), 400))


def _n_members(
    asked: Settings, shape: Shape, task: Task, alpha_by: AlphaBy, start: Continuation | None, why: str = ""
) -> int:
    """How many networks are averaged: those there are already, or as many as the evidence allows.

    ValueError where another number is asked for than there are to go on.
    """
    if start is not None:
        n_members = start.n_members
        has_a_say = n_members > 1 or alpha_by == "evidence"
        if has_a_say and asked.n_members not in ("auto", n_members):
            raise ValueError(
                f"n_members={asked.n_members!r} differs from the fitted number of networks, "
                f"{n_members}: keep it, or fit with warm_start=False"
            )
        return n_members
    if alpha_by != "evidence" or why:
        return 1
    if not is_auto(asked.n_members):
        return int(asked.n_members)
    # whoever asks for a number of hidden units wants that many, not three times as many
    cheap = _cost(task.X.shape[0], shape.size) <= CHEAP_TO_REPEAT
    return SEVERAL_MEMBERS if is_auto(asked.hidden_size) and cheap else 1


def _product_size(settings: Settings, shape: Shape, n_rows: int) -> int:
    """Multiplications in the largest matrix product that the solver will ask for.

    Products of curvature stand among factorisations and other small steps that threads slow down:
    they count a sixteenth, from where on two threads were measured to be level.
    """
    if settings.solver == "lm":
        return n_rows * shape.size**2 // 16
    at_a_time = block_size(shape.width)
    if SOLVERS[settings.solver].incremental:
        at_a_time = batch_size(settings, n_rows)
    return int(min(at_a_time, n_rows) * shape.n_features * shape.n_hidden)


def _check_size(shape: Shape) -> None:
    """ValueError for a network that no memory would hold."""
    if shape.size > MOST_PARAMETERS:
        raise ValueError(
            f"hidden_size={shape.n_hidden} makes {shape.size} parameters, X having "
            f"{shape.n_features} columns: they must be at most {MOST_PARAMETERS:.0e}"
        )


def is_auto(value: object) -> bool:
    """Whether a choice is left to this module."""
    return isinstance(value, str) and value == "auto"


def _hidden_size(solver: str, n_rows: int) -> int:
    if solver != "lm":
        return MANY_UNITS
    return FEW_UNITS if n_rows < ROWS_FOR_MORE else MORE_UNITS


def why_no_evidence(
    settings: Settings, n_rows: int, n_features: int, n_outputs: int, validating: bool = False
) -> str:
    """Why the evidence is not to choose alpha, or "" where it is.

    It must be asked for, alone, and not take too long.
    """
    solver, n_hidden = settings.solver, settings.hidden_size
    if not is_auto(settings.alpha):
        is_array = isinstance(settings.alpha, np.ndarray)
        return "the fit was given " + ("an array alpha" if is_array else f"alpha={settings.alpha}")
    if solver not in ("auto", "lm"):
        return f"the fit was by solver={solver!r}, which finds none"
    if validating:
        return "the fit was judged by validation rows (X_val, or those of early_stopping=True)"
    if is_auto(n_hidden):
        n_hidden = _hidden_size("lm", n_rows)
    skip = n_outputs == 1 if is_auto(settings.skip) else settings.skip
    n_parameters = Shape(n_features, int(n_hidden), n_outputs, skip).size
    cost = _cost(n_rows, n_parameters)
    if solver == "auto" and n_rows > FEW_ROWS:
        return f"{n_rows} rows are more than {FEW_ROWS}, the most for solver='auto': try 'lm'"
    if n_parameters > LARGEST:
        return f"{n_parameters} parameters are more than {LARGEST}: try fewer hidden units"
    if solver == "auto" and cost > CHEAP:
        return (
            f"{n_rows} rows and P = {n_parameters} parameters make n_samples * P ** 2 + P ** 3 = "
            f"{cost:.2e}, more than {CHEAP:.0e}, the most for solver='auto': try 'lm'"
        )
    return ""


def _cost(n_rows: int, n_parameters: int) -> float:
    """Multiplications of a step by curvature."""
    return float(n_rows * n_parameters**2 + n_parameters**3)
