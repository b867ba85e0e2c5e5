"""Gradients of a target's score: by every layer's activation, along every edge, and by the strongest connections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from nnviz3d.data.capabilities.capability import Capability, CaptureContents, CaptureOptions
from nnviz3d.data.storage.schema import connection_path, split_id

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nnviz3d.data.records import Connections
    from nnviz3d.data.storage.array_writer import ArrayWriter
    from nnviz3d.data.storage.zarr_reader import StoredArrays


@dataclass(frozen=True, kw_only=True)
class GradientFields:
    """Fields of the request.

    Attributes
    ----------
    gradients
        Whether the gradient of each target's score by every layer's activation is captured.
    """

    gradients: bool = False


@dataclass(frozen=True)
class GradientOptions(CaptureOptions):
    """Options for gradients."""

    gradients: Annotated[bool, "Capture the gradient of the target's score by every layer."] = False


def gradient_path(slot: str, node_id: str, output: int = 0) -> str:
    """Return the array of a target's gradient by one output of a node, ``(N, *shape)``."""
    path, call = split_id(node_id)
    return f"gradients/{slot}/{path}/@{call}/{output}"


def flow_path(slot: str) -> str:
    """Return the group of the shares of a target's gradient along every edge."""
    return f"flow/{slot}"


def connection_gradient_path(slot: str, source: str, target: str) -> str:
    """Return the array of a target's gradient by a pair's strongest connections, packed as the connections are."""
    return f"{flow_path(slot)}/{connection_path(source, target)}"


def read_gradient(
    stored: StoredArrays, slot: str, node_id: str, output: int, sample: int
) -> NDArray[np.float32] | None:
    """Read the gradient of a target's score by one output of a node, ``shape``; `None` if it was not captured."""
    shapes = stored.graph.node(node_id).shapes
    expected = (None, *shapes[output]) if output < len(shapes) else ()
    array = stored.find(gradient_path(slot, node_id, output), expected)
    return None if array is None else stored.numbers(array, sample)


def read_flow(stored: StoredArrays, slot: str, sample: int) -> NDArray[np.float32] | None:
    """Read the norm of a target's gradient along each edge of the graph, ``(edges,)``; `None` if it was not captured."""
    array = stored.find(f"{flow_path(slot)}/edges", (None, len(stored.graph.edges)))
    return None if array is None else stored.sample(array, sample)


def read_connection_gradient(
    stored: StoredArrays, slot: str, found: Connections, sample: int
) -> NDArray[np.float32] | None:
    """Read the gradient of a target's score by each connection of a pair, ``(k,)``; `None` if it was not captured."""
    from nnviz3d.data.records import RANKINGS

    packed = (None, len(RANKINGS), None)
    array = stored.find(connection_gradient_path(slot, found.source, found.target), packed)
    if array is None:
        return None
    columns: NDArray[np.float32] = stored.sample(array, sample)[RANKINGS.index(found.ranking)]
    return columns[: found.shown]


def write_gradient(writer: ArrayWriter, slot: str, node_id: str, output: int, start: int, values: NDArray[Any]) -> None:
    """Write the gradient of a target by one output of a node, for samples ``start`` and on: ``(n, *shape)``."""
    writer.write_numbers(gradient_path(slot, node_id, output), node_id, output, start, values)


def write_flow(writer: ArrayWriter, slot: str, edges: NDArray[np.float32]) -> None:
    """Write the norm of a target's gradient along each edge, for all samples: ``(N, E)``."""
    writer.rows(f"{flow_path(slot)}/edges", 0, edges)


def write_connection_gradient(
    writer: ArrayWriter, slot: str, source: str, target: str, found: Sequence[Sequence[NDArray[np.float32]]]
) -> None:
    """Write the gradient of a target by a pair's connections: ``(k,)`` for each sample and, in it, each ranking.

    They are packed as the connections are, ``(N, rankings, k)``.
    """
    import numpy as np

    from nnviz3d.data.records import filled

    k = max(len(column) for columns in found for column in columns)
    packed = np.stack([np.stack([filled(column, k, 0) for column in columns]) for columns in found])
    writer.rows(connection_gradient_path(slot, source, target), 0, packed)


def _missing(capture: CaptureContents, wanted: GradientFields) -> str:
    if not wanted.gradients or capture.has_gradients():
        return ""
    return f"{capture.path.name} holds no gradients; capture the model with --gradients."


def no_gradients(capture: CaptureContents) -> str:
    """Return one sentence on why a capture's model has no gradients; nothing if it has some."""
    from nnviz3d.data.model_sources import without_gradients

    kind = without_gradients(capture.provenance.model)
    return f"{kind.capitalize()} has no gradients; capture the Keras model that it was made from." if kind else ""


def _impossible(capture: CaptureContents, wanted: GradientFields) -> str:
    return no_gradients(capture) if wanted.gradients else ""


def _held(capture: CaptureContents) -> Mapping[str, Any]:
    return {"gradients": capture.has_gradients()}


GRADIENTS = Capability(
    name="gradients",
    fields=GradientFields,
    options=GradientOptions,
    wanted=lambda insights: bool(insights.gradients),
    capture="nnviz3d.capture.gradients:write_gradients",
    stages={"gradients": "Finding the gradients", "flow": "Following the gradient back"},
    missing=_missing,
    impossible=_impossible,
    views=("nnviz3d.scene.views.backward:BackwardView",),
    panel="nnviz3d.apps.web.panels.explanation:ExplanationPanel",
    held=_held,
)
"""The description of this capability."""
