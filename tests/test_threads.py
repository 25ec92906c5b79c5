"""BLAS threads: one where products are small, the caller's own elsewhere and afterwards."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from sklearn_twolayer._threads import SMALL_PRODUCT, one_blas_thread_if_small
from sklearn_twolayer.engine import Settings, Shape, Task, product_size


def threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.fixture
def two_threads():
    with threadpool_limits(2, user_api="blas"):
        if threads() != {2}:
            pytest.skip("this BLAS has no two threads")
        yield


@pytest.mark.parametrize(("size", "inside"), [(SMALL_PRODUCT - 1, {1}), (SMALL_PRODUCT, {2})])
def test_only_small_products_are_kept_to_one_thread(size, inside, two_threads):
    with one_blas_thread_if_small(size):
        assert threads() == inside
    assert threads() == {2}


def test_the_callers_threads_come_back_after_an_error_and_after_the_last_of_several(two_threads):
    with one_blas_thread_if_small(1):
        with pytest.raises(ZeroDivisionError), one_blas_thread_if_small(1):
            raise ZeroDivisionError
        assert threads() == {1}
    assert threads() == {2}


def size_of(n_rows, n_features, **settings):
    X, Y = np.ones((n_rows, n_features)), np.ones((n_rows, 1))
    return product_size(Task(X, Y, None, 1, "squared_error", Settings(**settings)))


def test_sizes_are_those_of_the_products_of_each_solver():
    adam = {"solver": "adam", "hidden_size": 30}
    assert size_of(500, 7, **adam, batch_size=100) == 100 * 7 * 30
    assert size_of(50, 7, **adam, batch_size=100) == 50 * 7 * 30
    assert size_of(500, 7, solver="lbfgs", hidden_size=30) == 500 * 7 * 30
    n_parameters = Shape(7, 30, 1).size
    lm = {"solver": "lm", "alpha": 1.0, "hidden_size": 30}
    assert size_of(500, 7, **lm) == 500 * n_parameters**2 // 16
