"""The estimators inside scikit-learn's own machinery, on real data."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

REAL = [
    pytest.param(TwoLayerClassifier(10, random_state=0), load_wine, id="classifier"),
    pytest.param(TwoLayerRegressor(10, alpha=100.0, random_state=0), load_diabetes, id="regressor"),
]


def test_in_a_pipeline():
    X, y = load_diabetes(return_X_y=True)
    model = make_pipeline(
        PolynomialFeatures(2, include_bias=False),
        TwoLayerRegressor(10, alpha=100.0, random_state=0),
    )
    model.fit(X, y, twolayerregressor__sample_weight=np.ones(len(y)))
    assert model.score(X, y) > 0.5
    direct = clone(model[-1]).fit(model[:-1].transform(X), y)
    np.testing.assert_allclose(model.predict(X), direct.predict(model[:-1].transform(X)), rtol=1e-9)


def test_in_a_grid_search_on_two_processes():
    X, y = load_wine(return_X_y=True)
    grid = {"hidden_size": [1, 10], "alpha": [1.0, 1e6], "activation": ["tanh", "relu"]}
    search = GridSearchCV(TwoLayerClassifier(random_state=0), grid, n_jobs=2, cv=3).fit(X, y)
    assert len(search.cv_results_["params"]) == 8
    assert np.all(np.isfinite(search.cv_results_["mean_test_score"]))
    assert search.best_params_["alpha"] == 1.0
    assert search.best_score_ > 0.95
    np.testing.assert_array_equal(search.predict(X), search.best_estimator_.predict(X))


@pytest.mark.parametrize(
    ("estimator", "load", "enough"),
    [
        (TwoLayerClassifier(n_members=1, random_state=0), load_breast_cancer, 0.95),
        (TwoLayerRegressor(10, alpha=100.0, random_state=0), load_diabetes, 0.4),
    ],
    ids=["classifier", "regressor"],
)
def test_in_cross_validation(estimator, load, enough):
    assert cross_val_score(estimator, *load(return_X_y=True), cv=3).mean() > enough


@pytest.mark.parametrize(("estimator", "load"), REAL)
def test_a_clone_is_unfitted_and_learns_the_same(estimator, load):
    X, y = load(return_X_y=True)
    original = clone(estimator).fit(X, y)
    copy = clone(original)
    assert copy.get_params() == original.get_params()
    assert not hasattr(copy, "coefs_")
    np.testing.assert_array_equal(copy.fit(X, y).predict(X), original.predict(X))


def check_survives(store, estimator, load):
    X, y = load(return_X_y=True)
    original = clone(estimator).fit(X, y)
    restored = store(original)
    assert restored.get_params() == original.get_params()
    assert vars(restored).keys() == vars(original).keys()
    np.testing.assert_array_equal(restored.predict(X), original.predict(X))
    np.testing.assert_array_equal(restored.fit(X, y).predict(X), original.predict(X))


@pytest.mark.parametrize(("estimator", "load"), REAL)
def test_pickle(estimator, load):
    check_survives(lambda model: pickle.loads(pickle.dumps(model)), estimator, load)


@pytest.mark.parametrize(("estimator", "load"), REAL)
def test_joblib(estimator, load, tmp_path):
    path = tmp_path / "model.joblib"

    def store(model):
        joblib.dump(model, path)
        return joblib.load(path)

    check_survives(store, estimator, load)


@pytest.mark.parametrize(("estimator", "load"), REAL)
def test_a_model_mapped_from_disk_predicts(estimator, load, tmp_path):
    X, y = load(return_X_y=True)
    original = clone(estimator).fit(X, y)
    joblib.dump(original, tmp_path / "model.joblib")
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    np.testing.assert_array_equal(mapped.predict(X), original.predict(X))


@pytest.mark.parametrize("kind", [TwoLayerClassifier, TwoLayerRegressor])
def test_parameters_are_set_and_told(kind):
    changed = {"hidden_size": 7, "activation": "gelu", "alpha": 0.25, "solver": "sgd"}
    estimator = kind()
    defaults = estimator.get_params()
    assert estimator.set_params(**changed) is estimator
    assert estimator.get_params() == {**defaults, **changed}
    assert kind(**estimator.get_params()).get_params() == estimator.get_params()
    with pytest.raises(ValueError, match="Invalid parameter 'hidden_layer_sizes'"):
        estimator.set_params(hidden_layer_sizes=(7,))


def test_a_frame_gives_the_names_of_features():
    X, y = load_iris(return_X_y=True, as_frame=True)
    framed = TwoLayerClassifier(5, random_state=0).fit(X, y)
    plain = TwoLayerClassifier(5, random_state=0).fit(X.to_numpy(), y.to_numpy())
    assert isinstance(X, pd.DataFrame)
    assert framed.feature_names_in_.tolist() == list(X.columns)
    assert not hasattr(plain, "feature_names_in_")
    np.testing.assert_array_equal(framed.predict_proba(X), plain.predict_proba(X.to_numpy()))
