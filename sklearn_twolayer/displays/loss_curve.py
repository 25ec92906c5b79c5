"""How the loss fell in training."""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator

from .axes import COLOURS, check_matplotlib, legend_above, new_axes, style
from .unwrapping import unwrap

WIDE_RANGE = 10
"""From a fall by this factor on, a logarithmic axis shows more of it."""

VALIDATION_LABEL = "Validation score (dashed)"


class LossCurveDisplay:
    """Loss, and validation score where there is one, against the iteration.

    Use :meth:`from_estimator` to make one from a fitted estimator. Losses are drawn as solid lines;
    validation scores as dashed ones in the same colour, on an axis of their own on the right; a
    dotted line stands at the iteration whose weights were kept.

    Parameters
    ----------
    loss_curves : list of array-like of shape (n_iter,)
        The loss after each iteration, in the standardised units of ``loss_curve_``.

    names : list of str, default=None
        What to call each curve in the legend; without it there is no legend.

    validation_scores : list of array-like of shape (n_iter,) or None, default=None
        The validation score after each iteration for each of the curves, None where there is none.

    best_iters : list of int or None, default=None
        The iteration that was kept for each of the curves, None where it is not to be marked.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What was drawn on.

    validation_ax_ : matplotlib Axes or None
        The axis of the validation scores, which shares the iterations with ``ax_``.

    figure_ : matplotlib Figure
        The figure they belong to.

    lines_ : list of matplotlib Artist
        The line of the loss for each curve.

    validation_lines_ : list of matplotlib Artist or None
        The line of the validation score for each curve, None where there is none.

    best_iter_lines_ : list of matplotlib Artist or None
        The line at the kept iteration for each curve, None where it is not marked.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_twolayer import LossCurveDisplay, TwoLayerClassifier
    >>> classifier = TwoLayerClassifier(random_state=0).fit(*load_iris(return_X_y=True))
    >>> display = LossCurveDisplay.from_estimator(classifier)
    >>> display.ax_.get_ylabel()
    'Loss'
    """

    def __init__(self, *, loss_curves, names=None, validation_scores=None, best_iters=None):
        self.loss_curves = loss_curves
        self.names = names
        self.validation_scores = validation_scores
        self.best_iters = best_iters

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        *,
        name: str | None = None,
        ax: Any = None,
        log_scale: bool | str = "auto",
        curve_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the loss curve of a fitted estimator.

        Parameters
        ----------
        estimator : estimator, Pipeline or search
            Anything fitted with a ``loss_curve_``; a Pipeline that ends in it, or a search, such as
            ``GridSearchCV``, whose ``best_estimator_`` is one of these.

        name : str, default=None
            What to call the curve; the class name by default. Of networks that are averaged the
            curve is that of the leading one, and the default says so.

        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        log_scale : bool or "auto", default="auto"
            Whether the loss has a logarithmic axis. ``"auto"`` takes one where all losses in the
            picture are above zero and the largest is at least ten times the smallest.

        curve_kwargs : dict, default=None
            Passed to ``Axes.plot`` for the loss.

        Returns
        -------
        LossCurveDisplay
            The display, drawn.
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        network = unwrap(estimator, "loss_curve_", "a loss_curve_").estimator
        display = cls(
            loss_curves=[network.loss_curve_],
            names=[_name_of(network) if name is None else name],
            validation_scores=[getattr(network, "validation_scores_", None)],
            best_iters=[getattr(network, "best_iter_", None)],
        )
        return display.plot(ax, log_scale=log_scale, curve_kwargs=curve_kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        log_scale: bool | str = "auto",
        curve_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        log_scale : bool or "auto", default="auto"
            Whether the loss has a logarithmic axis. ``"auto"`` takes one where all losses in the
            picture are above zero and the largest is at least ten times the smallest.

        curve_kwargs : dict, default=None
            Passed to ``Axes.plot`` for the losses.

        Returns
        -------
        LossCurveDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        ValueError
            If ``log_scale=True`` and a loss is not above zero.
        """
        ax = new_axes(type(self).__name__) if ax is None else ax
        losses = [*self.loss_curves, *_losses_drawn(ax)]
        scale = _scale(np.concatenate([*map(np.asarray, losses), []]), log_scale)
        self.ax_, self.figure_ = ax, ax.figure
        self._draw_losses(curve_kwargs)
        self._draw_validation_scores()
        self._mark_best_iters()
        ax.set(xlabel="Iteration", ylabel="Loss", yscale=scale)
        _set_ticks(ax)
        if self.names:
            _set_legend(ax, self.validation_ax_)
        return self

    def _draw_losses(self, curve_kwargs):
        from matplotlib.lines import Line2D

        n_before = len(_losses_drawn(self.ax_))
        self.lines_ = []
        for number, curve in enumerate(self.loss_curves):
            name = self.names[number] if self.names else None
            colour = COLOURS[(n_before + number) % len(COLOURS)]
            options = {"color": colour, "marker": "o" if len(curve) == 1 else None, "label": name}
            options = style(options, curve_kwargs, Line2D)
            (line,) = self.ax_.plot(np.arange(1, len(curve) + 1), curve, **options)
            self.lines_.append(line)

    def _draw_validation_scores(self):
        scores = self._for_each_curve("validation_scores")
        self.validation_ax_ = _validation_axes(self.ax_, any(each is not None for each in scores))
        self.validation_lines_ = []
        for line, each in zip(self.lines_, scores, strict=True):
            drawn = None
            if each is not None:
                style = {"color": line.get_color(), "linestyle": "--"}
                style |= {"marker": line.get_marker(), "label": self._label(line, "validation")}
                (drawn,) = self.validation_ax_.plot(np.arange(1, len(each) + 1), each, **style)
            self.validation_lines_.append(drawn)

    def _mark_best_iters(self):
        best_iters = self._for_each_curve("best_iters")
        self.best_iter_lines_ = []
        for line, best_iter in zip(self.lines_, best_iters, strict=True):
            drawn = None
            if best_iter is not None:
                style = {"color": line.get_color(), "linestyle": ":", "zorder": 1}
                label = self._label(line, f"kept: iteration {best_iter}")
                drawn = self.ax_.axvline(best_iter, label=label, **style)
            self.best_iter_lines_.append(drawn)

    def _for_each_curve(self, name):
        values = getattr(self, name)
        return [None] * len(self.loss_curves) if values is None else values

    def _label(self, line, what):
        return f"{line.get_label()}, {what}" if self.names else None


def _name_of(network):
    n_members = getattr(network, "n_members_", 1)
    leading = f" (leading one of {n_members} networks)" if n_members > 1 else ""
    return type(network).__name__ + leading


def _losses_drawn(ax):
    """The losses of earlier displays on the same axes; marks of an iteration are none."""
    return [line.get_ydata() for line in ax.lines if line.get_transform() == ax.transData]


def _validation_axes(ax, is_needed):
    """The axis on the right: that of an earlier display, a new one, or None."""
    for other in ax.figure.axes:
        is_twin = other.get_shared_x_axes().joined(ax, other)
        if is_twin and other.get_ylabel() == VALIDATION_LABEL:
            return other
    if not is_needed:
        return None
    twin = ax.twinx()
    twin.set_ylabel(VALIDATION_LABEL)
    return twin


def _scale(losses, log_scale):
    lowest, highest = losses.min(initial=np.inf), losses.max(initial=-np.inf)
    if log_scale == "auto":
        return "log" if 0 < WIDE_RANGE * lowest <= highest else "linear"
    if log_scale and lowest <= 0:
        raise ValueError(
            f"log_scale=True takes losses above zero, got {lowest:.3g}: "
            "pass log_scale='auto' or False"
        )
    return "log" if log_scale else "linear"


def _set_ticks(ax):
    """Whole iterations; on a logarithmic axis, numbers between the powers of ten where few."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if ax.get_yscale() == "log":
        low, high = ax.get_ylim()
        if high < 1000 * low:
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            ax.yaxis.set_minor_formatter(NullFormatter())


def _set_legend(ax, validation_ax):
    """One legend for both axes, above the lines of either."""
    if validation_ax is None:
        ax.legend()
        return
    handles, labels = (
        [*a, *b]
        for a, b in zip(
            ax.get_legend_handles_labels(), validation_ax.get_legend_handles_labels(), strict=True
        )
    )
    # the loss falls and the score rises, so that hardly any place inside is free
    legend_above(validation_ax, handles, labels, inside="center right")
    if ax.get_legend() is not None:
        ax.get_legend().remove()
