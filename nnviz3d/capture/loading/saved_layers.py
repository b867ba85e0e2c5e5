"""Keras layers that run the operations of one segment of a SavedModel's graph, and the kinds of these layers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import keras
import tensorflow as tf

from nnviz3d.capture.connections.linear_settings import LinearSettings
from nnviz3d.capture.loading.saved_segments import Segment, same
from nnviz3d.capture.programs.node_paths import safe_part

_ACTIVATIONS = {
    "Relu": "relu",
    "Relu6": "relu6",
    "Sigmoid": "sigmoid",
    "Softmax": "softmax",
    "Tanh": "tanh",
    "Elu": "elu",
    "Selu": "selu",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "LogSoftmax": "log_softmax",
}
"""Operations at the end of a layer, and the activation function of Keras for each."""
_KINDS = (
    ("DepthwiseConv2dNative", "DepthwiseConv2D"),
    ("Conv2DBackpropInput", "Conv2DTranspose"),
    ("Conv2D", "Conv2D"),
    ("Conv3D", "Conv3D"),
    *((name, "BatchNormalization") for name in ("FusedBatchNormV3", "FusedBatchNormV2", "FusedBatchNorm")),
    ("MaxPool", "MaxPooling2D"),
    ("AvgPool", "AveragePooling2D"),
    ("ResizeBilinear", "Resizing"),
    ("Rsqrt", "LayerNormalization"),
    *((name, "Dense") for name in ("MatMul", "BatchMatMulV2", "BatchMatMul")),
    ("Einsum", "EinsumDense"),
    ("GatherV2", "Embedding"),
)
"""Operations that tell the kind of a layer; the first of them that it holds counts."""
_SINGLE = {"AddV2": "Add", "ConcatV2": "Concatenate", "Mul": "Multiply", "Sub": "Subtract", "Relu": "ReLU"} | {
    "BatchMatMulV2": "MatMul",
    "SelectV2": "Select",
    "Mean": "Mean",
}
"""Kinds of operations that are drawn singly, where they are not those of TensorFlow."""
_POOLING = (("strides", "strides"), ("pool_size", "ksize"))
_NUMBERS = re.compile(r"(_\d+)+$")
"""Numbers that Keras and TensorFlow append to names."""


class SegmentFunction:
    """A function that runs the operations of a segment.

    Parameters
    ----------
    definition
        The whole graph, which holds the functions that loops call.
    feeds, fetched
        The tensors that it takes and those that it returns.
    """

    def __init__(self, definition: Any, segment: Segment, feeds: Sequence[Any], fetched: Sequence[Any]) -> None:
        self._part = tf.compat.v1.GraphDef(versions=definition.versions)
        self._part.node.extend(one.node_def for one in (*segment.prepared, *segment.operations))
        if any(value.HasField("func") for node in self._part.node for value in node.attr.values()):
            self._part.library.CopyFrom(definition.library)
        self._feeds = [tensor.name for tensor in feeds]
        self._fetched = [tensor.name for tensor in fetched]
        self._eager = tf.function(self._insert, autograph=False)

    def __call__(self, *given: Any) -> list[Any]:
        """Run the operations on the sources, the values of variables and the resources."""
        return list(self._eager(*given) if tf.executing_eagerly() else self._insert(*given))

    def _insert(self, *given: Any) -> list[Any]:
        """Add the operations to the present graph."""
        fed = {name: tf.identity(tensor) for name, tensor in zip(self._feeds, given, strict=True)}
        found: list[Any] = tf.graph_util.import_graph_def(
            self._part, input_map=fed, return_elements=self._fetched, name="graph"
        )
        return found


class GraphLayer(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """A segment of a graph. The class of each kind of layer is a subclass with this kind as its name.

    Parameters
    ----------
    function
        Takes the tensors of the segment, the values of its variables, and its resources.
    read
        For each value that the function takes, the Keras variable.
    resources
        Tensors that the function takes after those.
    inside
        Copies of the variables among the resources, which loops read; to change them has no effect.
    activation
        The activation function that follows; `None` if there is none.
    """

    def __init__(
        self,
        name: str,
        function: Any,
        read: Sequence[Any],
        resources: Sequence[Any],
        inside: Sequence[Any],
        activation: str | None,
    ) -> None:
        super().__init__(name=name, autocast=False)
        self._function = function
        self._read = tuple(read)
        self._resources = tuple(resources)
        self.activation = None if activation is None else keras.activations.get(activation)
        for variable in {id(variable): variable for variable in (*self._read, *inside)}.values():
            self._track_variable(variable)
        self.built = True

    def call(self, inputs: Sequence[Any]) -> list[Any]:
        """Run the segment."""
        results = self._function(*inputs, *(tf.convert_to_tensor(v.value) for v in self._read), *self._resources)
        return results if self.activation is None else [self.activation(results[0])]


def graph_layer(definition: Any, segment: Segment, variables: Mapping[str, Any], held: Mapping[str, Any]) -> GraphLayer:
    """Make the layer of a segment.

    Parameters
    ----------
    definition
        The whole graph, which holds the functions that loops call.
    variables, held
        Keras variables and captured tensors, by the name of their placeholder or of that of their value.
    """
    fetched, activation = list(segment.results), None
    last = segment.results[0].op
    if len(segment.results) == 1 and last.type in _ACTIVATIONS and same(last.inputs[0]).op in segment.operations:
        fetched, activation = [same(last.inputs[0])], _ACTIVATIONS[last.type]
    values = [tensor for tensor in segment.variables if tensor.op.name in variables]
    constants = [tensor for tensor in segment.variables if tensor.op.name not in variables]
    kept = [*constants, *segment.resources]
    function = SegmentFunction(definition, segment, [*segment.sources, *values, *kept], fetched)
    read = [variables[one.op.name] for one in values]
    inside = [variables[one.op.name] for one in segment.resources if one.op.name in variables]
    for variable in inside:
        variable.trainable = False
    kind = type(kind_of(segment), (GraphLayer,), {})
    details = _details(segment, values, read)
    resources = [held[one.op.name] for one in kept]
    layer: GraphLayer = kind(safe_part(segment.parts[-1]), function, read, resources, inside, activation)
    for key, value in details.items():
        setattr(layer, key, value)
    return layer


def _details(segment: Segment, values: Sequence[Any], read: Sequence[Any]) -> dict[str, Any]:
    """Return the settings of a dense layer, a convolution or a pooling, by the names that Keras' layers have for them.

    Parameters
    ----------
    values, read
        The tensors of the values of variables, and the variable of each.
    """
    linear = [one for one in segment.operations if one.type in ("Conv2D", "DepthwiseConv2dNative", "MatMul")]
    pooling = [one for one in segment.operations if one.type in ("MaxPool", "AvgPool") and _channels_last(one)]
    if pooling:
        sizes = {name: [int(n) for n in pooling[0].get_attr(key)[1:3]] for name, key in _POOLING}
        return {**sizes, "padding": pooling[0].get_attr("padding").decode().lower()}
    names = [tensor.name for tensor in values]
    taken = same(linear[0].inputs[1]).name if len(linear) == 1 else ""
    if taken not in names or not _is_linear(segment, linear[0]):
        return {}
    one, kernel = linear[0], read[names.index(taken)]
    if one.type == "MatMul":
        plain = not one.get_attr("transpose_a") and not one.get_attr("transpose_b")
        return {"linear_settings": LinearSettings(kernel)} if plain else {}
    padding = one.get_attr("padding").decode().lower()
    if not _channels_last(one) or padding not in ("same", "valid"):
        return {}
    found = {
        "strides": tuple(int(n) for n in one.get_attr("strides")[1:3]),
        "dilation_rate": tuple(int(n) for n in one.get_attr("dilations")[1:3]),
        "padding": padding,
    }
    depthwise = one.type == "DepthwiseConv2dNative"
    settings = LinearSettings(kernel, **found, depthwise=depthwise)
    return {**found, "kernel_size": [int(n) for n in kernel.shape[:2]], "linear_settings": settings}


def _is_linear(segment: Segment, one: Any) -> bool:
    """Whether a segment only applies this operation to its input, adds a bias, and applies an activation function."""
    others = segment.kinds - {one.type, "BiasAdd", "AddV2", "Add", *_ACTIVATIONS}
    return not others and [tensor.name for tensor in segment.sources] == [same(one.inputs[0]).name]


def _channels_last(operation: Any) -> bool:
    return bool(operation.get_attr("data_format") == b"NHWC")


def kind_of(segment: Segment) -> str:
    """Return the kind of layer that a segment is, as Keras names it, or of the operation.

    A name that Keras gives to layers of a class tells the class; otherwise the operations do.
    """
    named = _usual_names().get(_NUMBERS.sub("", segment.parts[-1]))
    if named is not None:
        return named
    if segment.loops:
        return "While"
    found = _by_operations(segment)
    if found == "LayerNormalization" and not segment.kinds & {"Mean", "SquaredDifference"}:
        return "BatchNormalization"
    if found == "DepthwiseConv2D" and "Conv2D" in segment.kinds:
        return "SeparableConv2D"
    if found == "Conv2D" and len(segment.results[0].shape) == 3:
        return "Conv1D"
    last = segment.operations[-1].type
    return found or _SINGLE.get(last, last)


@cache
def _usual_names() -> dict[str, str]:
    """Return the classes of Keras' layers by the names that Keras gives to their layers."""
    kinds = [kind for kind in vars(keras.layers).values() if isinstance(kind, type) and issubclass(kind, keras.Layer)]
    return {keras.src.utils.naming.to_snake_case(kind.__name__): kind.__name__ for kind in kinds}


def _by_operations(segment: Segment) -> str | None:
    """Return the kind that its operations tell; those that are layers by their weights alone need some."""
    weighted = {"Dense", "EinsumDense", "Embedding", "LayerNormalization"}
    kinds = segment.kinds | {operation.type for operation in segment.prepared}
    return next((k for op, k in _KINDS if op in kinds and (segment.variables or k not in weighted)), None)
