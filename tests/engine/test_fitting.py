"""Which runs there are, and what becomes of them."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.random import RandomState
from numpy.testing import assert_allclose, assert_array_equal

import training
from sklearn_twolayer import engine
from sklearn_twolayer.engine.fitting import average
from sklearn_twolayer.engine.run import Training, prepare, run
from sklearn_twolayer.engine.settings import Settings

N_ROWS = 60


def planned(rng, weights=None, **options):
    X = rng.randn(N_ROWS, 3)
    settings = Settings(**{"hidden_size": 3, "n_members": 3, "max_iter": 5, **options})
    task = training.task(X, np.sin(X[:, [0]]), weights, 1, "squared_error", settings)
    return engine.make_plan(task)


def test_a_member_that_diverged_does_not_count_beside_the_others(rng):
    plan = planned(rng)
    rows = prepare(plan)
    fits = [run(plan, rows, RandomState(seed)) for seed in range(3)]
    fits[1] = replace(fits[1], solution=replace(fits[1].solution, posterior=None))
    found = average(plan, rows, fits)
    expected = average(plan, rows, [fits[0], fits[2]])
    for ours, theirs in zip(found.coefs, expected.coefs, strict=True):
        assert_array_equal(ours, theirs)
    assert found.continuation.n_members == len(found.predictive.thetas) == 2


def test_a_single_member_that_is_left_stands_for_itself(rng):
    plan = planned(rng)
    rows = prepare(plan)
    fits = [run(plan, rows, RandomState(seed)) for seed in range(2)]
    fits[0] = replace(fits[0], solution=replace(fits[0].solution, posterior=None))
    found = average(plan, rows, fits)
    assert_array_equal(found.coefs[0], fits[1].coefs[0])
    assert found.continuation.n_members == 1


def test_without_any_posterior_the_best_is_kept(rng):
    plan = planned(rng)
    rows = prepare(plan)
    fits = [run(plan, rows, RandomState(seed)) for seed in range(3)]
    fits = [replace(f, solution=replace(f.solution, posterior=None)) for f in fits]
    best = min(fits, key=lambda fitted: fitted.solution.value)
    assert average(plan, rows, fits) is best


@pytest.mark.parametrize("with_weights", [False, True])
def test_a_part_of_the_rows_has_its_part_of_the_weight(with_weights, rng):
    weights = 1 + 5 * rng.rand(N_ROWS) if with_weights else None
    plan = planned(rng, weights, solver="lbfgs", alpha=1.0)
    whole, index = prepare(plan), rng.permutation(N_ROWS)[:20]
    part = whole.part(index)
    # equal rows are merged in an order of their own: the weights are those of the plan
    of_rows = np.ones(N_ROWS) if weights is None else plan.task.weights
    assert_allclose(part.weight, of_rows[index].sum())
    assert part.rows.n_rows == 20
    assert part.scaling is whole.scaling


def test_held_out_rows_are_drawn_anywhere(monkeypatch, rng):
    drawn, part = [], Training.part
    monkeypatch.setattr(Training, "part", lambda rows, i: drawn.append(i) or part(rows, i))
    plan = replace(planned(rng, solver="lbfgs", alpha=1.0), alpha_by="held_out", alpha=None)
    engine.fit(plan, RandomState(0))
    held_out, kept = drawn
    assert_array_equal(np.sort(np.concatenate(drawn)), np.arange(N_ROWS))
    assert len(held_out) == N_ROWS // 5
    # the rows of a table are often sorted: neither a head nor a comb may be held out
    assert np.ptp(held_out) > N_ROWS / 2 and len(set(np.diff(np.sort(held_out)))) > 2
    assert (np.diff(kept) < 0).any()
