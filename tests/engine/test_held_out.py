"""Rows held out: which they are, what they say of kinds of networks, and how sure labels are."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from numpy.random import RandomState
from numpy.testing import assert_allclose, assert_array_equal

import training
from sklearn_twolayer import engine
from sklearn_twolayer.engine import held_out as module
from sklearn_twolayer.engine import weighing as of_rows
from sklearn_twolayer.engine.bayes.ensemble import combine, member_weights
from sklearn_twolayer.engine.bayes.moderation import Moderation, choose_moderation
from sklearn_twolayer.engine.bayes.predictive import OutputCovariance
from sklearn_twolayer.engine.bayes.residuals import tabulate
from sklearn_twolayer.engine.fitting import one_after_the_other
from sklearn_twolayer.engine.held_out import weigh
from sklearn_twolayer.engine.plan import make_plan
from sklearn_twolayer.engine.preparation import Training, prepare
from sklearn_twolayer.engine.settings import Settings
from training import labels, planned, quantities

EXACT = Settings(solver="lm", hidden_size=4)
BATCHES = Settings(solver="adam", hidden_size=8, encoding="piecewise_linear", dtype="float32")
GIVEN = Settings(solver="lbfgs", hidden_size=6, alpha=1.0)


def some(trial):
    """What a trial may say, without the work."""
    n, k = trial.held_out.n_rows, trial.plan.shape.n_outputs
    covariance = np.tile(np.eye(k), (min(n, 10), 1, 1))
    return of_rows.Told(np.zeros((n, k)), np.ones((n, k)), np.zeros(k), covariance)


@pytest.fixture
def trials_of():
    """The trials that are made to weigh kinds."""

    def trials_of(plans, trainings, n_folds):
        made = []

        def parallel(trials):
            made.extend(trials)
            return [some(trial) for trial in trials]

        weigh(plans, trainings, n_folds, RandomState(0), parallel)
        return made

    return trials_of


def numbers(rows, of_all):
    """Which rows these are, by their targets, which all differ."""
    return np.searchsorted(np.sort(of_all.Y[:, 0]), rows.Y[:, 0])


@pytest.mark.parametrize("n_rows", [20, 23, 101])
def test_in_five_folds_each_row_is_held_out_once(n_rows, trials_of):
    plans, trainings = planned(*quantities(n_rows), [EXACT, GIVEN])
    trials = trials_of(plans, trainings, 5)
    assert len(trials) == 10
    everything, whole = np.arange(n_rows), trainings[0].rows
    held_out = [numbers(trial.held_out, whole) for trial in trials[::2]]
    assert_array_equal(np.sort(np.concatenate(held_out)), everything)
    assert {len(rows) for rows in held_out} <= {n_rows // 5, n_rows // 5 + 1}
    for first, second, rows in zip(trials[::2], trials[1::2], held_out, strict=True):
        # no network has met the rows that it is asked for, and all are asked for the same
        kept = numbers(first.kept.rows, whole)
        assert_array_equal(np.sort(np.concatenate([kept, rows])), everything)
        assert_array_equal(second.held_out.Y, first.held_out.Y)
        assert_array_equal(second.kept.rows.Y, first.kept.rows.Y)
        assert (first.plan, second.plan) == tuple(plans)


def test_folds_are_drawn_anywhere(trials_of):
    """Rows of a table are often sorted: neither a head nor a comb may be held out."""
    plans, trainings = planned(*quantities(200), [EXACT, GIVEN])
    order = np.argsort(trainings[0].rows.Y[:, 0])
    for trial in trials_of(plans, trainings, 5)[::2]:
        places = np.sort(order[numbers(trial.held_out, trainings[0].rows)])
        assert np.ptp(places) > 100 and len(set(np.diff(places))) > 2


def test_seeds_and_names_differ_from_trial_to_trial(trials_of):
    plans, trainings = planned(*quantities(50), [EXACT, GIVEN])
    trials = trials_of(plans, trainings, 5)
    assert len({trial.seed for trial in trials}) == 10
    assert [str(t.part) for t in trials[::2]] == [f"fold {i} of 5" for i in range(1, 6)]


def test_of_many_rows_one_part_is_held_out_of_some(trials_of, monkeypatch):
    monkeypatch.setattr(module, "MOST_HELD_OUT", 100)
    monkeypatch.setattr(module, "MOST_KEPT", 700)
    plans, trainings = planned(*quantities(1_200), [EXACT, BATCHES])
    exact, batches = trials_of(plans, trainings, 1)
    assert str(exact.part) == str(batches.part) == "trial"
    held_out, kept = (numbers(r, trainings[0].rows) for r in (exact.held_out, exact.kept.rows))
    assert (len(held_out), len(kept)) == (100, 700)
    assert len(np.unique(np.concatenate([held_out, kept]))) == 800
    # steps by curvature are as many as ever, epochs of mini-batches fewer
    assert exact.plan is plans[0]
    expected = 0.3 * plans[1].settings.max_iter * (1_200 / 700) ** 0.5
    assert batches.plan.settings.max_iter == round(expected)


def test_a_fifth_is_held_out_where_no_limit_is_met(trials_of):
    plans, trainings = planned(*quantities(1_200), [EXACT, BATCHES])
    exact, _ = trials_of(plans, trainings, 1)
    assert (exact.held_out.n_rows, exact.kept.rows.n_rows) == (240, 960)
    # the prior is divided by the weight of the rows that are left
    assert_allclose(exact.kept.weight, 960)


# what kinds weigh


def test_a_kind_that_is_right_in_sample_only_has_no_weight():
    X, Y = quantities(150, noise=1.0)
    memory = Settings(solver="lm", hidden_size=40, alpha=1e-6, max_iter=100)
    plans, trainings = planned(X, Y, [EXACT, memory])
    in_sample = [engine.fit(plan, RandomState(0)).monitor.loss_curve[-1] for plan in plans[1:]]
    assert in_sample[0] < 0.01  # of a variance of one half
    found = weigh(plans, trainings, 5, RandomState(0), one_after_the_other)
    assert_array_equal(found.weights, [1, 0])
    # whichever comes first
    found = weigh(plans[::-1], trainings[::-1], 5, RandomState(0), one_after_the_other)
    assert_array_equal(found.weights, [0, 1])
    assert found.moderation is None


@pytest.mark.sampled(3)
@pytest.mark.parametrize("draw", [quantities, labels])
@pytest.mark.parametrize("n_folds", [1, 5])
def test_the_order_of_calls_does_not_matter(draw, n_folds):
    """Backwards, or two at a time: every bit is the same, and so are the numbers drawn."""
    plans, trainings = planned(*draw(60), [EXACT, BATCHES, GIVEN])

    def backwards(calls):
        return [call() for call in reversed(calls)][::-1]

    def two_at_a_time(calls):
        with ThreadPoolExecutor(2) as pool, np.errstate(all="ignore"):
            return list(pool.map(lambda call: call(), calls))

    found = []
    for parallel in (one_after_the_other, backwards, two_at_a_time):
        random_state = RandomState(0)
        of_calls = weigh(plans, trainings, n_folds, random_state, parallel)
        found.append((of_calls.weights.tobytes(), of_calls.moderation, random_state.rand()))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("draw", [quantities, labels])
def test_weights_of_rows_are_copies(draw):
    X, Y = draw(40)
    copies = RandomState(1).randint(1, 4, 40)
    settings = [EXACT, GIVEN]
    weighted = planned(X, Y, settings, copies.astype(float))
    copied = planned(X.repeat(copies, axis=0), Y.repeat(copies, axis=0), settings)
    first, second = (weigh(*p, 5, RandomState(0), one_after_the_other) for p in (weighted, copied))
    assert_array_equal(first.weights, second.weights)
    assert first.moderation == second.moderation


@pytest.fixture
def two_of_which_one_is_clean():
    X, Y = quantities(100)
    plan = make_plan(training.task(X, Y, None, 1, "squared_error", Settings()))
    assert [kind.is_clean for kind in plan.kinds] == [False, True]
    return plan.kinds


def outputs_of_loss(ratio, n_rows=100):
    """Errors of the first of two kinds, and of another whose loss is so much of the first's."""
    errors = np.ones((n_rows, 1))
    return np.array([errors, -(ratio**0.5) * errors])


@pytest.mark.parametrize("economical", [False, True])
def test_a_network_without_noise_counts_only_where_it_halves_the_loss(
    two_of_which_one_is_clean, economical
):
    data = np.zeros((100, 1)), np.ones(100), economical
    above = of_rows._stacked(two_of_which_one_is_clean, outputs_of_loss(0.51), *data)
    assert_array_equal(above, [1, 0])
    below = of_rows._stacked(two_of_which_one_is_clean, outputs_of_loss(0.49), *data)
    assert below[1] > 0.5
    # another kind of the same loss need not: only what began without noise is under suspicion
    noisy = [replace(plan, begin="noise") for plan in two_of_which_one_is_clean]
    assert of_rows._stacked(noisy, outputs_of_loss(0.51), *data)[1] > 0.05


def test_once_noise_is_refuted_what_was_believed_of_it_is_too(two_of_which_one_is_clean):
    """Ten rows that spoke for the first kind no longer do."""
    data = np.zeros((15, 1)), np.ones(15), False
    found = of_rows._stacked(two_of_which_one_is_clean, outputs_of_loss(0.4, 15), *data)
    equal = [replace(plan, prior=1.0) for plan in two_of_which_one_is_clean]
    expected = of_rows._stacked(equal, outputs_of_loss(0.4, 15), *data)
    assert_array_equal(found, expected)


def test_the_first_is_there_even_if_it_is_clean(two_of_which_one_is_clean):
    _, clean = two_of_which_one_is_clean
    data = np.zeros((50, 1)), np.ones(50), False
    found = of_rows._stacked([clean, clean], outputs_of_loss(0.9, 50), *data)
    assert_array_equal(found, [1, 0])


@pytest.mark.parametrize(("noise", "is_clean"), [(0.0, True), (0.5, False)])
def test_noise_is_found_where_it_is(noise, is_clean):
    rng = RandomState(0)
    X = rng.rand(60, 2)
    Y = np.sin(3 * X[:, [0]]) * X[:, [1]] + noise * rng.randn(60, 1)
    settings = Settings(n_members=2, hidden_size=10)
    kinds = make_plan(training.task(X, Y, None, 1, "squared_error", settings)).kinds
    trainings = [prepare(kind) for kind in kinds]
    found = weigh(kinds, trainings, 5, RandomState(0), one_after_the_other)
    assert (found.weights[1] > 0) == is_clean


def test_rows_of_which_nobody_knows_count_for_less():
    told = [
        [of_rows.Told(np.zeros((3, 1)), np.array(v)[:, None], np.zeros(1), np.zeros((0, 1, 1)))]
        for v in (
            [1.0, 2.0, 100.0],
            [1.0, 8.0, 10_000.0],
        )
    ]
    found = of_rows._variances(told)
    assert_allclose(found, np.array([1, 4, 1000]) / 335)


@pytest.mark.parametrize(("variance", "is_first"), [(1.0, False), (1e6, True)])
def test_a_row_far_from_all_others_does_not_decide(variance, is_first):
    """The first kind is the better one but for a row, of which either knows how little it knows."""
    plans, trainings = planned(*quantities(50), [EXACT, GIVEN])

    def parallel(trials):
        found = []
        for number, trial in enumerate(trials):
            Y, is_worse = trial.held_out.Y, number % 2 == 1
            Z2, variances = Y + (0.5 if is_worse else 0.1), np.ones((len(Y), 1))
            if number < 2:
                variances[0] = variance
                Z2[0] = Y[0] + (1.0 if is_worse else 50.0)
            found.append(of_rows.Told(Z2, variances, np.zeros(1), np.zeros((0, 1, 1))))
        return found

    found = weigh(plans, trainings, 5, RandomState(0), parallel).weights
    assert (found[0] > found[1]) == is_first


DIVERGED = {
    "the first": [None, "fits", "fits"],
    "the last, in one fold": ["fits", "fits", "once"],
    "all but one": [None, "fits", None],
    "all": [None, None, None],
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("draw", [quantities, labels])
@pytest.mark.parametrize("kinds", DIVERGED.values(), ids=DIVERGED)
def test_what_diverged_has_no_weight(draw, kinds):
    plans, trainings = planned(*draw(50), [EXACT, GIVEN, EXACT])

    def parallel(calls):
        told = [call() for call in calls]
        for number in range(len(told)):
            kind = kinds[number % 3]
            if kind is None or (kind == "once" and number == 5):
                told[number] = None
        return told

    found = weigh(plans, trainings, 5, RandomState(0), parallel).weights
    if not any(kinds):
        return assert_allclose(found, 1 / 3)
    for weight, kind in zip(found, kinds, strict=True):
        assert kind == "fits" or weight == 0
    assert_allclose(found.sum(), 1)


def test_a_network_that_diverges_says_nothing():
    X, Y = quantities(50)
    settings = Settings(solver="sgd", alpha=0.0, learning_rate_init=1e30, max_iter=3)
    (plan,), (rows,) = planned(X, Y, [settings])
    part = rows.part(np.arange(40))
    with np.errstate(all="ignore"):
        found = module._Trial(plan, part, rows.rows.part(np.arange(40, 50)), 0, "")()
    assert found is None


def test_a_trial_says_what_its_network_says_of_rows_it_does_not_know():
    X, Y = quantities(60)
    (plan,), (rows,) = planned(X, np.hstack([Y, Y**2]), [replace(EXACT, store_posterior=False)])
    kept, others = rows.part(np.arange(50)), rows.rows.part(np.arange(50, 60))
    told = module._Trial(plan, kept, others, 3, "")()
    posterior = module.run(plan, kept, RandomState(3)).solution.posterior
    outputs = OutputCovariance(plan.network(), posterior.theta, posterior.covariance)
    Z2, covariance = outputs.of_rows(others.take(slice(None))[0])
    assert_allclose(told.Z2, Z2)
    assert_allclose(told.variance, covariance[:, [0, 1], [0, 1]])
    assert_allclose(told.noise, posterior.noise)
    noisy = covariance + np.diag(posterior.noise)
    assert_allclose(told.total_variance, np.trace(noisy, axis1=1, axis2=2))
    # quantities are not moderated
    assert told.covariance.shape == (0, 2, 2)


def test_two_starts_are_judged_as_the_average_that_they_make():
    X, Y = quantities(60)
    (plan,), (rows,) = planned(X, Y, [replace(EXACT, n_members=3)])
    assert plan.n_judged == 2
    kept, others = rows.part(np.arange(50)), rows.rows.part(np.arange(50, 60))
    told = module._Trial(plan, kept, others, 3, "")()
    found = [module.run(plan, kept, RandomState(seed)).solution.posterior for seed in (3, 4)]
    weights = member_weights(np.array([p.log_evidence for p in found]), 50)
    assert weights.min() > 0.01
    inputs, _, _ = others.take(slice(None))
    each = (OutputCovariance(plan.network(), p.theta, p.covariance).of_rows(inputs) for p in found)
    Z2, covariance = combine(each, weights)
    assert_allclose(told.Z2, Z2, rtol=1e-9)
    noise = sum(w * p.noise[0] for w, p in zip(weights, found, strict=True))
    assert_allclose(told.total_variance, covariance[:, 0, 0] + noise, rtol=1e-9)


# how sure labels are


def test_labels_are_moderated_by_the_same_rows(monkeypatch):
    plans, trainings = planned(*labels(60), [EXACT, GIVEN])
    told, parts = [], []

    def parallel(calls):
        told.extend(call() for call in calls)
        return told

    def choose(loss, blocks, choices):
        parts.extend(blocks)
        return Moderation(0.5, 0.25)

    monkeypatch.setattr(of_rows, "choose_moderation", choose)
    found = weigh(plans, trainings, 5, RandomState(0), parallel)
    assert found.moderation == Moderation(0.5, 0.25)
    assert len(parts) == 5
    for fold, (Z2, covariance, Y, weights) in enumerate(parts):
        both = told[2 * fold : 2 * fold + 2]
        expected = combine(((one.Z2, one.covariance) for one in both), found.weights)
        assert_allclose(Z2, expected[0])
        assert_allclose(covariance, expected[1])
        assert len(Y) == len(weights) == 12
    classes = np.sort(np.concatenate([Y for _, _, Y, _ in parts]))
    assert_array_equal(classes, np.sort(trainings[0].rows.Y))


def test_the_moderation_is_that_under_which_they_are_likeliest():
    plans, trainings = planned(*labels(60), [EXACT, GIVEN])
    told = []

    def parallel(calls):
        told.extend(call() for call in calls)
        return told

    found = weigh(plans, trainings, 5, RandomState(0), parallel)
    order = RandomState(0).permutation(60)
    folds = np.array_split(order, 5)
    both = [told[2 * i : 2 * i + 2] for i in range(5)]
    blocks = [
        (
            *combine(((one.Z2, one.covariance) for one in pair), found.weights),
            trainings[0].rows.Y[rows],
            np.ones(len(rows)),
        )
        for pair, rows in zip(both, folds, strict=True)
    ]
    assert found.moderation == choose_moderation(plans[0].task.loss, blocks)


@pytest.mark.parametrize(("numbers", "expected"), [(10**7, 12), (9 * 7, 7), (1, 1)])
def test_covariances_are_kept_of_some_rows_only(numbers, expected, monkeypatch):
    monkeypatch.setattr(module, "NUMBERS_TO_MODERATE", numbers)
    plans, trainings = planned(*labels(60), [EXACT, GIVEN])
    kept = []

    def parallel(calls):
        found = [call() for call in calls]
        kept.extend(found)
        return found

    weigh(plans, trainings, 5, RandomState(0), parallel)
    assert {told.covariance.shape for told in kept} == {(expected, 3, 3)}
    assert {told.Z2.shape for told in kept} == {(12, 3)}


def test_parts_of_rows_are_in_the_units_of_all(rng):
    (_,), (rows,) = planned(*quantities(50), [EXACT])
    part = rows.part(np.arange(10))
    assert isinstance(part, Training) and part.scaling is rows.scaling
    assert_array_equal(part.rows.Y, rows.rows.Y[:10])


# how quantities scatter


@pytest.mark.parametrize("keeps_posterior", [True, False])
def test_residuals_are_those_of_the_average_in_units_of_its_scale(keeps_posterior):
    X, Y = quantities(60)
    asked = [replace(each, store_posterior=keeps_posterior) for each in (EXACT, GIVEN)]
    plans, trainings = planned(X, np.hstack([Y, Y**2]), asked)
    told = []

    def parallel(calls):
        told.extend(call() for call in calls)
        return told

    found = weigh(plans, trainings, 5, RandomState(0), parallel)
    a, residuals, noises = found.weights, [], []
    assert a.min() > 0
    for fold in range(5):
        both = told[2 * fold : 2 * fold + 2]
        Z2 = sum(w * one.Z2 for w, one in zip(a, both, strict=True))
        # within members, and between them
        variance = sum(
            w * (one.variance + (one.Z2 - Z2) ** 2) for w, one in zip(a, both, strict=True)
        )
        noises.append(sum(w * one.noise for w, one in zip(a, both, strict=True)))
        scale = np.sqrt(variance + noises[-1]) if keeps_posterior else 1
        rows = np.array_split(RandomState(0).permutation(60), 5)[fold]
        residuals.append((trainings[0].rows.Y[rows] - Z2) / scale)
    residuals, noise = np.concatenate(residuals), None
    if not keeps_posterior:
        noise = np.mean(noises, axis=0)
        residuals = residuals / np.sqrt(noise)
        assert_allclose(found.residuals.noise, noise)
    expected = tabulate(residuals, np.ones(60), True, noise)
    assert_allclose(found.residuals.signed, expected.signed, rtol=1e-9)
    assert_allclose(found.residuals.absolute, expected.absolute, rtol=1e-9)
    assert_allclose(found.residuals.deviation, expected.deviation, rtol=1e-9)
    assert found.residuals.by_held_out and found.residuals.with_variance == keeps_posterior


def test_copies_count_in_residuals_as_weights_do():
    X, Y = quantities(40)
    copies = RandomState(1).randint(1, 4, 40)
    weighted = planned(X, Y, [EXACT, GIVEN], copies.astype(float))
    copied = planned(X.repeat(copies, axis=0), Y.repeat(copies, axis=0), [EXACT, GIVEN])
    first, second = (
        weigh(*p, 5, RandomState(0), one_after_the_other).residuals for p in (weighted, copied)
    )
    assert_array_equal(first.signed, second.signed)
    assert first.weight == second.weight == copies.sum()


def test_labels_have_no_residuals():
    plans, trainings = planned(*labels(60), [EXACT, GIVEN])
    assert weigh(plans, trainings, 5, RandomState(0), one_after_the_other).residuals is None


@pytest.mark.parametrize("n_rows", [300, 5000, 150_000, 2**20 + 5])
def test_a_trial_on_one_part_never_meets_the_rows_that_judge_it(n_rows):
    random_state = RandomState(0)
    (rows,) = module._held_out(n_rows, 1, random_state)
    others = module._others(rows, n_rows, random_state)
    assert len(rows) == min(-(-n_rows // module.HELD_OUT), module.MOST_HELD_OUT)
    assert len(others) == min(n_rows - len(rows), module.MOST_KEPT)
    assert len(np.union1d(rows, others)) == len(rows) + len(others)
