import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from encoded_tables import TABLES, write_out, written_out
from sklearn_twolayer.engine.data.encoding import MANY_LEVELS, NUMBER, learn, plain

N_ROWS = 150
MANY = MANY_LEVELS + 1

every_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
weighted = pytest.mark.parametrize("with_weights", [False, True], ids=["unweighted", "weighted"])


@pytest.fixture
def mixed(rng):
    """A wide category with missing values, a number with knots, a category, a number."""
    X = rng.randn(N_ROWS, 4)
    X[:, 0], X[:, 2] = rng.randint(MANY, size=N_ROWS), rng.randint(3, size=N_ROWS)
    X[:, 3] = 7
    X[::5, 0] = X[::7, 3] = np.nan
    return learn(X, None, np.array([MANY, NUMBER, 3, NUMBER]), True, 4)


def test_each_column_becomes_a_block_and_wide_categories_stand_behind(mixed):
    assert_array_equal(mixed.has_indicator, [True, False, False, True])
    assert_array_equal(mixed.is_category, [True, False, True, False])
    assert_array_equal(mixed.is_wide, [True, False, False, False])
    assert [len(knots) for knots in mixed.knots] == [0, 5, 0, 0]
    assert_array_equal(mixed.sizes, [MANY + 1, 1 + 4, 3, 1 + 1])
    assert_array_equal(mixed.order, [1, 2, 3, 0])
    assert mixed.blocks == ((1, 5), (2, 3), (3, 2), (0, MANY + 1))
    assert_array_equal(mixed.starts, [10, 0, 5, 8])


def test_more_than_64_levels_are_many():
    assert_array_equal(
        learn(np.zeros((3, 3)), None, np.array([64, 65, 5000]), False, None).is_wide,
        [False, True, True],
    )


@every_table
def test_blocks_are_those_of_the_columns_written_out(table, rng):
    X = table.draw(N_ROWS, rng)
    encoding = table.learn(X)
    columns, kinds = write_out(X, encoding)
    assert encoding.sizes.sum() == sum(size for _, size in encoding.blocks) == columns.shape[1]
    for n_levels, start in zip(table.n_levels, encoding.starts, strict=True):
        of_category = "level of many" if n_levels > MANY_LEVELS else "level of few"
        assert kinds[start] == ("value" if n_levels == NUMBER else of_category)


def test_plain_columns_stay_as_they_are():
    encoding = plain(3)
    assert encoding.blocks == ((0, 1), (1, 1), (2, 1))
    assert encoding.fan_in == 3
    assert not encoding.has_indicator.any() and not encoding.is_category.any()


def test_without_levels_all_are_numbers(rng):
    X = rng.randn(N_ROWS, 2)
    encoding = learn(X, None, None, False, None)
    assert encoding.blocks == plain(2).blocks
    assert_allclose(encoding.fan_in, 2)


def test_numbers_have_knots_only_if_they_are_to_be_piecewise_linear(rng):
    X = rng.randn(N_ROWS, 2)
    assert [len(knots) for knots in learn(X, None, None, False, 6).knots] == [0, 0]
    assert [len(knots) for knots in learn(X, None, None, True, 6).knots] == [7, 7]


@pytest.mark.parametrize(("weight", "n_increments"), [(None, 4), (1.0, 4), (10.0, 13), (0.01, 4)])
def test_the_usual_number_of_knots_counts_weights_as_copies(weight, n_increments, rng):
    X = rng.randn(N_ROWS, 1)
    weights = None if weight is None else np.full(N_ROWS, weight)
    assert len(learn(X, weights, None, True, None).means[0]) == n_increments


def test_a_column_that_is_all_missing_is_an_indicator(rng):
    X = np.full((N_ROWS, 2), np.nan)
    encoding = learn(X, None, np.array([NUMBER, 0]), True, 4)
    assert encoding.blocks == ((0, 2), (1, 1))
    assert np.isfinite(encoding.fan_in)


@every_table
@weighted
def test_means_are_those_of_all_columns_but_values(table, with_weights, rng):
    """Of increments in the rows where a number is present, of others in all."""
    X, weights = table.draw(N_ROWS, rng), rng.rand(N_ROWS) if with_weights else None
    encoding = table.learn(X, weights)
    columns, kinds = write_out(X, encoding)
    present, w = ~np.isnan(columns), np.ones(N_ROWS) if weights is None else weights
    expected = [
        np.average(column[is_present], weights=w[is_present])
        for column, is_present, kind in zip(columns.T, present.T, kinds, strict=True)
        if kind != "value"
    ]
    found = [encoding.means[column] for column in encoding.order]
    assert_allclose(np.concatenate(found), expected, rtol=1e-10)


@every_table
@weighted
def test_fan_in_is_the_mean_squared_length_of_an_encoded_row(table, with_weights, rng):
    X, weights = table.draw(N_ROWS, rng), rng.rand(N_ROWS) if with_weights else None
    encoding = table.learn(X, weights)
    squares = (written_out(X, encoding, weights) ** 2).sum(axis=1)
    assert_allclose(encoding.fan_in, np.average(squares, weights=weights), rtol=1e-10)


@every_table
def test_weights_are_copies(table, rng):
    X, copies = table.draw(N_ROWS, rng), rng.randint(1, 4, size=N_ROWS)
    of_copies = table.learn(np.repeat(X, copies, axis=0))
    of_weights = table.learn(X, copies.astype(float))
    for one, other in zip(of_copies.knots, of_weights.knots, strict=True):
        assert_array_equal(one, other)
    for one, other in zip(of_copies.means, of_weights.means, strict=True):
        assert_allclose(one, other, rtol=1e-12)
    assert_allclose(of_copies.fan_in, of_weights.fan_in, rtol=1e-12)


# the order of levels


def test_what_columns_have_is_that_of_values_and_increments(rng):
    """Indicators of what is missing have no part in it, nor have levels."""
    X = np.column_stack(
        [rng.rand(50), rng.randint(3, size=50), rng.rand(50), rng.randint(2, size=50)]
    )
    X[:7, 0] = np.nan
    n_levels = np.array([NUMBER, 3, NUMBER, NUMBER])
    has_knots = np.array([True, True, False, True])
    encoding = learn(X, None, n_levels, has_knots, 2)
    assert encoding.n_increments.tolist() == [2, 0, 0, 0]
    found = encoding.of_numbers(np.array([1, 5, -1, 7]))
    assert found.tolist() == [1, 1, 1, 0, 0, 0, 0, -1, 7]
