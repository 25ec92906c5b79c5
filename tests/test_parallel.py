"""Networks trained at the same time are those trained one after the other."""

import os

import numpy as np
import pytest
from joblib import parallel_config
from numpy.testing import assert_array_equal
from sklearn.base import clone
from threadpoolctl import threadpool_info, threadpool_limits

from mixed_frames import frame, outputs, targets
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer._parallel import parallel

N_ROWS = 30
SEVERAL = {"hidden_size": 2, "n_init": 2, "n_members": 2, "random_state": 0}

either_estimator = pytest.mark.parametrize("estimator", [TwoLayerClassifier, TwoLayerRegressor])


def fitted(estimator, **options):
    X = frame(N_ROWS)
    return estimator(**SEVERAL, **options).fit(X, targets(X, estimator))


def bits(model):
    """All that training found, to the last bit."""
    arrays = [*model.coefs_, *model.intercepts_, model.loss_curve_, model.alpha_]
    return [np.asarray(array).tobytes() for array in [*arrays, outputs(model, frame(N_ROWS))]]


def blas_threads():
    return [
        library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"
    ]


def number_of_process():
    return os.getpid()


def fail():
    raise ZeroDivisionError("in a worker")


@either_estimator
def test_as_many_jobs_as_there_may_be_give_the_same_bits(estimator):
    expected = bits(fitted(estimator))
    assert bits(fitted(estimator, n_jobs=1)) == expected
    assert bits(fitted(estimator, n_jobs=2)) == expected
    with parallel_config(n_jobs=2):
        assert bits(fitted(estimator)) == expected
    with parallel_config("threading"):
        assert bits(fitted(estimator, n_jobs=2)) == expected


def test_two_jobs_are_two_processes_and_one_is_none_of_its_own():
    calls = [number_of_process] * 4
    assert set(parallel(None)(calls)) == set(parallel(1)(calls)) == {os.getpid()}
    assert os.getpid() not in parallel(2)(calls)
    with parallel_config(n_jobs=2):
        assert os.getpid() not in parallel(None)(calls)
    assert parallel(2)(calls[:1]) == [os.getpid()]


def test_no_more_workers_start_than_there_are_calls():
    # so many processes would take all memory there is
    assert len(parallel(10**400)([number_of_process] * 2)) == 2


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_every_run_has_one_blas_thread_and_they_are_given_back(backend):
    with threadpool_limits(2, user_api="blas"), parallel_config(backend):
        before = blas_threads()
        found = parallel(2)([blas_threads] * 4)
        assert all(set(of_run) == {1} for of_run in found)
        assert blas_threads() == before
        fitted(TwoLayerRegressor, n_jobs=2)
        assert blas_threads() == before


def test_an_error_in_a_worker_leaves_the_estimator_as_before(monkeypatch):
    X = frame(N_ROWS)
    y = targets(X, TwoLayerRegressor)
    model = fitted(TwoLayerRegressor, n_jobs=2)
    before = dict(vars(model))
    monkeypatch.setattr(
        "sklearn_twolayer._base.parallel",
        lambda n_jobs: lambda calls: parallel(n_jobs)([*calls, fail]),
    )
    with pytest.raises(ZeroDivisionError, match="in a worker"):
        model.fit(X, y)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is before[name] for name in before)


def test_what_is_printed_says_the_same_at_last(capfd):
    last = []
    for n_jobs in (1, 2):
        fitted(TwoLayerClassifier, n_jobs=n_jobs, verbose=True)
        printed = capfd.readouterr().out.splitlines()
        assert any(line.startswith("member 2 of 2, start 2 of 2") for line in printed)
        last.append(printed[-1])
    assert last[0] == last[1]
    assert "average of 2 networks, best of 2 starts each" in last[0]


@pytest.mark.parametrize("n_jobs", [0, 1.5, True, "2"])
@either_estimator
def test_other_numbers_of_jobs_are_refused(estimator, n_jobs):
    model = estimator(n_jobs=n_jobs)
    X = frame(N_ROWS)
    with pytest.raises((ValueError, TypeError), match=r"^n_jobs must be None or an integer other"):
        model.fit(X, targets(X, estimator))
    assert not hasattr(model, "coefs_")


def test_a_search_may_run_estimators_that_run_jobs():
    X = frame(N_ROWS)
    y = targets(X, TwoLayerRegressor)
    model = TwoLayerRegressor(**SEVERAL, n_jobs=2)

    def predicted():
        return clone(model).fit(X, y).predict(X)

    first, second = parallel(2)([predicted, predicted])
    assert_array_equal(first, second)
    assert_array_equal(first, predicted())
