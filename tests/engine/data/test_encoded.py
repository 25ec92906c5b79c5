import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from encoded_tables import TABLES, filled, units, write_out, written_out
from sklearn_twolayer.engine.data import encoded as module
from sklearn_twolayer.engine.data.encoded import Encoded, EncodedSource, encoded_moments
from sklearn_twolayer.engine.data.encoding import NUMBER, learn, plain
from sklearn_twolayer.engine.data.expansion import Expansion
from sklearn_twolayer.engine.data.inputs import DenseInputs, MixedInputs
from sklearn_twolayer.engine.data.moments import no_moments
from sklearn_twolayer.engine.data.scaling import Scaling
from sklearn_twolayer.engine.data.sources import Subset

N_ROWS, N_LATER = 100, 30
"""Rows to learn from, and behind them rows that go beyond."""

SELECTIONS = {
    "all rows": slice(0, N_ROWS + N_LATER),
    "a slice": slice(5, 50),
    "a slice beyond the end": slice(N_ROWS, N_ROWS + 100),
    "an index": np.array([7, 3, 3, 129, 0]),
    "one row": np.array([11]),
}
TOLERANCE = {np.float32: 2e-5, np.float64: 1e-11}

every_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
every_dtype = pytest.mark.parametrize("dtype", TOLERANCE)
weighted = pytest.mark.parametrize("with_weights", [False, True], ids=["unweighted", "weighted"])
standardized = pytest.mark.parametrize("standardize", [False, True], ids=["raw", "standardized"])
every_storage = pytest.mark.parametrize(
    "storage",
    ["expanded", "expanded in parts", "compressed as read", "Fortran", "subset", "on disk"],
)


@pytest.fixture
def draw(rng):
    """All rows of a table, the first to learn from, and its encoding."""

    def draw(table, dtype=np.float64):
        train, later = table.draw(N_ROWS, rng), table.draw_later(N_LATER, rng)
        X = np.concatenate([train, later]).astype(dtype)
        return X, table.learn(X[:N_ROWS])

    return draw


@pytest.fixture
def make_source(tmp_path, monkeypatch):
    """A source of the rows, stored one way or another, in units of the first."""

    def make_source(X, encoding, storage="expanded", standardize=True, dtype=None):
        moments, _ = encoded_moments(X[:N_ROWS], None, encoding)
        dtype = np.dtype(dtype or X.dtype)
        compact = len(X) * Expansion(encoding, moments.mean, dtype).n_compact * dtype.itemsize
        large = {"compressed as read": compact, "expanded in parts": compact + 1}
        monkeypatch.setattr(module, "LARGE", large.get(storage, 2**26))
        scaling = Scaling(moments, no_moments(1), N_ROWS, float(N_ROWS)) if standardize else None
        if storage == "on disk":
            stored = np.memmap(tmp_path / "X", dtype=X.dtype, mode="w+", shape=X.shape)
            stored[:] = X
            X = stored
        elif storage == "Fortran":
            X = np.asfortranarray(X)
        elif storage == "subset":
            X = Subset(np.concatenate([X[::-1], X]), np.arange(len(X), 2 * len(X)))
        return EncodedSource(X, encoding, scaling, moments.mean, dtype)

    return make_source


def raw(X, encoding):
    """Encoded columns in raw units, missing numbers being the means of the first rows."""
    columns, _ = write_out(X.astype(float), encoding)
    return filled(columns, units(X[:N_ROWS].astype(float), encoding)[0])


def expected_rows(X, encoding, standardize=True):
    X = X.astype(float)
    if not standardize:
        return raw(X, encoding)
    return written_out(X[:N_ROWS], encoding, later=X)


def dense(rows):
    return rows.toarray() if sparse.issparse(rows) else rows


# units


@every_table
@weighted
def test_moments_are_those_of_the_columns_written_out(table, with_weights, draw, rng):
    X, encoding = draw(table)
    X, weights = X[:N_ROWS], rng.rand(N_ROWS) if with_weights else None
    encoding = table.learn(X, weights)
    mean, deviation = units(X, encoding, weights)
    found, present = encoded_moments(X, weights, encoding)
    assert_allclose(found.mean, mean, rtol=1e-10, atol=1e-12)
    assert_allclose(found.deviation, deviation, rtol=1e-10)
    assert_allclose(found.scale, deviation, rtol=1e-10)
    # and values are weighed by the rows that have one
    w = np.ones(N_ROWS) if weights is None else weights
    columns, kinds = write_out(X, encoding)
    values = [kind == "value" for kind in kinds]
    expected = np.where(values, w @ ~np.isnan(columns), w.sum())
    assert (present is None) == (not np.isnan(columns[:, values]).any())
    assert_allclose(w.sum() if present is None else present, expected, rtol=1e-12)


@pytest.mark.parametrize("value", [3.0, np.nan, 1e9])
def test_a_column_that_tells_nothing_is_zero(value, make_source, rng):
    X = np.column_stack([rng.randn(N_ROWS), np.full(N_ROWS, value)])
    encoding = learn(X, None, None, True, 4)
    X[:3, 1] = np.nan
    source = make_source(X, encoding)
    assert_array_equal(source.take(slice(0, N_ROWS)).with_ones()[:, encoding.starts[1]], 0)


# rows for training


@every_table
@every_storage
@standardized
@every_dtype
def test_rows_are_those_written_out(table, storage, standardize, dtype, draw, make_source):
    X, encoding = draw(table, dtype)
    source = make_source(X, encoding, storage, standardize)
    expected = expected_rows(X, encoding, standardize)
    for index in SELECTIONS.values():
        inputs = source.take(index)
        assert inputs.n_rows == len(expected[index])
        found = inputs.with_ones()
        assert_array_equal(found[:, -1], 1)
        assert_allclose(found[:, :-1], expected[index], rtol=0, atol=TOLERANCE[dtype])


@every_table
@every_storage
def test_some_of_the_rows_are_a_source_of_their_own(table, storage, draw, make_source, rng):
    X, encoding = draw(table)
    source, expected = make_source(X, encoding, storage), expected_rows(X, encoding)
    kept = rng.permutation(len(X))[:-1]
    part = source.part(kept)
    for index in SELECTIONS.values():
        index = index[index < len(kept)] if isinstance(index, np.ndarray) else index
        found = part.take(index).with_ones()[:, :-1]
        assert_allclose(found, expected[kept][index], atol=1e-10)
        # and the whole is as it was
        assert_allclose(source.take(index).with_ones()[:, :-1], expected[index], atol=1e-10)


@every_table
@every_storage
def test_small_and_large_selections_follow_each_other(table, storage, draw, make_source):
    X, encoding = draw(table)
    source, expected = make_source(X, encoding, storage), expected_rows(X, encoding)
    for index in (slice(0, 10), np.arange(90), slice(20, 25), np.array([4, 1]), slice(0, 90)):
        assert_allclose(source.take(index).with_ones()[:, :-1], expected[index], atol=1e-10)


@every_table
@every_storage
def test_a_batch_outlives_those_of_a_part(table, storage, draw, make_source, rng):
    """Training and validation rows, of one source, are taken in turn."""
    X, encoding = draw(table)
    source, expected = make_source(X, encoding, storage), expected_rows(X, encoding)
    source.take(slice(0, 20))
    part = source.part(np.arange(50, 90))
    batch = source.take(slice(0, 20))
    part.take(slice(0, 20))
    assert_allclose(batch.with_ones()[:, :-1], expected[:20], atol=1e-10)


@every_table
@every_storage
def test_the_data_are_left_alone(table, storage, draw, make_source):
    X, encoding = draw(table)
    source, before = make_source(X, encoding, storage), X.copy()
    for index in SELECTIONS.values():
        source.take(index)
    assert_array_equal(X, before)
    assert_array_equal(source.X[:], before)


@every_table
def test_only_wide_categories_stay_sparse(table, draw, make_source):
    X, encoding = draw(table)
    inputs = make_source(X, encoding).take(slice(0, 9))
    n_wide = sum(size for column, size in encoding.blocks if encoding.is_wide[column])
    assert type(inputs) is (MixedInputs if n_wide else DenseInputs)
    if n_wide:
        assert inputs.levels.n_columns == n_wide
        # the column of each row in each category, whatever their number
        assert inputs.levels.columns.shape == (9, encoding.is_wide.sum())


@pytest.mark.parametrize("storage", ["expanded in parts", "compressed as read", "on disk"])
def test_large_columns_are_never_written_out_as_a_whole(storage, draw, make_source):
    source = make_source(*draw(TABLES["knots"]), storage)
    assert source.X1 is None
    # and where even compact rows would be large, these are not kept either
    assert (source.compact is None) == (storage != "expanded in parts")


def test_columns_are_written_out_where_that_is_little(draw, make_source, monkeypatch):
    X, encoding = draw(TABLES["knots"])
    source = make_source(X, encoding)
    assert source.X1.shape == (len(X), encoding.sizes.sum() + 1)


@every_storage
def test_the_dtype_is_the_one_asked_for(storage, draw, make_source):
    X, encoding = draw(TABLES["everything"])
    inputs = make_source(X, encoding, storage, dtype=np.float32).take(slice(0, 5))
    W = np.ones((inputs.levels.n_columns, 2), np.float32)
    assert inputs.dense.X1.dtype == inputs.levels.times(W).dtype == np.float32


@every_storage
def test_a_large_mean_does_not_cost_float32_its_digits(storage, make_source, rng):
    X = (1e5 + rng.randn(N_ROWS, 1)).astype(np.float32)
    encoding = learn(X, None, None, True, 4)
    found = make_source(X, encoding, storage).take(slice(0, N_ROWS)).with_ones()
    assert_allclose(found[:, :-1], written_out(X.astype(float), encoding), rtol=1e-6, atol=1e-6)


@every_storage
@every_dtype
def test_rows_far_out_are_drawn_in(storage, dtype, make_source, rng):
    """Products of three of their numbers stay finite, and a constant column stays 0."""
    X = rng.randn(N_ROWS + 2, 2).astype(dtype)
    X[:, 1] = -7
    X[N_ROWS:] = np.finfo(dtype).max * np.array([[1, 1], [-1, -1]])
    encoding = learn(X[:N_ROWS], None, None, True, 3)
    with np.errstate(all="ignore"):  # as training has it
        found = make_source(X, encoding, storage).take(slice(0, N_ROWS + 2)).with_ones()
    limit = float(np.finfo(dtype).max) ** (1 / 3)
    value, *increments, constant, _ = found[N_ROWS:].T
    assert_allclose(value, [limit, -limit], rtol=1e-6)
    # they end with their knots
    above, below = np.transpose(increments)
    assert_allclose([above, below], [1 - encoding.means[0], -encoding.means[0]], rtol=1e-6)
    assert_array_equal(constant, 0)


# rows for prediction


@every_table
@every_dtype
def test_rows_to_predict_are_those_written_out_in_raw_units(table, dtype, draw):
    X, encoding = draw(table, dtype)
    expected, near = raw(X, encoding), {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    moments, _ = encoded_moments(X[:N_ROWS], None, encoding)
    rows = Encoded(X, encoding, moments.mean)
    assert rows.shape == expected.shape
    for index in SELECTIONS.values():
        assert sparse.issparse(rows[index]) == encoding.is_wide.any()
        assert rows.dtype == rows[index].dtype == dtype
        assert_allclose(dense(rows[index]), expected[index], **near)
    part = rows.part(slice(3, 90))
    assert part.shape == (87, rows.shape[1])
    assert_allclose(dense(part[5:20]), expected[8:23], **near)
    assert rows.shape == expected.shape


def test_missing_numbers_are_filled_where_training_had_none(rng):
    X = rng.randn(9, 2)
    X[4, 1] = np.nan
    rows = Encoded(X, plain(2), np.array([3.0, 7.0]))
    assert_array_equal(rows[:], np.where(np.isnan(X), 7, X))


@pytest.mark.parametrize("n_levels", [3, 70])
def test_levels_that_are_not_known_are_zero_and_so_is_what_is_missing_later(n_levels):
    codes = np.arange(n_levels, dtype=float)[:, None]
    encoding = learn(codes, None, np.array([n_levels]), False, None)
    rows = Encoded(np.array([[-1.0], [np.nan], [2.0]]), encoding, np.zeros(n_levels))
    assert_array_equal(dense(rows[:]), [n_levels * [0.0], n_levels * [0.0], np.eye(n_levels)[2]])


@every_dtype
def test_rows_to_predict_are_finite_however_far_out(dtype):
    X = np.array([[1.0, 2.0, 4.0, 7.0]]).T.astype(dtype)
    encoding = learn(X, None, np.array([NUMBER]), True, 3)
    far = np.array([[np.finfo(dtype).max], [np.finfo(dtype).min]], dtype)
    found = Encoded(far, encoding, np.zeros(4))[:]
    assert np.isfinite(found).all()
    assert_array_equal(np.sign(found[:, 0]), [1, -1])
    assert_array_equal(found[:, 1:], [3 * [1], 3 * [0]])
