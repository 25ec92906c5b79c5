"""Pictures of what happened during training."""

import numpy as np
from sklearn.utils.validation import check_is_fitted


class LossCurveDisplay:
    """Loss, and validation score where there is one, against the iteration.

    Use :meth:`from_estimator` to make one from a fitted estimator.

    Parameters
    ----------
    loss_curves : list of array-like of shape (n_iter,)
        The loss after each iteration, in the standardised units of ``loss_curve_``.

    names : list of str, default=None
        What to call each curve in the legend; without it there is no legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What was drawn on.

    figure_ : matplotlib Figure
        The figure it belongs to.

    lines_ : list of matplotlib Artist
        One line for each curve.

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

    def __init__(self, *, loss_curves, names=None):
        self.loss_curves = loss_curves
        self.names = names

    @classmethod
    def from_estimator(cls, estimator, *, name=None, ax=None, log_scale=True, curve_kwargs=None):
        """Draw the loss curve of a fitted estimator.

        Parameters
        ----------
        estimator : estimator or Pipeline
            Anything fitted with a ``loss_curve_``, or a Pipeline that ends in it.

        name : str, default=None
            What to call the curve; the class name by default.

        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        log_scale : bool, default=True
            Whether the loss has a logarithmic axis.

        curve_kwargs : dict, default=None
            Passed to ``Axes.plot``.

        Returns
        -------
        LossCurveDisplay
            The display, drawn.
        """
        check_is_fitted(estimator)
        estimator = estimator[-1] if hasattr(estimator, "steps") else estimator
        name = type(estimator).__name__ if name is None else name
        display = cls(loss_curves=[estimator.loss_curve_], names=[name])
        return display.plot(ax, log_scale=log_scale, curve_kwargs=curve_kwargs)

    def plot(self, ax=None, *, log_scale=True, curve_kwargs=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        log_scale : bool, default=True
            Whether the loss has a logarithmic axis.

        curve_kwargs : dict, default=None
            Passed to ``Axes.plot``.

        Returns
        -------
        LossCurveDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        if ax is None:
            ax = _new_axes(type(self).__name__)
        names = self.names or [None] * len(self.loss_curves)
        self.lines_ = []
        for curve, name in zip(self.loss_curves, names, strict=True):
            iterations = np.arange(1, len(curve) + 1)
            self.lines_ += ax.plot(iterations, curve, **{"label": name, **(curve_kwargs or {})})
        ax.set(xlabel="Iteration", ylabel="Loss", yscale="log" if log_scale else "linear")
        if self.names:
            ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _new_axes(name):
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{name}.plot requires matplotlib. You can install it with `pip install matplotlib`"
        ) from error
    return plt.subplots()[1]
