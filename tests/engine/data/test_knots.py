import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_twolayer.engine.data.knots import (
    FEWEST_KNOTS,
    MOST_KNOTS,
    choose_knots,
    moments_of_increments,
    positions,
    slopes,
    sums_of_increments,
    usual_number,
)

N_ROWS = 200
NEXT_TO_1 = np.nextafter(1, 2)

COLUMNS = {
    "normal": lambda rng: rng.randn(N_ROWS),
    "skewed": lambda rng: np.exp(3 * rng.randn(N_ROWS)),
    "rounded": lambda rng: rng.randn(N_ROWS).round(1),
    "nine zeros of ten": lambda rng: rng.exponential(size=N_ROWS) * (rng.rand(N_ROWS) < 0.1),
    "one value in most rows": lambda rng: np.where(rng.rand(N_ROWS) < 0.95, 3, rng.randn(N_ROWS)),
    "far from zero": lambda rng: 1e9 + rng.randn(N_ROWS),
    "huge": lambda rng: 1e300 * rng.randn(N_ROWS),
    "tiny": lambda rng: 1e-300 * rng.randn(N_ROWS),
    "few values": lambda rng: rng.randint(5, size=N_ROWS).astype(float),
    "neighbours in float64": lambda rng: rng.choice([-2.0, 1.0, NEXT_TO_1, 3.0], N_ROWS),
}

every_column = pytest.mark.parametrize("draw", COLUMNS.values(), ids=COLUMNS)
every_number = pytest.mark.parametrize("n_knots", [1, 2, 5, 8, 24])


def written_out(x, knots):
    """The increments of one number, by their definition."""
    found = [(x - knots[k]) / (knots[k + 1] - knots[k]) for k in range(len(knots) - 1)]
    return [min(max(e, 0.0), 1.0) for e in found]


@pytest.mark.parametrize(
    ("n_rows", "expected"),
    [
        (1, FEWEST_KNOTS),
        (182, FEWEST_KNOTS),
        (183, 5),
        (1000, 11),
        (1000.4, 11),
        (5000, 24),
        (20_000, 47),
        (10**8, MOST_KNOTS),
    ],
)
def test_the_usual_number_is_a_third_of_the_root_within_bounds(n_rows, expected):
    assert usual_number(n_rows) == expected


@every_column
@every_number
def test_knots_are_some_of_the_values_and_the_ends_are_among_them(draw, n_knots, rng):
    x = draw(rng)
    knots = choose_knots(x, np.ones(N_ROWS), n_knots)
    assert 2 <= len(knots) <= n_knots + 1
    assert np.isin(knots, x).all()
    assert (np.diff(knots) > 0).all()
    assert knots[0] == x.min() and knots[-1] == x.max()


@pytest.mark.parametrize("n_values", [3, 4, 9])
def test_few_distinct_values_have_a_knot_at_each(n_values, rng):
    values = np.sort(rng.randn(n_values))
    x = np.concatenate([values, rng.choice(values[:2], N_ROWS)])
    assert_array_equal(choose_knots(x, rng.rand(len(x)), n_values - 1), values)
    assert len(choose_knots(x, rng.rand(len(x)), n_values - 2)) < n_values


@pytest.mark.parametrize("values", [[], [3.0], [0.0, 1.0]])
def test_two_values_or_fewer_have_none(values):
    x = np.repeat(values, 10)
    assert len(choose_knots(x, np.ones(len(x)), 8)) == 0


@every_number
def test_knots_of_a_continuous_column_are_its_quantiles(n_knots, rng):
    x = rng.randn(N_ROWS)
    knots = choose_knots(x, np.ones(N_ROWS), n_knots)
    fractions = np.arange(n_knots + 1) / n_knots
    assert_array_equal(knots[::2], np.quantile(x, fractions, method="inverted_cdf")[::2])
    assert_array_equal(knots[1::2], np.quantile(x, fractions, method="nearest")[1::2])


@pytest.mark.parametrize("n_knots", [4, 8, 24])
def test_a_column_that_is_mostly_zero_has_knots_beyond(n_knots, rng):
    x = COLUMNS["nine zeros of ten"](rng)
    knots = choose_knots(x, np.ones(N_ROWS), n_knots)
    beyond = np.unique(x[x > 0])
    assert (knots > 0).sum() >= n_knots // 2
    # they part the values beyond evenly, however few rows have them
    ranks = np.searchsorted(beyond, knots[knots > 0]) / len(beyond)
    assert np.diff(ranks, prepend=0).max() <= 2.5 / n_knots


@every_number
def test_half_of_the_knots_go_where_the_weight_is(n_knots, rng):
    x, weights = rng.rand(N_ROWS), np.ones(N_ROWS)
    weights[x < 0.1] = 1e6
    knots = choose_knots(x, weights, n_knots)
    assert (knots <= x[x < 0.1].max()).sum() - 1 >= (n_knots - 1) // 2


@every_column
@every_number
@pytest.mark.parametrize("unit", [1, 0.1, 1 / 3, 1e-300], ids=str)
def test_weights_are_copies_to_the_last_bit(draw, n_knots, unit, rng):
    x, copies = draw(rng), rng.randint(4, size=N_ROWS)
    repeated = np.repeat(x, copies)[rng.permutation(copies.sum())]
    present = copies > 0
    expected = choose_knots(repeated, np.full(len(repeated), unit), n_knots)
    assert_array_equal(choose_knots(x[present], copies[present] * unit, n_knots), expected)


@pytest.mark.parametrize("n_knots", [4, 5, 10, 20])
@pytest.mark.parametrize("unit", [1, 0.3, 0.001])
def test_a_quantile_between_two_values_is_the_same_from_weights_and_copies(n_knots, unit):
    """Where the sum of weights is just the fraction wanted, rounding must not decide."""
    x = np.arange(40.0)
    copies = np.tile([1, 2, 3, 4], 10)
    repeated = np.repeat(x, copies)
    expected = choose_knots(repeated, np.ones(100), n_knots)
    assert_array_equal(choose_knots(x, copies * unit, n_knots), expected)
    assert_array_equal(choose_knots(repeated, np.full(100, unit), n_knots), expected)


@every_column
def test_the_order_of_rows_does_not_matter(draw, rng):
    x, weights, order = draw(rng), rng.rand(N_ROWS), rng.permutation(N_ROWS)
    expected = choose_knots(x, weights, 8)
    assert_array_equal(choose_knots(x[order], weights[order], 8), expected)


@every_number
def test_knots_move_along_with_the_units(n_knots, rng):
    x, weights = COLUMNS["skewed"](rng), rng.rand(N_ROWS)
    knots = choose_knots(x, weights, n_knots)
    assert_array_equal(choose_knots(3 * x - 7, weights, n_knots), 3 * knots - 7)


@every_column
@every_number
def test_a_position_is_the_sum_of_the_increments(draw, n_knots, rng):
    x = draw(rng)
    knots = choose_knots(x, np.ones(N_ROWS), n_knots)
    width = knots[-1] - knots[0]
    beyond = [knots[0] - 2 * width, knots[-1] + 2 * width]
    x = np.concatenate([x[:100], knots, (knots[1:] + knots[:-1]) / 2, beyond])
    # a position counts the increments up to a number, and its part of the last
    expected = [sum(written_out(number, knots)) for number in x]
    assert_allclose(positions(x, knots), expected, rtol=1e-9, atol=1e-12)


@every_column
def test_knots_lie_at_whole_positions(draw, rng):
    knots = choose_knots(draw(rng), np.ones(N_ROWS), 8)
    assert_array_equal(positions(knots, knots), np.arange(len(knots)))


def test_positions_end_with_the_knots_and_missing_ones_are_missing():
    x, knots = np.array([-2.0, -1e300, 5.0, np.inf, np.nan]), np.array([0.0, 1.0, 3.0])
    assert_array_equal(positions(x, knots), [0, 0, 2, 2, np.nan])


@every_column
def test_slopes_are_those_of_the_increments(draw, rng):
    knots = choose_knots(draw(rng), np.ones(N_ROWS), 8)
    width = np.diff(knots)
    beyond = [knots[0] - width[0], knots[-1] + width[-1]]
    x = np.concatenate([(knots[1:] + knots[:-1]) / 2, beyond])
    # one interval each, and beyond the ends none
    expected = np.concatenate([np.diag(1 / width), np.zeros((2, len(width)))])
    found = slopes(x, knots)
    assert_allclose(found, expected, rtol=1e-12)
    h = 0.25 * np.append(width, [width[0], width[-1]])
    above, below = (np.array([written_out(a, knots) for a in x + s * h]) for s in (1, -1))
    steps = found * 2 * h[:, None]
    far_apart = np.diff(x + [[-1], [0], [1]] * h, axis=0).min(axis=0) > 0
    assert_allclose(steps[far_apart], (above - below)[far_apart], rtol=1e-6, atol=1e-12)
    assert far_apart.sum() >= len(x) - 1  # where floats are too near there are no differences


def test_at_a_knot_the_interval_above_counts_and_at_the_last_none():
    knots = np.array([0.0, 1.0, 3.0])
    assert_array_equal(slopes(knots, knots), [[1, 0], [0, 0.5], [0, 0]])


def test_what_is_missing_has_no_slope():
    found = slopes(np.array([np.nan, 0.5]), np.array([0.0, 1.0, 3.0]))
    assert_array_equal(found, [[np.nan, np.nan], [1, 0]])


@pytest.mark.parametrize("scale", [1e-306, 1e-308, 1e-310, 5e-324])
@pytest.mark.parametrize("n_values", [5, 40])
def test_positions_are_finite_however_small_the_numbers(scale, n_values, rng):
    """Knots so near to each other that a slope between them would be infinite are one."""
    small = scale * rng.randint(n_values, size=N_ROWS)
    for x in (small, np.append(small, [1.0, 2.0, 3.0])):
        knots = choose_knots(x, np.ones(len(x)), 8)
        if len(knots):
            u = positions(x, knots)
            assert u.min() == 0 and u.max() == len(knots) - 1


@every_column
@every_number
def test_moments_are_those_of_the_increments(draw, n_knots, rng):
    x, weights = draw(rng), rng.rand(N_ROWS)
    knots = choose_knots(x, weights, n_knots)
    E = np.array([written_out(number, knots) for number in x])
    expected = np.average(E, axis=0, weights=weights)
    mean, variance = moments_of_increments(sums_of_increments(x, weights, knots), weights.sum())
    assert_allclose(mean, expected, rtol=1e-9, atol=1e-12)
    expected = np.average((E - expected) ** 2, axis=0, weights=weights)
    assert_allclose(variance, expected, rtol=1e-8, atol=1e-12)


def test_an_increment_that_is_the_same_in_all_rows_does_not_vary():
    sums = sums_of_increments(np.full(7, 1.1), np.full(7, 0.1), np.arange(4.0))
    mean, variance = moments_of_increments(sums, 0.1 * 7)
    assert_allclose(mean, [1, 0.1, 0], atol=1e-15)
    assert (variance >= 0).all() and (variance < 1e-15).all()
