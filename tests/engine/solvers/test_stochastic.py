"""Which weights a stochastic solver keeps: each clause of the rule, on made-up losses."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_twolayer.engine.settings import Settings
from sklearn_twolayer.engine.solvers.monitor import Monitor
from sklearn_twolayer.engine.solvers.stochastic import ROWS_TO_COMPARE, _compare_last_with_best

N_ROWS = 10_000


class Objective:
    """F is read off a table of weights; who asked for it on how many rows is kept."""

    class rows:
        n_rows = N_ROWS

    def __init__(self, values):
        self.values, self.asked = values, []

    def value(self, theta, most_rows):
        self.asked.append(most_rows)
        return self.values[float(theta[0])]


def kept(losses, values, monitor=None, **options):
    """The weights kept after epochs of these running losses, that of epoch i being from i - 1."""
    monitor = monitor or Monitor(tol=0, patience=10**9)
    monitor.start(np.zeros(1))
    for number, loss in enumerate(losses, start=1):
        monitor.record(loss, np.array([float(number)]), measured_on=np.array([number - 1.0]))
    objective = Objective(values)
    settings = Settings(**{"batch_size": 100, **options})
    _compare_last_with_best(objective, np.array([float(len(losses))]), settings, monitor)
    return monitor, objective.asked


def test_the_end_of_the_best_epoch_is_taken_without_a_look():
    monitor, asked = kept([3.0, 2.0, 1.0], {})
    assert (monitor.best_theta, monitor.best_iter, monitor.best_value) == (3, 3, 1.0)
    assert asked == []


@pytest.mark.parametrize(("value_of_last", "theta", "iteration"), [(0.4, 3, 3), (0.6, 1, 1)])
def test_after_a_worse_epoch_best_and_last_are_compared_on_the_same_rows(
    value_of_last, theta, iteration
):
    monitor, asked = kept([3.0, 1.0, 2.0], {1.0: 0.5, 3.0: value_of_last})
    assert (monitor.best_theta, monitor.best_iter) == (theta, iteration)
    assert monitor.best_value == min(0.5, value_of_last)
    assert asked == [ROWS_TO_COMPARE] * 2


def test_the_only_epoch_says_nothing_of_its_end():
    monitor, asked = kept([1.0], {0.0: 0.5, 1.0: 0.7})
    assert (monitor.best_theta, monitor.best_iter) == (0, 0)
    assert asked == [ROWS_TO_COMPARE] * 2


def test_a_single_batch_says_nothing_of_its_end():
    monitor, asked = kept([3.0, 2.0, 1.0], {2.0: 1.0, 3.0: 5.0}, batch_size=N_ROWS)
    assert (monitor.best_theta, monitor.best_iter) == (2, 2)
    assert asked == [ROWS_TO_COMPARE] * 2


def test_restarts_are_compared_on_all_rows():
    monitor, asked = kept([3.0, 2.0, 1.0], {2.0: 0.8, 3.0: 0.7}, n_init=2)
    assert (monitor.best_theta, monitor.best_value) == (3, 0.7)
    assert asked == [N_ROWS] * 2


@pytest.mark.parametrize(
    "options", [{"score": lambda theta: -float(theta[0])}, {"keep_best": False}]
)
def test_scores_and_streams_leave_nothing_to_compare(options):
    monitor, asked = kept([3.0, 1.0, 2.0], {}, Monitor(tol=0, patience=9, **options))
    assert_array_equal(monitor.best_theta, [1.0] if "score" in options else [3.0])
    assert asked == []
