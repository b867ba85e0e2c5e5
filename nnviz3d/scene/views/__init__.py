"""One module for each capability's part of a picture, and one table from a scene file's words to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnviz3d.errors import SceneError
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.spec import SceneSpec
from nnviz3d.scene.view import View
from nnviz3d.scene.view_specs import (
    Activations,
    AttentionSheets,
    Attributions,
    Backward,
    Channels,
    ConnectionsView,
    EmbeddingCloud,
    HealthMarks,
    HistoryView,
    Kernels,
    Nodes,
    Statistics,
    Structure,
    TrainingView,
)
from nnviz3d.scene.views.activations import ActivationsView
from nnviz3d.scene.views.attention import AttentionView
from nnviz3d.scene.views.attributions import AttributionsView
from nnviz3d.scene.views.backward import BackwardView
from nnviz3d.scene.views.channels import ChannelsView
from nnviz3d.scene.views.connections import ConnectionLinesView
from nnviz3d.scene.views.health import HealthView
from nnviz3d.scene.views.history import HistoryRidgesView
from nnviz3d.scene.views.kernels import KernelsView
from nnviz3d.scene.views.node_link.view import nodes_view
from nnviz3d.scene.views.points.embedding import EmbeddingView
from nnviz3d.scene.views.statistics import StatisticsView
from nnviz3d.scene.views.structure import StructureView
from nnviz3d.scene.views.training import TrainingCurveView

_BUILDERS: dict[type, Callable[[Any, SceneContext, SceneSpec], View]] = {
    Structure: StructureView,
    Activations: ActivationsView,
    Backward: BackwardView,
    ConnectionsView: ConnectionLinesView,
    Attributions: AttributionsView,
    AttentionSheets: AttentionView,
    Channels: ChannelsView,
    EmbeddingCloud: EmbeddingView,
    HealthMarks: HealthView,
    Nodes: nodes_view,
    Statistics: StatisticsView,
    TrainingView: TrainingCurveView,
    HistoryView: HistoryRidgesView,
    Kernels: KernelsView,
}


def build_view(spec: object, context: SceneContext, scene: SceneSpec) -> View:
    """Build the view that a part of a scene file asks for."""
    builder = _BUILDERS.get(type(spec))
    if builder is None:
        raise SceneError(f"No view is registered for {type(spec).__name__}.")
    return builder(spec, context, scene)
