"""What tests draw at random, and what any fitted model must hold to."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor


def examples(n, **options):
    return settings(max_examples=n, derandomize=True, deadline=None, database=None, **options)


row_counts = st.integers(1, 12)


def signed(low, high):
    """Zero and floats of either sign between two magnitudes."""
    size = st.floats(low, high)
    return st.just(0.0) | size | size.map(lambda value: -value)


def constants(n_rows, elements):
    return elements.map(lambda value: np.full(n_rows, value))


@st.composite
def spread(draw, n_rows, low, high):
    """Random numbers around an offset of up to a million standard deviations."""
    normal = np.random.RandomState(draw(st.integers(0, 99))).randn(n_rows)
    offset = draw(st.sampled_from([0, 1, -1e3, 1e6]))
    scale = 10 ** draw(st.floats(np.log10(low), np.log10(high) - 7))
    return scale * (normal + offset)


def columns(n_rows, low=1e-30, high=1e30):
    anything = signed(low, high)
    return st.one_of(
        arrays(np.float64, n_rows, elements=anything),
        constants(n_rows, anything),
        spread(n_rows, low, high),
    )


@st.composite
def tables(draw, n_rows, max_columns=3, **sizes):
    """Columns of their own sizes, some of them repeated."""
    distinct = draw(st.lists(columns(n_rows, **sizes), min_size=1, max_size=max_columns))
    repeated = draw(st.lists(st.sampled_from(distinct), max_size=1))
    return np.column_stack([*distinct, *repeated])


CONTAINERS = {"dense": np.asarray, "Fortran": np.asfortranarray, "sparse": sparse.csr_array}


@st.composite
def rows(draw, n_rows):
    """A table of either precision, however stored."""
    X = draw(tables(n_rows)).astype(draw(st.sampled_from([np.float32, np.float64])))
    return CONTAINERS[draw(st.sampled_from(sorted(CONTAINERS)))](X)


def codes(n_rows, n_classes):
    return arrays(np.int64, n_rows, elements=st.integers(0, n_classes - 1))


def label_indicators(n_rows):
    return arrays(np.int64, (n_rows, 2), elements=st.integers(0, 1))


def weights(n_rows):
    return arrays(np.float64, n_rows, elements=st.just(0.0) | st.floats(1e-300, 1e300))


LABELS = {
    "integers": st.integers(-(2**62), 2**62),
    "small integers": st.integers(-128, 127).map(np.int8),
    "unsigned integers": st.integers(0, 2**63).map(np.uint64),
    "floats": st.integers(-(2**53), 2**53).map(float),
    "bools": st.booleans(),
    "numpy bools": st.booleans().map(np.bool_),
    "strings": st.text(max_size=3).filter(lambda text: "\0" not in text),
    "numpy strings": st.text(st.characters(categories=["L"]), max_size=3).map(np.str_),
}


@st.composite
def labels(draw, n_rows, kind):
    names = draw(st.lists(LABELS[kind], min_size=1, max_size=4, unique=True))
    as_objects = draw(st.booleans()) if "strings" in kind else False
    y = draw(st.lists(st.sampled_from(names), min_size=n_rows, max_size=n_rows))
    return np.array(y, dtype=object) if as_objects else np.array(y)


TARGETS = {
    "binary": (TwoLayerClassifier, lambda n: codes(n, 2)),
    "multiclass": (TwoLayerClassifier, lambda n: codes(n, 4)),
    "multilabel": (TwoLayerClassifier, label_indicators),
    "one target": (TwoLayerRegressor, columns),
    "several targets": (TwoLayerRegressor, tables),
}

CLASS_WEIGHTS = {
    "binary": [None, "balanced", {0: 1e-200, 1: 1e200}, {1: 0}],
    "multiclass": [None, "balanced", {0: 1e-200, 1: 1, 2: 1e200, 3: 1}, {1: 0}],
    "multilabel": [None, "balanced", [{0: 1e-200, 1: 1}, {0: 1, 1: 1e200}], [{1: 0}, {}]],
}


def small(estimator, **options):
    """A network that is quick to fit."""
    return estimator(**{"hidden_size": 3, "max_iter": 4, "random_state": 0, **options})


def n_rows_of(X):
    return X.shape[0] if hasattr(X, "shape") else len(X)


def check_finite(model, X):
    assert all(np.isfinite(part).all() for part in [*model.coefs_, *model.intercepts_])
    assert np.isfinite(model.loss_curve_).all()
    predicted = model.predict(X)
    assert len(predicted) == n_rows_of(X)
    if isinstance(model, TwoLayerRegressor):
        assert np.isfinite(predicted).all()
    else:
        check_probabilities(model, X)
        assert np.isin(predicted, [0, 1] if predicted.ndim == 2 else model.classes_).all()


def check_probabilities(model, X):
    P = model.predict_proba(X)
    assert P.shape == (n_rows_of(X), len(model.classes_))
    assert ((P >= 0) & (P <= 1)).all()
    assert np.isfinite(model.predict_log_proba(X)).all()
    assert np.isfinite(model.decision_function(X)).all()
    if model.predict(X).ndim == 1:
        np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-5)


def check_encoding(model):
    """One name for each row of `coefs_[0]`, levels and knots for each column they belong to."""
    names = model.encoded_feature_names_
    assert len(names) == len(model.coefs_[0])
    assert len(set(names)) == len(names)
    is_category = model.is_categorical_
    n_categories = 0 if is_category is None else np.count_nonzero(is_category)
    assert len(model.categories_) == n_categories
    assert len(model.knots_) == model.n_features_in_ - n_categories
    for labels in model.categories_:
        assert len(set(labels.tolist())) == len(labels)
    for knots in model.knots_:
        assert np.isfinite(knots).all() and (np.diff(knots) > 0).all()
