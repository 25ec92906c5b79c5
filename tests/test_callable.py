"""The model as a function of rows, and scikit-learn's tools, for which it stays an estimator."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import StackingClassifier, StackingRegressor, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import estimator_html_repr

from kinds import IGNORE_CONVERGENCE
from mixed_frames import frame, targets
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

pytestmark = IGNORE_CONVERGENCE

QUICK = {"solver": "lbfgs", "alpha": 1.0, "max_iter": 10, "random_state": 0}
CLASSIFIER, REGRESSOR = TwoLayerClassifier(3, **QUICK), TwoLayerRegressor(3, **QUICK)
LABELS = make_classification(80, 5, n_informative=3, n_classes=3, random_state=0)
QUANTITIES = make_regression(80, 5, random_state=0)
EITHER = [
    pytest.param(CLASSIFIER, LABELS, "predict_proba", id="classifier"),
    pytest.param(REGRESSOR, QUANTITIES, "predict", id="regressor"),
]
either = pytest.mark.parametrize(("estimator", "data", "method"), EITHER)


@either
def test_a_call_is_a_prediction(estimator, data, method):
    X, y = data
    model = clone(estimator)
    with pytest.raises(NotFittedError):
        model(X)
    model.fit(X, y)
    assert_array_equal(model(X), getattr(model, method)(X))
    # products round as the number of rows has it
    one_by_one = np.apply_along_axis(lambda x: model([x])[0], 1, X[:3])
    assert_allclose(one_by_one, model(X[:3]), rtol=1e-14)


@pytest.mark.parametrize("estimator", [TwoLayerClassifier, TwoLayerRegressor])
def test_a_frame_has_its_own_predictions(estimator):
    X = frame(60)
    model = estimator(3, **QUICK).fit(X, targets(X, estimator))
    assert_array_equal(X.pipe(model), model(X))


def test_a_subclass_is_called_by_its_own_prediction():
    class Doubled(TwoLayerRegressor):
        def predict(self, X):
            return 2 * super().predict(X)

    X, y = QUANTITIES
    model = Doubled(3, **QUICK).fit(X, y)
    assert_array_equal(model(X), model.predict(X))
    assert_allclose(model(X), 2 * clone(REGRESSOR).fit(X, y).predict(X))


@either
def test_searches_vary_and_swap_it(estimator, data, method):
    others = [LogisticRegression() if method == "predict_proba" else Ridge(), estimator]
    model = Pipeline([("scale", StandardScaler()), ("last", estimator)])
    grid = {"last": others}
    for search in (
        GridSearchCV(model, grid, cv=2),
        RandomizedSearchCV(model, grid, n_iter=2, cv=2, random_state=0),
        GridSearchCV(model, {"last__hidden_size": [2, 3]}, cv=2),
    ):
        search.fit(*data)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert check_scoring(estimator)(clone(estimator).fit(*data), *data) > 0.3


@either
def test_ensembles_take_it_for_an_estimator(estimator, data, method):
    X, y = data
    if method == "predict":
        models = [StackingRegressor([("net", estimator)], final_estimator=estimator, cv=2)]
        models += [TransformedTargetRegressor(estimator, transformer=StandardScaler())]
    else:
        parts = [("net", estimator), ("line", LogisticRegression())]
        models = [StackingClassifier(parts, final_estimator=estimator, cv=2)]
        models += [VotingClassifier(parts, voting="soft"), OneVsRestClassifier(estimator)]
    for model in models:
        assert clone(model).fit(X, y).score(X, y) > 0.5


@either
def test_a_selector_reads_importances_of_it(estimator, data, method):
    for getter in ("auto", "feature_importances_", lambda model: model.feature_importances_):
        selector = SelectFromModel(estimator, importance_getter=getter, max_features=2).fit(*data)
        assert selector.get_support().sum() <= 2


@either
def test_functions_of_rows_take_it_for_one(estimator, data, method):
    X, y = data
    model = clone(estimator).fit(X, y)
    step = FunctionTransformer(lambda X: np.asarray(model(X)).reshape(len(X), -1))
    stacked = FeatureUnion([("rows", "passthrough"), ("predictions", step)]).fit_transform(X)
    assert_array_equal(stacked[:, :5], X)
    assert_array_equal(stacked[:, 5:], model(X).reshape(len(X), -1))
    assert_array_equal(FunctionTransformer(model).transform(X), model(X))


@either
def test_its_picture_is_that_of_an_estimator(estimator, data, method):
    name = type(estimator).__name__
    for model in (
        estimator,
        clone(estimator).fit(*data),
        make_pipeline(StandardScaler(), estimator),
    ):
        assert name in repr(model)
        assert name in estimator_html_repr(model)
