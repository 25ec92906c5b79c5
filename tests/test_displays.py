import sys

import matplotlib
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_twolayer import LossCurveDisplay, TwoLayerClassifier

matplotlib.use("Agg")


@pytest.fixture(scope="module")
def fitted():
    return TwoLayerClassifier(5, random_state=0).fit(*load_iris(return_X_y=True))


@pytest.fixture(autouse=True)
def close_figures():
    yield
    matplotlib.pyplot.close("all")


def test_draws_the_loss_of_each_iteration(fitted):
    display = LossCurveDisplay.from_estimator(fitted)
    (line,) = display.lines_
    np.testing.assert_array_equal(line.get_ydata(), fitted.loss_curve_)
    np.testing.assert_array_equal(line.get_xdata(), np.arange(1, fitted.n_iter_ + 1))
    assert line.get_label() == "TwoLayerClassifier"
    assert display.ax_.get_yscale() == "log"
    assert display.figure_ is display.ax_.figure


def test_draws_a_pipeline_on_given_axes(fitted):
    first = LossCurveDisplay.from_estimator(fitted, name="alone", log_scale=False)
    pipeline = make_pipeline(StandardScaler(), TwoLayerClassifier(5, random_state=0))
    pipeline.fit(*load_iris(return_X_y=True))
    second = LossCurveDisplay.from_estimator(pipeline, ax=first.ax_, curve_kwargs={"color": "red"})
    assert second.ax_ is first.ax_
    assert second.lines_[0].get_color() == "red"
    assert [text.get_text() for text in first.ax_.get_legend().get_texts()] == [
        "alone",
        "TwoLayerClassifier",
    ]


def test_several_curves_without_names_have_no_legend():
    display = LossCurveDisplay(loss_curves=[[3, 2, 1], [1, 0.5]]).plot()
    assert len(display.lines_) == 2
    assert display.ax_.get_legend() is None


def test_needs_a_fitted_estimator():
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(TwoLayerClassifier())


def test_says_that_matplotlib_is_missing(fitted, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="requires matplotlib"):
        LossCurveDisplay.from_estimator(fitted)
