"""Of a table with categories and missing values: what must not matter, and what must."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from kinds import IGNORE_CONVERGENCE
from mixed_frames import frame, outputs, targets
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

pytestmark = IGNORE_CONVERGENCE

N_ROWS = 60
ENCODINGS = ["linear", "piecewise_linear"]

# a few iterations from the same draw tell more than an optimum would
WAYS = {
    "default": {"max_iter": 15, "n_members": 2},
    "lbfgs": {"solver": "lbfgs", "alpha": 1.0, "max_iter": 20},
    "lm": {"solver": "lm", "alpha": 1.0, "max_iter": 10},
    "adam": {"solver": "adam", "alpha": 1.0, "max_iter": 10, "batch_size": 10_000},
}
IN_FULL = ["lbfgs", "lm"]
"""The ways that take all rows at once, equal ones merged: what is the same has the same bits."""

every_encoding = pytest.mark.parametrize("encoding", ENCODINGS)
every_way = pytest.mark.parametrize("way", WAYS)
either_estimator = pytest.mark.parametrize("estimator", [TwoLayerRegressor, TwoLayerClassifier])


def model(estimator, way, encoding, **options):
    settings = {"encoding": encoding, "random_state": 0, **WAYS[way], **options}
    return estimator(5, **settings)


def check_same(found, expected, way):
    if way in IN_FULL:
        assert_array_equal(found, expected)
    else:
        assert_allclose(found, expected, rtol=0, atol=1e-10)


@pytest.mark.sampled(3)
@either_estimator
@every_way
@every_encoding
def test_whole_weights_are_copies(estimator, way, encoding):
    X = frame(N_ROWS)
    y, copies = targets(X, estimator), np.random.RandomState(2).randint(0, 4, N_ROWS)
    asked, repeated = model(estimator, way, encoding), np.repeat(np.arange(N_ROWS), copies)
    weighted = clone(asked).fit(X, y, sample_weight=copies)
    copied = clone(asked).fit(X.iloc[repeated], y[repeated])
    check_same(outputs(weighted, X), outputs(copied, X), way)
    for found, expected in zip(weighted.knots_, copied.knots_, strict=True):
        assert_array_equal(found, expected)
    assert not np.allclose(outputs(clone(asked).fit(X, y), X), outputs(copied, X), atol=1e-4)


@pytest.mark.sampled(3)
@either_estimator
@every_way
@every_encoding
def test_rows_without_weight_are_not_there(estimator, way, encoding):
    X = frame(N_ROWS)
    y = targets(X, estimator)
    # a level, missing integers and extremes that occur nowhere else
    extra = frame(12, seed=5)
    extra["city"] = pd.Categorical(["Aue"] * 12)
    extra["code"] = pd.Categorical([np.nan, 5] * 6)
    extra["income"], extra["rooms"] = 1e6, np.nan
    both = pd.concat([extra, X], ignore_index=True)
    for name in ("city", "code"):
        both[name] = both[name].astype("category")
    assert isinstance(both["city"].dtype, pd.CategoricalDtype)
    weights = np.r_[np.zeros(12), np.ones(N_ROWS)]
    asked = model(estimator, way, encoding)
    expected = clone(asked).fit(X, y, sample_weight=np.ones(N_ROWS))
    found = clone(asked).fit(both, np.r_[y[:12], y], sample_weight=weights)
    assert [len(labels) for labels in found.categories_] == [4, 3]
    assert_array_equal(found.encoded_feature_names_, expected.encoded_feature_names_)
    check_same(outputs(found, X), outputs(expected, X), way)


def in_other_order(column, rng):
    """The same labels, their codes in another order."""
    return column.cat.reorder_categories(rng.permutation(column.cat.categories))


def renamed(column, rng):
    """Other labels, in another order when sorted."""
    names = dict(zip(column.cat.categories, rng.permutation(len(column.cat.categories)), strict=1))
    return column.map(lambda label: f"level {names[label]}", na_action="ignore").astype("category")


def with_unused(column, rng):
    """The same with labels that no row has, at the front and at the end."""
    old, text = list(column.cat.categories), isinstance(column.cat.categories[0], str)
    return column.cat.set_categories(["A", *old, "Z"] if text else [-99, *old, 99])


RELABELLED = {
    "other order": in_other_order,
    "other labels": renamed,
    "unused labels": with_unused,
}


@pytest.mark.sampled(5)
@either_estimator
@every_way
@every_encoding
@pytest.mark.parametrize("relabel", RELABELLED.values(), ids=RELABELLED)
def test_labels_are_names_alone(estimator, way, encoding, relabel):
    rng, X = np.random.RandomState(3), frame(N_ROWS)
    other = X.assign(**{name: relabel(X[name], rng) for name in ("city", "code")})
    y, asked = targets(X, estimator), model(estimator, way, encoding)
    expected, found = clone(asked).fit(X, y), clone(asked).fit(other, y)
    check_same(outputs(found, other), outputs(expected, X), way)


@pytest.mark.parametrize("relabel", [in_other_order, with_unused])
def test_codes_are_not_learnt_but_labels(relabel):
    rng, X = np.random.RandomState(3), frame(N_ROWS)
    other = X.assign(**{name: relabel(X[name], rng) for name in ("city", "code")})
    fitted = model(TwoLayerRegressor, "lbfgs", "linear").fit(X, targets(X, TwoLayerRegressor))
    assert_array_equal(fitted.predict(other), fitted.predict(X))
    one_by_one = [fitted.predict(part)[0] for _, part in other.iloc[:20].groupby(level=0)]
    assert_allclose(one_by_one, fitted.predict(X)[:20], rtol=1e-13)
    fewer = X.iloc[:4].assign(city=X["city"].iloc[:4].cat.remove_unused_categories())
    assert_allclose(fitted.predict(fewer), fitted.predict(X)[:4], rtol=1e-13)


def tied(n_rows=240):
    """Classes and levels of which many have the same rows of each class."""
    rng = np.random.RandomState(0)
    X = pd.DataFrame({"x": rng.randn(n_rows), "c": np.repeat(np.arange(n_rows // 4), 4)})
    y = np.tile([0, 1, 1, 0, 0, 1], n_rows // 6)
    return X.assign(c=pd.Categorical([f"c{code}" for code in X["c"]])), y


@pytest.mark.sampled(3)
@every_way
@every_encoding
def test_labels_are_names_alone_where_levels_have_equal_targets(way, encoding):
    X, y = tied()
    asked = model(TwoLayerClassifier, way, encoding)
    other = X.assign(c=renamed(X["c"], np.random.RandomState(3)))
    expected, found = clone(asked).fit(X, y), clone(asked).fit(other, y)
    check_same(outputs(found, other), outputs(expected, X), way)


def labels_in_order(fitted, name):
    """Those of a category, in the order of its encoded columns."""
    names = fitted.encoded_feature_names_
    return [n.removeprefix(f"{name}_") for n in names if n.startswith(f"{name}_")]


def alike():
    """Levels b and c of the same weight, targets and numbers; d and a differ from them in one."""
    rows = {"b": [1.0, 2.0], "c": [1.0, 2.0], "d": [3.0, 2.0], "a": [1.0, 2.0], "e": [0.0] * 3}
    X = pd.DataFrame([(label, x) for label, of_level in rows.items() for x in of_level])
    X.columns = ["k", "x"]
    y = np.array([0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.5, 0.0, 0.0, 0.0])
    return X.assign(k=X["k"].astype("category")), y


@pytest.mark.parametrize("names", ["abcde", "edcba", "cbdea"])
def test_names_decide_only_where_weights_targets_and_numbers_tie(names):
    X, y = alike()
    as_named = dict(zip("abcde", names, strict=True))
    X = X.assign(k=X["k"].map(as_named).astype("category"))
    asked = model(TwoLayerRegressor, "lbfgs", "linear")
    # the heaviest first, then the larger targets, then the larger numbers, and then the names
    first, last, larger = (as_named[label] for label in "ead")
    expected = [first, larger, *sorted(as_named[label] for label in "bc"), last]
    assert labels_in_order(clone(asked).fit(X, y), "k") == expected
    # a weight that is larger
    weights = np.where(X["k"] == as_named["c"], 1.01, 1.0)
    expected = [first, as_named["c"], larger, as_named["b"], last]
    assert labels_in_order(clone(asked).fit(X, y, sample_weight=weights), "k") == expected
    # a number of which some is missing tells nothing
    holes = X.assign(x=X["x"].mask(X["k"] == first))
    expected = [first, *sorted(as_named[label] for label in "bcd"), last]
    assert labels_in_order(clone(asked).fit(holes, y), "k") == expected


def test_where_all_ties_only_the_order_of_names_counts():
    X, y = alike()
    asked = model(TwoLayerRegressor, "lbfgs", "linear")
    expected = clone(asked).fit(X, y).predict(X)
    longer = X.assign(k=X["k"].map(lambda label: f"{label}!").astype("category"))
    assert_array_equal(clone(asked).fit(longer, y).predict(longer), expected)
    # rows in any order are the same, since the names are
    order = np.random.RandomState(0).permutation(len(X))
    assert_array_equal(clone(asked).fit(X.iloc[order], y[order]).predict(X), expected)


def test_copies_are_weights_where_levels_have_nearly_equal_targets():
    # sums of targets tie, but 3 * 0.1 + 0.3 is not 0.1 + 0.1 + 0.1 + 0.3, once it is rounded
    X = pd.DataFrame({"c": pd.Categorical(list("bbbbaaaa")), "x": [0.0, 0, 0, 1, 2, 3, 4, 5]})
    y, once = np.array([0.1, 0.1, 0.1, 0.3] * 2), np.r_[0, 3:8]
    asked = model(TwoLayerRegressor, "lbfgs", "linear")
    for labels in (["a", "b"], ["b", "a"]):
        named = X.assign(c=X["c"].cat.rename_categories(labels))
        copied = clone(asked).fit(named, y)
        weighted = clone(asked).fit(named.iloc[once], y[once], sample_weight=[3, 1, 1, 1, 1, 1])
        assert_array_equal(copied.encoded_feature_names_, weighted.encoded_feature_names_)
        assert_array_equal(copied.predict(named), weighted.predict(named))


@either_estimator
@every_way
@every_encoding
def test_the_order_of_rows_does_not_matter(estimator, way, encoding):
    X = frame(N_ROWS)
    y, order = targets(X, estimator), np.random.RandomState(4).permutation(N_ROWS)
    asked = model(estimator, way, encoding)
    expected, found = clone(asked).fit(X, y), clone(asked).fit(X.iloc[order], y[order])
    check_same(outputs(found, X), outputs(expected, X), way)


UNITS = {
    "powers of two": ({"age": 8.0, "rooms": 0.25, "income": 2.0**-20}, {}),
    "a x": ({"age": 3.0, "rooms": 1e-3, "income": 777.0}, {}),
    "a x + b": (
        {"age": 3.0, "rooms": 1e-3, "income": 1e4},
        {"age": 100.0, "rooms": -7.0, "income": 1e5},
    ),
}


# the evidence stops by a tolerance, and rounding decides when
WAYS_AND_UNITS = [(way, u) for way in WAYS for u in UNITS if (way, u[:3]) != ("default", "a x")]


@pytest.mark.sampled(3)
@either_estimator
@every_encoding
@pytest.mark.parametrize(("way", "units"), WAYS_AND_UNITS)
def test_units_of_columns_do_not_matter(estimator, way, encoding, units):
    factors, offsets = UNITS[units]
    X = frame(N_ROWS)
    other = X.assign(**{name: X[name] * a + offsets.get(name, 0) for name, a in factors.items()})
    y, asked = targets(X, estimator), model(estimator, way, encoding)
    expected, found = clone(asked).fit(X, y), clone(asked).fit(other, y)
    if units == "powers of two" and way == "adam":
        assert_array_equal(outputs(found, other), outputs(expected, X))
    # where equal rows are merged, other numbers make another order of sums
    atol = 1e-8 if units == "powers of two" else 1e-6
    assert_allclose(outputs(found, other), outputs(expected, X), rtol=0, atol=atol)


@every_way
@every_encoding
def test_predictions_follow_the_units_of_the_target(way, encoding):
    X = frame(N_ROWS)
    y, asked = targets(X, TwoLayerRegressor), model(TwoLayerRegressor, way, encoding)
    expected = clone(asked).fit(X, y).predict(X)
    doubled = clone(asked).fit(X, 2.0**10 * y).predict(X)
    assert_allclose(doubled / 2.0**10, expected, rtol=0, atol=1e-8)
    if way == "adam":
        assert_array_equal(doubled / 2.0**10, expected)
    if way != "default":
        found = clone(asked).fit(X, 30 * y - 500).predict(X)
        assert_allclose((found + 500) / 30, expected, rtol=0, atol=1e-6)


def complete(n_rows=N_ROWS):
    """No missing value."""
    X = frame(n_rows).ffill().bfill()
    assert not X.isna().any(axis=None)
    return X


@either_estimator
@every_encoding
@pytest.mark.parametrize("standardize", [True, False])
def test_what_is_missing_at_prediction_only_is_the_mean(estimator, encoding, standardize):
    X = complete()
    weights = np.random.RandomState(2).randint(1, 4, N_ROWS)
    fitted = model(estimator, "lm", encoding, standardize=standardize)
    fitted.fit(X, targets(X, estimator), sample_weight=weights)
    spoilt = X.iloc[:30].copy()
    rows = np.arange(30) % 3 == 0
    spoilt.loc[rows, "age"] = np.nan
    if encoding == "linear":
        mean = np.average(X["age"], weights=weights)
        expected = outputs(fitted, spoilt.assign(age=spoilt["age"].fillna(mean)))
        assert_allclose(outputs(fitted, spoilt), expected, rtol=1e-12)
    else:
        check_mean_of_increments(fitted, X, spoilt, weights)


def check_mean_of_increments(fitted, X, spoilt, weights):
    """The hidden layer gets what it would get from rows at the means of all encoded columns.

    W1' e is linear in e: the mean of the pre-activations over all x is that of the mean e.
    """
    W1 = fitted.coefs_[0]
    names = list(fitted.encoded_feature_names_)
    columns = [i for i, name in enumerate(names) if name.startswith("age")]
    (knots,) = (k for k in fitted.knots_ if k[0] < -1)
    assert len(columns) == len(knots) > 2
    x = np.asarray(X["age"])
    low, high = knots[:-1], knots[1:]
    e = np.clip((x[:, None] - low) / (high - low), 0, 1)
    e = np.average(np.column_stack([x, e]), axis=0, weights=weights)
    age_at_mean = e @ W1[columns]
    one = X.iloc[[0]].assign(age=x[:1])
    here = np.r_[x[0], np.clip((x[0] - low) / (high - low), 0, 1)]
    activation = np.arctanh(fitted.hidden_features(one)) - here @ W1[columns]
    found = np.arctanh(fitted.hidden_features(one.assign(age=np.nan)))
    assert_allclose(found, activation + age_at_mean, rtol=1e-7, atol=1e-9)


@pytest.mark.sampled(3)
@either_estimator
@every_way
@every_encoding
def test_an_unseen_level_is_the_mean_of_the_prior(estimator, way, encoding):
    X = complete()
    fitted = model(estimator, way, encoding).fit(X, targets(X, estimator))
    new = X.assign(city=pd.Categorical(["Wien"] * N_ROWS))
    names = list(fitted.encoded_feature_names_)
    edited = clone(fitted).fit(X, targets(X, estimator))
    for matrix in (edited.coefs_[0], edited.skip_coef_):
        if matrix is not None:
            matrix[[i for i, name in enumerate(names) if name.startswith("city_")]] = 0
    kinds_of_call = ["decision_function"] if hasattr(fitted, "classes_") else ["predict"]
    if way != "default":  # where the evidence moderates, weights alone do not tell
        for method in kinds_of_call:
            expected = getattr(edited, method)(X)
            assert_allclose(getattr(fitted, method)(new), expected, rtol=1e-10, atol=1e-12)
    missing = X.assign(city=pd.Categorical([None] * N_ROWS, categories=["Ulm"]))
    assert_array_equal(outputs(fitted, missing), outputs(fitted, new))
    assert not np.allclose(outputs(fitted, new), outputs(fitted, X), atol=1e-3)


@pytest.mark.sampled(3)
@either_estimator
@every_way
@every_encoding
@pytest.mark.parametrize("label", ["Ulm", None])
def test_a_category_of_one_level_or_none(estimator, way, encoding, label):
    X = frame(N_ROWS).assign(city=pd.Categorical([label] * N_ROWS, categories=["Ulm", "Bonn"]))
    y = targets(X, estimator)
    fitted = model(estimator, way, encoding).fit(X, y)
    assert list(fitted.categories_[0]) == ([] if label is None else [label])
    assert fitted.loss_ < fitted.loss_curve_[0]
    without = clone(fitted).fit(X.drop(columns="city"), y)
    assert fitted.coefs_[0].shape[0] == without.coefs_[0].shape[0] + 1
    # the only column of the block is one in all rows
    other = X.assign(city=pd.Categorical(["Bonn"] * N_ROWS))
    assert np.isfinite(outputs(fitted, other)).all()


def many_levels(n_rows=6_000, n_levels=5_000):
    rng = np.random.RandomState(0)
    codes = np.r_[np.arange(n_levels), rng.randint(0, 40, n_rows - n_levels)]
    effect = rng.randn(n_levels)
    x = rng.randn(n_rows)
    x[::13] = np.nan
    X = pd.DataFrame({"c": pd.Categorical([f"level {code}" for code in codes]), "x": x})
    return X, np.where(np.isnan(x), 1, x) + 2 * effect[codes] + 0.1 * rng.randn(n_rows)


@pytest.mark.sampled(5)
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@every_encoding
def test_thousands_of_levels_in_rows_hardly_more(solver, encoding):
    X, y = many_levels()
    settings = {"solver": solver, "alpha": 1.0, "max_iter": 3, "encoding": encoding}
    asked = TwoLayerRegressor(4, random_state=0, **settings)
    fitted = clone(asked).fit(X, y)
    assert len(fitted.categories_[0]) == 5_000
    assert len(fitted.coefs_[0]) == len(fitted.encoded_feature_names_)
    assert np.isfinite(fitted.predict(X)).all()
    assert fitted.loss_curve_[-1] < fitted.loss_curve_[0]
    # relabelled, and in another order where all rows are taken at once
    order = np.arange(len(X))
    if solver == "lbfgs":
        order = np.random.RandomState(1).permutation(len(X))
    other = X.assign(c=renamed(X["c"], np.random.RandomState(3))).iloc[order]
    found = clone(asked).fit(other, y[order])
    assert_allclose(found.predict(other), fitted.predict(X)[order], rtol=0, atol=1e-10)
    unknown = X.assign(c="Wien")
    assert fitted.predict(unknown).std() < 0.99 * fitted.predict(X).std()
