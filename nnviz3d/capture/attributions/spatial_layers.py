"""Which layers have places, such as the rows and columns of a picture, and which of them a class activation map is of."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nnviz3d.capture.programs.describe import DescribedModel
from nnviz3d.capture.programs.differentiable import SQUASHING
from nnviz3d.data.graph import LayerNode, ModelGraph
from nnviz3d.errors import ModelError

_POOLING = ("MaxPooling", "AveragePooling")
_MOVES = frozenset({"Flatten", "Reshape", "Permute"})
"""Layers that change nothing but where numbers stand; what comes before them says more."""
_COPIES = frozenset({"Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "ActivityRegularization"})
"""Layers that give what they take when nothing is trained."""
_SHOWN = 6


def places_of(node: LayerNode) -> tuple[int, ...]:
    """Return how many places a layer has along each axis, channels left out; none if it has no such axes."""
    if len(node.shape) < 2 or any(n is None for n in node.shape):
        return ()
    found = tuple(n or 0 for n in node.location_shape)
    return found if math.prod(found) > 1 else ()


def layers_with_places(described: DescribedModel, output: str) -> tuple[str, ...]:
    """Name the layers of which there are class activation maps, in the graph's order.

    They have places, hold real numbers for each sample, and an output depends on them, which is none of them itself.
    """
    graph = described.graph
    leads = leads_to(graph, output)
    constant = described.program.constants()
    return tuple(
        node.id
        for node in graph
        if places_of(node)
        and node.id in leads
        and node.id not in (*graph.inputs, output)
        and described.calls[node.id] not in constant
        and "float" in str(described.call(node.id).outputs[0].dtype)
    )


def default_layer(described: DescribedModel, output: str) -> str:
    """Choose the layer that says most of where things are: the last one before places are pooled or flattened away.

    Where global average pooling and one dense layer end the model, it is what that pooling takes.

    Raises
    ------
    ModelError
        If no layer has places.
    """
    found = layers_with_places(described, output)
    if not found:
        raise ModelError(
            f"No layer before {output!r} has places such as rows and columns, so there is no class activation map; "
            "use a method that looks at the input, such as integrated_gradients."
        )
    head = pooled_head(described, output)
    if head is not None and pooled_by(described, head) in found:
        return pooled_by(described, head)
    kinds = {node_id: described.graph.node(node_id).kind for node_id in found}
    telling = [n for n in found if not kinds[n].startswith(_POOLING) and kinds[n] not in _MOVES | _COPIES]
    return (telling or list(found))[-1]


def chosen_layers(described: DescribedModel, output: str, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the layers that class activation maps are of: those asked for, or the default.

    Raises
    ------
    ModelError
        If one of them is none, has no places, or the output does not depend on it.
    """
    if not wanted:
        return (default_layer(described, output),)
    found = layers_with_places(described, output)
    for name in wanted:
        if name in found:
            continue
        if name not in described.graph:
            wrong = f"There is no layer {name!r}"
        elif name in described.graph.inputs:
            wrong = f"{name} is an input"
        elif not places_of(described.graph.node(name)):
            wrong = f"{name} has no places such as rows and columns"
        else:
            wrong = f"{output!r} does not depend on numbers of {name!r}"
        raise ModelError(f"{wrong}, so there is no class activation map of it; {_choose(found)}.")
    return tuple(dict.fromkeys(wanted))


def input_under(described: DescribedModel, layer: str) -> int | None:
    """Find the input that a layer's places are of: the first that it depends on with as many axes of places.

    Returns
    -------
    The input's position, or `None`: such as where a layer's rows are of tokens, which cannot fade.
    """
    graph = described.graph
    leads = leads_to(graph, layer)
    axes = len(graph.node(layer).location_shape)
    return next(
        (
            k
            for k, name in enumerate(graph.inputs)
            if name in leads
            and len(graph.node(name).location_shape) == axes
            and "float" in str(described.call(name).outputs[0].dtype)
        ),
        None,
    )


def pooled_head(described: DescribedModel, output: str) -> str | None:
    """Find the global average pooling whose channels one dense layer turns into an output's scores.

    Between them there may be dropout and flattening, behind them the softmax or sigmoid.
    """
    node = described.graph.node(output)
    if node.kind in ("Softmax", "Activation", "Sigmoid", "LogSoftmax"):
        # What the scores are before it; an activation function that squashes otherwise is no linear head.
        if node.kind == "Activation" and node.activation not in SQUASHING:
            return None
        node = _only_source(described.graph, node) or node
    elif node.activation not in (None, "linear", *SQUASHING):
        return None
    if node.kind != "Dense" or (node.id != output and node.activation not in (None, "linear")):
        return None
    before = _only_source(described.graph, node)
    while before is not None and before.kind in _COPIES | {"Flatten", "Reshape"}:
        before = _only_source(described.graph, before)
    if before is None or not before.kind.startswith("GlobalAveragePooling"):
        return None
    source = _only_source(described.graph, before)
    return before.id if source is not None and places_of(source) else None


def pooled_by(described: DescribedModel, head: str) -> str:
    """Return the layer whose numbers a global average pooling takes, those that only copy it, such as dropout, left out."""
    node = described.graph.node(described.graph.sources(head)[0])
    while node.kind in _COPIES and (before := _only_source(described.graph, node)) is not None:
        node = before
    return node.id


def _only_source(graph: ModelGraph, node: LayerNode) -> LayerNode | None:
    sources = graph.sources(node.id)
    return graph.node(sources[0]) if len(sources) == 1 else None


def leads_to(graph: ModelGraph, output: str) -> frozenset[str]:
    """Return the nodes that a node depends on, and itself."""
    return graph.ancestors(output) | {output}


def _choose(found: Sequence[str]) -> str:
    if not found:
        return "no layer of this model has any; use a method that looks at the input, such as integrated_gradients"
    last = ", ".join(found[-_SHOWN:])
    return f"choose one of {last}" if len(found) <= _SHOWN else f"choose a layer such as {last}"
