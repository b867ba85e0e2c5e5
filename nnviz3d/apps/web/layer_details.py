"""Exact numbers of one layer, as pairs of name and text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnviz3d.data.kept_layers import NOT_KEPT, was_left_out
from nnviz3d.data.minus_sign import with_minus
from nnviz3d.scene.context import SceneContext, shape_text
from nnviz3d.scene.derived.dead_channels import silent_channels
from nnviz3d.scene.derived.layer_figures import measured_values, measured_weights


def layer_details(
    context: SceneContext, node_id: str, sample: int, also: Sequence[tuple[str, str]] = ()
) -> list[list[str]]:
    """Return all numbers of a layer as pairs of name and value; minimum and maximum exactly as captured.

    Parameters
    ----------
    also
        Statistics of another quantity that the cells show, which come before those of the activation.
    """
    node = context.graph.node(node_id)
    pairs = [["id", node.id], ["kind", node.kind], ["shape", shape_text(node)], ["parameters", f"{node.parameters:,}"]]
    if node.activation:
        pairs.append(["activation", node.activation])
    pairs.extend([name.replace("_", " "), _text(value)] for name, value in node.details.items())
    if was_left_out(context.capture, node_id):
        pairs.append(["numbers", NOT_KEPT])
    elif context.capture.has_activations(node_id):
        pairs.extend(map(list, also))
        values = context.values(node_id, sample).values
        pairs.extend([f"activation {name}", text] for name, text in measured_values(node, values))
        pairs.extend(map(list, silent_channels(context, node_id, sample)))
    pairs.extend(map(list, measured_weights(context, node)))
    return pairs


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return (", " if any(isinstance(v, str) for v in value) else " × ").join(map(_text, value))
    return with_minus(str(value)) if isinstance(value, int | float) else str(value)
