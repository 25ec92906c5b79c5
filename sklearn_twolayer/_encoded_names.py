"""Names of encoded columns: of values, increments, levels and indicators of what is missing."""

from itertools import pairwise

import numpy as np


def input_names(estimator):
    """Names of the columns of X: those of the DataFrame, or x0, x1, ..."""
    if hasattr(estimator, "feature_names_in_"):
        return list(estimator.feature_names_in_)
    return [f"x{column}" for column in range(estimator.n_features_in_)]


def encoded_names(names, encoding, categories):
    """Names of all encoded columns, as they stand: an array of strings (n_encoded,).

    `categories` has the labels of each category in the order of their encoded columns. A name that
    another column has before it, as a_b of column a_b and of the level b of column a, is numbered.
    """
    of_category = dict(zip(np.flatnonzero(encoding.is_category), categories, strict=True))
    found = []
    for column in encoding.order:
        name = names[column]
        if column in of_category:
            found += [f"{name}_{label}" for label in of_category[column]]
        else:
            knots = encoding.knots[column].tolist()
            found.append(name)
            found += [f"{name}_{a}_to_{b}" for a, b in pairwise(knots)]
        if encoding.has_indicator[column]:
            found.append(f"missingindicator_{name}")
    return np.array(_distinct(found), dtype=object)


def _distinct(names):
    """The same names, with _2, _3, ... behind those that have occurred before."""
    taken, found = set(names), set()
    distinct = []
    for name in names:
        count, candidate = 1, name
        while candidate in found or (count > 1 and candidate in taken):
            count += 1
            candidate = f"{name}_{count}"
        found.add(candidate)
        distinct.append(candidate)
    return distinct
