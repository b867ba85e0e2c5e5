"""Convert a flat program into a `ModelGraph`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras

from nnviz3d.capture.inputs.pixel_scaling import PixelScaling, pixel_scaling
from nnviz3d.capture.programs.call import Call
from nnviz3d.capture.programs.flat_program import Program
from nnviz3d.capture.programs.layer_axes import axes_of_calls
from nnviz3d.capture.programs.node_paths import function_name
from nnviz3d.data.axes import axes_of
from nnviz3d.data.graph import Edge, LayerNode, ModelGraph

_DETAILS = (
    "kernel_size",
    "strides",
    "padding",
    "dilation_rate",
    "filters",
    "units",
    "groups",
    "depth_multiplier",
    "pool_size",
    "size",
    "interpolation",
    "cropping",
    "data_format",
    "axis",
    "rate",
    "scale",
    "offset",
    "epsilon",
    "momentum",
    "negative_slope",
    "max_value",
    "threshold",
    "alpha",
    "num_heads",
    "key_dim",
    "input_dim",
    "output_dim",
    "mask_zero",
    "return_sequences",
    "go_backwards",
    "target_shape",
    "quantization_mode",
    "lora_rank",
)


@dataclass(frozen=True)
class DescribedModel:
    """A model's graph, and the call of its program for each node."""

    graph: ModelGraph
    program: Program
    calls: dict[str, int]
    """Position of each node's call in the program, by node id, in the graph's order."""

    def call(self, node_id: str) -> Call:
        """Return the call of a node."""
        return self.program.calls[self.calls[node_id]]

    def input_type(self, position: int) -> str:
        """Return the type of numbers that an input takes, such as ``float32``."""
        return str(self.program.inputs[position].dtype)

    def scaling(self, position: int) -> PixelScaling:
        """Return the scaling that the model applies to the pixels of an input; errors as `pixel_scaling`."""
        return pixel_scaling(self.program, position)


def describe(program: Program, name: str) -> DescribedModel:
    """Make the nodes of a program's graph and the edges between them.

    Calls that only change a tensor's type are left out, and their edges are joined.
    """
    calls = program.calls
    numbered = [i for i, call in enumerate(calls) if not call.plumbing]
    counted: set[int] = set()
    nodes: list[LayerNode] = []
    edges: list[Edge] = []
    ids: dict[int, str] = {}
    constants = program.constants()
    axes = axes_of_calls(program)
    for i in numbered:
        call = calls[i]
        shapes = tuple(tuple(t.shape) if i in constants else tuple(t.shape[1:]) for t in call.outputs)
        usual = i in constants or not shapes or axes[i] == axes_of(shapes[0])
        node = LayerNode(
            path=call.path,
            call=call.index,
            kind=type(call.operation).__name__,
            shapes=shapes,
            parameters=_parameters(call, counted),
            activation=_activation(call.operation),
            details=_details(call.operation) | _attention(program, call) | _gates(call),
            named_axes=() if usual else axes[i],
        )
        ids[i] = node.id
        nodes.append(node)
        ends = dict.fromkeys(through(program, source) for source in call.sources)
        edges.extend(Edge(ids[j], node.id, k) for j, k in ends)
    outputs = dict.fromkeys(ids[through(program, end)[0]] for end in program.outputs)
    inputs = tuple(ids[i] for i in range(len(program.inputs)))
    graph = ModelGraph(name, tuple(nodes), tuple(edges), inputs, tuple(outputs))
    return DescribedModel(graph, program, {ids[i]: i for i in numbered})


def through(program: Program, source: tuple[int, int]) -> tuple[int, int]:
    """Follow a tensor back through calls that are not nodes."""
    while program.calls[source[0]].plumbing:
        source = program.calls[source[0]].sources[0]
    return source


def _parameters(call: Call, counted: set[int]) -> int:
    """Count the parameters of a call that no earlier call uses; shared and tied weights count once."""
    variables = [*(call.operation.weights if isinstance(call.operation, keras.Layer) else ()), *call.variables]
    total = 0
    for variable in variables:
        if id(variable) not in counted:
            counted.add(id(variable))
            total += math.prod(variable.shape)
    return total


def _activation(operation: Any) -> str | None:
    function = getattr(operation, "activation", None)
    return None if function is None else function_name(function)


def _details(operation: Any) -> dict[str, Any]:
    if not isinstance(operation, keras.Layer):
        return {}
    found = {}
    for key in _DETAILS:
        value = _plain(getattr(operation, key, None))
        if value is not None:
            found[key] = value
    inner = getattr(operation, "layer", None)
    if isinstance(operation, keras.layers.Wrapper) and isinstance(inner, keras.Layer):
        found["layer"] = type(inner).__name__
    return found


def _attention(program: Program, call: Call) -> dict[str, Any]:
    """Describe whether query, value and key of an attention layer are one tensor; masks do not count."""
    if not call.attends:
        return {}
    makers = {id(t): (i, k) for i, _ in call.sources for k, t in enumerate(program.calls[i].outputs)}
    attended = [id(call.outside(t)) for t in call.attended]
    origins = {through(program, makers[t]) for t in attended if t in makers}
    # An attention layer that returns its scores has them behind its output.
    scores = {"scores": 1} if len(call.outputs) == 2 and not call.loops else {}
    return {"self_attention": len(origins) == 1, **scores}


def _gates(call: Call) -> dict[str, Any]:
    return {"gates": list(call.gates)} if call.gates else {}


def _plain(value: Any) -> Any:
    """Return a number, string or list of them, or `None` for anything else."""
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        items = [_plain(item) for item in value]
        return items if all(item is not None for item in items) else None
    return None
