"""Small matrix products are slower on two threads than on one; this keeps them on one."""

import functools
import os
import threading
from contextlib import contextmanager

from threadpoolctl import ThreadpoolController

SMALL_PRODUCT = 2**29
"""Multiplications of one matrix product below which threads cost more than they bring.

On two cores a second thread made fits with products of 2^22 to 2^25 up to fifteen times slower, of
2^28 a quarter slower, and of 2^30 and more a tenth to a fifth faster.
"""

# re-entrant, as a signal may interrupt the thread that holds it and start a fit or a process
_lock = threading.RLock()
_blocks = {}
"""The blocks that need one thread now, each with the thread that runs it."""
_limits = {}
"""What to restore: the limit of each changed (library, thread), thread None for all of them."""


@contextmanager
def one_blas_thread_if_small(product_size):
    """Limit BLAS to one thread inside the block when products are small.

    Most libraries have one limit for the whole process: the first of several concurrent blocks
    sets it, the last restores it. Large products beside them run on one thread until then.
    """
    if product_size >= SMALL_PRODUCT:
        yield
        return
    block = object()
    try:
        _enter(block)
        yield
    finally:
        _leave(block)


def _enter(block):
    with _lock:
        _blocks[block] = threading.get_ident()
        for library in _libraries():
            n_threads = library.num_threads
            # what has one thread already is left alone: whoever set that will restore it
            if n_threads is not None and n_threads != 1:
                _limits.setdefault((library, _reach(library)), n_threads)
                _set_limit(library, 1)


def _leave(block):
    with _lock:
        _blocks.pop(block, None)
        _restore()


def _restore():
    """Give back the limits that no block needs any more."""
    this_thread, running = threading.get_ident(), set(_blocks.values())
    for (library, thread), n_threads in list(_limits.items()):
        if thread is None:
            needed = bool(running)
        else:
            # the limit of another thread can only be set there
            needed = thread != this_thread or thread in running
        if not needed:
            _set_limit(library, n_threads)
            # not before: an interrupt between the two would lose what to restore
            _limits.pop((library, thread), None)


@functools.cache
def _libraries():
    # finding the libraries takes milliseconds; NumPy's and SciPy's are loaded by now
    return ThreadpoolController().select(user_api="blas").lib_controllers


def _reach(library):
    """The thread that a limit set here holds for, None if for the whole process."""
    if library.internal_api == "openblas" and library.threading_layer == "openmp":
        return threading.get_ident()
    return None


def _set_limit(library, n_threads):
    """Set a limit from any thread.

    From threadpoolctl 3.8 on only one thread controls OpenBLAS, and what others set is ignored.
    """
    release_control = getattr(library, "clear_controlling_thread", lambda force: None)
    release_control(force=True)
    library.set_num_threads(n_threads)
    release_control(force=True)


def _hold_still():
    # no other thread may be half way through a change of limits while the process forks
    _lock.acquire()


def _go_on():
    _lock.release()


def _forget_other_threads():
    """In a forked child only the blocks of the thread that forked go on."""
    global _lock
    _lock = threading.RLock()
    this_thread = threading.get_ident()
    for block, thread in list(_blocks.items()):
        if thread != this_thread:
            del _blocks[block]
    for library, thread in list(_limits):
        if thread not in (None, this_thread):
            del _limits[library, thread]
    _restore()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_hold_still, after_in_parent=_go_on, after_in_child=_forget_other_threads
    )
