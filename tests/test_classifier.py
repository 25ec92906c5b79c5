"""Labels in, labels and probabilities out."""

import numpy as np
import pytest
from scipy import sparse
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.datasets import load_breast_cancer, load_wine, make_multilabel_classification

from sklearn_twolayer import TwoLayerClassifier


def multilabel(return_X_y=True):
    return make_multilabel_classification(100, n_features=6, n_classes=3, random_state=0)


KINDS = {"binary": load_breast_cancer, "multiclass": load_wine, "multilabel": multilabel}
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def fitted():
    """A fitted classifier and its rows, for each kind of target."""
    models = {}
    for kind, load in KINDS.items():
        X, y = load(return_X_y=True)
        models[kind] = TwoLayerClassifier(10, random_state=0).fit(X, y), X
    return models


XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
@pytest.mark.parametrize("seed", range(3))
def test_xor_is_solved_exactly(activation, solver, seed):
    y = [0, 1, 1, 0]
    model = TwoLayerClassifier(
        16,
        activation=activation,
        solver=solver,
        alpha=1e-3,
        learning_rate_init=0.05,
        random_state=seed,
    ).fit(XOR, y)
    np.testing.assert_array_equal(model.predict(XOR), y)
    np.testing.assert_allclose(model.predict_proba(XOR)[:, 1], y, atol=0.05)


LABELS = {
    "strings": ["ham", "spam"],
    "objects": np.array(["no", "yes"], dtype=object),
    "bools": [False, True],
    "negative": [-1, 1],
    "all negative": [-7, -3],
    "floats": [1.0, 2.0],
    "bytes of a small integer": np.array([3, 200], dtype=np.uint8),
    "three strings": ["a", "bb", "ccc"],
    "three integers": [-5, 0, 1000],
}


@pytest.mark.parametrize("names", LABELS.values(), ids=LABELS)
def test_labels_may_be_anything(names, rng):
    names = np.asarray(names)
    X = rng.randn(60, 3)
    codes = np.digitize(X[:, 0], [0.0, 0.8][: len(names) - 1])
    model = TwoLayerClassifier(4, random_state=0).fit(X, names[codes])
    plain = TwoLayerClassifier(4, random_state=0).fit(X, codes)
    assert model.classes_.dtype == names.dtype
    np.testing.assert_array_equal(model.classes_, names)
    assert model.predict(X).dtype == names.dtype
    np.testing.assert_array_equal(model.predict(X), names[plain.predict(X)])
    np.testing.assert_array_equal(model.predict_proba(X), plain.predict_proba(X))
    assert model.score(X, names[codes]) > 0.9


@every_kind
def test_probabilities_are_probabilities(fitted, kind):
    model, X = fitted[kind]
    P = model.predict_proba(X)
    assert P.shape == (len(X), len(model.classes_))
    assert P.min() >= 0
    assert P.max() <= 1
    if kind != "multilabel":
        np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-12)


@every_kind
def test_decision_function_gives_the_logits_of_the_probabilities(fitted, kind):
    model, X = fitted[kind]
    Z = model.decision_function(X)
    expected = {
        "binary": lambda: np.column_stack([expit(-Z), expit(Z)]),
        "multiclass": lambda: softmax(Z, axis=1),
        "multilabel": lambda: expit(Z),
    }[kind]()
    assert Z.shape == ((len(X),) if kind == "binary" else (len(X), 3))
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-9, atol=1e-15)


@every_kind
def test_predict_follows_the_decision_function(fitted, kind):
    model, X = fitted[kind]
    Z, predicted = model.decision_function(X), model.predict(X)
    if kind == "multiclass":
        np.testing.assert_array_equal(predicted, model.classes_[Z.argmax(axis=1)])
    else:
        np.testing.assert_array_equal(predicted, (Z > 0).astype(int))
    assert len(np.unique(predicted)) > 1


@every_kind
def test_predict_follows_the_probabilities(fitted, kind):
    model, X = fitted[kind]
    P, predicted = model.predict_proba(X), model.predict(X)
    if kind == "multilabel":
        np.testing.assert_array_equal(predicted, (P > 0.5).astype(int))
    else:
        np.testing.assert_array_equal(predicted, model.classes_[P.argmax(axis=1)])


@every_kind
def test_log_probabilities_are_logarithms_of_probabilities(fitted, kind):
    model, X = fitted[kind]
    P = model.predict_proba(X)
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(P), rtol=1e-9, atol=1e-12)


@every_kind
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_logits_have_finite_log_probabilities(kind, dtype):
    X, y = KINDS[kind](return_X_y=True)
    X = X.astype(dtype)
    model = TwoLayerClassifier(10, alpha=1.0, random_state=0).fit(X, y)
    model.coefs_[1] *= dtype(1e6)
    Z, L = model.decision_function(X), model.predict_log_proba(X)
    expected = {
        "binary": lambda: np.column_stack([log_expit(-Z), log_expit(Z)]),
        "multiclass": lambda: log_softmax(Z, axis=1),
        "multilabel": lambda: log_expit(Z),
    }[kind]()
    assert np.abs(Z).max() > 1e5
    assert L.min() < -1e5
    assert np.isfinite(L).all()
    np.testing.assert_allclose(L, expected, rtol=10 * np.finfo(dtype).eps, atol=1e-30)


@pytest.mark.parametrize("kind", ["binary", "multilabel"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_single_answer_is_claimed_with_certainty(kind, dtype):
    X, y = KINDS[kind](return_X_y=True)
    X = X.astype(dtype)
    model = TwoLayerClassifier(10, alpha=1.0, random_state=0).fit(X, y)
    model.coefs_[1] *= dtype(1e6)
    P = model.predict_proba(X)
    assert P.min() > 0
    assert P.max() < 1


@pytest.mark.parametrize("label", [0, -3, 2.0, True, "only"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_single_class_has_probability_one(label, activation, rng):
    X = rng.randn(20, 3)
    y = np.full(20, label)
    model = TwoLayerClassifier(4, activation=activation, random_state=0).fit(X, y)
    assert model.classes_.tolist() == [label]
    assert model.n_outputs_ == 1
    np.testing.assert_array_equal(model.predict_proba(X), np.ones((20, 1)))
    np.testing.assert_array_equal(model.predict_log_proba(X), np.zeros((20, 1)))
    np.testing.assert_array_equal(model.predict(X), y)


def test_weights_may_leave_a_single_class(rng):
    X = rng.randn(20, 3)
    y = np.repeat(["gone", "kept"], 10)
    model = TwoLayerClassifier(4, random_state=0).fit(X, y, sample_weight=y == "kept")
    assert model.classes_.tolist() == ["kept"]
    np.testing.assert_array_equal(model.predict_proba(X), np.ones((20, 1)))


def test_several_labels_per_row():
    X, Y = multilabel()
    model = TwoLayerClassifier(20, alpha=0.1, random_state=0).fit(X, Y)
    predicted = model.predict(X)
    assert predicted.shape == Y.shape
    assert np.issubdtype(predicted.dtype, np.integer)
    assert (predicted == Y).mean() > 0.95
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csc_matrix])
def test_several_labels_as_a_sparse_matrix(container):
    X, Y = multilabel()
    model = TwoLayerClassifier(5, random_state=0)
    expected = model.fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(model.fit(X, container(Y)).predict_proba(X), expected)


def test_a_label_that_never_varies_among_several():
    X, Y = multilabel()
    Y = np.column_stack([Y, np.zeros(len(Y), int), np.ones(len(Y), int)])
    predicted = TwoLayerClassifier(5, random_state=0).fit(X, Y).predict(X)
    assert not predicted[:, 3].any()
    assert predicted[:, 4].all()


def test_from_several_labels_back_to_one():
    X, Y = multilabel()
    model = TwoLayerClassifier(5, random_state=0)
    expected = model.fit(X, Y[:, 0]).predict_proba(X)
    actual = model.fit(X, Y).fit(X, Y[:, 0]).predict_proba(X)
    np.testing.assert_array_equal(actual, expected)


def test_a_column_of_labels_is_taken_with_a_warning(rng):
    X = rng.randn(20, 3)
    y = (X[:, :1] > 0).astype(int)
    model = TwoLayerClassifier(4, random_state=0)
    with pytest.warns(Warning, match="column-vector y was passed"):
        model.fit(X, y)
    assert model.predict(X).shape == (20,)
