"""l1_ratio of the estimators: what scikit-learn's linear models find, and all the rest of a fit."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import make_classification
from sklearn.linear_model import ElasticNet

from kinds import IGNORE_CONVERGENCE, INCREMENTAL, every, five_kinds, labels, several_labels
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

RNG = np.random.RandomState(0)
N_ROWS = 120
X = RNG.randn(N_ROWS, 12)
X = (X - X.mean(axis=0)) / X.std(axis=0)
y = X[:, :4] @ [3.0, -2.0, 1.0, 0.5] + 0.5 * RNG.randn(N_ROWS)
y -= y.mean()

LINEAR = {"hidden_size": 1, "activation": "identity", "random_state": 0, "dtype": "float64"}
BY_LBFGS = {"solver": "lbfgs", "tol": 1e-10, "n_iter_no_change": np.inf, "max_iter": 10_000}
BY_ADAM = {"solver": "adam", "learning_rate": "cosine", "learning_rate_init": 0.05, "tol": 0.0}
BY_ADAM |= {"batch_size": N_ROWS, "max_iter": 4000, "n_iter_no_change": np.inf}


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize(
    ("solver", "alpha"), [(BY_LBFGS, 30.0), (BY_ADAM, 10.0)], ids=["lbfgs", "adam"]
)
@IGNORE_CONVERGENCE
def test_one_linear_unit_is_the_elastic_net(solver, alpha, standardize, l1_ratio):
    """With f = s w1'x the penalty of w = s w1 is least where its derivatives by w and s vanish.

    The smooth gradient is then -(alpha / n) (l1_ratio sign(w) / |s| + (1 - l1_ratio) w / s^2):
    that of an elastic net. The lasso's s is the root of |w|_1.
    """
    target, alpha = (y / y.std(), alpha / 10) if standardize else (y, alpha)
    options = {"alpha": alpha, "l1_ratio": l1_ratio, "standardize": standardize}
    model = TwoLayerRegressor(**LINEAR, **solver, **options).fit(X, target)
    W1, W2 = model.coefs_
    w, s = (W1 @ W2).ravel(), abs(W2.item())
    if l1_ratio == 1:
        assert_allclose(s, np.abs(w).sum() ** 0.5, rtol=1e-3)
    absolute, squared = alpha * l1_ratio / (N_ROWS * s), alpha * (1 - l1_ratio) / (N_ROWS * s**2)
    total = absolute + squared
    expected = ElasticNet(alpha=total, l1_ratio=absolute / total, tol=1e-12).fit(X, target).coef_
    assert 2 < (expected == 0).sum() < 9
    assert_array_equal(w == 0, expected == 0)
    assert_allclose(w, expected, atol=1e-4)


KINDS = five_kinds(
    lambda n: labels(n, 150, 8),
    lambda: several_labels(150, 8),
    lambda n: (X, y if n == 1 else np.column_stack([y, X[:, 0] ** 2])),
)
OPTIONS = {"alpha": 5.0, "l1_ratio": 0.8, "random_state": 0}


def n_zeros(model):
    return sum(int((W == 0).sum()) for W in model.coefs_)


@every(KINDS)
@pytest.mark.parametrize("solver", ["auto", "adam"])
@IGNORE_CONVERGENCE
def test_weights_are_zero_for_all_kinds_of_targets(estimator, X, y, solver):
    options = {"solver": solver, "max_iter": 300, "learning_rate_init": 0.01}
    model = estimator(10, **OPTIONS, **options).fit(X, y)
    dense = estimator(10, alpha=5.0, random_state=0, **options).fit(X, y)
    assert n_zeros(model) > 20 and n_zeros(dense) == 0
    assert model.solver_ == ("lbfgs" if solver == "auto" else solver)
    assert model.score(X, y) > 0.5 * dense.score(X, y)
    again = estimator(10, **OPTIONS, **options).fit(X, y)
    assert_array_equal(again.coefs_[0], model.coefs_[0])


@pytest.mark.sampled(2)
@pytest.mark.parametrize("solver", INCREMENTAL)
@IGNORE_CONVERGENCE
def test_streams_and_warm_starts_go_on_with_zeros(solver):
    rate = 0.05 if solver == "sgd" else 0.01
    options = {"solver": solver, "batch_size": 30, "learning_rate_init": rate}
    model = TwoLayerRegressor(8, alpha=10.0, l1_ratio=1.0, random_state=0, **options)
    for _ in range(60):
        model.partial_fit(X[:60], y[:60]).partial_fit(X[60:], y[60:])
    assert n_zeros(model) > 10 and model.score(X, y) > 0.5
    model.set_params(warm_start=True, max_iter=20).fit(X, y)
    assert n_zeros(model) > 10 and model.score(X, y) > 0.5
    before = n_zeros(model)
    model.set_params(l1_ratio=0.0).fit(X, y)
    assert n_zeros(model) < before


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
@pytest.mark.parametrize("standardize", [False, True])
@IGNORE_CONVERGENCE
def test_sparse_rows_give_the_same_zeros(solver, standardize):
    options = {"solver": solver, "standardize": standardize, "max_iter": 50, "batch_size": 20}
    options["learning_rate_init"] = 0.01
    counts = np.where(RNG.rand(80, 15) < 0.2, RNG.rand(80, 15), 0.0)
    target = counts[:, 0] - counts[:, 1]
    model = TwoLayerRegressor(4, alpha=0.5, l1_ratio=0.9, random_state=0, **options)
    dense = model.fit(counts, target).coefs_
    of_sparse = model.fit(sparse.csr_array(counts), target).coefs_
    for W, V in zip(dense, of_sparse, strict=True):
        assert_array_equal(W == 0, V == 0)
        assert_allclose(W, V, atol=1e-6)
    assert (dense[0] == 0).any()


def levels_of_many(n_levels=70):
    """Rows of a category that is never written out, of which a batch has few levels."""
    codes = np.arange(3 * n_levels) % n_levels
    return codes[:, None].astype(float), np.where(codes < 5, 5.0, 0.0) + 0.1 * RNG.randn(len(codes))


@IGNORE_CONVERGENCE
def test_levels_of_many_are_dropped_in_batches():
    codes, target = levels_of_many()
    options = {"categorical_features": [0], "solver": "adam", "batch_size": 32}
    model = TwoLayerRegressor(
        4, alpha=0.3, l1_ratio=1.0, learning_rate_init=0.02, max_iter=300, random_state=0, **options
    ).fit(codes, target)
    # a level that no batch has met since is not kept alive by what it was drawn as
    is_zero = (model.coefs_[0] == 0).all(axis=1)
    assert is_zero.sum() > 20
    assert model.predict(codes)[codes.ravel() < 5].mean() > 2.5


def test_there_are_no_error_bars_and_the_reason_is_told():
    model = TwoLayerRegressor(4, **OPTIONS, max_iter=2000, tol=1e-2).fit(X, y)
    with pytest.raises(ValueError, match=r"there is none: l1_ratio=0.8 makes a prior with a kink"):
        model.predict(X, return_std=True)
    assert model.alpha_ == 5.0


def test_probabilities_are_those_of_the_weights():
    rows, of_rows = make_classification(200, 6, random_state=0)
    model = TwoLayerClassifier(4, **OPTIONS, tol=1e-2).fit(rows, of_rows)
    logits = model.decision_function(rows)
    assert_allclose(model.predict_proba(rows)[:, 1], 1 / (1 + np.exp(-logits)), rtol=1e-12)
