"""What a row's labels are worth. Several labels are several questions, their weights a product."""

import numpy as np


def class_weights(class_weight, codes, answers, totals):
    """Weights of rows (n_rows,).

    For each question there is one row of `codes`, the number of each row's answer, and one of
    `totals`, the weight of all rows with that answer; `answers` are what the numbers stand for.
    """
    worth = np.ones(len(codes[0]))
    for code, values in zip(codes, _values(class_weight, answers, totals), strict=True):
        worth *= values[code]
    return worth


def _values(class_weight, answers, totals):
    """For each question the weight of each answer."""
    if isinstance(class_weight, str):
        return [_balanced(of_answers) for of_answers in totals]
    dicts = class_weight if isinstance(class_weight, list) else [class_weight]
    if len(dicts) != len(totals):
        raise ValueError(
            "class_weight must be one dict, or for multilabel y a list of as many dicts as labels "
            f"({len(totals)}), got {class_weight!r}"
        )
    return [np.array([float(given.get(answer, 1)) for answer in answers]) for given in dicts]


def _balanced(totals):
    """sum(w) / (n_classes sum of w in the class); 1 where there is but one class."""
    present = totals > 0
    if np.count_nonzero(present) < 2:
        return np.ones(len(totals))
    return totals.sum() / (len(totals) * np.where(present, totals, np.inf))
