"""Small matrix products are slower on two threads than on one; this keeps them on one."""

import functools
import threading
from contextlib import contextmanager

from threadpoolctl import ThreadpoolController

SMALL_PRODUCT = 2**29
"""Multiplications of one matrix product below which threads cost more than they bring.

On two cores a second thread made fits with products of 2^22 to 2^25 up to fifteen times slower, of
2^28 a quarter slower, and of 2^30 and more a tenth to a fifth faster.
"""

_lock = threading.Lock()
_inside = 0
_limiter = None


@functools.cache
def _controller():
    # finding the libraries takes milliseconds; NumPy's and SciPy's are loaded by now
    return ThreadpoolController()


@contextmanager
def one_blas_thread_if_small(product_size):
    """Limit BLAS to one thread inside the block when products are small.

    Concurrent blocks share one limit: the first sets it, the last restores what was before.
    """
    if product_size >= SMALL_PRODUCT:
        yield
        return
    global _inside, _limiter
    with _lock:
        if _inside == 0:
            _limiter = _controller().limit(limits=1, user_api="blas")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _limiter.restore_original_limits()
                _limiter = None
