"""The bar of perspectives: everything that can be looked at of the network, and why the rest cannot."""

from __future__ import annotations

from dataclasses import dataclass

from trame.widgets import html

from nnviz3d.apps.perspectives import Availability, Perspective, State
from nnviz3d.apps.web.option_names import unbroken
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.page_panel import PagePanel
from nnviz3d.apps.web.value_checks import asked_choice

_CLASSES = (
    "['perspective', one.state, { chosen: one.name === perspective, computing: one.name === computing,"
    " failed: one.failed && one.name !== computing }]"
)


@dataclass(frozen=True)
class PerspectivesState:
    """Values that the widgets show.

    Attributes
    ----------
    perspectives
        The perspectives in order, as `perspective_item` returns them.
    perspective
        The name of the one that is shown.
    computing, computed_share
        The name of the one that the model is computing, empty if there is none; and the percent that are done.
    can_stop
        Whether the model is at work on a request that can be stopped.
    """

    perspectives: list[dict[str, str]]
    perspective: str
    computing: str = ""
    computed_share: int = 0
    can_stop: bool = False


class PerspectivesPanel(PagePanel[PerspectivesState]):
    """Choice of the perspective."""

    area = "bar"

    def __init__(self, page: PageContext) -> None:
        super().__init__(page, self._state(page))
        page.on_trigger("look_at", self.look_at)
        page.on_trigger("stop_model", self.stop)

    @staticmethod
    def _state(page: PageContext) -> PerspectivesState:
        found, queries = page.session.perspectives, page.session.queries
        items = [perspective_item(one, found.availability(one.name)) for one in found.all]
        share = round(100 * (queries.share or 0.0))
        return PerspectivesState(items, found.current, queries.perspective, share, bool(queries.busy))

    def synchronize(self) -> None:
        """Show which perspective is shown, and which others can be."""
        self.show(self._state(self.page))

    def look_at(self, name: object) -> None:
        """Show another perspective."""
        names = [one.name for one in self.page.session.perspectives.all]
        self.page.session.look_at(asked_choice("perspective", name, names))
        self.page.refresh()

    def stop(self) -> None:
        """Stop the model's work for what is waited for."""
        self.page.session.queries.stop()
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
                classes=(_CLASSES,),
                click="trigger('look_at', [one.name])",
                title=(unbroken("(one.words + '\\n\\n' + one.reason).trim()"),),
                style=("{ '--share': one.name === computing ? computed_share + '%' : '0%' }",),
                v_bind="{ 'data-perspective': one.name, 'aria-selected': one.name === perspective }",
            ):
                html.Span("{{ one.title }}")
        with html.Span(
            v_if="perspectives.some((one) => one.state === 'computable')",
            classes="perspectives-legend",
            id="perspectives-legend",
            title="The capture does not hold these yet; the model computes them.",
        ):
            html.Span("a click computes it")


def perspective_item(perspective: Perspective, found: Availability) -> dict[str, str]:
    """Return a perspective for the page.

    Returns
    -------
    ``name``, ``title``, ``words``, its ``state``, the ``reason`` for it, and ``failed``: not empty if the model was asked
    for it in vain.
    """
    computable = found.state is State.COMPUTABLE
    failed = f"{found.reason} A click asks again." if computable and found.reason else ""
    return {
        "name": perspective.name,
        "title": perspective.title,
        "words": perspective.words,
        "state": found.state.value,
        "reason": failed or found.reason or ("Not captured: a click lets the model compute it." if computable else ""),
        "failed": failed,
    }
