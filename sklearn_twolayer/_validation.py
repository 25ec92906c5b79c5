"""What comes in from outside is checked here, once, before anything is changed."""

from contextlib import contextmanager

import numpy as np
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data


def check_X(estimator, X, reset):
    """Finite float32 or float64 rows, dense or canonical CSR."""
    X = validate_data(
        estimator, X, reset=reset, accept_sparse="csr", dtype=(np.float64, np.float32)
    )
    return _canonical(X)


def _canonical(X):
    if sparse.issparse(X) and not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def check_X_y(estimator, X, y):
    """Rows as `check_X` gives them, and as many targets of any finite kind."""
    X, y = validate_data(
        estimator,
        X,
        y,
        accept_sparse="csr",
        dtype=(np.float64, np.float32),
        multi_output=True,
    )
    return _canonical(X), y


def check_sample_weight(sample_weight, n_rows):
    """Finite, non-negative, not all zero: an array (n_rows,) in float64, or None."""
    if sample_weight is None:
        return None
    weights = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if weights.shape != (n_rows,):
        raise ValueError(
            f"sample_weight must have shape ({n_rows},), one number per row of X, "
            f"got shape {weights.shape}"
        )
    if np.any(weights < 0):
        raise ValueError(f"sample_weight must not be negative, got {weights.min()}")
    with np.errstate(over="ignore"):
        total = weights.sum()
    if total == 0:
        raise ValueError("sample_weight must not be zero for all rows")
    if not np.isfinite(total):
        raise ValueError("sample_weight must have a finite sum")
    return weights


def drop_zero_weights(X, y, weights):
    """Rows that count for nothing do not take part in anything."""
    if weights is None or weights.all():
        return X, y, weights
    kept = np.flatnonzero(weights)
    return X[kept], y[kept], weights[kept]


@contextmanager
def unchanged_on_error(estimator):
    """Whatever goes wrong inside, the estimator's attributes are as before."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
