"""Whatever finite data come in, a finite model comes out, or an error that says why not."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from kinds import INCREMENTAL, every_solver
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer.engine import ACTIVATIONS, INITIALIZERS, SCHEDULES, SOLVERS
from strategies import (
    CLASS_WEIGHTS,
    LABELS,
    TARGETS,
    check_finite,
    examples,
    labels,
    row_counts,
    rows,
    small,
    tables,
    weights,
)


@pytest.fixture(autouse=True)
def only_convergence_may_be_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


every_target = pytest.mark.parametrize("kind", TARGETS)

# each solver under a fixed prior, and the evidence, which comes with one of them
WAYS = {**{name: (name, 1.0) for name in SOLVERS}, "evidence": ("lm", "auto")}
every_way = pytest.mark.parametrize(("solver", "alpha"), WAYS.values(), ids=WAYS)


@pytest.mark.sampled(7)
@every_target
@every_way
@given(data=st.data())
@examples(20)
def test_rows_and_targets_of_any_size(kind, solver, alpha, data):
    estimator, targets = TARGETS[kind]
    n_rows = data.draw(row_counts)
    X, y = data.draw(rows(n_rows)), data.draw(targets(n_rows))
    activation = data.draw(st.sampled_from(sorted(ACTIVATIONS)))
    standardize = data.draw(st.booleans())
    options = {"activation": activation, "standardize": standardize}
    model = small(estimator, solver=solver, alpha=alpha, **options)
    check_finite(model.fit(X, y), X)


@pytest.mark.sampled(3)
@every_target
@every_solver
@given(data=st.data())
@examples(20)
def test_weights_of_any_size(kind, solver, data):
    estimator, targets = TARGETS[kind]
    n_rows = data.draw(row_counts)
    X = np.random.RandomState(0).randn(n_rows, 2)
    y, w = data.draw(targets(n_rows)), data.draw(weights(n_rows))
    model = small(estimator, solver=solver, alpha=data.draw(st.sampled_from([0.0, 1.0, "auto"])))
    if kind in CLASS_WEIGHTS:
        model.set_params(class_weight=data.draw(st.sampled_from(CLASS_WEIGHTS[kind])))
    try:
        model.fit(X, y, sample_weight=w)
    except ValueError as error:
        assert "zero for all rows" in str(error) or "class_weight" in str(error)
    else:
        check_finite(model, X)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("kind", LABELS)
@given(data=st.data())
@examples(40)
def test_labels_of_any_type(kind, data):
    n_rows = data.draw(row_counts)
    y = data.draw(labels(n_rows, kind))
    X = np.random.RandomState(0).randn(n_rows, 2)
    model = small(TwoLayerClassifier, solver=data.draw(st.sampled_from(sorted(SOLVERS))))
    model.fit(X, y)
    check_finite(model, X)
    assert model.classes_.tolist() == sorted(set(y.tolist()))
    assert model.predict(X).dtype == y.dtype


MIXED = st.integers() | st.floats() | st.text(max_size=2) | st.booleans() | st.none()


@given(y=st.lists(MIXED, min_size=4, max_size=4))
@examples(300)
def test_labels_of_mixed_types_give_a_model_or_a_clear_error(y):
    X = np.random.RandomState(0).randn(len(y), 2)
    y = np.array(y, dtype=object)
    model = small(TwoLayerClassifier)
    try:
        model.fit(X, y)
    except (TypeError, ValueError) as error:
        assert str(error)
    else:
        check_finite(model, X)


OPTIONS = st.fixed_dictionaries(
    {
        "solver": st.sampled_from(sorted(SOLVERS)),
        "activation": st.sampled_from(sorted(ACTIVATIONS)),
        "initializer": st.sampled_from(sorted(INITIALIZERS)),
        "learning_rate": st.sampled_from(sorted(SCHEDULES)),
        "learning_rate_init": st.sampled_from([1e-30, 1e-3, 10.0, 1e10, 1e30]),
        "alpha": st.sampled_from(["auto", 0.0, 1e-30, 1.0, 1e10, 1e30]),
        "batch_size": st.sampled_from(["auto", 1, 3]),
        "momentum": st.sampled_from([0.0, 0.9, 1.0]),
        "epsilon": st.sampled_from([1e-30, 1e-8, 1e30]),
        "tol": st.sampled_from([0.0, 1e-4, 1e30]),
        "n_init": st.sampled_from([1, 2]),
        "early_stopping": st.booleans(),
        "standardize": st.booleans(),
    }
)


@every_target
@given(options=OPTIONS, data=st.data())
@examples(40)
def test_settings_of_any_size(kind, options, data):
    estimator, targets = TARGETS[kind]
    X, y = data.draw(rows(20)), data.draw(targets(20))
    model = small(estimator, validation_fraction=0.5, **options)
    check_finite(model.fit(X, y), X)


@pytest.mark.sampled(2)
@every_target
@pytest.mark.parametrize("solver", INCREMENTAL)
@given(data=st.data())
@examples(20)
def test_chunks_of_any_size(kind, solver, data):
    estimator, targets = TARGETS[kind]
    model = small(estimator, solver=solver)
    known = {"classes": range(4)} if kind in ("binary", "multiclass") else {}
    for _ in range(3):
        n_rows = data.draw(row_counts)
        X = data.draw(tables(n_rows))[:, :1]
        y = data.draw(targets(n_rows))
        model.partial_fit(X, y[:, :1] if kind == "several targets" else y, **known)
        check_finite(model, X)


EXTREMES = {
    "sparse rows without entries": (
        small(TwoLayerRegressor),
        sparse.csr_array((5, 2)),
        np.arange(5.0),
        None,
    ),
    "a loss of zero": (small(TwoLayerRegressor, solver="sgd", alpha=0.0), [[1.0]], [2.0], None),
    "a loss beyond float32": (
        small(TwoLayerRegressor, solver="lbfgs", standardize=False),
        np.ones((2, 1), dtype=np.float32),
        [1e30, -1e30],
        None,
    ),
    "raw weights beyond float32": (
        small(
            TwoLayerRegressor,
            solver="rmsprop",
            activation="tanh",
            learning_rate_init=1e10,
            batch_size=2,
            alpha=0.0,
        ),
        np.array([[1e-30], [2e-30], [3e-30], [4e-30]], dtype=np.float32),
        [0, 0, 1, 1],
        None,
    ),
    "balance beyond float64": (
        small(TwoLayerClassifier, class_weight="balanced"),
        [[0.0], [1.0], [2.0]],
        [0, 1, 1],
        [1e-300, 1e300, 1.0],
    ),
    "weights of rows times weights of classes beyond float64": (
        small(TwoLayerClassifier, class_weight={1: 1e200}),
        [[0.0], [1.0], [2.0]],
        [0, 1, 1],
        [1.0, 1e300, 1.0],
    ),
}


@pytest.mark.parametrize(("model", "X", "y", "w"), EXTREMES.values(), ids=EXTREMES)
def test_extremes_of_float(model, X, y, w):
    X = X if sparse.issparse(X) else np.array(X)
    try:
        model = clone(model).fit(X, y, sample_weight=w)
    except ValueError as error:
        assert "class_weight" in str(error)
    else:
        check_finite(model, X)
