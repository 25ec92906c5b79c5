"""Class weights. Several labels are several questions, and their weights a product."""

import numpy as np


def class_weights(class_weight, codes, answers, totals):
    """Weights of rows (n_rows,).

    For each question there is one row of `codes`, the number of each row's answer, and one of
    `totals`, the weight of all rows with that answer; `answers` are what the numbers stand for.
    """
    weights = np.ones(len(codes[0]))
    for code, values in zip(codes, _values(class_weight, answers, totals), strict=True):
        weights *= values[code]
    return weights


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
    # of several labels each has the answers 0 and 1, and no other
    no_other = isinstance(class_weight, list)
    return [_of_answers(given, answers, no_other) for given in dicts]


def _of_answers(given, answers, no_other):
    """Weights as given, 1 where none is; ValueError for keys that look like mistaken answers.

    Keys that are no answer are let pass if each answer has its weight: perhaps these rows lack one.
    """
    unknown = sorted(given.keys() - set(answers), key=repr)
    if unknown and (no_other or not given.keys() >= set(answers)):
        raise ValueError(
            f"class_weight must have labels among {answers} as its keys, got {unknown} in {given!r}"
        )
    return np.array([float(given.get(answer, 1)) for answer in answers])


def _balanced(totals):
    """sum(w) / (n_classes sum of w in the class); 1 where there is but one class."""
    present = totals > 0
    if np.count_nonzero(present) < 2:
        return np.ones(len(totals))
    return totals.sum() / (len(totals) * np.where(present, totals, np.inf))
