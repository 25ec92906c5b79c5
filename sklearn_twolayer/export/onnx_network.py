"""The network in ONNX: activations, their slopes, and raw outputs."""

import math

import numpy as np

from .onnx_rows import FLOAT

ONE, HALF = np.float32(1), np.float32(0.5)


def _is_above(graph, Z, A):
    return graph.cast(graph("Greater", A, np.float32(0)), FLOAT)


def _of_leaky_relu(graph, Z, A):
    return graph("Max", _is_above(graph, Z, A), np.float32(0.01))


def _of_elu(graph, Z, A):
    return graph("Add", graph("Min", A, np.float32(0)), ONE)


def _of_logistic(graph, Z, A):
    return graph("Mul", A, graph("Sub", ONE, A))


def _of_tanh(graph, Z, A):
    return graph("Sub", ONE, graph("Mul", A, A))


def _normal_cdf(graph, Z):
    error = graph("Erf", graph("Mul", Z, np.float32(math.sqrt(0.5))))
    return graph("Mul", graph("Add", error, ONE), HALF)


def _of_gelu(graph, Z, A):
    density = graph("Exp", graph("Mul", graph("Mul", Z, Z), np.float32(-0.5)))
    density = graph("Mul", density, np.float32(1 / math.sqrt(2 * math.pi)))
    return graph("Add", _normal_cdf(graph, Z), graph("Mul", Z, density))


def _of_silu(graph, Z, A):
    S = graph("Sigmoid", Z)
    return graph("Add", S, graph("Mul", A, graph("Sub", ONE, S)))


def _of_identity(graph, Z, A):
    return graph("Add", graph("Mul", A, np.float32(0)), ONE)


ACTIVATIONS = {
    "identity": (lambda graph, Z: Z, _of_identity),
    "logistic": (lambda graph, Z: graph("Sigmoid", Z), _of_logistic),
    "tanh": (lambda graph, Z: graph("Tanh", Z), _of_tanh),
    "relu": (lambda graph, Z: graph("Relu", Z), _is_above),
    "leaky_relu": (lambda graph, Z: graph("LeakyRelu", Z, alpha=0.01), _of_leaky_relu),
    "elu": (lambda graph, Z: graph("Elu", Z), _of_elu),
    "gelu": (lambda graph, Z: graph("Mul", Z, _normal_cdf(graph, Z)), _of_gelu),
    "silu": (lambda graph, Z: graph("Mul", Z, graph("Sigmoid", Z)), _of_silu),
    "softplus": (
        lambda graph, Z: graph("Softplus", Z),
        lambda graph, Z, A: graph("Sigmoid", Z),
    ),
}
"""Of each activation a(Z), and a'(Z) given Z and A = a(Z)."""


def outputs_in_units(graph, rows, network, factor, offset):
    """(Z2 - offset) / factor of the network of raw units, (n_rows, n_outputs) in float32."""
    W1, b1, W2, b2 = (network[name] for name in ("W1", "b1", "W2", "b2"))
    zero, one = np.zeros(len(W1)), np.ones(len(W1))
    A1 = _hidden(graph, rows.times(W1, b1, zero, one), network["hidden"])
    from_hidden = graph("MatMul", A1, (W2 / factor).astype(FLOAT))
    constant, W0 = (b2 - offset) / factor, network["W0"]
    if W0 is None:
        return graph("Add", from_hidden, constant.astype(FLOAT))
    return graph("Add", from_hidden, rows.times(W0 / factor, constant, zero, one))


def _hidden(graph, Z1, blocks):
    """A1, of which each block of units has its activation."""
    merged = []  # neighbours of one activation are one block
    for block in blocks:
        name, n = block["activation"], block["n_units"]
        if merged and merged[-1][0] == name:
            merged[-1][1] += n
        elif n:
            merged.append([name, n])
    if len(merged) == 1:
        return ACTIVATIONS[merged[0][0]][0](graph, Z1)
    parts, start = [], 0
    for name, n in merged:
        parts.append(ACTIVATIONS[name][0](graph, graph.between(Z1, start, start + n)))
        start += n
    return graph.side_by_side(parts)
