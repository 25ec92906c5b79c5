"""Predictions that are lazy where rows are in a Dask collection, and plain where they are not.

Of a collection all methods return dask arrays, chunked along rows as it is, whose dtype and width
are known beforehand. Nothing is computed when they are called.
"""

from numpy.typing import ArrayLike

from .._validation import is_dask_collection
from . import scores
from .lazy import Array, Rows, lazily
from .local import LocalMixin


class PredictionMixin(LocalMixin):
    """What both estimators say of rows."""

    def _by_rows(self, method, X, **options):
        """What a method of the plain estimator says of X."""
        if not is_dask_collection(X):
            return method(X, **options)
        return lazily(self.to_local(), method.__name__, X, **options)

    def input_gradients(self, X: Rows) -> Array:
        """Slopes of the raw outputs at each row, as the plain estimator has them."""
        return self._by_rows(super().input_gradients, X)

    def hidden_features(self, X: Rows) -> Array:
        """Activations of the hidden units, as the plain estimator has them."""
        return self._by_rows(super().hidden_features, X)

    def score(self, X: Rows, y: Rows, sample_weight: Rows | None = None) -> float:
        """How good predictions are, as the plain estimator tells it; computed at once.

        Accuracy and R2 are sums over partitions. The score of another loss than
        ``"squared_error"`` takes all targets and predictions together, on one worker.

        Parameters
        ----------
        X : dask array or DataFrame of shape (n_samples, n_features), or rows in memory
            Rows in the units of those in training.

        y : dask array, Series or DataFrame, or targets in memory
            The true targets, as X is and in the same partitions.

        sample_weight : dask array or Series of shape (n_samples,), or an array, default=None
            Weights of the rows.

        Returns
        -------
        score : float
            What the plain estimator would return for all rows in memory.
        """
        if not is_dask_collection(X):
            return super().score(X, y, sample_weight)
        return scores.score(self.to_local(), X, y, sample_weight, self.client)


class LabelPredictionMixin(PredictionMixin):
    """What a classifier says of rows."""

    def predict(self, X: Rows) -> Array:
        """The most probable labels, as the plain estimator predicts them."""
        return self._by_rows(super().predict, X)

    def predict_proba(self, X: Rows) -> Array:
        """Probabilities of the classes, as the plain estimator predicts them."""
        return self._by_rows(super().predict_proba, X)

    def predict_log_proba(self, X: Rows) -> Array:
        """Logarithms of the probabilities, as the plain estimator has them."""
        return self._by_rows(super().predict_log_proba, X)

    def decision_function(self, X: Rows) -> Array:
        """Logits, from which the probabilities are made, as the plain estimator has them."""
        return self._by_rows(super().decision_function, X)


class QuantityPredictionMixin(PredictionMixin):
    """What a regressor says of rows."""

    def predict(self, X: Rows, return_std: bool = False) -> Array | tuple[Array, Array]:
        """Quantities, as the plain estimator predicts them, and their standard deviations.

        Of a collection, prediction and deviation are found in one pass where both are computed
        together, by ``dask.compute(prediction, deviation)``.
        """
        if return_std:
            return self._by_rows(super().predict, X, return_std=return_std)
        return self._by_rows(super().predict, X)

    def predict_interval(self, X: Rows, coverage: float = 0.9) -> Array:
        """Bounds between which a new y lies, as the plain estimator predicts them."""
        return self._by_rows(super().predict_interval, X, coverage=coverage)

    def predict_quantiles(self, X: Rows, quantiles: ArrayLike = (0.05, 0.5, 0.95)) -> Array:
        """Quantiles of a new y, as the plain estimator predicts them."""
        return self._by_rows(super().predict_quantiles, X, quantiles=quantiles)

    def log_predictive_density(self, X: Rows, y: Rows) -> Array:
        """Logarithm of the predictive density of targets, as the plain estimator has it.

        Of a collection X, y is one, too, in the same partitions.
        """
        if not is_dask_collection(X):
            return super().log_predictive_density(X, y)
        return scores.log_predictive_density(self.to_local(), X, y)
