"""What the model saw: gradients, hidden units and importances, as seen from the estimators."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import kinds
from kinds import IGNORE_CONVERGENCE, every, five_kinds
from mixed_frames import CITIES, frame, targets
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer.engine import ACTIVATIONS

pytestmark = IGNORE_CONVERGENCE

N_ROWS = 60
UNITS = np.array([1, 100, 0.01, 3, 1])


def quantities(n_targets):
    rng = np.random.RandomState(0)
    X = rng.randn(N_ROWS, 5) * UNITS + [0, 20, -1, 5, 100]
    Y = (X / UNITS) @ rng.randn(5, n_targets) + np.sin(X[:, [0]]) + 50
    return X, Y[:, 0] if n_targets == 1 else Y


def labels(n_classes):
    X, y = kinds.labels(n_classes, N_ROWS)
    return X * UNITS, y


def several_labels():
    return kinds.several_labels(N_ROWS)


KINDS = five_kinds(labels, several_labels, quantities)
every_kind = every(KINDS)
every_activation = pytest.mark.parametrize("activation", ACTIVATIONS)
every_method = pytest.mark.parametrize(
    "method", ["input_gradients", "hidden_features", "gradient_importances"]
)
either_prior = pytest.mark.parametrize("alpha", [1.0, "auto"])
with_and_without_skip = pytest.mark.parametrize("skip", [False, True], ids=["no skip", "skip"])


def fitted(estimator, X, y, **options):
    network = {"activation": "tanh", "skip": True, "alpha": 1.0}
    options = {**network, "max_iter": 15, "random_state": 0, **options}
    return estimator(6, **options).fit(X, y)


def outputs(model, X):
    """Predictions or logits before any moderation, (n_rows, n_outputs)."""
    return model._raw_prediction(X)


@pytest.mark.sampled(7)
@every_kind
@either_prior
@every_activation
@with_and_without_skip
def test_gradients_are_differences_of_outputs(estimator, X, y, activation, skip, alpha):
    model = fitted(estimator, X, y, activation=activation, skip=skip, alpha=alpha)
    # off the training rows, some of which are whole numbers
    X = X[:30] + 0.01 * X.std(axis=0) * np.random.RandomState(1).randn(30, 5)
    gradients = model.input_gradients(X)
    assert gradients.shape == (30, model.n_outputs_, 5)
    for j, step in enumerate(1e-6 * X.std(axis=0)):
        move = step * np.eye(5)[j]
        expected = (outputs(model, X + move) - outputs(model, X - move)) / (2 * step)
        largest = np.abs(expected).max()
        assert_allclose(gradients[:, :, j], expected, rtol=1e-5, atol=1e-6 * largest)


@pytest.mark.sampled(7)
@every_kind
@either_prior
@every_activation
def test_hidden_features_are_what_the_output_layer_sees(estimator, X, y, activation, alpha):
    model = fitted(estimator, X, y, activation=activation, alpha=alpha)
    features = model.hidden_features(X)
    assert features.shape == (N_ROWS, 6)
    expected = features @ model.coefs_[1] + model.intercepts_[1] + X @ model.skip_coef_
    assert_allclose(outputs(model, X), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.sampled(7)
@every_kind
@either_prior
@every_method
@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix, sparse.coo_array])
def test_sparse_rows_are_dense_rows(estimator, X, y, method, container, alpha):
    X = np.where(np.random.RandomState(1).rand(*X.shape) < 0.5, 0, X)
    model = fitted(estimator, X, y, alpha=alpha)
    result = getattr(model, method)(container(X))
    assert isinstance(result, np.ndarray)
    assert_allclose(result, getattr(model, method)(X), rtol=1e-9, atol=1e-12)


@pytest.mark.sampled(7)
@every_kind
@either_prior
@every_activation
@with_and_without_skip
def test_float32_rows_give_float32(estimator, X, y, activation, skip, alpha):
    model = fitted(
        estimator, X.astype(np.float32), y, activation=activation, skip=skip, alpha=alpha
    )
    for method in (model.input_gradients, model.hidden_features):
        result, exact = method(X.astype(np.float32)), method(X.astype(np.float32).astype(float))
        assert result.dtype == np.float32
        assert exact.dtype == np.float64
        scale = np.abs(exact).max(axis=tuple(range(exact.ndim - 1)), keepdims=True)
        # a kink may lie between the two roundings of a row
        assert np.mean(np.abs(result - exact) > 1e-3 * scale) < 0.02
    assert model.gradient_importances(X.astype(np.float32)).dtype == np.float64


@every_method
def test_names_of_columns_are_checked(method):
    X, y = quantities(1)
    table = pd.DataFrame(X, columns=list("abcde"))
    model = fitted(TwoLayerRegressor, table, y)
    expected = getattr(fitted(TwoLayerRegressor, X, y), method)(X)
    assert_allclose(getattr(model, method)(table), expected, rtol=1e-9)
    with pytest.raises(ValueError, match="feature names should match"):
        getattr(model, method)(table[list("edcba")])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        getattr(model, method)(X)


@every_method
@pytest.mark.parametrize("estimator", [TwoLayerClassifier, TwoLayerRegressor])
def test_needs_a_fit(method, estimator):
    with pytest.raises(NotFittedError):
        getattr(estimator(), method)(np.ones((2, 2)))


@every_kind
@every_method
def test_needs_the_columns_of_training(estimator, X, y, method):
    look = getattr(fitted(estimator, X, y), method)
    with pytest.raises(ValueError, match="X has 4 features"):
        look(X[:, :4])
    with pytest.raises(ValueError, match="column 0 of X: must be finite or missing"):
        look(np.full_like(X, np.inf))
    with pytest.raises(ValueError, match="NaN"):
        look(sparse.csr_array(np.full_like(X, np.nan)))


@every_kind
@either_prior
@every_method
def test_changes_nothing(estimator, X, y, method, alpha):
    model = fitted(estimator, X, y, alpha=alpha)
    before, kept = outputs(model, X), X.copy()
    attributes = sorted(vars(model))
    getattr(model, method)(X)
    assert_array_equal(X, kept)
    assert_array_equal(outputs(model, X), before)
    assert sorted(vars(model)) == attributes


@every_method
def test_looks_at_the_network_that_was_fitted(method):
    X, y = quantities(1)
    model = fitted(TwoLayerRegressor, X, y)
    before = getattr(model, method)(X)
    assert_array_equal(getattr(model.set_params(activation="relu"), method)(X), before)


def test_a_classifier_is_still_no_transformer():
    X, y = labels(2)
    pipeline = make_pipeline(FunctionTransformer(), TwoLayerClassifier(3)).fit(X, y)
    assert not hasattr(pipeline, "transform")
    assert pipeline[-1].hidden_features(X).shape == (N_ROWS, 3)


@every_kind
@either_prior
@with_and_without_skip
def test_importances_are_their_formula(estimator, X, y, skip, alpha):
    model = fitted(estimator, X, y, skip=skip, alpha=alpha)
    gradients = model.input_gradients(X)
    if model.out_activation_ == "softmax":
        gradients = gradients - gradients.mean(axis=1, keepdims=True)
    moves = X.std(axis=0) * np.sqrt((gradients**2).mean(axis=0).sum(axis=0))
    importances = model.gradient_importances(X)
    assert importances.shape == (5,)
    assert_allclose(importances.sum(), 1)
    assert_allclose(importances, moves / moves.sum(), rtol=1e-9)


@with_and_without_skip
def test_importances_of_a_linear_function_are_its_coefficients(skip):
    rng = np.random.RandomState(0)
    X = rng.randn(200, 4) * [1, 100, 0.01, 3] + [0, 1e4, 5, -3]
    slopes = np.array([5, -0.02, 100, 0])
    model = TwoLayerRegressor(
        4, activation="identity", skip=skip, alpha=0.0, tol=1e-10, max_iter=5000, random_state=0
    ).fit(X, X @ slopes)
    moves = np.abs(slopes) * X.std(axis=0)
    assert_allclose(model.gradient_importances(X), moves / moves.sum(), atol=1e-4)
    gradients = model.input_gradients(X)[:, 0] * X.std(axis=0)
    assert_allclose(gradients, np.tile(slopes * X.std(axis=0), (200, 1)), atol=1e-6)


@every_kind
@pytest.mark.parametrize("when", ["training", "inspection"])
def test_a_constant_column_has_no_importance(estimator, X, y, when):
    X_constant = X.copy()
    X_constant[:, 2] = 0.1
    model = fitted(estimator, X_constant if when == "training" else X, y)
    importances = model.gradient_importances(X if when == "training" else X_constant)
    assert importances[2] == 0
    assert importances[[0, 1, 3, 4]].all()
    if when == "training":
        assert not model.input_gradients(X)[:, :, 2].any()


def test_what_adds_to_all_logits_alike_has_no_importance():
    X, y = labels(3)
    model = fitted(TwoLayerClassifier, X, y)
    probabilities, importances = model.predict_proba(X), model.gradient_importances(X)
    model.skip_coef_ = model.skip_coef_ + np.array([[0], [0.1], [0], [0], [0]])
    assert_allclose(model.predict_proba(X), probabilities, rtol=1e-9)
    assert_allclose(model.gradient_importances(X), importances, rtol=1e-9)


@every_kind
@either_prior
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_weights_count_as_copies(estimator, X, y, container, alpha):
    model = fitted(estimator, X, y, alpha=alpha)
    copies = np.random.RandomState(2).randint(4, size=N_ROWS)
    expected = model.gradient_importances(container(np.repeat(X, copies, axis=0)))
    assert_allclose(model.gradient_importances(container(X), copies), expected, rtol=1e-9)
    assert_allclose(model.gradient_importances(container(X), 7.5 * copies), expected, rtol=1e-9)
    assert not np.allclose(model.gradient_importances(container(X)), expected, rtol=1e-3)


def test_rows_of_weight_zero_are_absent():
    """Even where an activation overflows."""
    X, y = quantities(1)
    model = fitted(TwoLayerRegressor, X, y, activation="relu")
    far = np.vstack([X, np.full((1, 5), 1e300)])
    weights = np.append(np.ones(N_ROWS), 0)
    expected = model.gradient_importances(X)
    assert_allclose(model.gradient_importances(far, weights), expected, rtol=1e-12)


def test_wrong_weights_are_refused():
    X, y = quantities(1)
    model = fitted(TwoLayerRegressor, X, y)
    for weights, message in (
        (np.ones(3), "sample_weight must have shape"),
        (-np.ones(N_ROWS), "sample_weight must not be negative"),
        (np.zeros(N_ROWS), "sample_weight must not be zero for all rows"),
    ):
        with pytest.raises(ValueError, match=message):
            model.gradient_importances(X, weights)


@every_kind
@either_prior
def test_importances_do_not_depend_on_the_units_of_columns(estimator, X, y, alpha):
    other = X * [1e3, 1e-150, 1, 5, 1e150] + [7, 0, 10, -50, 0]
    expected = fitted(estimator, X, y, alpha=alpha).gradient_importances(X)
    actual = fitted(estimator, other, y, alpha=alpha).gradient_importances(other)
    assert_allclose(actual, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("unit", [1e-150, 1e150])
def test_importances_do_not_depend_on_the_units_of_y(unit):
    X, y = quantities(2)
    expected = fitted(TwoLayerRegressor, X, y).gradient_importances(X)
    actual = fitted(TwoLayerRegressor, X, y * unit).gradient_importances(X)
    assert_allclose(actual, expected, rtol=1e-4)


@pytest.mark.parametrize("rows", [slice(1), np.zeros(9, int)], ids=["one row", "equal rows"])
def test_importances_are_zero_where_no_column_varies(rows):
    X, y = quantities(1)
    assert_array_equal(fitted(TwoLayerRegressor, X, y).gradient_importances(X[rows]), np.zeros(5))


def test_importances_are_zero_where_no_output_moves():
    X, _ = labels(2)
    model = fitted(TwoLayerClassifier, X, np.repeat("the only label", N_ROWS))
    assert_array_equal(model.gradient_importances(X), np.zeros(5))
    model = fitted(TwoLayerRegressor, np.ones_like(X), X[:, 0])
    assert not model.input_gradients(X).any()
    assert_array_equal(model.gradient_importances(X), np.zeros(5))


def test_importances_are_finite_however_near_knots_are():
    steep = np.resize([0.0, 1e-300, 1.0], N_ROWS)
    X = np.column_stack([steep, np.linspace(-1, 1, N_ROWS)])
    options = {"encoding": "piecewise_linear", "alpha": 1.0, "random_state": 0}
    model = TwoLayerRegressor(3, **options).fit(X, X.sum(axis=1))
    assert_allclose(model.gradient_importances(X), [1, 0], atol=1e-12)


@every_kind
@either_prior
@every_method
def test_a_clone_forgets(estimator, X, y, method, alpha):
    with pytest.raises(NotFittedError):
        getattr(clone(fitted(estimator, X, y, alpha=alpha)), method)(X)


MANY = [f"city {number}" for number in range(90)]
FIGURES = ["age", "rooms", "income"]
either_estimator = pytest.mark.parametrize("estimator", [TwoLayerRegressor, TwoLayerClassifier])
every_encoding = pytest.mark.parametrize("encoding", ["linear", "piecewise_linear"])
few_or_many = pytest.mark.parametrize("cities", [CITIES, MANY], ids=["few", "many"])


def of_a_frame(estimator, encoding, cities=CITIES, **options):
    """A frame with categories and missing values, the latter also where training had none."""
    X, later = frame(200, cities=cities), frame(N_ROWS, 7, [*cities, "Wien"])
    later.loc[later.index[::7], "rooms"] = np.nan
    later.loc[later.index[::5], "code"] = np.nan
    return fitted(estimator, X, targets(X, estimator), encoding=encoding, **options), later


def off_knots(X, model):
    """The numbers moved a little, and missing where a knot is near."""
    knots = np.concatenate(model.knots_)
    moved = {name: np.asarray(X[name])[:, None] + 0.0123 for name in FIGURES}
    near = {name: (np.abs(x - knots) < 1e-4).any(axis=1) for name, x in moved.items()}
    return X.assign(**{name: np.where(near[name], np.nan, moved[name][:, 0]) for name in FIGURES})


@either_estimator
@every_encoding
@few_or_many
@with_and_without_skip
def test_gradients_on_a_frame_are_differences_along_its_numbers(estimator, encoding, cities, skip):
    model, X = of_a_frame(estimator, encoding, cities, skip=skip)
    X = off_knots(X, model)
    gradients = model.input_gradients(X)
    assert gradients.shape == (N_ROWS, 1, 5)
    # neither a category nor what is missing can move
    is_number = X.columns.isin(FIGURES)
    assert_array_equal(np.isnan(gradients[:, 0]), X.isna() | ~is_number)
    for j in np.flatnonzero(is_number):
        name, step = X.columns[j], 1e-6
        above, below = (outputs(model, X.assign(**{name: X[name] + s})) for s in (step, -step))
        expected = np.where(X[name].isna(), np.nan, ((above - below) / (2 * step))[:, 0])
        largest = np.nanmax(np.abs(expected))
        assert_allclose(gradients[:, 0, j], expected, rtol=1e-5, atol=1e-6 * largest)


@every_encoding
def test_gradients_at_a_knot_are_those_above_it(encoding):
    model, X = of_a_frame(TwoLayerRegressor, encoding)
    rooms = [1.0, 2.0, 3.0, 4.0]
    one = pd.concat([X.iloc[[0]]] * 4).assign(rooms=rooms)
    found = model.input_gradients(one)[:, 0, X.columns.get_loc("rooms")]
    above = model.input_gradients(one.assign(rooms=[x + 1e-9 for x in rooms]))
    assert_allclose(found, above[:, 0, X.columns.get_loc("rooms")], rtol=1e-6)
    below = model.input_gradients(one.assign(rooms=[x - 1e-9 for x in rooms]))
    jumps = np.abs(found - below[:, 0, X.columns.get_loc("rooms")]) > 1e-4 * np.abs(found)
    assert_array_equal(jumps, [encoding == "piecewise_linear"] * 4)


def movements(model, X, weights):
    """By how much each column moves the output, from public attributes: see its docstring."""
    names, W1, W2 = list(model.encoded_feature_names_), model.coefs_[0], model.coefs_[1][:, 0]
    slope = (1 - model.hidden_features(X) ** 2) * W2
    gradients, found = model.input_gradients(X)[:, 0], []
    for j, name in enumerate(X.columns):
        if name in FIGURES:
            here = np.flatnonzero(X[name].notna())
            x, w = np.asarray(X[name])[here], weights[here]
            variance = np.average((x - np.average(x, weights=w)) ** 2, weights=w)
            filled = variance * w.sum() / weights.sum()  # what is missing is at the mean
            square = np.average(gradients[here, j] ** 2, weights=w)
            found.append(np.sqrt(filled * square))
        else:
            # what each level would contribute, in every row; nothing if it is not known
            label = X[name].astype(object).where(X[name].notna(), None)
            of_label = [f"missingindicator_{name}" if x is None else f"{name}_{x}" for x in label]
            columns = [names.index(each) if each in names else -1 for each in of_label]
            rows, skip = (np.vstack([W, 0 * W[:1]])[columns] for W in (W1, model.skip_coef_))
            along = slope @ rows.T + skip[:, 0]
            mean = np.average(along, weights=weights, axis=1)
            variance = np.average((along - mean[:, None]) ** 2, weights=weights, axis=1)
            found.append(np.sqrt(np.average(variance, weights=weights)))
    return np.array(found)


@either_estimator
@every_encoding
@few_or_many
@pytest.mark.parametrize("weighted", [False, True])
def test_importances_on_a_frame_are_their_formula(estimator, encoding, cities, weighted):
    model, X = of_a_frame(estimator, encoding, cities)
    weights = np.random.RandomState(2).randint(4, size=N_ROWS) if weighted else None
    found = model.gradient_importances(X, weights)
    assert found.shape == (5,)
    assert (found > 0).all()
    expected = movements(model, X, np.ones(N_ROWS) if weights is None else weights)
    assert_allclose(found, expected / expected.sum(), rtol=1e-9)
    if weighted:
        copies = X.iloc[np.repeat(np.arange(N_ROWS), weights)]
        assert_allclose(found, model.gradient_importances(copies), rtol=1e-9)


def strong_and_useless(n_rows, cities):
    """A column of each kind that matters and one that does not, in a known order."""
    rng = np.random.RandomState(0)
    X = pd.DataFrame(
        {
            "useless city": pd.Categorical(rng.choice(cities, n_rows)),
            "strong": rng.randn(n_rows),
            "strong city": pd.Categorical(rng.choice(cities, n_rows)),
            "useless": rng.randn(n_rows) * 1000,
            "with holes": np.where(rng.rand(n_rows) < 0.75, np.nan, rng.randn(n_rows) + 50),
        }
    )
    y = X["strong"] + 2 * X["strong city"].isin(cities[::2]) + X["with holes"].fillna(50)
    return X, np.asarray(y + 0.1 * rng.randn(n_rows))


@every_encoding
@pytest.mark.parametrize("n_cities", [4, 70])
def test_importances_tell_strong_columns_from_useless_ones(encoding, n_cities):
    X, y = strong_and_useless(2000, [f"city {number}" for number in range(n_cities)])
    model = fitted(TwoLayerRegressor, X, y, encoding=encoding, alpha=1.0, max_iter=200)
    found = dict(zip(X.columns, model.gradient_importances(X), strict=True))
    assert sum(found.values()) == pytest.approx(1)
    assert max(found["useless city"], found["useless"]) < 0.06
    # the standard deviations of what they contribute are 1, 1 and a half
    for name, deviation in (("strong", 1), ("strong city", 1), ("with holes", 0.5)):
        assert found[name] == pytest.approx(deviation / 2.5, abs=0.05)
    # whatever the order of columns, which is theirs
    order = list(X.columns[::-1])
    other = fitted(TwoLayerRegressor, X[order], y, encoding=encoding, alpha=1.0, max_iter=200)
    assert_allclose(other.gradient_importances(X[order])[::-1], list(found.values()), atol=0.03)


@every_encoding
def test_a_category_without_choice_has_no_importance(encoding):
    model, X = of_a_frame(TwoLayerRegressor, encoding)
    one = X.assign(city=pd.Categorical(["Ulm"] * N_ROWS), rooms=2.0, income=np.nan)
    importances = dict(zip(X.columns, model.gradient_importances(one), strict=True))
    assert [name for name, value in importances.items() if value == 0] == [
        "city",
        "rooms",
        "income",
    ]
    assert importances["age"] + importances["code"] == pytest.approx(1)
    alone = fitted(TwoLayerRegressor, X[["city", "code"]], targets(X, TwoLayerRegressor))
    assert alone.gradient_importances(X[["city", "code"]]).sum() == pytest.approx(1)
    assert np.isnan(alone.input_gradients(X[["city", "code"]])).all()
