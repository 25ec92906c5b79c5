"""How arguments and answers travel: in one piece, of which each receiver makes things of its own.

Kernels compute in buffers of their own, so that two threads of a worker may not share one. And
arrays that Dask takes off the wire lie at any byte: there NumPy multiplies them without BLAS, which
rounds otherwise.
"""

from typing import Any

import numpy as np
from distributed.protocol import pickle


def packed(thing: Any) -> bytes:
    """The thing in one piece, as Dask would pickle it."""
    return pickle.dumps(thing)


def unpacked(piece: bytes) -> Any:
    """A copy of the thing."""
    return pickle.loads(piece)


def aligned(array: np.ndarray) -> np.ndarray:
    """The array, or a copy where it does not begin where its numbers should."""
    return np.require(array, requirements="A")
