"""Rows in partitions keep to the protocol of rows, as those of this process do."""

import inspect
import pickle
from functools import partial

import dask
import numpy as np
import pytest
from held_partitions import records
from numpy.testing import assert_allclose, assert_array_equal
from partitions_here import PartitionsHere

from encoded_tables import TABLES
from sklearn_twolayer.distributed.partitions import Partitions
from sklearn_twolayer.distributed.rows import DaskRows, _prepared
from sklearn_twolayer.engine.data.moments import moments, no_moments
from sklearn_twolayer.engine.data.rows import ArrayRows, Rows
from sklearn_twolayer.engine.data.scaling import Scaling
from sklearn_twolayer.engine.data.table import RowFormat
from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.gauss_newton import curvature
from sklearn_twolayer.engine.model.losses import LOSSES
from sklearn_twolayer.engine.model.network import Network
from sklearn_twolayer.engine.model.parameters import Shape
from sklearn_twolayer.engine.solvers.objective import Objective

N_ROWS = 61
CUTS = [0, 3, 3, 4, 30, 52]
SHAPE = Shape(3, 2, 2)
SLICES = [slice(*ends) for ends in zip([0, *CUTS], [*CUTS, N_ROWS], strict=True)]


def in_process(X, Y, weights, form):
    return form.rows(X, Y, weights)


def in_partitions(X, Y, weights, form, partitions=PartitionsHere):
    held = partitions(records(X, Y, weights, SLICES))
    counts = [part.stop - part.start for part in SLICES]
    return DaskRows(held, np.array(counts), form, moments(Y, weights))


every_kind = pytest.mark.parametrize("make", [in_process, in_partitions])
weighted = pytest.mark.parametrize("with_weights", [False, True], ids=["unweighted", "weighted"])


@pytest.fixture
def X(rng):
    return rng.randn(N_ROWS, 3) + np.array([0, 10, -3])


@pytest.fixture
def Y(rng):
    return rng.randn(N_ROWS, 2) * np.array([1, 20])


@pytest.fixture
def theta(rng):
    return rng.randn(SHAPE.size)


def form(X, scaling=None, dtype="float64", encoding=None, **options):
    return RowFormat(scaling, dtype, 16, encoding, np.zeros(X.shape[1]), **options)


def standardised(X, Y, weights, dtype="float64"):
    total = float(len(X) if weights is None else weights.sum())
    scaling = Scaling(moments(X, weights), moments(Y, weights), len(X), total)
    return form(X, scaling, dtype, mean_weight=total / len(X), copies=2.5)


def weights_of(with_weights, rng):
    return rng.gamma(1, size=N_ROWS) if with_weights else None


def network(loss="squared_error"):
    return Network(SHAPE, ACTIVATIONS["tanh"], LOSSES[loss])


def who(theta, X, Y, w):
    """Weights of the rows that take part: in Y each row has a column of its own."""
    return (np.broadcast_to(w, len(Y)) @ Y,)


def epoch(rows, size, shuffle=True, seed=0, scale=1.0):
    """The weights of rows (n_steps, n_rows) in each step."""
    batches = rows.batches(size, shuffle, np.random.RandomState(seed))
    return np.array([rows.reduce_batch(who, np.zeros(1), batch, scale)[0] for batch, _ in batches])


def of_whom(make, weights=None):
    """Rows of which `who` tells."""
    Y = np.eye(N_ROWS)
    return make(Y[:, :1], Y, weights, form(Y[:, :1]))


@pytest.mark.parametrize("kind", [ArrayRows, DaskRows])
def test_the_protocol(kind, X, Y):
    rows = (in_process if kind is ArrayRows else in_partitions)(X, Y, None, form(X))
    for name in Rows.__annotations__:
        assert isinstance(getattr(rows, name), int | float)
    methods = inspect.getmembers(Rows, inspect.isfunction)
    methods = [(name, method) for name, method in methods if not name.startswith("_")]
    assert len(methods) == 8
    for name, method in methods:
        found = inspect.signature(getattr(kind, name)).parameters.values()
        expected = inspect.signature(method).parameters.values()
        assert [(p.name, p.default) for p in found] == [(p.name, p.default) for p in expected], name


@weighted
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_both_have_the_same_rows(dtype, with_weights, X, Y, rng):
    weights = weights_of(with_weights, rng)
    how = standardised(X, Y, weights, dtype)
    ours, theirs = (make(X, Y, weights, how) for make in (in_partitions, in_process))
    assert (ours.n_rows, ours.block_size) == (theirs.n_rows, theirs.block_size) == (N_ROWS, 16)
    assert ours.copies == theirs.copies == 2.5
    assert ours.sum_weights == pytest.approx(theirs.sum_weights, rel=1e-6)
    assert ours.n_wide == theirs.n_wide == 0
    assert not (ours.leaves_absent_columns or ours.can_narrow or ours.are_uncorrelated)


@weighted
@every_kind
def test_sums_over_all_rows(make, with_weights, X, Y, theta, rng):
    weights = weights_of(with_weights, rng)
    rows, kernel = make(X, Y, weights, standardised(X, Y, weights)), network()
    whole = standardised(X, Y, weights).rows(X, Y, weights)
    for kernel in (network().loss_gradient, network().loss_sum, partial(curvature, network())):
        found = rows.reduce(kernel, theta)
        some, targets, w = whole.take(slice(None))
        expected = kernel(theta, some, targets, 1.0 if w is None else w)
        for ours, theirs in zip(found, expected, strict=True):
            assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12 * np.abs(theirs).max())


@every_kind
def test_sums_are_the_callers_own(make, X, Y, theta):
    """A second call does not change what the first has returned."""
    rows, kernel = make(X, Y, None, form(X)), network().loss_gradient
    first = rows.reduce(kernel, theta)
    before = [np.copy(part) for part in first]
    rows.reduce(kernel, 2 * theta)
    for part, copy in zip(first, before, strict=True):
        assert_array_equal(part, copy)
    again = rows.reduce(kernel, theta)
    for part, copy in zip(again, before, strict=True):
        assert_array_equal(part, copy)


@weighted
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("size", [1, 7, 16, 40, N_ROWS, 1000])
@every_kind
def test_each_row_comes_once_in_an_epoch(make, size, shuffle, with_weights, rng):
    weights = weights_of(with_weights, rng)
    found = epoch(of_whom(make, weights), size, shuffle)
    assert len(found) == -(-N_ROWS // size)
    assert ((found > 0).sum(axis=0) == 1).all()
    assert_array_equal(found.sum(axis=0), np.ones(N_ROWS) if weights is None else weights)


@pytest.mark.parametrize("size", [1, 7, 16, 40])
@every_kind
def test_batches_have_about_that_size(make, size):
    """Of partitions within a row of each; there may be none at all in a step."""
    rows = of_whom(make)
    batches = list(rows.batches(size, True, np.random.RandomState(0)))
    told = [n for _, n in batches]
    assert sum(told) == pytest.approx(N_ROWS)
    assert told == [rows.size_of(batch) for batch, _ in batches]
    n_rows = (epoch(rows, size) > 0).sum(axis=1)
    n_partitions = len(SLICES) if make is in_partitions else 1
    assert np.abs(n_rows - told).max() < n_partitions


@pytest.mark.parametrize("size", [7, 30])
@every_kind
def test_batches_follow_the_seed(make, size):
    rows = of_whom(make)
    first, again, other = (epoch(rows, size, seed=seed) for seed in (0, 0, 1))
    assert_array_equal(first, again)
    assert (first != other).any()
    # one stream of random numbers makes other batches in each epoch
    random_state = np.random.RandomState(0)
    two = [
        [rows.reduce_batch(who, np.zeros(1), batch, 1.0)[0] for batch, _ in batches]
        for batches in (rows.batches(size, True, random_state) for _ in range(2))
    ]
    assert_array_equal(two[0], first)
    assert (np.array(two[0]) != two[1]).any()
    # and as they come in order, they are alike
    assert_array_equal(epoch(rows, size, False, 0), epoch(rows, size, False, 1))


@every_kind
def test_a_whole_batch_takes_no_random_numbers(make):
    random_state = np.random.RandomState(0)
    before = random_state.get_state()[1].copy()
    list(of_whom(make).batches(N_ROWS, True, random_state))
    assert_array_equal(random_state.get_state()[1], before)


@weighted
@pytest.mark.parametrize("size", [7, 20])
@every_kind
def test_batches_tell_on_average_what_all_rows_tell(make, size, with_weights, rng):
    """Over the seeds each row has the same part in a step, whatever its partition."""
    weights = weights_of(with_weights, rng)
    rows, n_seeds = of_whom(make, weights), 200
    w = np.ones(N_ROWS) if weights is None else weights
    batches = [
        next(iter(rows.batches(size, True, np.random.RandomState(seed)))) for seed in range(n_seeds)
    ]
    found = sum(
        rows.reduce_batch(who, np.zeros(1), batch, 1 / rows.size_of(batch))[0]
        for batch, _ in batches
    )
    mean, share = N_ROWS * found / n_seeds / w, batches[0][1] / N_ROWS
    assert mean.mean() == pytest.approx(1, abs=0.03)
    assert np.abs(mean - 1).max() < 4.5 * np.sqrt((1 / share - 1) / n_seeds)


@weighted
@pytest.mark.parametrize("size", [1, 7, 40, 100])
def test_steps_of_an_epoch_are_on_average_the_objective(size, with_weights, X, Y, theta, rng):
    """Not only in expectation: batches of partitions are told as if they were of one size."""
    weights = weights_of(with_weights, rng)
    rows = in_partitions(X, Y, weights, standardised(X, Y, weights))
    objective = Objective(network(), rows, 0.7)
    batches = list(rows.batches(size, True, rng))
    steps = [objective.batch(theta, batch) for batch, _ in batches]
    loss, gradient = objective(theta)
    found = np.mean([step[0] for step in steps]) + objective.mean_penalty(theta)
    assert found == pytest.approx(loss, rel=1e-12)
    assert_allclose(np.mean([step[1] for step in steps], axis=0), gradient, rtol=0, atol=1e-12)


@every_kind
def test_batches_are_scaled(make, X, Y, theta):
    rows, kernel = make(X, Y, None, form(X)), network().loss_gradient
    for batch, _ in rows.batches(20, True, np.random.RandomState(0)):
        once = [np.copy(part) for part in rows.reduce_batch(kernel, theta, batch, 1.0)]
        half = rows.reduce_batch(kernel, theta, batch, 0.5)
        for ours, theirs in zip(half, once, strict=True):
            assert_allclose(ours, theirs / 2, rtol=1e-13)


TAKEN = {
    "some": np.array([60, 3, 3, 0, 29, 30, 51]),
    "of one partition": np.array([40, 33]),
    "all, in any order": np.random.RandomState(0).permutation(N_ROWS),
    "none of the first": np.arange(52, N_ROWS),
}


def assert_same_rows(found, expected):
    assert found.n_rows == expected.n_rows
    assert found.sum_weights == pytest.approx(expected.sum_weights, rel=1e-6)  # not yet cast
    assert found.copies == expected.copies
    assert_same_taken(found.take(slice(None)), expected.take(slice(None)))


def assert_same_taken(found, expected):
    (X, Y, w), (X_too, Y_too, w_too) = found, expected
    assert type(X) is type(X_too)
    assert_array_equal(X.X1, X_too.X1)
    for ours, theirs in ((Y, Y_too), (w, w_too)):
        assert (ours is None) == (theirs is None)
        if theirs is not None:
            assert_array_equal(ours, theirs)
            assert ours.dtype == theirs.dtype


@weighted
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("index", TAKEN.values(), ids=TAKEN)
def test_some_rows_are_brought_here(index, dtype, with_weights, X, Y, rng):
    """To the last bit as they are there."""
    weights = weights_of(with_weights, rng)
    how = standardised(X, Y, weights, dtype)
    ours, theirs = (make(X, Y, weights, how) for make in (in_partitions, in_process))
    found = ours.part(index)
    assert isinstance(found, ArrayRows)
    assert_same_rows(found, theirs.part(index))
    assert_same_taken(ours.take(index), theirs.take(index))
    assert_same_taken(ours.take(slice(2, 35)), theirs.take(slice(2, 35)))


@pytest.mark.parametrize("name", TABLES)
def test_encoded_rows(name, rng):
    """Sums, some rows, and batches of a row or none, where columns are encoded block by block."""
    table = TABLES[name]
    X, labels = table.draw(N_ROWS, rng), rng.randint(3, size=N_ROWS)
    encoding = table.learn(X)
    n_columns = int(encoding.sizes.sum())
    how = RowFormat(None, "float64", 16, encoding, np.zeros(n_columns))
    theirs = how.rows(X, labels, None)
    counts = np.array([part.stop - part.start for part in SLICES])
    ours = DaskRows(PartitionsHere(records(X, labels, None, SLICES)), counts, how, no_moments(1))
    assert ours.n_wide == theirs.n_wide
    assert (ours.n_wide > 0) == ("wide" in name or name == "everything")
    shape = Shape(n_columns, 2, 3, encoding.blocks)
    kernel = Network(shape, ACTIVATIONS["tanh"], LOSSES["log_loss"]).loss_gradient
    theta = rng.randn(shape.size)
    index = TAKEN["some"]
    for found, expected in ((ours, theirs), (ours.part(index), theirs.part(index))):
        for a, b in zip(found.reduce(kernel, theta), expected.reduce(kernel, theta), strict=True):
            assert_allclose(a, b, rtol=1e-12, atol=1e-13)
    batches = list(ours.batches(1, True, rng))
    found = [[*map(np.copy, ours.reduce_batch(kernel, theta, batch, 1.0))] for batch, _ in batches]
    assert any(loss == 0 for loss, _ in found)
    for a, b in zip(map(sum, zip(*found, strict=True)), theirs.reduce(kernel, theta), strict=True):
        assert_allclose(a, b, rtol=1e-12, atol=1e-13)


def mean_and_deviation(Y, weights):
    mean = weights @ Y / weights.sum()
    return np.array([mean, np.sqrt(weights @ (Y - mean) ** 2 / weights.sum())])


def largest(Y, weights):
    return Y[weights > 0].max(axis=0)


@weighted
@pytest.mark.parametrize("is_scaled", [True, False], ids=["standardised", "raw"])
def test_what_targets_tell(is_scaled, with_weights, X, Y, rng):
    weights = weights_of(with_weights, rng)
    how = standardised(X, Y, weights) if is_scaled else form(X)
    ours, theirs = (make(X, Y, weights, how) for make in (in_partitions, in_process))
    expected = theirs.of_targets(mean_and_deviation)
    assert_allclose(ours.of_targets(mean_and_deviation), expected, rtol=1e-12, atol=1e-12)
    found = ours.of_targets(largest, by_moments=False)
    assert_array_equal(found, theirs.of_targets(largest, by_moments=False))


@every_kind
def test_runs_beside_each_other_have_the_same_rows(make, X, Y, theta):
    rows, kernel = make(X, Y, None, form(X)), network().loss_gradient
    expected, found = rows.reduce(kernel, theta), rows.alone().reduce(kernel, theta)
    for a, b in zip(found, expected, strict=True):
        assert_array_equal(a, b)


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_kernels_travel_without_what_they_compute_in(loss, X, Y, theta):
    kernel = network(loss).loss_gradient
    size = len(pickle.dumps(kernel))
    rows = in_process(X, np.abs(Y), None, form(X))
    expected = rows.reduce(kernel, theta)
    assert len(pickle.dumps(kernel)) == size
    found = rows.reduce(pickle.loads(pickle.dumps(kernel)), theta)
    for a, b in zip(found, expected, strict=True):
        assert_array_equal(a, b)


def test_an_order_is_drawn_again_where_rows_have_moved():
    """A partition that went to another worker, or was computed anew, goes on with its epoch."""
    rows = of_whom(in_partitions)
    expected = epoch(rows, 20, seed=3)
    orders = [None if part is None else part.order for part in rows.prepared.parts]
    assert any(order is not None for order in orders)
    moved = pickle.loads(pickle.dumps(rows.prepared.parts))
    assert all(part is None or part.order is None for part in moved)
    rows.prepared.parts = moved
    assert_array_equal(epoch(rows, 20, seed=3), expected)
    # one that is there serves no other seed
    assert_array_equal(epoch(rows, 20, seed=4), epoch(of_whom(in_partitions), 20, seed=4))


def test_partitions_hold_what_sums_take_and_no_more(X, Y):
    (one,) = records(X, Y, None, [slice(0, N_ROWS)])
    scaled = _prepared(one, standardised(X, Y, None))
    assert scaled.__sizeof__() >= (X.size + N_ROWS + Y.size) * 8
    assert len(pickle.dumps(scaled)) < (X.size + N_ROWS + Y.size) * 8 + 4000
    (none,) = records(X, Y, None, [slice(0, 0)])
    assert _prepared(none, standardised(X, Y, None)) is None


def test_release(X, Y):
    rows = in_partitions(X, Y, None, form(X))
    rows.release()
    assert not rows.prepared.parts
    assert len(rows.raw) == len(SLICES)


def test_rows_on_workers(client, X, Y, theta):
    """They are those in partitions here, to the last bit."""

    def on_workers(held):
        return Partitions.compute(client, [dask.delayed(part) for part in held])

    how = standardised(X, Y, None)
    there, here = (
        in_partitions(X, Y, None, how, partitions) for partitions in (on_workers, PartitionsHere)
    )
    kernel = network().loss_gradient
    for a, b in zip(there.reduce(kernel, theta), here.reduce(kernel, theta), strict=True):
        assert_array_equal(a, b)
    batches = [list(rows.batches(20, True, np.random.RandomState(0))) for rows in (there, here)]
    for ours, theirs in zip(*batches, strict=True):
        assert ours == theirs
        found = there.reduce_batch(kernel, theta, ours[0], 0.5)
        expected = here.reduce_batch(kernel, theta, theirs[0], 0.5)
        for a, b in zip(found, expected, strict=True):
            assert_array_equal(a, b)
    assert_same_rows(there.part(TAKEN["some"]), here.part(TAKEN["some"]))
    for rows in (there, here):
        rows.release()
        rows.raw.release()
