"""What comes out, in ONNX: labels and probabilities, or quantities and their deviations."""

import math

import numpy as np

from .. import engine
from .onnx_network import outputs_in_units
from .onnx_posterior import average, covariance, variance
from .onnx_rows import DOUBLE, FLOAT, RawRows, encode

ONE = np.float32(1)

LARGEST_LOG = np.float64(0.4 * math.log(np.finfo(DOUBLE).max))
"""Of a variance: squares of what is larger would leave the range."""


def classification(graph, description, rows, raw_scores=False):
    """The label (n_rows,) and the probabilities (n_rows, n_classes) of raw rows.

    With `raw_scores` logits instead of probabilities, as ``decision_function`` returns them; of two
    classes (-logit, logit).
    """
    output, network = description["output"], description["network"]
    encoded = encode(graph, rows, description["columns"], network["mean"], network["scale"])
    n = len(network["b2"])
    Z2 = outputs_in_units(graph, encoded, network, np.ones(n), np.zeros(n))
    by_softmax = output["link"] == "softmax"
    moderated = _moderated(graph, description, encoded, Z2, by_softmax)
    logits = _with_labels_of(graph, Z2, moderated, n, by_softmax)
    if not by_softmax and not output["is_multilabel"]:
        logits = graph.side_by_side([graph("Neg", logits), logits])
    label = _label(graph, output, Z2)
    if raw_scores:
        return label, logits
    if by_softmax:
        return label, graph("Softmax", logits, axis=1)
    limits = np.finfo(FLOAT)
    inside = np.float32(limits.tiny), np.float32(1 - limits.epsneg)
    return label, graph("Clip", graph("Sigmoid", logits), *inside)


def _label(graph, output, Z2):
    if output["is_multilabel"]:
        return graph.cast(graph("Greater", Z2, np.float32(0)), np.int64)
    if output["link"] == "softmax":
        codes = graph("ArgMax", Z2, axis=1, keepdims=0)
    else:
        above = graph("Greater", graph.reshape(Z2, -1), np.float32(0))
        codes = graph.cast(above, np.int64)
    return graph("Gather", labels_of(output), codes, axis=0)


def labels_of(output):
    """The classes as ONNX may hold them: strings, int64, or numbers as they are."""
    labels = np.array(output["classes"], dtype=output["dtype_of_classes"])
    return labels.astype(np.int64) if labels.dtype.kind in "iub" else labels


def _moderated(graph, description, rows, Z2, by_softmax):
    """Logits that know of their uncertainty; see `engine.Moderation`."""
    moderation = description["output"]["moderation"]
    if moderation is None:
        return Z2
    temperature = np.float32(moderation["temperature"])
    Z2, fraction = graph("Mul", Z2, temperature), moderation["variance_fraction"]
    if not description["has_posterior"]:
        return Z2
    _, U = average(graph, rows, description["columns"], description["members"])
    U = graph("Mul", U, np.float32(temperature * math.sqrt(fraction * math.pi / 8)))
    if not by_softmax:
        scale = graph("Sqrt", graph("Add", variance(graph, U), ONE))
        return graph("Div", Z2, scale)
    of_all = covariance(graph, U)
    of_each = variance(graph, U)
    total = graph("Add", graph.expand(of_each, 2), graph.expand(of_each, 1))
    of_pairs = graph("Sub", total, graph("Add", of_all, of_all))
    scale = graph("Sqrt", graph("Add", graph("Max", of_pairs, np.float32(0)), ONE))
    apart = graph("Sub", graph.expand(Z2, 2), graph.expand(Z2, 1))
    return graph("Neg", _log_sum_exp(graph, graph("Neg", graph("Div", apart, scale))))


def _log_sum_exp(graph, Z):
    """Over the last axis of three."""
    largest = graph("ReduceMax", Z, np.array([2], np.int64), keepdims=1)
    total = graph.reduce_sum(graph("Exp", graph("Sub", Z, largest)), 2)
    return graph("Add", graph("Log", total), graph("Squeeze", largest, np.array([2], np.int64)))


def _with_labels_of(graph, Z2, logits, n_outputs, by_softmax):
    """Raised to the top, or above zero, where they are there in Z2; see `engine.with_labels_of`."""
    if logits == Z2 or (by_softmax and n_outputs == 1):
        return logits
    ahead = np.float32(engine.ULPS_AHEAD * np.finfo(FLOAT).eps)
    if not by_softmax:
        is_above = graph("Greater", Z2, np.float32(0))
        return graph("Where", is_above, graph("Max", logits, ahead), logits)
    is_top = graph("ArgMax", Z2, axis=1, keepdims=0)
    is_top = graph("Gather", np.eye(n_outputs, dtype=bool), is_top, axis=0)
    others = graph("Where", is_top, np.float32(-np.inf), logits)
    rival = graph("ReduceMax", others, np.array([1], np.int64), keepdims=1)
    room = graph("Mul", graph("Max", graph("Abs", rival), ONE), ahead)
    return graph("Where", is_top, graph("Max", logits, graph("Add", rival, room)), logits)


def regression(graph, description, rows, dtype, return_std):
    """The prediction (n_rows, n_targets) in float64, and its deviation, or None.

    Numbers came in the precision `dtype`.
    """
    output, network = description["output"], description["network"]
    columns, units = description["columns"], (network["mean"], network["scale"])
    encoded = encode(graph, rows, columns, *units)
    prediction = _standardized_mean(graph, description, encoded)
    deviation = None
    if return_std:
        deviation = _deviation(graph, description, encoded, prediction)
        deviation = graph("Mul", deviation, output["unit"])
    prediction = _in_units(graph, output, prediction)
    if description["ranges"] is not None and rows.numbers is not None:
        prediction = _drawn_in(graph, description, rows, dtype, prediction)
    return prediction, deviation


def _in_units(graph, output, mean):
    return graph("Add", graph("Mul", mean, output["unit"]), output["offset"])


def _standardized_mean(graph, description, rows):
    """What the raw outputs stand for, in standardised units and float64."""
    output = description["output"]
    units = output["of_raw_outputs"]
    Z2 = outputs_in_units(graph, rows, description["network"], units["factor"], units["offset"])
    Z2 = graph.cast(Z2, DOUBLE)
    if output["link"] == "log":
        limit = math.log(float(np.finfo(FLOAT).max) / 4)
        limits = (np.float64(sign * limit) for sign in (-1, 1))
        return graph("Exp", graph("Clip", Z2, *limits))
    if output["link"] == "log_variance":
        return graph.between(Z2, 0, output["n_targets"])
    if output["link"] == "increments":
        n = len(units["factor"])
        steps = _softplus(graph, graph.between(Z2, 1, n))
        found = graph.side_by_side([graph.between(Z2, 0, 1), steps])
        return graph("MatMul", found, np.triu(np.ones((n, n))))
    return Z2


def _softplus(graph, Z):
    """In float64, which onnxruntime's own has not."""
    tail = graph("Exp", graph("Neg", graph("Abs", Z)))
    tail = graph("Log", graph("Add", tail, np.float64(1)))
    return graph("Add", graph("Max", Z, np.float64(0)), tail)


def _drawn_in(graph, description, rows, dtype, prediction):
    """Far outside, where networks are less certain than targets are, what they say nearby."""
    output, ranges, columns = description["output"], description["ranges"], description["columns"]
    outer, inner = _bounds(ranges, columns, dtype)
    numbers = rows.numbers
    # nothing is below or above NaN, the bound of a column without numbers
    below, above = graph("Less", numbers, outer[0]), graph("Greater", numbers, outer[1])
    outside = graph.cast(graph("Or", below, above), FLOAT)
    outside = graph("Greater", graph.reduce_sum(outside, 1), np.float32(0))
    far = rows.part(graph, outside)
    units = description["network"]["mean"], description["network"]["scale"]
    unknown = _unknown(graph, description, encode(graph, far, columns, *units))
    near = graph("Where", graph("Less", far.numbers, inner[0]), inner[0], far.numbers)
    near = graph("Where", graph("Greater", near, inner[1]), inner[1], near)
    near = encode(graph, RawRows(near, far.codes), columns, *units)
    near = _in_units(graph, output, _standardized_mean(graph, description, near))
    limits = (ranges[f"{name}_prediction"] for name in ("least", "greatest"))
    least, greatest = (np.asarray(limit, DOUBLE) for limit in limits)
    near = graph("Min", graph("Max", near, least), greatest)
    changed = graph("Where", unknown, near, graph("Compress", prediction, outside, axis=0))
    numbers_of_rows = graph("Transpose", graph("NonZero", outside), perm=[1, 0])
    return graph("ScatterND", prediction, numbers_of_rows, changed)


def _bounds(ranges, columns, dtype):
    """Of numbers: beyond which they are outside, and where these are drawn in to."""
    is_number = [column["kind"] == "number" for column in columns]
    found = engine.Ranges(*(ranges[name] for name in ("low", "high", "Y_low", "Y_high")))
    return [
        [bound[is_number].astype(DOUBLE) for bound in of_kind(found, np.dtype(dtype))]
        for of_kind in (engine.limits_of_numbers, engine.bounds_of_numbers)
    ]


def _unknown(graph, description, rows):
    """Whether the function of each target varies more than the target did in training."""
    output = description["output"]
    _, U = average(graph, rows, description["columns"], description["members"])
    found = _variance_of_mean(graph, description, rows, U)
    # what is no number is not certain either
    return graph("Not", graph("LessOrEqual", found, output["variance"]))


def _variance_of_mean(graph, description, rows, U):
    """Of the function in each row, in standardised units and float64, (n_rows, n_targets)."""
    output, found = description["output"], graph.cast(variance(graph, U), DOUBLE)
    if output["link"] == "log_variance":
        return graph.between(found, 0, output["n_targets"])
    if output["link"] == "log":
        mean = _standardized_mean(graph, description, rows)
        return graph("Mul", graph("Mul", mean, mean), found)
    return found


def _deviation(graph, description, rows, mean):
    """Of new targets in each row, in standardised units and float64."""
    output, columns, members = (description[name] for name in ("output", "columns", "members"))
    if output["link"] == "log_variance":
        return _varying_deviation(graph, description, rows)
    _, U = average(graph, rows, columns, members)
    found, noise = graph.cast(variance(graph, U), DOUBLE), output["noise"].astype(DOUBLE)
    if output["link"] == "log":
        # squares of means behind a logarithm may leave the range of float32
        found = graph("Mul", graph("Mul", mean, mean), found)
        noise = graph("Mul", graph("Pow", mean, np.float64(output["power"])), noise)
    return graph("Sqrt", graph("Add", found, noise))


def _varying_deviation(graph, description, rows):
    """The root mean square around the mean of the groups of constant and of varying noise."""
    members, groups = description["members"], []
    for is_constant in (True, False):
        group = [m for m in members if m["has_constant_noise"] == is_constant]
        if group:
            location, square = _located(graph, description, rows, group)
            weights = [sum(m[name] for m in group) for name in ("weight", "density")]
            groups.append((location, square, *map(np.float64, weights)))
    mean = graph.sum([graph("Mul", w, location) for location, _, w, _ in groups])
    parts = []
    for location, square, _, density in groups:
        apart = graph("Sub", location, mean)
        total = graph("Add", square, graph("Mul", apart, apart))
        parts.append(graph("Mul", density, total))
    return graph("Sqrt", graph.sum(parts))


def _located(graph, description, rows, group):
    """The location of new targets in the eyes of a group, and their mean square around it."""
    n = description["output"]["n_targets"]
    Z2, U = average(graph, rows, description["columns"], group)
    Z2, of_all = graph.cast(Z2, DOUBLE), graph.cast(variance(graph, U), DOUBLE)
    location, log_noise = graph.between(Z2, 0, n), graph.between(Z2, n, 2 * n)
    open_part = graph("Min", graph.between(of_all, n, 2 * n), np.float64(engine.MOST_UNCERTAIN))
    log_noise = graph("Add", log_noise, graph("Mul", open_part, np.float64(0.5)))
    noise = graph("Exp", graph("Clip", log_noise, -LARGEST_LOG, LARGEST_LOG))
    noise = graph("Add", noise, np.float64(engine.LEAST_NOISE))
    return location, graph("Add", noise, graph.between(of_all, 0, n))
