"""The estimators for rows in Dask: the plain ones, with a cluster for parameters of their own."""

import inspect
from typing import Self

from .._classifier import TwoLayerClassifier
from .._regressor import TwoLayerRegressor
from .fitting import FittingMixin
from .lazy import Rows
from .prediction import LabelPredictionMixin, QuantityPredictionMixin


def takes_all_of(parent):
    """A constructor with ``**parameters`` has all of the parent's: scikit-learn reads them off."""

    def decorate(init):
        theirs, ours = inspect.signature(parent.__init__), inspect.signature(init)
        own = [
            parameter
            for name, parameter in ours.parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY and name not in theirs.parameters
        ]
        init.__signature__ = theirs.replace(parameters=[*theirs.parameters.values(), *own])
        return init

    return decorate


class DaskTwoLayerClassifier(LabelPredictionMixin, FittingMixin, TwoLayerClassifier):
    """A neural network with one hidden layer that predicts labels of rows in Dask.

    It is :class:`sklearn_twolayer.TwoLayerClassifier` for a table that outgrows one machine: with
    the same parameters it minimises the same objective over rows that stay in their partitions, on
    the workers of a cluster, and has the same attributes in the end.

    Parameters
    ----------
    hidden_size : int or "auto", default="auto"
        Number of hidden units of each network.

    client : distributed.Client, default=None
        The cluster to fit on; None takes the client that was made last. A client is not part of
        pickles, and clones share it.

    checkpoint : path-like, default=None
        A file in which ``fit`` takes note of how far it is, and from which it goes on where an
        earlier call of it was interrupted; None takes no notes.

    **parameters
        All others of :class:`sklearn_twolayer.TwoLayerClassifier`, with the same defaults.

    See Also
    --------
    sklearn_twolayer.TwoLayerClassifier : For rows in memory; all parameters and attributes are
        explained there.
    DaskTwoLayerRegressor : The same for quantities.

    Notes
    -----
    ``predict``, ``predict_proba``, ``predict_log_proba``, ``decision_function``,
    ``input_gradients`` and ``hidden_features`` are lazy: of a Dask collection they return a dask
    array, chunked along rows as the collection is, and compute nothing; of rows in memory they are
    those of the plain estimator. ``score`` computes. There is no ``partial_fit``;
    ``gradient_importances`` takes rows in memory. :meth:`to_local` is the plain estimator.

    Examples
    --------
    >>> from dask import array as da
    >>> from distributed import Client
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_twolayer.distributed import DaskTwoLayerClassifier
    >>> client = Client(processes=False, dashboard_address=":0")
    >>> X, y = load_iris(return_X_y=True)
    >>> X, y = da.from_array(X, chunks=(50, 4)), da.from_array(y, chunks=50)
    >>> classifier = DaskTwoLayerClassifier(5, random_state=0).fit(X, y)
    >>> classifier.predict_proba(X)
    dask.array<predict_proba..., shape=(150, 3), dtype=float64, chunksize=(50, 3), ...>
    >>> round(classifier.score(X, y), 1)
    1.0
    >>> classifier.to_local()
    TwoLayerClassifier(hidden_size=5, random_state=0)
    >>> client.close()
    """

    @takes_all_of(TwoLayerClassifier)
    def __init__(self, hidden_size="auto", *, client=None, checkpoint=None, **parameters):
        super().__init__(hidden_size, **parameters)
        self.client = client
        self.checkpoint = checkpoint

    def fit(
        self,
        X: Rows,
        y: Rows,
        sample_weight: Rows | None = None,
        *,
        X_val: Rows | None = None,
        y_val: Rows | None = None,
        sample_weight_val: Rows | None = None,
    ) -> Self:
        """Train on rows X with labels y, where they are.

        Parameters
        ----------
        X : dask array or DataFrame of shape (n_samples, n_features)
            Training rows, in any units; sizes of chunks may be unknown. NaN and the like are
            missing. float32 stays float32, all else becomes float64.

        y : dask array, Series or DataFrame of shape (n_samples,) or (n_samples, n_labels)
            Labels, in the partitions of X; 0 and 1 in each column for multilabel y.

        sample_weight : dask array or Series of shape (n_samples,), default=None
            Weights of the rows, at least 0; k counts as k copies, 0 as absence.

        X_val, y_val : the same, default=None
            The caller's own validation rows.

        sample_weight_val : the same, default=None
            Weights of the validation rows.

        Returns
        -------
        self : DaskTwoLayerClassifier
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If data or a parameter are not what they may be; the estimator is then as before.

        Warns
        -----
        ConvergenceWarning
            If the solver stopped before it converged, or diverged.
        """
        held_out = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        return super().fit(X, y, sample_weight, **held_out)


class DaskTwoLayerRegressor(QuantityPredictionMixin, FittingMixin, TwoLayerRegressor):
    """A neural network with one hidden layer that predicts quantities of rows in Dask.

    It is :class:`sklearn_twolayer.TwoLayerRegressor` for a table that outgrows one machine: with
    the same parameters it minimises the same objective over rows that stay in their partitions, on
    the workers of a cluster, and has the same attributes in the end.

    Parameters
    ----------
    hidden_size : int or "auto", default="auto"
        Number of hidden units of each network.

    client : distributed.Client, default=None
        The cluster to fit on; None takes the client that was made last. A client is not part of
        pickles, and clones share it.

    checkpoint : path-like, default=None
        A file in which ``fit`` takes note of how far it is, and from which it goes on where an
        earlier call of it was interrupted; None takes no notes.

    **parameters
        All others of :class:`sklearn_twolayer.TwoLayerRegressor`, with the same defaults.

    See Also
    --------
    sklearn_twolayer.TwoLayerRegressor : For rows in memory; all parameters and attributes are
        explained there.
    DaskTwoLayerClassifier : The same for labels.

    Notes
    -----
    ``predict``, ``predict_interval``, ``predict_quantiles``, ``log_predictive_density``,
    ``input_gradients`` and ``hidden_features`` are lazy: of a Dask collection they return a dask
    array (``predict(X, return_std=True)`` two of them), chunked along rows as the collection is,
    and compute nothing; of rows in memory they are those of the plain estimator. ``score``
    computes. There is no ``partial_fit``; ``gradient_importances`` takes rows in memory.
    :meth:`to_local` is the plain estimator.

    Examples
    --------
    >>> from dask import array as da
    >>> from distributed import Client
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_twolayer.distributed import DaskTwoLayerRegressor
    >>> client = Client(processes=False, dashboard_address=":0")
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X, y = da.from_array(X, chunks=(100, 10)), da.from_array(y, chunks=100)
    >>> regressor = DaskTwoLayerRegressor(5, random_state=0).fit(X, y)
    >>> prediction, deviation = regressor.predict(X, return_std=True)
    >>> prediction
    dask.array<..., shape=(442,), dtype=float64, chunksize=(100,), ...>
    >>> round(regressor.score(X, y), 1)
    0.6
    >>> regressor.to_local()
    TwoLayerRegressor(hidden_size=5, random_state=0)
    >>> client.close()
    """

    @takes_all_of(TwoLayerRegressor)
    def __init__(self, hidden_size="auto", *, client=None, checkpoint=None, **parameters):
        super().__init__(hidden_size, **parameters)
        self.client = client
        self.checkpoint = checkpoint

    def fit(
        self,
        X: Rows,
        y: Rows,
        sample_weight: Rows | None = None,
        *,
        X_val: Rows | None = None,
        y_val: Rows | None = None,
        sample_weight_val: Rows | None = None,
    ) -> Self:
        """Train on rows X with quantities y, where they are.

        Parameters
        ----------
        X : dask array or DataFrame of shape (n_samples, n_features)
            Training rows, in any units; sizes of chunks may be unknown. NaN and the like are
            missing. float32 stays float32, all else becomes float64.

        y : dask array, Series or DataFrame of shape (n_samples,) or (n_samples, n_targets)
            What to predict, in any units, in the partitions of X.

        sample_weight : dask array or Series of shape (n_samples,), default=None
            Weights of the rows, at least 0; k counts as k copies, 0 as absence.

        X_val, y_val : the same, default=None
            The caller's own validation rows.

        sample_weight_val : the same, default=None
            Weights of the validation rows.

        Returns
        -------
        self : DaskTwoLayerRegressor
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If data or a parameter are not what they may be; the estimator is then as before.

        Warns
        -----
        ConvergenceWarning
            If the solver stopped before it converged, or diverged.
        """
        held_out = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        return super().fit(X, y, sample_weight, **held_out)
