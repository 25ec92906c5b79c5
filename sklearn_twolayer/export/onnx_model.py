"""An ONNX model of one estimator."""

import numpy as np

from .._version import __version__
from .description import describe
from .onnx_graph import IR_VERSION, ML, OPSET, OPSET_OF_ML, ModelGraph
from .onnx_outputs import classification, labels_of, regression
from .onnx_rows import Source, read_rows

PRECISIONS = ("float32", "float64")

OF_CLASSES, OF_QUANTITIES = ("label", "probabilities"), ("prediction", "std")
"""The names of outputs."""


def to_onnx(model, *, return_std=False, posterior=True, dtype="float32"):
    """Convert a fitted estimator to an ONNX model, which any ONNX runtime computes.

    Parameters
    ----------
    model : TwoLayerClassifier or TwoLayerRegressor
        The fitted estimator.

    return_std : bool, default=False
        Whether a regressor's model has a second output, the standard deviation of a new y.

    posterior : bool, default=True
        Whether the model has the posterior, too, by far the most of it. Without it predictions are
        those of an estimator fitted with ``store_posterior=False``: no standard deviations, no
        moderated probabilities, and rows far out are not drawn in.

    dtype : {"float32", "float64"}, default="float32"
        Precision of the numbers that go in and of those that come out. The network computes in
        float32 either way; float64 is for columns, or targets, of more than seven digits.

    Returns
    -------
    onnx_model : onnx.ModelProto
        Inputs and outputs are those that :mod:`sklearn_twolayer.export` documents.

    Raises
    ------
    ImportError
        Without onnx, see the extra ``sklearn-twolayer[onnx]``.
    NotFittedError
        Before ``fit``.
    TypeError
        If `model` is no estimator of this package.
    ValueError
        If `dtype` is none of those above, or there is no standard deviation to return.

    See Also
    --------
    register : For pipelines.

    Examples
    --------
    >>> import numpy as np
    >>> import onnxruntime as ort
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_twolayer import TwoLayerClassifier
    >>> from sklearn_twolayer.export import to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> model = TwoLayerClassifier(4, random_state=0).fit(X, y)
    >>> session = ort.InferenceSession(to_onnx(model).SerializeToString())
    >>> label, probability = session.run(None, {"X": X.astype(np.float32)})
    >>> bool((label == model.predict(X)).all())
    True
    >>> bool(abs(probability - model.predict_proba(X)).max() < 1e-5)
    True
    """
    if dtype not in PRECISIONS:
        raise ValueError(f"dtype must be one of {PRECISIONS}, got {dtype!r}")
    description = describe(model, posterior)
    check_deviation(model, description, return_std)
    inputs, sources = _inputs(description["columns"], dtype)
    graph = ModelGraph(taken={name for name, _, _ in inputs})
    outputs = _outputs(graph, description, sources, dtype, return_std)
    return _model(graph, type(model).__name__, inputs, outputs)


def check_deviation(model, description, return_std):
    """ValueError where one is asked for and there is none."""
    if not return_std:
        return
    if "classes" in description["output"]:
        raise ValueError(f"return_std=True needs a regressor, got a {type(model).__name__}")
    loss = model._loss_at_fit
    if not (loss.has_noise or loss.knows_variance):
        raise ValueError(f"return_std=True needs a loss with a noise variance, got {model._loss!r}")
    if not description["has_posterior"]:
        raise ValueError(f"return_std=True needs a posterior: {description['no_posterior']}")


def _inputs(columns, dtype):
    """The inputs of a model, (name, type, number of columns), and the source of each column."""
    kinds = [_kind(column, dtype) for column in columns]
    if set(kinds) == {dtype}:
        sources = [Source("X", dtype, j) for j in range(len(columns))]
        return [("X", dtype, len(columns))], sources
    names = _names(columns)
    sources = [Source(name, kind) for name, kind in zip(names, kinds, strict=True)]
    return [(name, kind, 1) for name, kind in zip(names, kinds, strict=True)], sources


def _names(columns):
    """Those of the columns, with underscores behind what is the name of something else."""
    found, taken = [], {"", *OF_CLASSES, *OF_QUANTITIES}
    for column in columns:
        name = column["name"]
        while name in taken:
            name += "_"
        found.append(name)
        taken.add(name)
    return found


def _kind(column, dtype):
    """The type of one column: text, or numbers that hold each label."""
    labels = column.get("levels", [])
    if any(isinstance(label, str) for label in labels):
        return "string"
    exact = [float(np.dtype(dtype).type(label)) == label for label in labels]
    return dtype if all(exact) else "float64"


def _outputs(graph, description, sources, dtype, return_std):
    """The outputs, (name, tensor, type, columns), none for a vector."""
    rows = read_rows(graph, description["columns"], sources)
    output = description["output"]
    if "classes" in output:
        label, probability = classification(graph, description, rows)
        kind = labels_of(output).dtype
        n = len(output["classes"])
        of_labels = (n,) if output["is_multilabel"] else ()
        kind = "int64" if output["is_multilabel"] else kind.name if kind.kind in "if" else "string"
        found = (label, kind, of_labels), (graph.cast(probability, dtype), dtype, (n,))
        return [(name, *each) for name, each in zip(OF_CLASSES, found, strict=True)]
    found = regression(graph, description, rows, dtype, return_std)
    n = len(output["of_raw_outputs"]["factor"])
    n = output["n_targets"] if output["link"] == "log_variance" else n
    return [
        (name, graph.within_range(tensor, dtype), dtype, (n,))
        for name, tensor in zip(OF_QUANTITIES, found, strict=True)
        if tensor is not None
    ]


def _model(graph, name, inputs, outputs):
    from onnx import checker, helper

    def described(name, kind, *columns):
        code = helper.TensorProto.STRING
        if kind != "string":
            code = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        return helper.make_tensor_value_info(name, code, ["n_rows", *columns])

    for name_of_output, tensor, _, _ in outputs:
        graph.nodes.append(helper.make_node("Identity", [tensor], [name_of_output]))
    proto = helper.make_graph(
        graph.nodes,
        name,
        [described(name, kind, n) for name, kind, n in inputs],
        [described(name, kind, *shape) for name, _, kind, shape in outputs],
        graph.constants,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML, OPSET_OF_ML)]
    found = helper.make_model(
        proto,
        opset_imports=opsets,
        ir_version=IR_VERSION,
        producer_name="sklearn-twolayer",
        producer_version=__version__,
    )
    checker.check_model(found, full_check=True)
    return found
