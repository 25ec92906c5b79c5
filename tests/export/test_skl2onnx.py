"""Pipelines that skl2onnx converts, once our estimators are registered."""

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from exported import TARGETS, as_single, fitted, numbers, run, signal
from kinds import IGNORE_CONVERGENCE
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer.export import register

skl2onnx = pytest.importorskip("skl2onnx")
pytest.importorskip("onnxruntime")
pytestmark = IGNORE_CONVERGENCE

QUICK = {"n_members": 1, "max_iter": 12, "random_state": 0}


@pytest.fixture(autouse=True, scope="module")
def registered():
    register()
    register()  # twice is no error


def table():
    """Numbers and text, without anything missing."""
    rng = np.random.RandomState(0)
    X = pd.DataFrame(as_single(numbers()), columns=list("abcde"))
    return X.assign(city=rng.choice(["Ulm", "Bonn"], len(X)))


def types_of(X):
    """The inputs that a model takes: float32, and text."""
    first = {name: X[name].dropna().iloc[0] for name in X.columns}
    kinds = {name: _text if isinstance(value, str) else _numbers for name, value in first.items()}
    return [(name, kind([None, 1])) for name, kind in kinds.items()]


def _text(shape):
    return skl2onnx.common.data_types.StringTensorType(shape)


def _numbers(shape):
    return skl2onnx.common.data_types.FloatTensorType(shape)


@pytest.mark.parametrize("target", TARGETS)
def test_a_pipeline_with_column_transformer(target):
    X, (estimator, targets) = table(), TARGETS[target]
    y = targets(signal(X))
    columns = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["city"]),
        (StandardScaler(), ["a", "b", "c"]),
        ("passthrough", ["d", "e"]),
    )
    model = make_pipeline(columns, estimator(3, **QUICK)).fit(X, y)
    if estimator is TwoLayerClassifier:
        options = {"zipmap": False}
        model[-1]._predictive["variance_fraction"] = 1.0
    else:
        options = {"return_std": True}
    exported = skl2onnx.to_onnx(model, initial_types=types_of(X), options={id(model[-1]): options})
    first, second = run(exported, X)
    if estimator is TwoLayerClassifier:
        assert np.array_equal(first, model.predict(X))
        assert np.abs(second - model.predict_proba(X)).max() < 1e-5
        return
    n, unit = len(X), np.std(y, axis=0)
    for found, expected in zip((first, second), model.predict(X, return_std=True), strict=True):
        assert np.max(np.abs(found - expected.reshape(n, -1)) / unit) < 1e-5


def test_an_estimator_of_frames():
    model, X, _ = fitted("mixed", "one target")
    exported = skl2onnx.to_onnx(model, initial_types=types_of(X))
    (found,) = run(exported, X)
    assert np.abs(found[:, 0] - model.predict(X)).max() < 1e-5 * model.predict(X).std()


def test_integers_and_float64():
    X = np.column_stack([np.arange(60) % 3, np.arange(60) % 7]).astype(np.int64)
    model = TwoLayerRegressor(3, categorical_features=[0], **QUICK).fit(X, X[:, 0] == 1)
    found = [run(skl2onnx.to_onnx(model, rows[:1]), rows)[0] for rows in (X, X.astype(float))]
    assert [each.dtype for each in found] == [np.float32, np.float64]
    for each in found:
        assert np.abs(each[:, 0] - model.predict(X)).max() < 1e-5


def test_zip_maps_and_class_labels():
    model, X, _ = fitted("numbers", "binary")
    rows = X[:1].astype(np.float32)
    exported = skl2onnx.to_onnx(model, rows)
    labels, maps = run_array(exported, X)
    assert np.array_equal(labels, model.predict(X))
    expected = model.predict_proba(X)[:, 1]
    assert np.allclose([each["yes"] for each in maps], expected, atol=1e-5)
    options = {"zipmap": False, "output_class_labels": True}
    *_, classes = run_array(skl2onnx.to_onnx(model, rows, options=options), X)
    assert np.array_equal(classes, model.classes_)


def run_array(exported, X):
    import onnxruntime

    session = onnxruntime.InferenceSession(exported.SerializeToString())
    return session.run(None, {"X": X.astype(np.float32)})


AROUND = {
    "bagging": lambda model: BaggingClassifier(model, 2, random_state=0),
    "calibration": lambda model: CalibratedClassifierCV(model, cv=2),
    "one against one": lambda model: OneVsOneClassifier(model),
    "one against all": lambda model: OneVsRestClassifier(model),
    "stacking": lambda model: StackingClassifier([("one", model)], cv=2),
    "voting": lambda model: VotingClassifier(
        [("one", model)], voting="soft", flatten_transform=False
    ),
}
"""Estimators of scikit-learn around one of ours."""


@pytest.mark.parametrize("target", ["binary", "classes"])
@pytest.mark.parametrize("around", AROUND)
def test_estimators_around_ours(around, target):
    _, X, y = fitted("numbers", target)
    y = np.unique(y, return_inverse=True)[1]  # numbers, as some of their converters ask for
    model = AROUND[around](TwoLayerClassifier(3, **QUICK)).fit(X, y)
    rows = X[:1].astype(np.float32)
    label, score = run_array(skl2onnx.to_onnx(model, rows, options={"zipmap": False}), X)
    assert np.array_equal(label.ravel(), model.predict(X))
    if hasattr(model, "predict_proba"):
        assert np.abs(score - model.predict_proba(X)).max() < 1e-5


@pytest.mark.parametrize("target", ["binary", "classes", "labels"])
def test_raw_scores_are_those_of_the_decision_function(target):
    model, X, _ = fitted("numbers", target)
    rows, options = X[:1].astype(np.float32), {"zipmap": False, "raw_scores": True}
    _, found = run_array(skl2onnx.to_onnx(model, rows, options=options), X)
    expected = model.decision_function(X)
    expected = np.column_stack([-expected, expected]) if expected.ndim == 1 else expected
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_options():
    model, X, _ = fitted("numbers", "one target")
    rows = X[:1].astype(np.float32)
    small = skl2onnx.to_onnx(model, rows, options={id(model): {"posterior": False}})
    assert small.ByteSize() < skl2onnx.to_onnx(model, rows).ByteSize()
    with pytest.raises(ValueError, match="return_std=True needs a posterior"):
        asked = {"posterior": False, "return_std": True}
        skl2onnx.to_onnx(model, rows, options={id(model): asked})


def test_errors_say_what_is_wrong():
    model, X, _ = fitted("numbers", "one target")
    with pytest.raises(ValueError, match=r"target_opset must be at least 18 .*got 15"):
        skl2onnx.to_onnx(model, X[:1].astype(np.float32), target_opset=15)
    with pytest.raises(ValueError, match=r"fitted to 5 columns .*got 4"):
        skl2onnx.to_onnx(model, X[:1, :4].astype(np.float32))
    model, X, _ = fitted("mixed", "one target")
    types = [(name, _numbers([None, 1])) for name in X.columns]
    with pytest.raises(TypeError, match=r"column 'city' must be an input of strings.*float32"):
        skl2onnx.to_onnx(model, initial_types=types)
    with pytest.raises(ValueError, match=r"order of training, \['city', 'age', .*got \['income'"):
        skl2onnx.to_onnx(model, initial_types=types_of(X)[::-1])
    X = np.column_stack([[2.0**24, 2.0**24 + 1] * 20, np.arange(40)])
    model = TwoLayerRegressor(3, categorical_features=[0], **QUICK).fit(X, X[:, 1])
    with pytest.raises(ValueError, match=r"column 'x0' has categories .*same in float32.*float64"):
        skl2onnx.to_onnx(model, X[:1].astype(np.float32))
    skl2onnx.to_onnx(model, X[:1])
