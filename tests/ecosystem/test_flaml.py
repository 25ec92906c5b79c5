"""FLAML tries settings of a learner of one's own within a budget.

It hands `n_jobs` to every learner. MLPClassifier has no such parameter, so its adapter needs a
constructor that takes the number away; here there is one, and nothing to be done.
"""

import numpy as np
import pytest

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

pytestmark = pytest.mark.ecosystem


@pytest.fixture(scope="module")
def learner():
    pytest.importorskip("flaml")
    # without lightgbm and xgboost FLAML has no AutoML, and says nothing of it
    model = pytest.importorskip("flaml.automl.model")
    from flaml import tune

    class TwoLayerLearner(model.SKLearnEstimator):
        def __init__(self, task="binary", **config):
            super().__init__(task, **config)
            is_classification = self._task.is_classification()
            self.estimator_class = TwoLayerClassifier if is_classification else TwoLayerRegressor

        def config2params(self, config):
            return {"random_state": 0, **super().config2params(config)}

        @classmethod
        def search_space(cls, data_size, task, **params):
            hidden_size = tune.lograndint(lower=2, upper=20)
            return {"hidden_size": {"domain": hidden_size, "init_value": 2}}

    return TwoLayerLearner


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_learner_is_tuned(learner, rows, quantities, labels, task):
    from flaml.automl import AutoML

    y = labels if task == "classification" else quantities
    search = AutoML()
    search.add_learner("two layers", learner)
    search.fit(
        rows,
        y,
        task=task,
        estimator_list=["two layers"],
        max_iter=4,
        eval_method="cv",
        n_splits=3,
        n_jobs=1,
        seed=0,
        verbose=0,
    )
    model = search.model.estimator
    assert isinstance(model, (TwoLayerClassifier, TwoLayerRegressor))
    assert 2 <= model.hidden_size_ == search.best_config["hidden_size"] <= 20
    assert model.n_jobs == 1
    assert np.isfinite(search.best_loss)
    assert search.score(rows, y) > 0.9
    assert search.feature_importances_[:2].sum() > 0.7
