"""Prediction of any number of rows, a block after the other, by methods that agree."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import make_classification, make_multilabel_classification

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor, _base

N_FEATURES, N_CLASSES = 6, 15
METHODS = ["predict", "predict_proba", "predict_log_proba", "decision_function"]


def many_classes():
    return make_classification(
        240,
        N_FEATURES,
        n_informative=N_FEATURES,
        n_redundant=0,
        n_classes=N_CLASSES,
        n_clusters_per_class=1,
        random_state=0,
    )


@pytest.fixture(scope="module")
def models():
    X, y = many_classes()
    rng = np.random.RandomState(0)
    Y = np.tanh(X @ rng.randn(N_FEATURES, N_CLASSES)) + 0.1 * rng.randn(len(X), N_CLASSES)
    several = make_multilabel_classification(150, N_FEATURES, n_classes=3, random_state=0)
    return {
        "multiclass": TwoLayerClassifier(random_state=0).fit(X, y),
        "binary": TwoLayerClassifier(encoding="linear", random_state=0).fit(X, y > 7),
        "multilabel": TwoLayerClassifier(random_state=0).fit(*several),
        "one target": TwoLayerRegressor(random_state=0).fit(X, Y[:, 0]),
        "many targets": TwoLayerRegressor(encoding="linear", random_state=0).fit(X, Y),
    }


CLASSIFIERS = ["multiclass", "binary", "multilabel"]
REGRESSORS = ["one target", "many targets"]
every_classifier = pytest.mark.parametrize("kind", CLASSIFIERS)
every_regressor = pytest.mark.parametrize("kind", REGRESSORS)
every_method = pytest.mark.parametrize(
    ("kind", "method"),
    [(kind, method) for kind in CLASSIFIERS for method in METHODS]
    + [(kind, "with deviations") for kind in REGRESSORS],
)


def predict(model, method, X):
    if method == "with deviations":
        return np.stack(model.predict(X, return_std=True), axis=-1)
    return getattr(model, method)(X)


def moderated_fully(model, monkeypatch):
    monkeypatch.setattr(
        model, "_predictive", model._predictive | {"temperature": 1.0, "variance_fraction": 1.0}
    )
    return model


def rows(n_rows, seed=1, size=2):
    return size * np.random.RandomState(seed).randn(n_rows, N_FEATURES)


@pytest.mark.sampled(3)
@every_method
def test_memory_is_that_of_the_answer_and_a_block(models, kind, method):
    X = rows(8000)
    predict(models[kind], method, X[:10])
    tracemalloc.start()
    answer = predict(models[kind], method, X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # deviations are put beside the predictions in a copy
    assert peak < 2 * answer.nbytes + 20e6


@pytest.mark.sampled(3)
@every_method
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_rows_are_answered_alone(models, kind, method, storage, monkeypatch):
    X, order = rows(2500), np.random.RandomState(2).permutation(2500)
    whole = predict(models[kind], method, X)
    other = storage(X[order])
    if sparse.issparse(other) and any(len(knots) for knots in models[kind].knots_):
        with pytest.raises(ValueError, match=r"X must be dense where columns are .*encoded"):
            predict(models[kind], method, other)
        return
    monkeypatch.setattr(_base, "OUTPUTS_PER_BLOCK", 997)
    parts = [predict(models[kind], method, other[a:b]) for a, b in ((0, 1), (1, 800), (800, 2500))]
    for found in (np.concatenate(parts), predict(models[kind], method, other)):
        assert_allclose(found, whole[order], rtol=1e-10, atol=1e-11)


@every_classifier
def test_labels_ask_nothing_of_the_posterior(models, kind, monkeypatch):
    model, X = moderated_fully(models[kind], monkeypatch), rows(300)
    expected = model.predict(X)
    poison = [np.full_like(theta, np.nan) for theta in model._predictive["thetas"]]
    monkeypatch.setattr(model, "_predictive", model._predictive | {"thetas": poison})
    assert not np.isfinite(model.decision_function(X)).all()
    assert_array_equal(model.predict(X), expected)
    monkeypatch.setattr(model, "_predictive", None)
    assert_array_equal(model.predict(X), expected)


def labels_of(model, answer):
    """What a person would say who has seen probabilities, their logarithms, or logits."""
    if model._is_multilabel:
        return answer
    if answer.ndim == 1:
        return model.classes_[(answer > 0).astype(int)]
    return model.classes_[answer.argmax(axis=1)]


def check_that_methods_agree(model, X):
    """All say the same, and it is what the network says before any moderation."""
    labels, P = model.predict(X), model.predict_proba(X)
    P_of_labels, L, Z = P, model.predict_log_proba(X), model.decision_function(X)
    if model._is_multilabel:
        P_of_labels, L, Z = P > 0.5, L > np.log(P.dtype.type(0.5)), Z > 0
    for answer in (P_of_labels, L, Z):
        assert_array_equal(labels_of(model, answer), labels)
    raw = model._raw_prediction(X)
    raw = raw[:, 0] if raw.shape[1] == 1 else raw > 0 if model._is_multilabel else raw
    assert_array_equal(labels_of(model, raw), labels)


@pytest.mark.sampled(5)
@every_classifier
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 30])
def test_methods_agree_near_and_far(models, kind, dtype, size, monkeypatch):
    model = moderated_fully(models[kind], monkeypatch)
    check_that_methods_agree(model, rows(3000, size=size).astype(dtype))


def test_moderation_would_change_labels(models, monkeypatch):
    """So that the test before can fail: the formula alone puts other classes first."""
    model, X = moderated_fully(models["multiclass"], monkeypatch), rows(3000, size=30)
    labels = model.predict(X)
    monkeypatch.setattr(_base.engine, "with_labels_of", lambda raw, logits, softmax: logits)
    moderated = model.predict_proba(X).argmax(axis=1)
    assert 0 < np.count_nonzero(moderated != labels) < 0.2 * len(X)


@every_classifier
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("moderate", [True, False])
def test_methods_agree_on_logits_that_are_level(models, kind, dtype, moderate, monkeypatch):
    """To the last bit, or almost: intercepts alone, the last of them ahead by a hair."""
    model, eps = moderated_fully(models[kind], monkeypatch), np.finfo(dtype).eps
    zeros = [np.zeros_like(W) for W in model.coefs_]
    monkeypatch.setattr(model, "moderate", moderate)
    monkeypatch.setattr(model, "coefs_", zeros)
    if model.skip_coef_ is not None:
        monkeypatch.setattr(model, "skip_coef_", np.zeros_like(model.skip_coef_))
    b1, b2 = model.intercepts_
    for level, ahead in ((0.0, 0.0), (0.0, 1e-30), (0.0, eps / 4), (1.0, eps), (-1.0, eps)):
        if kind != "multiclass" and level:
            continue
        hair = np.zeros_like(b2)
        hair[-1] = ahead
        monkeypatch.setattr(model, "intercepts_", [b1, level + hair])
        check_that_methods_agree(model, rows(50).astype(dtype))


@every_regressor
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_predictions_are_the_same_with_deviations(models, kind, dtype):
    X = rows(3000).astype(dtype)
    prediction, deviation = models[kind].predict(X, return_std=True)
    assert prediction.dtype == deviation.dtype == dtype
    assert_array_equal(prediction, models[kind].predict(X))
