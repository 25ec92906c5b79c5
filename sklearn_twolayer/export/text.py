"""JSON: the description written down, and read again."""

import ast
import json
import math

import numpy as np

from .description import FORMAT, FORMAT_VERSION, describe
from .restoration import restore


def to_json(model, *, posterior=True):
    """Write down a fitted estimator as a text of numbers.

    Parameters
    ----------
    model : TwoLayerClassifier or TwoLayerRegressor
        The fitted estimator.

    posterior : bool, default=True
        Whether the text has the posterior, too, by far the most of it. Without it the estimator
        read back is as if it had been fitted with ``store_posterior=False``: no standard
        deviations, no moderated probabilities, and rows far out are not drawn in.

    Returns
    -------
    text : str
        JSON, as :mod:`sklearn_twolayer.export` documents it.

    Raises
    ------
    NotFittedError
        Before ``fit``.
    TypeError
        If `model` is no estimator of this package.

    See Also
    --------
    from_json : Reads it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_twolayer import TwoLayerClassifier
    >>> from sklearn_twolayer.export import from_json, to_json
    >>> X, y = load_iris(return_X_y=True)
    >>> model = TwoLayerClassifier(4, random_state=0).fit(X, y)
    >>> again = from_json(to_json(model))
    >>> bool((again.predict_proba(X) == model.predict_proba(X)).all())
    True
    """
    description = describe(model, posterior)
    parameters = {k: v for k, v in map(_literal, description["parameters"].items()) if k}
    return json.dumps(_plain(description | {"parameters": parameters}), allow_nan=False)


def from_json(text):
    """Read an estimator that `to_json` has written.

    It predicts what the estimator did that was written: with float64 rows the same bits, where
    both run on the same machine. It cannot go on learning (``partial_fit``, ``warm_start``), and
    has no curves of its training.

    Parameters
    ----------
    text : str or bytes
        What `to_json` returned.

    Returns
    -------
    model : TwoLayerClassifier or TwoLayerRegressor
        A fitted estimator of the class that was written.

    Raises
    ------
    ValueError
        If the text is not of this format, or of a later version of it.
    TypeError
        If it is no text.

    See Also
    --------
    to_json : Writes it.
    """
    if not isinstance(text, str | bytes | bytearray):
        raise TypeError(f"text must be a string, as to_json returns it, got {type(text).__name__}")
    try:
        description = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"text is no JSON: {error}") from error
    _check_format(description)
    try:
        parameters = {k: _from_literal(v) for k, v in description["parameters"].items()}
        return restore(_from_plain(description) | {"parameters": parameters})
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ValueError(
            f"text is damaged, or was changed: {type(error).__name__}: {error}"
        ) from error


def _check_format(description):
    found = description.get("format") if isinstance(description, dict) else None
    if found != FORMAT:
        raise ValueError(f"text must have the format {FORMAT!r}, got {found!r}")
    version = description.get("format_version")
    if version != FORMAT_VERSION:
        writer = description.get("package_version")
        raise ValueError(
            f"text is of version {version!r} of the format, written by sklearn-twolayer {writer}; "
            f"this one reads version {FORMAT_VERSION}: install that, or a later one"
        )


def _literal(item):
    """A parameter as JSON has it, else as {"literal": Python's text}; no name where none has it."""
    name, value = item
    value = _without_numpy(value)
    if value is None or isinstance(value, bool | int | str):
        return name, value
    if isinstance(value, float) and math.isfinite(value):
        return name, value
    if isinstance(value, float):
        return name, {"number": str(value)}
    try:
        is_literal = ast.literal_eval(repr(value)) == value
    except (ValueError, SyntaxError):
        is_literal = False
    return (name, {"literal": repr(value)}) if is_literal else (None, None)


def _without_numpy(value):
    """Python's own numbers and lists, keys and entries of dicts and sequences, too."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if type(value) is dict:
        return {_without_numpy(k): _without_numpy(each) for k, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_without_numpy, value))
    return value


def _from_literal(value):
    if not isinstance(value, dict):
        return value
    return float(value["number"]) if "number" in value else ast.literal_eval(value["literal"])


def _plain(value):
    """Lists, dicts and numbers; None for NaN and infinity."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, np.ndarray | np.generic):
        is_finite = value.dtype.kind != "f" or np.isfinite(value).all()
        return value.tolist() if is_finite else _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _from_plain(description):
    """None in a list of numbers becomes the number that stands for none there."""
    found = dict(description)
    network = description["network"]
    found["network"] = network | {"scale": _numbers(network["scale"], np.inf)}
    found["members"] = [
        member | ({"scale": _numbers(member["scale"], np.inf)} if "scale" in member else {})
        for member in description["members"]
    ]
    if description["ranges"] is not None:
        ranges = description["ranges"]
        bounds = {name: _numbers(ranges[name], np.nan) for name in ("low", "high")}
        found["ranges"] = ranges | bounds
    return found


def _numbers(values, none):
    return np.array([none if value is None else value for value in values], np.float64)
