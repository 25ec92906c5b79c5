"""The weights of an average that predict held-out rows best, against plain searches."""

from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax

from sklearn_twolayer.engine.bayes.stacking import (
    LEAST_WEIGHT,
    PRICE,
    cheapest,
    mean_losses,
    pruned,
    stack,
)
from sklearn_twolayer.engine.model.losses import LOSSES

N_ROWS = 120
KINDS = {
    "one target": ("squared_error", 1),
    "two targets": ("squared_error", 2),
    "two labels": ("binary_log_loss", 2),
    "three classes": ("log_loss", 3),
}
every_kind = pytest.mark.parametrize(("name", "n_outputs"), KINDS.values(), ids=KINDS)
FORMULAS = {
    "squared_error": lambda Z, Y: 0.5 * ((Z - Y) ** 2).sum(axis=1),
    "binary_log_loss": lambda Z, Y: (np.logaddexp(0, Z) - Y * Z).sum(axis=1),
    "log_loss": lambda Z, Y: -log_softmax(Z, axis=1)[np.arange(len(Y)), Y],
}


def flat(n):
    return np.ones(n)


@pytest.fixture
def draw(rng):
    """Held-out targets, and what three members say of them: each something true of its own."""

    def draw(name, n_outputs, errors=(0.6, 0.8, 1.0), n_rows=N_ROWS):
        truth = 1.5 * rng.randn(n_rows, n_outputs)
        targets = {
            "squared_error": lambda: truth + 0.3 * rng.randn(*truth.shape),
            "binary_log_loss": lambda: (truth + rng.logistic(size=truth.shape) > 0) * 1.0,
            "log_loss": lambda: (truth + rng.gumbel(size=truth.shape)).argmax(axis=1),
        }
        outputs = np.array([truth + error * rng.randn(*truth.shape) for error in errors])
        return outputs, targets[name](), 0.5 + rng.rand(n_rows)

    return draw


def objective(name, outputs, Y, weights, prior, a):
    """What is to be least, by its formula; of quantities in units of the best member's errors."""

    def lost(Z2):
        return weights @ FORMULAS[name](Z2, Y)

    unit = 1.0
    if name == "squared_error":
        unit = 2 * min(map(lost, outputs)) / (weights.sum() * outputs.shape[2])
    with np.errstate(divide="ignore"):
        return lost(np.tensordot(a, outputs, 1)) / unit - prior @ np.log(a)


def simplex(n_members, n):
    """A grid of all weights that are multiples of 1/n, but zero."""
    cuts = np.array(list(combinations(range(1, n), n_members - 1)))
    edges = np.column_stack([np.zeros(len(cuts), int), cuts, np.full(len(cuts), n)])
    return np.diff(edges, axis=1) / n


@every_kind
@pytest.mark.parametrize("n_members", [2, 3])
def test_is_the_minimum_of_a_brute_force_search(name, n_outputs, n_members, draw):
    outputs, Y, weights = draw(name, n_outputs)
    prior = np.array([2.0, 0.5, 3.0])[:n_members]
    outputs, grid = outputs[:n_members], simplex(n_members, 100)
    values = [objective(name, outputs, Y, weights, prior, a) for a in grid]
    best = grid[np.argmin(values)]
    assert best.min() > LEAST_WEIGHT + 0.01
    found = stack(LOSSES[name], outputs, Y, weights, prior)
    assert_allclose(found, best, atol=0.02)
    assert objective(name, outputs, Y, weights, prior, found) <= min(values) + 1e-6


@every_kind
def test_weights_lie_on_the_simplex(name, n_outputs, draw):
    found = stack(LOSSES[name], *draw(name, n_outputs), flat(3))
    assert (found >= 0).all()
    assert_allclose(found.sum(), 1, rtol=1e-12)


def test_a_member_alone_has_all_weight(draw):
    outputs, *others = draw("squared_error", 1)
    assert_array_equal(stack(LOSSES["squared_error"], outputs[:1], *others, flat(1)), [1.0])


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_perfect_member_has_all_weight(place, draw):
    outputs, Y, weights = draw("squared_error", 2)
    outputs[place] = Y
    found = stack(LOSSES["squared_error"], outputs, Y, weights, flat(3))
    assert_array_equal(found, np.arange(3) == place)


@every_kind
def test_a_member_that_says_nothing_true_has_none(name, n_outputs, draw, rng):
    outputs, Y, weights = draw(name, n_outputs, n_rows=2_000)
    outputs[0] = 10 * rng.randn(*outputs[0].shape)
    found = stack(LOSSES[name], outputs, Y, weights, flat(3))
    assert found[0] == 0 and found[1:].min() > LEAST_WEIGHT


@every_kind
def test_where_hardly_any_row_tells_the_prior_does(name, n_outputs, draw):
    outputs, Y, weights = draw(name, n_outputs, n_rows=2)
    prior = np.array([5_000.0, 2_000.0, 3_000.0])
    found = stack(LOSSES[name], outputs, Y, weights, prior)
    assert_allclose(found, [0.5, 0.2, 0.3], atol=0.01)


def test_the_prior_counts_in_rows(draw):
    """The same rows ten times over leave a tenth of its say."""
    outputs, Y, weights = draw("log_loss", 3)
    data = outputs.repeat(10, axis=1), Y.repeat(10), weights.repeat(10)
    prior, loss = np.array([30.0, 5.0, 10.0]), LOSSES["log_loss"]
    expected = stack(loss, outputs, Y, weights, prior)
    assert_allclose(stack(loss, *data, 10 * prior), expected, atol=1e-4)
    far_from = stack(loss, *data, prior)
    assert np.abs(far_from - expected).max() > 0.02


@every_kind
def test_weights_are_copies(name, n_outputs, draw, rng):
    outputs, Y, _ = draw(name, n_outputs)
    copies = rng.randint(1, 5, N_ROWS)
    weighted = outputs, Y, copies.astype(float), flat(3)
    copied = outputs.repeat(copies, axis=1), Y.repeat(copies, axis=0), np.ones(copies.sum())
    loss, costs = LOSSES[name], np.array([1.0, 2.0, 5.0])
    assert_allclose(stack(loss, *weighted), stack(loss, *copied, flat(3)), atol=1e-6)
    found, expected = cheapest(loss, *weighted, costs), cheapest(loss, *copied, flat(3), costs)
    assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("unit", [1e-3, 1e3])
def test_units_of_a_target_do_not_matter(unit, draw):
    outputs, Y, weights = draw("squared_error", 2)
    loss, prior = LOSSES["squared_error"], np.array([10.0, 1.0, 1.0])
    found = stack(loss, unit * outputs, unit * Y, weights, prior)
    assert_allclose(found, stack(loss, outputs, Y, weights, prior), atol=1e-3)


@every_kind
@pytest.mark.parametrize("order", [[2, 1, 0], [1, 2, 0]], ids=str)
def test_the_order_of_members_does_not_matter(name, n_outputs, order, draw):
    outputs, Y, weights = draw(name, n_outputs)
    prior, loss = np.array([1.0, 4.0, 2.0]), LOSSES[name]
    found = stack(loss, outputs[order], Y, weights, prior[order])
    assert_allclose(found, stack(loss, outputs, Y, weights, prior)[order], atol=1e-4)


def test_the_rows_are_left_alone(draw):
    data = draw("log_loss", 3)
    before = [array.copy() for array in data]
    stack(LOSSES["log_loss"], *data, flat(3))
    for array, kept in zip(data, before, strict=True):
        assert_array_equal(array, kept)


@pytest.mark.parametrize(
    ("a", "expected"),
    [
        ([0.96, 0.04], [1, 0]),
        ([0.95, 0.05], [0.95, 0.05]),
        ([0.6, 0.36, 0.04], [0.625, 0.375, 0]),
        ([0.048, 0.9, 0.052], [0, 0.9 / 0.952, 0.052 / 0.952]),
    ],
)
def test_members_that_hardly_count_are_left_out(a, expected):
    assert_allclose(pruned(np.array(a)), expected, rtol=1e-12)


def test_two_members_that_say_the_same_are_not_paid_twice(draw):
    outputs, Y, weights = draw("squared_error", 1)
    twins = np.array([outputs[0], outputs[0], outputs[1]])
    data = LOSSES["squared_error"], twins, Y, weights, flat(3)
    found = cheapest(*data, np.array([7.0, 1.0, 1.0]))
    assert found[0] == 0 and found[1:].min() > LEAST_WEIGHT
    found = cheapest(*data, np.array([1.0, 7.0, 1.0]))
    assert found[1] == 0 and found[0] > LEAST_WEIGHT


@pytest.mark.parametrize(("cost", "is_kept"), [(1.0, True), (1e60, False)])
def test_what_helps_is_kept_unless_it_takes_too_long(cost, is_kept, draw):
    outputs, Y, weights = draw("squared_error", 1)
    data = LOSSES["squared_error"], outputs[:2], Y, weights, flat(2)
    found = cheapest(*data, np.array([1.0, cost]))
    assert (found[1] > 0) == is_kept
    assert_allclose(found.sum(), 1)


@every_kind
@pytest.mark.parametrize("costs", [[1.0, 1.0, 1.0], [1.0, 1e3, 1e6], [1e12, 1e6, 1.0]], ids=str)
def test_no_single_one_left_out_would_be_cheaper(name, n_outputs, costs, draw):
    outputs, Y, weights = draw(name, n_outputs)
    loss, costs = LOSSES[name], np.array(costs)

    def price(members):
        a = np.zeros(3)
        a[members] = stack(loss, outputs[members], Y, weights, flat(len(members)))
        lost = weights @ FORMULAS[name](np.tensordot(a, outputs, 1), Y)
        return np.log(lost) + PRICE * np.log(costs[a > 0].sum()), a

    found = cheapest(loss, outputs, Y, weights, flat(3), costs)
    kept = np.flatnonzero(found)
    least, expected = price(kept)
    assert_allclose(found, expected, atol=1e-9)
    assert least <= price(np.arange(3))[0] + 1e-12
    for i in range(len(kept) if len(kept) > 1 else 0):
        assert least <= price(np.delete(kept, i))[0] + 1e-12


def test_twice_the_time_has_to_pay():
    """Just below and above the price."""
    Y, weights = np.zeros((1_000, 1)), np.ones(1_000)
    # errors of opposite signs in some rows: with a half each they are gone there
    for gone, n_members in ((0.012, 1), (0.02, 2)):
        errors = np.ones((2, 1_000, 1))
        errors[1, : int(1_000 * gone)] = -1
        found = cheapest(LOSSES["squared_error"], errors, Y, weights, flat(2), np.ones(2))
        assert (found > 0).sum() == n_members


@every_kind
def test_mean_losses_are_those_of_the_formula(name, n_outputs, draw):
    outputs, Y, weights = draw(name, n_outputs)
    expected = [np.average(FORMULAS[name](Z2, Y), weights=weights) for Z2 in outputs]
    assert_allclose(mean_losses(LOSSES[name], outputs, Y, weights), expected, rtol=1e-12)
