import math

import numpy as np
import pytest
from held_partitions import random_groups, reduced

every_number = pytest.mark.parametrize("n", range(1, 41))


def bracket(a, b):
    """Tells what was merged with what."""
    return f"({a} {b})"


def whole(n):
    """All in one group, in order."""
    return [np.arange(n)]


@every_number
def test_what_is_merged_with_what_depends_on_the_numbers_alone(n, rng):
    leaves = list(map(str, range(n)))
    expected = reduced(leaves, bracket, whole(n))
    for _ in range(20):
        assert reduced(leaves, bracket, random_groups(n, rng)) == expected


@every_number
def test_sums_are_the_same_bits(n, rng):
    leaves = list(rng.randn(n) * 10.0 ** rng.randint(-9, 9, size=n))
    sums = {reduced(leaves, float.__add__, random_groups(n, rng)) for _ in range(20)}
    assert len(sums) == 1
    assert sums.pop() == pytest.approx(math.fsum(leaves), rel=1e-12)


@every_number
def test_every_leaf_counts_once_in_order_and_the_tree_is_low(n):
    merged = reduced(list(map(str, range(n))), bracket, whole(n))
    assert merged.replace("(", "").replace(")", "").split() == list(map(str, range(n)))
    depth = np.cumsum([{"(": 1, ")": -1}.get(sign, 0) for sign in merged]).max()
    assert depth == math.ceil(math.log2(n))


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (1, "0"),
        (2, "(0 1)"),
        (3, "((0 1) 2)"),
        (5, "(((0 1) (2 3)) 4)"),
        (6, "(((0 1) (2 3)) (4 5))"),
        (7, "(((0 1) (2 3)) ((4 5) 6))"),
    ],
)
def test_neighbours_are_merged_and_who_has_none_goes_up(n, expected):
    assert reduced(list(map(str, range(n))), bracket, whole(n)) == expected


@every_number
def test_who_tells_nothing_is_left_out(n, rng):
    leaves = [None if absent else str(i) for i, absent in enumerate(rng.rand(n) < 0.5)]
    told = [leaf for leaf in leaves if leaf is not None]
    for _ in range(5):
        found = reduced(leaves, bracket, random_groups(n, rng))
        if told:
            assert found.replace("(", "").replace(")", "").split() == told
        else:
            assert found is None
