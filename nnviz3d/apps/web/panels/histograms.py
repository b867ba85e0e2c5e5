"""Panel of the histograms of a training: a choice of weights, gradients or updates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trame.widgets import html

from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.fields import choice_buttons
from nnviz3d.apps.web.panels.page_panel import PagePanel
from nnviz3d.apps.web.value_checks import asked_choice
from nnviz3d.data.training_histograms import QUANTITIES
from nnviz3d.scene.views.histograms import HistogramsSpec


@dataclass(frozen=True)
class HistogramsState:
    """Values that the widgets show.

    Attributes
    ----------
    histogram_of
        The quantity whose histograms are drawn.
    histograms_shown
        Whether the scene shows histograms.
    """

    histogram_of: str = QUANTITIES[0]
    histograms_shown: bool = False


class HistogramsPanel(PagePanel[HistogramsState]):
    """Choice of the quantity; only for a scene with histograms. The layer is the selected one."""

    def __init__(self, page: PageContext) -> None:
        super().__init__(page, HistogramsState())
        page.on_change("histogram_of", self._choose)

    @property
    def _spec(self) -> HistogramsSpec | None:
        return next((view for view in self.page.session.scene.spec.views if isinstance(view, HistogramsSpec)), None)

    def synchronize(self) -> None:
        """Show the quantity that is drawn."""
        spec = self._spec
        chosen = self.page.session.selection.histogram or (QUANTITIES[0] if spec is None else spec.of)
        self.show(HistogramsState(chosen, spec is not None))

    def _choose(self, histogram_of: Any) -> None:
        if self._spec is not None and histogram_of != self.state.histogram_of:
            self.page.select(histogram=asked_choice("quantity", histogram_of, QUANTITIES))

    def build(self) -> None:
        """Make the widgets."""
        with html.Div(classes="section appearance", id="histograms", v_if="histograms_shown"):
            choice_buttons("Histogram", "histogram_of", QUANTITIES, "The numbers that the histograms count")
