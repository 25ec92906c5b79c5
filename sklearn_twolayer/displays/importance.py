"""Which columns move the prediction."""

from textwrap import fill
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from .axes import COLOURS, check_matplotlib, new_axes, style
from .checking import check_number
from .unwrapping import unwrap

HEIGHT_OF_LINE, HEIGHT_OF_REST, LEAST_HEIGHT = 0.2, 1.0, 2.5
"""Of a figure, in inches."""

LETTERS_ACROSS = 36
"""Longer names take several lines."""

KINDS = ("gradients", "prior")

MOVEMENT = "Share in the movement of the prediction"


class ImportanceDisplay:
    """A bar for each column, the longest on top.

    Use :meth:`from_estimator` to make one from a fitted estimator. The constructor takes any
    importances, those of :func:`~sklearn.inspection.permutation_importance` among them.

    Parameters
    ----------
    importances : array-like of shape (n_features,)
        The length of each bar.

    feature_names : array-like of shape (n_features,), default=None
        What to call the columns; x0, x1 and so on by default.

    importance_name : str, default="Importance"
        What the numbers are; the label of their axis.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What was drawn on.

    figure_ : matplotlib Figure
        The figure it belongs to.

    bars_ : matplotlib BarContainer
        The bars, from the shortest to the longest of those that are shown.

    See Also
    --------
    sklearn.inspection.permutation_importance : What a score loses without a column.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_twolayer import ImportanceDisplay, TwoLayerRegressor
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> regressor = TwoLayerRegressor(5, random_state=0).fit(X, y)
    >>> display = ImportanceDisplay.from_estimator(regressor, X, max_features=3)
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['sex', 'bmi', 's5']
    """

    def __init__(self, *, importances, feature_names=None, importance_name="Importance"):
        self.importances = importances
        self.feature_names = feature_names
        self.importance_name = importance_name

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: Any = None,
        *,
        kind: str = "gradients",
        sample_weight: ArrayLike | None = None,
        max_features: int = 20,
        ax: Any = None,
        bar_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the importances of a fitted estimator.

        Parameters
        ----------
        estimator : estimator, Pipeline or search
            A fitted :class:`TwoLayerRegressor` or :class:`TwoLayerClassifier`; a Pipeline that ends
            in it, or a search whose ``best_estimator_`` is one of these. Without `X` anything with
            ``feature_importances_`` will do.

        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features), default=None
            Rows to average the slopes over; they may be those of training. A pipeline transforms
            them first, and the bars are for the columns that reach the network. Without rows
            ``feature_importances_`` are drawn, which are those of rows of training.

        kind : {"gradients", "prior"}, default="gradients"
            - ``"gradients"``: ``gradient_importances(X)``, the share of each column in how far the
              outputs move when it does;
            - ``"prior"``: ``alpha_ ** -0.5``, the deviation that the evidence left to the weights
              of each column into the hidden layer, in standardised units, and as shares of their
              sum. See Notes for what this does not tell.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows of `X`, whose slopes are averaged.

        max_features : int, default=20
            The most bars; the longest are drawn.

        ax : matplotlib Axes, default=None
            Where to draw; a new figure, as high as the bars need, by default.

        bar_kwargs : dict, default=None
            Passed to ``Axes.barh``.

        Returns
        -------
        ImportanceDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If the estimator, or `kind`, is none of these, the evidence chose no precisions, or
            there are weights but no rows to average over.

        Notes
        -----
        ``"prior"`` is how little each column is held back, the automatic relevance determination of
        MacKay and Neal, and no share of the prediction:

        - it tells how much a column may bend or interact. What is a straight line goes past the
          hidden layer (``skip_``), or takes small weights into it, where units are nearly linear,
          and large ones out of it: a strong straight line has a short bar;
        - no bar is zero: a column that is not needed has a short one, too. What `group_lasso` has
          dropped has none;
        - it is that of the leading network alone, where several are averaged;
        - a category, or a number with knots, has one precision for all columns that it is encoded
          by.
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {KINDS}, got {kind!r}")
        if sample_weight is not None and (X is None or kind != "gradients"):
            raise ValueError(
                "sample_weight must come with X and kind='gradients': without rows nothing is "
                "averaged"
            )
        found = _importances(estimator, X, kind, sample_weight)
        return cls(**found).plot(ax, max_features=max_features, bar_kwargs=bar_kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        max_features: int = 20,
        bar_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure, as high as the bars need, by default.

        max_features : int, default=20
            The most bars; the longest are drawn.

        bar_kwargs : dict, default=None
            Passed to ``Axes.barh``.

        Returns
        -------
        ImportanceDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there are other names than importances, or `max_features` is no whole number of at
            least 1.
        """
        check_matplotlib(f"{type(self).__name__}.plot")
        from matplotlib.patches import Rectangle

        importances, names = self._checked()
        check_number(max_features, "max_features")
        # of equals the first is on top
        shown = np.argsort(-importances, kind="stable")[:max_features][::-1]
        labels = [fill(str(names[j]), LETTERS_ACROSS) for j in shown]
        if ax is None:
            n_lines = max(label.count("\n") + 1.4 for label in labels)
            height = max(LEAST_HEIGHT, HEIGHT_OF_REST + HEIGHT_OF_LINE * n_lines * len(labels))
            ax = new_axes(type(self).__name__, figsize=(6.4, height))
        options = style({"color": COLOURS[0]}, bar_kwargs, Rectangle)
        self.bars_ = ax.barh(np.arange(len(shown)), importances[shown], **options)
        ax.set_yticks(np.arange(len(shown)), labels)
        hidden = f"Columns: the first {len(shown)} of {len(importances)}"
        ax.set_ylabel(hidden if len(shown) < len(importances) else "")
        ax.set(xlabel=self.importance_name, ylim=(-0.6, len(shown) - 0.4))
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _checked(self):
        importances = np.asarray(self.importances, dtype=np.float64)
        names = self.feature_names
        names = [f"x{j}" for j in range(len(importances))] if names is None else list(names)
        if len(names) != len(importances):
            raise ValueError(
                f"feature_names must be {len(importances)}, one for each importance, "
                f"got {len(names)}"
            )
        return importances, names


def _importances(estimator, X, kind, sample_weight):
    """What the display shows, as its constructor takes it."""
    if kind == "prior":
        inside = unwrap(estimator, "alpha_", "an alpha_, as TwoLayerRegressor has")
        importances = _relevances(inside.estimator)
        what = "Share of the prior deviation: room to bend and interact"
    elif X is None:
        wanted = "feature_importances_, unless X is given"
        inside = unwrap(estimator, "feature_importances_", wanted)
        importances = inside.estimator.feature_importances_
        what = MOVEMENT if hasattr(inside.estimator, "gradient_importances") else "Importance"
    else:
        wanted = "gradient_importances, as TwoLayerRegressor has"
        inside = unwrap(estimator, "gradient_importances", wanted, X)
        importances = inside.estimator.gradient_importances(inside.X, sample_weight)
        what = MOVEMENT
    names = getattr(inside.estimator, "feature_names_in_", inside.column_names)
    return {"importances": importances, "feature_names": names, "importance_name": what}


def _relevances(network):
    """The prior's deviation of each column's weights, as shares of their sum."""
    alpha = np.asarray(network.alpha_)
    if alpha.ndim != 1:
        raise ValueError(
            "kind='prior' needs precisions that the evidence chose, as alpha='auto' does: "
            f"alpha_ is {network.alpha_!r}"
        )
    with np.errstate(divide="ignore"):
        deviation = alpha[: network.n_features_in_] ** -0.5 * network.features_used_
    return deviation / deviation.sum()
