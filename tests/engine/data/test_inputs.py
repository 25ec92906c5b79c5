import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sklearn_twolayer.engine.data import sources as module
from sklearn_twolayer.engine.data.inputs import DenseInputs, MixedInputs, OneHot, SparseInputs
from sklearn_twolayer.engine.data.moments import moments, no_moments
from sklearn_twolayer.engine.data.scaling import Scaling
from sklearn_twolayer.engine.data.sources import lives_on_disk, source, subset

N_ROWS, N_FEATURES, N_HIDDEN = 3000, 4, 3

SELECTIONS = {
    "all rows": slice(0, N_ROWS),
    "a slice": slice(5, 50),
    "a slice beyond the end": slice(N_ROWS - 7, N_ROWS + 100),
    "an index": np.array([7, 3, 3, 2999, 0]),
    "one row": np.array([11]),
    "a long index": np.random.RandomState(1).permutation(N_ROWS)[:2500],
}

every_selection = pytest.mark.parametrize("index", SELECTIONS.values(), ids=SELECTIONS)
every_storage = pytest.mark.parametrize(
    "storage", ["array", "Fortran", "memmap", "csr_array", "csr_matrix"]
)
standardized = pytest.mark.parametrize("standardize", [False, True], ids=["raw", "standardized"])


@pytest.fixture(autouse=True)
def everything_is_large(monkeypatch):
    monkeypatch.setattr(module, "LARGE", 0)


@pytest.fixture
def X(rng):
    X = rng.randn(N_ROWS, N_FEATURES) + np.array([0, 1, -3, 10])
    X[rng.rand(*X.shape) < 0.5] = 0
    return X


@pytest.fixture
def store(tmp_path):
    def as_memmap(X):
        stored = np.memmap(tmp_path / "X", dtype=X.dtype, mode="w+", shape=X.shape)
        stored[:] = X
        stored.flush()
        return np.memmap(tmp_path / "X", dtype=X.dtype, mode="r", shape=X.shape)

    storages = {
        "array": np.ascontiguousarray,
        "Fortran": np.asfortranarray,
        "memmap": as_memmap,
        "csr_array": sparse.csr_array,
        "csr_matrix": sparse.csr_matrix,
    }
    return lambda X, storage: storages[storage](X)


def scaling_of(X, standardize):
    if not standardize:
        return None
    return Scaling(moments(X, None), no_moments(1), len(X), float(len(X)))


def with_ones(X, scaling):
    """[X, 1] in standardised coordinates."""
    if scaling is not None:
        X = (X - scaling.X.mean) / scaling.X.scale
    return np.column_stack([X, np.ones(len(X))])


def products(inputs, layer1, D1):
    Z1 = np.empty(D1.shape[::-1], D1.dtype).T
    gradient = np.empty_like(layer1)
    inputs.forward(layer1, Z1)
    inputs.backward(D1, gradient)
    return Z1, gradient


def check_products(inputs, X1, rng):
    """Both products against the formula; the factors drawn for it."""
    layer1 = rng.randn(N_FEATURES + 1, N_HIDDEN)
    D1 = np.asfortranarray(rng.randn(len(X1), N_HIDDEN))
    Z1, gradient = products(inputs, layer1, D1)
    assert_allclose(Z1, X1 @ layer1, rtol=1e-11, atol=1e-11)
    assert_allclose(gradient, X1.T @ D1, rtol=1e-10, atol=1e-10)
    return layer1, D1


def check_parts(inputs, X1, n, rng, dtype=np.float64):
    """The first n columns with the ones, and the squares of the others, against the formula."""
    near = {"rtol": 0, "atol": 1e-9 if dtype == np.float64 else 1e-3}
    joint, squares = inputs.parts(n)
    assert joint.dtype == np.float64
    assert_allclose(joint, X1[:, [*range(n), -1]], **near)
    others, W, w = X1[:, n:-1] ** 2, rng.randn(X1.shape[1] - 1 - n, 2), rng.rand(len(X1))
    assert_allclose(squares.times(W), others @ W, **near)
    assert_allclose(squares.sums(w), w @ others, **near)


@pytest.mark.parametrize("n", [N_FEATURES, 1, 0])
@every_storage
@standardized
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parts_are_columns_and_squares_of_the_others(X, store, storage, standardize, n, dtype, rng):
    scaling = scaling_of(X, standardize)
    inputs = source(store(X, storage), scaling, np.dtype(dtype)).take(slice(5, 50))
    check_parts(inputs, with_ones(X, scaling)[5:50], n, rng, dtype)


@every_storage
@standardized
@every_selection
def test_products_are_those_of_the_selected_rows(X, store, storage, standardize, index, rng):
    scaling = scaling_of(X, standardize)
    inputs = source(store(X, storage), scaling, np.dtype(np.float64)).take(index)
    X1 = with_ones(X, scaling)[index]
    assert inputs.n_rows == len(X1)
    layer1, D1 = check_products(inputs, X1, rng)
    skipped, W0 = np.ones_like(D1), layer1[:-1]
    inputs.add_skip(W0, skipped)
    inputs.backward_skip(D1, gradient_W0 := np.empty_like(W0))
    assert_allclose(skipped, 1 + X1[:, :-1] @ W0, rtol=1e-11, atol=1e-11)
    assert_allclose(gradient_W0, X1[:, :-1].T @ D1, rtol=1e-10, atol=1e-10)
    assert_allclose(inputs.with_ones(), X1, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("offset", [None, np.array([0.5, 0.0, -2.0, 1.0])], ids=["", "centred"])
def test_compact_rows_need_no_search_for_their_columns(X, offset, rng, monkeypatch):
    stored = sparse.csr_array(X[:50])
    inputs = SparseInputs(stored, offset, is_compact=True)
    monkeypatch.setattr(SparseInputs, "compact", None)
    check_products(inputs, with_ones(X[:50] - (0 if offset is None else offset), None), rng)


@pytest.mark.parametrize("storage", ["array", "Fortran", "memmap"])
@standardized
@every_selection
def test_rows_times_factors(X, store, storage, standardize, index, rng):
    scaling = scaling_of(X, standardize)
    inputs = source(store(X, storage), scaling, np.dtype(np.float64)).take(index)
    X1 = with_ones(X, scaling)[index]
    factors = rng.randn(len(X1), 1)
    times = inputs.times(factors)
    assert_allclose(times.with_ones(), X1 * factors, rtol=1e-11, atol=1e-11)
    assert_allclose(inputs.with_ones(), X1, rtol=1e-11, atol=1e-11)


def test_sparse_rows_are_not_multiplied(X):
    inputs = source(sparse.csr_array(X), None, np.dtype(np.float64)).take(slice(0, 5))
    assert inputs.times(np.ones((5, 1))) is None


@pytest.mark.parametrize("storage", ["array", "Fortran", "memmap"])
@pytest.mark.parametrize("large", [True, False])
@standardized
@every_selection
def test_large_standard_columns_are_not_copied(
    X, store, storage, large, standardize, index, rng, monkeypatch
):
    monkeypatch.setattr(module, "LARGE", X.nbytes + (not large))
    scaling = Scaling(no_moments(N_FEATURES), no_moments(1), len(X), float(len(X)))
    scaling = scaling if standardize else None
    rows = source(store(X, storage), scaling, np.dtype(np.float64))
    assert rows.as_it_is == large
    assert (rows.X1 is None) == (large or storage == "memmap")
    X1 = with_ones(X, None)[index]
    check_products(rows.take(index), X1, rng)


def test_large_columns_that_need_a_change_are_copied(X):
    assert source(X, scaling_of(X, standardize=True), np.dtype(np.float64)).X1 is not None


@every_selection
def test_large_columns_change_their_precision_when_they_are_taken(X, index, rng):
    rows = source(X, None, np.dtype(np.float32))
    assert rows.X1 is None
    inputs, X1 = rows.take(index), with_ones(X, None)[index]
    layer1 = rng.randn(N_FEATURES + 1, N_HIDDEN).astype(np.float32)
    D1 = np.asfortranarray(rng.randn(len(X1), N_HIDDEN).astype(np.float32))
    Z1, gradient = products(inputs, layer1, D1)
    assert inputs.X1.dtype == np.float32
    assert_allclose(Z1, X1 @ layer1, atol=1e-4)
    assert_allclose(gradient, X1.T @ D1, rtol=1e-4, atol=5e-3)


@every_storage
@standardized
def test_float32_inputs_give_float32_products(X, store, storage, standardize, rng):
    scaling = scaling_of(X, standardize)
    X1 = with_ones(X, scaling)
    rows = source(store(X.astype(np.float32), storage), scaling, np.dtype(np.float32))
    layer1 = rng.randn(N_FEATURES + 1, N_HIDDEN).astype(np.float32)
    D1 = np.asfortranarray(rng.randn(N_ROWS, N_HIDDEN).astype(np.float32))
    Z1, gradient = products(rows.take(slice(0, N_ROWS)), layer1, D1)
    assert_allclose(Z1, X1 @ layer1, atol=1e-4)
    assert_allclose(gradient, X1.T @ D1, rtol=1e-4, atol=5e-3)


@pytest.mark.parametrize("storage", ["array", "memmap"])
def test_a_large_mean_does_not_cost_float32_its_digits(store, storage, rng):
    X = (1e5 + rng.randn(N_ROWS, 1)).astype(np.float32)
    exact = X.astype(np.float64)
    scaling = scaling_of(exact, standardize=True)
    rows = source(store(X, storage), scaling, np.dtype(np.float32))
    Z1, _ = products(
        rows.take(slice(0, N_ROWS)),
        np.array([[1], [0]], np.float32),
        np.asfortranarray(np.zeros((N_ROWS, 1), np.float32)),
    )
    expected = with_ones(exact, scaling)[:, [0]]
    assert_allclose(Z1, expected, rtol=1e-6, atol=1e-6)


@every_storage
@standardized
def test_small_and_large_selections_follow_each_other(X, store, storage, standardize, rng):
    scaling = scaling_of(X, standardize)
    rows = source(store(X, storage), scaling, np.dtype(np.float64))
    X1 = with_ones(X, scaling)
    layer1 = rng.randn(N_FEATURES + 1, N_HIDDEN)
    for index in (slice(0, 10), np.arange(100), slice(20, 25), np.array([4, 1])):
        D1 = np.asfortranarray(np.zeros((len(X1[index]), N_HIDDEN)))
        Z1, _ = products(rows.take(index), layer1, D1)
        assert_allclose(Z1, X1[index] @ layer1, rtol=1e-11, atol=1e-11)


@every_storage
@standardized
def test_the_data_are_left_alone(X, store, storage, standardize, rng):
    stored = store(X, storage)
    rows = source(stored, scaling_of(X, standardize), np.dtype(np.float64))
    layer1 = rng.randn(N_FEATURES + 1, N_HIDDEN)
    for index in SELECTIONS.values():
        D1 = np.asfortranarray(np.zeros((len(X[index]), N_HIDDEN)))
        products(rows.take(index), layer1, D1)
    assert_array_equal(stored.toarray() if sparse.issparse(stored) else stored, X)


@every_storage
def test_a_constant_column_becomes_zero(X, store, storage):
    X[:, 0] = 7
    rows = source(store(X, storage), scaling_of(X, standardize=True), np.dtype(np.float64))
    layer1 = np.eye(N_FEATURES + 1, 1)
    Z1, _ = products(rows.take(slice(0, 10)), layer1, np.asfortranarray(np.zeros((10, 1))))
    assert_array_equal(Z1, 0)


@every_storage
@standardized
@every_selection
def test_a_subset_is_the_rows_it_names(X, store, storage, standardize, index, rng):
    kept = rng.permutation(N_ROWS)[: N_ROWS - 1]
    X1 = with_ones(X[kept], scaling_of(X, standardize))
    chosen = index[index < len(kept)] if isinstance(index, np.ndarray) else index
    part = subset(store(X, storage), kept)
    inputs = source(part, scaling_of(X, standardize), np.dtype(np.float64)).take(chosen)
    layer1 = rng.randn(N_FEATURES + 1, N_HIDDEN)
    D1 = np.asfortranarray(np.zeros((inputs.n_rows, N_HIDDEN)))
    Z1, _ = products(inputs, layer1, D1)
    assert_allclose(Z1, X1[chosen] @ layer1, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("storage", ["array", "Fortran", "memmap"])
def test_rows_on_disk_are_recognised_through_views(X, store, storage):
    stored = store(X, storage)
    views = [stored, stored[5:], np.asarray(stored), subset(stored, np.arange(3))]
    assert [lives_on_disk(view) for view in views] == 4 * [storage == "memmap"]


@every_storage
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_far_out_are_drawn_in(X, store, storage, dtype):
    """Products of three of their numbers stay finite, and a constant column stays 0."""
    X[:, 2] = -7
    X = X.astype(dtype)
    scaling = scaling_of(X, True)
    end = np.finfo(dtype).max
    far = X.copy()
    far[:4] = end * np.array([[1, -1, 1, -1], [-1, 1, -1, 1], [0, 1, 1, 0], [1, 0, 0, 0]])
    of_near, of_far = (
        source(store(rows, storage), scaling, np.dtype(dtype)).take(slice(0, 9)).with_ones()
        for rows in (X, far)
    )
    assert_allclose(of_far[4:], of_near[4:])
    limit = float(end) ** (1 / 3)
    assert_allclose(np.abs(of_far[:4, [0, 1, 3]]).max(axis=0), limit, rtol=1e-3)
    assert_allclose(of_far[:, 2], of_near[:, 2])
    assert_array_equal(np.sign(of_far[:2, [0, 1, 3]]), [[1, -1, -1], [-1, 1, 1]])


# columns of which some are dense and others, those of levels, are not

MIXTURES = {
    "both": (3, 80, [(0, 80)]),
    "levels alone": (0, 80, [(0, 80)]),
    "two categories": (2, 160, [(0, 80), (80, 160)]),
    "few levels with several rows each": (2, 6, [(0, 3), (3, 6)]),
    "one level with all rows": (2, 80, [(7, 8)]),
    "no levels in these rows": (3, 80, [(-1, 0)]),
}


@pytest.fixture(params=MIXTURES.values(), ids=MIXTURES)
def mixture(request, rng):
    """Inputs of nine rows, some of them without a level, and [X, 1] itself."""
    n_dense, n_columns, categories = request.param
    columns = np.column_stack([rng.randint(*ends, size=9) for ends in categories]).astype(np.int32)
    columns[-1] = columns[3, 0] = -1
    X = rng.randn(9, n_dense + n_columns)
    # as the definition has it, row by row
    X[:, n_dense:] = [[j in of_row for j in range(n_columns)] for of_row in columns]
    X1 = np.column_stack([X, np.ones(9)])
    # as they come from buffers, with the rows last in memory
    dense = DenseInputs(np.asfortranarray(X1[:, [*range(n_dense), -1]]))
    return MixedInputs(dense, OneHot(columns, n_columns)), X1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_of_mixed_columns_are_those_of_the_dense_matrix(mixture, dtype, rng):
    inputs, X1 = mixture
    inputs = MixedInputs(DenseInputs(inputs.dense.X1.astype(dtype)), inputs.levels)
    layer1 = rng.randn(X1.shape[1], N_HIDDEN).astype(dtype)
    D1 = np.asfortranarray(rng.randn(len(X1), N_HIDDEN).astype(dtype))
    near = {"rtol": 0, "atol": 1e-12 if dtype == np.float64 else 1e-5}
    Z1, gradient = products(inputs, layer1, D1)
    assert inputs.n_rows == len(X1)
    assert_allclose(Z1, X1 @ layer1, **near)
    assert_allclose(gradient, X1.T @ D1, **near)
    skipped, W0 = np.ones_like(D1), layer1[:-1]
    inputs.add_skip(W0, skipped)
    inputs.backward_skip(D1, gradient_W0 := np.empty_like(W0))
    assert_allclose(skipped, 1 + X1[:, :-1] @ W0, **near)
    assert_allclose(gradient_W0, X1[:, :-1].T @ D1, **near)
    assert_allclose(inputs.with_ones(), X1, **near)
    assert inputs.with_ones().dtype == np.float64
    assert inputs.times(np.ones((len(X1), 1))) is None


@pytest.mark.parametrize("fraction", [0, 0.5, 1])
def test_parts_of_mixed_columns_leave_levels_where_they_are(mixture, fraction, rng, monkeypatch):
    inputs, X1 = mixture
    monkeypatch.setattr(MixedInputs, "with_ones", None)
    check_parts(inputs, X1, int(fraction * (inputs.dense.X1.shape[1] - 1)), rng)
    assert sparse.issparse(inputs.parts(0)[1].varying)


def test_compact_rows_have_the_columns_that_occur_and_no_others(mixture, rng):
    inputs, X1 = mixture
    n_dense = inputs.dense.X1.shape[1] - 1
    columns, compact = inputs.compact()
    occurring = np.flatnonzero(X1[:, n_dense:-1].any(axis=0)) + n_dense
    assert_array_equal(columns, [*range(n_dense), *occurring])
    assert_array_equal(compact.with_ones(), X1[:, [*columns, -1]])
    layer1 = rng.randn(len(columns) + 1, N_HIDDEN)
    D1 = np.asfortranarray(rng.randn(len(X1), N_HIDDEN))
    Z1, gradient = products(compact, layer1, D1)
    assert_allclose(Z1, compact.with_ones() @ layer1, rtol=1e-12, atol=1e-12)
    assert_allclose(gradient, compact.with_ones().T @ D1, rtol=1e-12, atol=1e-12)


def test_a_one_hot_matrix_is_that_of_its_definition(mixture):
    inputs, X1 = mixture
    expected = X1[:, inputs.dense.X1.shape[1] - 1 : -1]
    found = inputs.levels.matrix(np.dtype(np.float32))
    assert found.dtype == np.float32 and found.has_sorted_indices
    assert_array_equal(found.toarray(), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_hot_products_keep_the_dtype(mixture, dtype):
    levels = mixture[0].levels
    assert levels.times(np.ones((levels.n_columns, 2), dtype)).dtype == dtype
    assert levels.transposed_times(np.ones((9, 2), dtype)).dtype == dtype


def test_no_rows_have_products_too():
    levels = OneHot(np.empty((0, 2), np.int32), 5)
    assert levels.times(np.ones((5, 3))).shape == (0, 3)
    assert_array_equal(levels.transposed_times(np.ones((0, 3))), np.zeros((5, 3)))
    stored, compact = levels.compact()
    assert len(stored) == compact.n_columns == 0
