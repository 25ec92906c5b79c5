"""Rows in ONNX: from the columns of X to encoded columns, in the units of training.

Numbers are compared, and differences taken, in float64; what is left of them is of the size of one,
for which float32 will do.
"""

from dataclasses import dataclass, replace

import numpy as np

from .description import n_increments
from .onnx_graph import ML

FLOAT, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)


@dataclass(frozen=True)
class RawRows:
    """The numbers of X (n_rows, n_numbers) in float64, and the code (n_rows,) of each category.

    A category of n levels has the codes 0 to n - 1, n where it is missing, n + 1 if unknown.
    """

    numbers: str | None
    codes: dict[int, str]

    def part(self, graph, condition):
        """The rows where a condition (n_rows,) holds."""
        numbers = self.numbers and graph("Compress", self.numbers, condition, axis=0)
        codes = {j: graph("Compress", c, condition, axis=0) for j, c in self.codes.items()}
        return RawRows(numbers, codes)


@dataclass(frozen=True)
class Source:
    """A tensor of the model's inputs, its type, and which column of it one of X is.

    `column` is None where the tensor is that column alone.
    """

    tensor: str
    dtype: str
    column: int | None = None


def read_rows(graph, columns, sources):
    """The rows of a description's columns, each from its source."""
    numbers = [j for j, column in enumerate(columns) if column["kind"] == "number"]
    codes = {
        j: _codes(graph, column, sources[j])
        for j, column in enumerate(columns)
        if column["kind"] == "category"
    }
    return RawRows(_numbers(graph, [sources[j] for j in numbers]), codes)


def _numbers(graph, sources):
    if not sources:
        return None
    if len({source.tensor for source in sources}) == 1 and sources[0].column is not None:
        tensor = graph.columns(sources[0].tensor, [source.column for source in sources])
        return graph.cast(tensor, DOUBLE)
    return graph.side_by_side([graph.cast(_column(graph, source), DOUBLE) for source in sources])


def _column(graph, source):
    """(n_rows, 1)."""
    return source.tensor if source.column is None else graph.columns(source.tensor, [source.column])


def _codes(graph, column, source):
    """The codes (n_rows,) of a column of labels."""
    labels, tensor = column["levels"], _column(graph, source)
    is_text = any(isinstance(label, str) for label in labels)
    if labels and is_text != (source.dtype == "string"):
        kind = "strings" if is_text else "numbers"
        raise TypeError(
            f"column {column['name']!r} must be an input of {kind}, as its categories were in "
            f"training, got {source.dtype}"
        )
    are_whole = labels and not is_text and all(float(label).is_integer() for label in labels)
    if source.dtype == "string":
        known = [*labels, ""] if "" not in labels else labels
        codes = _looked_up(graph, tensor, "keys_strings", known, len(labels) + 1)
    elif source.dtype.startswith("int") and are_whole:
        whole = [int(label) for label in labels]
        tensor = graph.cast(tensor, np.int64)
        codes = _looked_up(graph, tensor, "keys_int64s", whole, len(labels) + 1)
    else:
        codes = _codes_of_floats(graph, tensor, column, source.dtype)
    return graph.reshape(codes, -1)


def _looked_up(graph, tensor, kind, known, otherwise):
    """The place of each entry among those that are known."""
    values = {kind: known, "values_int64s": list(range(len(known)))}
    return graph("LabelEncoder", tensor, domain=ML, **values, default_int64=otherwise)


def _codes_of_floats(graph, tensor, column, dtype):
    """By comparison with all: (n_rows, 1)."""
    dtype = FLOAT if dtype == "float32" else DOUBLE
    labels = np.array(column["levels"], dtype)
    if len(np.unique(labels)) < len(labels):
        raise ValueError(
            f"column {column['name']!r} has categories that are the same in float32: make it an "
            "input of float64 or int64"
        )
    tensor = graph.cast(tensor, dtype)
    missing = graph.cast(graph("IsNaN", tensor), FLOAT)
    known = graph.cast(graph("Equal", tensor, labels[None]), FLOAT)
    # what is neither known nor missing has its largest number in the last place
    half = graph("Add", graph("Mul", missing, np.float32(0)), np.float32(0.5))
    return graph("ArgMax", graph.side_by_side([known, missing, half]), axis=1, keepdims=1)


@dataclass(frozen=True)
class EncodedRows:
    """Encoded columns (x - mean) / scale.

    `dense` (n_rows, n_dense) has those whose numbers are in `order`; of a category whose levels are
    0 or 1 `wide` has (codes, number of its first column, (its columns, how many codes there are)),
    so that its weights are looked up. mean and scale are those of all encoded columns; none is
    infinite.
    """

    graph: object
    dense: str | None
    order: np.ndarray
    wide: tuple
    mean: np.ndarray
    scale: np.ndarray

    def only(self, places):
        """Some encoded columns, as another encoding has them in this order."""
        number_of = {int(column): i for i, column in enumerate(places)}
        kept = [i for i, column in enumerate(self.order) if int(column) in number_of]
        dense = self.dense
        if dense and len(kept) < len(self.order):
            dense = self.graph.columns(dense, kept)
        order = np.array([number_of[int(self.order[i])] for i in kept], dtype=np.intp)
        wide = tuple((codes, number_of[start], size) for codes, start, size in self.wide)
        mean, scale = self.mean[places], self.scale[places]
        return replace(self, dense=dense, order=order, wide=wide, mean=mean, scale=scale)

    def folded(self, M, constant, mean, scale):
        """The matrix and constant that make of these what M and a constant make of others.

        Those are the same columns less `mean`, divided by `scale`, M (n_encoded, ...).
        """
        axes = (-1, *(1,) * (np.ndim(M) - 1))
        ratio = np.reshape(self.scale / scale, axes)
        return ratio * M, constant + np.tensordot((self.mean - mean) / scale, M, 1)

    def times(self, M, constant, mean, scale):
        """((x - mean) / scale) @ M + constant, (n_rows, n)."""
        graph = self.graph
        M, constant = self.folded(M, constant, mean, scale)
        parts = [self._looked_up(each, M) for each in self.wide]
        if self.dense:
            parts.append(graph("MatMul", self.dense, M[self.order].astype(FLOAT)))
        return graph("Add", graph.sum(parts), constant.astype(FLOAT))

    def _looked_up(self, wide, M):
        codes, start, size = wide
        n_codes = size[1]
        rows = np.zeros((n_codes, M.shape[1]), FLOAT)
        rows[: size[0]] = M[start : start + size[0]]
        return self.graph("Gather", rows, codes, axis=0)

    def squares_times(self, M, first, mean, scale):
        """((x - mean) / scale)^2 @ M of the columns from the `first` on, or None for no columns."""
        if not len(M):
            return None
        graph, ratio, shift = self.graph, self.scale / scale, (self.mean - mean) / scale
        padded = np.concatenate([np.zeros((first, M.shape[1])), M])
        parts = [self._looked_up(each, padded) for each in self.wide if each[1] >= first]
        kept = np.flatnonzero(self.order >= first)
        if len(kept):
            columns, order = graph.columns(self.dense, kept), self.order[kept]
            x = graph("Mul", columns, ratio[order].astype(FLOAT))
            x = graph("Add", x, shift[order].astype(FLOAT))
            parts.append(graph("MatMul", graph("Mul", x, x), padded[order].astype(FLOAT)))
        return graph.sum(parts)

    def written_out(self):
        """All columns, those of many levels too (n_rows, n_encoded), and their numbers."""
        parts, order = [self.dense] if self.dense else [], [self.order]
        for codes, start, (n, n_codes) in self.wide:
            parts.append(self.graph("Gather", np.eye(n_codes, n, dtype=FLOAT), codes, axis=0))
            order.append(start + np.arange(n))
        return self.graph.side_by_side(parts), np.concatenate(order)


def encode(graph, rows, columns, mean, scale):
    """The encoded columns of a description, less the mean and divided by the scale."""
    scale = np.where(np.isinf(scale), 1.0, scale)
    numbers = [column for column in columns if column["kind"] == "number"]
    parts, order = _encoded_numbers(graph, rows.numbers, numbers, mean, scale)
    wide = []
    for j, column in enumerate(columns):
        if column["kind"] == "number":
            continue
        n, start = column["n_levels"] + column["has_indicator"], column["start"]
        n_codes = column["n_levels"] + 2
        block = slice(start, start + n)
        if not mean[block].any() and (scale[block] == 1).all():  # as those of many levels are
            wide.append((rows.codes[j], start, (n, n_codes)))
            continue
        table = ((np.eye(n_codes, n) - mean[block]) / scale[block]).astype(FLOAT)
        parts.append(graph("Gather", table, rows.codes[j], axis=0))
        order.append(start + np.arange(n))
    dense, order = graph.side_by_side(parts), np.concatenate([*order, np.empty(0, np.intp)])
    return EncodedRows(graph, dense, order.astype(np.intp), tuple(wide), mean, scale)


def _encoded_numbers(graph, numbers, columns, mean, scale):
    """Values, increments and indicators of all numbers, and which encoded columns these are."""
    if numbers is None:
        return [], []
    missing = graph("IsNaN", numbers)
    start = np.array([column["start"] for column in columns])

    def standardized(tensor, places):
        tensor = graph("Div", graph("Sub", tensor, mean[places]), scale[places])
        return graph.cast(tensor, FLOAT)

    values = graph("Where", missing, np.array([c["fill"][0] for c in columns], DOUBLE), numbers)
    parts, order = [standardized(values, start)], [start]
    n_each = np.array([n_increments(column) for column in columns])
    if n_each.any():
        places = np.concatenate(
            [s + 1 + np.arange(n) for s, n in zip(start, n_each, strict=True)]
        ).astype(np.intp)
        increments = _increments(graph, numbers, missing, columns, n_each)
        parts.append(standardized(increments, places))
        order.append(places)
    told = np.flatnonzero([column["has_indicator"] for column in columns])
    if len(told):
        places = start[told] + 1 + n_each[told]
        indicators = graph.cast(graph.columns(missing, told), DOUBLE)
        parts.append(standardized(indicators, places))
        order.append(places)
    return parts, order


def _increments(graph, numbers, missing, columns, n_each):
    """min(max((x - t_k) / (t_k+1 - t_k), 0), 1) for all knots of all numbers, in float64."""
    origin = np.repeat(np.arange(len(columns)), n_each)
    bent = [np.asarray(c["knots"], DOUBLE) for c, n in zip(columns, n_each, strict=True) if n]
    low = np.concatenate([knots[:-1] for knots in bent])
    width = np.concatenate([np.diff(knots) for knots in bent])
    fill = np.concatenate([c["fill"][1:] for c in columns])
    steps = graph("Div", graph("Sub", graph.columns(numbers, origin), low), width)
    steps = graph("Clip", steps, np.float64(0), np.float64(1))
    return graph("Where", graph.columns(missing, origin), fill.astype(DOUBLE), steps)
