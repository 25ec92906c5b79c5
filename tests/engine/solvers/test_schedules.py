import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_twolayer.engine.settings import Settings
from sklearn_twolayer.engine.solvers.schedules import SCHEDULES

SETTINGS = Settings(power_t=0.7, decay_rate=0.8, decay_epochs=3.5, max_iter=20)
EPOCHS = np.arange(20)
ROWS_PER_EPOCH = 8

FORMULAS = {
    "constant": np.ones(20),
    "invscaling": 1 / (1 + ROWS_PER_EPOCH * EPOCHS) ** 0.7,
    "adaptive": np.ones(20),
    "exponential": np.exp(EPOCHS * np.log(0.8) / 3.5),
    "step": 0.8 ** np.repeat([0, 1, 2, 3, 4, 5], [4, 3, 4, 3, 4, 2]),
    "cosine": np.cos(np.pi * EPOCHS / 40) ** 2,
    # two epochs of twenty up, the others down
    "one_cycle": np.append([0, 0.5], np.cos(np.pi * (EPOCHS[2:] - 2) / 36) ** 2),
}

every_schedule = pytest.mark.parametrize("name", SCHEDULES)


def factors(name):
    factor = SCHEDULES[name].factor
    return [factor(int(epoch), int(ROWS_PER_EPOCH * epoch), SETTINGS) for epoch in EPOCHS]


@pytest.mark.parametrize("name", FORMULAS)
def test_factor_is_the_formula(name):
    assert_allclose(factors(name), FORMULAS[name], rtol=1e-13)


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name != "one_cycle"])
def test_starts_at_one_and_never_rises(name):
    factor = factors(name)
    assert factor[0] == 1
    assert all(isinstance(f, float) and f > 0 for f in factor)
    assert (np.diff(factor) <= 0).all()


def test_cosine_ends_at_zero_and_stays_there():
    after = [SCHEDULES["cosine"].factor(epoch, 0, SETTINGS) for epoch in (20, 21, 40)]
    assert_allclose(after, 0, atol=1e-15)


def test_one_cycle_rises_from_zero_to_one_and_ends_at_zero():
    schedule = SCHEDULES["one_cycle"]
    assert schedule.by_step
    when = np.linspace(0, 20, 2001)[:-1]
    found = np.array([schedule.factor(epoch, 0, SETTINGS) for epoch in when])
    assert all(0 <= f <= 1 for f in found) and found[0] == 0 and found.max() == 1
    top = found.argmax()
    assert when[top] == 2
    assert (np.diff(found[: top + 1]) > 0).all() and (np.diff(found[top:]) < 0).all()
    # without a jump, and at the very end next to nothing
    assert np.abs(np.diff(found)).max() < 0.01 and found[-1] < 1e-5


def test_a_warm_start_begins_another_cycle():
    factor = SCHEDULES["one_cycle"].factor
    assert [factor(epoch + 20, 0, SETTINGS) for epoch in EPOCHS] == factors("one_cycle")


def test_only_one_cycle_goes_by_the_step():
    assert [name for name, schedule in SCHEDULES.items() if schedule.by_step] == ["one_cycle"]


def test_adaptive_divides_the_rate_by_five():
    assert SCHEDULES["adaptive"].divide_when_stalled == 5


@every_schedule
def test_survives_pickling(name):
    assert pickle.loads(pickle.dumps(SCHEDULES[name])) == SCHEDULES[name]
