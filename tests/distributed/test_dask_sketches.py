import math

import numpy as np
import pytest
from held_partitions import cut, random_groups, reduced
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_twolayer.distributed.sketches import Sketch, sketch
from sklearn_twolayer.engine.data.knots import choose_knots, knots_of

N_ROWS, SIZE = 6000, 64

COLUMNS = {
    "normal": lambda rng: rng.randn(N_ROWS),
    "in order": lambda rng: np.sort(rng.randn(N_ROWS)),
    "skewed": lambda rng: np.exp(5 * rng.randn(N_ROWS)),
    "nine zeros of ten": lambda rng: rng.exponential(size=N_ROWS) * (rng.rand(N_ROWS) < 0.1),
    "some values in most rows": lambda rng: np.where(
        rng.rand(N_ROWS) < 0.7, rng.randint(-2, 3, size=N_ROWS), rng.randn(N_ROWS)
    ),
    "huge": lambda rng: 1e308 * rng.uniform(-1, 1, N_ROWS),
    "tiny": lambda rng: 1e-310 * rng.randn(N_ROWS),
    "few values": lambda rng: rng.randint(SIZE, size=N_ROWS) - 7.5,
}
WEIGHTS = {
    "unweighted": lambda rng: None,
    "weighted": lambda rng: rng.rand(N_ROWS),
    "a few weigh most": lambda rng: np.exp(6 * rng.randn(N_ROWS)),
}

every_column = pytest.mark.parametrize("draw", COLUMNS.values(), ids=COLUMNS)
weighted = pytest.mark.parametrize("weigh", WEIGHTS.values(), ids=WEIGHTS)
every_partition = pytest.mark.parametrize("n_partitions", [1, 3, 17, 64])


def part(values, where):
    return None if values is None else values[where]


def of_partitions(x, weights, n_partitions, rng, size=SIZE):
    leaves = [sketch(x[s], part(weights, s), size) for s in cut(N_ROWS, n_partitions, rng)]
    return reduced(leaves, Sketch.merged, random_groups(n_partitions, rng))


def rank_error(found, x, weights):
    """The largest difference of weights up to a number, relative to that of all rows."""
    w = np.ones(len(x)) if weights is None else weights
    numbers, inverse = np.unique(x, return_inverse=True)
    expected = np.cumsum(np.bincount(inverse, w))
    places = np.searchsorted(found.values, numbers, side="right")
    cumulated = np.append(0, found.cumulated)[places]
    return np.abs(cumulated - expected).max() / w.sum()


@every_column
@weighted
@every_partition
def test_ranks_are_within_the_bound(draw, weigh, n_partitions, rng):
    x, weights = draw(rng), weigh(rng)
    found = of_partitions(x, weights, n_partitions, rng)
    depth = math.ceil(math.log2(n_partitions))
    bound = (depth + 1) / (2 * ((SIZE - 1) // 2))
    assert rank_error(found, x, weights) <= bound * (1 + 1e-9)
    total = N_ROWS if weights is None else weights.sum()
    assert_allclose(found.weights.sum(), total, rtol=1e-12)
    assert len(found.values) <= SIZE
    assert (found.values[1:] > found.values[:-1]).all()
    assert found.values[0] == x.min() and found.values[-1] == x.max()
    assert np.isin(found.values, x).all()


@every_column
@weighted
@every_partition
def test_the_sample_is_that_of_the_distinct_values_at_once(draw, weigh, n_partitions, rng):
    x, weights = draw(rng), weigh(rng)
    found = of_partitions(x, weights, n_partitions, rng)
    assert_array_equal(found.distinct, sketch(np.unique(x), None, SIZE).distinct)
    assert len(found.distinct) == min(len(np.unique(x)), SIZE)


@weighted
@every_partition
@pytest.mark.parametrize("n_values", [3, 40, SIZE])
def test_few_distinct_values_are_exact(n_values, weigh, n_partitions, rng):
    values, weights = rng.randn(n_values), weigh(rng)
    x = np.concatenate([values, rng.choice(values, N_ROWS - n_values)])
    found = of_partitions(x, weights, n_partitions, rng)
    expected, inverse = np.unique(x, return_inverse=True)
    assert found.sample is None
    assert_array_equal(found.values, expected)
    assert_allclose(found.weights, np.bincount(inverse, weights), rtol=1e-12)
    w = np.ones(N_ROWS) if weights is None else weights
    for n_knots in (1, 2, 5, 24, SIZE - 2):
        knots = knots_of(found.values, found.cumulated, found.distinct, n_knots)
        assert_array_equal(knots, choose_knots(x, w, n_knots))


def test_one_value_more_is_not():
    x = np.arange(SIZE + 1.0)
    assert len(sketch(x[1:], None, SIZE).values) == SIZE
    found = sketch(x[1:], None, SIZE).merged(sketch(x[:1], None, SIZE))
    assert len(found.values) < SIZE and len(found.sample) == SIZE


@every_column
@weighted
def test_who_holds_what_does_not_matter(draw, weigh, rng):
    x, weights, slices = draw(rng), weigh(rng), cut(N_ROWS, 17, rng)
    leaves = [sketch(x[s], part(weights, s), SIZE) for s in slices]
    first, *others = (reduced(leaves, Sketch.merged, random_groups(17, rng)) for _ in range(4))
    for other in others:
        assert_array_equal(other.values, first.values)
        assert_array_equal(other.weights, first.weights)
        assert_array_equal(other.distinct, first.distinct)


@every_column
def test_weights_are_copies(draw, rng):
    x, copies = draw(rng), rng.randint(1, 4, size=N_ROWS)
    found = sketch(x, copies.astype(float), SIZE)
    expected = sketch(np.repeat(x, copies)[rng.permutation(copies.sum())], None, SIZE)
    assert_array_equal(found.values, expected.values)
    assert_array_equal(found.weights, expected.weights)
    assert_array_equal(found.distinct, expected.distinct)


@pytest.mark.parametrize("draw", [COLUMNS["normal"], COLUMNS["skewed"]])
@pytest.mark.parametrize("unit", [1, 0.1, 1e6])
def test_the_sample_is_uniform(draw, unit, rng):
    """However often a value comes, and whatever its digits."""
    values = np.unique(unit * np.round(draw(rng), 4))
    x = np.concatenate([values, np.repeat(values[:10], 100)])
    found = sketch(x, None, 512).distinct
    ranks = np.searchsorted(values, found) / len(values)
    difference = np.abs(ranks - np.arange(512) / 512).max()
    assert difference < 1.95 / 512**0.5  # Kolmogorov and Smirnov, one time in a thousand


def test_zero_has_one_sign():
    found = sketch(np.array([-0.0, 1.0]), None).merged(sketch(np.array([0.0, 2.0]), None))
    assert_array_equal(found.values, [0, 1, 2])
    assert_array_equal(found.weights, [2, 1, 1])
    assert not np.signbit(found.values).any()
    many = np.arange(1.0, 200)
    above, below = (sketch(np.append(many, zero), None, 8).distinct for zero in (0.0, -0.0))
    assert_array_equal(above, below)


def test_no_numbers_and_one():
    nothing, one = sketch(np.empty(0), np.empty(0)), sketch(np.array([3.0]), np.array([0.5]))
    assert len(nothing.values) == len(nothing.merged(nothing).values) == 0
    for found in (nothing.merged(one), one.merged(nothing)):
        assert_array_equal(found.values, [3])
        assert_array_equal(found.weights, [0.5])
    assert len(knots_of(nothing.values, nothing.cumulated, nothing.distinct, 4)) == 0


def test_float32_numbers_are_themselves():
    x = np.array([0.1, 0.1, 0.7], np.float32)
    assert_array_equal(sketch(x, None).values, x[1:].astype(np.float64))


@weighted
def test_knots_of_many_values_are_near_their_quantiles(weigh, rng):
    x, weights, n_knots = rng.randn(N_ROWS), weigh(rng), 8
    w = np.ones(N_ROWS) if weights is None else weights
    found = of_partitions(x, weights, 17, rng, size=1024)
    knots = knots_of(found.values, found.cumulated, found.distinct, n_knots)
    expected = choose_knots(x, w, n_knots)
    assert knots[0] == x.min() and knots[-1] == x.max() and np.isin(knots, x).all()
    order = np.argsort(x)
    weight_up_to = np.append(0, np.cumsum(w[order]))[np.searchsorted(x[order], knots)] / w.sum()
    ranks = np.searchsorted(x[order], knots) / N_ROWS
    wanted = np.arange(1, n_knots) / n_knots
    for fraction in wanted[1::2]:
        assert np.abs(weight_up_to - fraction).min() <= 6 / 1022 + w.max() / w.sum()
    for fraction in wanted[::2]:
        assert np.abs(ranks - fraction).min() <= 1.95 / 1024**0.5
    assert len(knots) == len(expected)
