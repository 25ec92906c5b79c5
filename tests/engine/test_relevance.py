"""The choice of columns: which strength is taken, what stands for columns that are dropped."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.random import RandomState
from numpy.testing import assert_array_equal
from scipy import sparse

from sklearn_twolayer import engine
from sklearn_twolayer.engine.fitting import one_after_the_other
from sklearn_twolayer.engine.relevance import _chosen, _Path, choose_columns, without

N_ROWS = 400


def path(excesses, columns, seed=0, spread=1.0, copies=1.0):
    """Losses of strengths that are so much larger on average than those of the first."""
    rng = RandomState(seed)
    first = rng.rand(N_ROWS)
    losses = [first + excess + spread * _centred(rng) for excess in excesses]
    return _Path(np.array(columns, dtype=bool), np.array(losses), np.full(N_ROWS, copies))


def _centred(rng):
    noise = rng.randn(N_ROWS)
    return (noise - noise.mean()) / noise.std()


ONE_ERROR = 1 / N_ROWS**0.5
COLUMNS = [[1, 1, 1], [1, 1, 0], [1, 0, 0], [0, 0, 0]]
RULES = {
    # differences of two spreads have a deviation of about sqrt(2)
    "within": ([0.0, 0.5 * ONE_ERROR, 1.2 * ONE_ERROR, 1.0], 1.0, [1, 0, 0]),
    "beyond": ([0.0, 0.5 * ONE_ERROR, 3.0 * ONE_ERROR, 1.0], 1.0, [1, 1, 0]),
    "not first": ([0.5, 0.5, 0.0, 1.0], 1.0, [1, 0, 0]),
    "strongest": ([0.0, -0.1, 3.0, -0.1], 1.0, [0, 0, 0]),
    "row by row": ([0.0, 0.01, 0.01, 0.01], 1e-3, [1, 1, 1]),
}


@pytest.mark.parametrize(("excesses", "spread", "expected"), RULES.values(), ids=RULES)
def test_the_strongest_within_one_standard_error_of_the_best_is_taken(excesses, spread, expected):
    assert_array_equal(_chosen([path(excesses, COLUMNS, spread=spread)]), expected)


def test_rows_that_stand_for_more_make_surer():
    excesses = [0.0, 0.5 * ONE_ERROR, 0.5 * ONE_ERROR, 0.5 * ONE_ERROR]
    assert_array_equal(_chosen([path(excesses, COLUMNS)]), [0, 0, 0])
    assert_array_equal(_chosen([path(excesses, COLUMNS, copies=100.0)]), [1, 1, 1])


def test_folds_vote_and_a_path_that_ended_stays_where_it_ended():
    flat, short = [0.0] * 4, [0.0] * 2
    paths = [path(flat, COLUMNS, 0), path(short, COLUMNS[:2], 1), path(short, COLUMNS[:2], 2)]
    assert_array_equal(_chosen(paths), [1, 1, 0])


def task(X, Y, loss="squared_error", **options):
    Y = Y if Y.ndim == 2 or Y.dtype.kind != "f" else Y[:, None]
    n_outputs = 1 if Y.ndim == 2 else int(Y.max()) + 1
    return engine.Task(X, Y, None, n_outputs, engine.LOSSES[loss], engine.Settings(), **options)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("loss", [n for n, each in engine.LOSSES.items() if not each.labels])
def test_every_loss_of_quantities_tells(loss):
    rng = RandomState(0)
    X = rng.randn(200, 4)
    Y = np.exp(X[:, 0]) * (0.8 + 0.4 * rng.rand(200))
    if loss == "binary_log_loss":
        Y = (Y > 1).astype(float)
    used = choose_columns(task(X, Y, loss), RandomState(0), one_after_the_other)
    assert used[0] and not used.all()


def test_a_column_that_is_dropped_is_constant():
    X = np.array([[1.0, 2.0, np.nan], [4.0, 0.0, 6.0]])
    used = np.array([True, False, False])
    n_levels = np.array([engine.NUMBER, 3, engine.NUMBER])
    assert_array_equal(without(X, used, None), [[1, 0, 0], [4, 0, 0]])
    assert_array_equal(without(X, used, n_levels), [[1, -1, 0], [4, -1, 0]])
    found = without(sparse.csr_array(np.nan_to_num(X)), used, None)
    assert_array_equal(found.toarray(), [[1, 0, 0], [4, 0, 0]])
    assert found.nnz == 2 and np.isnan(X[0, 2])


def test_held_out_rows_count_by_their_weights():
    rng, found = RandomState(0), []
    X, weights = rng.randn(60, 2), rng.randint(1, 4, 60).astype(float)
    asked = replace(task(X, X[:, 0]), weights=weights)

    def parallel(calls):
        found.extend(call() for call in calls)
        return found

    choose_columns(asked, RandomState(0), parallel)
    copies = np.concatenate([path.copies for path in found])
    assert_array_equal(np.sort(np.round(copies, 9)), np.sort(weights))
