"""The training plan: what every ``"auto"`` means, given the table and the loss. Made once per fit.

What is averaged and how long it is trained is the `recipe`; here it is made definite for the rows
of a fit, network by network.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from .compatibility import (
    FEW_ROWS,
    check_noise,
    check_pair,
    check_sparsity,
    keeping_signs,
    merges_rows,
    why_no_posterior,
)
from .data.encoding import NUMBER, Encoding, plain
from .data.rows import merge_equal_rows
from .model.losses import Loss
from .model.network import block_size
from .model.parameters import Shape, check_size
from .recipe import (
    HIGHEST_RATE,
    USUAL_ALPHA,
    Kind,
    Table,
    is_wide,
    kinds,
    n_epochs,
    n_folds,
    usual_batch_size,
    usual_units,
)
from .settings import Settings, is_auto
from .solvers import SOLVERS
from .solvers.levenberg_marquardt import LARGEST
from .solvers.stochastic import batch_size
from .task import AlphaBy, Continuation, Plan, Task

MOST_OUTPUTS = 50
"""Of more the evidence, which takes pairs of them in each row, would take most of the time."""


def make_plan(task: Task, start: Continuation | None = None, streaming: bool = False) -> Plan:
    """Make every ``"auto"`` definite; networks that go on from `start` stay as they are.

    ValueError for what does not go together. A chunk of a stream is one epoch of a stochastic
    solver.
    """
    check_sparsity(task.settings, streaming)
    check_noise(task.loss, task.monotonic is not None)
    n_rows, has_few_outputs = task.table.n_rows, task.n_outputs <= MOST_OUTPUTS
    # a chunk is met once: nothing could begin at a squared error first
    is_given = not has_few_outputs or (streaming and task.loss.borrows_prior and start is None)
    if is_given and is_auto(task.settings.alpha):
        task = replace(task, settings=replace(task.settings, alpha=USUAL_ALPHA))
    task = replace(task, settings=_of_one_chunk(task)) if streaming else merged(task)
    if start is None:
        check_pair(task.loss, task.settings)
        found = kinds(task.settings, _table(task))
        plans = [_plan(task, n_rows, kind, None, streaming) for kind in found]
    else:
        plans = _going_on(task, n_rows, start, streaming)
    if not has_few_outputs:
        reason = f"there are {task.n_outputs} outputs, more than {MOST_OUTPUTS}"
        plans = [replace(plan, no_posterior=reason) for plan in plans]
    folds = _folds(plans, task) if start is None else 0
    first, others = plans[0], plans[1:]
    if first.alpha_by == "evidence":
        # beside networks that have a posterior all do, even where none is to be kept
        others = [replace(plan, no_posterior="") for plan in others]
    return replace(first, others=tuple(others), n_folds=folds)


def _folds(plans: list[Plan], task: Task) -> int:
    """How often rows are held out.

    One kind alone is weighed against nothing, though what is held out may still moderate it; and
    validation rows judge already.
    """
    n_networks = sum(plan.settings.n_members for plan in plans)
    is_judged = n_networks > 1 and (len(plans) > 1 or task.loss.is_moderated)
    return n_folds(task.X.shape[0]) if is_judged and task.validation is None else 0


def _going_on(task: Task, n_rows: int, start: Continuation, streaming: bool) -> list[Plan]:
    """The plan of each network that goes on.

    ValueError where another number of them is asked for.
    """
    asked, members = task.settings, start.networks
    has_a_say = start.n_asked > 1 or is_auto(asked.alpha)
    # beside networks of constant noise there are more than were asked for
    has_a_say = has_a_say and not task.loss.beside_constant
    # some of those that were asked for may have got no weight
    if has_a_say and asked.n_members not in ("auto", len(members), start.n_asked):
        raise ValueError(
            f"n_members={asked.n_members!r} differs from the fitted number of networks, "
            f"{len(members)}: keep it, or fit with warm_start=False"
        )
    plans = []
    is_mixed = len({member.alpha is None for member in members}) > 1
    for member in members:
        settings = _as_started(asked, member, is_mixed or task.loss.borrows_prior)
        check_pair(task.loss, settings)
        settings = settings if task.monotonic is None else keeping_signs(settings)
        n_spaces = member.n_spaces and member.n_spaces * is_wide(settings, _table(task))
        kind = Kind(settings, has_constant_noise=member.has_constant_noise, n_spaces=n_spaces)
        plans.append(_plan(task, n_rows, kind, member, streaming))
    return plans


def _table(task: Task) -> Table:
    """What the recipe goes by."""
    X, n_columns = task.X, task.X.shape[1]
    numbers = np.full(n_columns, True) if task.n_levels is None else task.n_levels == NUMBER
    if task.n_levels is not None or task.has_missing:
        encoding = _encoding(task, replace(task.settings, encoding="linear"), None)
        n_columns = n_columns if encoding is None else int(encoding.sizes.sum())
    return Table(
        X.shape[0],
        n_columns,
        task.n_targets,
        not sparse.issparse(X),
        task.validation is not None,
        task.loss.has_curvature or task.loss.borrows_prior,
        task.loss.standardizes_target,
        task.monotonic is not None,
        bool((numbers & ~task.is_constrained).any()),
        task.loss.knows_variance,
        task.loss.beside_constant,
        task.n_levels is not None,
        task.is_elsewhere,
    )


def _plan(task: Task, n_rows: int, kind: Kind, start: Continuation | None, streaming: bool) -> Plan:
    """The plan of one kind of network."""
    asked = kind.settings
    encoding = _encoding(task, asked, start)
    blocks, n_inputs = (encoding.blocks, encoding.fan_in) if encoding else (None, None)
    n_columns = int(encoding.sizes.sum()) if encoding else task.X.shape[1]
    by_evidence, averaged = is_auto(asked.alpha), is_auto(task.settings.alpha)
    settings = _definite(asked, task, by_evidence, averaged, streaming)
    sizes = n_columns, int(settings.hidden_size), task.n_outputs
    shape = Shape(*sizes, bool(settings.skip), blocks, n_inputs)
    check_size(shape)
    if by_evidence and _has_no_evidence(task, settings, shape):
        by_evidence, asked = False, replace(asked, alpha=USUAL_ALPHA)
    reason = _without_posterior(task.loss, by_evidence)
    if shape.n_hidden > WIDEST:
        reason = f"there are {shape.n_hidden} hidden units, more than {WIDEST}"
    reason = reason or why_no_posterior(settings)
    if not settings.store_posterior:
        reason = reason or "the fit was with store_posterior=False"
    return Plan(
        task,
        n_rows,
        replace(settings, n_members=kind.n_members),
        shape,
        _who(task.loss) if by_evidence else "given",
        None if by_evidence else asked.alpha,
        reason,
        _product_size(settings, shape, task.X.shape[0]),
        encoding,
        kind.begin,
        kind.prior,
        kind.has_constant_noise,
        n_spaces=0 if streaming else kind.n_spaces,
    )


def _who(loss: Loss) -> AlphaBy:
    """Whose evidence it is."""
    return "squared_error" if loss.borrows_prior else "evidence"


def _without_posterior(loss: Loss, by_evidence: bool) -> str:
    """Why a loss leaves no posterior, if it does not."""
    if not loss.borrows_prior:
        return "" if loss.has_curvature else "the loss has no curvature"
    if by_evidence and loss.link == "identity":
        return ""
    return "the loss is no likelihood that would tell how sure the weights are"


WIDEST = 2000
"""Hidden units whose covariances are a matrix that can be decomposed in seconds."""


def _has_no_evidence(task: Task, settings: Settings, shape: Shape) -> bool:
    """Whether the usual alpha is taken: the matrices of the evidence would be too large.

    The exact evidence takes the whole curvature, and rows of its own.
    """
    if settings.solver == "lm":
        return shape.size > LARGEST or task.validation is not None
    return shape.n_hidden > WIDEST


def _encoding(task: Task, asked: Settings, start: Continuation | None) -> Encoding | None:
    """How columns are encoded, None where all are numbers that stay as they are.

    ValueError for sparse X, of which only that is possible. What has been learnt once stays.
    """
    piecewise_linear, is_new = asked.encoding == "piecewise_linear", start is None
    has_knots = is_new & (piecewise_linear | task.is_constrained)
    if not (has_knots.any() or task.has_missing or task.n_levels is not None):
        return None if start is None else start.encoding
    held_out = () if task.validation is None else task.validation[:1]
    if any(map(sparse.issparse, (task.X, *held_out))):
        what = "encoding='piecewise_linear'" if is_new and piecewise_linear else "a missing value"
        what = "monotonic_cst" if task.is_constrained.any() else what
        raise ValueError(f"{what} needs dense X, and dense X_val, got a sparse one")
    if start is not None:
        return start.encoding or plain(task.X.shape[1])
    n_knots = None if is_auto(asked.n_knots) else int(asked.n_knots)
    return task.table.learn(task.n_levels, has_knots, n_knots)


def _of_one_chunk(task: Task) -> Settings:
    """Adam where nothing else is asked for, in the precision of the rows, for one epoch."""
    solver = "adam" if is_auto(task.settings.solver) else task.settings.solver
    dtype = task.X.dtype.name if is_auto(task.settings.dtype) else task.settings.dtype
    return replace(task.settings, solver=solver, dtype=dtype, max_iter=1)


def merged(task: Task) -> Task:
    """Equal rows as one, where the solver takes all rows at once.

    Before anything is chosen, which must not depend on whether rows come as copies or with weights.
    """
    if task.is_elsewhere or not merges_rows(task.settings.solver, task.X.shape[0]):
        return task
    X, Y, weights = merge_equal_rows(task.X, task.Y, task.weights)
    return replace(task, X=X, Y=Y, weights=weights)


def _as_started(asked: Settings, start: Continuation, keeps_prior: bool) -> Settings:
    """What is asked for, what is open being as it was.

    Under the evidence that is the solver and its precision, too; and a given prior, beside networks
    that have none.
    """
    kept: dict[str, Any] = dict(vars(start.choices))
    if start.encoding is not None and start.encoding.n_increments.any():
        kept["encoding"] = "piecewise_linear"
    if is_auto(asked.alpha):
        kept["solver"] = start.solver
        if is_auto(asked.solver) and SOLVERS[start.solver].incremental:
            kept["dtype"] = start.theta.dtype.name  # rows in double precision do not widen it
        if keeps_prior and start.alpha is not None:
            kept["alpha"] = start.alpha
    return replace(asked, **{k: v for k, v in kept.items() if is_auto(getattr(asked, k))})


def _definite(
    asked: Settings, task: Task, by_evidence: bool, averaged: bool, streaming: bool
) -> Settings:
    """The settings with all that is left open settled."""
    n_rows, solver, has_knots = task.X.shape[0], asked.solver, asked.encoding == "piecewise_linear"
    if is_auto(solver):
        solver = "lbfgs" if n_rows <= FEW_ROWS else "adam"
    incremental = SOLVERS[solver].incremental
    cycle = by_evidence and incremental and not streaming
    size = usual_batch_size(n_rows, task.is_elsewhere) if cycle else 200
    size = size if is_auto(asked.batch_size) else int(asked.batch_size)
    # that batches come from far away and are large is no reason to meet rows more often
    at_once = min(size, usual_batch_size(n_rows)) if task.is_elsewhere else size
    definite: dict[str, Any] = {
        "solver": solver,
        "hidden_size": usual_units(solver, n_rows),
        "activation": "tanh" if averaged or solver == "lm" else "relu",
        "skip": by_evidence and task.n_targets == 1 and solver == "lm",
        "dtype": "float32" if incremental and n_rows > FEW_ROWS else task.X.dtype.name,
        "learning_rate": "one_cycle" if cycle else "constant",
        "learning_rate_init": HIGHEST_RATE if cycle else 0.001,
        "max_iter": n_epochs(n_rows, at_once, has_knots) if cycle else 1000,
        "batch_size": size,
    }
    return replace(asked, **{k: v for k, v in definite.items() if is_auto(getattr(asked, k))})


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
