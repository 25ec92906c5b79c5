"""From a description back to a fitted estimator, which predicts the same."""

import numpy as np

from .. import engine
from .._columns import label_array
from .description import ESTIMATORS, full_covariance, n_encoded, n_increments


def restore(description):
    """A fitted estimator; what it needs to go on from is not in a description."""
    estimator = ESTIMATORS[description["estimator"]]
    model = estimator(**description["parameters"])
    of_targets = _of_classes if "classes" in description["output"] else _of_quantities
    attributes = description["fit"] | _of_table(description) | _of_network(description["network"])
    attributes |= of_targets(description["output"]) | _of_posterior(description)
    alpha = description["alpha"]
    attributes["alpha_"] = np.asarray(alpha) if isinstance(alpha, list) else alpha
    _check_sizes(attributes)
    vars(model).update(attributes)
    return model


def _check_sizes(attributes):
    """ValueError where matrices do not fit each other."""
    (W1, W2), (b1, b2), W0 = (attributes[k] for k in ("coefs_", "intercepts_", "skip_coef_"))
    n_features, n_outputs = len(attributes["_fill"]), attributes["n_outputs_"]
    n_hidden = sum(attributes["_hidden_sizes"])
    found = {"W1": W1, "b1": b1, "W2": W2, "b2": b2, "W0": W0}
    shapes = {
        "W1": (n_features, n_hidden),
        "b1": (n_hidden,),
        "W2": (n_hidden, n_outputs),
        "b2": (n_outputs,),
        "W0": (n_features, n_outputs),
    }
    for name, A in found.items():
        if A is not None and A.shape != shapes[name]:
            raise ValueError(f"{name} must have the shape {shapes[name]}, got {A.shape}")


def _of_table(description):
    """The columns of X and their encoding."""
    columns = description["columns"]
    used = np.asarray(description["features_used"], bool)
    importances = np.asarray(description["feature_importances"], np.float64)
    found = {"n_features_in_": len(columns), "features_used_": used}
    found["feature_importances_"] = importances
    if description["has_names"]:
        found["feature_names_in_"] = np.array([c["name"] for c in columns], dtype=object)
    is_categorical = np.array([column["kind"] == "category" for column in columns])
    labels = [label_array(column["levels"]) for column in columns if "levels" in column]
    record = {"is_categorical": is_categorical, "categories": labels}
    encoding = _encoding(columns) if description["is_encoded"] else None
    fill = _fill(columns)
    return found | {
        "_columns": record if is_categorical.any() else None,
        "_encoding": encoding,
        "_fill": fill,
    }


def _encoding(columns):
    """The fields of an encoding; means of levels are what training alone asks for."""
    kinds = [column["kind"] == "category" for column in columns]
    n_levels = [c["n_levels"] if k else engine.NUMBER for c, k in zip(columns, kinds, strict=True)]
    has_indicator = np.array([column["has_indicator"] for column in columns])
    sizes = [column.get("n_levels", n_increments(column)) for column in columns]
    return {
        "n_levels": np.array(n_levels),
        "has_indicator": has_indicator,
        "knots": [np.array(column.get("knots", []), np.float64) for column in columns],
        "means": [np.zeros(n + i) for n, i in zip(sizes, has_indicator, strict=True)],
        "fan_in": float(len(columns)),
    }


def _fill(columns):
    """What stands for a missing value in each encoded column."""
    last = max(columns, key=lambda column: column["start"])
    fill = np.zeros(last["start"] + n_encoded(last))
    for column in columns:
        if column["kind"] == "number":
            start = column["start"]
            fill[start : start + len(column["fill"])] = column["fill"]
    return fill


def _of_network(network):
    arrays = {name: np.array(network[name], dtype) for name, dtype in network["dtypes"].items()}
    names = [part["activation"] for part in network["hidden"]]
    origin = network["origin"]
    return {
        "coefs_": [arrays["W1"], arrays["W2"]],
        "intercepts_": [arrays["b1"], arrays["b2"]],
        "skip_coef_": arrays.get("W0"),
        "activation_": names[0] if len(set(names)) == 1 else names,
        "_hidden_sizes": [part["n_units"] for part in network["hidden"]],
        "_origin": None if origin is None else np.asarray(origin, np.float64),
    }


def _of_classes(output):
    classes = np.array(output["classes"], dtype=output["dtype_of_classes"])
    single_question = output["link"] == "logistic"
    return {
        "classes_": classes,
        "_is_multilabel": output["is_multilabel"],
        "_loss": "binary_log_loss" if single_question else "log_loss",
        "n_outputs_": 1 if single_question and not output["is_multilabel"] else len(classes),
        "_unit_of_y": np.ones(1),
        "_noise": None,
    }


def _of_quantities(output):
    as_it_was = {"quantile": tuple, "huber_delta": np.asarray}
    loss = {
        name: as_it_was[name](value) if isinstance(value, list) else value
        for name, value in output["loss"].items()
    }
    found = {
        "_loss": loss.pop("loss"),
        "_loss_parameters": loss,
        "_single_target": output["single_target"],
        "_n_targets": output["n_targets"],
        "_unit_of_y": np.asarray(output["unit"], np.float64),
        "_noise": _array(output["noise"]),
    }
    of_loss = engine.loss_with(found["_loss"], loss)
    return found | {"n_outputs_": of_loss.n_outputs(output["n_targets"])}


def _of_posterior(description):
    """`_state`, without that of the solver, and `_predictive`."""
    members = [_member(record, description) for record in description["members"]]
    leading = max(members, key=lambda member: member["weight"])
    weights = np.array([member.pop("weight") for member in members])
    state = dict(leading) | {
        "members": members if len(members) > 1 else [],
        "member_weights": weights if len(members) > 1 else None,
        "ranges": _ranges(description["ranges"]),
        "residuals": _residuals(description["residuals"]),
    }
    predictive = _predictive(description)
    return {
        "_state": state,
        "_predictive": predictive,
        "_no_posterior": description["no_posterior"],
    }


def _member(record, description):
    """A continuation as `engine.preserve` leaves it, but for the state of its solver."""
    output = description["output"]
    n = len(description["network"]["b2"])
    Y = {"mean": output.get("mean", np.zeros(n)), "deviation": output.get("deviation", np.ones(n))}
    scale = np.asarray(record.get("scale", np.ones(0)), np.float64)
    X = {"mean": record.get("mean", np.zeros(0)), "deviation": np.where(np.isinf(scale), 0, scale)}
    columns = record["columns"]
    scaling = {
        "X": {name: np.asarray(A, np.float64) for name, A in X.items()},
        "Y": {name: np.asarray(A, np.float64) for name, A in Y.items()},
        "n_rows": 0,
        "weight": 0.0,
        "means": None if columns is None else _fill(columns),
        "link": output["link"] if "loss" in output else "identity",
    }
    return {
        "weight": record["weight"],
        "theta": np.empty(0),
        "scaling": scaling,
        "solver": record["solver"],
        "choices": {name: record[name] for name in ("hidden_size", "activation", "skip")},
        "alpha": None,
        "state": None,
        "encoding": None if columns is None else _encoding(columns),
        "members": [],
        "loss_curve": [],
        "scores": [],
        "has_constant_noise": record["has_constant_noise"],
    }


def _predictive(description):
    members, moderation = description["members"], description["output"].get("moderation")
    if not description["has_posterior"]:
        nothing = [None] * len(members)
        weights = np.array([member["weight"] for member in members])
        empty = {"thetas": nothing, "covariances": nothing, "weights": weights}
        return None if moderation is None else empty | moderation
    found = {
        "thetas": [_theta(member) for member in members],
        "covariances": [_covariance(member["covariance"]) for member in members],
        "weights": np.array([member["density"] for member in members]),
    }
    return found | (moderation or {"temperature": 1.0, "variance_fraction": 1.0})


def _theta(member):
    parts = [member[name] for name in ("W1", "b1", "W2", "b2", "W0")]
    theta = np.concatenate([np.ravel(np.asarray(A, np.float64)) for A in parts if A is not None])
    sizes = len(member["mean"]), member["hidden_size"], len(member["b2"]), member["skip"]
    n_parameters = engine.Shape(*sizes).size
    if len(theta) != n_parameters:
        raise ValueError(f"a member must have {n_parameters} weights, got {len(theta)}")
    return theta


def _covariance(found):
    if found is None:
        return None
    if found["kind"] == "full":
        return full_covariance(found)
    arrays = {name: np.asarray(A, np.float64) for name, A in found.items() if name != "kind"}
    # rows of no numbers have lost their shape
    n_outputs = len(arrays["V"].T)
    arrays["layer2_alone"] = arrays["layer2_alone"].reshape(n_outputs, -1)
    return arrays


def _ranges(found):
    if found is None:
        return None
    single = found["dtype"] == "float32"
    rows = {name: np.asarray(found[name], np.float64) for name in ("Y_low", "Y_high")}
    of_X = {name: np.asarray(found[name], np.float64) for name in ("low", "high")}
    return rows | {k: A.astype(np.float32) if single else A for k, A in of_X.items()}


def _residuals(found):
    if found is None:
        return None
    arrays = ("levels", "signed", "absolute", "deviation", "noise")
    return found | {name: _array(found[name]) for name in arrays}


def _array(found):
    return None if found is None else np.asarray(found, np.float64)
