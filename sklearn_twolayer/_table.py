"""The table X of an estimator: kinds and names of its columns, and how they are encoded."""

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from . import engine
from ._columns import Columns, convert_columns, learn_columns
from ._encoded_names import encoded_names, input_names
from ._monotonic import constrains, directions
from ._validation import check_sparse, refuse_collections


class TableMixin:
    """Learns the columns of X, in `_columns`, and reads later ones alike."""

    def _columns_of(self, X, learn=False, name="X"):
        """X as floats, categories by their codes; to `learn` is to meet the columns first."""
        refuse_collections(self, **{name: X})
        if sparse.issparse(X):
            return self._sparse_columns(X, learn, name)
        if learn:
            self._encoding = None
            X, columns = learn_columns(self, X, self.categorical_features, name)
            self._columns = dict(vars(columns)) if columns.is_categorical.any() else None
            return X
        return convert_columns(self, X, self._known_columns(), name)

    def _sparse_columns(self, X, learn, name):
        """CSR rows; ValueError where columns are to be encoded."""
        if learn:
            self._columns = self._encoding = None
        is_encoded = self._columns is not None or self._encoding is not None
        if self._lists_categories() if learn else is_encoded:
            raise ValueError(
                f"{name} must be dense where columns are categories or encoded, got a sparse one"
            )
        return check_sparse(self, X, learn, name)

    def _takes_sparse(self):
        """Whether a fit takes sparse X: what is asked for encodes none of its columns."""
        bends = self.encoding == "piecewise_linear" or constrains(self.monotonic_cst)
        return not bends and not self._lists_categories()

    def _lists_categories(self):
        """Whether columns are named as categories, whatever they hold."""
        asked = self.categorical_features
        return asked is not None and not isinstance(asked, str)

    def _monotonic_directions(self):
        """1, -1 or 0 for each column that was met in training; None without constraints."""
        is_categorical = self._known_columns().is_categorical
        names = getattr(self, "feature_names_in_", None)
        return directions(self.monotonic_cst, names, is_categorical)

    def _known_columns(self):
        """Kinds of the columns met in training."""
        if self._columns is None:
            return Columns(np.zeros(self.n_features_in_, dtype=bool), [])
        return Columns(**self._columns)

    def _arrange_levels(self, X, Y, weights):
        """Number the levels anew, in an order that does not depend on their names."""
        if self._columns is None:
            return X
        columns = self._known_columns()
        X, of_kind = X[:], {kind: [] for kind in (True, False)}
        for x, is_category in zip(X.T, columns.is_categorical, strict=True):
            of_kind[is_category].append(x)
        orders = [engine.level_order(x, Y, weights, of_kind[False]) for x in of_kind[True]]
        X, columns = columns.arranged(X, orders)
        self._columns = dict(vars(columns))
        return X

    def _known_encoding(self):
        """How columns are encoded; without one, numbers stay as they are and may be missing."""
        if self._encoding is None:
            return engine.plain_encoding(self.n_features_in_)
        return engine.Encoding(**self._encoding)

    @property
    def is_categorical_(self):
        """Which columns are categories; see the attributes of the class."""
        check_is_fitted(self)
        return None if self._columns is None else self._columns["is_categorical"]

    @property
    def categories_(self):
        """The levels of each category, sorted; see the attributes of the class."""
        check_is_fitted(self)
        return [] if self._columns is None else [np.sort(c) for c in self._columns["categories"]]

    @property
    def knots_(self):
        """The knots of each number; see the attributes of the class."""
        check_is_fitted(self)
        encoding = self._known_encoding()
        return [encoding.knots[column] for column in np.flatnonzero(~encoding.is_category)]

    @property
    def encoded_feature_names_(self):
        """Names of the columns that `coefs_` act on; see the attributes of the class."""
        check_is_fitted(self)
        categories = [] if self._columns is None else self._columns["categories"]
        return encoded_names(input_names(self), self._known_encoding(), categories)
