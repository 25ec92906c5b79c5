"""The plain estimator in one that takes Dask collections, and what does not leave the process."""

import copy

from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from .._classifier import TwoLayerClassifier
from .._regressor import TwoLayerRegressor
from .plain import plain


def _streams(estimator):
    raise AttributeError(
        "rows of Dask are fitted together: partial_fit is a method of the plain estimator, see "
        "to_local()"
    )


class LocalMixin:
    """Makes the plain estimator; a client, which belongs to its process, is left out of pickles."""

    _for_collections = None

    def to_local(self) -> TwoLayerClassifier | TwoLayerRegressor:
        """The ordinary estimator with the same parameters and all that was learnt.

        It needs no Dask to predict, to be written to a file or to be exported, and goes on with
        rows in memory. Arrays are shared, not copied.

        Returns
        -------
        estimator : TwoLayerClassifier or TwoLayerRegressor
            Fitted.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        check_is_fitted(self)
        return plain(self)

    @available_if(_streams)
    def partial_fit(self, X, y):
        """There is none: see `to_local`."""

    def __getstate__(self):
        return {**super().__getstate__(), "client": None}

    def __sklearn_clone__(self):
        # a client cannot be copied, and a copy leaves it out
        clone = super(LocalMixin, copy.copy(self)).__sklearn_clone__()
        clone.client = self.client
        return clone
