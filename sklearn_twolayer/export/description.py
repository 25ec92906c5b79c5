"""A fitted prediction function as plain numbers: what all exports are made of.

`describe` takes an estimator apart once; see the package's documentation for what the entries mean.
Arrays are float64, or of whole numbers; NaN or infinity stand for what there is none of.
"""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .. import engine
from .._classifier import TwoLayerClassifier
from .._encoded_names import input_names
from .._regressor import TwoLayerRegressor
from .._version import __version__

FORMAT, FORMAT_VERSION = "sklearn-twolayer", 1

ESTIMATORS = {each.__name__: each for each in (TwoLayerClassifier, TwoLayerRegressor)}

OF_THE_FIT = (
    *("n_features_used_", "n_effective_parameters_", "log_evidence_", "loss_", "best_loss_"),
    *("best_iter_", "best_validation_score_", "n_iter_", "t_", "solver_", "hidden_size_", "skip_"),
    *("n_members_", "dtype_", "n_layers_", "out_activation_"),
)
"""Fitted attributes that are numbers or text and that no prediction needs."""

LEFT_OUT = "it was left out of the text that this estimator was read from"


def describe(model, posterior=True):
    """The description of a fitted estimator, a dict; without the posterior if that is asked for.

    TypeError for anything else, NotFittedError before the fit.
    """
    check_exportable(model)
    known = _posterior_of(model) if posterior else None
    continuation = engine.restore(model._state)
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "package_version": __version__,
        "estimator": type(model).__name__,
        "parameters": model.get_params(deep=False),
        "fit": {name: getattr(model, name) for name in OF_THE_FIT},
        "alpha": model.alpha_,
        "has_names": hasattr(model, "feature_names_in_"),
        "columns": _columns(model),
        "is_encoded": model._encoding is not None,
        "features_used": model.features_used_,
        "feature_importances": model.feature_importances_,
        "network": _network(model, engine.widest_member(continuation).scaling.X),
        "output": _output(model, continuation, posterior),
        "members": _members(continuation, known),
        "has_posterior": known is not None,
        "no_posterior": LEFT_OUT if model._predictive is not None else model._no_posterior,
        "ranges": None if known is None else _ranges(continuation.ranges),
        "residuals": None if continuation.residuals is None else dict(vars(continuation.residuals)),
    }


def check_exportable(model):
    """TypeError for what is no estimator of this package, NotFittedError for one not fitted."""
    if type(model) not in ESTIMATORS.values():
        names = " or ".join(ESTIMATORS)
        raise TypeError(
            f"model must be a {names}, got {type(model).__name__}: of a pipeline export the last "
            "step, or convert it by skl2onnx.to_onnx after sklearn_twolayer.export.register(); of "
            "an estimator for Dask, its to_local()"
        )
    check_is_fitted(model)


def n_increments(column):
    """Of a column, whose last knot begins none."""
    return max(len(column.get("knots", ())) - 1, 0)


def n_encoded(column):
    """Encoded columns of an original one."""
    return column.get("n_levels", 1 + n_increments(column)) + column["has_indicator"]


def full_covariance(found):
    """The matrix of which a description has the lower triangle, row by row."""
    triangle = np.asarray(found["triangle"], np.float64)
    n = int((2 * len(triangle)) ** 0.5)
    matrix, (i, j) = np.empty((n, n)), np.tril_indices(n)
    matrix[i, j] = matrix[j, i] = triangle
    return matrix


def _posterior_of(model):
    """What tells how sure predictions are, where that changes them; None where there is none."""
    if model._predictive is None:
        return None
    known = engine.restore_predictive(model._predictive)
    if isinstance(model, TwoLayerClassifier) and not (model.moderate and known.variance_fraction):
        return None
    return known


def _columns(model):
    """What each column of X is, and which encoded columns it becomes."""
    names, levels = input_names(model), {}
    if model._columns is not None:
        numbers = np.flatnonzero(model._columns["is_categorical"])
        levels = dict(zip(numbers.tolist(), model._columns["categories"], strict=True))
    blocks = _blocks(model._known_encoding(), model._fill)
    found = []
    for j, (name, block) in enumerate(zip(names, blocks, strict=True)):
        labels = {"levels": levels[j].tolist()} if j in levels else {}
        found.append({"name": str(name), **block, **labels})
    return found


def _blocks(encoding, fill):
    """The block of encoded columns of each original one."""
    found = []
    zipped = zip(encoding.starts, encoding.n_levels, encoding.knots, strict=True)
    for (start, n_levels, knots), has_indicator in zip(zipped, encoding.has_indicator, strict=True):
        block = {"start": int(start), "has_indicator": bool(has_indicator)}
        if n_levels == engine.NUMBER:
            block |= {"kind": "number", "knots": knots}
            block["fill"] = fill[start : start + 1 + n_increments(block)]
        else:
            block |= {"kind": "category", "n_levels": int(n_levels)}
        found.append(block)
    return found


def _network(model, units):
    """The one network that computes raw outputs, on encoded columns in raw units."""
    (W1, W2), (b1, b2) = model.coefs_[:2], model.intercepts_
    arrays = {"W1": W1, "b1": b1, "W2": W2, "b2": b2, "W0": model.skip_coef_}
    names = model.activation_
    names = [names] * len(model._hidden_sizes) if isinstance(names, str) else names
    sizes = model._hidden_sizes
    return {
        "hidden": [
            {"activation": name, "n_units": int(size)}
            for name, size in zip(names, sizes, strict=True)
        ],
        **{name: None if A is None else A.astype(np.float64) for name, A in arrays.items()},
        "dtypes": {name: A.dtype.name for name, A in arrays.items() if A is not None},
        "origin": model._origin,
        "mean": units.mean,
        "scale": units.scale,
    }


def _output(model, continuation, posterior):
    """What becomes of raw outputs."""
    if isinstance(model, TwoLayerClassifier):
        return {
            "link": model.out_activation_,
            "classes": model.classes_.tolist(),
            "dtype_of_classes": model.classes_.dtype.str,
            "is_multilabel": bool(model._is_multilabel),
            "moderation": _moderation(model) if posterior else None,
        }
    loss, scaling = model._loss_at_fit, continuation.scaling
    factor, offset = scaling.outputs(model.n_outputs_)
    return {
        "link": loss.link,
        "loss": {"loss": model._loss, **model._loss_parameters},
        "power": getattr(loss, "power", None) if loss.has_noise else None,
        "single_target": bool(model._single_target),
        "n_targets": int(model._n_targets),
        "unit": np.asarray(model._unit_of_y, np.float64),
        "offset": np.asarray(scaling.Y_offset, np.float64),
        "variance": np.asarray(scaling.Y_variance, np.float64),
        "of_raw_outputs": {"factor": factor, "offset": offset},
        "mean": scaling.Y.mean,
        # whether a target is constant has been decided
        "deviation": np.where(np.isinf(scaling.Y.scale), 0.0, scaling.Y.deviation),
        "noise": model._noise if model._predictive is not None and posterior else None,
    }


def _moderation(model):
    if model._predictive is None or not model.moderate:
        return None
    names = ("temperature", "variance_fraction")
    return {name: float(model._predictive[name]) for name in names}


def _members(continuation, known):
    """The networks that are averaged; with a posterior what it knows of each one."""
    weights = continuation.member_weights
    weights = np.ones(1) if weights is None else weights
    found = []
    for i, (member, weight) in enumerate(zip(continuation.networks, weights, strict=True)):
        record = {
            "weight": float(weight),
            "solver": member.solver,
            **vars(member.choices),
            "has_constant_noise": member.has_constant_noise,
            "columns": None
            if member.encoding is None
            else _blocks(member.encoding, member.scaling.fill),
        }
        if known is not None:
            record |= _standardized(member, known.thetas[i], known.covariances[i])
            record["density"] = float(known.weights[i])
        found.append(record)
    return found


def _standardized(member, theta, covariance):
    """The network of a member in its own units, and the covariance of its parameters."""
    scaling, hidden = member.scaling, member.choices.hidden_size
    n_features = len(scaling.X.mean)
    n_outputs = _n_outputs(len(theta), n_features, hidden, member.choices.skip)
    shape = engine.Shape(n_features, hidden, n_outputs, member.choices.skip)
    views = shape.views(np.asarray(theta, np.float64))
    return {
        "mean": scaling.X.mean,
        "scale": scaling.X.scale,
        **{name: getattr(views, name) for name in ("W1", "b1", "W2", "b2", "W0")},
        "covariance": _covariance(covariance),
    }


def _n_outputs(size, n_features, n_hidden, skip):
    """Outputs of a network of so many parameters."""
    return (size - (n_features + 1) * n_hidden) // (n_hidden + 1 + skip * n_features)


def _covariance(covariance):
    if covariance is None:
        return None
    if isinstance(covariance, np.ndarray):
        return {"kind": "full", "triangle": covariance[np.tril_indices(len(covariance))]}
    return {"kind": "kronecker"} | {k: v for k, v in vars(covariance).items() if v is not None}


def _ranges(found):
    """Those of training rows, the precision in which they were, and limits of predictions."""
    if found is None:
        return None
    low, high = engine.limits_of_targets(found)
    limits = {"least_prediction": low, "greatest_prediction": high}
    return vars(found) | {"dtype": found.low.dtype.name} | limits
