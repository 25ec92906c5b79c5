"""JSON: what was written predicts the same when it is read, here and in plain Python."""

import json

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import plain_reader
from exported import TABLES, TARGETS, far, fitted, numbers, signal
from kinds import IGNORE_CONVERGENCE
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor, engine
from sklearn_twolayer.export import from_json, to_json
from sklearn_twolayer.export.description import describe

pytestmark = IGNORE_CONVERGENCE

METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "input_gradients")
INTERVALS = ("predict_interval", "predict_quantiles")


def test_wide_tables_have_the_distance_from_their_rows():
    rng = np.random.RandomState(0)
    X = rng.randn(30, 1001)
    model = TwoLayerRegressor(hidden_size=3, random_state=0, max_iter=5).fit(X, X[:, 0])
    again, new = from_json(to_json(model)), rng.randn(5, 1001)
    for found, expected in zip(
        again.predict(new, return_std=True), model.predict(new, return_std=True), strict=True
    ):
        assert_array_equal(found, expected)


def everything(model, X):
    """All that an estimator says of rows, or why it does not."""
    names = METHODS if isinstance(model, TwoLayerClassifier) else (METHODS[0], *INTERVALS)
    found = {name: said(getattr(model, name), X) for name in names}
    if isinstance(model, TwoLayerRegressor):
        found["std"] = said(model.predict, X, return_std=True)
    return found


def said(method, X, **options):
    try:
        return method(X, **options)
    except ValueError as error:
        return str(error)


def assert_the_same(model, X, **options):
    again = from_json(to_json(model, **options))
    assert type(again) is type(model)
    ours, theirs = everything(again, X), everything(model, X)
    for name, expected in theirs.items():
        assert_array_equal(ours[name], expected, err_msg=name)
    return again


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("table", TABLES)
def test_what_is_read_predicts_the_same_bits(table, target):
    solver = "lm" if len(table) % 2 else "lbfgs"
    model, X, _ = fitted(table, target, solver=solver, skip=table != "numbers")
    again = assert_the_same(model, far(X[:40]))
    assert to_json(again) == to_json(model)


LOSSES = [
    *({"loss": name} for name in engine.LOSSES if "log_loss" not in name),
    {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]},
    {"noise": "varying"},
    {"noise": "mixture"},
]
by_options = {"ids": lambda options: "-".join(map(str, options.values()))}


@pytest.fixture(scope="module")
def of_losses():
    """A fit for each of them, and its rows."""
    X = numbers(120)
    y = np.exp(signal(X)[:, 0]) + np.random.RandomState(0).rand(120)
    options = {"n_members": 1, "max_iter": 15, "random_state": 0}
    fits = [TwoLayerRegressor(3, **options, **asked).fit(X, y) for asked in LOSSES]
    return X, fits


def test_losses(of_losses):
    X, fits = of_losses
    for model in fits:
        again = assert_the_same(model, far(X))
        for name in ("noise_variance_", "dispersion_", "huber_delta_", "alpha_"):
            ours, theirs = getattr(again, name), getattr(model, name)
            assert type(ours) is type(theirs)
            assert_array_equal(ours, theirs)


def test_a_stream_and_single_precision():
    X, y = numbers().astype(np.float32) + 1e4, signal(numbers())[:, 0]
    model = TwoLayerRegressor(4, solver="adam", dtype="float32", random_state=0)
    assert_the_same(model.partial_fit(X, y), far(X))
    assert_the_same(model, X.astype(np.float64) + 50)


def row(X, i):
    """One row as plain numbers and text."""
    values = X.iloc[i].tolist() if isinstance(X, pd.DataFrame) else X[i].tolist()
    return [None if pd.isna(value) else value for value in values]


def by_plain_python(model, X, rows):
    text = to_json(model, posterior=False)
    return np.array([plain_reader.predict(text, row(X, i)) for i in rows])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("table", TABLES)
def test_plain_python_reads_it(table, target):
    names = list(plain_reader.ACTIVATIONS)
    activation = names[(len(table) + 2 * len(target)) % len(names)]
    model, X, _ = fitted(table, target, activation=activation, skip=len(target) % 2 == 0)
    vars(model)["_predictive"] = None
    X = pd.concat([X[:9], X[-1:]]) if isinstance(X, pd.DataFrame) else X[:10]
    found = by_plain_python(model, X, range(10))
    expected = getattr(model, "predict_proba", model.predict)(X)
    scale = np.abs(expected).max(axis=0)
    assert_allclose(found / scale, expected.reshape(10, -1) / scale, atol=1e-12)


@pytest.mark.parametrize("activation", plain_reader.ACTIVATIONS)
def test_plain_python_knows_all_activations(activation):
    model, X, _ = fitted("numbers", "classes", activation=activation, store_posterior=False)
    assert_allclose(by_plain_python(model, X, range(5)), model.predict_proba(X[:5]), atol=1e-12)
    assert engine.ACTIVATIONS.keys() == plain_reader.ACTIVATIONS.keys()


def test_plain_python_knows_all_losses(of_losses):
    X, fits = of_losses
    for model in fits:
        expected = model.predict(X[:5]).reshape(5, -1)
        assert_allclose(by_plain_python(model, X, range(5)), expected, rtol=1e-12, atol=1e-12)


def test_plain_python_reads_an_average_with_a_temperature():
    model, X, _ = fitted("mixed", "classes", n_members=3)
    model._predictive.update(variance_fraction=0.0, temperature=0.7)
    text = to_json(model)
    found = [plain_reader.predict(text, row(X, i)) for i in range(5)]
    assert_allclose(found, model.predict_proba(X[:5]), atol=1e-12)
    assert len(text) < 20_000  # no posterior is in it, that nobody would ask


def variance_by_loops(text, x):
    """The variance of the one output for standardised numbers x, by the entries of the text."""
    described = json.loads(text)
    (member,) = described["members"]
    W1, b1, W2 = (np.array(member[name]) for name in ("W1", "b1", "W2"))
    found, a = member["covariance"], np.tanh(x @ W1 + b1)
    slope = (1 - a**2) * W2[:, 0]
    b = np.array([*a, 1, *(x if member["W0"] else [])])
    if found["kind"] == "full":
        J = np.concatenate([np.outer(x, slope).ravel(), slope, b])
        C, k = np.zeros((len(J), len(J))), 0
        for i in range(len(J)):
            for j in range(i + 1):
                C[i, j] = C[j, i] = found["triangle"][k]
                k += 1
        return J @ C @ J
    D, g, U, V = (np.array(found[name]) for name in ("D", "g", "U", "V"))
    q = sum(
        np.dot([*x, 1], column) ** 2 / (1 + D_j * g)
        for column, D_j in zip(np.array(found["rotation"]).T, D, strict=True)
    )
    t = b @ np.array(found["layer2"][0]) @ b
    return q @ (slope @ U) ** 2 + t * V[0, 0] ** 2


@pytest.mark.parametrize("solver", ["lm", "lbfgs"])
@pytest.mark.parametrize("skip", [True, False])
def test_the_posterior_is_as_documented(solver, skip):
    model, X, _ = fitted("numbers", "one target", solver=solver, skip=skip, activation="tanh")
    text = to_json(model)
    described = json.loads(text)
    (member,), output = described["members"], described["output"]
    _, deviation = model.predict(X[:5], return_std=True)
    standardized = (X[:5] - member["mean"]) / member["scale"]
    found = [variance_by_loops(text, x) + output["noise"][0] for x in standardized]
    assert_allclose(output["unit"][0] * np.sqrt(found), deviation, rtol=1e-9)


def test_without_the_posterior():
    model, X, _ = fitted("numbers", "one target", hidden_size=6)
    text = to_json(model, posterior=False)
    assert len(text) < 0.5 * len(to_json(model))
    again = from_json(text)
    assert_array_equal(again.predict(X), model.predict(X))  # no row is far out
    with pytest.raises(ValueError, match=r"return_std=True needs .*left out of the text"):
        again.predict(X, return_std=True)
    with pytest.raises(ValueError, match=r"predict_interval needs .*left out of the text"):
        again.predict_interval(X)


def test_parameters_come_back():
    model, _, _ = fitted("numbers", "binary")
    asked = {
        "class_weight": {"no": 1.0, "yes": 2.5},
        "n_iter_no_change": np.inf,
        "batch_size": np.int64(7),
        "monotonic_cst": np.array([1, 0, 0, 0, 0]),
        "random_state": np.random.RandomState(0),
    }
    again = from_json(to_json(model.set_params(**asked)))
    expected = clone(model).set_params(monotonic_cst=[1, 0, 0, 0, 0], random_state=None)
    assert again.get_params() == expected.get_params()
    weights = {label: np.float64(2) for label in np.array([0, 1])}  # of NumPy's integers
    names = [np.str_("a"), np.str_("b")]
    model.set_params(class_weight=weights, categorical_features=names)
    found = from_json(to_json(model)).get_params()
    assert (found["class_weight"], found["categorical_features"]) == ({0: 2, 1: 2}, ["a", "b"])


def test_facts_of_the_fit_come_back():
    model, X, _ = fitted("mixed", "one target", n_members=2)
    again = from_json(to_json(model))
    assert again.members_ == model.members_
    assert_array_equal(again.encoded_feature_names_, model.encoded_feature_names_)
    for name in ("feature_names_in_", "features_used_", "feature_importances_", "alpha_"):
        assert_array_equal(getattr(again, name), getattr(model, name))
    for name in ("coefs_", "intercepts_", "categories_", "knots_"):
        for ours, theirs in zip(getattr(again, name), getattr(model, name), strict=True):
            assert_array_equal(ours, theirs)
            assert ours.dtype == theirs.dtype
    for name in ("solver_", "hidden_size_", "n_iter_", "log_evidence_", "activation_"):
        assert getattr(again, name) == getattr(model, name)
    with pytest.raises(ValueError, match="column 'age'"):
        again.predict(X.assign(age="old"))


def test_it_cannot_go_on():
    model, X, y = fitted("numbers", "one target", solver="adam", warm_start=True)
    again = from_json(to_json(model))
    with pytest.raises(ValueError, match=r"was read from JSON.*warm_start=False"):
        again.partial_fit(X, y)
    with pytest.raises(ValueError, match="was read from JSON"):
        again.fit(X, y)
    before = again.predict(X)
    assert_array_equal(again.set_params(warm_start=False).fit(X, y).predict(X), before)


def test_only_json():
    text = to_json(fitted("mixed", "one target")[0])
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_other_texts_are_errors():
    model, X, _ = fitted("numbers", "one target")
    text = to_json(model)
    with pytest.raises(ValueError, match="text is no JSON"):
        from_json("once upon a time")
    with pytest.raises(ValueError, match="text is no JSON"):
        from_json(text[: len(text) // 2])
    with pytest.raises(ValueError, match="text is no JSON: maximum recursion depth"):
        from_json("[" * 100_000)
    with pytest.raises(ValueError, match="must have the format 'sklearn-twolayer', got None"):
        from_json("[1, 2]")
    later = json.dumps(json.loads(text) | {"format_version": 2, "package_version": "9.0"})
    with pytest.raises(ValueError, match=r"version 2 .*by sklearn-twolayer 9\.0; .*version 1"):
        from_json(later)
    with pytest.raises(TypeError, match=r"text must be a string, .*got dict"):
        from_json({})
    description = json.loads(text)
    del description["network"]["b1"]
    with pytest.raises(ValueError, match="damaged, or was changed: KeyError: 'b1'"):
        from_json(json.dumps(description))
    description = json.loads(text)
    description["network"]["b1"].pop()
    with pytest.raises(ValueError, match=r"damaged.*b1 must have the shape \(3,\), got \(2,\)"):
        from_json(json.dumps(description))
    description = json.loads(text)
    description["members"][0]["W2"].pop()
    with pytest.raises(ValueError, match=r"damaged.*a member must have \d+ weights, got \d+"):
        from_json(json.dumps(description))
    assert_array_equal(from_json(text.encode()).predict(X), model.predict(X))


def test_what_is_no_estimator_of_ours():
    with pytest.raises(NotFittedError):
        to_json(TwoLayerRegressor())

    class Own(TwoLayerRegressor):
        """One that may predict in its own way."""

    with pytest.raises(TypeError, match=r"model must be a .*got Own"):
        describe(Own())
