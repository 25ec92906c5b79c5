import sys
from itertools import pairwise

import matplotlib
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from sklearn_twolayer import ImportanceDisplay, TwoLayerRegressor

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    matplotlib.pyplot.close("all")


@pytest.fixture(scope="module")
def table():
    X = np.random.RandomState(0).randn(200, 3)
    y = 3 * X[:, 1] + np.sin(2 * X[:, 2])
    return pd.DataFrame(X, columns=["idle", "strong", "bends"]), y


@pytest.fixture(scope="module")
def model(table):
    return TwoLayerRegressor(5, skip=False, random_state=1).fit(*table)


def bars(display):
    """From top to bottom, what is written and how long it is."""
    names = [label.get_text() for label in display.ax_.get_yticklabels()]
    return list(zip(names, (bar.get_width() for bar in display.bars_), strict=True))[::-1]


def test_the_longest_is_on_top(model, table):
    display = ImportanceDisplay.from_estimator(model, table[0])
    idle, strong, bends = model.gradient_importances(table[0])
    assert bars(display) == [("strong", strong), ("bends", bends), ("idle", idle)]
    assert display.ax_.get_xlabel() == "Share in the movement of the prediction"
    assert display.ax_.get_ylabel() == ""
    assert display.figure_ is display.ax_.figure


def test_rows_have_weights(model, table):
    weights = np.arange(200.0)
    display = ImportanceDisplay.from_estimator(model, table[0], sample_weight=weights)
    expected = model.gradient_importances(table[0], weights)
    np.testing.assert_array_equal(display.importances, expected)


def test_shows_no_more_than_asked_for_and_says_so(model, table):
    display = ImportanceDisplay.from_estimator(model, table[0], max_features=2)
    assert [name for name, _ in bars(display)] == ["strong", "bends"]
    assert display.ax_.get_ylabel() == "Columns: the first 2 of 3"


def test_what_the_prior_leaves_to_each_column(model, table):
    display = ImportanceDisplay.from_estimator(model, kind="prior")
    deviation = model.alpha_[:3] ** -0.5
    np.testing.assert_allclose(display.importances, deviation / deviation.sum())
    assert [name for name, _ in bars(display)] == ["bends", "strong", "idle"]
    label = "Share of the prior deviation: room to bend and interact"
    assert display.ax_.get_xlabel() == label


def test_dropped_columns_have_no_bar(table):
    model = TwoLayerRegressor(3, group_lasso=True, skip=False, random_state=0).fit(*table)
    assert not model.features_used_[0]
    display = ImportanceDisplay.from_estimator(model, kind="prior")
    assert display.importances[0] == 0
    assert display.importances.sum() == pytest.approx(1)


def test_pipelines_pass_on_their_rows_and_names(table):
    X, y = table
    network = TwoLayerRegressor(2, random_state=0)
    steps = StandardScaler(), PolynomialFeatures(2, include_bias=False)
    search = GridSearchCV(
        make_pipeline(*steps, network), {"twolayerregressor__skip": [False]}, cv=2
    )
    search.fit(X, y)
    display = ImportanceDisplay.from_estimator(search, X, max_features=1)
    fitted = search.best_estimator_
    expected = fitted[-1].gradient_importances(fitted[:-1].transform(X))
    np.testing.assert_array_equal(display.importances, expected)
    assert [name for name, _ in bars(display)] == ["strong"]
    assert "bends^2" in display.feature_names


def test_without_names_columns_are_numbered(table):
    X, y = table[0].to_numpy(), table[1]
    model = make_pipeline(StandardScaler(), TwoLayerRegressor(2, random_state=0)).fit(X, y)
    names = {name for name, _ in bars(ImportanceDisplay.from_estimator(model, X))}
    assert names == {"x0", "x1", "x2"}


def test_importances_of_a_forest_without_rows(table):
    forest = RandomForestRegressor(5, random_state=0).fit(*table)
    display = ImportanceDisplay.from_estimator(forest)
    np.testing.assert_array_equal(display.importances, forest.feature_importances_)
    assert bars(display)[0][0] == "strong"


def test_without_rows_those_of_training_are_meant(model, table):
    display = ImportanceDisplay.from_estimator(model)
    np.testing.assert_array_equal(display.importances, model.feature_importances_)
    assert display.ax_.get_xlabel() == "Share in the movement of the prediction"


def test_takes_any_importances():
    display = ImportanceDisplay(importances=[1, -2, 1], importance_name="Loss of score").plot()
    assert bars(display) == [("x0", 1), ("x2", 1), ("x1", -2)]
    assert display.ax_.get_xlabel() == "Loss of score"
    again = display.plot(display.ax_, bar_kwargs={"fc": "red"})
    assert again.bars_[0].get_facecolor() == (1, 0, 0, 1)


def test_says_what_would_be_right(model, table, monkeypatch):
    draw = ImportanceDisplay.from_estimator
    with pytest.raises(NotFittedError):
        draw(TwoLayerRegressor(), table[0])
    with pytest.raises(ValueError, match=r"kind must be one of .*'prior'.*got 'shap'"):
        draw(model, table[0], kind="shap")
    with pytest.raises(TypeError, match=r"must have gradient_importances.*got LinearRegression"):
        draw(LinearRegression().fit(*table), table[0])
    with pytest.raises(TypeError, match="must have feature_importances_, unless X is given"):
        draw(LinearRegression().fit(*table))
    given = TwoLayerRegressor(2, alpha=1.0, random_state=0).fit(*table)
    with pytest.raises(ValueError, match=r"alpha_ is 1\.0"):
        draw(given, kind="prior")
    with pytest.raises(ValueError, match=r"max_features must be .*of at least 1, got 0"):
        draw(model, table[0], max_features=0)
    with pytest.raises(ValueError, match=r"max_features must be a whole number.*got None"):
        draw(model, table[0], max_features=None)
    for options in ({}, {"X": table[0], "kind": "prior"}):
        with pytest.raises(ValueError, match="sample_weight must come with X"):
            draw(model, sample_weight=np.ones(200), **options)
    with pytest.raises(ValueError, match=r"feature_names must be 2, .*got 1"):
        ImportanceDisplay(importances=[1, 2], feature_names=["a"]).plot()
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"ImportanceDisplay.from_estimator requires matplotlib"):
        draw(model, table[0])


@pytest.mark.parametrize("n", [1, 40])
def test_no_name_is_cut_off(n):
    names = [
        f"{j}: how many fish there were in the water, and how long each of them was"
        for j in range(n)
    ]
    figure = ImportanceDisplay(importances=np.ones(n), feature_names=names).plot().figure_
    figure.canvas.draw()
    page, box = figure.bbox, figure.axes[0].get_tightbbox()
    assert page.x0 <= box.x0 < box.x1 <= page.x1
    assert page.y0 <= box.y0 < box.y1 <= page.y1
    labels = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert not any(a.overlaps(b) for a, b in pairwise(labels))
