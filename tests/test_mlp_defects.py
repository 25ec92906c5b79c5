"""Defects known from other implementations of multilayer perceptrons, and their absence here.

They are numbered; each test shows the right behaviour, under the simplest circumstances.
All of them apply but two halves: hanging forks (24) cannot be provoked reliably, so what is tested
is that small products stay on one thread, and dying units (19) depend on luck, so what is
tested is that the units of X do not bring it about.
"""

import pickle
import re
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, load_linnerud
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.preprocessing import scale
from threadpoolctl import threadpool_info, threadpool_limits

from kinds import IGNORE_CONVERGENCE
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor, engine

ESTIMATORS = [TwoLayerClassifier, TwoLayerRegressor]
INCREMENTAL = list(engine.OPTIMIZERS)

either_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)
every_solver = pytest.mark.parametrize("solver", engine.SOLVERS)
every_incremental_solver = pytest.mark.parametrize("solver", INCREMENTAL)


@pytest.fixture
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture
def diabetes():
    return load_diabetes(return_X_y=True)


def table(estimator):
    return (load_iris if estimator is TwoLayerClassifier else load_diabetes)(return_X_y=True)


def outputs(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


def weights_of(model):
    return np.concatenate([W.ravel() for W in model.coefs_])


@pytest.mark.parametrize("n_targets", [1, 3])
@IGNORE_CONVERGENCE
def test_b01_the_loss_of_several_targets_fits_its_gradient(n_targets):
    """A short step of plain descent lowers the loss by its length times the slope."""
    X, Y = (scale(part) for part in load_linnerud(return_X_y=True))
    options = {"solver": "sgd", "momentum": 0.0, "alpha": 0.0, "standardize": False}
    rate = 1e-6
    model = TwoLayerRegressor(4, activation="tanh", learning_rate_init=rate, **options)
    model.set_params(max_iter=2, tol=0.0, random_state=0).fit(X, Y[:, :n_targets])
    start = clone(model).set_params(learning_rate_init=1e-300, max_iter=1).fit(X, Y[:, :n_targets])
    once = clone(model).set_params(max_iter=1).fit(X, Y[:, :n_targets])
    pairs = zip(once.coefs_ + once.intercepts_, start.coefs_ + start.intercepts_, strict=True)
    slope = sum(np.sum(((b - a) / rate) ** 2) for a, b in pairs)
    first, second = model.loss_curve_
    assert (first - second) / rate == pytest.approx(slope, rel=1e-3)


@every_solver
@IGNORE_CONVERGENCE
def test_b02_validation_rows_of_several_classes_are_in_proportion(solver, iris):
    seen = []

    def scoring(estimator, X, y):
        seen.append(np.bincount(y))
        return 0.0

    options = {"early_stopping": True, "validation_fraction": 0.2, "scoring": scoring}
    TwoLayerClassifier(5, solver=solver, max_iter=1, random_state=0, **options).fit(*iris)
    assert_array_equal(seen[0], [10, 10, 10])


@pytest.mark.parametrize("seed", range(5))
def test_b03_early_stopping_watches_the_loss_and_does_not_stop_at_once(seed, iris):
    X, y = iris
    model = TwoLayerClassifier(
        solver="adam", early_stopping=True, max_iter=5000, random_state=seed
    ).fit(X, y)
    assert model.score(X, y) > 0.93
    assert log_loss(y, model.predict_proba(X)) < 0.2


@pytest.mark.parametrize(("solver", "rate"), [("sgd", 0.3), ("rmsprop", 0.1), ("adam", 0.3)])
@IGNORE_CONVERGENCE
def test_b04_the_best_weights_are_kept_and_not_the_last(solver, rate, diabetes):
    X, y = diabetes
    options = {"learning_rate_init": rate, "batch_size": 1000, "max_iter": 20, "tol": 0.0}
    model = TwoLayerRegressor(10, solver=solver, alpha=0.0, random_state=1, **options).fit(X, y)
    kept = 0.5 * np.mean((model.predict(X) - y) ** 2) / y.var()
    assert model.best_iter_ < model.n_iter_
    assert kept == pytest.approx(model.best_loss_, rel=1e-9)
    assert kept < 0.99 * model.loss_


@either_estimator
@every_incremental_solver
@IGNORE_CONVERGENCE
def test_b05_a_batch_without_weight_is_no_trouble(estimator, solver):
    X, y = table(estimator)
    options = {"batch_size": 10, "shuffle": False, "max_iter": 5, "random_state": 0}
    model = estimator(5, solver=solver, **options)
    weights = (np.arange(len(X)) >= 40).astype(float)
    expected = clone(model).fit(X[40:], y[40:])
    model.fit(X, y, sample_weight=weights)
    assert_allclose(outputs(model, X), outputs(expected, X), rtol=1e-9)


@IGNORE_CONVERGENCE
@pytest.mark.parametrize("batch_size", [10, 150])
def test_b06_the_reported_loss_is_the_weighted_mean(batch_size, iris, rng):
    """At a rate of nearly zero the loss of an epoch is that of its weights."""
    X, y = iris
    weights = rng.uniform(0, 5, len(X))
    options = {"learning_rate_init": 1e-300, "batch_size": batch_size, "max_iter": 1}
    model = TwoLayerClassifier(5, solver="sgd", alpha=0.0, random_state=0, **options)
    model.fit(X, y, sample_weight=weights)
    expected = log_loss(y, model.predict_proba(X), sample_weight=weights)
    assert model.loss_ == pytest.approx(expected, rel=1e-9)


ALPHA = 5.0
LINEAR = {"activation": "identity", "tol": 0.0, "n_iter_no_change": 10**6, "alpha": ALPHA}
DECAYING = {"learning_rate": "exponential", "decay_epochs": 40, "max_iter": 400}


@pytest.fixture
def line(rng):
    """A noisy line, in standardised units."""
    X = scale(rng.randn(200, 4))
    return X, scale(X @ [1.0, -0.5, 0.3, 0.1] + 0.5 * rng.randn(200))


def linear_fit(X, y, solver, **options):
    """A fit whose minima are all global."""
    settings = {**LINEAR, **options}
    return TwoLayerRegressor(3, solver=solver, standardize=False, random_state=0, **settings).fit(
        X, y
    )


@IGNORE_CONVERGENCE
def test_b07_the_penalty_does_not_depend_on_the_size_of_batches(line):
    sizes = [
        np.sum(weights_of(model) ** 2)
        for model in (
            linear_fit(*line, "sgd", batch_size=batch_size, learning_rate_init=0.1, **DECAYING)
            for batch_size in (20, 50, 100)
        )
    ]
    assert_allclose(sizes, np.sum(weights_of(linear_fit(*line, "lbfgs")) ** 2), rtol=0.02)


@either_estimator
def test_b08_there_is_no_partial_fit_for_lbfgs(estimator):
    assert not hasattr(estimator(solver="lbfgs"), "partial_fit")
    assert hasattr(estimator(solver="adam"), "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit"):
        estimator(solver="lbfgs").partial_fit(*table(estimator))


@either_estimator
@every_solver
@IGNORE_CONVERGENCE
def test_b09_single_precision_stays_single_precision(estimator, solver):
    X, y = table(estimator)
    X = X.astype(np.float32)
    model = estimator(5, solver=solver, max_iter=3, random_state=0).fit(X, y)
    assert {W.dtype for W in [*model.coefs_, *model.intercepts_]} == {np.dtype(np.float32)}
    assert outputs(model, X).dtype == np.float32


@either_estimator
def test_b10_lbfgs_has_validation_curves_and_reports(estimator, capsys):
    options = {"early_stopping": True, "verbose": 2, "random_state": 0}
    model = estimator(5, solver="lbfgs", **options).fit(*table(estimator))
    assert model.n_iter_ == len(model.loss_curve_) == len(model.validation_scores_)
    *lines, _ = capsys.readouterr().out.splitlines()
    assert len(lines) == model.n_iter_
    assert all(re.search(r"loss +\d.*validation +-?\d", line) for line in lines)


@either_estimator
def test_b11_tol_decides_when_lbfgs_stops(estimator):
    X, y = table(estimator)
    rough, fine = (
        estimator(5, solver="lbfgs", alpha=10.0, tol=tol, max_iter=10_000, random_state=0).fit(X, y)
        for tol in (1e-2, 1e-8)
    )
    assert rough.n_iter_ < fine.n_iter_
    assert fine.loss_ < rough.loss_


@pytest.mark.parametrize("patience", [1, 5])
@every_solver
def test_b12_patience_lasts_as_long_as_it_says(patience, solver, diabetes):
    X, y = diabetes
    options = {"scoring": lambda estimator, X, y: 0.0, "early_stopping": True}
    model = TwoLayerRegressor(5, solver=solver, n_iter_no_change=patience, **options)
    assert model.fit(X, y).n_iter_ == 1 + patience


@every_solver
def test_b12_tol_is_relative(solver, diabetes):
    X, y = diabetes
    options = {"tol": 1e-2, "learning_rate_init": 0.01, "random_state": 0}
    model = TwoLayerRegressor(5, solver=solver, **options)
    n_iters = [model.fit(X, unit * y).n_iter_ for unit in (2.0**-30, 1.0, 2.0**30)]
    assert len(set(n_iters)) == 1


def test_b13_an_adaptive_rate_forgets_the_past_when_it_is_divided():
    """A lucky loss before a division does not use up the patience after it."""
    monitor = engine.Monitor(tol=0.0, patience=3)
    theta = np.zeros(1)
    monitor.start(theta)
    for loss in (0.1, 1.0, 1.0, 1.0):
        monitor.record(loss, theta)
    assert monitor.stalled
    monitor.reset_patience()
    for loss in (0.9, 0.8, 0.7, 0.6, 0.5):
        monitor.record(loss, theta)
        assert not monitor.stalled


@IGNORE_CONVERGENCE
def test_b13_an_adaptive_rate_that_is_too_high_ends_as_well_as_a_lower_one(diabetes):
    options = {"learning_rate": "adaptive", "batch_size": 50, "alpha": 10.0, "random_state": 0}
    model = TwoLayerRegressor(5, solver="sgd", n_iter_no_change=5, max_iter=100, **options)
    high, low = (
        clone(model).set_params(learning_rate_init=rate).fit(*diabetes).best_loss_
        for rate in (0.1, 0.02)
    )
    assert high < 1.02 * low


@either_estimator
@every_incremental_solver
def test_b14_each_partial_fit_draws_another_order_of_rows(estimator, solver):
    """With two rows, one to a batch, there are two orders: in some calls they are swapped."""
    X, y = table(estimator)
    rows = [0, -1]
    first = {"classes": [0, 2]} if estimator is TwoLayerClassifier else {}
    options = {"batch_size": 1, "learning_rate_init": 0.01, "random_state": 0}
    shuffled, plain = (
        estimator(5, solver=solver, shuffle=shuffle, **options).partial_fit(
            X[rows], y[rows], **first
        )
        for shuffle in (True, False)
    )
    streams = set()
    for _ in range(5):
        streams.add(pickle.dumps(shuffled._random_state))
        shuffled.partial_fit(X[rows], y[rows])
        plain.partial_fit(X[rows], y[rows])
    assert len(streams) == 5
    assert np.abs(outputs(shuffled, X) - outputs(plain, X)).max() > 0


@either_estimator
@IGNORE_CONVERGENCE
def test_b14_a_warm_start_keeps_moments_iterations_and_curve(estimator):
    X, y = table(estimator)
    options = {"solver": "adam", "batch_size": 50, "alpha": 0.0, "tol": 0.0, "random_state": 0}
    expected = estimator(5, max_iter=10, **options).fit(X, y)
    model = estimator(5, max_iter=5, warm_start=True, **options).fit(X, y).fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == 10
    assert_allclose(outputs(model, X), outputs(expected, X), rtol=1e-10)


@either_estimator
@every_incremental_solver
def test_b15_partial_fit_takes_no_notice_of_early_stopping(estimator, solver):
    X, y = table(estimator)
    first = {"classes": [0, 1, 2]} if estimator is TwoLayerClassifier else {}
    plain, stopping = (
        estimator(5, solver=solver, early_stopping=early_stopping, random_state=0)
        .partial_fit(X, y, **first)
        .partial_fit(X, y)
        for early_stopping in (False, True)
    )
    assert_array_equal(outputs(stopping, X), outputs(plain, X))


@every_solver
@IGNORE_CONVERGENCE
def test_b16_a_warm_start_takes_fewer_classes(solver, iris):
    X, y = iris
    model = TwoLayerClassifier(5, solver=solver, warm_start=True, max_iter=5, random_state=0)
    model.fit(X, y).fit(X[:100], y[:100])
    assert_array_equal(model.classes_, [0, 1, 2])
    assert model.predict_proba(X).shape == (150, 3)


@every_solver
@IGNORE_CONVERGENCE
def test_b17_one_class_is_one_column_of_ones(solver, iris):
    X, _ = iris
    model = TwoLayerClassifier(5, solver=solver, max_iter=3, random_state=0).fit(X, ["a"] * 150)
    assert_array_equal(model.predict_proba(X), np.ones((150, 1)))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_b18_log_probabilities_are_finite(n_classes, iris):
    X, y = iris[0][: 50 * n_classes], iris[1][: 50 * n_classes]
    model = TwoLayerClassifier(5, alpha=1e-6, random_state=0).fit(X, y)
    logs = model.predict_log_proba(1e6 * X)
    assert logs.min() < -1000
    assert np.isfinite(logs).all()


@every_solver
@IGNORE_CONVERGENCE
@pytest.mark.parametrize("seed", range(3))
def test_b19_units_of_columns_do_not_silence_relu(solver, seed, iris):
    X, y = iris
    model = TwoLayerClassifier(20, solver=solver, learning_rate_init=0.03, random_state=seed)
    model.set_params(activation="relu", max_iter=100).fit(1e6 * X + 1e8, y)
    assert model.score(1e6 * X + 1e8, y) > 0.93


@pytest.mark.parametrize("scoring", ["loss", "r2", "neg_mean_absolute_error"])
@pytest.mark.parametrize("rate", [1e50, 1e200, 1e307])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_b20_divergence_is_noticed_and_costs_nothing(scoring, rate, alpha, diabetes):
    X, y = diabetes
    options = {"early_stopping": True, "scoring": scoring, "alpha": alpha, "batch_size": 500}
    model = TwoLayerRegressor(5, solver="sgd", learning_rate_init=rate, random_state=0, **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    assert [w.category for w in caught] == [ConvergenceWarning]
    assert "learning_rate_init" in str(caught[0].message)
    assert np.isfinite(model.predict(X)).all()


@either_estimator
def test_b21_the_number_of_hidden_units_comes_first_and_the_rest_by_name(estimator):
    assert estimator(7).hidden_size == 7
    with pytest.raises(TypeError, match="positional"):
        estimator(7, "relu")


@pytest.mark.parametrize(("solver", "rate"), [("sgd", 0.1), ("rmsprop", 0.02), ("adam", 0.02)])
@IGNORE_CONVERGENCE
def test_b22_solvers_agree_on_the_optimum(solver, rate, line):
    X, y = line
    model = linear_fit(X, y, solver, batch_size=20, learning_rate_init=rate, **DECAYING)
    penalty = 0.5 * ALPHA * np.sum(weights_of(model) ** 2) / len(y)
    value = 0.5 * np.mean((model.predict(X) - y) ** 2) + penalty
    assert value == pytest.approx(linear_fit(X, y, "lbfgs").best_loss_, rel=1e-4)


@every_solver
@either_estimator
def test_b23_an_interrupt_from_the_keyboard_is_passed_on(solver, estimator):
    def scoring(estimator, X, y):
        raise KeyboardInterrupt

    model = estimator(5, solver=solver, early_stopping=True, scoring=scoring)
    before = dict(vars(model))
    with pytest.raises(KeyboardInterrupt):
        model.fit(*table(estimator))
    assert vars(model) == before


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@every_solver
@pytest.mark.parametrize("fails", [False, True])
def test_b24_small_products_stay_on_one_thread(solver, fails, diabetes):
    seen = []

    def scoring(estimator, X, y):
        seen.append(blas_threads())
        if fails:
            raise KeyboardInterrupt
        return 0.0

    model = TwoLayerRegressor(5, solver=solver, early_stopping=True, scoring=scoring)
    with threadpool_limits(2, user_api="blas"):
        if blas_threads() != {2}:
            pytest.skip("this BLAS has one thread")
        if fails:
            with pytest.raises(KeyboardInterrupt):
                model.fit(*diabetes)
        else:
            model.fit(*diabetes)
        assert blas_threads() == {2}
    assert seen[0] == {1}
