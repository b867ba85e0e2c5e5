"""The groups of a scene's network, and the ones that are open at first."""

from __future__ import annotations

from collections.abc import Iterable

from nnviz3d.data.files.paths import quoted
from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.grouped_capture import without_groups
from nnviz3d.data.grouping.contracted import Grouping
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.selectors import matching
from nnviz3d.errors import SceneError
from nnviz3d.scene.spec import SceneSpec


def grouping_of(spec: SceneSpec, capture: CaptureReader) -> Grouping:
    """Return the groups that a scene may close.

    There are none if another view takes the place of the network's blocks, and none of a recorded training, whose faults
    are shown at each layer. Layers that the scene names, and layers of which a view shows more than the activations, are
    in no group.
    """
    capture = without_groups(capture)
    graph = capture.graph
    if capture.training is not None or any(view.stands_alone for view in spec.views):
        return Grouping(graph, ())
    return Grouping.of(graph, own_layers(spec, capture) | set(_filmed(spec, graph)))


def own_layers(spec: SceneSpec, capture: CaptureReader) -> set[str]:
    """Return the layers that the views name, or of which they show more than the activations."""
    return {name for view in spec.views for name in view.own_layers(capture)}


def words_on(graph: ModelGraph) -> str:
    """Return how many layers the closed groups of a graph stand for, in words; empty if none is closed."""
    closed = [node.members for node in graph if node.members]
    if not closed:
        return ""
    layers = len(graph) - len(closed) + sum(closed)
    groups = "1 is a group" if len(closed) == 1 else f"{len(closed)} are groups"
    return f"{layers:,} layers in {len(graph)} blocks, of which {groups} of layers"


def _filmed(spec: SceneSpec, graph: ModelGraph) -> Iterable[str]:
    """Yield the layers to which the camera's keyframes move."""
    for frame in spec.camera.keyframes:
        if frame.target.startswith("layer:"):
            yield from matching(frame.target.removeprefix("layer:"), graph)[:1]


def opened_at_first(spec: SceneSpec, grouping: Grouping) -> frozenset[str]:
    """Return the groups that are open when the scene begins.

    Raises
    ------
    SceneError
        If the scene's look names a group that the network does not have.
    """
    if spec.look.opened is not None:
        opened = frozenset(spec.look.opened)
        if unknown := sorted(opened - grouping.everything):
            raise SceneError(f"look.opened: there is no group of layers {quoted(unknown[0])!r}.")
        return opened
    if spec.groups == "open":
        return grouping.everything
    return grouping.automatic() if spec.groups == "auto" else frozenset()
