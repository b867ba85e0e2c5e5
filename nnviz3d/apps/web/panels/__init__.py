"""Registry of the page's panels."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.appearance import AppearancePanel
from nnviz3d.apps.web.panels.history import HistoryPanel
from nnviz3d.apps.web.panels.layers import LayersPanel
from nnviz3d.apps.web.panels.panel import AnyPanel
from nnviz3d.apps.web.panels.playback import PlaybackPanel
from nnviz3d.apps.web.panels.samples import SamplesPanel
from nnviz3d.apps.web.panels.training import TrainingPanel

PanelClass = Callable[[PageContext], AnyPanel]
"""A subclass of `Panel`."""

CAPABILITY_PANELS: tuple[str, ...] = (
    "nnviz3d.apps.web.panels.explanation:ExplanationPanel",
    "nnviz3d.apps.web.panels.closeup:CloseUpPanel",
)
"""Panels of capabilities, as ``module:class``; a panel that several capabilities name is shown once."""

PANELS: tuple[PanelClass | str, ...] = (
    SamplesPanel,
    TrainingPanel,
    HistoryPanel,
    *CAPABILITY_PANELS,
    AppearancePanel,
    LayersPanel,
    PlaybackPanel,
)
"""All panels, in the order of the page. To add one, write a module with a subclass of `Panel` and name it here."""


def panel_classes() -> tuple[PanelClass, ...]:
    """Return the classes of all panels in the order of the page, each one once."""
    return tuple(dict.fromkeys(_resolve(entry) if isinstance(entry, str) else entry for entry in PANELS))


def _resolve(name: str) -> PanelClass:
    """Import a class that is written as ``module:class``."""
    module, _, attribute = name.partition(":")
    found: PanelClass = getattr(import_module(module), attribute)
    return found
