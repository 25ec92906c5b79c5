"""Relevance: which columns of X are needed, by an adaptive group lasso before the fit.

All weights that leave a column are one group (Yuan and Lin 2006), penalised by its length relative
to the length it has in a network by the evidence (Zou 2006; Wang and Leng 2008): columns that told
little there go first. The penalty grows until none is left. The columns left at each strength are
judged by rows that were held out, the network having been trained on without the penalty and with
these columns only; of the strengths whose loss is within one standard error of the least the
strongest is taken. The network is small, and piecewise linear in each column, as it is the columns
that matter: what is fitted on them afterwards is the ordinary fit.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.random import RandomState
from scipy import sparse

from .compatibility import check_sparsity
from .data.encoding import NUMBER
from .data.rows import all_here
from .held_out import HELD_OUT
from .model.losses import LOSSES
from .numerics import Array
from .parts import Parallel, in_turn
from .plan import make_plan, merged
from .preparation import Training, prepare
from .recipe import USUAL_ALPHA, n_folds
from .run import run
from .settings import Settings
from .solvers.group_lasso import groups_of_columns, solve
from .solvers.objective import Objective
from .solvers.progress import Part, Watcher
from .solvers.solution import Status
from .task import Plan, Task

MOST_ROWS = 5000
"""Rows that tell well enough, those that are held out among them."""

UNITS, KNOTS = 20, 5
"""Hidden units and knots of the network."""

STEPS_BY_GIVEN_PRIOR = 100

FIRST_STRENGTH, GROWTH, MOST_STRENGTHS = 2.0, 2.0, 50
"""Of the path, in units of the noise: a column that fits noise gains about one half of it."""

STEPS, STEPS_AFTERWARDS = 30, 20
"""With the penalty at each strength, and without it on the columns that are left."""

HOPELESS = 10.0
"""Standard errors above the least loss at which the path ends."""

LEAST_NOISE = 1e-4
"""Relative to the variance of the targets."""


def choose_columns(task: Task, random_state: RandomState, parallel: Parallel) -> Array:
    """Which original columns of X are needed, (n_columns,) booleans; all, where few rows tell.

    ValueError for settings under which there is no choosing.
    `random_state` is consumed by the rows that are asked, those that are held out, and a seed.
    """
    check_sparsity(task.settings)
    if task.loss.borrows_prior:
        task = replace(task, loss=LOSSES["squared_error"], n_outputs=task.n_targets)
    everything = np.ones(task.X.shape[1], dtype=bool)
    task = _some_rows(merged(task), random_state)
    n_rows = task.X.shape[0]
    order = random_state.permutation(n_rows)
    seed = int(random_state.randint(np.iinfo(np.int32).max)) // 2
    parts = np.array_split(order, HELD_OUT)[: n_folds(n_rows)]
    if not parts:
        return everything
    plan = _small_plan(task)
    training = prepare(plan)
    folds = [
        _Fold(
            plan,
            training.part(np.setdiff1d(order, rows)),
            training.part(rows),
            seed + number,
            Part("fold", number, len(parts)),
        )
        for number, rows in enumerate(parts)
    ]
    found = _paths(task.watcher, folds, parallel)
    paths = [path for path in found if path is not None]
    return _chosen(paths) if len(paths) == len(folds) else everything


def without(X: Any, used: Array, n_levels: Array | None) -> Any:
    """X with columns that are not used as constants: 0, or a level that nobody knows."""
    if sparse.issparse(X):
        X = sparse.csr_array(X, copy=True)
        X.data[~used[X.indices]] = 0
        X.eliminate_zeros()
        return X
    X = np.array(X[:])
    X[:, ~used] = 0 if n_levels is None else np.where(n_levels == NUMBER, 0, -1)[~used]
    return X


def using(task: Task, used: Array) -> Task:
    """The task with those columns only: the weights of the others will be zero."""
    if used.all():
        return task
    validation = task.validation
    if validation is not None:
        validation = without(validation[0], used, task.n_levels), *validation[1:]
    X = without(task.X, used, task.n_levels)
    return replace(task, X=X, validation=validation, used=used)


def _some_rows(task: Task, random_state: RandomState) -> Task:
    """At most `MOST_ROWS` of them."""
    n_rows = task.X.shape[0]
    if n_rows <= MOST_ROWS:
        return task
    index = np.sort(random_state.permutation(n_rows)[:MOST_ROWS])
    weights = None if task.weights is None else task.weights[index]
    return replace(task, X=task.X[index], Y=task.Y[index], weights=weights)


def _small_plan(task: Task) -> Plan:
    """That of a small network by the evidence, which sees steps and curves of each column.

    Of a loss without curvature there is no evidence: the usual prior will do.
    """
    by_evidence = task.loss.has_curvature
    settings = Settings(
        hidden_size=UNITS,
        n_knots=KNOTS,
        encoding="linear" if sparse.issparse(task.X) else "piecewise_linear",
        activation=task.settings.activation,
        solver="adam" if by_evidence else "lbfgs",
        alpha="auto" if by_evidence else USUAL_ALPHA,
        max_iter="auto" if by_evidence else STEPS_BY_GIVEN_PRIOR,
        skip=False,
        dtype="float64",
        n_members=1,
    )
    rows_alone = replace(task, validation=None, score=None, early_stopping=False, watcher=None)
    return make_plan(replace(rows_alone, settings=settings, monotonic=None))


@dataclass(frozen=True)
class _Path:
    """At each strength the columns left (n_strengths, n_columns), and the losses of held-out rows.

    Losses are (n_strengths, n_rows), `copies` says how many rows each stands for.
    """

    columns: Array
    losses: Array
    copies: Array

    def of_length(self, n: int) -> "_Path":
        """The last strength repeated: there it ended."""
        more = ((0, n - len(self.columns)), (0, 0))
        columns, losses = (np.pad(each, more, mode="edge") for each in (self.columns, self.losses))
        return replace(self, columns=columns, losses=losses)


@dataclass(frozen=True)
class _Fold:
    """The path of a network that is trained without the rows that are held out."""

    plan: Plan
    kept: Training
    held_out: Training
    seed: int
    part: Part

    def __call__(self) -> _Path | None:
        """None of a network that has diverged."""
        found = run(self.plan, self.kept, RandomState(self.seed)).solution
        if found.status is Status.DIVERGED:
            return None
        alpha = self.plan.alpha if found.posterior is None else found.posterior.alpha
        assert alpha is not None
        network, rows = self.plan.network(), all_here(self.held_out.rows)
        copies = np.ones(rows.n_rows) if rows.weights is None else rows.weights * rows.copies
        with np.errstate(all="ignore"):
            objective = Objective(network, self.kept.rows, alpha, self.kept.weight)
            columns, losses = [], []
            for theta, left in self._path(objective, found.theta.astype(np.float64)):
                parts = [network.losses(theta, X, Y).copy() for X, Y, _ in rows.blocks()]
                columns.append(left)
                losses.append(np.concatenate(parts))
                if not left.any() or _is_hopeless(losses, copies):
                    break
        return _Path(np.array(columns), np.array(losses), copies.astype(np.float64))

    def _path(self, objective: Objective, theta: Array) -> Iterator[tuple[Array, Array]]:
        """Weights with the columns that are left at each strength, and which these are."""
        groups = groups_of_columns(self.plan.shape)
        lengths = groups.lengths(theta)
        left, unpenalized = np.ones(groups.n, dtype=bool), theta
        yield unpenalized, left
        # relative to its length: one that is zero already goes at once
        per_strength = np.full(groups.n, np.inf)
        per_strength[lengths > 0] = 1 / lengths[lengths > 0]
        per_strength *= self._noise(objective, theta) / objective.total_weight
        for number in range(MOST_STRENGTHS):
            strength = FIRST_STRENGTH * GROWTH**number * per_strength
            theta = solve(objective, theta, groups, strength, STEPS)
            before, left = left, groups.lengths(theta) > 0
            if (left != before).any():
                absent = np.where(left, 0.0, np.inf)
                unpenalized = solve(objective, theta, groups, absent, STEPS_AFTERWARDS)
            yield unpenalized, left

    def _noise(self, objective: Objective, theta: Array) -> float:
        """Variance of the noise of an output, or what is like it; 1 for losses without a unit."""
        if not self.plan.task.loss.standardizes_target:
            return 1.0
        mean_square = 2 * objective.data_loss(theta) / self.plan.shape.n_outputs
        return max(mean_square, LEAST_NOISE)


def _paths(watcher: Watcher | None, folds: list[_Fold], parallel: Parallel) -> list[_Path | None]:
    """The path of each fold; of those after a stop was asked for, none."""
    if watcher is None:
        return parallel(folds)
    watcher.begin(Part("choose columns", n_parts=len(folds)))
    found, _ = in_turn(watcher, folds, parallel)
    watcher.end()
    return found


def _is_hopeless(losses: list[Array], copies: Array) -> bool:
    best = min(losses, key=lambda of_rows: float(copies @ of_rows))
    excess, error = _mean_and_error(losses[-1] - best, copies)
    return bool(excess > HOPELESS * error)


def _mean_and_error(differences: Array, copies: Array) -> tuple[Array, Array]:
    """Mean over rows, the last axis, and its standard error."""
    total = copies.sum()
    mean = differences @ copies / total
    variance = (differences - mean[..., None]) ** 2 @ copies / total
    return mean, np.sqrt(variance / total)


def _chosen(paths: list[_Path]) -> Array:
    """The columns left in most of the folds by the strongest penalty that is not clearly worse."""
    longest = max(len(path.columns) for path in paths)
    paths = [path.of_length(longest) for path in paths]
    losses = np.concatenate([path.losses for path in paths], axis=1)
    copies = np.concatenate([path.copies for path in paths])
    best = int((losses @ copies).argmin())
    # differences row by row, as all strengths are asked for the same rows
    excess, error = _mean_and_error(losses - losses[best], copies)
    strongest = int(np.flatnonzero(excess <= error).max())
    return np.asarray(np.mean([path.columns[strongest] for path in paths], axis=0) >= 0.5)
