import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from encoded_tables import TABLES
from sklearn_twolayer.engine.bayes.extrapolation import (
    Ranges,
    draw_in,
    drawn_in,
    limited,
    measure,
    merged,
    rows_outside,
)
from sklearn_twolayer.engine.data.encoded import Encoded
from sklearn_twolayer.engine.data.encoding import NUMBER, plain

MANY_ROWS = 20_000
"""More than fit into a block."""


def table(kind, rng, n_rows=200):
    """Columns of all signs: with zeros, without, missing in part, missing as a whole, constant."""
    X = rng.randn(n_rows, 6) * [1, 9, 0.1, 3, 1, 0] + [0, 50, -7, 1, 0, 2]
    if kind == "sparse":
        X[rng.rand(*X.shape) < 0.3] = 0
        X[:, 1:3] = rng.randn(n_rows, 2) + np.array([50, -7])
        X[:, 4] = 0
    else:
        X[rng.rand(n_rows) < 0.3, 3] = np.nan
        X[:, 4] = np.nan
    return X


def later(kind, rng, n_rows=200):
    """Rows that are partly outside, a few of them inside."""
    X = table(kind, rng, n_rows)
    far = rng.rand(*X.shape) < 0.1
    X[far] *= 5
    if kind == "sparse":
        X[rng.rand(*X.shape) < 0.1] = 0
        X[rng.rand(n_rows) < 0.1, 4] = 1
    else:
        X[rng.rand(*X.shape) < 0.1] = np.nan
        X[rng.rand(n_rows) < 0.1, 4] = 1
    return X


def stored(kind, X):
    """X in the way of its kind."""
    if kind == "sparse":
        return sparse.csr_array(X)
    return Encoded(X, plain(X.shape[1]), np.zeros(X.shape[1])) if kind == "encoded" else X


def plain_array(stored_X):
    """The other way round."""
    if sparse.issparse(stored_X):
        return stored_X.toarray()
    return stored_X.X if isinstance(stored_X, Encoded) else stored_X


def plainly(X, low, high):
    """X with numbers moved to the ends of the ranges, by a loop; NaN stands for no range."""
    moved = X.copy()
    for i, j in np.ndindex(X.shape):
        if X[i, j] < low[j]:
            moved[i, j] = low[j]
        if X[i, j] > high[j]:
            moved[i, j] = high[j]
    return moved


def ends(X):
    """The least and the greatest number of each column, by a loop."""
    present = [x[~np.isnan(x)] for x in X.T]
    return np.array([(x.min(), x.max()) if len(x) else (np.nan, np.nan) for x in present]).T


every_kind = pytest.mark.parametrize("kind", ["dense", "sparse", "encoded"])
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("n_rows", [1, 200, MANY_ROWS])
@every_dtype
def test_ranges_are_those_of_the_numbers_there_are(kind, n_rows, dtype, rng):
    X, Y = table(kind, rng, n_rows).astype(dtype), rng.randn(n_rows, 2)
    found = measure(stored(kind, X), Y)
    assert_array_equal([found.low, found.high], ends(X))
    assert_array_equal([found.Y_low, found.Y_high], ends(Y))
    # in the precision of the rows, which tells how far others are rounded to compare
    assert found.low.dtype == found.high.dtype == dtype
    assert found.Y_low.dtype == found.Y_high.dtype == np.float64


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_rows_of_single_precision_are_inside_when_they_come_again_unrounded(kind, rng):
    X = table(kind, rng)
    found = measure(stored(kind, X.astype(np.float32)), X[:, :1])
    assert len(rows_outside(stored(kind, X), found)) == 0
    beyond = X * (1 + 1e-6)  # some units in the last place of single precision
    assert len(rows_outside(stored(kind, beyond), found)) > 0


def test_categories_have_no_range(rng):
    X = table("dense", rng)
    found = measure(X, X[:, :1], np.array([3, NUMBER, NUMBER, 80, NUMBER, 2]))
    expected = ends(X)
    expected[:, [0, 3, 5]] = np.nan
    assert_array_equal([found.low, found.high], expected)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_merged_ranges_are_those_of_all_rows(kind, rng):
    X, Y = table(kind, rng), rng.randn(200, 3)
    X[:50, 0] = 0 if kind == "sparse" else np.nan
    parts = [measure(stored(kind, X[a:b]), Y[a:b]) for a, b in ((0, 50), (50, 200))]
    whole = measure(stored(kind, X), Y)
    for found in (merged(*parts), merged(*parts[::-1])):
        for name, of_columns in vars(whole).items():
            assert_array_equal(getattr(found, name), of_columns)


def test_nothing_is_known_with_rows_of_which_nothing_is_known(rng):
    known = measure(rng.randn(9, 2), rng.randn(9, 1))
    assert merged(known, None) is merged(None, known) is None


@every_kind
@every_dtype
@pytest.mark.parametrize("n_rows", [200, MANY_ROWS])
def test_rows_outside_and_where_they_are_drawn_in_to(kind, dtype, n_rows, rng):
    ranges = measure(stored("sparse" if kind == "sparse" else "dense", table(kind, rng)), np.eye(1))
    X = later(kind, rng, n_rows).astype(dtype)
    low, high = ranges.low.astype(dtype), ranges.high.astype(dtype)
    expected, before = plainly(X, low, high), X.copy()
    changed = ~((expected == X) | np.isnan(X)).all(axis=1)
    assert 0 < changed.sum() < n_rows
    assert_array_equal(rows_outside(stored(kind, X), ranges), np.flatnonzero(changed))
    given = stored(kind, X)
    found = drawn_in(given, ranges)
    assert found.dtype == dtype and type(found) is type(given)
    assert kind != "sparse" or found.has_canonical_format
    assert_array_equal(plain_array(found), expected)
    assert_array_equal(plain_array(given), before)


def test_absent_entries_that_may_stay_are_not_stored(rng):
    X = sparse.csr_array(rng.rand(50, 4) * (rng.rand(50, 4) < 0.3))
    found = drawn_in(3 * X, measure(X, np.eye(1)))
    assert found.nnz == X.nnz


@every_kind
def test_training_rows_are_inside_in_either_precision(kind, rng):
    X = table(kind, rng)
    ranges = measure(stored("sparse" if kind == "sparse" else "dense", X), np.eye(1))
    for dtype in (np.float64, np.float32):
        assert not len(rows_outside(stored(kind, X.astype(dtype)), ranges))


def test_bounds_beyond_single_precision_stay_finite():
    ranges = measure(np.array([[1e39, -1e39], [2e39, -2e39]]), np.eye(1))
    X = np.array([[1.0, 1.0], [1e38, -1e38]], np.float32)
    assert np.isfinite(drawn_in(X, ranges)).all()


@pytest.mark.parametrize("name", TABLES)
def test_categories_and_missing_values_stay_as_they_are(name, rng):
    known = TABLES[name]
    X = known.draw(80, rng)
    ranges, rows = measure(X, np.eye(1), known.n_levels), known.draw_later(200, rng)
    encoding = known.learn(X)
    encoded = Encoded(rows, encoding, np.zeros(encoding.sizes.sum()))
    found, is_number = drawn_in(encoded, ranges).X, known.n_levels == NUMBER
    assert_array_equal(found[:, ~is_number], rows[:, ~is_number])
    if is_number.any():
        expected = plainly(rows[:, is_number], *ends(X[:, is_number]))
        assert_array_equal(found[:, is_number], expected)


class Model:
    """Predictions and variances for rows, and what was asked of them."""

    def __init__(self, variances):
        self.variances, self.asked = variances, []

    def predict(self, X):
        self.asked.append(("predict", X))
        return np.column_stack([X[:, 0], 10 * X[:, 0]])

    def variance(self, X):
        self.asked.append(("variance", X))
        return self.variances


UNIT = Ranges(np.zeros(1), np.ones(1), np.array([0.0, 0.0]), np.array([1.0, 5.0]))


def test_only_outputs_that_are_not_certain_change():
    X = np.array([[0.5], [2.0], [-3.0], [4.0], [1.0]])
    model = Model(np.array([[1.0, 1.01], [0.5, 1.0], [np.nan, np.inf]]))
    before = prediction = np.arange(10.0).reshape(5, 2) + 100
    kept = prediction.copy()
    found = draw_in(prediction, X, UNIT, model.predict, model.variance)
    expected = kept.copy()
    expected[1, 1] = 5.5  # 10 is limited
    expected[3] = [1.0, 5.5]
    assert_array_equal(found, expected)
    assert_array_equal(before, kept)
    (first, outside), (second, near) = model.asked
    assert (first, second) == ("variance", "predict")
    assert_array_equal(outside, X[[1, 2, 3]])
    assert_array_equal(near, [[1.0], [1.0]])


@pytest.mark.parametrize(
    ("X", "asked"), [([0.0, 0.5, 1.0], []), ([0.0, 0.5, 1.1], ["variance"])], ids=["in", "out"]
)
def test_nothing_is_asked_that_is_not_needed(X, asked):
    model, prediction = Model(np.array([[1.0, 0.9]])), np.full((3, 2), 100.0)
    found = draw_in(prediction, np.array(X)[:, None], UNIT, model.predict, model.variance)
    assert found is prediction
    assert [what for what, _ in model.asked] == asked


@every_dtype
def test_limits_are_the_range_and_a_tenth(dtype):
    ranges = Ranges(np.zeros(1), np.ones(1), np.array([-10.0, 3.0]), np.array([10.0, 3.0]))
    found = limited(np.array([[-13, 2], [11, 3], [12.5, 4]], dtype), ranges)
    assert found.dtype == dtype
    assert_allclose(found, [[-12, 3], [11, 3], [12, 3]], rtol=1e-7)
