"""ONNX models run on rows, and what tests of exports fit estimators to."""

import numpy as np
import pandas as pd

from mixed_frames import frame
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
}


def run(onnx_model, X):
    """All outputs for an array, or for a frame with one input for each column."""
    import onnxruntime

    session = onnxruntime.InferenceSession(onnx_model.SerializeToString())
    inputs = {each.name: each.type for each in session.get_inputs()}
    if list(inputs) == ["X"]:
        return session.run(None, {"X": np.asarray(X, TYPES[inputs["X"]])})
    return session.run(None, {name: _column(X[name], kind) for name, kind in inputs.items()})


def _column(x, kind):
    if kind == "tensor(string)":
        found = ["" if pd.isna(value) else str(value) for value in x]
        return np.array(found, dtype=object).reshape(-1, 1)
    return x.to_numpy(dtype=TYPES[kind], na_value=np.nan).reshape(-1, 1)


def as_single(X):
    """The rows as an ONNX model of float32 sees them."""
    if isinstance(X, np.ndarray):
        return X.astype(np.float32).astype(np.float64)
    numbers = X.select_dtypes("float").columns
    return X.assign(**{name: X[name].astype(np.float32).astype(float) for name in numbers})


def differences(model, onnx_model, X, y):
    """The largest difference of probabilities, or of predictions in units of y's deviation.

    Labels must be alike. With a second output of a regressor, that of deviations comes second. Rows
    behind those of y lie far out, where what float32 rounds is larger: a difference of theirs is
    taken relative to what is predicted, and counts a tenth.
    """
    seen, found, n = as_single(X), run(onnx_model, X), len(y)
    if isinstance(model, TwoLayerClassifier):
        label, probability = found
        assert np.array_equal(label, model.predict(seen))
        apart = np.abs(probability - model.predict_proba(seen))
        return [max(apart[:n].max(), apart[n:].max(initial=0) / 10)]
    expected = [model.predict(seen)] if len(found) == 1 else model.predict(seen, return_std=True)
    return [
        _largest(ours, theirs.reshape(len(theirs), -1), y)
        for ours, theirs in zip(found, expected, strict=True)
    ]


def _largest(found, expected, y):
    limit = np.finfo(np.float32).max / 4
    expected = np.clip(expected, -limit, limit)
    unit, n = np.broadcast_to(np.std(y, axis=0), expected.shape).copy(), len(y)
    unit[n:] = 10 * np.maximum(unit[n:], np.abs(expected[n:]))
    return np.max(np.abs(found - expected) / unit)


def numbers(n_rows=80):
    """Of several sizes, two of them skewed."""
    X = np.random.RandomState(0).randn(n_rows, 4) * [1, 1e3, 1, 1e-3] + [0, 5e3, 1, 0]
    return np.hstack([X[:, :3], np.exp(X[:, 3:]), np.exp(X[:, :1])])


def with_missing():
    """One column that nothing is missing in."""
    X = numbers()
    X[np.random.RandomState(1).rand(*X.shape) < 0.1] = np.nan
    X[:, 0] = numbers()[:, 0]
    return X


def many_levels():
    """A frame with a category of more than 64 levels, and one of few, some missing."""
    rng = np.random.RandomState(0)
    town = [f"town {k}" for k in np.arange(120) % 66]
    kind = rng.choice(["a", "b", None], size=120)
    return pd.DataFrame({"town": town, "x": rng.randn(120), "kind": kind})


TABLES = {
    "numbers": (numbers, {"encoding": "linear"}),
    "missing": (with_missing, {"encoding": "linear"}),
    "knots": (with_missing, {"encoding": "piecewise_linear", "n_knots": 5}),
    "mixed": (lambda: frame(80), {"encoding": "linear"}),
    "many levels": (many_levels, {"encoding": "linear"}),
}
"""Rows, and how an estimator is to encode them."""


def signal(X):
    """What targets are made of, (n_rows, 2), from all kinds of columns."""
    X = pd.DataFrame(X)
    parts = [
        pd.Series(pd.factorize(X[name])[0] % 5 if X[name].dtype.kind not in "f" else X[name])
        for name in X
    ]
    Z = np.column_stack([part.fillna(part.mean()) for part in parts])
    Z = (Z - Z.mean(axis=0)) / Z.std(axis=0)
    return np.column_stack([np.sin(Z[:, 0]) + Z[:, 1], Z[:, -1] * Z[:, 0]])


TARGETS = {
    "binary": (TwoLayerClassifier, lambda S: np.where(S[:, 0] > 0, "yes", "no")),
    "classes": (TwoLayerClassifier, lambda S: np.digitize(S[:, 0], [-0.5, 0.5]) * 10),
    "labels": (TwoLayerClassifier, lambda S: (S > 0).astype(int)),
    "one target": (TwoLayerRegressor, lambda S: 10 + 5 * S[:, 0]),
    "two targets": (TwoLayerRegressor, lambda S: S * [1, 1e3] + [0, 1e4]),
}
"""An estimator, and targets made of a signal."""


def fitted(table, target, **options):
    """A fitted estimator of few units, its rows and targets; moderation counts all variances.

    float32 holds the rows, so that the same ones are outside of the ranges that they have.
    """
    (make, encoding), (estimator, targets) = TABLES[table], TARGETS[target]
    X = as_single(make())
    y = targets(signal(X))
    quick = {"hidden_size": 3, "max_iter": 12, "n_members": 1, "random_state": 0}
    model = estimator(**{**quick, **encoding, **options}).fit(X, y)
    if model._predictive is not None and estimator is TwoLayerClassifier:
        model._predictive["variance_fraction"] = 1.0
    return model, X, y


def far(X):
    """The rows, and others that lie far out."""
    if isinstance(X, np.ndarray):
        return np.vstack([X, 5 * X - 3, -4 * X])
    numbers = X.select_dtypes("number").columns
    return pd.concat([X, X.assign(**{name: 5 * X[name] - 3 for name in numbers})])
