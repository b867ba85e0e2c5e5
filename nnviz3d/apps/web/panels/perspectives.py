"""The bar of perspectives: everything that can be looked at of the network, and why the rest cannot."""

from __future__ import annotations

from dataclasses import dataclass

from trame.widgets import html

from nnviz3d.apps.perspectives import Availability, Perspective
from nnviz3d.apps.web.asked import asked_choice
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.page_panel import PagePanel


@dataclass(frozen=True)
class PerspectivesState:
    """Values that the widgets show.

    Attributes
    ----------
    perspectives
        The perspectives in order, as `perspective_item` returns them.
    perspective
        The name of the one that is shown.
    """

    perspectives: list[dict[str, str]]
    perspective: str


class PerspectivesPanel(PagePanel[PerspectivesState]):
    """Choice of the perspective."""

    area = "bar"

    def __init__(self, page: PageContext) -> None:
        super().__init__(page, self._state(page))
        page.on_trigger("look_at", self.look_at)

    @staticmethod
    def _state(page: PageContext) -> PerspectivesState:
        found = page.session.perspectives
        items = [perspective_item(one, found.availability(one.name)) for one in found.all]
        return PerspectivesState(items, found.current)

    def synchronize(self) -> None:
        """Show which perspective is shown, and which others can be."""
        self.show(self._state(self.page))

    def look_at(self, name: object) -> None:
        """Show another perspective."""
        names = [one.name for one in self.page.session.perspectives.all]
        self.page.session.look_at(asked_choice("perspective", name, names))
        self.page.refresh()

    def build(self) -> None:
        """Make the widgets."""
        with html.Div(
            classes="perspectives", id="perspectives", role="tablist", aria_label="What is shown of the network"
        ):
            with html.Button(
                v_for="one in perspectives",
                key="one.name",
                type="button",
                role="tab",
                classes=("['perspective', one.state, { chosen: one.name === perspective }]",),
                click="trigger('look_at', [one.name])",
                title=("one.reason ? one.words + '\\n\\n' + one.reason : one.words",),
                v_bind="{ 'data-perspective': one.name, 'aria-selected': one.name === perspective }",
            ):
                html.Span("{{ one.title }}")


def perspective_item(perspective: Perspective, found: Availability) -> dict[str, str]:
    """Return a perspective for the page: ``name``, ``title``, ``words``, its ``state`` and the ``reason`` for it."""
    return {
        "name": perspective.name,
        "title": perspective.title,
        "words": perspective.words,
        "state": found.state.value,
        "reason": found.reason,
    }
