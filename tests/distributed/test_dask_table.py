import numpy as np
import pytest
from dask import delayed
from held_partitions import HeldPartitions, cut, facts, records
from numpy.testing import assert_allclose, assert_array_equal

from encoded_tables import TABLES
from sklearn_twolayer.distributed.partitions import Partitions
from sklearn_twolayer.distributed.table import DaskTable
from sklearn_twolayer.engine.data.encoding import NUMBER, plain
from sklearn_twolayer.engine.data.table import ArrayTable

N_ROWS = 1500
TOLERANCE = 1e-13

every_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
every_partition = pytest.mark.parametrize("n_partitions", [1, 3, 17])
weighted = pytest.mark.parametrize("with_weights", [False, True], ids=["unweighted", "weighted"])


def unusual_columns(rng):
    """Columns at the ends of the range, and such as differ little from a constant."""
    x = rng.randn(N_ROWS)
    steps = np.repeat([0.1, 0.7, 0.7], N_ROWS // 3)
    return np.column_stack(
        [
            1e6 + x,
            1e15 * (1 + 1e-9 * x),
            1e300 * x,
            1e-300 * x + 1e-298,
            np.where(x > 2, 1e200, 1e-200),
            steps,
            np.full(N_ROWS, 0.1),
            np.full(N_ROWS, -1e300),
            np.zeros(N_ROWS),
            np.where(np.arange(N_ROWS) == N_ROWS - 1, 1 + 1e-9, 1),
            np.sort(x),
        ]
    )


@pytest.fixture
def both(rng):
    """A table in partitions, and in this process."""

    def both(X, n_partitions, with_weights, Y=None):
        Y = rng.randn(len(X), 2) * [1, 1e-3] + [0, 1e5] if Y is None else Y
        weights = rng.gamma(1, size=len(X)) if with_weights else None
        held = records(X, Y, weights, cut(len(X), n_partitions, rng))
        return DaskTable(HeldPartitions(held), facts(held)), ArrayTable(X, Y, weights)

    return both


def assert_same_moments(found, expected):
    magnitude = np.hypot(expected.mean, expected.deviation)
    with np.errstate(all="ignore"):
        difference = np.abs(found.mean - expected.mean) / magnitude
    assert (difference[magnitude > 0] <= TOLERANCE).all()
    assert_array_equal(found.mean[magnitude == 0], 0)
    assert_allclose(found.deviation, expected.deviation, rtol=TOLERANCE)
    assert_array_equal(np.isinf(found.scale), np.isinf(expected.scale))
    assert (found.rounding, found.smallest) == (expected.rounding, expected.smallest)


def assert_same_encoding(found, expected):
    assert_array_equal(found.n_levels, expected.n_levels)
    assert_array_equal(found.has_indicator, expected.has_indicator)
    for ours, theirs in zip(found.knots, expected.knots, strict=True):
        assert_array_equal(ours, theirs)
    for ours, theirs in zip(found.means, expected.means, strict=True):
        assert_allclose(ours, theirs, rtol=TOLERANCE)
    assert found.fan_in == pytest.approx(expected.fan_in, rel=TOLERANCE)


@weighted
@every_partition
@every_dtype
def test_a_table_knows_its_size(with_weights, n_partitions, dtype, both, rng):
    X = rng.randn(N_ROWS, 3).astype(dtype)
    table, expected = both(X, n_partitions, with_weights)
    assert table.shape == expected.shape and table.dtype == expected.dtype
    assert table.weight == pytest.approx(expected.weight, rel=1e-15)
    assert_array_equal(table.counts, [record.n_rows for record in table.partitions.records])
    assert not table.has_missing
    X[-1, 1] = np.nan
    assert both(X, n_partitions, with_weights)[0].has_missing


@weighted
@every_partition
@every_dtype
def test_moments_are_those_of_all_rows(with_weights, n_partitions, dtype, both, rng):
    X = rng.randn(N_ROWS, 5) * [1, 1e-3, 1e4, 5, 1e30] + [0, 1, -1e4, 100, 0]
    table, expected = both(X.astype(dtype), n_partitions, with_weights)
    assert_same_moments(table.moments(), expected.moments())
    assert_same_moments(table.moments_of_targets(), expected.moments_of_targets())
    assert_allclose(table.means(), expected.means(), rtol=1e-12)


@weighted
@every_partition
def test_moments_of_unusual_columns(with_weights, n_partitions, both, rng):
    X = unusual_columns(rng)
    table, expected = both(X, n_partitions, with_weights, Y=X[:, :7])
    assert_same_moments(table.moments(), expected.moments())
    assert_same_moments(table.moments_of_targets(), expected.moments_of_targets())
    constant = table.moments()
    assert_array_equal(constant.mean[6:9], [0.1, -1e300, 0])
    assert_array_equal(constant.deviation[6:9], 0)


@weighted
@every_partition
@every_dtype
def test_ranges_and_magnitudes(with_weights, n_partitions, dtype, both, rng):
    X = rng.randn(N_ROWS, 4).astype(dtype)
    X[rng.rand(N_ROWS, 4) < [0, 0.3, 0.99, 1]] = np.nan
    table, expected = both(X, n_partitions, with_weights)
    for ours, theirs in zip(table.ranges(), expected.ranges(), strict=True):
        assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    assert table.magnitudes() == expected.magnitudes()


@every_table
@weighted
@every_partition
@every_dtype
def test_encodings_and_their_moments(table, with_weights, n_partitions, dtype, both, rng):
    """Sketches are exact of the few distinct values that there are."""
    X = table.draw(N_ROWS, rng).astype(dtype)
    ours, theirs = both(X, n_partitions, with_weights)
    for has_knots, n_knots in ((table.piecewise_linear, 5), (False, 5), (True, None)):
        encoding = ours.learn(table.n_levels, has_knots, n_knots)
        assert_same_encoding(encoding, theirs.learn(table.n_levels, has_knots, n_knots))
        (found, present), (expected, of_expected) = (
            each.encoded_moments(encoding) for each in (ours, theirs)
        )
        assert_same_moments(found, expected)
        assert_allclose(found.mean, expected.mean, rtol=1e-12, atol=1e-14)
        assert_allclose(found.deviation, expected.deviation, rtol=TOLERANCE)
        assert (present is None) == (of_expected is None)
        if present is not None:
            assert_allclose(present, of_expected, rtol=TOLERANCE)


@weighted
@every_partition
def test_some_columns_are_missing_in_some_partitions(with_weights, n_partitions, both, rng):
    X = 1e6 + rng.randn(N_ROWS, 4)
    X[: N_ROWS // 2, 0] = X[N_ROWS // 3 :, 1] = X[:, 3] = np.nan
    X[5:, 2] = np.nan
    X[:, 2] = np.where(np.isnan(X[:, 2]), np.nan, 0.1)
    table, expected = both(X, n_partitions, with_weights)
    assert_same_encoding(table.learn(None, True, 4), expected.learn(None, True, 4))
    found, present = table.encoded_moments(plain(4))
    of_expected, weights = expected.encoded_moments(plain(4))
    assert_allclose(found.mean, of_expected.mean, rtol=TOLERANCE)
    assert_allclose(found.deviation, of_expected.deviation, rtol=TOLERANCE)
    assert_array_equal(found.deviation[2:], 0)
    assert found.mean[2] == 0.1
    assert_allclose(present, weights, rtol=TOLERANCE)


@every_partition
def test_many_distinct_values_have_knots_near_the_quantiles(n_partitions, both, rng):
    X = rng.randn(20_000, 2)
    X[:, 1] = np.where(rng.rand(20_000) < 0.9, 0, X[:, 1])
    table, expected = both(X, n_partitions, False)
    encoding, of_expected = table.learn(None, True, 12), expected.learn(None, True, 12)
    for x, ours, theirs in zip(X.T, encoding.knots, of_expected.knots, strict=True):
        ranks, of_theirs = (np.searchsorted(np.unique(x), knots) for knots in (ours, theirs))
        assert_array_equal(ours[[0, -1]], [x.min(), x.max()])
        assert len(ours) == len(theirs)
        assert np.abs(ranks - of_theirs).max() <= 0.04 * len(np.unique(x))
    # what they are is measured, not estimated
    found = table.encoded_moments(encoding)[0]
    assert_allclose(found.mean, expected.encoded_moments(encoding)[0].mean, atol=1e-14)


@pytest.mark.parametrize("n_knots", [3000, 10_000])
def test_many_knots_take_larger_sketches(n_knots, both, rng):
    table, expected = both(rng.randn(8000, 1), 3, False)
    table.learn(None, True, 4)
    assert_same_encoding(table.learn(None, True, n_knots), expected.learn(None, True, n_knots))


@pytest.fixture
def n_passes(both, rng):
    """How many passes each of some calls takes, one after the other, of a new table."""

    def n_passes(*calls):
        table, _ = both(np.abs(rng.randn(N_ROWS, 3)).round(), 3, False)
        counts = []
        for call in calls:
            before = table.partitions.n_passes
            call(table)
            counts.append(table.partitions.n_passes - before)
        return counts

    return n_passes


def learns(n_levels, has_knots, n_knots):
    return lambda table: table.learn(n_levels, has_knots, n_knots)


def test_each_pass_tells_all_that_it_can(n_passes):
    measures = [
        DaskTable.moments,
        DaskTable.moments_of_targets,
        DaskTable.means,
        DaskTable.ranges,
        DaskTable.magnitudes,
        DaskTable.told,
        lambda table: table.encoded_moments(plain(3)),
    ]
    assert n_passes(*measures) == [1, 0, 0, 0, 0, 0, 0]
    assert n_passes(learns(None, False, None), *measures) == [1, 0, 0, 0, 0, 0, 0, 0]
    assert n_passes(learns(None, True, 4), *measures) == [2, 0, 0, 0, 0, 0, 0, 0]


def test_what_has_been_told_is_kept(n_passes):
    known, of_numbers = learns(None, True, 4), np.full(3, NUMBER)
    assert n_passes(known, known, learns(of_numbers, [True, False, True], 4)) == [2, 0, 0]
    assert n_passes(known, learns(None, True, 2), learns(None, False, None)) == [2, 1, 0]
    n_levels = np.array([9, NUMBER, NUMBER])
    steps = ((n_levels, False, None), (n_levels, [False, True, False], 4), (n_levels, True, 4))
    assert n_passes(*(learns(*step) for step in steps)) == [1, 2, 2]


def test_categories_may_be_taken_for_numbers_later(both, rng):
    X = rng.randint(4, size=(N_ROWS, 1)).astype(float)
    table, expected = both(X, 3, False)
    for n_levels in (np.array([4]), None, np.array([5])):
        found = table.learn(n_levels, True, 2)
        assert_same_encoding(found, expected.learn(n_levels, True, 2))


def test_classes_need_no_moments(both, rng):
    table, expected = both(rng.randn(N_ROWS, 2), 3, True, Y=rng.randint(3, size=N_ROWS))
    assert_same_moments(table.moments(), expected.moments())
    assert table.magnitudes() == expected.magnitudes()


def test_the_same_bits_wherever_partitions_are(rng):
    X, Y, weights = rng.randn(N_ROWS, 2), rng.randn(N_ROWS, 1), rng.rand(N_ROWS)
    held = records(X, Y, weights, cut(N_ROWS, 17, rng))
    first, second = (DaskTable(HeldPartitions(held, seed), facts(held)) for seed in (1, 2))
    one, other = (table.learn(None, True, 8) for table in (first, second))
    for column in range(2):
        assert_array_equal(one.knots[column], other.knots[column])
        assert_array_equal(one.means[column], other.means[column])
    assert one.fan_in == other.fan_in and first.weight == second.weight
    assert_array_equal(first.moments().mean, second.moments().mean)
    assert_array_equal(first.moments().deviation, second.moments().deviation)


def test_what_tells_rows_from_others(both, rng):
    X, Y = rng.randn(N_ROWS, 2), rng.randn(N_ROWS, 1)
    table, again = (both(X, 1, False, Y)[0] for _ in range(2))
    assert repr(table.told()) == repr(again.told())
    for part in (X, Y):
        part[0] += 0.01
        assert repr(both(X, 1, False, Y)[0].told()) != repr(table.told())
        part[0] -= 0.01


def test_partitions_on_workers(client, rng):
    """Tasks go there and sums come back, the same bits as of partitions held here."""
    X, Y, weights = rng.randn(N_ROWS, 3), rng.randn(N_ROWS, 1), rng.rand(N_ROWS)
    X[:, 1] = rng.randint(3, size=N_ROWS)
    X[rng.rand(N_ROWS, 3) < 0.1] = np.nan
    held = records(X, Y, weights, cut(N_ROWS, 5, rng))
    partitions = Partitions.compute(client, [delayed(record) for record in held])
    table = DaskTable(partitions, facts(held))
    expected = DaskTable(HeldPartitions(held), facts(held))
    n_levels = np.array([NUMBER, 3, NUMBER])
    one, other = (each.learn(n_levels, True, 8) for each in (table, expected))
    for ours, theirs in zip(one.knots + one.means, other.knots + other.means, strict=True):
        assert_array_equal(ours, theirs)
    assert one.fan_in == other.fan_in
    for ours, theirs in zip(table.told(), expected.told(), strict=True):
        assert_array_equal(ours, theirs)
    table.release()
