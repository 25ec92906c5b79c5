"""Estimators with a constructor of their own: parameters are attributes, as in scikit-learn."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

X = np.random.RandomState(0).randn(40, 3)


class SmallRegressor(TwoLayerRegressor):
    def __init__(self, alpha=1.0, size=3):
        super().__init__(size, alpha=alpha, max_iter=5000, random_state=0)
        self.size = size


class SmallClassifier(TwoLayerClassifier):
    def __init__(self, alpha=1.0, size=3):
        super().__init__(size, alpha=alpha, max_iter=5000, random_state=0)
        self.size = size


PAIRS = [
    pytest.param(SmallRegressor, TwoLayerRegressor, np.sin(X[:, 0]), id="regressor"),
    pytest.param(SmallClassifier, TwoLayerClassifier, (X[:, 0] > 0).astype(int), id="classifier"),
]
every_pair = pytest.mark.parametrize(("small", "parent", "y"), PAIRS)


@every_pair
def test_is_its_parent_with_fewer_parameters(small, parent, y):
    model = clone(small(alpha=0.5))
    assert model.get_params() == {"alpha": 0.5, "size": 3}
    model.fit(X, y)
    expected = parent(3, alpha=0.5, max_iter=5000, random_state=0).fit(X, y)
    assert_array_equal(model.predict(X), expected.predict(X))
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), expected.predict(X))


@every_pair
def test_is_searched_over(small, parent, y):
    search = GridSearchCV(small(), {"alpha": [0.1, 10.0], "size": [2, 4]}, cv=3).fit(X, y)
    assert search.best_estimator_.hidden_size in (2, 3, 4)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@every_pair
def test_streams(small, parent, y):
    model = small()
    first = {"classes": [1, 0]} if parent is TwoLayerClassifier else {}
    model.partial_fit(X, y, **first).partial_fit(X, y)
    assert model.n_iter_ == 2


@every_pair
@pytest.mark.parametrize(("name", "value"), [("max_iter", 0), ("hidden_size", 0), ("tol", "small")])
def test_what_it_does_not_take_is_checked_too(small, parent, y, name, value):
    model = small()
    setattr(model, name, value)
    with pytest.raises(ValueError, match=rf"^{name} must be .*got {value!r}"):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")
