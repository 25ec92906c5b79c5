"""Converters for skl2onnx, which make an ONNX model of a pipeline that ends with our estimators."""

import numpy as np

from .._encoded_names import input_names
from .description import ESTIMATORS, describe
from .onnx_graph import OPSET, ContainerGraph
from .onnx_model import check_deviation
from .onnx_outputs import classification, labels_of, regression
from .onnx_rows import Source, read_rows

OPTIONS = {"posterior": [True, False]}
OF_CLASSIFIERS = OPTIONS | {
    "zipmap": [True, False, "columns"],
    "output_class_labels": [False, True],
    "raw_scores": [False, True],  # calibration asks for it, and one-versus-one
    "nocl": [False],  # skl2onnx asks for it, to make zip maps
}
OF_REGRESSORS = OPTIONS | {"return_std": [True, False]}


def register():
    """Teach skl2onnx both estimators, so that ``skl2onnx.to_onnx(pipeline, X)`` knows them.

    Call it once in a process, before the conversion. The options, given to ``skl2onnx.to_onnx`` as
    ``options={id(model): {...}}`` or ``{type(model): {...}}``, are those of `to_onnx`, `posterior`
    and for regressors `return_std`, and skl2onnx's own ``zipmap``, ``output_class_labels`` and
    ``raw_scores`` (logits instead of probabilities) for classifiers. ``target_opset`` must be 18 or
    later, as it is unless given.

    Raises
    ------
    ImportError
        Without skl2onnx, see the extra ``sklearn-twolayer[onnx]``.

    See Also
    --------
    to_onnx : One estimator, without skl2onnx.

    Examples
    --------
    >>> import numpy as np
    >>> import skl2onnx
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_twolayer import TwoLayerClassifier
    >>> from sklearn_twolayer.export import register
    >>> X, y = load_iris(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), TwoLayerClassifier(4, random_state=0)).fit(X, y)
    >>> register()
    >>> onnx_model = skl2onnx.to_onnx(model, X[:1].astype(np.float32), options={"zipmap": False})
    >>> [output.name for output in onnx_model.graph.output]
    ['label', 'probabilities']
    """
    from skl2onnx import update_registered_converter

    for name, estimator in ESTIMATORS.items():
        classifies = hasattr(estimator, "predict_proba")
        update_registered_converter(
            estimator,
            name,
            _shapes_of_classes if classifies else _shapes_of_quantities,
            _convert,
            parser=None if classifies else _parse_regressor,
            options=OF_CLASSIFIERS if classifies else OF_REGRESSORS,
        )


def _parse_regressor(scope, model, inputs, custom_parsers=None):
    """Declare the outputs: the prediction, and its deviation if that is asked for."""
    from skl2onnx.common.data_types import FloatTensorType

    operator = scope.declare_local_operator(type(model).__name__, model)
    operator.inputs = inputs
    asked = scope.get_options(model, {"return_std": False})
    for name in ("variable", "std")[: 1 + bool(asked["return_std"])]:
        operator.outputs.append(scope.declare_local_variable(name, FloatTensorType()))
    return operator.outputs


def _precision(operator):
    """float64 if any of the numbers come so, else float32."""
    from skl2onnx.common.data_types import DoubleTensorType

    is_double = any(isinstance(each.type, DoubleTensorType) for each in operator.inputs)
    return "float64" if is_double else "float32"


def _number_type(operator):
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    return DoubleTensorType if _precision(operator) == "float64" else FloatTensorType


def _shapes_of_classes(operator):
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

    model, n_rows = operator.raw_operator, operator.inputs[0].get_first_dimension()
    n = len(model.classes_)
    kind = np.asarray(model.classes_).dtype.kind
    of_labels = {"f": FloatTensorType, "i": Int64TensorType, "u": Int64TensorType}
    of_label = of_labels.get(kind, Int64TensorType if kind == "b" else StringTensorType)
    shape = [n_rows, n] if model._is_multilabel else [n_rows]
    operator.outputs[0].type = of_label(shape)
    operator.outputs[1].type = _number_type(operator)([n_rows, n])


def _shapes_of_quantities(operator):
    model, n_rows = operator.raw_operator, operator.inputs[0].get_first_dimension()
    n = model._n_targets if model._loss_at_fit.knows_variance else model.n_outputs_
    for output in operator.outputs:
        output.type = _number_type(operator)([n_rows, n])


def _convert(scope, operator, container):
    """Add the nodes of one estimator."""
    if container.target_opset < OPSET:
        raise ValueError(
            f"target_opset must be at least {OPSET} for a {type(operator.raw_operator).__name__}, "
            f"got {container.target_opset}"
        )
    model = operator.raw_operator
    options = container.get_options(model, {"posterior": True})
    return_std = options.get("return_std", False)
    description = describe(model, options["posterior"])
    check_deviation(model, description, return_std)
    graph = ContainerGraph(scope, container)
    rows = read_rows(graph, description["columns"], _sources(operator, model))
    dtype = _precision(operator)
    if "classes" in description["output"]:
        raw_scores = options.get("raw_scores", False)
        label, of_classes = classification(graph, description, rows, raw_scores)
        found = [label, graph.cast(of_classes, dtype)]
        if labels_of(description["output"]).dtype.kind == "f":
            found[0] = graph.cast(label, "float32")
    else:
        found = regression(graph, description, rows, dtype, return_std)
        found = [graph.within_range(tensor, dtype) for tensor in found if tensor is not None]
    for tensor, output in zip(found, operator.outputs, strict=True):
        name = scope.get_unique_operator_name("Identity")
        container.add_node("Identity", tensor, output.full_name, name=name)


def _sources(operator, model):
    """Where each column of X is among the inputs, of one or of several columns each."""
    found = []
    for each in operator.inputs:
        dtype, n = _dtype_of(each), each.type.shape[1] if len(each.type.shape) > 1 else None
        if n is None and len(operator.inputs) == 1:
            n = model.n_features_in_
        found += [Source(each.full_name, dtype, j) for j in range(n or 1)]
    if len(found) != model.n_features_in_:
        raise ValueError(
            f"a {type(model).__name__} fitted to {model.n_features_in_} columns needs as many "
            f"inputs, got {len(found)}"
        )
    _check_order([each.raw_name for each in operator.inputs], input_names(model))
    return found


def _check_order(given, expected):
    """ValueError where the inputs are the columns of training, but in another order."""
    if given != expected and sorted(given) == sorted(expected):
        raise ValueError(f"inputs must be in the order of training, {expected}, got {given}")


def _dtype_of(variable):
    """The name of the type of an input, as NumPy has it."""
    name = type(variable.type).__name__.removesuffix("TensorType").lower()
    return {"float": "float32", "double": "float64"}.get(name, name)
