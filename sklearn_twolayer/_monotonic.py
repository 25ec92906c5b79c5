"""Monotonic constraints as the caller gives them, and as the engine wants them.

Forms and meaning are those of scikit-learn's `HistGradientBoostingRegressor`.
"""

from numbers import Real

import numpy as np

from ._constraints import Directions

FORMS = (
    "monotonic_cst must be None, an array with -1, 0 or 1 for each of the {} columns of X, or a "
    "dict of these with names of columns as keys, got {}"
)
SHOWN = 20
"""Names of columns that an error lists at most."""


def directions(monotonic_cst, names, is_categorical):
    """1, -1 or 0 for each column (n_columns,), or None where there is no constraint.

    `names` are those of the columns, None where X had none. ValueError for what X does not have,
    and for constraints on categories, whose levels have no order.
    """
    if monotonic_cst is None:
        return None
    n_columns = len(is_categorical)
    if isinstance(monotonic_cst, dict):
        found = _by_name(monotonic_cst, names, n_columns)
    else:
        found = _by_place(monotonic_cst, n_columns)
    wrong = np.flatnonzero((found != 0) & is_categorical)
    if len(wrong):
        column = wrong[0] if names is None else names[wrong[0]]
        raise ValueError(
            f"monotonic_cst must be 0 for categories, which have no order, got "
            f"{found[wrong[0]]} for column {column!r}: name it in neither categorical_features "
            "nor monotonic_cst, or hold it as a number"
        )
    return found if found.any() else None


def constrains(monotonic_cst):
    """Whether there is a constraint among them, whatever else may be wrong."""
    if not Directions().accepts(monotonic_cst) or monotonic_cst is None:
        return False
    values = monotonic_cst.values() if isinstance(monotonic_cst, dict) else monotonic_cst
    return any(np.ndim(value) == 0 and value != 0 for value in values)


def _by_name(constraints, names, n_columns):
    if names is None:
        raise ValueError(FORMS.format(n_columns, repr(constraints)) + ", but X has no column names")
    unknown = [name for name in constraints if name not in names]
    if unknown:
        some = list(names) if len(names) <= SHOWN else [*names[:SHOWN], ...]
        raise ValueError(FORMS.format(n_columns, f"{unknown[0]!r}, which is not among {some}"))
    for name, value in constraints.items():
        if not _is_direction(value):
            raise ValueError(FORMS.format(n_columns, f"{value!r} for column {name!r}"))
    return np.array([int(constraints.get(name, 0)) for name in names])


def _by_place(constraints, n_columns):
    values = list(constraints)
    if len(values) != n_columns:
        raise ValueError(FORMS.format(n_columns, f"{len(values)} of them"))
    for column, value in enumerate(values):
        if not _is_direction(value):
            raise ValueError(FORMS.format(n_columns, f"{value!r} for column {column}"))
    return np.array(values, dtype=int)


def _is_direction(value):
    return isinstance(value, (Real, np.bool_)) and value in (-1, 0, 1)
