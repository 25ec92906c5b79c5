"""Columns that catch up, against Adam's steps on all columns."""

import copy

import numpy as np
import pytest
from numpy.random import RandomState
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sklearn_twolayer.engine.data.moments import moments, no_moments
from sklearn_twolayer.engine.data.rows import ArrayRows
from sklearn_twolayer.engine.data.scaling import Scaling
from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.losses import LOSSES
from sklearn_twolayer.engine.model.monotonic import Bounds
from sklearn_twolayer.engine.model.network import Network
from sklearn_twolayer.engine.model.parameters import Shape
from sklearn_twolayer.engine.settings import Settings
from sklearn_twolayer.engine.solvers import SOLVERS, catching_up
from sklearn_twolayer.engine.solvers.monitor import Monitor
from sklearn_twolayer.engine.solvers.objective import Objective
from sklearn_twolayer.engine.solvers.optimizers import OPTIMIZERS

N_ROWS, N_COLUMNS, N_NEVER, RATE = 300, 240, 20, 0.01

ADAM = Settings(
    solver="adam",
    learning_rate="constant",
    learning_rate_init=RATE,
    tol=0.0,
    batch_size=10,
    max_iter=4,
    # where it is not negligible it is one of the two things that are not exact
    epsilon=1e-30,
)
BETAS = {
    "as usual": {},
    "soon forgotten": {"beta_1": 0.4, "beta_2": 0.8},
    "no long": {"beta_1": 0.01},
}
every_beta = pytest.mark.parametrize("betas", BETAS.values(), ids=BETAS)


def table():
    """Many columns that few rows store, some that none does, and two of large means.

    One of these is stored in a sixth of the rows, one in all.
    """
    words = sparse.random(N_ROWS, N_COLUMNS, density=0.008, random_state=0, format="csr")
    never = sparse.csr_array((N_ROWS, N_NEVER))
    year = sparse.csr_array(20 + RandomState(1).randn(N_ROWS, 1))
    sixth = sparse.csr_array(3.0 * (RandomState(6).rand(N_ROWS, 1) < 1 / 6))
    X = sparse.csr_array(sparse.hstack([words, never, sixth, year]))
    return X, RandomState(2).randn(N_ROWS, 2)


def objective(alpha=0.0, standardized=False, skip=False, X=None, dtype=np.float64, **options):
    stored, Y = table()
    X = stored if X is None else X
    scaling = None
    if standardized:
        scaling = Scaling(moments(stored, None), no_moments(2), N_ROWS, float(N_ROWS))
    network = Network(Shape(X.shape[1], 4, 2, skip), ACTIVATIONS["tanh"], LOSSES["squared_error"])
    weights = 0.5 + RandomState(3).rand(N_ROWS)
    return Objective(network, ArrayRows(X, Y, weights, scaling, dtype), alpha, **options)


def start(F):
    return 0.3 * RandomState(4).randn(F.network.shape.size)


def solved(F, theta=None, state=None, settings=ADAM, **changed):
    settings = Settings(**{**vars(settings), **changed})
    monitor = Monitor(0.0, 10**6, keep_best=False)
    theta = start(F).astype(F.rows.source.dtype) if theta is None else theta
    found = SOLVERS["adam"].solve(F, theta, settings, monitor, RandomState(5), state)
    return found, monitor.loss_curve


def catches_up(F, settings=ADAM, size=10):
    rule, theta = OPTIMIZERS[settings.solver], start(F)
    return catching_up.begin(F, theta, size, settings, rule, rule.start(theta)) is not None


@pytest.fixture
def on_all_columns(monkeypatch):
    """The same solver without what is tested here."""

    def solve(*args, **changed):
        with monkeypatch.context() as patched:
            patched.setattr(catching_up, "FEW_COLUMNS", -1)
            assert not catches_up(args[0])
            return solved(*args, **changed)

    return solve


def in_units_of_one(state):
    return [state[f"{which}_moment"] * state[f"{which}_unit"] for which in ("first", "second")]


@every_beta
@pytest.mark.parametrize("most_steps", [1, 7, 1000])
def test_without_a_penalty_steps_are_those_on_all_columns(
    betas, most_steps, on_all_columns, monkeypatch
):
    monkeypatch.setattr(catching_up, "MOST_STEPS", most_steps)
    F = objective()
    assert catches_up(F)
    (found, losses), (expected, as_before) = solved(F, **betas), on_all_columns(F, **betas)
    assert_allclose(losses, as_before, rtol=1e-9)
    assert_allclose(found.theta, expected.theta, rtol=1e-7, atol=1e-10)
    assert_allclose(in_units_of_one(found.state), in_units_of_one(expected.state), atol=1e-12)
    assert found.state["n_updates"] == expected.state["n_updates"] == 120


def test_a_rate_that_changes_is_caught_up_with(on_all_columns):
    F, cycle = objective(), {"learning_rate": "one_cycle", "max_iter": 6}
    assert_allclose(solved(F, **cycle)[0].theta, on_all_columns(F, **cycle)[0].theta, atol=1e-9)


def test_epsilon_matters_little(on_all_columns):
    F = objective()
    found, expected = (s(F, epsilon=1e-8)[0].theta for s in (solved, on_all_columns))
    assert_allclose(found, expected, atol=5e-3)
    assert np.abs(found - expected).mean() < 1e-4


def test_small_means_are_left_in_and_large_ones_are_not(on_all_columns):
    """The steps are those on columns of which only those of large means are centred."""
    F = objective(standardized=True)
    offset, scale = F.rows.source.offset, moments(table()[0], None).scale
    large = np.arange(len(offset)) >= len(offset) - 2
    assert 0 < np.abs(offset[~large]).max() < catching_up.SMALL_OFFSET < 0.4 < offset[large].min()
    by_hand = table()[0].toarray() / scale - np.where(large, offset, 0)
    G = objective(X=sparse.csr_array(by_hand))
    theta, shape = start(F), F.network.shape
    shifted = theta.copy()
    left_in = np.where(large, 0, offset)
    shape.views(shifted).b1[:] -= left_in @ shape.views(theta).W1
    (found, losses), (expected, by_hand) = solved(F, theta), on_all_columns(G, shifted)
    shape.views(expected.theta).b1[:] += left_in @ shape.views(expected.theta).W1
    assert_allclose(losses, by_hand, rtol=1e-9)
    assert_allclose(found.theta, expected.theta, rtol=1e-7, atol=1e-9)


def test_what_moves_biases_does_not_move_all_columns(on_all_columns):
    """Through their means thousands of weights would move a bias thousands of rates in a step."""
    rng = RandomState(0)
    words = np.sort(rng.randint(0, 5000, (N_ROWS, 20)), axis=1).ravel()
    X = sparse.csr_array((np.ones(len(words)), words, np.arange(0, len(words) + 1, 20)))
    X.sum_duplicates()
    scaling = Scaling(moments(X, None), no_moments(2), N_ROWS, float(N_ROWS))
    network = Network(Shape(X.shape[1], 4, 2), ACTIVATIONS["relu"], LOSSES["squared_error"])
    F = Objective(network, ArrayRows(X, table()[1], None, scaling), 0.0)
    theta = 0.02 * rng.randn(network.shape.size)
    network.shape.views(theta).W2[:] = 0.5
    losses, with_means = (s(F, theta, max_iter=1)[1][0] for s in (solved, on_all_columns))
    assert losses < 1.5 < 5 < with_means


@pytest.mark.parametrize("alpha", [0.1, 1.0, 10.0])
def test_a_penalty_pulls_about_as_it_does_in_each_step(alpha, on_all_columns):
    F, few = objective(alpha), slice(0, N_COLUMNS)
    found, expected, free = (
        solve(G, max_iter=3)[0].theta
        for solve, G in ((solved, F), (on_all_columns, F), (solved, objective()))
    )
    W1, of_all, unpenalised = (F.network.shape.views(t).W1[few] for t in (found, expected, free))
    effect = np.abs(of_all - unpenalised).mean()
    assert np.abs(W1 - of_all).mean() < 0.04 * effect


@pytest.mark.parametrize("most_steps", [3, 1000])
def test_a_weight_that_meets_no_data_goes_to_zero_by_the_rate(most_steps, monkeypatch):
    """As any gradient does in Adam, be it as small as that of a penalty."""
    monkeypatch.setattr(catching_up, "MOST_STEPS", most_steps)
    # no other columns are visited to make a round number
    monkeypatch.setattr(catching_up.CatchingUp, "_visited_by", stored_or_centred)
    F = objective(alpha=1.0)
    never = slice(N_COLUMNS, N_COLUMNS + N_NEVER)
    before = F.network.shape.views(start(F)).W1[never]
    after = F.network.shape.views(solved(F, max_iter=1)[0].theta).W1[never]
    far = np.maximum(np.abs(before) - 30 * RATE, 0)
    assert 0.2 < (far > 0).mean() < 0.8
    assert_allclose(after, np.sign(before) * far, atol=1e-12)


def stored_or_centred(self, stored):
    return np.unique(np.concatenate([stored, self.centred]))


def test_a_step_leaves_what_it_does_not_store(monkeypatch):
    F, rule = objective(alpha=1.0), OPTIMIZERS["adam"]
    theta = start(F)
    steps = catching_up.begin(F, theta, 10, ADAM, rule, rule.start(theta))
    monkeypatch.setattr(catching_up.CatchingUp, "_visited_by", stored_or_centred)
    for index in (np.array([3, 200]), slice(7, 9)):
        before, stored = theta.copy(), np.unique(F.rows.source.X[index].indices)
        steps.step(index, RATE)
        W1, earlier = (F.network.shape.views(t).W1 for t in (theta, before))
        assert_array_equal(np.flatnonzero((W1 != earlier).any(axis=1)), stored)


def test_a_loss_that_is_not_finite_changes_nothing():
    F, rule = objective(alpha=1.0), OPTIMIZERS["adam"]
    theta = start(F)
    state = rule.start(theta)
    steps = catching_up.begin(F, theta, 10, ADAM, rule, state)
    steps.step(slice(0, 10), RATE)
    theta[-1] = np.inf
    before, kept = copy.deepcopy(state), theta.copy()
    with np.errstate(all="ignore"):
        assert not np.isfinite(steps.step(slice(10, 20), RATE))
    assert_array_equal(theta, kept)
    np.testing.assert_equal(state, before)


def test_a_run_that_goes_on_is_one_run():
    F, once = objective(alpha=1.0), {"max_iter": 1, "shuffle": False}
    first, _ = solved(F, **once)
    second, _ = solved(F, first.theta, first.state, **once)
    both, _ = solved(F, max_iter=2, shuffle=False)
    assert_allclose(second.theta, both.theta, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("max_iter", [1, 3])
def test_weights_to_begin_with_stay_as_they_are(max_iter):
    """The solver keeps no copy of them, as it does not change them."""
    F = objective(alpha=1.0)
    theta, kept = start(F), start(F)
    monitor = Monitor(0.0, 10**6)
    settings = Settings(**{**vars(ADAM), "max_iter": max_iter})
    found = SOLVERS["adam"].solve(F, theta, settings, monitor, RandomState(5), None)
    assert_array_equal(theta, kept)
    assert not np.shares_memory(found.theta, theta)
    assert F.value(found.theta) < F.value(theta)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_steps_keep_the_dtype(dtype):
    found, losses = solved(objective(1.0, standardized=True, dtype=dtype), epsilon=1e-8)
    assert found.theta.dtype == dtype
    assert {v.dtype for v in found.state.values() if isinstance(v, np.ndarray)} == {np.dtype(dtype)}
    _, expected = solved(objective(1.0, standardized=True), epsilon=1e-8)
    assert_allclose(losses, expected, rtol=1e-4)


@every_beta
def test_single_precision_has_the_range(betas):
    """Moments grow as fast as their units shrink."""
    losses, expected = (
        solved(objective(0.1, dtype=dtype), epsilon=1e-8, **betas)[1]
        for dtype in (np.float32, np.float64)
    )
    assert_allclose(losses, expected, rtol=1e-3)


def test_few_numbers_of_columns_are_visited(monkeypatch):
    """The arrays of a step are there already, then."""
    X = sparse.csr_array(sparse.random(N_ROWS, 6000, density=0.01, random_state=0))
    F, sizes, narrowed = objective(X=X), [], Objective.narrowed_to

    def spy(self, columns, *args):
        sizes.append(len(columns))
        return narrowed(self, columns, *args)

    monkeypatch.setattr(Objective, "narrowed_to", spy)
    solved(F, max_iter=1, shuffle=False)
    stored = [len(np.unique(X[i : i + 10].indices)) for i in range(0, N_ROWS, 10)]
    assert len(set(sizes)) < 6 < 15 < len(set(stored))
    assert (np.array(sizes) >= stored).all() and max(sizes) < 1.07 * max(stored)


def test_who_does_not_catch_up():
    X, _ = table()
    n_groups = X.shape[1] + 2
    assert catches_up(objective(alpha=1.0))
    assert not catches_up(objective(np.ones(n_groups)))
    assert not catches_up(objective(alpha=1.0, l1_ratio=0.5))
    assert not catches_up(objective(skip=True))
    assert not catches_up(objective(X=X.toarray()))
    assert not catches_up(objective(bounds=Bounds([])))
    assert not catches_up(objective(), Settings(solver="adam", beta_1=0.0))
    assert not catches_up(objective(), Settings(solver="adam", beta_2=0.0))
    assert not any(catches_up(objective(), Settings(solver=s)) for s in ("sgd", "rmsprop"))


def test_batches_that_store_many_columns_are_met_by_all():
    F = objective()
    expected = F.rows.source.n_stored_in(10)
    found = [len(np.unique(F.rows.source.X[i : i + 10].indices)) for i in range(0, N_ROWS, 10)]
    assert np.mean(found) == pytest.approx(expected, rel=0.1)
    assert catches_up(F, size=10) and not catches_up(F, size=200)


def test_batches_that_store_nothing_are_met():
    X, _ = table()
    X.data[X.indptr[20] :] = 0
    X.eliminate_zeros()
    F = objective(0.1, X=X)
    assert catches_up(F)
    found, _ = solved(F, max_iter=1, batch_size=5, shuffle=False)
    assert found.n_iter == 1 and np.isfinite(found.theta).all()
