import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sklearn_twolayer.engine.data.moments import moments, no_moments
from sklearn_twolayer.engine.data.rows import ArrayRows, merge_equal_rows
from sklearn_twolayer.engine.data.scaling import Scaling
from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.losses import LOSSES
from sklearn_twolayer.engine.model.network import Network
from sklearn_twolayer.engine.model.parameters import Shape

SHAPE = Shape(3, 2, 2)
N_ROWS = 40

weighted = pytest.mark.parametrize("with_weights", [False, True], ids=["unweighted", "weighted"])
stored_as = pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array, sparse.csr_matrix])


@pytest.fixture
def X(rng):
    X = rng.randn(N_ROWS, 3)
    X[rng.rand(*X.shape) < 0.4] = 0
    return X


@pytest.fixture
def Y(rng):
    return rng.randn(N_ROWS, 2)


@pytest.fixture
def theta(rng):
    return rng.randn(SHAPE.size)


@pytest.fixture
def kernel():
    return Network(SHAPE, ACTIVATIONS["tanh"], LOSSES["squared_error"]).loss_gradient


def dense(X):
    return X.toarray() if sparse.issparse(X) else X


@weighted
@stored_as
@pytest.mark.parametrize("block_size", [1, 7, 39, 40, 1000])
def test_the_size_of_blocks_does_not_matter(
    X, Y, theta, kernel, with_weights, storage, block_size, rng
):
    weights = rng.rand(N_ROWS) if with_weights else None
    expected_loss, expected_gradient = ArrayRows(X, Y, weights).reduce(kernel, theta)
    rows = ArrayRows(storage(X), Y, weights, block_size=block_size)
    loss, gradient = rows.reduce(kernel, theta)
    assert_allclose(loss, expected_loss, rtol=1e-13)
    assert_allclose(gradient, expected_gradient, rtol=1e-11, atol=1e-12)


def test_sums_of_one_call_outlive_the_next(X, Y, theta, kernel):
    rows = ArrayRows(X, Y)
    _, gradient = rows.reduce(kernel, theta)
    before = gradient.copy()
    rows.reduce(kernel, 2 * theta)
    assert_array_equal(gradient, before)


@weighted
@stored_as
@pytest.mark.parametrize(
    "index", [slice(3, 9), slice(35, 99), np.array([5, 5, 0, 39])], ids=["slice", "end", "index"]
)
def test_takes_the_rows_asked_for(X, Y, theta, kernel, with_weights, storage, index, rng):
    weights = rng.rand(N_ROWS) if with_weights else None
    inputs, targets, w = ArrayRows(storage(X), Y, weights).take(index)
    assert_array_equal(targets, Y[index])
    if with_weights:
        assert_array_equal(w, weights[index])
    else:
        assert w is None
    layer1 = SHAPE.views(theta).layer1
    Z1 = np.empty((2, len(targets))).T
    inputs.forward(layer1, Z1)
    assert_allclose(Z1, X[index] @ layer1[:-1] + layer1[-1], rtol=1e-12, atol=1e-14)


def test_the_sum_of_weights_counts_rows_that_have_none(X, Y, rng):
    weights = rng.rand(N_ROWS)
    assert ArrayRows(X, Y).sum_weights == N_ROWS
    assert_allclose(ArrayRows(X, Y, weights).sum_weights, weights.sum(), rtol=1e-15)


def test_targets_are_standardized_and_class_numbers_are_not(X, Y):
    Y = Y * [10, 0.1] + [1, -2]
    scaling = Scaling(no_moments(3), moments(Y, None), N_ROWS, float(N_ROWS))
    _, targets, _ = ArrayRows(X, Y, scaling=scaling).take(slice(0, N_ROWS))
    assert_allclose(targets, (Y - Y.mean(axis=0)) / Y.std(axis=0), rtol=1e-12)
    labels = np.arange(N_ROWS)
    _, targets, _ = ArrayRows(X, labels, scaling=scaling).take(slice(0, N_ROWS))
    assert_array_equal(targets, labels)


def test_everything_has_the_dtype_asked_for(X, Y, rng):
    rows = ArrayRows(X, Y, rng.rand(N_ROWS), dtype=np.float32)
    inputs, targets, w = rows.take(slice(0, 5))
    assert {inputs.X1.dtype, targets.dtype, w.dtype} == {np.dtype(np.float32)}


@stored_as
@pytest.mark.parametrize("labels", [False, True], ids=["numbers", "labels"])
def test_merged_rows_are_the_same_problem_as_copies(X, Y, storage, labels, rng):
    Y = rng.randint(3, size=N_ROWS) if labels else Y
    copies = rng.randint(1, 4, size=N_ROWS)
    order = rng.permutation(copies.sum())
    repeated = np.repeat(np.arange(N_ROWS), copies)[order]
    expected = merge_equal_rows(storage(X), Y, copies.astype(float))
    merged = merge_equal_rows(storage(X[repeated]), Y[repeated], None)
    assert_array_equal(dense(merged[0]), dense(expected[0]))
    assert_array_equal(merged[1], expected[1])
    assert_array_equal(merged[2], expected[2])


@stored_as
def test_merging_adds_weights_up(X, Y, storage, rng):
    repeated = rng.randint(10, size=N_ROWS)
    weights = rng.rand(N_ROWS)
    merged_X, merged_Y, merged_weights = merge_equal_rows(
        storage(X[repeated]), Y[repeated], weights
    )
    kept = np.unique(repeated)
    assert len(merged_Y) == len(kept)
    for row, target, weight in zip(dense(merged_X), merged_Y, merged_weights, strict=True):
        (original,) = np.flatnonzero((X == row).all(axis=1) & (Y == target).all(axis=1))
        assert_allclose(weight, weights[repeated == original].sum(), rtol=1e-14)


def test_equal_inputs_with_different_targets_stay_apart(X):
    twice = np.repeat(X[:1], 2, axis=0)
    merged_X, merged_Y, weights = merge_equal_rows(twice, np.array([0, 1]), None)
    assert len(merged_X) == 2
    assert sorted(merged_Y) == [0, 1]
    assert weights is None


@stored_as
def test_rows_that_all_differ_stay_unweighted(X, Y, storage):
    merged_X, merged_Y, weights = merge_equal_rows(storage(X), Y, None)
    assert weights is None
    order = np.lexsort(merged_Y.T)
    assert_array_equal(merged_Y[order], Y[np.lexsort(Y.T)])
    assert_array_equal(dense(merged_X)[order], X[np.lexsort(Y.T)])


# the order of merged rows


def with_missing(X, rng):
    X = X.copy()
    X[rng.rand(*X.shape) < 0.2] = np.nan
    return X


TABLES = {
    "dense": lambda X, rng: X,
    "missing values": with_missing,
    "sparse": lambda X, rng: sparse.csr_array(X),
    "single precision": lambda X, rng: X.astype(np.float32),
}
every_table = pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
of_labels = pytest.mark.parametrize("labels", [False, True], ids=["numbers", "labels"])


def targets(Y, labels, rng):
    return rng.randint(3, size=N_ROWS) if labels else Y


def check_alike(found, expected):
    """The same rows in the same order, to the last bit."""
    for ours, theirs in zip(found, expected, strict=True):
        if theirs is None:
            assert ours is None
        else:
            assert_array_equal(dense(ours), dense(theirs))


@every_table
@of_labels
@weighted
def test_rows_in_any_order_are_merged_into_the_same(X, Y, make, labels, with_weights, rng):
    X, Y = make(X, rng), targets(Y, labels, rng)
    weights = rng.randint(1, 5, N_ROWS).astype(float) if with_weights else None
    expected = merge_equal_rows(X, Y, weights)
    for _ in range(3):
        order = rng.permutation(N_ROWS)
        of_order = None if weights is None else weights[order]
        check_alike(merge_equal_rows(X[order], Y[order], of_order), expected)


@every_table
@of_labels
def test_copies_in_any_order_are_merged_like_weights(X, Y, make, labels, rng):
    X, Y, copies = make(X, rng), targets(Y, labels, rng), rng.randint(1, 4, N_ROWS)
    expected = merge_equal_rows(X, Y, copies.astype(float))
    repeated = rng.permutation(np.arange(N_ROWS).repeat(copies))
    check_alike(merge_equal_rows(X[repeated], Y[repeated], None), expected)


@pytest.mark.parametrize(
    ("factors", "offsets"),
    [([2, 0.25, 1024], [0, 0, 0]), ([3, 0.1, 7e5], [0, 0, 0]), ([3, 0.1, 7e5], [-5, 40, 1e3])],
    ids=["powers of two", "factors", "factors and offsets"],
)
@every_table
def test_units_have_no_part_in_the_order(X, Y, make, factors, offsets, rng):
    X = make(X, rng)
    if sparse.issparse(X):
        offsets = 0  # sparse columns are not centred
    other = (
        sparse.csr_array(X * np.array(factors))
        if sparse.issparse(X)
        else (X * np.array(factors) + offsets).astype(X.dtype)
    )
    first, Y1, _ = merge_equal_rows(X, Y, None)
    second, Y2, _ = merge_equal_rows(other, Y, None)
    assert_array_equal(Y2, Y1)  # all targets differ: they tell the rows
    assert_allclose(dense(second), dense(first) * factors + offsets, rtol=1e-4)


def test_units_of_targets_have_no_part_in_the_order(X, Y):
    _, expected, _ = merge_equal_rows(X, Y, None)
    _, found, _ = merge_equal_rows(X, Y * [100, 0.03] + [7, -2], None)
    assert_allclose(found, expected * [100, 0.03] + [7, -2], rtol=1e-12)


@every_table
def test_the_order_is_not_that_of_a_column(X, Y, make, rng):
    """Batches without shuffling are to see all kinds of rows."""
    X = rng.randn(N_ROWS, 3)
    merged_X, merged_Y, _ = merge_equal_rows(make(X, rng), Y, None)
    columns = np.column_stack([dense(merged_X), merged_Y])
    places = np.arange(N_ROWS)
    for x in columns.T:
        known = ~np.isnan(x)
        assert abs(np.corrcoef(x[known], places[known])[0, 1]) < 0.95


@pytest.mark.parametrize("value", [0.0, np.nan, 1e300, -1e308])
def test_a_column_that_has_no_deviation_has_no_say(X, Y, value):
    constant = X.copy()
    X[:, 1], constant[:, 1] = 0, value
    with np.errstate(all="ignore"):  # as estimators have it
        _, expected, _ = merge_equal_rows(X, Y, None)
        _, found, _ = merge_equal_rows(constant, Y, None)
    assert_array_equal(found, expected)
