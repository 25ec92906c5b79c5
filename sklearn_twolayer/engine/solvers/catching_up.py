"""Adam on sparse rows: a step visits the columns that its rows store, and others catch up later.

The weights of a column that a mini-batch does not store have no gradient there, if columns are not
centred. Adam moves them all the same, by what it remembers, and these steps have a closed form: in
units that shrink by beta_1 and beta_2 the moments m and v of such a weight stay as they are, and

    theta <- theta - (sum of rates) m / (sqrt(v) + epsilon)

where the rates, in the same units, are those of the steps that it has missed. So a weight catches
up when its column is next visited, and all do now and then, which gives the numbers of steps on all
columns. Two things are not theirs to the last digit:

- a penalty's gradient follows the weight on its way. Here moments move it first, which takes them
  few steps, and then the penalty shrinks it, exponentially, divided by the root of v at its last
  visit; a weight that has met no gradient yet loses a rate in each step, as Adam has it;
- epsilon is set against the root of v as it is at the end of the absence.

Columns are centred through the bias (`SparseInputs`), and then every weight has a gradient in every
step. Where few rows store a column its mean is left in: that of all such columns together is but
another hidden bias, b1 - offset W1, and the same functions of the rows have the same penalty, as
hidden biases are free. Steps differ, though, and for the better: what moves a bias moves, through
means, the weights of all columns as well, and half a million of them together make its step
thousands of times as long.
"""

import math

import numpy as np
from scipy import sparse

from ..data.inputs import SparseInputs
from ..data.rows import ArrayRows
from ..data.sources import Index, SparseSource
from ..model.parameters import Shape
from ..numerics import AXPY, Array
from ..settings import Settings
from .objective import Narrowed, Objective
from .optimizers import CHUNK, Optimizer, adam_rate, move_by_adam, root_of_unit, shrink_units
from .solution import State

FEW_COLUMNS = 0.25
"""Of all, in a batch: of more, visiting them one by one would not be worth it."""

SMALL_OFFSET = 0.25
"""Means in units of the deviation that are left in: only one row in 16 may store such a column."""

MOST_STEPS, LEAST_UNIT = 1000, 1e-20
"""All columns catch up after so many steps, and before moments grow too long in shrinking units."""


class Missed:
    """What those columns have missed that were last visited in step s of a window, for each s.

    `rates` is the sum of the rates, `moved` that of rates in the units of moments; of a constant
    gradient of one, as the penalty's, `first` is what it adds to the first moment, and `pulled` how
    far it moves a weight on the way.
    """

    def __init__(self) -> None:
        self.n_steps = 0
        self.rates, self.moved, self.pulled, self.first = np.zeros((4, MOST_STEPS + 1))

    def add(self, rate: float, rate_in_units: float, first_unit: float) -> None:
        """A step, which all have missed that were visited before it."""
        self.n_steps += 1
        before = slice(0, self.n_steps)
        self.rates[before] += rate
        self.moved[before] += rate_in_units
        self.first[before] += 1 / first_unit
        self.pulled[before] += rate_in_units * self.first[before]


class CatchingUp:
    """The steps of an epoch; theta is in other coordinates until its end."""

    def __init__(
        self,
        objective: Objective,
        theta: Array,
        settings: Settings,
        optimizer: Optimizer,
        state: State,
    ):
        self.objective, self.theta, self.settings, self.state = objective, theta, settings, state
        self.optimizer = optimizer
        assert isinstance(objective.rows, ArrayRows)
        source = objective.rows.source
        assert isinstance(source, SparseSource)
        n_columns = source.X.shape[1]
        offset = np.zeros(n_columns, theta.dtype) if source.offset is None else source.offset
        self.left_in = np.where(np.abs(offset) < SMALL_OFFSET, offset, 0)
        self.offset = offset - self.left_in
        self.centred = np.flatnonzero(self.offset)
        self.is_stored, self.position = np.zeros(n_columns, bool), np.zeros(n_columns, np.int32)
        self.visited, self.missed = np.zeros(n_columns, np.int32), Missed()
        self.strength = objective.penalty.alpha / objective.total_weight
        self.is_fresh = self._have_no_scale()
        self.parts = np.empty((3, 0), theta.dtype)
        optimizer.settle(state)
        self._shift_biases(-1)

    def step(self, index: Index, rate: float) -> float:
        """One step on the rows at `index`; returns the loss."""
        batch = self._narrowed(index)
        shape, vectors = batch.network.shape, (self.theta, *self._moments)
        if self.parts.shape[1] != shape.size:
            self.parts = np.empty((3, shape.size), self.theta.dtype)
        for part, vector in zip(self.parts, vectors, strict=True):
            batch.part_of(vector, part)
        self._catch_up(batch.columns, *(shape.views(part).W1 for part in self.parts))
        theta, first, second = self.parts
        loss, gradient = batch.data_loss(theta)
        if not math.isfinite(loss):
            return loss
        self._add_penalty(shape, theta, gradient)
        shrink_units(self.state, self.settings)
        move_by_adam(theta, gradient, rate, (first, second), self.state, self.settings)
        for part, vector in zip(self.parts, vectors, strict=True):
            batch.put(part, vector)
        self._note(batch.columns, rate)
        return loss

    def _note(self, columns: Array, rate: float) -> None:
        """What those columns have not missed, but all others have."""
        state, missed = self.state, self.missed
        missed.add(rate, adam_rate(rate, state, self.settings), state["first_unit"])
        self.visited[columns], self.is_fresh[columns] = missed.n_steps, False
        unit = min(state["first_unit"], state["second_unit"])
        if missed.n_steps == MOST_STEPS or unit < LEAST_UNIT:
            self._settle()

    def finish(self) -> None:
        """All columns catch up, and theta is in its own coordinates again."""
        self._settle()
        self._shift_biases(1)

    @property
    def _moments(self) -> tuple[Array, Array]:
        return self.state["first_moment"], self.state["second_moment"]

    def _shift_biases(self, sign: int) -> None:
        """Take the means that are left in off the biases, or add them again."""
        parameters = self.objective.network.shape.views(self.theta)
        if self.left_in.any():
            parameters.b1[:] += sign * (self.left_in @ parameters.W1)

    def _have_no_scale(self) -> Array:
        """Which columns no gradient has been met of (n_columns,)."""
        second = self.objective.network.shape.views(self.state["second_moment"]).W1
        return np.concatenate([~second[here].any(axis=1) for here in _chunks(second)])

    def _narrowed(self, index: Index) -> Narrowed:
        """The rows with few columns but those that they store, or that are centred."""
        X, Y, w = self.objective.rows.take(index)
        assert isinstance(X, SparseInputs)
        columns = self._visited_by(X.X.indices)
        self.position[columns] = np.arange(len(columns), dtype=np.int32)
        indices, shape = self.position[X.X.indices], (X.n_rows, len(columns))
        rows = sparse.csr_array((X.X.data, indices, X.X.indptr), shape=shape)
        offset = self.offset[columns] if len(self.centred) else None
        return self.objective.narrowed_to(columns, SparseInputs(rows, offset, True), Y, w)

    def _visited_by(self, stored: Array) -> Array:
        """Those columns, the centred ones, and some more to make a round number.

        Of few different numbers of columns the arrays are there already.
        """
        marks = self.is_stored
        marks[stored] = marks[self.centred] = True
        columns = np.flatnonzero(marks)
        n = len(columns)
        unit = 1 << max(n.bit_length() - 5, 0)
        more = -n % unit
        absent = np.flatnonzero(~marks[: n + more])[:more]
        if len(absent):
            marks[absent] = True
            columns = np.flatnonzero(marks)
        marks[columns] = False
        return columns

    def _catch_up(self, columns: Array, W1: Array, first: Array, second: Array) -> None:
        """Make up for the steps that these columns have missed, in their own numbers."""
        missed, visited, is_fresh = self.missed, self.visited[columns], self.is_fresh[columns]
        # weights that have met no gradient have nothing else to be divided by
        least = float(np.finfo(W1.dtype).tiny)
        epsilon = max(self.settings.epsilon / root_of_unit(self.state, self.settings), least)
        tables = missed.moved, -self.strength * missed.pulled, self.strength * missed.first
        owed = [table[visited].astype(W1.dtype)[:, None] for table in tables]
        chunks = _chunks(W1)
        step, length = np.empty((2, *W1[chunks[0]].shape), W1.dtype)
        for here in chunks:
            weights, m = W1[here], first[here]
            moved, pulled, of_first = (of_columns[here] for of_columns in owed)
            step, length = step[: len(m)], length[: len(m)]
            np.sqrt(second[here], out=length)
            length += epsilon
            np.divide(m, length, out=step)
            step *= moved
            weights -= step
            if self.strength:
                np.divide(pulled, length, out=length)
                # see below for weights whose gradients have no scale yet
                length[is_fresh[here]] = 0
                weights *= np.exp(length, out=length)
                m += np.multiply(of_first, weights, out=length)
        if self.strength:
            self._pull_fresh(np.flatnonzero(is_fresh), visited, W1, first)

    def _pull_fresh(self, fresh: Array, visited: Array, W1: Array, first: Array) -> None:
        """What a penalty alone does: whatever its gradient, a step is as long as the rate."""
        first[fresh] = 0
        for here in _chunks(W1[: len(fresh)]):
            columns = fresh[here]
            weights = W1[columns]
            length = self.strength * np.abs(weights)
            length /= length + self.settings.epsilon
            length *= self.missed.rates[visited[columns]].astype(W1.dtype)[:, None]
            W1[columns] = weights - np.clip(weights, -length, length)

    def _settle(self) -> None:
        """All columns catch up, and moments are in units of one."""
        views, vectors = self.objective.network.shape.views, (self.theta, *self._moments)
        self._catch_up(np.arange(len(self.visited)), *(views(vector).W1 for vector in vectors))
        self.optimizer.settle(self.state)
        self.visited[:] = 0
        self.missed = Missed()

    def _add_penalty(self, shape: Shape, theta: Array, gradient: Array) -> None:
        if self.strength:
            axpy = AXPY[theta.dtype.char]
            stretches = map(shape.penalized, (theta, gradient))
            for W, out in zip(*stretches, strict=True):
                if W.size:  # a batch may store nothing at all, which BLAS refuses
                    axpy(W, out, a=self.strength)


def begin(
    objective: Objective,
    theta: Array,
    size: int,
    settings: Settings,
    optimizer: Optimizer,
    state: State,
) -> CatchingUp | None:
    """The steps of an epoch with batches of that size; None where all columns take each step."""
    if not _serves(objective, settings, optimizer, size):
        return None
    return CatchingUp(objective, theta, settings, optimizer, state)


def _serves(objective: Objective, settings: Settings, optimizer: Optimizer, size: int) -> bool:
    """Whether columns may catch up, and whether batches of that size are so sparse that it pays."""
    rows = objective.rows
    # rows that are elsewhere hand out gradients, not columns
    if not (isinstance(rows, ArrayRows) and isinstance(rows.source, SparseSource)):
        return False
    # a prior on hidden biases would say which of them it means
    is_plain = objective.penalty.is_uniform and objective.bounds is None
    can = is_plain and optimizer.only_decays(settings) and not objective.network.shape.skip
    return can and rows.source.n_stored_in(size) <= FEW_COLUMNS * rows.source.X.shape[1]


def _chunks(W: Array) -> list[slice]:
    """Rows of a matrix a few at a time, so that passes over them stay in the cache."""
    size = max(1, CHUNK // W.shape[1])
    return [slice(start, start + size) for start in range(0, max(len(W), 1), size)]
