"""A Keras model of the layers in a SavedModel's graph, which runs TensorFlow's own operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras.src import backend
from tensorflow.python.framework.convert_to_constants import _run_inline_graph_optimization

from nnviz3d.capture.loading.saved_layers import graph_layer
from nnviz3d.capture.loading.saved_segments import Segment, Segmentation
from nnviz3d.capture.programs.node_paths import safe_part


class GraphModel(keras.Model):  # type: ignore[misc]  # Keras has no types
    """The layers of a signature of a SavedModel, called in the order of their graph.

    Parameters
    ----------
    saved
        The loaded SavedModel, which owns the tables and the variables that loops read.

    Raises
    ------
    Exception
        Any error of TensorFlow, and `graphlib.CycleError`, if the graph cannot be divided into layers.
    """

    def __init__(self, saved: Any, signature: Any, name: str) -> None:
        super().__init__(name=safe_part(name))
        self._saved = saved
        captured = signature.captured_inputs
        count = len(signature.inputs) - len(captured)
        held = {t.op.name: source for t, source in zip(signature.inputs[count:], captured, strict=True)}
        variables = _variables(signature, held)
        definition, reads = _inlined(signature, {name: variable.shape for name, variable in variables.items()})
        graph = tf.Graph()
        with graph.as_default():
            tf.graph_util.import_graph_def(definition, name="")
        variables.update({read: variables[name] for read, name in reads.items()})
        given = [graph.get_tensor_by_name(tensor.name) for tensor in signature.inputs[:count]]
        results = [graph.get_tensor_by_name(tensor.name) for tensor in signature.outputs]
        division = Segmentation(given, results)
        self._segments = division.segments
        self._steps = [self._step(definition, one, variables, held) for one in self._segments]
        names = _argument_names(signature, given)
        self._names = {name: tensor.name for name, tensor in names.items()}
        self._results = dict(zip(_result_names(signature), (tensor.name for tensor in division.outputs), strict=True))
        self._inputs_struct = {
            name: keras.Input(batch_shape=tuple(tensor.shape), dtype=tensor.dtype.name, name=safe_part(name))
            for name, tensor in names.items()
        }
        self.built = True

    def _step(self, definition: Any, segment: Segment, variables: Mapping[str, Any], held: Mapping[str, Any]) -> Any:
        layer: Any = graph_layer(definition, segment, variables, held)
        for name in reversed(segment.parts[:-1]):
            layer = Scope(layer, safe_part(name))
        return layer

    @property
    def notes(self) -> list[str]:
        """Sentences about what the graph does not show."""
        return [
            f"{'/'.join(segment.parts)} is shown as one block: what runs inside its loop or branch is not shown."
            for segment in self._segments
            if segment.loops
        ]

    def call(self, inputs: Any) -> Any:
        """Run all layers on the inputs, by name or in their order; returns the only output, or all by name."""
        if not isinstance(inputs, Mapping):
            inputs = dict(zip(self._names, keras.tree.flatten(inputs), strict=True))
        values = {tensor: inputs[name] for name, tensor in self._names.items()}
        for segment, layer in zip(self._segments, self._steps, strict=True):
            results = layer([values[tensor.name] for tensor in segment.sources])
            values.update((tensor.name, one) for tensor, one in zip(segment.results, results, strict=True))
        found = {name: values[tensor] for name, tensor in self._results.items()}
        return found if len(found) > 1 else next(iter(found.values()))


class Scope(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """A scope around a layer, which gives it a longer path."""

    def __init__(self, layer: keras.layers.Layer, name: str) -> None:
        super().__init__(name=name, autocast=False)
        self.layer = layer
        self.built = True

    def call(self, inputs: Sequence[Any]) -> Any:
        """Call the layer."""
        return self.layer(inputs)


def _inlined(signature: Any, shapes: Mapping[str, Any]) -> tuple[Any, dict[str, str]]:
    """Return the definition of a signature's graph without calls of functions and without control dependencies.

    Variables that the graph reads outside of loops become placeholders of their values.

    Parameters
    ----------
    shapes
        Shapes of the variables by the name of their placeholder.

    Returns
    -------
    definition
        The graph.
    reads
        For each placeholder of a value, the name of the placeholder of the variable.
    """
    definition = _run_inline_graph_optimization(signature, lower_control_flow=False, aggressive_inlining=True)
    by_name = {node.name: node for node in definition.node}
    reads: dict[str, str] = {}
    for node in list(definition.node):
        kept = [name for name in node.input if not name.startswith("^")]
        del node.input[:]
        node.input.extend(kept)
        if "_class" in node.attr:  # a wish to run beside an operation, which may be in another segment
            del node.attr["_class"]
    for node in list(definition.node):
        if node.op == "ResourceGather":
            node = _read_whole(definition, node)
        if node.op == "ReadVariableOp":
            owner = by_name[node.input[0].split(":")[0]]
            while owner.op == "Identity":
                owner = by_name[owner.input[0].split(":")[0]]
            reads[node.name] = owner.name
            _as_placeholder(node, shapes[owner.name])
    return definition, reads


def _as_placeholder(node: Any, shape: Any) -> None:
    dtype = node.attr["dtype"].type
    node.op = "Placeholder"
    del node.input[:]
    node.attr.clear()
    node.attr["dtype"].type = dtype
    node.attr["shape"].shape.CopyFrom(tf.TensorShape(shape).as_proto())


def _read_whole(definition: Any, node: Any) -> Any:
    """Turn the selection of rows of a variable into one of rows of its value; returns the read of the value."""
    dtype, indices = node.attr["dtype"].type, node.attr["Tindices"].type
    batch = node.attr["batch_dims"].i
    read = definition.node.add(name=f"{node.name}/ReadVariableOp", op="ReadVariableOp", input=[node.input[0]])
    read.attr["dtype"].type = dtype
    axis = definition.node.add(name=f"{node.name}/axis", op="Const")
    axis.attr["dtype"].type = tf.int32.as_datatype_enum
    axis.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(batch, dtype=tf.int32))
    where = node.input[1]
    node.op = "GatherV2"
    del node.input[:]
    node.input.extend([read.name, where, axis.name])
    node.attr.clear()
    for key, value in (("Tparams", dtype), ("Tindices", indices), ("Taxis", tf.int32.as_datatype_enum)):
        node.attr[key].type = value
    node.attr["batch_dims"].i = batch
    return read


def _variables(signature: Any, held: Mapping[str, Any]) -> dict[str, Any]:
    """Return a Keras variable for each captured variable, by the name of its placeholder."""
    owners = {id(variable.handle): variable for variable in signature.graph.variables}
    found: dict[str, Any] = {}
    for name, source in held.items():
        owner = owners.get(id(source))
        if owner is not None:
            found[name] = backend.Variable(
                initializer=owner,
                trainable=owner.trainable,
                dtype=owner.dtype,
                shape=owner.shape,
                name=safe_part(owner.name.split(":")[0].rpartition("/")[2]),
            )
    return found


def _argument_names(signature: Any, given: Sequence[Any]) -> dict[str, Any]:
    """Return the input tensors by the names of the signature's arguments."""
    _, wanted = signature.structured_input_signature
    by_name = {tensor.op.name: tensor for tensor in given}
    if set(wanted) == set(by_name):
        return by_name
    return dict(zip(sorted(wanted), given, strict=True))


def _result_names(signature: Any) -> list[str]:
    outputs = signature.structured_outputs
    return sorted(outputs) if isinstance(outputs, Mapping) else [f"output_{i}" for i in range(len(signature.outputs))]
