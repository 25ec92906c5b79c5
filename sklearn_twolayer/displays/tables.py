"""One column of X, and rows in which it moves while the others stand still."""

import sys
from numbers import Integral

import numpy as np
from scipy import sparse

from .._frames import is_category, is_missing, library_of
from .checking import check_number


class Table:
    """X, an array or a frame of any library, and one of its columns.

    Parameters
    ----------
    X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
        The rows.

    feature : str or int
        The column: its name in a frame, or its position.

    Attributes
    ----------
    position : int
        Where the column is.

    name : str
        What it is called.

    values : ndarray of shape (n_samples,)
        What it holds: numbers, or objects where it holds categories.

    is_category : bool
        Whether it does.
    """

    def __init__(self, X, feature):
        self.library = library_of(X, "X")
        if self.library is None and not sparse.issparse(X):
            X = np.asarray(X)
        self.X = X
        self.position, self.name = self._find(feature)
        values = np.asarray(self._column(self.position))
        numbers = _as_numbers(values)
        known = self.library and is_category(X, self.library, self.position)
        self.is_category = bool(known) or numbers is None
        self.values = values.astype(object) if self.is_category else numbers

    def steps(self, grid):
        """Values for the column to take: as many as asked for, those given, or all categories."""
        if np.ndim(grid):
            return np.asarray(grid)
        if self.is_category:
            return _categories(self.values)
        check_number(grid, "grid")
        present = self.values[np.isfinite(self.values)]
        if not len(present):
            raise ValueError(f"column {self.name!r} of X holds nothing but missing values")
        return np.linspace(present.min(), present.max(), grid)

    def swept(self, steps):
        """Typical rows, in which the column takes the values in turn.

        Every other column holds a value that it has in X: the lower median of numbers, the most
        frequent one of categories, missing values left aside.
        """
        if sparse.issparse(self.X):
            raise TypeError("feature with others='typical' takes dense X, got a sparse one")
        n_features = self.X.shape[1]
        rows = [self._typical_row(j) for j in range(n_features)]
        columns = [self._repeated(j, rows[j], len(steps)) for j in range(n_features)]
        columns[self.position] = steps
        return self._assembled(columns)

    def _find(self, feature):
        names = self._names()
        if isinstance(feature, str):
            if names is None:
                raise ValueError(f"X has no column names: feature takes a number, got {feature!r}")
            if feature not in names:
                some = names if len(names) <= 20 else [*names[:20], ...]
                raise ValueError(f"feature must be a column of X, one of {some}, got {feature!r}")
            return names.index(feature), feature
        n_features = self.X.shape[1]
        if not isinstance(feature, Integral) or isinstance(feature, bool):
            raise TypeError(f"feature must be the name or number of a column, got {feature!r}")
        if not 0 <= feature < n_features:
            raise ValueError(f"feature must be from 0 to {n_features - 1}, got {feature}")
        return int(feature), f"x{feature}" if names is None else str(names[feature])

    def _names(self):
        if self.library is None:
            return None
        return list(self.X.column_names if self.library == "pyarrow" else self.X.columns)

    def _column(self, j):
        if self.library == "pandas":
            return self.X.iloc[:, j]
        if self.library == "polars":
            return self.X[:, j]
        if self.library == "pyarrow":
            return self.X.column(j)
        column = self.X[:, [j]]
        return np.ravel(column.toarray() if sparse.issparse(column) else column)

    def _typical_row(self, j):
        """The number of a row whose value in a column is a typical one."""
        values = np.asarray(self._column(j))
        numbers = _as_numbers(values)
        if numbers is None or (self.library and is_category(self.X, self.library, j)):
            present = [k for k, value in enumerate(values) if not is_missing(value)]
            _, first, counts = np.unique(
                [str(values[k]) for k in present], return_index=True, return_counts=True
            )
            return present[first[counts.argmax()]] if present else 0
        order = np.argsort(numbers)  # NaN comes last
        return order[max(np.count_nonzero(~np.isnan(numbers)) - 1, 0) // 2]

    def _repeated(self, j, row, n):
        column, rows = self._column(j), np.full(n, row)
        if self.library == "pandas":
            return column.iloc[rows].array
        return column.take(rows) if self.library == "pyarrow" else column[rows]

    def _assembled(self, columns):
        if self.library is None:
            is_float = self.X.dtype.kind == "f"
            kind = self.X.dtype if is_float else np.result_type(*(c.dtype for c in columns))
            return np.column_stack([column.astype(kind) for column in columns])
        library, names = sys.modules[self.library], self._names()
        j = self.position
        if self.library == "pandas":
            dtype = self.X.dtypes.iloc[j] if self.is_category else None
            columns[j] = library.array(columns[j], dtype=dtype)
            series = [library.Series(column) for column in columns]
            return library.concat(series, axis=1).set_axis(self.X.columns, axis=1)
        if self.library == "polars":
            dtype = self.X.dtypes[j] if self.is_category else None
            columns[j] = library.Series(names[j], columns[j].tolist(), dtype=dtype)
            return library.DataFrame(columns)
        return library.Table.from_arrays([*map(_in_one_piece, columns)], names=names)


def _in_one_piece(column):
    import pyarrow

    return pyarrow.array(column) if isinstance(column, np.ndarray) else column


def _as_numbers(values):
    """As floats, NaN where missing; None if they are no numbers."""
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError):
        present = [value for value in values if not is_missing(value)]
        if not present or any(isinstance(value, str) for value in present):
            return None
        try:
            return np.array([np.nan if is_missing(v) else float(v) for v in values])
        except (TypeError, ValueError):
            return None


def _categories(values):
    """All that there are, sorted, missing ones left out."""
    present = {value for value in values if not is_missing(value)}
    found = np.empty(len(present), dtype=object)
    try:
        found[:] = sorted(present)
    except TypeError:
        found[:] = sorted(present, key=str)
    return found
