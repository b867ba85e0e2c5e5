"""Layers with spatial axes, such as rows and columns, and the choice of those with a class activation map."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nnviz3d.capture.programs.describe import DescribedModel
from nnviz3d.capture.programs.differentiable import SQUASHING
from nnviz3d.data.graph import LayerNode, ModelGraph
from nnviz3d.errors import ModelError

_POOLING = ("MaxPooling", "AveragePooling")
_MOVES = frozenset({"Flatten", "Reshape", "Permute"})
"""Layers that only rearrange numbers; the layer before them is a better choice."""
_COPIES = frozenset({"Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "ActivityRegularization"})
"""Layers whose output is their input outside of training."""
_SHOWN = 6


def spatial_shape(node: LayerNode) -> tuple[int, ...]:
    """Return the lengths of a layer's spatial axes, without channels; empty if there is only one location."""
    if len(node.shape) < 2 or any(n is None for n in node.shape):
        return ()
    found = tuple(n or 0 for n in node.location_shape)
    return found if math.prod(found) > 1 else ()


def spatial_layers(described: DescribedModel, output: str) -> tuple[str, ...]:
    """Return the layers that can have class activation maps, in the graph's order.

    They have spatial axes, hold real numbers for each sample, and affect the output. The output itself is not included.
    """
    graph = described.graph
    leads = leads_to(graph, output)
    constant = described.program.constants()
    return tuple(
        node.id
        for node in graph
        if spatial_shape(node)
        and node.id in leads
        and node.id not in (*graph.inputs, output)
        and described.calls[node.id] not in constant
        and "float" in str(described.call(node.id).outputs[0].dtype)
    )


def default_layer(described: DescribedModel, output: str) -> str:
    """Choose the last layer before pooling or flattening removes the spatial axes.

    If the model ends in global average pooling and one dense layer, it is the layer before that pooling.

    Raises
    ------
    ModelError
        If no layer has spatial axes.
    """
    found = spatial_layers(described, output)
    if not found:
        raise ModelError(
            f"No layer before {output!r} has spatial axes such as rows and columns, so there is no class activation map; "
            "use a method that explains the input, such as integrated_gradients."
        )
    head = pooled_head(described, output)
    if head is not None and pooled_by(described, head) in found:
        return pooled_by(described, head)
    kinds = {node_id: described.graph.node(node_id).kind for node_id in found}
    telling = [n for n in found if not kinds[n].startswith(_POOLING) and kinds[n] not in _MOVES | _COPIES]
    return (telling or list(found))[-1]


def chosen_layers(described: DescribedModel, output: str, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the layers to compute class activation maps of: those asked for, or the default.

    Raises
    ------
    ModelError
        If one of them does not exist, has no spatial axes, or does not affect the output.
    """
    if not wanted:
        return (default_layer(described, output),)
    found = spatial_layers(described, output)
    for name in wanted:
        if name in found:
            continue
        if name not in described.graph:
            wrong = f"There is no layer {name!r}"
        elif name in described.graph.inputs:
            wrong = f"{name} is an input"
        elif not spatial_shape(described.graph.node(name)):
            wrong = f"{name} has no spatial axes such as rows and columns"
        else:
            wrong = f"{output!r} does not depend on the numbers of {name!r}"
        raise ModelError(f"{wrong}, so it has no class activation map; {_choose(found)}.")
    return tuple(dict.fromkeys(wanted))


def input_under(described: DescribedModel, layer: str) -> int | None:
    """Find the input whose locations correspond to a layer's: the first that affects it and has as many spatial axes.

    Returns
    -------
    The input's position; `None` if there is none, for example if the layer's rows are tokens, which cannot be blended.
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

    There may be dropout and flattening between them, and a softmax or sigmoid after them.
    """
    node = described.graph.node(output)
    if node.kind in ("Softmax", "Activation", "Sigmoid", "LogSoftmax"):
        # The scores are before it; with another nonlinear activation function the head is not linear.
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
    return before.id if source is not None and spatial_shape(source) else None


def pooled_by(described: DescribedModel, head: str) -> str:
    """Return the layer whose output is averaged by global average pooling; layers such as dropout are skipped."""
    node = described.graph.node(described.graph.sources(head)[0])
    while node.kind in _COPIES and (before := _only_source(described.graph, node)) is not None:
        node = before
    return node.id


def _only_source(graph: ModelGraph, node: LayerNode) -> LayerNode | None:
    sources = graph.sources(node.id)
    return graph.node(sources[0]) if len(sources) == 1 else None


def leads_to(graph: ModelGraph, output: str) -> frozenset[str]:
    """Return the nodes that affect a node, and the node itself."""
    return graph.ancestors(output) | {output}


def _choose(found: Sequence[str]) -> str:
    if not found:
        return "no layer of this model has one; use a method that explains the input, such as integrated_gradients"
    last = ", ".join(found[-_SHOWN:])
    return f"choose one of {last}" if len(found) <= _SHOWN else f"choose a layer such as {last}"
