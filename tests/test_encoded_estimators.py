"""Estimators on columns as they are, and on the columns that scikit-learn makes of them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import OneHotEncoder

from encoded_tables import N_KNOTS, TABLES, increment, written_out
from kinds import IGNORE_CONVERGENCE
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer.engine.data.encoding import MANY_LEVELS

pytestmark = IGNORE_CONVERGENCE

N_ROWS, N_LATER = 150, 40
ALPHA = 0.7

every_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
standardized = pytest.mark.parametrize("standardize", [False, True], ids=["raw", "standardized"])


def regressor(**options):
    """A few steps from weights that do not depend on the number of columns."""
    options = {"solver": "lbfgs", "max_iter": 12, "initializer": "standard_normal", **options}
    return TwoLayerRegressor(3, activation="tanh", alpha=ALPHA, random_state=0, **options)


def check_same(model, X, y, later, columns, columns_later):
    """The model learns from X what one without any encoding learns from its encoded columns."""
    if model.standardize:
        mean, scale = y.mean(), y.std()
        plain = regressor(standardize=False).fit(columns, (y - mean) / scale)
        expected = mean + scale * plain.predict(columns_later)
    else:
        plain = regressor(standardize=False).fit(columns, y)
        expected = plain.predict(columns_later)
    assert_allclose(model.fit(X, y).predict(later), expected, rtol=1e-8, atol=1e-8)
    assert_allclose(model.loss_curve_, plain.loss_curve_, rtol=1e-9)


@standardized
@pytest.mark.parametrize("n_levels", [4, 70])
def test_a_category_is_its_one_hot_columns(n_levels, standardize, rng):
    # each level of a weight of its own, the heaviest first
    codes = np.repeat(np.arange(n_levels), np.arange(n_levels) + 1)[:, None].astype(float)
    later = np.array([[0.0], [3.0], [n_levels], [1.0]])
    y = np.sin(codes[:, 0]) + 0.1 * rng.randn(len(codes))
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(codes)
    columns, columns_later = (encoder.transform(rows)[:, ::-1] for rows in (codes, later))
    if standardize and n_levels <= MANY_LEVELS:
        mean, scale = columns.mean(axis=0), (columns.var(axis=0).sum() / (n_levels - 1)) ** 0.5
        columns, columns_later = (columns - mean) / scale, (columns_later - mean) / scale
    model = regressor(categorical_features=[0], standardize=standardize)
    check_same(model, codes, y, later, columns, columns_later)
    assert_array_equal(
        model.encoded_feature_names_, [f"x0_{level}" for level in range(n_levels)][::-1]
    )


@standardized
def test_missing_is_the_mean_and_an_indicator(standardize, rng):
    X = 3 + 2 * rng.randn(N_ROWS, 1)
    y, later = X[:, 0] ** 2, rng.randn(N_LATER, 1)
    X[::4], later[::3] = np.nan, np.nan
    imputer = SimpleImputer(add_indicator=True).fit(X)
    columns, columns_later = imputer.transform(X), imputer.transform(later)
    if standardize:
        mean, scale = columns.mean(axis=0), [columns[:, 0].std(), 1]
        columns, columns_later = (columns - mean) / scale, (columns_later - mean) / scale
    model = regressor(standardize=standardize)
    check_same(model, X, y, later, columns, columns_later)
    assert_array_equal(model.encoded_feature_names_, ["x0", "missingindicator_x0"])


@standardized
def test_missing_at_prediction_only_is_the_mean(standardize, rng):
    X, later = 3 + rng.randn(N_ROWS, 2), np.array([[np.nan, 2.0], [1.0, np.nan]])
    model = regressor(standardize=standardize).fit(X, X[:, 0] ** 2)
    filled = SimpleImputer().fit(X).transform(later)
    assert_allclose(model.predict(later), model.predict(filled), rtol=1e-12)


@standardized
def test_piecewise_linear_is_the_value_and_its_increments(standardize, rng):
    X, later = 3 + 2 * rng.randn(N_ROWS, 1), 3 + 4 * rng.randn(N_LATER, 1)
    y = np.abs(X[:, 0])
    model = regressor(standardize=standardize, encoding="piecewise_linear", n_knots=4)
    (knots,) = model.fit(X, y).knots_
    columns, columns_later = (
        np.array([[x, *(increment(x, knots, k) for k in range(4))] for x in rows[:, 0]])
        for rows in (X, later)
    )
    if standardize:
        mean, scale = columns.mean(axis=0), [columns[:, 0].std(), 1, 1, 1, 1]
        columns, columns_later = (columns - mean) / scale, (columns_later - mean) / scale
    check_same(model, X, y, later, columns, columns_later)


def held_at_zero(n_columns):
    """Precisions of a network whose hidden layer counts for nothing: its skip path is ridge."""
    nothing, free = 1e12, 0.0
    return np.array([*np.full(n_columns, nothing), free, nothing, ALPHA])


def linear_options(table):
    return {
        "activation": "identity",
        "skip": True,
        "solver": "lm",
        "alpha": held_at_zero(len(table.columns)),
        "encoding": "piecewise_linear" if table.piecewise_linear else "linear",
        "n_knots": N_KNOTS,
        "categorical_features": table.n_levels >= 0,
        "tol": 1e-14,
        # with one, rows far out would be drawn in
        "store_posterior": False,
        "random_state": 0,
    }


def problem(table, rng):
    """Rows, an outcome, weights, later rows; and both rows as columns written out."""
    X, later, weights = table.draw(N_ROWS, rng), table.draw_later(N_LATER, rng), rng.rand(N_ROWS)
    for j, n_levels in enumerate(table.n_levels):
        if n_levels > 0:  # estimators know of the levels that occur alone
            X[:n_levels, j] = np.arange(n_levels)
    encoding = table.learn(X, weights)
    columns, columns_later = (written_out(X, encoding, weights, rows) for rows in (X, later))
    y = columns @ rng.randn(columns.shape[1]) + rng.randn(N_ROWS)
    return X, y, weights, later, columns, columns_later


@every_table
def test_a_skip_path_alone_is_ridge_on_these_columns(table, rng):
    X, y, weights, later, columns, columns_later = problem(table, rng)
    y = 10 + 5 * y
    model = TwoLayerRegressor(1, **linear_options(table)).fit(X, y, sample_weight=weights)
    ridge = Ridge(alpha=ALPHA).fit(columns, y, sample_weight=weights)
    assert_allclose(model.predict(X), ridge.predict(columns), rtol=1e-6, atol=1e-6)
    assert_allclose(model.predict(later), ridge.predict(columns_later), rtol=1e-6, atol=1e-6)


@every_table
def test_and_for_classes_it_is_penalised_logistic_regression(table, rng):
    X, y, weights, later, columns, columns_later = problem(table, rng)
    y = y > np.median(y)
    model = TwoLayerClassifier(1, **linear_options(table)).fit(X, y, sample_weight=weights)
    logistic = LogisticRegression(C=1 / ALPHA, tol=1e-10, max_iter=10_000)
    logistic.fit(columns, y, sample_weight=weights)
    assert_allclose(
        model.decision_function(later), logistic.decision_function(columns_later), atol=1e-5
    )
