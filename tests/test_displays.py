import sys

import matplotlib
import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_twolayer import LossCurveDisplay, TwoLayerClassifier, TwoLayerRegressor

matplotlib.use("Agg")


@pytest.fixture(scope="module")
def fitted():
    return TwoLayerClassifier(5, random_state=0).fit(*load_iris(return_X_y=True))


@pytest.fixture(scope="module")
def validated():
    options = {"solver": "adam", "early_stopping": True, "learning_rate_init": 0.03}
    return TwoLayerClassifier(5, random_state=0, **options).fit(*load_iris(return_X_y=True))


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
    assert display.validation_ax_ is None
    assert display.validation_lines_ == [None]
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
        f"alone, kept: iteration {fitted.best_iter_}",
        "TwoLayerClassifier",
        f"TwoLayerClassifier, kept: iteration {pipeline[-1].best_iter_}",
    ]


def test_the_curve_of_an_average_is_that_of_its_leading_network():
    options = {"n_members": 2, "hidden_size": 2, "random_state": 0}
    model = TwoLayerClassifier(**options).fit(*load_iris(return_X_y=True))
    (line,) = LossCurveDisplay.from_estimator(model, curve_kwargs={"c": "red"}).lines_
    assert line.get_label() == "TwoLayerClassifier (leading one of 2 networks)"
    assert line.get_color() == "red"
    np.testing.assert_array_equal(line.get_ydata(), model.loss_curve_)


def test_several_curves_without_names_have_no_legend():
    display = LossCurveDisplay(loss_curves=[[3, 2, 1], [1, 0.5]]).plot()
    assert len(display.lines_) == 2
    assert display.ax_.get_legend() is None


def test_needs_a_fitted_estimator():
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(TwoLayerClassifier())


def test_says_that_matplotlib_is_missing(fitted, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"requires matplotlib. You can install matplotlib"):
        LossCurveDisplay.from_estimator(fitted)


def test_draws_the_validation_score_on_an_axis_of_its_own(validated):
    display = LossCurveDisplay.from_estimator(validated)
    (line,), (loss,) = display.validation_lines_, display.lines_
    np.testing.assert_array_equal(line.get_ydata(), validated.validation_scores_)
    np.testing.assert_array_equal(line.get_xdata(), loss.get_xdata())
    assert line.axes is display.validation_ax_ is not display.ax_
    assert display.validation_ax_.get_ylabel() == "Validation score (dashed)"
    assert (line.get_linestyle(), loss.get_linestyle()) == ("--", "-")
    assert line.get_color() == loss.get_color()
    kept = validated.best_iter_
    assert [text.get_text() for text in display.validation_ax_.get_legend().get_texts()] == [
        "TwoLayerClassifier",
        f"TwoLayerClassifier, kept: iteration {kept}",
        "TwoLayerClassifier, validation",
    ]
    assert display.ax_.get_legend() is None


@pytest.mark.parametrize("name", ["fitted", "validated"])
def test_marks_the_kept_iteration(name, request):
    estimator = request.getfixturevalue(name)
    display = LossCurveDisplay.from_estimator(estimator)
    (line,) = display.best_iter_lines_
    assert set(line.get_xdata()) == {estimator.best_iter_}
    assert line.get_linestyle() == ":"
    assert line.axes is display.ax_


def test_a_second_curve_shares_the_axis_of_the_validation_scores(validated, fitted):
    first = LossCurveDisplay.from_estimator(fitted, name="first")
    assert len(first.figure_.axes) == 1
    second = LossCurveDisplay.from_estimator(validated, name="second", ax=first.ax_)
    third = LossCurveDisplay.from_estimator(validated, name="third", ax=first.ax_)
    assert third.validation_ax_ is second.validation_ax_
    assert len(first.figure_.axes) == 2
    colours = [display.lines_[0].get_color() for display in (first, second, third)]
    assert len(set(colours)) == 3
    # one legend, for all of them
    assert first.ax_.get_legend() is None
    labels = [text.get_text() for text in third.validation_ax_.get_legend().get_texts()]
    assert {"first", "second", "second, validation", "third", "third, validation"} < set(labels)


@pytest.mark.parametrize(
    ("curve", "scale"),
    [
        ([5.0, 1.0, 0.4], "log"),
        ([5.0, 1.0, 0.6], "linear"),
        ([5.0, 0.4, 0.0], "linear"),
        ([1.0, -0.4, -3.0], "linear"),
        ([-1.0, -2.0, -40.0], "linear"),
        ([], "linear"),
    ],
)
def test_the_scale_is_chosen_by_the_losses(curve, scale):
    display = LossCurveDisplay(loss_curves=[curve], best_iters=[2]).plot()
    assert display.ax_.get_yscale() == scale
    low, high = display.ax_.get_ylim()
    assert all(low <= loss <= high for loss in curve)


def test_the_scale_suits_all_curves_of_a_picture():
    first = LossCurveDisplay(loss_curves=[[5.0, 0.1]], best_iters=[2]).plot()
    assert first.ax_.get_yscale() == "log"
    second = LossCurveDisplay(loss_curves=[[2.0, 0.02]]).plot(first.ax_)
    assert second.ax_.get_yscale() == "log"
    LossCurveDisplay(loss_curves=[[1.0, -2.0]]).plot(first.ax_)
    assert first.ax_.get_yscale() == "linear"


def test_a_logarithm_of_what_has_none_is_refused():
    display = LossCurveDisplay(loss_curves=[[1.0, -0.25]])
    with pytest.raises(ValueError, match=r"log_scale=True .* above zero, got -0.25"):
        display.plot(log_scale=True)
    assert display.plot(log_scale=False).ax_.get_yscale() == "linear"
    positive = LossCurveDisplay(loss_curves=[[3.0, 2.0]])
    assert positive.plot(log_scale=True).ax_.get_yscale() == "log"


def test_evidence_below_zero_is_drawn_whole():
    X = np.random.RandomState(0).rand(60, 2)
    model = TwoLayerRegressor(3, random_state=0).fit(X, X[:, 0] - X[:, 1])
    assert model.loss_ < 0 < model.loss_curve_[0]
    display = LossCurveDisplay.from_estimator(model)
    low, high = display.ax_.get_ylim()
    assert low <= min(model.loss_curve_) < max(model.loss_curve_) <= high


@pytest.mark.parametrize("n_iter", [1, 3, 700])
@pytest.mark.parametrize("lowest", [-1.0, 0.9, 0.3, 0.01, 1e-9])
def test_ticks_are_whole_iterations_and_losses_that_can_be_told_apart(n_iter, lowest):
    curve = np.linspace(1, lowest, n_iter) if n_iter > 1 else [lowest]
    display = LossCurveDisplay(loss_curves=[curve]).plot()
    display.figure_.canvas.draw()
    for axis, limits in (
        (display.ax_.xaxis, display.ax_.get_xlim()),
        (display.ax_.yaxis, display.ax_.get_ylim()),
    ):
        ticks, labels = axis.get_majorticklocs(), [t.get_text() for t in axis.get_ticklabels()]
        within = [
            text for at, text in zip(ticks, labels, strict=True) if np.clip(at, *limits) == at
        ]
        assert len(set(within)) == len(within) >= (1 if n_iter == 1 else 2)
    ticks = display.ax_.get_xticks()
    np.testing.assert_array_equal(ticks, np.round(ticks))


@pytest.mark.parametrize("offset", [0, 123_456])
def test_nothing_is_cut_off(offset, validated):
    display = LossCurveDisplay(
        loss_curves=[offset + 0.01 * np.array(validated.loss_curve_)],
        validation_scores=[-offset + 0.01 * np.array(validated.validation_scores_)],
        names=["long numbers"],
    )
    figure = display.plot().figure_
    figure.canvas.draw()
    page = figure.bbox
    for axes in figure.axes:
        box = axes.get_tightbbox()
        assert page.x0 <= box.x0 < box.x1 <= page.x1
        assert page.y0 <= box.y0 < box.y1 <= page.y1


def searches():
    network = TwoLayerClassifier(3, solver="adam", max_iter=20, tol=1, random_state=0)
    pipeline = make_pipeline(StandardScaler(), make_pipeline("passthrough", network))
    grid = {"alpha": [0.1, 1.0]}
    deep = {"pipeline__twolayerclassifier__alpha": [0.1, 1.0]}
    return {
        "deep pipeline": pipeline,
        "grid search": GridSearchCV(network, grid, cv=2),
        "random search": RandomizedSearchCV(network, grid, n_iter=1, cv=2, random_state=0),
        "search of pipelines": GridSearchCV(pipeline, deep, cv=2),
        "pipeline that searches": make_pipeline("passthrough", GridSearchCV(network, grid, cv=2)),
    }


@pytest.mark.parametrize("kind", searches())
def test_draws_what_pipelines_and_searches_have_fitted(kind):
    model = searches()[kind].fit(*load_iris(return_X_y=True))
    inside = model
    while not isinstance(inside, TwoLayerClassifier):
        inside = getattr(inside, "best_estimator_", None) or inside[-1]
    (line,) = LossCurveDisplay.from_estimator(model).lines_
    np.testing.assert_array_equal(line.get_ydata(), inside.loss_curve_)
    assert line.get_label() == "TwoLayerClassifier"


def test_draws_the_regressor_of_a_transformed_target():
    model = TransformedTargetRegressor(TwoLayerRegressor(3, random_state=0), func=np.log1p)
    model.set_params(inverse_func=np.expm1).fit(*load_diabetes(return_X_y=True))
    (line,) = LossCurveDisplay.from_estimator(model).lines_
    np.testing.assert_array_equal(line.get_ydata(), model.regressor_.loss_curve_)


def test_needs_a_loss_curve():
    X, y = load_iris(return_X_y=True)
    without_refit = GridSearchCV(TwoLayerClassifier(2), {"alpha": [1.0]}, cv=2, refit=False)
    for model in (LinearRegression().fit(X, y), without_refit.fit(X, y)):
        with pytest.raises(TypeError, match=r"estimator must have a loss_curve_.*got "):
            LossCurveDisplay.from_estimator(model)
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(GridSearchCV(TwoLayerClassifier(), {"alpha": [1.0]}))
