"""Attention scores: each attention layer's weights from every query to every key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from nnviz3d.data.capabilities.capability import Capability, CaptureContents, CaptureOptions
from nnviz3d.data.storage.schema import split_id

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nnviz3d.data.storage.array_writer import ArrayWriter
    from nnviz3d.data.storage.zarr_reader import StoredArrays


@dataclass(frozen=True, kw_only=True)
class AttentionFields:
    """Fields of the request.

    Attributes
    ----------
    attention
        Whether the scores of all attention layers are captured.
    """

    attention: bool = False


@dataclass(frozen=True)
class AttentionOptions(CaptureOptions):
    """Options for attention scores."""

    attention: Annotated[bool, "Capture the scores of all attention layers."] = False


def attention_path(node_id: str) -> str:
    """Return the array of an attention layer's scores, ``(N, heads, T, S)``."""
    path, call = split_id(node_id)
    return f"attention/{path}/@{call}"


def has_attention(stored: StoredArrays, node_id: str) -> bool:
    """Whether the scores of an attention layer were captured."""
    return stored.find(attention_path(node_id)) is not None


def read_attention(stored: StoredArrays, node_id: str, sample: int) -> NDArray[np.float32] | None:
    """Read the scores of an attention layer, ``(heads, T, S)``; `None` if they were not captured.

    Each row, over S, adds up to 1.
    """
    array = stored.find(attention_path(node_id), (None, None, None, None))
    return None if array is None else stored.sample(array, sample)


def write_attention(writer: ArrayWriter, node_id: str, start: int, values: NDArray[Any]) -> None:
    """Write the scores of an attention layer for samples ``start`` and on: ``(n, heads, T, S)``."""
    writer.rows(attention_path(node_id), start, values, ("head", "query", "key"))


def _has_any(capture: CaptureContents) -> bool:
    return any(has_attention(capture.stored, node.id) for node in capture.graph)


def _missing(capture: CaptureContents, wanted: AttentionFields) -> str:
    if not wanted.attention or _has_any(capture):
        return ""
    return f"{capture.path.name} holds no attention scores; capture the model with --attention."


def _impossible(capture: CaptureContents, wanted: AttentionFields) -> str:
    # Every attention layer, whatever its class is called, tells whether it attends to itself.
    if not wanted.attention or any("self_attention" in node.details for node in capture.graph):
        return ""
    return f"{capture.graph.name} has no attention layer."


def _held(capture: CaptureContents) -> Mapping[str, Any]:
    return {"attention": _has_any(capture)}


ATTENTION = Capability(
    name="attention",
    fields=AttentionFields,
    options=AttentionOptions,
    wanted=lambda insights: bool(insights.attention),
    capture="nnviz3d.capture.attention:write_attention_scores",
    stages={"attention": "Computing attention scores"},
    missing=_missing,
    impossible=_impossible,
    views=("nnviz3d.scene.views.attention:AttentionView",),
    held=_held,
)
"""The description of this capability."""
