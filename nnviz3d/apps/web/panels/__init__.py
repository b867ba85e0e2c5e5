"""Registry of the page's panels. A capability names its panel in its `Capability`; all other panels are named here."""

from __future__ import annotations

from collections.abc import Callable

from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.appearance import AppearancePanel
from nnviz3d.apps.web.panels.breadcrumbs import BreadcrumbsPanel
from nnviz3d.apps.web.panels.changes import ChangesPanel
from nnviz3d.apps.web.panels.cloud import CloudPanel
from nnviz3d.apps.web.panels.comparison import ComparisonPanel
from nnviz3d.apps.web.panels.dead_channels import DeadChannelsPanel
from nnviz3d.apps.web.panels.filters import FiltersPanel
from nnviz3d.apps.web.panels.histograms import HistogramsPanel
from nnviz3d.apps.web.panels.history import HistoryPanel
from nnviz3d.apps.web.panels.interventions import InterventionsPanel
from nnviz3d.apps.web.panels.keyframes import KeyframesPanel
from nnviz3d.apps.web.panels.layers import LayersPanel
from nnviz3d.apps.web.panels.page_panel import AnyPanel
from nnviz3d.apps.web.panels.painting import PaintingPanel
from nnviz3d.apps.web.panels.perspectives import PerspectivesPanel
from nnviz3d.apps.web.panels.pick import PickPanel
from nnviz3d.apps.web.panels.pick_head import PickHeadPanel
from nnviz3d.apps.web.panels.playback import PlaybackPanel
from nnviz3d.apps.web.panels.points import PointsPanel
from nnviz3d.apps.web.panels.samples import SamplesPanel
from nnviz3d.apps.web.panels.sizes import SizesPanel
from nnviz3d.apps.web.panels.tour import TourButtonPanel, TourPanel
from nnviz3d.apps.web.panels.training import TrainingPanel
from nnviz3d.apps.web.panels.training_control import TrainingControlPanel
from nnviz3d.data.capabilities import CAPABILITIES
from nnviz3d.data.capabilities.capability import imported

PanelClass = Callable[[PageContext], AnyPanel]
"""A subclass of `PagePanel`."""

PANELS: tuple[PanelClass | str, ...] = (
    PerspectivesPanel,
    ChangesPanel,
    BreadcrumbsPanel,
    TourButtonPanel,
    SamplesPanel,
    ComparisonPanel,
    DeadChannelsPanel,
    PickHeadPanel,
    InterventionsPanel,
    PickPanel,
    CloudPanel,
    PointsPanel,
    TrainingPanel,
    TrainingControlPanel,
    HistoryPanel,
    HistogramsPanel,
    PaintingPanel,
    FiltersPanel,
    *(capability.panel for capability in CAPABILITIES if capability.panel is not None),
    SizesPanel,
    AppearancePanel,
    KeyframesPanel,
    LayersPanel,
    PlaybackPanel,
    TourPanel,
)
"""All panels, in the order of the page. Capabilities name theirs as ``module:class``; several may name the same one.

Lists that lead to picks stand above what is told of a pick, so that a click does not move them. What can be changed at a
pick stands between its name and its long explanation.
"""


def panel_classes() -> tuple[PanelClass, ...]:
    """Return the classes of all panels in the order of the page, each one once."""
    return tuple(dict.fromkeys(imported(entry) if isinstance(entry, str) else entry for entry in PANELS))
