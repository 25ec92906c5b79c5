"""Nodes and constants of an ONNX graph, added one by one to a model of ours or of skl2onnx."""

from abc import ABC, abstractmethod

import numpy as np

ML = "ai.onnx.ml"
"""The domain of the operators that know of labels."""

OPSET, OPSET_OF_ML, IR_VERSION = 18, 3, 8
"""What a model of our own asks of its runtime: those of onnx 1.13, onnxruntime 1.14."""


class Graph(ABC):
    """``graph("Add", a, b)`` adds a node and returns the name of its output.

    Names stand for tensors; arrays and NumPy's numbers become constants.
    """

    @abstractmethod
    def new_name(self, of):
        """A name that nothing has."""

    @abstractmethod
    def add_node(self, operator, inputs, output, domain, attributes):
        """Add a node of one output."""

    @abstractmethod
    def add_constant(self, name, values):
        """Add an array."""

    def __call__(self, operator, *inputs, domain="", **attributes):
        """Add a node; `domain` and attributes are those of the operator."""
        names = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        output = self.new_name(operator)
        self.add_node(operator, names, output, domain, attributes)
        return output

    def constant(self, values):
        """The name of an array that is part of the model."""
        name = self.new_name("constant")
        self.add_constant(name, np.asarray(values))
        return name

    def cast(self, tensor, dtype):
        """In another precision."""
        from onnx import helper

        return self("Cast", tensor, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def within_range(self, tensor, dtype):
        """Numbers of float64 in a precision, drawn in to a quarter of its largest one."""
        limit = np.float64(np.finfo(dtype).max) / 4
        return self.cast(self("Clip", tensor, -limit, limit), dtype)

    def columns(self, tensor, numbers):
        """Some columns of a matrix, in any order."""
        return self("Gather", tensor, np.asarray(numbers, np.int64), axis=1)

    def between(self, tensor, start, stop):
        """The columns from `start` to `stop`."""
        ends = (np.array([each], np.int64) for each in (start, stop, 1))
        return self("Slice", tensor, *ends, np.array([1], np.int64))

    def side_by_side(self, tensors, axis=1):
        """Matrices one beside the other; None for none."""
        if not tensors:
            return None
        return tensors[0] if len(tensors) == 1 else self("Concat", *tensors, axis=axis)

    def sum(self, tensors):
        """The sum of tensors of one shape."""
        total, *others = tensors
        for each in others:
            total = self("Add", total, each)
        return total

    def reduce_sum(self, tensor, axis, keepdims=0):
        """Along an axis."""
        return self("ReduceSum", tensor, np.array([axis], np.int64), keepdims=keepdims)

    def expand(self, tensor, *axes):
        """With further axes of one entry."""
        return self("Unsqueeze", tensor, np.array(axes, np.int64))

    def reshape(self, tensor, *shape):
        """In another shape, of which 0 stands for the length that there is."""
        return self("Reshape", tensor, np.array(shape, np.int64))


class ModelGraph(Graph):
    """The graph of a model of its own, whose inputs have the names `taken`."""

    def __init__(self, taken):
        self.nodes, self.constants, self.taken = [], [], taken
        self.n_names = 0

    def new_name(self, of):  # noqa: D102
        self.n_names += 1
        name = f"{of}_{self.n_names}"
        return self.new_name(of) if name in self.taken else name

    def add_node(self, operator, inputs, output, domain, attributes):  # noqa: D102
        from onnx import helper

        node = helper.make_node(operator, inputs, [output], output, domain=domain, **attributes)
        self.nodes.append(node)

    def add_constant(self, name, values):  # noqa: D102
        from onnx import helper, numpy_helper

        if values.dtype.kind in "UO":
            text = [str(value).encode() for value in values.ravel()]
            from_text = helper.make_tensor(name, helper.TensorProto.STRING, values.shape, text)
            self.constants.append(from_text)
        else:
            self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))


class ContainerGraph(Graph):
    """What a converter of skl2onnx adds to the model of a pipeline."""

    def __init__(self, scope, container):
        self.scope, self.container = scope, container

    def new_name(self, of):  # noqa: D102
        return self.scope.get_unique_variable_name(of)

    def add_node(self, operator, inputs, output, domain, attributes):  # noqa: D102
        name = self.scope.get_unique_operator_name(operator)
        version = OPSET_OF_ML if domain == ML else None
        options = {"op_domain": domain, "op_version": version, "name": name}
        self.container.add_node(operator, inputs, output, **options, **attributes)

    def add_constant(self, name, values):  # noqa: D102
        from onnx import helper

        is_text = values.dtype.kind in "UO"
        content = [str(v).encode() for v in values.ravel()] if is_text else values.ravel()
        kind = helper.TensorProto.STRING
        if not is_text:
            kind = helper.np_dtype_to_tensor_dtype(values.dtype)
        self.container.add_initializer(name, kind, list(values.shape), content)
