"""scikit-learn chooses columns by `feature_importances_`, or by what a score loses without them.

MLPClassifier has no importances: RFECV and SelectFromModel raise ValueError for it.
"""

import numpy as np
import pytest
from sklearn.feature_selection import RFECV, SelectFromModel
from sklearn.inspection import permutation_importance
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

pytestmark = pytest.mark.ecosystem


def test_rfecv_finds_how_many_columns_are_needed(frame, quantities):
    """Of numbers: it makes an array of a frame before any estimator sees it."""
    search = RFECV(TwoLayerRegressor(5, random_state=0), cv=3).fit(frame[list("abcd")], quantities)
    assert search.ranking_[:2].tolist() == [1, 1]
    assert search.n_features_ < 4
    assert search.score(frame[list("abcd")], quantities) > 0.95
    with pytest.raises(ValueError, match="could not convert string to float"):
        search.fit(frame, quantities)


def test_a_selection_before_a_classifier(frame, labels):
    selector = SelectFromModel(TwoLayerClassifier(5, random_state=0)).set_output(transform="pandas")
    model = make_pipeline(selector, TwoLayerClassifier(5, random_state=0)).fit(frame, labels)
    assert model[0].get_feature_names_out().tolist() == ["a", "b"]
    assert model.score(frame, labels) > 0.9


def test_permutations_agree(frame, labels):
    model = TwoLayerClassifier(5, random_state=0).fit(frame, labels)
    found = permutation_importance(model, frame, labels, n_repeats=3, random_state=0)
    for importances in (found.importances_mean, model.feature_importances_):
        assert sorted(np.argsort(importances)[-2:]) == [0, 1]


def test_what_scikit_learns_network_does(rows, labels):
    with pytest.raises(ValueError, match="importances"):
        RFECV(MLPClassifier(solver="lbfgs", random_state=0), cv=3).fit(rows, labels)
