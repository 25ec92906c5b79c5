"""scikit-activeml asks for the labels that would teach the model most.

Regressors are asked where they are least sure: `predict(X, return_std=True)` is what its wrapper
for normal distributions calls. MLPRegressor has no such parameter.
"""

import numpy as np
import pytest

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

pytestmark = pytest.mark.ecosystem


@pytest.fixture(scope="module")
def skactiveml():
    pytest.importorskip("skactiveml")
    from skactiveml import classifier, pool, regressor

    return {**vars(classifier), **vars(pool), **vars(regressor)}


def test_labels_are_asked_for_where_they_are_uncertain(skactiveml, rows, labels):
    y = np.where(np.arange(len(labels)) < 20, labels, np.nan)
    model = skactiveml["SklearnClassifier"](
        TwoLayerClassifier(5, random_state=0), classes=[0, 1], random_state=0
    )
    strategy = skactiveml["UncertaintySampling"](method="entropy", random_state=0)
    for _ in range(3):
        model.fit(rows, y)
        query = strategy.query(X=rows, y=y, clf=model, batch_size=5)
        uncertainty = 1 - model.predict_proba(rows).max(axis=1)
        # those without a label of which the model is least sure
        assert uncertainty[query].min() >= np.sort(uncertainty[np.isnan(y)])[-5]
        y[query] = labels[query]
    assert np.isfinite(y).sum() == 35
    assert model.fit(rows, y).score(rows, labels) > 0.7


def test_quantities_come_with_deviations(skactiveml, rows, quantities):
    y = np.where(np.arange(len(quantities)) < 60, quantities, np.nan)
    net = TwoLayerRegressor(5, random_state=0)
    model = skactiveml["SklearnNormalRegressor"](net).fit(rows, y)
    expected = net.fit(rows[:60], quantities[:60]).predict(rows, return_std=True)
    np.testing.assert_allclose(model.predict(rows, return_std=True), expected)
    query = skactiveml["GreedySamplingTarget"](random_state=0).query(
        X=rows, y=y, reg=skactiveml["SklearnRegressor"](net), batch_size=3
    )
    assert np.isnan(y[query]).all()
