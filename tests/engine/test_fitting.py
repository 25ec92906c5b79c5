"""Which runs there are, and what becomes of them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from numpy.random import RandomState
from numpy.testing import assert_allclose, assert_array_equal

import training
from sklearn_twolayer import engine
from sklearn_twolayer.engine import fitting as module
from sklearn_twolayer.engine.bayes.ensemble import member_weights
from sklearn_twolayer.engine.data import encoded, sources
from sklearn_twolayer.engine.fitting import Member, average
from sklearn_twolayer.engine.held_out import Weighting
from sklearn_twolayer.engine.preparation import prepare
from sklearn_twolayer.engine.run import run
from sklearn_twolayer.engine.settings import Settings

N_ROWS = 60
WEIGHTS = [0.5, 0.3, 0.2]


def planned(rng, weights=None, n_rows=N_ROWS, **options):
    X = rng.randn(n_rows, 3)
    settings = Settings(**{"solver": "lm", "hidden_size": 3, "max_iter": 5, **options})
    task = training.task(X, np.sin(X[:, [0]]), weights, 1, "squared_error", settings)
    return engine.make_plan(task)


@pytest.fixture
def members(rng):
    """A plan and three networks made by it, that count differently."""
    plan = planned(rng, n_members=3)
    rows = prepare(plan)
    fits = [run(plan, rows, RandomState(seed)) for seed in range(3)]
    return plan, [Member(plan, rows, *each) for each in zip(fits, WEIGHTS, strict=True)]


def without_posterior(member):
    solution = replace(member.fitted.solution, posterior=None)
    return replace(member, fitted=replace(member.fitted, solution=solution))


def test_a_member_that_diverged_does_not_count_beside_the_others(members):
    plan, (first, second, third) = members
    found = average(plan, [first, without_posterior(second), third])
    expected = average(plan, [first, third])
    for ours, theirs in zip(found.coefs, expected.coefs, strict=True):
        assert_array_equal(ours, theirs)
    assert found.continuation.n_members == len(found.predictive.thetas) == 2
    # and the others take its weight as it is divided among them
    assert_allclose(found.continuation.member_weights, [5 / 7, 2 / 7])
    assert_allclose(found.predictive.weights, [5 / 7, 2 / 7])


def test_a_single_member_that_is_left_stands_for_itself(members):
    plan, (first, second, _) = members
    found = average(plan, [without_posterior(first), second])
    assert_array_equal(found.coefs[0], second.fitted.coefs[0])
    assert found.continuation.n_members == 1


def test_without_any_posterior_there_is_an_average_that_does_not_know_how_sure_it_is(members):
    plan, three = members
    expected = average(plan, three)
    found = average(plan, [without_posterior(member) for member in three])
    for ours, theirs in zip(found.coefs, expected.coefs, strict=True):
        assert_array_equal(ours, theirs)
    assert found.predictive is None and found.noise is None and expected.predictive is not None


def test_the_noise_is_the_mean_of_the_members(members):
    plan, three = members
    noises = [member.fitted.solution.posterior.noise for member in three]
    assert_allclose(average(plan, three).noise, np.dot(WEIGHTS, noises))


def test_nothing_is_kept_of_posteriors_that_nobody_wants(members):
    plan, three = members
    settings = replace(plan.settings, store_posterior=False)
    found = average(replace(plan, settings=settings), three)
    assert found.predictive is None and found.noise is not None


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


def two_kinds(rng, n_members=(2, 3), n_folds=0, **options):
    first, second = planned(rng, **options), planned(rng, hidden_size=2, **options)
    second = replace(second, task=first.task)
    first, second = (
        replace(plan, settings=replace(plan.settings, n_members=n))
        for plan, n in zip((first, second), n_members, strict=True)
    )
    return replace(first, others=(second,), n_folds=n_folds)


def weighted(monkeypatch, *weights):
    """Held-out rows that say so."""
    found = Weighting(np.array(weights))
    monkeypatch.setattr(module, "weigh", lambda *arguments: found)


def evidences(fitted, weight):
    """The weights of exact members of one kind."""
    log_evidence = [-m.loss_curve[-1] * weight for m in fitted.continuation.members]
    return member_weights(np.array(log_evidence), weight)


def test_the_weight_of_a_kind_is_divided_among_its_networks_by_their_evidence(monkeypatch, rng):
    plan = two_kinds(rng, n_folds=5)
    weighted(monkeypatch, 0.6, 0.4)
    found = engine.fit(plan, RandomState(0))
    of_kinds = evidences(found, N_ROWS)
    sizes = [m.choices.hidden_size for m in found.continuation.members]
    assert sizes == [3, 3, 2, 2, 2]
    expected = np.concatenate(
        [
            0.6 * of_kinds[:2] / of_kinds[:2].sum(),
            0.4 * of_kinds[2:] / of_kinds[2:].sum(),
        ]
    )
    assert_allclose(found.continuation.member_weights, expected, rtol=1e-6)


def test_a_kind_without_weight_is_not_trained(monkeypatch, rng):
    plan = two_kinds(rng, n_folds=5)
    weighted(monkeypatch, 0.0, 1.0)
    trained = []

    def parallel(calls):
        trained.extend(calls)
        return module.one_after_the_other(calls)

    found = engine.fit(plan, RandomState(0), parallel=parallel)
    assert [m.choices.hidden_size for m in found.continuation.members] == [2, 2, 2]
    assert len(trained) == 3


def test_networks_by_kronecker_factors_of_one_kind_count_alike(rng):
    plan = planned(rng, solver="adam", n_members=3)
    found = engine.fit(replace(plan, n_folds=0), RandomState(0))
    assert_allclose(found.continuation.member_weights, np.full(3, 1 / 3))


def test_without_rows_to_tell_kinds_count_alike(rng):
    found = engine.fit(two_kinds(rng, (1, 1)), RandomState(0))
    assert_allclose(found.continuation.member_weights, [0.5, 0.5])


def test_a_network_alone_draws_from_the_stream_itself(rng):
    plan = planned(rng)
    expected = run(plan, prepare(plan), RandomState(3))
    found = engine.fit(plan, RandomState(3))
    assert_array_equal(found.solution.theta, expected.solution.theta)


def test_no_network_depends_on_how_the_others_are_made(rng):
    """Called backwards, each ends with the same bits."""
    plan = two_kinds(rng, n_folds=5, n_init=2)

    def backwards(calls):
        return [call() for call in reversed(calls)][::-1]

    ends = [engine.fit(plan, RandomState(0), parallel=p) for p in (list_of, backwards)]
    for ours, theirs in zip(*(end.coefs + end.intercepts for end in ends), strict=True):
        assert_array_equal(ours, theirs)
    assert ends[0].random_state.randint(2**31) == ends[1].random_state.randint(2**31)


@pytest.mark.parametrize("encoding", ["linear", "piecewise_linear"])
@pytest.mark.parametrize("large", [0, 2**26])
def test_networks_that_are_trained_at_the_same_time_do_not_meet(encoding, large, monkeypatch, rng):
    """Threads share the rows, but no buffer."""
    monkeypatch.setattr(encoded, "LARGE", large)
    monkeypatch.setattr(sources, "LARGE", large)
    asked = {"solver": "adam", "encoding": encoding, "standardize": False}
    plan = planned(rng, n_rows=2_000, n_members=4, max_iter=3, hidden_size=20, **asked)

    def four_at_a_time(calls):
        with ThreadPoolExecutor(4) as pool, np.errstate(all="ignore"):
            return list(pool.map(lambda call: call(), calls))

    plan = replace(plan, n_folds=0)
    ends = [engine.fit(plan, RandomState(0), parallel=p) for p in (list_of, four_at_a_time)]
    for ours, theirs in zip(*(end.coefs for end in ends), strict=True):
        assert_array_equal(ours, theirs)


def list_of(calls):
    return [call() for call in calls]


def test_rows_of_the_same_encoding_and_precision_are_prepared_once(monkeypatch, rng):
    prepared = []
    monkeypatch.setattr(module, "prepare", lambda plan: prepared.append(plan) or prepare(plan))
    X = rng.randn(200, 3)
    task = training.task(X, np.sin(X[:, [0]]), None, 1, "squared_error", Settings())
    smooth, with_knots = engine.make_plan(task).kinds
    module._prepare([smooth, with_knots, smooth, with_knots])
    assert prepared == [smooth, with_knots]


def test_after_a_stop_was_asked_for_no_other_network_begins(rng):
    plan, phases = planned(rng, n_members=3), []

    def watch(phase, progress):
        phases.append(phase)
        return len(set(phases)) == 2

    plan = replace(plan, task=replace(plan.task, watcher=training.Phases(watch)), n_folds=0)
    found = engine.fit(plan, RandomState(0))
    assert list(dict.fromkeys(phases)) == ["member 1 of 3", "member 2 of 3"]
    assert found.continuation.n_members == 2


def test_of_several_starts_the_best_is_kept(rng):
    plan = planned(rng, n_init=3)
    found = engine.fit(plan, RandomState(0))
    seeds = RandomState(0).randint(np.iinfo(np.int32).max, size=3)
    values = [run(plan, prepare(plan), RandomState(seed)).solution.value for seed in seeds]
    assert found.solution.value == min(values) and len(set(values)) > 1
