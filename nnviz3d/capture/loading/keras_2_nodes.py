"""Operations of TensorFlow in models of TensorFlow 2.0 to 2.3, as operations of Keras 3.

These versions store an operator or a function between layers as a layer ``TensorFlowOpLayer``, which holds one node of a
TensorFlow graph. Only the operations listed here are run: they compute numbers from their inputs and do nothing else.
"""

from __future__ import annotations

import base64
import inspect
import json
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from nnviz3d.capture.loading.keras_2_functions import TensorFlowCall

NODE_LAYER = "TensorFlowOpLayer"
"""The class of Keras 2 whose layers run one node of a graph."""

_NAMES = """Abs Add AddN AddV2 All Any ArgMax ArgMin AvgPool BatchMatMul BatchMatMulV2 BiasAdd BroadcastTo Cast Ceil
    ClipByValue ConcatV2 Conv2D Cos Cumsum DepthToSpace DepthwiseConv2dNative Div DivNoNan Einsum Elu Equal Erf Exp
    ExpandDims Expm1 Fill Floor FloorDiv FloorMod GatherNd GatherV2 Greater GreaterEqual Identity LeakyRelu Less LessEqual
    Log Log1p LogSoftmax LogicalAnd LogicalNot LogicalOr MatMul Max MaxPool Maximum Mean Min Minimum MirrorPad Mul Neg
    NotEqual OneHot OnesLike Pack Pad PadV2 Pow Prod Range Rank RealDiv Reciprocal Relu Relu6 Reshape ResizeBilinear
    ResizeNearestNeighbor ReverseV2 Roll Round Rsqrt Select SelectV2 Selu Shape Sigmoid Sign Sin Size Slice Softmax Softplus
    Softsign SpaceToDepth Split SplitV Sqrt Square SquaredDifference Squeeze StopGradient StridedSlice Sub Sum Tan Tanh Tile
    TopKV2 Transpose Unpack Where ZerosLike"""
NODES = frozenset(_NAMES.split())
"""Names of the operations in `tf.raw_ops`."""

_KINDS = {
    "Abs": "Absolute",
    "AddN": "Add",
    "AddV2": "Add",
    "BatchMatMul": "Matmul",
    "BatchMatMulV2": "Matmul",
    "ConcatV2": "Concatenate",
    "GatherV2": "Take",
    "MatMul": "Matmul",
    "Mul": "Multiply",
    "Neg": "Negative",
    "Pack": "Stack",
    "Pow": "Power",
    "RealDiv": "TrueDivide",
    "ReverseV2": "Flip",
    "SelectV2": "Where",
    "StridedSlice": "GetItem",
    "Sub": "Subtract",
    "Unpack": "Unstack",
}
"""Kinds of the graph's nodes for some operations: the names of the same operations in Keras 3."""


def node_of(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the node in the settings of a layer; some versions store it as text."""
    node = settings.get("node_def")
    node = json.loads(node) if isinstance(node, str) and node.startswith("{") else node
    return node if isinstance(node, dict) else {}


@keras.saving.register_keras_serializable(package="nnviz3d")
class TensorFlowNode(TensorFlowCall):
    """One node of a TensorFlow graph; each kind has a class of its own, whose name is the kind of the node.

    Parameters
    ----------
    name
        Name of the layer in the file.
    node
        The node in the JSON form of a ``NodeDef``.
    constants
        The inputs of the node that come from no layer, by their position.
    """

    def __init__(self, name: str, node: dict[str, Any], constants: dict[str, Any]) -> None:
        super().__init__(name=name)
        if node["op"] not in NODES:
            raise ValueError(f"{node['op']} is not an operation that can be run.")
        self.node = node
        self.constants = constants
        self._run = getattr(tf.raw_ops, node["op"])
        self._attributes = {key: _attribute(value) for key, value in node.get("attr", {}).items()}
        taken = list(inspect.signature(self._run).parameters)
        self._options = {key: value for key, value in self._attributes.items() if key in taken}
        # The function has the inputs in the order of the node, some by newer names.
        inputs = op_def_registry.get(node["op"]).input_arg
        self._inputs = dict(zip(taken, inputs, strict=False))
        self.axis = next((constants.get(str(i)) for i, name in enumerate(self._inputs) if name == "axis"), None)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TensorFlowNode:
        """Make the operation, as an instance of the class of its kind."""
        name = config["node"]["op"]
        kind: type[TensorFlowNode] = type(_KINDS.get(name, name), (TensorFlowNode,), {})
        return kind(**config)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"name": self.name, "node": self.node, "constants": self.constants}

    def call(self, inputs: Any) -> Any:
        """Run the node on tensors, in the order of its inputs that come from layers."""
        given = keras.tree.flatten(inputs)
        for position, value in sorted((int(key), value) for key, value in self.constants.items()):
            given.insert(position, value)
        named: dict[str, Any] = {}
        for name, one in self._inputs.items():
            dtype = self._attributes[one.type_attr] if one.type_attr else tf.as_dtype(one.type)
            count = self._attributes[one.number_attr] if one.number_attr else 1
            taken, given = [tf.convert_to_tensor(value, dtype) for value in given[:count]], given[count:]
            named[name] = taken if one.number_attr else taken[0]
        result = self._run(**named, **self._options)
        return tuple(result) if isinstance(result, tuple) else result


def _attribute(value: dict[str, Any]) -> Any:
    """Return an attribute of a node from its JSON form, such as ``{"type": "DT_FLOAT"}``."""
    kind, content = next(iter(value.items()))
    if kind == "list":
        return [_attribute({inner: item}) for inner, items in content.items() for item in items]
    if kind == "type":
        return tf.as_dtype(content.removeprefix("DT_").lower())
    if kind == "s":
        return base64.b64decode(content).decode()
    if kind == "shape":
        return [int(size["size"]) for size in content.get("dim", [])]
    return int(content) if kind == "i" else float(content) if kind == "f" else content
