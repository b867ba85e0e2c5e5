"""Registry of the views: one entry for each kind of view in a scene file. A capability lists its own views."""

from __future__ import annotations

from nnviz3d.data.capabilities import CAPABILITIES
from nnviz3d.data.capabilities.capability import imported
from nnviz3d.scene.view import View
from nnviz3d.scene.views.activations import ActivationsView
from nnviz3d.scene.views.connections import ConnectionsView
from nnviz3d.scene.views.counterpart import CounterpartView
from nnviz3d.scene.views.gates import GatesView
from nnviz3d.scene.views.health import HealthView
from nnviz3d.scene.views.histograms import HistogramsView
from nnviz3d.scene.views.history import HistoryView
from nnviz3d.scene.views.kernels import KernelsView
from nnviz3d.scene.views.node_link.view import NodesView
from nnviz3d.scene.views.statistics import StatisticsView
from nnviz3d.scene.views.structure import StructureView
from nnviz3d.scene.views.training import TrainingView

VIEWS: tuple[type[View], ...] = (
    StructureView,
    ActivationsView,
    ConnectionsView,
    CounterpartView,
    GatesView,
    NodesView,
    StatisticsView,
    KernelsView,
    TrainingView,
    HistoryView,
    HistogramsView,
    HealthView,
    *dict.fromkeys(imported(name) for capability in CAPABILITIES for name in capability.views),
)
"""All views: those for every capture, and those of capabilities. `spec_class` is the class of a view's settings."""


def kind_of(view: type[View]) -> str:
    """Return the name of a view in a scene file."""
    return str(view.spec_class.model_fields["kind"].annotation.__args__[0])  # type: ignore[union-attr]


BY_KIND = {kind_of(view): view for view in VIEWS}
"""The views by their names in a scene file."""
