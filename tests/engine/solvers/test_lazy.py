"""Lazy updates of categories of many levels, against steps on columns that are written out."""

import copy
from typing import NamedTuple

import numpy as np
import pytest
from numpy.random import RandomState
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sklearn_twolayer.engine.data import encoding
from sklearn_twolayer.engine.data.encoded import encoded_moments
from sklearn_twolayer.engine.data.moments import no_moments
from sklearn_twolayer.engine.data.rows import ArrayRows
from sklearn_twolayer.engine.data.scaling import Scaling
from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.losses import LOSSES
from sklearn_twolayer.engine.model.network import Network
from sklearn_twolayer.engine.model.parameters import Shape
from sklearn_twolayer.engine.settings import Settings
from sklearn_twolayer.engine.solvers import SOLVERS, lazy
from sklearn_twolayer.engine.solvers.monitor import Monitor
from sklearn_twolayer.engine.solvers.objective import Objective
from sklearn_twolayer.engine.solvers.optimizers import OPTIMIZERS

N_LEVELS = encoding.MANY_LEVELS + 6
N_ROWS = 3 * N_LEVELS
RATE = 0.05

# Adam's units are set to one again after three steps and after ten
RULES = {
    "sgd": Settings(solver="sgd", momentum=0.0),
    "momentum": Settings(solver="sgd", momentum=0.8, nesterovs_momentum=False),
    "Nesterov": Settings(solver="sgd", momentum=0.8),
    "rmsprop": Settings(solver="rmsprop", beta_2=0.9),
    "adam": Settings(solver="adam", beta_1=0.1, beta_2=0.5),
    "adam, as usual": Settings(solver="adam"),
}
every_rule = pytest.mark.parametrize("settings", RULES.values(), ids=RULES)
skips = pytest.mark.parametrize("skip", [False, True], ids=["", "skip"])


def codes():
    """Each level three times; of the first some are missing."""
    places = np.tile(np.arange(N_LEVELS), 3)
    return np.where(np.arange(N_ROWS) % 37 == 5, np.nan, places)


def table():
    """Two numbers, one with missing values, on both sides of a category of many levels."""
    rng = RandomState(0)
    X = np.column_stack([rng.randn(N_ROWS), codes(), 3 + 2 * rng.randn(N_ROWS)])
    X[::11, 2] = np.nan
    return X, rng.randn(N_ROWS, 2)


def written_out(X, weights=None):
    """The same standardised, one-hot, indicators behind: numbers first, then the category.

    The indicator of a number is centred; the columns of the category stay as they are.
    """
    w = np.ones(len(X)) if weights is None else weights
    columns = []
    for j in (0, 2):
        missing = np.isnan(X[:, j])
        mean = np.average(X[~missing, j], weights=w[~missing])
        x = np.where(missing, mean, X[:, j]) - mean
        columns.append(x / np.average(x**2, weights=w) ** 0.5)
        columns += [missing - np.average(missing, weights=w)] if j == 2 else []
    one_hot = X[:, [1]] == np.arange(N_LEVELS)
    return np.column_stack([*columns, one_hot, np.isnan(X[:, 1])]).astype(float)


class Problem(NamedTuple):
    """The same rows and penalty: as they are trained on, and with all columns written out."""

    wide: Objective
    dense: Objective
    theta: np.ndarray

    @property
    def shape(self):
        return self.wide.network.shape

    def involved(self, index):
        """Which columns of the network the rows involve: all numbers, and the levels they have."""
        columns = (written_out(table()[0])[index] != 0).any(axis=0)
        return columns | (np.arange(len(columns)) < 3)


def problem(alpha=0.0, skip=False, weights=None, rows=slice(None)):
    X, Y = (part[rows] for part in table())
    n_levels = np.array([encoding.NUMBER, N_LEVELS, encoding.NUMBER])
    learnt = encoding.learn(X, weights, n_levels, False, None)
    moments, _ = encoded_moments(X, weights, learnt)
    scaling = Scaling(moments, no_moments(2), len(X), float(len(X)))
    shape = Shape(int(learnt.sizes.sum()), 4, 2, skip, ((0, 1), (2, 2), (1, N_LEVELS + 1)))
    encoded = {"scaling": scaling, "encoding": learnt, "fill": scaling.fill}
    network = Network(shape, ACTIVATIONS["tanh"], LOSSES["squared_error"])
    wide = Objective(network, ArrayRows(X, Y, weights, **encoded), alpha)
    dense = Objective(copy.copy(network), ArrayRows(written_out(X, weights), Y, weights), alpha)
    assert wide.has_wide_categories and not dense.has_wide_categories
    return Problem(wide, dense, 0.3 * RandomState(1).randn(shape.size))


ALPHAS = {
    "none": 0.0,
    "one": 40.0,
    # of the three columns of X, the hidden biases, W2 and W0
    "several": np.array([30.0, 100.0, 0.0, 50.0, 20.0, 70.0]),
}
every_alpha = pytest.mark.parametrize("alpha", ALPHAS.values(), ids=ALPHAS)


def of_size(alpha, skip):
    """The groups of an alpha that there are."""
    return alpha if np.ndim(alpha) == 0 else alpha[: 5 + skip]


def begin(objective, theta, settings):
    return OPTIMIZERS[settings.solver].start(theta) | lazy.start(objective)


def take_steps(p, batches, settings, theta=None, state=None):
    """The weights after a lazy step on each batch, and the state."""
    theta = p.theta.copy() if theta is None else theta.copy()
    state = begin(p.wide, theta, settings) if state is None else state
    rule, path = OPTIMIZERS[settings.solver], []
    for index in batches:
        lazy.step(p.wide, theta, index, RATE, settings, rule, state)
        path.append(theta.copy())
    return path, state


def precision(p, alpha):
    """What the penalty multiplies each weight with, of one row's part."""
    found = np.zeros(p.shape.size)
    views = p.shape.views(found)
    if np.ndim(alpha) == 0:
        for W in (views.W1, views.W2) if views.W0 is None else (views.W1, views.W2, views.W0):
            W[:] = alpha
    else:
        views.W1[:] = alpha[[0, 2, 2] + (N_LEVELS + 1) * [1], None]
        views.b1[:], views.W2[:] = alpha[3], alpha[4]
        if views.W0 is not None:
            views.W0[:] = alpha[5]
    return found / N_ROWS


def of_columns(p, values, others):
    """Numbers of columns as numbers of the weights that act on them, W1 and W0."""
    found = np.full(p.shape.size, others)
    views = p.shape.views(found)
    views.W1[:] = values[:, None]
    if views.W0 is not None:
        views.W0[:] = values[:, None]
    return found


def textbook(p, batches, settings, alpha):
    """The path of theta by the module's docstring, in plain formulas on columns written out.

    `memory` has what the rule remembers: velocity or mean square, or both moments.
    """
    theta, penalty = p.theta.copy(), precision(p, alpha)
    data = Objective(p.dense.network, p.dense.rows, 0.0)
    memory, owed = np.zeros((2, theta.size)), np.zeros(p.shape.n_features, dtype=int)
    path = []
    for t, index in enumerate(batches, start=1):
        columns = p.involved(index)
        owed += 1
        g = data.batch(theta, index)[1] + penalty * of_columns(p, owed, 1) * theta
        owed[columns] = 0
        here = of_columns(p, columns, True)
        step, memory = RULES_OF_THE_BOOK[settings.solver](g, memory, here, t, settings)
        theta = theta + here * step
        path.append(theta)
    return path, memory


def sgd(g, memory, here, t, settings):
    v = np.where(here, settings.momentum * memory[0] - RATE * g, memory[0])
    step = v
    if settings.nesterovs_momentum and settings.momentum > 0:
        step = settings.momentum * v - RATE * g
    return step, np.array([v, memory[1]])


def rmsprop(g, memory, here, t, settings):
    s = settings.beta_2 * memory[0] + (1 - settings.beta_2) * g**2
    s = np.where(here, s, memory[0])
    with np.errstate(invalid="ignore"):
        return -RATE * g / (np.sqrt(s) + settings.epsilon), np.array([s, memory[1]])


def adam(g, memory, here, t, settings):
    beta_1, beta_2 = settings.beta_1, settings.beta_2
    m, v = beta_1 * memory[0] + (1 - beta_1) * g, beta_2 * memory[1] + (1 - beta_2) * g**2
    m, v = np.where(here, [m, v], memory)
    rate = RATE * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    return -rate * m / (np.sqrt(v) + settings.epsilon), np.array([m, v])


RULES_OF_THE_BOOK = {"sgd": sgd, "rmsprop": rmsprop, "adam": adam}


def remembered(state, settings):
    """The same memory as it stands in a state."""
    if settings.solver == "sgd":
        return [state["velocity"], 0 * state["velocity"]]
    if settings.solver == "rmsprop":
        return [state["mean_square"] * (1 - settings.beta_2), 0 * state["mean_square"]]
    first = state["first_moment"] * state["first_unit"] * (1 - settings.beta_1)
    return [first, state["second_moment"] * state["second_unit"] * (1 - settings.beta_2)]


def batches_of(sizes, seed=0):
    """Rows drawn without replacement, and one slice among them."""
    rng = RandomState(seed)
    drawn = [rng.permutation(N_ROWS)[:size] for size in sizes]
    return [*drawn, slice(10, 25), *drawn[:2]]


MANY_BATCHES = batches_of([20, 1, 7, 30, 12] * 5)


@every_rule
@every_alpha
@skips
def test_steps_are_those_of_the_docstring(settings, alpha, skip):
    alpha = of_size(alpha, skip)
    p = problem(alpha, skip)
    path, state = take_steps(p, MANY_BATCHES, settings)
    expected, memory = textbook(p, MANY_BATCHES, settings, alpha)
    assert_allclose(path, expected, rtol=1e-9, atol=1e-12)
    assert_allclose(remembered(state, settings), memory, rtol=1e-9, atol=1e-13)
    assert state["n_steps"] == (len(MANY_BATCHES) if np.any(alpha) else 0)


@every_rule
@every_alpha
@skips
def test_a_batch_of_all_levels_is_a_step_like_any_other(settings, alpha, skip):
    p = problem(of_size(alpha, skip), skip)
    all_levels = [slice(0, N_ROWS), np.arange(N_ROWS)[::-1][: 2 * N_LEVELS], slice(0, N_ROWS)]
    assert all(p.involved(index).all() for index in all_levels)
    path, state = take_steps(p, all_levels, settings)
    theta, expected = p.theta.copy(), []
    dense_state, rule = OPTIMIZERS[settings.solver].start(theta), OPTIMIZERS[settings.solver]
    for index in all_levels:
        gradient = p.dense.batch(theta, index)[1]
        rule.update(theta, gradient, RATE, dense_state, settings)
        expected.append(theta.copy())
    rule.settle(dense_state)
    assert_allclose(path, expected, rtol=0, atol=1e-12)
    for name, value in dense_state.items():
        assert_allclose(state[name], value, rtol=1e-10, atol=1e-12)


@every_rule
@skips
def test_what_a_batch_does_not_have_stays_bit_by_bit(settings, skip):
    p = problem(40.0, skip)
    first, second = np.arange(2 * N_LEVELS), np.array([3, 90, 91])
    path, state = take_steps(p, [first, first], settings)
    before = copy.deepcopy(state)
    (after,), state = take_steps(p, [second], settings, path[-1], state)
    away = of_columns(p, ~p.involved(second), False)
    assert away.sum() == (N_LEVELS + 1 - 3) * (4 + 2 * skip)
    assert_array_equal(after[away], path[-1][away])
    assert (after[~away] != path[-1][~away]).mean() > 0.9
    found, earlier = (np.array(remembered(s, settings)) for s in (state, before))
    assert np.abs(earlier[0, away]).min() > 0
    assert_array_equal(found[:, away], earlier[:, away])


@pytest.mark.parametrize("n_steps_away", [0, 1, 4, 30])
@every_alpha
@skips
def test_the_shrinkage_of_all_steps_away_is_paid_at_the_next_visit(n_steps_away, alpha, skip):
    # the gradient of the loss is the same however long a level was away; the penalty's is not
    alpha, settings = of_size(alpha, skip), RULES["sgd"]
    p = problem(alpha, skip)
    back = np.array([7])
    _, state = take_steps(p, [back, *[np.array([8])] * n_steps_away], settings)
    (after,), _ = take_steps(p, [back], settings, p.theta, state)
    data = Objective(p.dense.network, p.dense.rows, 0.0)
    step = -RATE * data.batch(p.theta, back)[1]
    shrunk = step - RATE * precision(p, alpha) * p.theta
    column = of_columns(p, np.arange(p.shape.n_features) == 3 + 7, False)
    owed = step - RATE * (n_steps_away + 1) * precision(p, alpha) * p.theta
    assert_allclose((after - p.theta)[column], owed[column], rtol=1e-10)
    numbers = of_columns(p, np.arange(p.shape.n_features) < 3, True)
    assert_allclose((after - p.theta)[numbers], shrunk[numbers], rtol=1e-10)


@skips
def test_a_debt_never_takes_more_than_the_weight(skip):
    # a step with all of it would turn the weight about, and make it a hundred times as large
    p, settings, away = problem(500.0, skip), RULES["sgd"], 1000
    state = begin(p.wide, p.theta, settings)
    state |= {"n_steps": away, "visited": np.full(p.shape.n_features, away)}
    state["visited"][3 + 7] = 0
    back, data = np.array([7]), Objective(p.dense.network, p.dense.rows, 0.0)
    assert RATE * precision(p, 500.0).max() * (away + 1) > 100
    (after,), _ = take_steps(p, [back], settings, p.theta, state)
    column = of_columns(p, np.arange(p.shape.n_features) == 3 + 7, False)
    step = -RATE * data.batch(p.theta, back)[1]
    assert_allclose(after[column], step[column], rtol=0, atol=1e-12)
    numbers = of_columns(p, np.arange(p.shape.n_features) < 3, True)
    shrunk = p.theta + step - RATE * precision(p, 500.0) * p.theta
    assert_allclose(after[numbers], shrunk[numbers], rtol=1e-10)


@every_rule
def test_a_step_at_a_rate_of_zero_goes_nowhere(settings):
    """As the last one of a schedule that ends there."""
    p = problem(alpha=40.0)
    theta = p.theta.copy()
    state = begin(p.wide, theta, settings)
    loss = lazy.step(
        p.wide, theta, np.arange(20), 0.0, settings, OPTIMIZERS[settings.solver], state
    )
    assert np.isfinite(loss)
    assert_array_equal(theta, p.theta)


def test_without_a_penalty_nothing_is_owed_later():
    free, settings = problem(0.0), RULES["sgd"]
    theta, state = free.theta.copy(), begin(free.wide, free.theta, RULES["sgd"])
    for _ in range(5):
        lazy.step(free.wide, theta, np.array([8]), RATE, settings, OPTIMIZERS["sgd"], state)
    penalised = problem(40.0)
    (after,), _ = take_steps(penalised, [np.array([7])], settings, state=copy.deepcopy(state))
    (expected,), _ = take_steps(penalised, [np.array([7])], settings)
    assert_array_equal(after, expected)


@every_rule
def test_a_loss_that_is_not_finite_changes_nothing(settings):
    p = problem(40.0)
    path, state = take_steps(p, [np.arange(20)], settings)
    theta = path[0]
    theta[-1] = np.inf
    before, kept = copy.deepcopy(state), theta.copy()
    with np.errstate(all="ignore"):
        rule = OPTIMIZERS[settings.solver]
        loss = lazy.step(p.wide, theta, np.array([8]), RATE, settings, rule, state)
    assert not np.isfinite(loss)
    assert_array_equal(theta, kept)
    np.testing.assert_equal(state, before)


def solved(p, settings, theta=None, state=None, **options):
    steady = {"learning_rate": "constant", "learning_rate_init": RATE, "tol": 0.0}
    settings = Settings(**{**vars(settings), **steady, **options})
    monitor = Monitor(settings.tol, 10**6, keep_best=False)
    theta = p.theta if theta is None else theta
    return SOLVERS[settings.solver].solve(p.wide, theta, settings, monitor, RandomState(0), state)


@every_rule
@every_alpha
def test_all_rows_at_once_weigh_like_copies(settings, alpha):
    alpha = of_size(alpha, False)
    copies = RandomState(3).randint(0, 3, N_ROWS)
    copies[:N_LEVELS] += 1  # all levels occur
    kept = np.flatnonzero(copies)
    weighted = problem(alpha, weights=copies[kept].astype(float), rows=kept)
    copied = problem(alpha, rows=np.repeat(np.arange(N_ROWS), copies))
    ends = [solved(p, settings, batch_size=10**6, max_iter=4).theta for p in (weighted, copied)]
    assert np.abs(ends[0] - weighted.theta).max() > RATE
    assert_allclose(*ends, rtol=0, atol=1e-12)


@every_rule
@skips
def test_a_run_in_two_parts_is_the_run_in_one(settings, skip):
    p, how = problem(40.0, skip), {"batch_size": 20, "shuffle": False}
    whole = solved(p, settings, max_iter=5, **how)
    first = solved(p, settings, max_iter=2, **how)
    carried_on = copy.deepcopy(first.state)
    second = solved(p, settings, first.theta, carried_on, max_iter=3, **how)
    assert_array_equal(second.theta, whole.theta)
    np.testing.assert_equal(second.state, whole.state)
    forgetful = solved(p, settings, first.theta, max_iter=3, **how)
    assert np.abs(forgetful.theta - whole.theta).max() > 1e-6


@every_rule
def test_the_steps_are_counted_over_epochs(settings):
    p = problem(40.0)
    state = solved(p, settings, max_iter=3, batch_size=50).state
    n_batches = -(-N_ROWS // 50)
    assert state["n_steps"] == 3 * n_batches
    visited = state["visited"]
    assert_array_equal(visited[:3], 3 * n_batches)
    assert ((visited > 2 * n_batches) & (visited <= 3 * n_batches)).all()
    assert len(np.unique(visited)) > 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_rule
def test_steps_keep_the_dtype(settings, dtype):
    p = problem(40.0)
    X, Y = table()
    rows = p.wide.rows.source
    encoded = {"encoding": rows.expansion.encoding, "fill": rows.expansion.fill, "dtype": dtype}
    objective = Objective(p.wide.network, ArrayRows(X, Y, **encoded), 40.0)
    theta = p.theta.astype(dtype)
    state = begin(objective, theta, settings)
    rule = OPTIMIZERS[settings.solver]
    lazy.step(objective, theta, np.arange(20), RATE, settings, rule, state)
    assert theta.dtype == dtype
    assert {v.dtype for v in state.values() if isinstance(v, np.ndarray)} == {
        np.dtype(dtype),
        np.dtype(np.intp),
    }


LAZY = {"sgd": True, "momentum": False, "Nesterov": False, "rmsprop": False, "adam": False}


@pytest.mark.parametrize("weights", [None, np.arange(60.0)], ids=["", "weights"])
@pytest.mark.parametrize("name", LAZY)
def test_plain_steps_on_sparse_rows_visit_stored_columns_only(name, weights, monkeypatch):
    X = sparse.csr_array(sparse.random(60, 30, density=0.05, random_state=0))
    Y, shape = RandomState(0).randn(60, 1), Shape(30, 4, 1)
    theta, sizes = RandomState(1).randn(shape.size), []
    narrowed = Objective.narrowed

    def spy(self, index):
        narrow = narrowed(self, index)
        sizes.append(narrow.network.shape.n_features)
        return narrow

    monkeypatch.setattr(Objective, "narrowed", spy)
    network = Network(shape, ACTIVATIONS["tanh"], LOSSES["squared_error"])
    ends = []
    for storage in (X, X.toarray()):
        p = Problem(Objective(network, ArrayRows(storage, Y, weights), 0.0), None, theta)
        ends.append(solved(p, RULES[name], batch_size=7, max_iter=5).theta)
    assert_allclose(*ends, rtol=1e-10, atol=1e-12)
    assert len(sizes) == (5 * 9 if LAZY[name] else 0)
    assert max(sizes, default=0) < 30
