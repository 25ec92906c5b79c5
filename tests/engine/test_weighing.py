"""Weights of networks of constant noise and of varying noise, by what they say of held-out rows."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.random import RandomState
from numpy.testing import assert_allclose

from sklearn_twolayer.engine.held_out import weigh
from sklearn_twolayer.engine.model.varying_noise import VaryingNoise
from sklearn_twolayer.engine.settings import Settings
from sklearn_twolayer.engine.weighing import Told, weights_of_kinds
from training import planned, quantities

N = 200


@pytest.fixture
def of_both():
    """The plans of a network of constant noise, and of one whose noise varies."""
    plans, trainings = planned(*quantities(N), [Settings(solver="lm", hidden_size=4)])
    (plan,) = plans
    loss = VaryingNoise(beside_constant=True)
    shape = replace(plan.shape, n_outputs=2)
    task = replace(plan.task, loss=loss, n_outputs=2)
    varying = replace(plan, task=task, shape=shape)
    return [replace(varying, has_constant_noise=True), varying], trainings * 2


def told(mean, log_variance):
    """One part of held-out rows, of certain outputs."""
    Z2 = np.stack([mean, log_variance], axis=1)
    return [Told(Z2, np.zeros_like(Z2), np.ones(1), np.zeros((0, 2, 2)))]


@pytest.mark.parametrize("is_varying", [False, True])
def test_means_and_densities_have_weights_of_their_own(of_both, is_varying):
    plans, _ = of_both
    Y, none = RandomState(0).randn(N, 1), np.zeros(N)
    # the mean of one is nearer, but it is too sure in every second row
    near, off = 0.8 * Y[:, 0], none
    overconfident = np.where(np.arange(N) % 2, 0.0, -9.0)
    means = [off, near] if is_varying else [near, off]
    densities = [none, overconfident] if is_varying else [overconfident, none]
    parts = [told(*each) for each in zip(means, densities, strict=True)]
    in_mean, in_density = weights_of_kinds(plans, parts, Y, np.ones(N), False)
    assert_allclose([in_mean.sum(), in_density.sum()], 1)
    assert in_mean[int(is_varying)] > 0.8
    assert in_density[int(is_varying)] < 0.6


def test_a_density_that_counts_for_nothing_has_no_mean(of_both):
    plans, _ = of_both
    Y = RandomState(0).randn(N, 1)
    parts = [told(np.zeros(N), np.full(N, 9.0)), told(np.zeros(N), np.zeros(N))]
    for found in weights_of_kinds(plans, parts, Y, np.ones(N), False):
        assert_allclose(found, [0, 1])


def test_networks_of_constant_noise_are_held_out_as_if_alone(of_both):
    plans, trainings = of_both

    def seeds_of(kinds):
        made = []

        def parallel(trials):
            made.extend(trial.seed for trial in trials)
            return []

        weigh(kinds, trainings[: len(kinds)], 5, RandomState(0), parallel)
        return made

    alone = seeds_of(plans[1:])
    assert seeds_of(plans) == [seed for seed in alone for _ in plans]
