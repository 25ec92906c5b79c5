"""The order of levels depends on their rows alone, wherever these are."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_twolayer.engine.data import level_order as orders

N_ROWS = 150
weighted = pytest.mark.parametrize("with_weights", [False, True], ids=["unweighted", "weighted"])


def level_order(codes, Y, weights, numbers):
    """That of the engine, given the numbers as an array (n_rows, n)."""
    return orders.level_order(codes, Y, weights, list(numbers.T))


TARGETS = {
    "labels": lambda rng: rng.randint(3, size=N_ROWS),
    "several labels": lambda rng: rng.randint(2, size=(N_ROWS, 2)).astype(float),
    "numbers": lambda rng: rng.randn(N_ROWS, 2),
    "huge numbers": lambda rng: 1e307 * rng.randn(N_ROWS, 2),
    "few numbers": lambda rng: rng.choice([0.1, 0.2, 0.7], (N_ROWS, 1)),
    "one number": lambda rng: np.full((N_ROWS, 1), 0.1),
    "one label": lambda rng: np.zeros(N_ROWS, dtype=int),
}
every_target = pytest.mark.parametrize("draw", TARGETS.values(), ids=TARGETS)


NUMBERS = {
    "no numbers": lambda rng: np.empty((N_ROWS, 0)),
    "one number": lambda rng: 3 + rng.randn(N_ROWS, 1),
    "few of two": lambda rng: rng.randint(2, size=(N_ROWS, 2)).astype(float),
}
every_number = pytest.mark.parametrize("draw_numbers", NUMBERS.values(), ids=NUMBERS)


def tied_codes(rng):
    """Thirty levels, each of five rows."""
    return rng.permutation(np.arange(N_ROWS) % 30).astype(float)


def test_the_heaviest_level_comes_first():
    codes = np.array([0, 1, 1, 2, 2, 2, -1, np.nan])
    Y, weights = np.zeros((8, 1)), np.array([9.0, 1, 1, 1, 1, 1, 100, 100])
    assert_array_equal(level_order(codes, Y, None, Y), [2, 1, 0])
    assert_array_equal(level_order(codes, Y, weights, Y), [0, 2, 1])


@pytest.mark.parametrize(
    ("Y", "expected"),
    [
        ([[1.0], [2.0], [3.0]], [2, 1, 0]),
        ([[1.0, 5.0], [2.0, 0.0], [1.0, 6.0]], [1, 2, 0]),
        ([[-1.0], [-3.0], [-2.0]], [0, 2, 1]),
        ([2, 1, 0], [2, 1, 0]),
    ],
)
def test_of_equally_heavy_levels_that_of_the_larger_targets_comes_first(Y, expected):
    numbers = np.array([[5.0], [0.0], [9.0]])  # they do not matter
    assert_array_equal(level_order(np.arange(3.0), np.array(Y), None, numbers), expected)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([[1.0], [2.0], [3.0]], [2, 1, 0]),
        ([[1.0, 5.0], [2.0, 0.0], [1.0, 6.0]], [1, 2, 0]),
        ([[-1.0], [-3.0], [-1.0]], [0, 2, 1]),
    ],
)
@pytest.mark.parametrize("Y", [[[7.0], [7.0], [7.0]], [1, 1, 1]], ids=["numbers", "labels"])
def test_where_targets_tie_that_of_the_larger_numbers_comes_first(Y, numbers, expected):
    codes, Y, numbers = np.arange(3.0), np.array(Y), np.array(numbers)
    assert_array_equal(level_order(codes, Y, None, numbers), expected)


def test_levels_that_do_not_occur_are_left_out():
    codes, Y = np.array([4.0, 7, 4, np.nan, -1]), np.zeros((5, 1))
    assert_array_equal(level_order(codes, Y, None, Y), [4, 7])
    assert len(level_order(codes[3:], Y[3:], None, Y[3:])) == 0


def test_levels_that_are_alike_stand_as_they_came():
    codes, Y = np.array([2.0, 0, 1]), np.ones((3, 1))
    assert_array_equal(level_order(codes, Y, None, Y), [0, 1, 2])


def exact_sums(codes, Y, weights, numbers, level):
    """The weight of a level, those of its classes or the sums of its targets, those of numbers."""
    rows = np.flatnonzero(codes == level)
    Y = (Y[:, None] == np.unique(Y)).astype(float) if Y.ndim == 1 else Y
    Y = np.concatenate([Y, numbers], axis=1)
    w = [Fraction(1 if weights is None else weights[i]) for i in rows]
    return [sum(w)] + [
        sum(w_i * Fraction(y) for w_i, y in zip(w, Y[rows, k], strict=True))
        for k in range(Y.shape[1])
    ]


@every_target
@every_number
@weighted
def test_names_and_the_order_of_rows_do_not_matter(draw, draw_numbers, with_weights, rng):
    codes, Y, numbers = tied_codes(rng), draw(rng), draw_numbers(rng)
    weights = rng.choice([0.25, 0.75], N_ROWS) if with_weights else None
    expected = [exact_sums(codes, Y, weights, numbers, level) for level in range(30)]
    found = level_order(codes, Y, weights, numbers)
    assert [expected[level] for level in found] == sorted(expected, reverse=True)

    names, rows = rng.permutation(30), rng.permutation(N_ROWS)
    renamed = names[codes.astype(int)][rows].astype(float)
    weights = weights[rows] if with_weights else None
    found = np.argsort(names)[level_order(renamed, Y[rows], weights, numbers[rows])]
    assert [expected[level] for level in found] == sorted(expected, reverse=True)


@every_target
@every_number
@pytest.mark.parametrize("unit", [1, 0.1, 0.7, 1e-300, 1e300], ids=str)
def test_the_order_from_weights_is_that_from_copies(draw, draw_numbers, unit, rng):
    codes, Y, numbers = tied_codes(rng), draw(rng), draw_numbers(rng)
    copies = rng.randint(1, 4, size=N_ROWS)
    repeated = rng.permutation(np.repeat(np.arange(N_ROWS), copies))
    weights = np.full(len(repeated), float(unit))
    expected = level_order(codes[repeated], Y[repeated], weights, numbers[repeated])
    assert_array_equal(level_order(codes, Y, copies * float(unit), numbers), expected)


def test_products_of_weights_and_targets_are_not_rounded():
    """A level of rows with weights and one of copies of them are alike: their names decide."""
    targets = np.array([0.1, 0.7, 0.3])
    copies = np.array([3, 2, 5])
    single = np.repeat(targets, copies)
    for weighted_level in (0, 1):
        codes = np.r_[np.full(3, weighted_level), np.full(10, 1 - weighted_level)].astype(float)
        Y = np.r_[targets, single][:, None]
        weights = np.r_[copies, np.ones(10)]
        assert_array_equal(level_order(codes, Y, weights, Y), [0, 1])


@pytest.mark.parametrize("kind", ["labels", "numbers", "nothing"])
@weighted
def test_sums_of_parts_of_the_rows_make_those_of_all(kind, with_weights, rng):
    codes = rng.randint(-1, 7, size=N_ROWS).astype(float)
    codes[::11] = np.nan
    weights = rng.rand(N_ROWS) if with_weights else None
    # each part is summed in a unit of its own
    numbers = rng.randn(N_ROWS) * np.repeat([1e-200, 1.0, 1e200], N_ROWS // 3)
    y = {"labels": rng.rand(N_ROWS) < 0.3, "numbers": numbers, "nothing": None}[kind]
    parts = [slice(0, 50), slice(50, 50), slice(50, 100), slice(100, None)]
    cut = [[None if a is None else a[part] for a in (codes, weights, y)] for part in parts]
    found = orders.level_sums(cut[0][0], 7, *cut[0][1:])
    for of_codes, *others in cut[1:]:
        found = orders.add_sums(found, orders.level_sums(of_codes, 7, *others))
    w = np.ones(N_ROWS) if weights is None else weights
    w = w if y is None else w * y
    expected = [w[codes == level].sum() for level in range(7)]
    np.testing.assert_allclose(np.ldexp(*found), expected, rtol=1e-12)
