"""Training runs at the same time, by joblib: the networks of an average, restarts and trials.

Each run is given its seed beforehand and has one BLAS thread wherever it takes place, so that its
bits do not depend on how many there are, and threads of two kinds do not fight for the processor.
"""

import functools

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs

from ._threads import one_blas_thread_if_small


def parallel(n_jobs):
    """What makes calls, at most `n_jobs` at a time, and returns a list of what they return."""
    return functools.partial(_in_parallel, n_jobs)


def _in_parallel(n_jobs, calls):
    # a worker that has nothing to do would start all the same
    n_workers = min(effective_n_jobs(n_jobs), len(calls))
    if n_workers < 2:
        return [_alone(call) for call in calls]
    return Parallel(n_jobs=n_workers)(delayed(_alone)(call) for call in calls)


def _alone(call):
    with one_blas_thread_if_small(0), np.errstate(all="ignore"):
        return call()
