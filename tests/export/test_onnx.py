"""ONNX models predict what their estimators do, to 1e-5 of a deviation, in float32."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_linnerud,
    load_wine,
)
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from exported import TABLES, TARGETS, as_single, differences, far, fitted, numbers, run, signal
from kinds import IGNORE_CONVERGENCE
from mixed_frames import frame
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor, engine
from sklearn_twolayer.export import from_json, to_json, to_onnx
from sklearn_twolayer.export.onnx_network import ACTIVATIONS

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytestmark = IGNORE_CONVERGENCE

TOLERANCE = 1e-5
SOLVERS = ("lbfgs", "lm", "adam")


def assert_equal(model, X, y, **options):
    for difference in differences(model, to_onnx(model, **options), X, y):
        assert difference < TOLERANCE


def test_all_activations_are_known():
    assert ACTIVATIONS.keys() == engine.ACTIVATIONS.keys()


def each_with_each():
    """Every pair of an activation, a table, a target and a solver, without all the products."""
    activations, tables, targets = list(ACTIVATIONS), list(TABLES), list(TARGETS)
    for i, activation in enumerate(activations):
        for j, table in enumerate(tables):
            target = targets[(i + j) % len(targets)]
            yield activation, table, target, SOLVERS[(i + j // 2) % len(SOLVERS)]


def check_product(activation, table, target, solver, skip):
    model, X, y = fitted(table, target, activation=activation, solver=solver, skip=skip)
    std = {"return_std": True} if isinstance(model, TwoLayerRegressor) else {}
    assert_equal(model, far(X), y, **std)


@pytest.mark.parametrize(("activation", "table", "target", "solver"), list(each_with_each()))
def test_pairs(activation, table, target, solver):
    check_product(activation, table, target, solver, skip=(len(activation) + len(table)) % 2 == 0)


@pytest.mark.slow
@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_whole_product(activation, table, target, solver, skip):
    check_product(activation, table, target, solver, skip)


BUNDLED = {
    "iris": (TwoLayerClassifier, load_iris),
    "wine": (TwoLayerClassifier, load_wine),
    "breast cancer": (TwoLayerClassifier, load_breast_cancer),
    "digits": (TwoLayerClassifier, load_digits),
    "diabetes": (TwoLayerRegressor, load_diabetes),
    "linnerud": (TwoLayerRegressor, load_linnerud),
}


def check_bundled(name, n_rows, **options):
    """As they are, and with all of the uncertainty counted."""
    estimator, load = BUNDLED[name]
    X, y = load(return_X_y=True)
    X = as_single(X)
    model = estimator(random_state=0, **options).fit(X, y)
    assert_equal(model, X, y)
    if estimator is TwoLayerRegressor:
        assert_equal(model, far(X), y, return_std=True)
        return
    chosen = model.predict_proba(X[:n_rows])
    # some tables count more of the variance than others
    fraction, model._predictive["variance_fraction"] = model._predictive["variance_fraction"], 1.0
    assert_equal(model, X[:n_rows], y[:n_rows])
    assert fraction == 1 or np.abs(model.predict_proba(X[:n_rows]) - chosen).max() > 1e-3


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_tables(name):
    check_bundled(name, 60, n_members=1, max_iter=10)


@pytest.mark.slow
@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_tables_untouched(name):
    check_bundled(name, 2000)


LOSSES = [
    *({"loss": name} for name in engine.LOSSES if "log_loss" not in name),
    {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]},
    {"noise": "varying"},
    {"noise": "mixture"},
]


@pytest.mark.parametrize(
    "options", LOSSES, ids=lambda options: "-".join(map(str, options.values()))
)
def test_losses_with_far_rows(options):
    X, target = as_single(numbers(200)), TARGETS["one target"][1]
    y = np.exp(signal(X)[:, 0]) if "loss" in options else target(signal(X))
    y = y + 0.5 * np.random.RandomState(0).rand(len(y))
    model = TwoLayerRegressor(3, n_members=1, max_iter=20, random_state=0, **options).fit(X, y)
    loss = model._loss_at_fit
    has_std = loss.has_noise or loss.knows_variance
    # behind a logarithm, further out is astronomical
    later = np.vstack([X, 0.3 * far(X) + 0.7 * X.mean(axis=0)])
    assert_equal(model, later, y, **({"return_std": True} if has_std else {}))


@pytest.mark.parametrize("target", ["classes", "two targets"])
def test_averages(target):
    model, X, y = fitted("mixed", target, n_members=3)
    assert model.n_members_ > 1
    assert_equal(model, far(X), y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_columns_of_large_offset(dtype):
    X, offset = numbers(), {"float32": 1e4, "float64": 1e9}[dtype]
    y = TARGETS["one target"][1](signal(X)) + offset
    X = X + offset
    if dtype == "float32":
        X = as_single(X)
    model = TwoLayerRegressor(4, n_members=1, random_state=0).fit(X, y)
    (found,) = run(to_onnx(model, dtype=dtype), X)
    assert found.dtype == dtype
    # float32 cannot hold the targets themselves any better
    limit = 1e-5 if dtype == "float64" else 1e-5 + 1e4 * np.finfo(np.float32).eps / np.std(y)
    assert np.abs(found[:, 0] - model.predict(X)).max() < limit * np.std(y)


def test_numbers_that_are_categories():
    X = numbers()
    X[:, 0], X[:, 2] = np.arange(80) % 3, np.where(np.arange(80) % 7, np.arange(80) % 2, np.nan)
    y = (X[:, 0] == 1) + np.nan_to_num(X[:, 2])
    model = TwoLayerRegressor(4, categorical_features=[0, 2], max_iter=20, random_state=0)
    model.fit(X, y)
    later = X.copy()
    later[:4, 0], later[4:8, 0] = 2.5, np.nan  # a label not met, and one missing where none was
    assert_equal(model, later, y)


def test_labels_of_more_digits_than_float32_has():
    X = pd.DataFrame({"id": np.array([2**24, 2**24 + 1, 7] * 20), "x": numbers(60)[:, 0]})
    y = (X["id"] == 2**24).to_numpy(float)
    model = TwoLayerRegressor(4, categorical_features=["id"], max_iter=20, random_state=0)
    model.fit(X, y)
    exported = to_onnx(model)
    assert [i.type.tensor_type.elem_type for i in exported.graph.input] == [
        onnx.TensorProto.DOUBLE,
        onnx.TensorProto.FLOAT,
    ]
    assert differences(model, exported, X, y)[0] < TOLERANCE


def test_text_that_is_missing_or_not_known():
    X = pd.DataFrame({"a": ["x", "y", None, "z"] * 10, "b": ["", "full"] * 20, "n": range(40)})
    y = np.arange(40) % 4
    model = TwoLayerClassifier(4, max_iter=20, random_state=0).fit(X, y)
    later = X.assign(a=["x", "unheard of", "", None] * 10)
    found = run(to_onnx(model), later)[1]
    expected = model.predict_proba(later.assign(a=["x", "unheard of", None, None] * 10))
    assert np.abs(found - expected).max() < TOLERANCE
    # where no category is "", it is missing; where one is, it is that
    assert np.abs(found[2] - found[1]).max() > 1e-3
    assert np.abs(found[0::4][0] - found[0::4][1]).max() < 1


def test_categories_alone():
    X = pd.DataFrame({"a": list("xyzxy") * 8, "b": list("pq") * 20})
    y = (X["a"] == "x") * 2.0 + (X["b"] == "p") + 0.1 * np.random.RandomState(0).randn(40)
    model = TwoLayerRegressor(4, max_iter=20, random_state=0).fit(X, y)
    assert_equal(model, X, y, return_std=True)


def test_a_category_that_was_always_missing():
    X = pd.DataFrame({"a": pd.Categorical([None] * 40, categories=["x"]), "n": numbers(40)[:, 0]})
    X = as_single(X)
    model = TwoLayerRegressor(3, max_iter=20, random_state=0).fit(X, X["n"] ** 2)
    found = run(to_onnx(model), X.assign(a=np.nan))[0]
    assert np.abs(found[:, 0] - model.predict(X)).max() < TOLERANCE


def test_columns_whose_correlations_do_not_count(monkeypatch):
    factors = "sklearn_twolayer.engine.bayes.kronecker_factors"
    monkeypatch.setattr(f"{factors}.MOST_CORRELATED", 3)
    for table in ("numbers", "knots", "mixed"):
        model, X, y = fitted(table, "one target", solver="lbfgs", skip=True)
        (covariance,) = model._predictive["covariances"]
        assert len(covariance["rotation"]) == 1 and len(covariance["scale"]) > 4
        assert_equal(model, far(X), y, return_std=True)


def test_what_was_read_from_json():
    model, X, y = fitted("mixed", "two targets", n_members=2)
    assert_equal(from_json(to_json(model)), far(X), y, return_std=True)


def test_an_average_of_several_encodings():
    X = as_single(frame(250))
    y = (X["age"] > 0.3) + np.sin(2 * X["income"].clip(upper=4))
    y = y + 0.3 * np.random.RandomState(0).randn(len(X))
    model = TwoLayerRegressor(n_members=2, max_iter=12, random_state=0).fit(X, y)
    assert {each["encoding"] for each in model.members_} == {"linear", "piecewise_linear"}
    assert_equal(model, far(X), y, return_std=True)


def test_one_class():
    X = numbers()
    model = TwoLayerClassifier(2, random_state=0).fit(X, np.full(len(X), "only"))
    label, probability = run(to_onnx(model), X)
    assert set(label) == {"only"} and (probability == 1).all()


@pytest.mark.parametrize(
    "classes",
    [np.array([False, True]), np.array([1.0, 3.0]), np.array(["a", "b"], dtype=object)],
    ids=["bool", "float", "object"],
)
def test_types_of_labels(classes):
    X = numbers()
    y = classes[(signal(X)[:, 0] > 0).astype(int)]
    model = TwoLayerClassifier(2, random_state=0).fit(X, y)
    label = run(to_onnx(model), X)[0]
    assert np.array_equal(label, model.predict(as_single(X)))


def test_no_moderation():
    model, X, y = fitted("numbers", "classes")
    before = model.predict_proba(as_single(X))
    model.set_params(moderate=False)
    assert_equal(model, X, y)
    assert np.abs(before - model.predict_proba(as_single(X))).max() > 1e-3


@pytest.mark.parametrize(
    "options", [{"monotonic_cst": [1, 0, 0, 0, -1]}, {"group_lasso": True}, {"standardize": False}]
)
def test_other_ways_to_train(options):
    X = as_single(numbers(100) / [1, 1e3, 1, 1, 1])
    y = TARGETS["one target"][1](signal(X))
    model = TwoLayerRegressor(3, n_members=1, max_iter=12, random_state=0, **options).fit(X, y)
    assert_equal(model, far(X), y, return_std=True)


def test_trained_on_sparse_rows():
    X = numbers() * (np.random.RandomState(0).rand(80, 5) < 0.5)
    y = TARGETS["classes"][1](signal(X))
    model = TwoLayerClassifier(4, random_state=0).fit(sparse.csr_array(X), y)
    assert_equal(model, X, y)


def test_a_stream():
    X = as_single(numbers(200))
    y = TARGETS["one target"][1](signal(X))
    model = TwoLayerRegressor(4, solver="adam", random_state=0)
    for start in (0, 100):
        model.partial_fit(X[start : start + 100], y[start : start + 100])
    assert_equal(model, far(X), y, return_std=True)


def knows_nothing(X, single):
    """A network as good as a guess, which draws any row in that is outside."""
    rows = X.astype(np.float32) if single else X
    model = TwoLayerRegressor(3, max_iter=5, n_members=1, random_state=0)
    model.fit(rows, signal(X)[:, 0])
    for covariance in model._predictive["covariances"]:
        covariance *= 1e6
    return model


@pytest.mark.parametrize("single", [False, True], ids=["to float32", "from float32"])
def test_rows_of_training_are_not_far_out_as_they_are_rounded(single):
    X = numbers() + 1 / 3
    model, low, high = knows_nothing(X, single), X.min(axis=0), X.max(axis=0)
    assert (as_single(X) < low).any() and (as_single(X) > high).any()
    exported = to_onnx(model, dtype="float64" if single else "float32")
    (found,) = run(exported, X)
    assert np.abs(found[:, 0] - model._inverse_link(model._raw_prediction(X))[:, 0]).max() < 1e-5
    outside = X + (X == high)
    (found,) = run(exported, outside)
    assert np.abs(found[:, 0] - model.predict(outside)).max() < 1e-5
    assert np.array_equal(from_json(to_json(model)).predict(X), model.predict(X))


def test_edited_weights_count():
    model, X, y = fitted("knots", "one target", store_posterior=False, alpha=1.0)
    model.coefs_[1] = 2 * model.coefs_[1]
    assert_equal(model, X, y)


def test_single_precision():
    X, y = numbers().astype(np.float32), TARGETS["one target"][1](signal(numbers()))
    model = TwoLayerRegressor(4, dtype="float32", random_state=0).fit(X, y)
    assert_equal(model, far(X.astype(np.float64)), y, return_std=True)


def test_without_the_posterior():
    model, X, y = fitted("numbers", "one target")
    small, whole = to_onnx(model, posterior=False), to_onnx(model)
    assert small.ByteSize() < 0.8 * whole.ByteSize()
    certain = clone(model).set_params(store_posterior=False, alpha=model.alpha_)
    certain = clone(model)
    vars(certain).update({**vars(model), "_predictive": None})
    assert differences(certain, small, far(X), y)[0] < TOLERANCE
    assert differences(model, small, far(X), y)[0] > 0.1  # as far rows are not drawn in


def test_no_rows_and_one_row():
    model, X, _ = fitted("mixed", "one target")
    exported = to_onnx(model, return_std=True)
    for n in (0, 1):
        assert [found.shape for found in run(exported, X[:n])] == [(n, 1)] * 2


def test_inputs_and_outputs():
    model, _, _ = fitted("mixed", "binary")
    exported = to_onnx(model)
    text, number = onnx.TensorProto.STRING, onnx.TensorProto.FLOAT
    kinds = {i.name: i.type.tensor_type.elem_type for i in exported.graph.input}
    assert kinds == dict.fromkeys(model.feature_names_in_, number) | {"city": text}
    assert [o.name for o in exported.graph.output] == ["label", "probabilities"]
    assert exported.producer_name == "sklearn-twolayer"
    model, _, _ = fitted("numbers", "one target")
    exported = to_onnx(model, return_std=True)
    assert [i.name for i in exported.graph.input] == ["X"]
    assert [o.name for o in exported.graph.output] == ["prediction", "std"]


def test_wide_tables_have_the_distance_from_their_rows():
    rng = np.random.RandomState(0)
    X = rng.randn(40, 1001)
    y = X[:, 0] + 0.1 * rng.randn(40)
    model = TwoLayerRegressor(random_state=0, max_iter=10).fit(X, y)
    assert any("basis" in each for each in model._predictive["covariances"])
    new = np.concatenate([X[:5], rng.randn(5, 1001)])
    assert_equal(model, new, y[:10], return_std=True)


def test_columns_may_have_the_names_of_outputs_and_nodes():
    X, y = frame(40), np.arange(40.0)
    model = TwoLayerRegressor(3, n_members=1, max_iter=5, random_state=0).fit(X, y)
    expected = model.predict(X)
    nodes = [node.output[0] for node in to_onnx(model).graph.node]
    X.columns = ["label", "prediction", "", nodes[0], nodes[5]]
    exported = to_onnx(model.fit(X, y))
    X.columns = [each.name for each in exported.graph.input]
    assert list(X.columns) == ["label_", "prediction_", "_", nodes[0], nodes[5]]
    (found,) = run(exported, X)
    assert np.abs(found[:, 0] - expected).max() < TOLERANCE * y.std()


def test_errors_say_what_is_wrong():
    regressor, X, y = fitted("numbers", "one target")
    with pytest.raises(NotFittedError, match="TwoLayerRegressor instance is not fitted"):
        to_onnx(TwoLayerRegressor())
    with pytest.raises(TypeError, match=r"got Pipeline: .*register"):
        to_onnx(make_pipeline(regressor))
    with pytest.raises(ValueError, match=r"dtype must be one of .*got 'float16'"):
        to_onnx(regressor, dtype="float16")
    with pytest.raises(ValueError, match="return_std=True needs a posterior: it was left out"):
        to_onnx(regressor, return_std=True, posterior=False)
    given = clone(regressor).set_params(alpha=1.0, store_posterior=False).fit(X, y)
    with pytest.raises(ValueError, match=r"return_std=True needs a posterior: .*store_posterior"):
        to_onnx(given, return_std=True)
    median = clone(regressor).set_params(loss="absolute_error").fit(X, y)
    with pytest.raises(ValueError, match="noise variance, got 'absolute_error'"):
        to_onnx(median, return_std=True)
    classifier, _, _ = fitted("numbers", "binary")
    with pytest.raises(ValueError, match="needs a regressor, got a TwoLayerClassifier"):
        to_onnx(classifier, return_std=True)
