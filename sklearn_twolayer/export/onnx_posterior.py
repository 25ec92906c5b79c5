"""How sure the networks are, in ONNX: the posterior covariance of raw outputs, as a product U U'.

U (n_rows, n_outputs, r) has a column for each direction in which parameters are uncertain, and one
for each member, by how far its outputs are from their mean. As roots of covariances are multiplied,
and no differences taken, float32 will do. All is in the standardised units of training.
"""

import numpy as np

from .description import full_covariance, n_encoded
from .onnx_network import ACTIVATIONS
from .onnx_rows import FLOAT

ROUNDING = 1e-14
"""Of the largest eigenvalue of a covariance: smaller ones are none."""


def average(graph, rows, columns, members):
    """Z2 (n_rows, n_outputs) and U of the members' average."""
    weights = np.array([member["density"] for member in members])
    weights = (weights / weights.sum()).astype(FLOAT)
    found = [_Member(graph, rows, columns, member) for member in members]
    outputs = [member.outputs() for member in found]
    mean = graph.sum([graph("Mul", w, Z2) for w, Z2 in zip(weights, outputs, strict=True)])
    parts = []
    for weight, Z2, member in zip(weights, outputs, found, strict=True):
        roots = member.roots()
        if len(members) > 1:
            roots.append(graph.expand(graph("Sub", Z2, mean), 2))
        parts += [graph("Mul", np.sqrt(weight), root) for root in roots]
    if not parts:  # all are certain
        parts = [graph.expand(graph("Mul", mean, np.float32(0)), 2)]
    return mean, graph.side_by_side(parts, axis=2)


def variance(graph, U):
    """The diagonal of U U', (n_rows, n_outputs)."""
    return graph.reduce_sum(graph("Mul", U, U), 2)


def covariance(graph, U):
    """U U', (n_rows, n_outputs, n_outputs)."""
    return graph("MatMul", U, graph("Transpose", U, perm=[0, 2, 1]))


def _places(own, columns):
    """Where each encoded column of a member stands among those of the widest encoding."""
    if own is None:
        return np.array([column["start"] for column in columns])
    size = max(c["start"] + n_encoded(c) for c in own)
    places = np.empty(size, np.intp)
    for of_member, column in zip(own, columns, strict=True):
        n, start = n_encoded(of_member), column["start"]
        there = start + np.arange(n)
        if column["has_indicator"] and column["kind"] == "number":
            there[-1] = start + n_encoded(column) - 1  # behind the increments
        places[of_member["start"] : of_member["start"] + n] = there
    return places


class _Member:
    """One network in its units, and the roots of the covariance of its outputs."""

    def __init__(self, graph, rows, columns, member):
        self.graph, self.member = graph, member
        self.rows = rows.only(_places(member["columns"], columns))
        self.units = member["mean"], member["scale"]
        value, slope = ACTIVATIONS[member["activation"]]
        Z1 = self.rows.times(member["W1"], member["b1"], *self.units)
        self.A1 = value(graph, Z1)
        # of the output k, d Z2_k / d Z1 = slope W2_k: (n_rows, n_outputs, n_hidden)
        W2 = np.ascontiguousarray(member["W2"].T).astype(FLOAT)
        self.S = graph("Mul", graph.expand(slope(graph, Z1, self.A1), 1), W2)
        self.n_hidden, self.n_outputs = member["W2"].shape

    def outputs(self):
        """Z2."""
        W2, b2, W0 = (self.member[name] for name in ("W2", "b2", "W0"))
        layer2 = [W2, b2[None]] if W0 is None else [W2, b2[None], W0]
        return self._of_layer2(np.concatenate(layer2))

    def roots(self):
        """A list of (n_rows, n_outputs, r)."""
        found = self.member["covariance"]
        if found is None:
            return []
        return self._of_full(found) if found["kind"] == "full" else self._of_kronecker(found)

    def _of_layer2(self, M):
        """[a, 1, x] @ M, or [a, 1] @ M where M has no more rows."""
        graph, h = self.graph, self.n_hidden
        of_hidden = graph("MatMul", self.A1, M[:h].astype(FLOAT))
        if len(M) == h + 1:
            return graph("Add", of_hidden, M[h].astype(FLOAT))
        of_columns = np.zeros((len(self.units[0]), M.shape[1]))
        of_columns[: len(M) - h - 1] = M[h + 1 :]
        return graph("Add", of_hidden, self.rows.times(of_columns, M[h], *self.units))

    def _of_full(self, found):
        """J R, R being a root of the covariance and J = d Z2 / d theta."""
        graph, h, n_outputs = self.graph, self.n_hidden, self.n_outputs
        n_columns, R = len(self.units[0]), _root(full_covariance(found))
        r = R.shape[1]
        layer1 = R[: (n_columns + 1) * h].reshape(n_columns + 1, h, r)
        M, constant = self.rows.folded(layer1[:-1], layer1[-1], *self.units)
        x, order = self.rows.written_out()
        # x (x) slope W2_k, then what the weights of the bias add
        outer = graph("Mul", graph.expand(x, 1, 3), graph.expand(self.S, 2))
        outer = graph.reshape(outer, 0, n_outputs, len(order) * h)
        of_weights = graph("MatMul", outer, M[order].reshape(-1, r).astype(FLOAT))
        of_bias = graph("MatMul", self.S, constant.astype(FLOAT))
        layer2 = R[(n_columns + 1) * h :].reshape(-1, n_outputs * r)
        behind = graph.reshape(self._of_layer2(layer2), 0, n_outputs, r)
        return [graph.sum([of_weights, of_bias, behind])]

    def _of_kronecker(self, found):
        """sqrt(q_k) S'u_k, and sqrt(t_l) v_l."""
        graph, n = self.graph, len(found["rotation"])
        q = self._of_coordinates(found) if "basis" in found else self._of_columns(found)
        along = graph("MatMul", self.S, found["U"].astype(FLOAT))
        of_layer1 = graph("Mul", along, graph.expand(graph("Sqrt", q), 1))
        return [of_layer1, self._behind(found, n - 1)]

    def _of_coordinates(self, found):
        """q_k (n_rows, n_hidden) by coordinates in the row space and the distance from it."""
        graph, basis, rotation = self.graph, found["basis"], found["rotation"]
        n, joint = basis.shape[1], len(rotation) - 1
        inverse = 1 / (1 + np.outer(found["D"], found["g"]))
        others = found["scale"][:, None] ** 2 * inverse[joint + 1 :]
        z = self.rows.times(basis, np.zeros(n), *self.units)
        turned = np.concatenate([rotation[:-1], np.zeros((n - joint, joint + 1))])
        along = graph("MatMul", z, turned.astype(FLOAT))
        along = graph("Add", along, rotation[-1].astype(FLOAT))
        q = graph("MatMul", graph("Mul", along, along), inverse[: joint + 1].astype(FLOAT))
        squares = graph("Mul", z, z)
        length = self.rows.squares_times(found["spread"][:, None], 0, *self.units)
        # where rounding makes it negative a row lies in the space
        outside = graph("Relu", graph("Sub", length, graph.reduce_sum(squares, 1, 1)))
        of_outside = graph("Mul", outside, others[-1:].astype(FLOAT))
        alone = np.concatenate([np.zeros((joint, others.shape[1])), others[:-1]])
        return graph.sum([q, graph("MatMul", squares, alone.astype(FLOAT)), of_outside])

    def _of_columns(self, found):
        """q_k (n_rows, n_hidden)."""
        graph, n = self.graph, len(found["rotation"])
        rotation = np.zeros((len(self.units[0]), n))
        rotation[: n - 1] = found["rotation"][:-1]
        inverse = 1 / (1 + np.outer(found["D"], found["g"]))
        along = self.rows.times(rotation, found["rotation"][-1], *self.units)
        q = graph("MatMul", graph("Mul", along, along), inverse[:n].astype(FLOAT))
        others = found["scale"][:, None] ** 2 * inverse[n:]
        return self._with_squares(q, others, n - 1)

    def _behind(self, found, n_joint):
        """sqrt(t_l) v_l, t_l = [a, 1, x]' inverse_l [a, 1, x]."""
        graph, roots = self.graph, [_root(inverse) for inverse in found["layer2"]]
        r = max(root.shape[1] for root in roots)
        padded = [np.pad(root, ((0, 0), (0, r - root.shape[1]))) for root in roots]
        along = graph.reshape(self._of_layer2(np.concatenate(padded, axis=1)), 0, len(roots), r)
        t = graph.reduce_sum(graph("Mul", along, along), 2)
        t = self._with_squares(t, found["layer2_alone"].reshape(len(roots), -1).T, n_joint)
        return graph("Mul", graph.expand(graph("Sqrt", t), 1), found["V"].astype(FLOAT))

    def _with_squares(self, total, M, first):
        """What the squares of columns add whose correlations do not count."""
        squares = self.rows.squares_times(M, first, *self.units)
        return total if squares is None else self.graph("Add", total, squares)


def _root(C):
    """R with R R' = C, with as few columns as C has rank."""
    values, vectors = np.linalg.eigh(C)
    kept = values > ROUNDING * max(values[-1], 0)
    return vectors[:, kept] * np.sqrt(values[kept])
