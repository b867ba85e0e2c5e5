"""Panel of the layer whose filters are shown."""

from __future__ import annotations

from dataclasses import dataclass, field

from trame.widgets import html

from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.fields import choice_list, labelled
from nnviz3d.apps.web.panels.page_panel import PagePanel
from nnviz3d.apps.web.value_checks import asked_choice
from nnviz3d.errors import UserError
from nnviz3d.scene.views.kernels import KernelsView


@dataclass(frozen=True)
class FiltersState:
    """Values that the widgets show.

    Attributes
    ----------
    filter_layers, filter_layer
        The layers whose filters can be shown, and the one whose filters are shown; empty if the scene shows none.
    """

    filter_layers: list[str] = field(default_factory=list)
    filter_layer: str = ""


class FiltersPanel(PagePanel[FiltersState]):
    """Choice of the layer whose filters are shown."""

    def __init__(self, page: PageContext) -> None:
        super().__init__(page, FiltersState())
        page.on_change("filter_layer", self._set_layer)

    def synchronize(self) -> None:
        """Show the layer."""
        session = self.page.session
        view = session.scene.find(KernelsView)
        shown = FiltersState() if view is None else FiltersState(list(view.layers), view.shown_layer(session.selection))
        self.show(shown)

    # The page and the session both change this value; a value that differs from the session's is the user's choice.

    def _set_layer(self, value: object) -> None:
        session = self.page.session
        view = session.scene.find(KernelsView)
        if view is None or value == view.shown_layer(session.selection):
            return
        layer = asked_choice("layer", value, view.layers)
        if not view.holds(layer):
            self.synchronize()
            name = session.context.capture.path.name
            raise UserError(f"{name} does not hold the weights of {layer}; capture the model again with --weights all.")
        self.page.select(layer=layer)

    def build(self) -> None:
        """Make the widgets."""
        with html.Div(classes="section appearance", id="filters", v_if="filter_layers.length > 1"):
            with labelled("Layer", "Layer whose filters are shown"):
                choice_list("filter_layer", "filter_layers", "Layer", id="filter-layer")
