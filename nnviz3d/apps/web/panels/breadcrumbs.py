"""Panel with the path to what is chosen: model, groups, layer, channel, cell; each entry leads back to it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from trame.widgets import html
from trame.widgets import vuetify3 as v

from nnviz3d.apps.breadcrumbs import breadcrumbs
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.page_panel import PagePanel
from nnviz3d.apps.web.panels.unfolding import unfold_layer, unfoldable_layers

_TITLES = {
    "model": "The whole network, with nothing chosen",
    "group": "Fly to this group",
    "layer": "Fly to this layer",
    "channel": "All channels of the layer, side by side",
    "pick": "Come closer (f)",
}


@dataclass(frozen=True)
class BreadcrumbsState:
    """Values that the widgets show.

    Attributes
    ----------
    crumbs
        The entries of the path: ``kind``, ``name`` and ``words`` as in `Crumb`, and ``title``, what a click does.
    """

    crumbs: list[dict[str, str]] = field(default_factory=list)


class BreadcrumbsPanel(PagePanel[BreadcrumbsState]):
    """The path, at the right of the heading."""

    area = "heading"

    def __init__(self, page: PageContext) -> None:
        super().__init__(page, BreadcrumbsState())
        page.on_trigger("show_channels", self.show_channels)

    def synchronize(self) -> None:
        """Show the path to the selection."""
        session = self.page.session
        found = breadcrumbs(session, self.page.group)
        unfoldable = set(unfoldable_layers(session)) if any(one.kind == "channel" for one in found) else set()
        titles = [
            _TITLES["layer" if one.kind == "channel" and one.name not in unfoldable else one.kind] for one in found
        ]
        self.show(BreadcrumbsState([{**asdict(one), "title": title} for one, title in zip(found, titles, strict=True)]))

    def show_channels(self, layer: str) -> bool:
        """Show all channels of a layer, if they can be laid out; returns whether they can."""
        if layer not in unfoldable_layers(self.page.session):
            return False
        self.page.select(layer=layer, pick=None)
        unfold_layer(self.page, layer)
        return True

    def build(self) -> None:
        """Make the widgets."""
        with html.Nav(classes="crumbs", id="crumbs", aria_label="Path to what is chosen", v_if="crumbs.length"):
            with v.Template(v_for="(crumb, place) in crumbs", key="place"):
                html.Span("›", v_if="place", classes="crumb-mark faint", aria_hidden="true")
                html.Button(
                    "{{ crumb.words }}",
                    type="button",
                    classes="crumb line",
                    title=("`${crumb.words}\\n\\n${crumb.title}`",),
                    click="window.nnviz3dWay.goTo(crumb)",
                    v_bind="{ 'data-crumb': crumb.kind, 'aria-current': place === crumbs.length - 1 ? 'location' : null }",
                )
