"""A reader of exported JSON that knows Python and nothing else: what another language would do."""

from itertools import pairwise
from json import loads
from math import erf, exp, expm1, log1p, sqrt, tanh


def softplus(z):
    return max(z, 0) + log1p(exp(-abs(z)))


def logistic(z):
    return (1 + tanh(z / 2)) / 2


ACTIVATIONS = {
    "identity": lambda z: z,
    "logistic": logistic,
    "tanh": tanh,
    "relu": lambda z: max(z, 0),
    "leaky_relu": lambda z: max(z, 0.01 * z),
    "elu": lambda z: max(z, 0) + expm1(min(z, 0)),
    "gelu": lambda z: z * (1 + erf(z / sqrt(2))) / 2,
    "silu": lambda z: z * logistic(z),
    "softplus": softplus,
}


def encode(row, columns):
    """Encoded columns of a row of numbers and labels, None or NaN where they are missing."""
    found = {}
    for value, column in zip(row, columns, strict=True):
        is_missing = value is None or value != value
        if column["kind"] == "category":
            block = [float(value == label) for label in column["levels"]]
        elif is_missing:
            block = column["fill"]
        else:
            steps = pairwise(column["knots"])
            block = [value, *(min(max((value - a) / (b - a), 0), 1) for a, b in steps)]
        block = [*block, float(is_missing)] if column["has_indicator"] else block
        found |= {column["start"] + k: float(number) for k, number in enumerate(block)}
    return [found[k] for k in range(len(found))]


def times(x, W):
    """x W."""
    return [sum(map(float.__mul__, x, column)) for column in zip(*W, strict=True)]


def predict(text, row):
    """A list: quantities, or probabilities."""
    described = loads(text)
    network, output = described["network"], described["output"]
    x = encode(row, described["columns"])
    names = [name for b in network["hidden"] for name in [b["activation"]] * b["n_units"]]
    Z1 = [z + b for z, b in zip(times(x, network["W1"]), network["b1"], strict=True)]
    A1 = [float(ACTIVATIONS[name](z)) for name, z in zip(names, Z1, strict=True)]
    Z2 = [z + b for z, b in zip(times(A1, network["W2"]), network["b2"], strict=True)]
    if network["W0"]:
        Z2 = [a + b for a, b in zip(Z2, times(x, network["W0"]), strict=True)]
    return link(Z2, output)


def link(Z2, output):
    kind, moderation = output["link"], output.get("moderation")
    if kind == "log":
        return [exp(z) for z in Z2]
    if kind == "log_variance":
        return Z2[: output["n_targets"]]
    if kind == "increments":
        unit = output["unit"][0]
        steps = [Z2[0], *(unit * softplus(z / unit) for z in Z2[1:])]
        return [sum(steps[: k + 1]) for k in range(len(steps))]
    Z2 = [z * (moderation["temperature"] if moderation else 1) for z in Z2]
    if kind == "softmax":
        exponentials = [exp(z - max(Z2)) for z in Z2]
        return [e / sum(exponentials) for e in exponentials]
    if kind == "logistic":
        return [logistic(z) for z in (Z2 if output["is_multilabel"] else [-Z2[0], Z2[0]])]
    return Z2
