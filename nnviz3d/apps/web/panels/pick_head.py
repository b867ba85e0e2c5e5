"""Panel of the name and the number of the pick; what can be changed at it and its explanation follow."""

from __future__ import annotations

from dataclasses import dataclass

from trame.widgets import html

from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.page_panel import PagePanel
from nnviz3d.scene.selection import CellPick
from nnviz3d.scene.views.blocks import describe_cell


@dataclass(frozen=True)
class PickHeadState:
    """Value that the widgets show beside the title that `PickState` holds.

    Attributes
    ----------
    pick_value
        The exact number of the picked cell, or the first ones of a location; empty if there is none.
    """

    pick_value: str = ""


class PickHeadPanel(PagePanel[PickHeadState]):
    """Heading of the pick."""

    def __init__(self, page: PageContext) -> None:
        super().__init__(page, PickHeadState())

    def synchronize(self) -> None:
        """Show the number of the picked cell."""
        session = self.page.session
        pick, context = session.selection.pick, session.context
        facts = None
        if isinstance(pick, CellPick) and session.scene.blocks and pick.layer in context.graph:
            facts = describe_cell(context, pick, session.selection)
        # Without gradients and the like the activation is the value; else it is the first of several numbers.
        self.show(PickHeadState("" if facts is None else facts.value or facts.parts[0][1]))

    def build(self) -> None:
        """Make the widgets."""
        with html.Div(classes="section picked", id="picked", v_if="pick_title"):
            html.Span("{{ pick_title }}", classes="section-title line", title=("pick_title",))
            html.Span("{{ pick_value }}", v_if="pick_value", classes="line", id="pick-value", title=("pick_value",))
