"""An average of more networks than rows were held out from: how much nearer it is."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_twolayer.engine import ambiguity as module
from sklearn_twolayer.engine.ambiguity import narrowed
from sklearn_twolayer.engine.bayes.ensemble import outputs_of
from sklearn_twolayer.engine.bayes.residuals import tabulate
from sklearn_twolayer.engine.settings import Settings
from sklearn_twolayer.engine.solvers.solution import Posterior
from training import labels, planned, quantities

ADAM = Settings(solver="adam", hidden_size=4, encoding="linear")
EXACT = Settings(solver="lm", hidden_size=4)
NOISE = 0.5


@pytest.fixture
def table(rng):
    return tabulate(rng.standard_t(3, size=(200, 1)), np.ones(200), True)


def members(settings, n, rng, spread=0.05, weights=None, n_rows=60):
    """Plans, rows and posteriors of one kind, whose networks lie apart by so much."""
    (plan,), (rows,) = planned(*quantities(n_rows), [replace(settings, n_members=n)])
    plan = replace(plan, settings=replace(plan.settings, n_members=n))
    centre, size = rng.randn(plan.shape.size), plan.shape.size
    posteriors = [
        Posterior(
            centre + spread * rng.randn(size),
            1e-3 * np.eye(size),
            np.ones(1),
            np.full(1, NOISE),
            1.0,
            0.0,
        )
        for _ in range(n)
    ]
    a = np.full(n, 1 / n) if weights is None else np.array(weights)
    return [plan] * n, [rows] * n, posteriors, a


def told(plans, trainings, posteriors):
    """Outputs and variances of all members, (n_members, n_rows)."""
    each = [
        outputs_of(plan.network(), p.theta, p.covariance).of_rows(rows.rows.take(slice(None))[0])
        for plan, rows, p in zip(plans, trainings, posteriors, strict=True)
    ]
    return np.array([Z[:, 0] for Z, _ in each]), np.array([V[:, 0, 0] for _, V in each])


def test_one_of_several_was_judged(table, rng):
    """The error of one is that of the average and its ambiguity, which the scale has gained."""
    plans, rows, posteriors, a = members(ADAM, 3, rng, weights=[0.5, 0.3, 0.2])
    assert plans[0].n_judged == 1
    Z, V = told(plans, rows, posteriors)
    apart, within = a @ (Z - a @ Z) ** 2, a @ V + NOISE
    assert (apart < 0.5 * within).all()
    x = np.mean(apart / (apart + within))
    x = x / (1 - x)
    found = narrowed(table, plans, rows, posteriors, a)
    factor = np.sqrt((1 - x) / (1 + x))
    assert 0.5 < factor < 0.999
    assert_allclose(found.signed, factor * table.signed)
    assert_allclose(found.absolute, factor * table.absolute)
    assert_allclose(found.deviation, factor)


def test_two_of_three_have_met_most_of_it(table, rng):
    plans, rows, posteriors, a = members(EXACT, 3, rng)
    assert plans[0].n_judged == 2
    Z, V = told(plans, rows, posteriors)
    apart, within = a @ (Z - a @ Z) ** 2, a @ V + NOISE
    # of networks of variance s, two have s / 2 and three 2 s / 3
    x = np.mean(0.25 * apart / (apart + within))
    x = x / (1 - x)
    found = narrowed(table, plans, rows, posteriors, a)
    assert_allclose(found.deviation, np.sqrt((1 - x) / (1 + x)))


def test_without_a_variance_in_it_the_scale_has_gained_nothing(rng):
    table = tabulate(rng.randn(200, 1), np.ones(200), True, np.full(1, 0.4))
    plans, rows, posteriors, a = members(ADAM, 2, rng)
    Z, _ = told(plans, rows, posteriors)
    x = np.mean(a @ (Z - a @ Z) ** 2 / (0.4 * table.deviation**2))
    found = narrowed(table, plans, rows, posteriors, a)
    assert_allclose(found.deviation, np.sqrt(1 - x) * table.deviation)


@pytest.mark.parametrize("n", [2, 5])
def test_the_error_of_n_is_at_least_an_nth(table, n, rng):
    plans, rows, posteriors, a = members(ADAM, n, rng, spread=100.0)
    found = narrowed(table, plans, rows, posteriors, a)
    assert_allclose(found.deviation, np.sqrt(1 / n / 2), rtol=1e-3)


def test_networks_that_agree_change_nothing(table, rng):
    found = narrowed(table, *members(ADAM, 3, rng, spread=0.0))
    assert_allclose(found.signed, table.signed, rtol=1e-6)


def test_each_of_a_kind_alone_has_been_judged(table, rng, monkeypatch):
    first, second = (members(settings, 1, rng) for settings in (ADAM, EXACT))
    monkeypatch.setattr(module, "_told", None)  # nobody is asked
    both = [one + other for one, other in zip(first[:3], second[:3], strict=True)]
    assert narrowed(table, *both, np.full(2, 0.5)) is table


def test_kinds_apart_from_each_other_have_been_judged(table, rng):
    """What counts is how far networks of one kind lie from each other."""
    plans, rows, posteriors, _ = members(ADAM, 2, rng, spread=0.0)
    others, more_rows, far, _ = members(EXACT, 1, rng)
    a = np.array([0.3, 0.3, 0.4])
    found = narrowed(table, plans + others, rows + more_rows, posteriors + far, a)
    assert_allclose(found.signed, table.signed, rtol=1e-6)


def test_it_is_what_averages_gain(rng):
    """Errors of members of which a part is their own: the ratio of scaled errors is the factor's.

    One was judged, with half its squared error its own; of four, an eighth of that is left.
    """
    own, common, n = np.sqrt(0.5), np.sqrt(0.5), 4
    errors = common * rng.randn(1, 20000) + own * rng.randn(n, 20000)
    ambiguity = np.mean((errors - errors.mean(axis=0)) ** 2)
    # the scale was right for one
    before, x = np.mean(errors**2), ambiguity
    after = np.mean(errors.mean(axis=0) ** 2) / (1 + x)
    assert_allclose(after / before, (1 - x) / (1 + x), rtol=0.05)


def test_labels_have_none_to_narrow(rng):
    plans, rows = planned(*labels(40), [EXACT])
    assert narrowed(None, plans, rows, [], np.ones(1)) is None


def test_shares_count_in_what_has_been_met(rng):
    plans, *_ = members(EXACT, 3, rng)
    for a, expected in (([1, 1, 1], 0.25), ([2, 1, 1], 0.2), ([8, 1, 1], 0)):
        found = module._part_that_is_new(plans, plans[0], np.array(a))
        # one that counts for most is hardly an average of three
        assert_allclose(found, expected, atol=1e-12)
