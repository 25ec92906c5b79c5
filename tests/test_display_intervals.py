import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from sklearn_twolayer import (
    IntervalCalibrationDisplay,
    PredictionIntervalDisplay,
    TwoLayerClassifier,
    TwoLayerRegressor,
)

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    matplotlib.pyplot.close("all")


@pytest.fixture(scope="module")
def frame():
    rng = np.random.RandomState(0)
    X = pd.DataFrame({"length": rng.uniform(1, 3, 240), "colour": rng.choice(list("abc"), 240)})
    X["colour"] = X["colour"].astype("category")
    X["depth of the water"] = rng.randint(0, 9, 240)
    return X


@pytest.fixture(scope="module")
def y(frame):
    noise = np.random.RandomState(1).randn(240)
    name = "Catch"
    return pd.Series(frame["length"] ** 2 + (frame["colour"] == "a") + 0.3 * noise, name=name)


@pytest.fixture(scope="module")
def model(frame, y):
    return TwoLayerRegressor(4, random_state=0).fit(frame[:160], y[:160])


@pytest.fixture
def new(frame, y):
    return frame[160:], y[160:]


def as_frame_of(library, X):
    if library == "polars":
        polars = pytest.importorskip("polars")
        return polars.DataFrame({name: X[name].to_numpy() for name in X})
    if library == "pyarrow":
        return pytest.importorskip("pyarrow").Table.from_pandas(X, preserve_index=False)
    return X


def legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def bars(display):
    return np.array([segment[:, 1] for segment in display.intervals_.get_segments()])


def test_observed_against_predicted(model, new):
    X, y = new
    display = PredictionIntervalDisplay.from_estimator(model, X, y, coverage=0.8)
    order = np.argsort(model.predict(X))
    expected = model.predict_interval(X, coverage=0.8)
    np.testing.assert_allclose(bars(display), expected[order])
    np.testing.assert_array_equal(display.line_.get_xdata(), display.line_.get_ydata())
    is_inside = (expected[:, 0] <= y) & (y <= expected[:, 1])
    n_inside, n_outside = len(display.inside_.get_ydata()), len(display.outside_.get_ydata())
    assert (n_inside, n_outside) == (is_inside.sum(), (~is_inside).sum())
    share = 100 * is_inside.mean()
    assert legend(display) == [
        "80 % interval",
        "TwoLayerRegressor",
        f"inside: {share:.0f} % of 80 rows",
        f"outside: {100 - share:.0f} % of 80 rows",
    ]
    assert display.ax_.get_xlabel() == "Catch, predicted"
    assert display.ax_.get_ylabel() == "Catch"
    assert display.figure_ is display.ax_.figure


def test_rows_along_a_column_keep_their_own_values(model, new):
    X, y = new
    display = PredictionIntervalDisplay.from_estimator(model, X, y, feature="length", name="mine")
    order = np.argsort(X["length"].to_numpy())
    np.testing.assert_allclose(bars(display), model.predict_interval(X)[order])
    np.testing.assert_array_equal(display.line_.get_xdata(), X["length"].to_numpy()[order])
    np.testing.assert_array_equal(display.line_.get_ydata(), model.predict(X)[order])
    assert display.ax_.get_xlabel() == "length"
    assert "mine" in legend(display)


def test_rows_of_a_category_stand_at_its_tick(model, new):
    X, y = new
    display = PredictionIntervalDisplay.from_estimator(model, X, y, feature="colour")
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == ["a", "b", "c"]
    places = display.line_.get_xdata()
    counts = np.bincount(places.round().astype(int))
    np.testing.assert_array_equal(counts, X["colour"].value_counts(sort=False))


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_a_band_moves_one_column_and_holds_the_others(library, model, new):
    X = new[0]
    median = np.sort(X["depth of the water"])[(len(X) - 1) // 2]
    grid = [1.5, 2.0, 2.5]
    expected = pd.DataFrame({"length": grid, "colour": X["colour"].mode()[0]})
    expected["colour"] = expected["colour"].astype(X["colour"].dtype)
    expected["depth of the water"] = median
    given = as_frame_of(library, X)
    options = {"feature": "length", "others": "typical", "grid": grid}
    display = PredictionIntervalDisplay.from_estimator(model, given, **options)
    np.testing.assert_allclose(display.line_.get_ydata(), model.predict(expected))
    np.testing.assert_allclose(display.intervals, model.predict_interval(expected))
    np.testing.assert_array_equal(display.rug_.get_xdata(), X["length"])
    assert display.inside_ is display.outside_ is None
    assert display.ax_.get_xlabel() == "length (other columns: typical values)"


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_typical_rows_of_each_category(library, model, new):
    X = new[0]
    given = as_frame_of(library, X)
    options = {"feature": "colour", "others": "typical"}
    display = PredictionIntervalDisplay.from_estimator(model, given, **options)
    assert display.x.tolist() == ["a", "b", "c"]
    typical = [np.sort(X[name])[(len(X) - 1) // 2] for name in ("length", "depth of the water")]
    expected = pd.DataFrame({"length": typical[0], "colour": list("abc")})
    expected["depth of the water"] = typical[1]
    np.testing.assert_allclose(display.line_.get_ydata(), model.predict(expected))


def test_targets_on_their_own_axis_of_one_column(frame, y):
    x = frame[["length"]].to_numpy()
    model = TwoLayerRegressor(3, random_state=0).fit(x, y)
    display = PredictionIntervalDisplay.from_estimator(model, x, y, feature=0, grid=50)
    np.testing.assert_allclose(display.line_.get_xdata(), np.linspace(x.min(), x.max(), 50))
    np.testing.assert_array_equal(display.inside_.get_ydata(), y)
    assert display.outside_ is display.rug_ is None
    assert display.ax_.get_xlabel() == "x0"


def test_missing_values_of_a_column(frame, y):
    X = frame[:60].copy()
    X.loc[:9, "length"] = np.nan
    X.loc[20:29, "colour"] = None
    model = TwoLayerRegressor(3, random_state=0).fit(X, y[:60])
    numbers = PredictionIntervalDisplay.from_estimator(model, X, y[:60], feature="length")
    assert len(bars(numbers)) == 50
    categories = PredictionIntervalDisplay.from_estimator(model, X, y[:60], feature="colour")
    ticks = [label.get_text() for label in categories.ax_.get_xticklabels()]
    assert ticks == ["a", "b", "c", "missing"]
    options = {"feature": "colour", "others": "typical"}
    typical = PredictionIntervalDisplay.from_estimator(model, X, **options)
    assert np.isfinite(typical.y_pred).all()


def test_draws_no_more_rows_than_asked_for(model, new):
    display = PredictionIntervalDisplay.from_estimator(model, *new, max_rows=7)
    assert len(bars(display)) == 7
    assert "of 80 rows" in legend(display)[2]
    shown = display.inside_.get_xdata().tolist() + display.outside_.get_xdata().tolist()
    predicted = np.sort(model.predict(new[0]))
    assert {predicted[0], predicted[-1]} <= set(shown)


def test_pipelines_searches_and_transformed_targets(frame, y):
    X, y = frame[["length", "depth of the water"]], y + 5
    network = TwoLayerRegressor(2, random_state=0)
    inner = GridSearchCV(network, {"hidden_size": [2]}, cv=2)
    around = TransformedTargetRegressor(inner, func=np.reciprocal, inverse_func=np.reciprocal)
    model = make_pipeline(MinMaxScaler(), around).fit(X, y)
    fitted = model[-1].regressor_.best_estimator_
    expected = 1 / fitted.predict_interval(model[0].transform(X))[:, ::-1]
    display = PredictionIntervalDisplay.from_estimator(model, X, y)
    np.testing.assert_allclose(display.intervals, expected)
    np.testing.assert_array_equal(display.y_pred, model.predict(X))
    calibration = IntervalCalibrationDisplay.from_estimator(model, X, y, levels=[0.9])
    held = np.mean((expected[:, 0] <= y) & (y <= expected[:, 1]))
    np.testing.assert_allclose(calibration.held, [held])


def test_intervals_of_anything():
    intervals = [[0, 2], [1, 3], [2, 4]]
    options = {"x": ["dog", "cat", "cat"], "x_name": "animal", "coverage": 0.5}
    display = PredictionIntervalDisplay.from_predictions([1, 9, 3], [1, 2, 3], intervals, **options)
    assert legend(display) == ["50 % interval", "inside: 67 % of 3 rows", "outside: 33 % of 3 rows"]
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == ["cat", "dog"]
    styles = {"interval_kwargs": {"colors": "grey"}, "line_kwargs": {"c": "red"}}
    styles["outside_kwargs"] = {"ms": 11}
    again = display.plot(display.ax_, **styles)
    assert again is display
    assert display.line_.get_color() == "red"
    assert display.outside_.get_markersize() == 11


def test_styles_reach_the_picture_at_once(model, new):
    styles = {"interval_kwargs": {"colors": "grey"}, "line_kwargs": {"c": "red"}}
    styles |= {"inside_kwargs": {"ms": 7}, "outside_kwargs": {"ms": 11}}
    drawn = PredictionIntervalDisplay.from_estimator(model, *new, **styles)
    data = drawn.y_true, drawn.y_pred, drawn.intervals
    for display in (drawn, PredictionIntervalDisplay.from_predictions(*data, **styles)):
        assert display.line_.get_color() == "red"
        assert display.inside_.get_markersize() == 7
        assert display.outside_.get_markersize() == 11
        assert display.intervals_.get_edgecolor()[0, :3].tolist() == [128 / 255] * 3
    options = {"feature": 0, "others": "typical", "interval_kwargs": {"facecolor": "red"}}
    band = PredictionIntervalDisplay.from_estimator(model, *new, **options).intervals_
    assert band.get_facecolor()[0, :3].tolist() == [1, 0, 0]


def test_sparse_rows(y, frame):
    X = sparse.csr_array(frame[["length", "depth of the water"]].to_numpy(dtype=float))
    model = TwoLayerRegressor(2, random_state=0).fit(X, y)
    display = PredictionIntervalDisplay.from_estimator(model, X, y, feature=1)
    np.testing.assert_array_equal(np.sort(display.x), np.sort(frame["depth of the water"]))
    with pytest.raises(TypeError, match="dense"):
        PredictionIntervalDisplay.from_estimator(model, X, feature=1, others="typical")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"feature": "width"}, ValueError, r"one of \['length', .*got 'width'"),
        ({"feature": 3}, ValueError, "feature must be from 0 to 2, got 3"),
        ({"feature": -1}, ValueError, "feature must be from 0 to 2, got -1"),
        ({"feature": 0.5}, TypeError, "name or number of a column, got 0.5"),
        ({"others": "mean"}, ValueError, "others must be one of .*got 'mean'"),
        ({"coverage": 1.0}, ValueError, "coverage must be .*got 1.0"),
        ({"y": None}, ValueError, "y must be given, or feature"),
        ({"others": "typical"}, ValueError, "others='typical' needs a feature"),
        ({"max_rows": 0}, ValueError, "max_rows must be a whole number of at least 1, got 0"),
        ({"feature": 0, "others": "typical", "grid": 0}, ValueError, "grid must be .*got 0"),
        ({"y": [1.0, 2.0]}, ValueError, r"y must have shape \(80,\).*got \(2,\)"),
        ({"y": np.zeros((80, 2))}, ValueError, r"one target.*got shape \(80, 2\)"),
    ],
)
def test_says_what_would_be_right(options, error, message, model, new):
    arguments = {"X": new[0], "y": new[1]} | options
    with pytest.raises(error, match=message):
        PredictionIntervalDisplay.from_estimator(model, **arguments)
    assert not matplotlib.pyplot.get_fignums()


def test_names_need_a_frame(frame, y):
    X = frame[["length"]].to_numpy()
    model = TwoLayerRegressor(2, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=r"no column names.*'length'"):
        PredictionIntervalDisplay.from_estimator(model, X, y, feature="length")


@pytest.mark.parametrize("display", [PredictionIntervalDisplay, IntervalCalibrationDisplay])
def test_needs_intervals_and_matplotlib(display, frame, y, model, monkeypatch):
    X = frame[["length"]]
    with pytest.raises(NotFittedError):
        display.from_estimator(TwoLayerRegressor(), X, y)
    classifier = TwoLayerClassifier(2, random_state=0).fit(X, y > 4)
    for other in (classifier, LinearRegression().fit(X, y)):
        with pytest.raises(TypeError, match=r"must have predict_interval.*got "):
            display.from_estimator(other, X, y)
    two = TwoLayerRegressor(2, random_state=0).fit(X, np.column_stack([y, y]))
    with pytest.raises(ValueError, match="draw each target"):
        display.from_estimator(two, X, np.column_stack([y, y]))
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    message = f"{display.__name__}.from_estimator requires matplotlib. You can install"
    with pytest.raises(ImportError, match=message):
        display.from_estimator(model, frame, y)


def test_lengths_differ():
    draw = PredictionIntervalDisplay.from_predictions
    with pytest.raises(ValueError, match=r"shape \(2, 2\).*got shape \(1, 2\)"):
        draw([1, 2], [1, 2], [[0, 3]])
    with pytest.raises(ValueError, match=r"x must have shape \(2,\), as y_pred, got \(1,\)"):
        draw([1, 2], [1, 2], [[0, 3], [0, 3]], x=[1])
    with pytest.raises(ValueError, match="y_true must be given, or x"):
        PredictionIntervalDisplay(y_pred=[1], intervals=[[0, 3]]).plot()
    draw = IntervalCalibrationDisplay.from_predictions
    with pytest.raises(ValueError, match="intervals must be 2, as levels, got 1"):
        draw([1, 2], [[[0, 3], [0, 3]]], [0.5, 0.9])
    with pytest.raises(ValueError, match=r"shape \(2, 2\).*got shape \(1, 2\)"):
        draw([1, 2], [[[0, 3]]], [0.5])
    with pytest.raises(ValueError, match=r"levels must be .*got \[1.5\]"):
        draw([1, 2], [[[0, 3], [0, 3]]], [1.5])
    with pytest.raises(ValueError, match="sample_weight"):
        draw([1, 2], [[[0, 3], [0, 3]]], [0.5], sample_weight=[1.0])


def test_shares_held_at_each_level(model, new):
    X, y = new
    display = IntervalCalibrationDisplay.from_estimator(model, X, y, levels=[0.5, 0.9])
    bounds = [model.predict_interval(X, level) for level in (0.5, 0.9)]
    expected = [np.mean((low <= y) & (y <= high)) for low, high in (b.T for b in bounds)]
    np.testing.assert_allclose(display.line_.get_ydata(), expected)
    np.testing.assert_array_equal(display.line_.get_xdata(), [0.5, 0.9])
    assert legend(display) == [
        "Perfectly calibrated",
        "by chance, 95 % (80 rows)",
        "TwoLayerRegressor",
    ]
    assert display.ax_.get_xlabel() == "Nominal coverage"


def test_weights_are_copies(model, new):
    X, y = new
    weights = np.arange(80) % 3
    weighted = IntervalCalibrationDisplay.from_estimator(model, X, y, sample_weight=weights)
    copies = np.repeat(np.arange(80), weights)
    copied = IntervalCalibrationDisplay.from_estimator(model, X.iloc[copies], y.iloc[copies])
    np.testing.assert_allclose(weighted.held, copied.held)
    assert weighted.n_samples == pytest.approx(weights.sum() ** 2 / (weights**2).sum())


def test_several_on_one_axes_share_the_diagonal(model, new):
    first = IntervalCalibrationDisplay.from_estimator(model, *new, name="first")
    second = IntervalCalibrationDisplay.from_estimator(model, *new, name="second", ax=first.ax_)
    assert second.ax_ is first.ax_
    assert second.diagonal_ is None
    assert second.chance_ is None
    assert first.line_.get_color() != second.line_.get_color()
    assert first.line_.get_marker() != second.line_.get_marker()
    assert legend(second)[2:] == ["first", "second"]
    assert first.plot(chance=False, name="other").chance_ is None
    assert legend(first) == ["Perfectly calibrated", "other"]


@pytest.mark.parametrize("options", [{}, {"feature": "colour"}, {"feature": 2}])
def test_no_text_is_cut_off(options, model, frame, y):
    X = frame.copy()
    long = [f"{letter} and a long story about this one" for letter in "abc"]
    X["colour"] = X["colour"].cat.rename_categories(long)
    name = "a name that nobody would give to a model, would they, but let us see whether it fits"
    display = PredictionIntervalDisplay.from_estimator(
        TwoLayerRegressor(2, random_state=0).fit(X[:50], y[:50]), X, y, name=name, **options
    )
    calibration = IntervalCalibrationDisplay.from_estimator(model, frame, y, name=name)
    for figure in (display.figure_, calibration.figure_):
        figure.canvas.draw()
        page, box = figure.bbox, figure.axes[0].get_tightbbox()
        assert page.x0 <= box.x0 < box.x1 <= page.x1
        assert page.y0 <= box.y0 < box.y1 <= page.y1
