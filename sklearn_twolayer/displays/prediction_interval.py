"""Where new targets will be: predictions with their intervals, and the targets that came.

Long because every parameter is documented here, in full.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from .axes import check_matplotlib, legend_above, new_axes
from .checking import check_bounds, check_number, check_predictions, check_targets
from .interval_artists import Artists, Scale
from .tables import Table
from .unwrapping import unwrap

OTHERS = ("own", "typical")


class PredictionIntervalDisplay:
    """Predictions, the intervals that new targets are expected in, and targets.

    Use :meth:`from_estimator` or :meth:`from_predictions` to make one. There are three pictures:

    - without `x`: observed against predicted. The prediction is the diagonal, each row has its
      interval as a bar, and its target as a dot, or as a cross where it is outside;
    - with `x`: the same rows along a column, the prediction of each as a dash in its bar;
    - with `x` and `x_true`: predictions joined to a line and intervals to a band, along values that
      a column takes in turn, and targets at `x_true`.

    Parameters
    ----------
    y_pred : array-like of shape (n_samples,)
        Predictions.

    intervals : array-like of shape (n_samples, 2)
        Their lower and upper bounds.

    y_true : array-like of shape (n_samples,) or (n_true,), default=None
        Targets, of the same rows or, with `x_true`, of rows of their own.

    x : array-like of shape (n_samples,), default=None
        Value of a column in each row; categories may be strings.

    x_true : array-like of shape (n_true,), default=None
        Value of the column in the rows of `y_true`; marked below the band where there is no
        `y_true`.

    x_name : str, default=None
        What the column is called.

    y_name : str, default="Target"
        What the target is called.

    coverage : float, default=None
        The probability with which intervals are to hold a target.

    name : str, default=None
        What to call the predictions in the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What was drawn on.

    figure_ : matplotlib Figure
        The figure it belongs to.

    intervals_ : matplotlib Artist
        The bars or the band.

    line_ : matplotlib Artist
        The predictions: the diagonal, dashes or a line.

    inside_, outside_ : matplotlib Artist or None
        Targets within their intervals and outside; None without targets. Along a band ``inside_``
        holds them all, and ``outside_`` is None.

    rug_ : matplotlib Artist or None
        The marks of values that the column has, where a band has no targets.

    See Also
    --------
    sklearn.metrics.PredictionErrorDisplay : Predictions and residuals without intervals.
    IntervalCalibrationDisplay : Whether intervals hold as much as they promise.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_twolayer import PredictionIntervalDisplay, TwoLayerRegressor
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    >>> regressor = TwoLayerRegressor(5, random_state=0).fit(X[:300], y[:300])
    >>> display = PredictionIntervalDisplay.from_estimator(regressor, X[300:], y[300:])
    >>> display.intervals.shape
    (142, 2)
    >>> display = PredictionIntervalDisplay.from_estimator(
    ...     regressor, X[300:], feature="bmi", others="typical"
    ... )
    >>> display.ax_.get_xlabel()
    'bmi (other columns: typical values)'
    """

    def __init__(
        self,
        *,
        y_pred,
        intervals,
        y_true=None,
        x=None,
        x_true=None,
        x_name=None,
        y_name="Target",
        coverage=None,
        name=None,
    ):
        self.y_pred = y_pred
        self.intervals = intervals
        self.y_true = y_true
        self.x = x
        self.x_true = x_true
        self.x_name = x_name
        self.y_name = y_name
        self.coverage = coverage
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: Any,
        y: ArrayLike | None = None,
        *,
        feature: str | int | None = None,
        others: str = "own",
        grid: int | ArrayLike = 100,
        coverage: float = 0.9,
        name: str | None = None,
        ax: Any = None,
        max_rows: int = 200,
        interval_kwargs: dict[str, Any] | None = None,
        line_kwargs: dict[str, Any] | None = None,
        inside_kwargs: dict[str, Any] | None = None,
        outside_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the intervals of a fitted regressor.

        Parameters
        ----------
        estimator : estimator, Pipeline or search
            A fitted regressor with ``predict_interval``; a Pipeline that ends in it, a search whose
            ``best_estimator_`` is one of these, or a TransformedTargetRegressor around it.

        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            Rows, best ones that were not trained on.

        y : array-like of shape (n_samples,), default=None
            Their targets.

        feature : str or int, default=None
            The column of `X` to draw along, by name or number; observed against predicted by
            default, which needs `y`.

        others : {"own", "typical"}, default="own"
            What the other columns hold along `feature`:

            - ``"own"``: what they hold in each row. Every row has its bar, and the bars hold
              targets as often as they promise. Of a single column a band is drawn instead;
            - ``"typical"``: the median of numbers, the most frequent level of categories. That
              gives a band for rows of one kind; the targets of `X` belong to others and are not
              drawn, only where their column lies.

        grid : int or array-like, default=100
            Of a band: how many values from the smallest to the largest of the column, or the
            values. Pass codes that stand for categories as values. Of categories all are taken.

        coverage : float, default=0.9
            The probability with which intervals are to hold a target.

        name : str, default=None
            What to call the predictions; the class name by default.

        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        max_rows : int, default=200
            The most rows that have bars drawn; they are spread evenly. Shares in the legend are of
            all rows.

        interval_kwargs, line_kwargs, inside_kwargs, outside_kwargs : dict, default=None
            Passed to :meth:`plot`.

        Returns
        -------
        PredictionIntervalDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If the estimator has no intervals, as classifiers have none; if there is no such column,
            more than one target; if `y` is needed or has another length, or `others` is given
            without a feature.
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        if others not in OTHERS:
            raise ValueError(f"others must be one of {OTHERS}, got {others!r}")
        inside = unwrap(estimator, "predict_interval", "predict_interval")
        data = {"coverage": coverage, "y_name": str(getattr(y, "name", None) or "Target")}
        data["name"] = type(inside.estimator).__name__ if name is None else name
        X, y, along = _to_draw(X, y, feature, others, grid)
        data |= along | _predicted(estimator, X, coverage)
        display = cls(y_true=y, **data)
        return display.plot(
            ax,
            max_rows=max_rows,
            interval_kwargs=interval_kwargs,
            line_kwargs=line_kwargs,
            inside_kwargs=inside_kwargs,
            outside_kwargs=outside_kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        intervals: ArrayLike,
        *,
        x: ArrayLike | None = None,
        x_name: str | None = None,
        coverage: float | None = None,
        name: str | None = None,
        ax: Any = None,
        max_rows: int = 200,
        interval_kwargs: dict[str, Any] | None = None,
        line_kwargs: dict[str, Any] | None = None,
        inside_kwargs: dict[str, Any] | None = None,
        outside_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw intervals, whatever they come from.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            The targets.

        y_pred : array-like of shape (n_samples,)
            The predictions.

        intervals : array-like of shape (n_samples, 2)
            Their lower and upper bounds.

        x : array-like of shape (n_samples,), default=None
            Value of a column in each row, to draw along; observed against predicted by default.

        x_name : str, default=None
            What the column is called.

        coverage : float, default=None
            The probability with which intervals are to hold a target, for the legend.

        name : str, default=None
            What to call the predictions.

        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        max_rows : int, default=200
            The most rows that have bars drawn; they are spread evenly. Shares in the legend are of
            all rows.

        interval_kwargs, line_kwargs, inside_kwargs, outside_kwargs : dict, default=None
            Passed to :meth:`plot`.

        Returns
        -------
        PredictionIntervalDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If lengths differ.
        """
        check_matplotlib(f"{cls.__name__}.from_predictions")
        data = {"x": x, "x_name": x_name, "coverage": coverage, "name": name}
        data["y_name"] = str(getattr(y_true, "name", None) or "Target")
        display = cls(y_true=y_true, y_pred=y_pred, intervals=intervals, **data)
        return display.plot(
            ax,
            max_rows=max_rows,
            interval_kwargs=interval_kwargs,
            line_kwargs=line_kwargs,
            inside_kwargs=inside_kwargs,
            outside_kwargs=outside_kwargs,
        )

    def plot(
        self,
        ax: Any = None,
        *,
        max_rows: int = 200,
        interval_kwargs: dict[str, Any] | None = None,
        line_kwargs: dict[str, Any] | None = None,
        inside_kwargs: dict[str, Any] | None = None,
        outside_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw predictions, intervals and targets.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        max_rows : int, default=200
            The most rows that have bars drawn; they are spread evenly. Shares in the legend are of
            all rows.

        interval_kwargs : dict, default=None
            Passed to ``Axes.vlines`` for bars, to ``Axes.fill_between`` for a band.

        line_kwargs : dict, default=None
            Passed to ``Axes.plot`` for predictions.

        inside_kwargs, outside_kwargs : dict, default=None
            Passed to ``Axes.plot`` for targets.

        Returns
        -------
        PredictionIntervalDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If lengths differ, there is neither `x` nor `y_true`, or `max_rows` is no whole number
            of at least 1.
        """
        check_matplotlib(f"{type(self).__name__}.plot")
        check_number(max_rows, "max_rows")
        y_pred = check_predictions(self.y_pred)
        bounds = check_bounds(self.intervals, y_pred)
        y_true = None if self.y_true is None else check_targets(self.y_true, "y_true")
        x, x_true = self._checked_column(y_pred, y_true)
        self.ax_ = new_axes(type(self).__name__) if ax is None else ax
        self.figure_ = self.ax_.figure
        styles = {"intervals": interval_kwargs, "line": line_kwargs}
        styles |= {"inside": inside_kwargs, "outside": outside_kwargs}
        artists = Artists(self.ax_, self._labels(), styles)
        if x is None:
            artists.draw_rows(y_pred, y_pred, bounds, y_true, max_rows, is_diagonal=True)
        else:
            self._draw_along(artists, x, x_true, y_pred, bounds, y_true, max_rows)
        self.intervals_, self.line_, self.rug_ = artists.intervals, artists.line, artists.rug
        self.inside_, self.outside_ = artists.inside, artists.outside
        self.ax_.set(xlabel=self._label_of_x(y_true), ylabel=self.y_name)
        legend_above(self.ax_, *self.ax_.get_legend_handles_labels(), inside="best")
        return self

    def _draw_along(self, artists, x, x_true, y_pred, bounds, y_true, max_rows):
        scale = Scale(x) if x_true is None else Scale(x, x_true)
        if x_true is None:
            at = scale.places(x, order=y_pred)
            artists.draw_rows(at, y_pred, bounds, y_true, max_rows, is_diagonal=False)
        else:
            draw = artists.draw_categories if scale.is_category else artists.draw_band
            draw(scale.places(x), y_pred, bounds)
            if y_true is not None:
                order = np.arange(len(y_true))
                artists.draw_points(scale.places(x_true, order), y_true)
            elif not scale.is_category:
                artists.draw_rug(scale.places(x_true))
        scale.set_ticks(self.ax_)

    def _label_of_x(self, y_true):
        if self.x is None:
            return f"{self.y_name}, predicted"
        is_typical = self.x_true is not None and y_true is None
        return (self.x_name or "") + " (other columns: typical values)" * is_typical

    def _labels(self):
        level = "" if self.coverage is None else f"{100 * self.coverage:g} % "
        return {"intervals": f"{level}interval", "line": self.name}

    def _checked_column(self, y_pred, y_true):
        """`x` and `x_true`; ValueError where lengths differ, or nothing can be drawn."""
        x, x_true = (None if v is None else np.asarray(v) for v in (self.x, self.x_true))
        if x is None and y_true is None:
            raise ValueError("y_true must be given, or x: there is nothing to draw against")
        if x is not None and x.shape != y_pred.shape:
            raise ValueError(f"x must have shape {y_pred.shape}, as y_pred, got {x.shape}")
        expected = y_pred.shape if x_true is None else x_true.shape
        if y_true is not None and y_true.shape != expected:
            raise ValueError(f"y must have shape {expected}, one for each row, got {y_true.shape}")
        return x, x_true


def _to_draw(X, y, feature, others, grid):
    """Rows to predict, targets among them and what a display is told of the column to draw along.

    A band is drawn of rows that differ in that column alone.
    """
    if feature is None:
        if y is None:
            raise ValueError("y must be given, or feature: observed against predicted has y")
        if others != "own":
            raise ValueError(f"others={others!r} needs a feature to draw along, got None")
        return X, y, {}
    table = Table(X, feature)
    is_alone = others == "own" and table.X.shape[1] == 1
    if not is_alone and others == "own":
        return table.X, y, {"x_name": table.name, "x": table.values}
    x = table.steps(grid)
    along = {"x_name": table.name, "x": x, "x_true": table.values}
    return table.swept(x), y if is_alone else None, along


def _predicted(estimator, X, coverage):
    """Predictions and intervals for rows, as the constructor takes them."""
    inside = unwrap(estimator, "predict_interval", "predict_interval", X)
    y_pred = check_predictions(estimator.predict(X))
    bounds = check_bounds(inside.estimator.predict_interval(inside.X, coverage=coverage), y_pred)
    return {"y_pred": y_pred, "intervals": inside.in_units_of_the_caller(bounds)}
