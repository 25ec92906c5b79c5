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
}

every_schedule = pytest.mark.parametrize("name", SCHEDULES)


def factors(name):
    factor = SCHEDULES[name].factor
    return [factor(int(epoch), int(ROWS_PER_EPOCH * epoch), SETTINGS) for epoch in EPOCHS]


@pytest.mark.parametrize("name", FORMULAS)
def test_factor_is_the_formula(name):
    assert_allclose(factors(name), FORMULAS[name], rtol=1e-13)


@every_schedule
def test_starts_at_one_and_never_rises(name):
    factor = factors(name)
    assert factor[0] == 1
    assert all(isinstance(f, float) and f > 0 for f in factor)
    assert (np.diff(factor) <= 0).all()


def test_cosine_ends_at_zero_and_stays_there():
    after = [SCHEDULES["cosine"].factor(epoch, 0, SETTINGS) for epoch in (20, 21, 40)]
    assert_allclose(after, 0, atol=1e-15)


def test_adaptive_divides_the_rate_by_five():
    assert SCHEDULES["adaptive"].divide_when_stalled == 5


@every_schedule
def test_survives_pickling(name):
    assert pickle.loads(pickle.dumps(SCHEDULES[name])) == SCHEDULES[name]
