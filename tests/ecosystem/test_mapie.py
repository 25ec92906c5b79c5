"""MAPIE makes intervals and sets that hold as often as is asked, from rows held out.

`predict_interval` does so without it, by the residuals of rows held out, and each fit has error
bars. MLPRegressor has neither, and serves MAPIE as well.
"""

import numpy as np
import pytest

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

pytestmark = pytest.mark.ecosystem
COVERAGE = 0.9
TRAIN, CALIBRATE, TEST = slice(0, 80), slice(80, 140), slice(140, 200)


@pytest.fixture(scope="module")
def mapie():
    pytest.importorskip("mapie")
    from mapie import classification, regression

    return {**vars(classification), **vars(regression)}


def share_within(intervals, y):
    lower, upper = intervals[:, 0, 0], intervals[:, 1, 0]
    assert (lower < upper).all()
    return ((lower <= y) & (y <= upper)).mean()


def test_intervals_of_a_model_that_is_fitted(mapie, rows, quantities):
    model = TwoLayerRegressor(5, random_state=0).fit(rows[TRAIN], quantities[TRAIN])
    conformal = mapie["SplitConformalRegressor"](model, confidence_level=COVERAGE, prefit=True)
    conformal.conformalize(rows[CALIBRATE], quantities[CALIBRATE])
    prediction, intervals = conformal.predict_interval(rows[TEST])
    np.testing.assert_array_equal(prediction, model.predict(rows[TEST]))
    assert 0.8 < share_within(intervals, quantities[TEST]) <= 1
    # and those of the model itself
    lower, upper = np.moveaxis(model.predict_interval(rows[TEST], COVERAGE), -1, 0)
    assert 0.8 < ((lower <= quantities[TEST]) & (quantities[TEST] <= upper)).mean() <= 1


def test_intervals_by_folds(mapie, rows, quantities):
    model = TwoLayerRegressor(5, random_state=0)
    conformal = mapie["CrossConformalRegressor"](model, confidence_level=COVERAGE, cv=3)
    conformal.fit_conformalize(rows[:140], quantities[:140])
    assert 0.8 < share_within(conformal.predict_interval(rows[TEST])[1], quantities[TEST]) <= 1


def test_intervals_by_quantiles(mapie, rows, quantities):
    """MAPIE fits quantiles of four regressors it knows, and takes those of others fitted."""
    lower, upper = (1 - COVERAGE) / 2, (1 + COVERAGE) / 2
    models = [
        TwoLayerRegressor(5, loss="quantile", quantile=quantile, random_state=0)
        for quantile in (lower, upper, 0.5)
    ]
    for model in models:
        model.fit(rows[TRAIN], quantities[TRAIN])
    conformal = mapie["ConformalizedQuantileRegressor"](
        models, confidence_level=COVERAGE, prefit=True
    ).conformalize(rows[CALIBRATE], quantities[CALIBRATE])
    assert 0.8 < share_within(conformal.predict_interval(rows[TEST])[1], quantities[TEST]) <= 1


def test_sets_of_labels(mapie, rows, labels):
    model = TwoLayerClassifier(5, random_state=0).fit(rows[TRAIN], labels[TRAIN])
    conformal = mapie["SplitConformalClassifier"](model, confidence_level=COVERAGE, prefit=True)
    conformal.conformalize(rows[CALIBRATE], labels[CALIBRATE])
    _, sets = conformal.predict_set(rows[TEST])
    assert sets.shape == (60, 2, 1)
    assert sets[np.arange(60), labels[TEST], 0].mean() > 0.8
