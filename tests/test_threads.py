"""BLAS threads: one where products are small, the caller's own elsewhere and afterwards.

What must hold where several threads are allowed runs in a process of its own: other tests have one.
"""

import functools
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from threadpoolctl import threadpool_info, threadpool_limits

from kinds import slow
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor, _threads
from sklearn_twolayer._threads import SMALL_PRODUCT, one_blas_thread_if_small
from sklearn_twolayer.engine import LOSSES, Settings, Shape, Task, make_plan

ONE_THREAD = "this BLAS has one thread"
can_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


def threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.fixture
def two_threads():
    with threadpool_limits(2, user_api="blas"):
        if threads() != {2}:
            pytest.skip(ONE_THREAD)
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


def test_large_products_have_one_thread_while_small_ones_run_beside_them(two_threads):
    with one_blas_thread_if_small(SMALL_PRODUCT):
        with ThreadPoolExecutor(1) as pool:
            block = one_blas_thread_if_small(1)
            pool.submit(block.__enter__).result()
            assert threads() == {1}
            pool.submit(block.__exit__, None, None, None).result()
        assert threads() == {2}


class Library:
    """What threadpoolctl shows of a BLAS library; `fails` holds the settings that raise once."""

    internal_api, threading_layer = "openblas", "pthreads"

    def __init__(self, n_threads, fails=()):
        self._n_threads, self._fails = n_threads, list(fails)

    @property
    def num_threads(self):
        return self._n_threads

    def set_num_threads(self, num_threads):
        if num_threads in self._fails:
            self._fails.remove(num_threads)
            raise OSError("no such limit")
        self._n_threads = num_threads


class LibraryOfEachThread(Library):
    """As OpenBLAS with OpenMP: a limit holds in the thread that sets it, not in others."""

    threading_layer = "openmp"

    def __init__(self, n_threads):
        self._default, self._own = n_threads, threading.local()

    @property
    def num_threads(self):
        return getattr(self._own, "n_threads", self._default)

    def set_num_threads(self, num_threads):
        self._own.n_threads = num_threads


@pytest.fixture
def use_libraries(monkeypatch):
    def use(*libraries):
        monkeypatch.setattr(_threads, "_libraries", lambda: libraries)
        return libraries

    return use


@pytest.mark.parametrize("setting", [1, 4])
def test_an_error_while_a_limit_is_set_or_restored_leaves_nothing_behind(setting, use_libraries):
    libraries = use_libraries(Library(3), Library(4, fails=[setting]), Library(5))
    with pytest.raises(OSError, match="no such limit"), one_blas_thread_if_small(1):
        assert [library.num_threads for library in libraries] == [1, 1, 1]
    with one_blas_thread_if_small(1):
        assert [library.num_threads for library in libraries] == [1, 1, 1]
    assert [library.num_threads for library in libraries] == [3, 4, 5]


def test_a_limit_of_each_thread_is_set_and_restored_in_each(use_libraries):
    (library,) = use_libraries(LibraryOfEachThread(4))
    pools = [ThreadPoolExecutor(1) for _ in range(2)]
    blocks = [one_blas_thread_if_small(1) for _ in pools]

    def limits():
        return [pool.submit(lambda: library.num_threads).result() for pool in pools]

    for pool, block in zip(pools, blocks, strict=True):
        pool.submit(block.__enter__).result()
    assert (limits(), library.num_threads) == ([1, 1], 4)
    pools[0].submit(blocks[0].__exit__, None, None, None).result()
    assert limits() == [4, 1]
    pools[1].submit(blocks[1].__exit__, None, None, None).result()
    assert limits() == [4, 4]
    for pool in pools:
        pool.shutdown()


@pytest.fixture(params=[None, *slow(["2"])], ids=["threads_unset", "two_threads"])
def in_fresh_process(request):
    """Call a function of this file where BLAS may use several threads from the start."""
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    if request.param is not None:
        environment["OPENBLAS_NUM_THREADS"] = request.param

    def call(function):
        name = function.__name__
        code = f"import {__name__} as tests; tests.threads() == {{1}} or tests.{name}(); "
        code += "print(tests.threads())"
        done = subprocess.run(
            [sys.executable, "-W", "ignore:.*fork:DeprecationWarning", "-c", code],
            cwd=Path(__file__).parent,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        if done.stdout.split() == ["{1}"]:
            pytest.skip(ONE_THREAD)

    return call


def small(**parameters):
    return TwoLayerClassifier(5, max_iter=20, tol=0.0, random_state=0, **parameters)


def watched(record):
    """A fit that calls `record` after each epoch, as its score on rows set aside."""

    def scoring(estimator, X, y):
        record()
        return 0.0

    return small(solver="adam", early_stopping=True, scoring=scoring)


def at_once(functions):
    """Call all functions at the same time, each in a thread of its own."""
    barrier = threading.Barrier(len(functions))

    def call(function):
        barrier.wait()
        return function()

    with ThreadPoolExecutor(len(functions)) as pool:
        return list(pool.map(call, functions))


def concurrent_fits():
    X, y = load_breast_cancer(return_X_y=True)
    before = threads()

    def fail():
        def interrupt():
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            watched(interrupt).fit(X, y)

    for _ in range(5):
        # of different lengths, so that the first to begin is not the last to end
        at_once([fail] + [lambda n=n: small().set_params(max_iter=n).fit(X, y) for n in (2, 9, 40)])
        assert threads() == before


def test_concurrent_fits_give_back_the_callers_threads(in_fresh_process):
    in_fresh_process(concurrent_fits)


def fits_in_workers():
    X, y = load_breast_cancer(return_X_y=True)
    before, inside = threads(), []
    watched(lambda: inside.append(threads())).fit(X, y)
    at_once([lambda: watched(lambda: inside.append(threads())).fit(X, y)] * 2)
    assert inside == [{1}] * len(inside) and len(inside) > 6
    assert threads() == before


def test_workers_have_one_thread_after_a_fit_in_the_main_thread(in_fresh_process):
    in_fresh_process(fits_in_workers)


FITS = [
    (TwoLayerClassifier(64, solver="adam", max_iter=2, random_state=0), load_digits),
    (TwoLayerClassifier(20, solver="lbfgs", max_iter=6, alpha=1.0, random_state=0), load_digits),
    (TwoLayerClassifier(random_state=0, max_iter=2), load_breast_cancer),
    (TwoLayerRegressor(random_state=0, max_iter=2), load_diabetes),
]


@functools.cache
def table(load):
    return load(return_X_y=True)


def fitted_bits(estimator, load):
    model = clone(estimator).fit(*table(load))
    return b"".join(part.tobytes() for part in [*model.coefs_, *model.intercepts_])


def threaded_fits():
    serial = [fitted_bits(*fit) for fit in FITS]
    assert at_once([lambda fit=fit: fitted_bits(*fit) for fit in FITS * 2]) == serial * 2
    with joblib.parallel_config(backend="threading", n_jobs=2):
        assert joblib.Parallel()(joblib.delayed(fitted_bits)(*fit) for fit in FITS) == serial


def test_threads_give_the_bits_of_serial_fits(in_fresh_process):
    in_fresh_process(threaded_fits)


def forked(child):
    """Whether a forked child comes to the end of `child`, and does so before long."""
    process = os.fork()
    if process == 0:
        try:
            child()
        except BaseException as error:
            os.write(2, f"{error!r}\n".encode())
            os._exit(1)
        os._exit(0)
    return ends(process)


def ends(process, patience=30):
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return status == 0
        time.sleep(0.001)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return False


def forks_beside_fits(n_forks=8):
    fit, before = FITS[0], threads()
    serial = fitted_bits(*fit)
    done = threading.Event()

    def go_on_fitting():
        X, y = load_breast_cancer(return_X_y=True)
        while not done.is_set():
            small(solver="lm").set_params(max_iter=1).fit(X, y)

    def child():
        assert threads() == before
        assert fitted_bits(*fit) == serial
        assert threads() == before

    workers = [threading.Thread(target=go_on_fitting) for _ in range(2)]
    for worker in workers:
        worker.start()
    all_ended = all(forked(child) for _ in range(n_forks))
    done.set()
    for worker in workers:
        worker.join()
    assert all_ended
    assert threads() == before


@can_fork
def test_children_forked_beside_fits_have_the_callers_threads_and_fit(in_fresh_process):
    in_fresh_process(forks_beside_fits)


def fork_inside_a_fit():
    X, y = load_breast_cancer(return_X_y=True)
    before, inside, children = threads(), [], []
    serial = watched(lambda: None).fit(X, y)

    def fork_once():
        inside.append(threads())
        if len(inside) == 2:
            children.append(os.fork())
            inside.append(threads())

    with ThreadPoolExecutor(1) as pool:
        other = one_blas_thread_if_small(1)
        pool.submit(other.__enter__).result()
        model = watched(fork_once).fit(X, y)
        # the other thread's block is still there in the parent, and does not exist in the child
        after = threads()
        good = inside == [{1}] * len(inside) and len(inside) > 3
        good &= all((a == b).all() for a, b in zip(model.coefs_, serial.coefs_, strict=True))
        good &= after == ({1} if children[0] else before)
        if children[0] == 0:
            os._exit(0 if good else 1)
        pool.submit(other.__exit__, None, None, None).result()
    assert good
    assert ends(children[0])
    assert threads() == before


@can_fork
def test_a_fit_goes_on_in_a_child_forked_from_inside_it(in_fresh_process):
    in_fresh_process(fork_inside_a_fit)


def size_of(n_rows, n_features, **settings):
    X = np.arange(n_rows * n_features, dtype=float).reshape(n_rows, n_features)
    Y = np.ones((n_rows, 1))
    task = Task(X, Y, None, 1, LOSSES["squared_error"], Settings(**settings))
    return make_plan(task).product_size


def test_sizes_are_those_of_the_products_of_each_solver():
    adam = {"solver": "adam", "hidden_size": 30}
    assert size_of(500, 7, **adam, batch_size=100) == 100 * 7 * 30
    assert size_of(50, 7, **adam, batch_size=100) == 50 * 7 * 30
    assert size_of(500, 7, solver="lbfgs", hidden_size=30) == 500 * 7 * 30
    n_parameters = Shape(7, 30, 1).size
    lm = {"solver": "lm", "alpha": 1.0, "hidden_size": 30}
    assert size_of(500, 7, **lm) == 500 * n_parameters**2 // 16
