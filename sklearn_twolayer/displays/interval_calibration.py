"""How often intervals hold what they promise to hold."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from .axes import COLOURS, MARKERS, check_matplotlib, legend_above, new_axes, style
from .checking import check_bounds, check_targets, check_weights
from .unwrapping import unwrap

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Coverages that are asked for."""

PERFECT_LABEL = "Perfectly calibrated"


class IntervalCalibrationDisplay:
    """The part of new targets that intervals held, against the part that they promised to hold.

    On the diagonal both agree. Below it intervals are too narrow (too sure), above it too wide.
    Use :meth:`from_estimator` or :meth:`from_predictions` to make one, with rows that had no part
    in training: of training rows a network holds more than of new ones.

    Parameters
    ----------
    nominal : array-like of shape (n_levels,)
        The coverages asked for, in (0, 1).

    held : array-like of shape (n_levels,)
        The (weighted) share of targets within each.

    n_samples : float, default=None
        How many rows told the shares, of weighted ones how many equal ones would tell as much. With
        it, a band around the diagonal shows how far chance alone may take them.

    name : str, default=None
        What to call the curve in the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What was drawn on.

    figure_ : matplotlib Figure
        The figure it belongs to.

    line_ : matplotlib Artist
        The curve.

    diagonal_ : matplotlib Artist or None
        The diagonal; None where an earlier display had drawn it.

    chance_ : matplotlib Artist or None
        The band around it; None without `n_samples`, or where an earlier display had drawn it.

    See Also
    --------
    sklearn.calibration.CalibrationDisplay : The same for the probabilities of two classes.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import make_friedman1
    >>> from sklearn_twolayer import IntervalCalibrationDisplay, TwoLayerRegressor
    >>> X, y = make_friedman1(1200, noise=1.0, random_state=0)
    >>> regressor = TwoLayerRegressor(10, random_state=0).fit(X[:400], y[:400])
    >>> display = IntervalCalibrationDisplay.from_estimator(regressor, X[400:], y[400:])
    >>> bool(abs(display.held - display.nominal).max() < 0.06)
    True
    """

    def __init__(self, *, nominal, held, n_samples=None, name=None):
        self.nominal = nominal
        self.held = held
        self.n_samples = n_samples
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: Any,
        y: ArrayLike,
        *,
        levels: ArrayLike = LEVELS,
        sample_weight: ArrayLike | None = None,
        name: str | None = None,
        ax: Any = None,
        line_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the calibration of ``predict_interval`` on rows that were not trained on.

        Parameters
        ----------
        estimator : estimator, Pipeline or search
            A fitted regressor with ``predict_interval``; a Pipeline that ends in it, a search whose
            ``best_estimator_`` is one of these, or a TransformedTargetRegressor around it.

        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            Rows that were not trained on.

        y : array-like of shape (n_samples,)
            Their targets.

        levels : array-like of shape (n_levels,), default=(0.1, 0.2, ..., 0.9, 0.95)
            The coverages to ask for, in (0, 1); each takes one call of ``predict_interval``.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the shares.

        name : str, default=None
            What to call the curve; the class name by default.

        ax : matplotlib Axes, default=None
            Where to draw, for example the ``ax_`` of another such display; a new figure by default.

        line_kwargs : dict, default=None
            Passed to ``Axes.plot`` for the curve.

        Returns
        -------
        IntervalCalibrationDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If the estimator has no intervals, as classifiers have none; if there is more than one
            target, or lengths differ.
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        inside = unwrap(estimator, "predict_interval", "predict_interval", X)
        levels = _check_levels(levels)
        y = check_targets(y, "y")
        intervals = [
            inside.in_units_of_the_caller(
                check_bounds(inside.estimator.predict_interval(inside.X, coverage=float(level)), y)
            )
            for level in levels
        ]
        options = {"sample_weight": sample_weight, "ax": ax, "line_kwargs": line_kwargs}
        name = type(inside.estimator).__name__ if name is None else name
        return cls.from_predictions(y, intervals, levels, name=name, **options)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        intervals: ArrayLike,
        levels: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        name: str | None = None,
        ax: Any = None,
        line_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the calibration of intervals, whatever they come from.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            The targets.

        intervals : array-like of shape (n_levels, n_samples, 2)
            Lower and upper bounds, of each level one array as ``predict_interval`` returns it.

        levels : array-like of shape (n_levels,)
            Which part of the targets each promises to hold, in (0, 1).

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the shares.

        name : str, default=None
            What to call the curve in the legend.

        ax : matplotlib Axes, default=None
            Where to draw, for example the ``ax_`` of another such display; a new figure by default.

        line_kwargs : dict, default=None
            Passed to ``Axes.plot`` for the curve.

        Returns
        -------
        IntervalCalibrationDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If lengths differ, or levels are not in (0, 1).

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("Agg")
        >>> from sklearn_twolayer import IntervalCalibrationDisplay
        >>> narrow, wide = [[-1, 1]] * 4, [[-3, 3]] * 4
        >>> y = [-2, 0, 0.5, 2]
        >>> IntervalCalibrationDisplay.from_predictions(y, [narrow, wide], [0.5, 0.9]).held
        array([0.5, 1. ])
        """
        check_matplotlib(f"{cls.__name__}.from_predictions")
        y, levels = check_targets(y_true, "y_true"), _check_levels(levels)
        if len(intervals) != len(levels):
            raise ValueError(f"intervals must be {len(levels)}, as levels, got {len(intervals)}")
        weights = check_weights(sample_weight, len(y))
        bounds = np.stack([check_bounds(each, y) for each in intervals])
        is_held = (bounds[..., 0] <= y) & (y <= bounds[..., 1])
        held = np.average(is_held, axis=1, weights=weights)
        n_samples = float(weights.sum() ** 2 / np.square(weights).sum())
        display = cls(nominal=levels, held=held, n_samples=n_samples, name=name)
        return display.plot(ax, line_kwargs=line_kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        chance: bool = True,
        line_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the curve, and the diagonal where there is none.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw, for example the ``ax_`` of another such display; a new figure by default.

        name : str, default=None
            What to call the curve; that of the display by default.

        chance : bool, default=True
            Whether to draw the band in which 95 % of the shares would be by chance, each level on
            its own, if the intervals were perfect. Of displays on the same axes the first draws
            it.

        line_kwargs : dict, default=None
            Passed to ``Axes.plot`` for the curve.

        Returns
        -------
        IntervalCalibrationDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = new_axes(type(self).__name__) if ax is None else ax
        from matplotlib.lines import Line2D

        is_first = PERFECT_LABEL not in ax.get_legend_handles_labels()[1]
        self.diagonal_ = self._draw_diagonal(ax) if is_first else None
        self.chance_ = self._draw_chance(ax) if is_first and chance and self.n_samples else None
        number = sum(line.get_marker() in MARKERS for line in ax.lines)
        defaults = {"color": COLOURS[number % len(COLOURS)], "label": name or self.name}
        defaults |= {"marker": MARKERS[number % len(MARKERS)]}
        options = style(defaults, line_kwargs, Line2D)
        (self.line_,) = ax.plot(self.nominal, self.held, **options)
        ax.set(xlabel="Nominal coverage", ylabel="Share of targets held", xlim=(0, 1), ylim=(0, 1))
        ax.set_aspect("equal")
        legend_above(ax, *ax.get_legend_handles_labels(), inside="upper left")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_diagonal(self, ax):
        return ax.plot([0, 1], [0, 1], "k:", label=PERFECT_LABEL)[0]

    def _draw_chance(self, ax):
        levels = np.linspace(0, 1, 101)
        reach = 1.96 * np.sqrt(levels * (1 - levels) / self.n_samples)
        low, high = np.clip([levels - reach, levels + reach], 0, 1)
        label = f"by chance, 95 % ({self.n_samples:.0f} rows)"
        options = {"color": "black", "alpha": 0.12, "linewidth": 0, "label": label}
        return ax.fill_between(levels, low, high, **options)


def _check_levels(levels):
    levels = np.asarray(levels, dtype=np.float64)
    if levels.ndim != 1 or not len(levels) or not np.all((levels > 0) & (levels < 1)):
        raise ValueError(f"levels must be a 1-d array of numbers in (0, 1), got {levels.tolist()}")
    return levels
