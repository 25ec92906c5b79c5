"""Wide tables: many more columns than rows, networks being trained in the space of the rows."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from numpy.random import RandomState
from numpy.testing import assert_allclose, assert_array_equal

import training
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor, engine
from sklearn_twolayer.engine import wide as module
from sklearn_twolayer.engine.bayes.evidence import Prior
from sklearn_twolayer.engine.bayes.kronecker import KroneckerLaplace
from sklearn_twolayer.engine.bayes.kronecker_factors import factors, input_factor
from sklearn_twolayer.engine.model.row_space import row_space
from sklearn_twolayer.engine.preparation import prepare
from sklearn_twolayer.engine.recipe import COLUMNS_PER_ROW, FEWEST_COLUMNS, SPACES
from sklearn_twolayer.engine.run import run
from sklearn_twolayer.engine.settings import Settings

N_ROWS, N_COLUMNS, N_THAT_MATTER = 80, FEWEST_COLUMNS, 3


def rows(n_rows=N_ROWS, seed=0):
    """Rows and targets, of which few columns tell anything."""
    rng = RandomState(seed)
    X = 5 + 3 * rng.randn(n_rows, N_COLUMNS)
    return X, X[:, :N_THAT_MATTER].sum(axis=1) + 0.5 * rng.randn(n_rows)


@pytest.fixture(scope="module")
def fitted():
    return TwoLayerRegressor(random_state=0, max_iter=60).fit(*rows())


@pytest.fixture(scope="module")
def classifier():
    X, y = rows()
    return TwoLayerClassifier(random_state=0, max_iter=20).fit(X, y > np.median(y))


def plans(n_rows, n_columns, **settings):
    X = RandomState(0).randn(n_rows, n_columns)
    Y = X[:, [0]]
    asked = training.task(X, Y, None, 1, "squared_error", Settings(**settings))
    return engine.make_plan(asked).kinds


def test_columns_that_matter_are_found(fitted):
    X, y = rows(400, seed=1)
    assert fitted.score(X, y) > 0.5
    of_columns = fitted.feature_importances_
    assert set(np.argsort(of_columns)[-N_THAT_MATTER:]) == set(range(N_THAT_MATTER))
    weights = [member["weight"] for member in fitted.members_]
    assert weights[-1] > 0.5


def test_predictions_are_those_of_weights_on_raw_columns(fitted):
    X, _ = rows(5)
    hidden = np.tanh(X @ fitted.coefs_[0] + fitted.intercepts_[0])
    assert_allclose(fitted.predict(X), (hidden @ fitted.coefs_[1] + fitted.intercepts_[1])[:, 0])


def test_a_row_outside_of_the_space_is_less_certain(fitted):
    _, inside = fitted.predict(rows()[0], return_std=True)
    _, outside = fitted.predict(rows(seed=3)[0], return_std=True)
    assert outside.mean() > 1.1 * inside.mean()


def test_a_pickle_predicts_the_same(fitted):
    X, _ = rows(5)
    again = pickle.loads(pickle.dumps(fitted))
    for found, expected in zip(
        again.predict(X, return_std=True), fitted.predict(X, return_std=True), strict=True
    ):
        assert_array_equal(found, expected)


def test_alpha_has_a_precision_for_each_column(fitted):
    assert fitted.alpha_.shape == (N_COLUMNS + 2,)
    assert len(np.unique(fitted.alpha_[:N_COLUMNS])) > N_COLUMNS // 2
    assert fitted.alpha_[:N_THAT_MATTER].max() < np.median(fitted.alpha_[:N_COLUMNS])


def test_classes_have_probabilities(classifier):
    X, y = rows(200, seed=1)
    assert classifier.score(X, y > np.median(rows()[1])) > 0.6
    assert_allclose(classifier.predict_proba(X).sum(axis=1), 1)


def test_a_warm_start_goes_on_where_it_ended(fitted):
    X, y = rows()
    again = pickle.loads(pickle.dumps(fitted))
    # steps so short that nothing moves
    again.set_params(warm_start=True, max_iter=2, learning_rate_init=1e-9).fit(X, y)
    assert again.n_members_ == fitted.n_members_
    assert_allclose(again.predict(X), fitted.predict(X), rtol=1e-4)
    # it has stayed in the space: columns compare as they did
    of_columns, before = again.alpha_[:N_COLUMNS], fitted.alpha_[:N_COLUMNS]
    assert_allclose(of_columns / of_columns.mean(), before / before.mean(), rtol=1e-4)


def test_a_chunk_is_learnt_on_all_columns(fitted):
    X, y = rows(20, seed=5)
    again = pickle.loads(pickle.dumps(fitted))
    again.partial_fit(X, y)
    assert np.isfinite(again.predict(X, return_std=True)).all()


@pytest.mark.parametrize("loss", ["absolute_error", "poisson"])
def test_other_losses_are_served(loss):
    X, y = rows(30)
    model = TwoLayerRegressor(loss=loss, hidden_size=3, max_iter=10, random_state=0)
    model.fit(X, np.exp(y / 20))
    assert np.isfinite(model.predict_interval(X, coverage=0.9)).all()


def test_noise_may_vary_and_values_be_missing():
    X, y = rows(30)
    X[0, 0] = X[3, 5] = np.nan
    model = TwoLayerRegressor(noise="mixture", hidden_size=3, max_iter=5, random_state=0)
    assert np.isfinite(model.fit(X, y).predict(X, return_std=True)).all()


@pytest.mark.parametrize(
    ("n_rows", "n_columns", "is_wide"),
    [
        (50, FEWEST_COLUMNS, True),
        (50, FEWEST_COLUMNS - 1, False),
        (FEWEST_COLUMNS // COLUMNS_PER_ROW, FEWEST_COLUMNS, True),
        (FEWEST_COLUMNS // COLUMNS_PER_ROW + 1, FEWEST_COLUMNS, False),
    ],
)
def test_wide_tables_have_spaces(n_rows, n_columns, is_wide):
    found = [plan.n_spaces for plan in plans(n_rows, n_columns)]
    assert found == [1, SPACES] if is_wide else not any(found)


@pytest.mark.parametrize("asked", [{"solver": "adam"}, {"alpha": 1.0}, {"skip": True}])
def test_who_asks_for_more_than_the_recipe_has_columns(asked):
    assert not any(plan.n_spaces for plan in plans(20, FEWEST_COLUMNS, **asked))


def test_new_precisions_are_those_of_the_posterior_on_columns(monkeypatch):
    """Where nothing is pooled, gamma_j / |W1_j|^2 of the posterior of all columns at once."""
    monkeypatch.setattr(module, "POOLING", 0.0)
    monkeypatch.setattr(module, "bounded", lambda new, old: new)
    X, y = rows(15)
    X, n = X[:, :40], 40
    settings = Settings(hidden_size=3, solver="adam", max_iter=20, skip=False)
    asked = training.task(X, y[:, None], None, 1, "squared_error", settings)
    plan = replace(engine.make_plan(asked), n_spaces=1)
    prepared, inner = prepare(plan), []

    def kept(*arguments):
        inner.append(run(*arguments))
        return inner[-1]

    module.in_row_space(plan, prepared, RandomState(0), None, kept)
    posterior, (space, _) = inner[0].solution.posterior, row_space(prepared.rows, np.ones(n))
    found = module.column_precisions(plan, space, posterior)
    network, index = plan.network(), slice(0, 15)
    theta = space.on_columns(plan.shape, posterior.theta)
    precision = posterior.alpha / posterior.noise.mean()
    precision = np.concatenate([precision[0] / space.spread, precision[1:]])
    inputs = input_factor(prepared.rows, index, n, 0)
    around = factors(network, theta, prepared.rows, index, prepared.rows.sum_weights, inputs)
    prior = Prior.plain(plan.shape.groups(), precision)
    expected = KroneckerLaplace(around, network, prior, precision, 1 / posterior.noise).estimate()
    assert_allclose(found, expected.precision[:n], rtol=1e-6)
