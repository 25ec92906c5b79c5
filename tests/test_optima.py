"""One optimum, whichever way one walks there: the solver and the batch size do not move it."""

from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose

from kinds import IGNORE_CONVERGENCE
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

pytestmark = IGNORE_CONVERGENCE

N_ROWS = 120
WITHOUT_END = {"tol": 0.0, "n_iter_no_change": 10**9, "random_state": 0}


class Problem(NamedTuple):
    """Columns of mean 0 and standard deviation 1, so that raw units are the engine's own."""

    estimator: type
    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    alpha: float = 40.0

    def fit(self, solver, **options):
        model = self.estimator(
            5, activation="identity", solver=solver, alpha=self.alpha, **{**WITHOUT_END, **options}
        )
        return model.fit(self.X, self.y, sample_weight=self.weights)

    def objective(self, model):
        """F of the fitted weights, from its definition."""
        squares = sum((W**2).sum() for W in model.coefs_)
        return (self.weights @ self.losses(model) + self.alpha / 2 * squares) / self.weights.sum()

    def losses(self, model):
        if isinstance(model, TwoLayerRegressor):
            return ((model.predict(self.X) - self.y) ** 2).reshape(len(self.y), -1).sum(axis=1) / 2
        log_P = model.predict_log_proba(self.X)
        if self.y.ndim == 1:
            return -log_P[np.arange(len(self.y)), self.y]
        log_Q = np.log1p(-np.exp(log_P))
        return -np.where(self.y, log_P, log_Q).sum(axis=1)


def standardized(columns, weights):
    mean = np.average(columns, axis=0, weights=weights)
    return (columns - mean) / np.average((columns - mean) ** 2, axis=0, weights=weights) ** 0.5


def problem(kind, n_rows=N_ROWS):
    rng = np.random.RandomState(0)
    weights = rng.randint(1, 4, n_rows)
    X = standardized(rng.randn(n_rows, 3), weights)
    score = X @ [[1, 0.2, -0.5], [-1, 1, 0.3], [0.5, -0.3, 1]] + 0.7 * rng.randn(n_rows, 3)
    targets = {
        "binary": lambda: (score[:, 0] > 0.3).astype(int),
        "multiclass": lambda: score.argmax(axis=1),
        "multilabel": lambda: (score[:, :2] > 0).astype(int),
        "one target": lambda: standardized(score[:, 0], weights),
        "two targets": lambda: standardized(score[:, :2], weights),
    }
    estimator = TwoLayerRegressor if "target" in kind else TwoLayerClassifier
    return Problem(estimator, X, targets[kind](), weights)


KINDS = ["binary", "multiclass", "multilabel", "one target", "two targets"]
every_kind = pytest.mark.parametrize("kind", KINDS)

# a walk of equal length in steps, whatever the batch size
DECAYING = {
    "exponential": {"learning_rate": "exponential", "decay_rate": 0.5},
    "cosine": {"learning_rate": "cosine"},
}
RATES = {"sgd": 0.02, "rmsprop": 0.01, "adam": 0.02}


def walk(solver, batch_size, schedule, n_rows=N_ROWS, n_steps=2500):
    """Settings under which a stochastic solver comes to rest."""
    n_batches = -(-n_rows // batch_size)
    max_iter = max(300, n_steps // n_batches)
    options = {"decay_epochs": max_iter / 14, **DECAYING[schedule]}
    rate = RATES[solver]
    return {"batch_size": batch_size, "max_iter": max_iter, "learning_rate_init": rate, **options}


@pytest.fixture(scope="module")
def smallest():
    """The problem of each kind, and the least value of its objective."""
    found = {}
    for kind in KINDS:
        p = problem(kind)
        values = [
            p.objective(p.fit("lbfgs", tol=1e-10, n_iter_no_change=20, random_state=seed))
            for seed in range(3)
        ]
        assert_allclose(values, values[0], rtol=1e-8)
        found[kind] = p, values[0]
    return found


@pytest.mark.sampled(7)
@every_kind
@pytest.mark.parametrize("solver", RATES)
@pytest.mark.parametrize("batch_size", [10, 50, 120])
@pytest.mark.parametrize("schedule", DECAYING)
def test_every_solver_and_batch_size_reach_the_same_objective(
    smallest, kind, solver, batch_size, schedule
):
    p, value = smallest[kind]
    reached = p.objective(p.fit(solver, **walk(solver, batch_size, schedule)))
    assert reached == pytest.approx(value, rel=1e-4)


@every_kind
def test_the_optimum_is_far_from_that_of_half_the_penalty(smallest, kind):
    p, value = smallest[kind]
    other = p._replace(alpha=p.alpha / 2)
    model = other.fit("lbfgs", tol=1e-10, n_iter_no_change=20)
    assert p.objective(model) > 1.01 * value


def squared_norm(model):
    return sum((W**2).sum() for W in model.coefs_)


@pytest.mark.parametrize("kind", ["one target", "multiclass"])
@pytest.mark.parametrize("solver", RATES)
def test_the_batch_size_leaves_the_weight_of_the_penalty_alone(kind, solver):
    n_rows = 2000
    p = problem(kind, n_rows)._replace(alpha=40.0 * n_rows / N_ROWS)
    expected = squared_norm(p.fit("lbfgs", tol=1e-10, n_iter_no_change=20))
    for batch_size, max_iter in ((20, 40), (2000, 1500)):
        settings = {**walk(solver, batch_size, "cosine", n_rows), "max_iter": max_iter}
        assert squared_norm(p.fit(solver, **settings)) == pytest.approx(expected, rel=0.01)
