"""Panel for the looks: threshold, colour map, scale and ranking of connections."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, get_args

from trame.widgets import html
from trame.widgets import vuetify3 as v

from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.fields import choice_buttons, choice_list
from nnviz3d.apps.web.panels.page_panel import PagePanel
from nnviz3d.apps.web.value_checks import asked_choice, asked_number
from nnviz3d.data.records import RANKINGS
from nnviz3d.scene.colors import DIVERGING, SEQUENTIAL, Normalize, colormap
from nnviz3d.scene.views.activations import ActivationsSpec
from nnviz3d.scene.views.attributions import AttributionsSpec
from nnviz3d.scene.views.connections import ConnectionsSpec
from nnviz3d.scene.views.node_link.spec import NodesSpec

_FIELDS = ("threshold", "colormap", "normalize", "ranking", "map_opacity")
"""The fields of the selection that this panel sets."""
_THRESHOLD = "Cells below this percentage of the end of their layer's colour scale are hidden"
_STOPS = 12
"""Colours in the page's picture of a colour map."""


@dataclass(frozen=True)
class AppearanceState:
    """Values that the widgets show.

    Attributes
    ----------
    colormaps
        The colour maps to choose from: ``title``, ``value``, the CSS of a ``strip`` and a ``note``.
    threshold
        Percent of a layer's range below which cells are not drawn.
    colormap, normalize, ranking
        The chosen colour map, scale and ranking of connections.
    map_opacity
        Percent of the picture that the strongest colour of an attribution map hides.
    has_cells, has_lines, has_map
        Whether the scene shows numbers in cells, connections as lines, and an attribution map over a picture.
    look_changed
        Whether the user has changed any of these from what the scene says.
    """

    colormaps: list[dict[str, str]]
    threshold: int = 0
    colormap: str = ""
    normalize: str = ""
    ranking: str = ""
    has_cells: bool = False
    map_opacity: int = 0
    has_lines: bool = False
    has_map: bool = False
    look_changed: bool = False


class AppearancePanel(PagePanel[AppearanceState]):
    """Controls of the looks; only for what the scene shows."""

    def __init__(self, page: PageContext) -> None:
        colormaps = [
            {"title": name, "value": name, "strip": gradient(name), "note": "" if name in SEQUENTIAL else "signed"}
            for name in SEQUENTIAL + DIVERGING
        ]
        super().__init__(page, AppearanceState(colormaps))
        page.on_change("threshold", self._set_threshold)
        page.on_change("colormap", self._set_colormap)
        page.on_change("normalize", self._set_normalize)
        page.on_change("ranking", self._set_ranking)
        page.on_change("map_opacity", self._set_map_opacity)
        page.on_trigger("reset_look", self._reset)

    @property
    def _activations(self) -> ActivationsSpec | None:
        views = self.page.session.scene.spec.views
        return next((view for view in views if isinstance(view, ActivationsSpec)), None)

    @property
    def _connections(self) -> ConnectionsSpec | NodesSpec | None:
        views = self.page.session.scene.spec.views
        return next((view for view in views if isinstance(view, ConnectionsSpec | NodesSpec)), None)

    @property
    def _map(self) -> AttributionsSpec | None:
        scene = self.page.session.scene
        inputs = (scene.context.placement(name) for name in scene.context.graph.inputs)
        if not any(len(one.grid.location_shape) == 2 for one in inputs):
            return None
        return next((view for view in scene.spec.views if isinstance(view, AttributionsSpec)), None)

    def synchronize(self) -> None:
        """Show the selection; fields that it leaves open as the scene sets them."""
        selection = self.page.session.selection
        has_cells, has_lines = self._activations is not None, self._connections is not None
        changed = any(getattr(selection, name) is not None for name in _FIELDS)
        over = self._map
        state = replace(
            self.state, has_cells=has_cells, has_lines=has_lines, has_map=over is not None, look_changed=changed
        )
        if (view := self._activations) is not None:
            threshold = view.threshold if selection.threshold is None else selection.threshold
            state = replace(
                state,
                threshold=round(threshold * 100),
                colormap=selection.colormap or view.colormap,
                normalize=selection.normalize or view.normalize,
            )
        if over is not None:
            opacity = over.opacity if selection.map_opacity is None else selection.map_opacity
            state = replace(state, map_opacity=round(100 * opacity))
        if (lines := self._connections) is not None:
            state = replace(state, ranking=selection.ranking or lines.ranking)
        self.show(state)

    # The page and the session both change these values; a value that differs from the session's is the user's choice.

    def _set_threshold(self, threshold: Any) -> None:
        share = min(max(asked_number("threshold", threshold) / 100, 0.0), 1.0)
        view, selection = self._activations, self.page.session.selection
        if (
            view is None
            or abs(share - (view.threshold if selection.threshold is None else selection.threshold)) < 0.005
        ):
            return
        self.page.select(moving=True, threshold=share)

    def _set_colormap(self, colormap: str) -> None:
        selection, view = self.page.session.selection, self._activations
        if view is not None and colormap != (selection.colormap or view.colormap):
            self.page.select(colormap=asked_choice("colour map", colormap, SEQUENTIAL + DIVERGING))

    def _set_normalize(self, normalize: Normalize) -> None:
        selection, view = self.page.session.selection, self._activations
        if view is not None and normalize != (selection.normalize or view.normalize):
            self.page.select(normalize=asked_choice("scale", normalize, get_args(Normalize)))

    def _set_ranking(self, ranking: str) -> None:
        selection, view = self.page.session.selection, self._connections
        if view is not None and ranking != (selection.ranking or view.ranking):
            self.page.select(ranking=asked_choice("ranking", ranking, RANKINGS))

    def _set_map_opacity(self, percent: Any) -> None:
        over, selection = self._map, self.page.session.selection
        share = min(max(asked_number("opacity", percent) / 100, 0.0), 1.0)
        shown = selection.map_opacity if over is None or selection.map_opacity is not None else over.opacity
        if shown is not None and over is not None and abs(share - shown) >= 0.005:
            self.page.select(moving=True, map_opacity=share)

    def _reset(self) -> None:
        nothing: dict[str, Any] = dict.fromkeys(_FIELDS)
        self.page.select(**nothing)

    def build(self) -> None:
        """Make the widgets."""
        with html.Div(classes="section appearance", id="appearance", v_if="has_cells || has_lines || has_map"):
            with html.Div(
                classes="field", title="How much of the picture the strongest colour of the map hides", v_if="has_map"
            ):
                html.Span("Opacity", classes="field-name")
                v.VSlider(v_model=("map_opacity",), min=0, max=100, step=1, id="map-opacity", aria_label="Map opacity")
                html.Span("{{ map_opacity }} %", classes="field-value")
            self._threshold()
            self._colors()
            words = "One colour scale for each layer, which leaves 0.2 % of its numbers above its end m, or one for all"
            choice_buttons("Scale", "normalize", get_args(Normalize), words, v_if="has_cells")
            words = "Which connections are strong: |weight|, or |weight × value|"
            choice_buttons("Lines by", "ranking", RANKINGS, words, v_if="has_lines")
            html.Button(
                "Reset to the scene's own look",
                v_if="look_changed",
                click="trigger('reset_look')",
                type="button",
                classes="cloud-button wide",
                id="reset-look",
                title="Threshold, colours, scale, ranking and opacity as the scene says",
            )

    def _threshold(self) -> None:
        with html.Div(classes="field", title=_THRESHOLD, v_if="has_cells"):
            html.Span("Threshold", classes="field-name")
            v.VSlider(v_model=("threshold",), min=0, max=100, step=1, id="threshold", aria_label="Threshold")
            html.Span("{{ threshold }} %", classes="field-value")

    def _colors(self) -> None:
        with html.Div(classes="field", v_if="has_cells"):
            html.Span("Colours", classes="field-name")
            with choice_list("colormap", "colormaps", "Colour map"):
                with v.Template(v_slot_selection="{ item }"):
                    html.Span(classes="strip", style=("{ background: item.raw.strip }",))
                    html.Span("{{ item.title }}", classes="line")
                with v.Template(v_slot_item="{ props, item }"):
                    with v.VListItem(v_bind="{ ...props, title: undefined }", density="compact"):
                        with html.Div(classes="colormap-item"):
                            html.Span(classes="strip", style=("{ background: item.raw.strip }",))
                            html.Span("{{ item.title }}", classes="line")
                            html.Span("{{ item.raw.note }}", classes="faint")


def gradient(name: str) -> str:
    """Return a colour map as a CSS gradient."""
    table = colormap(name).table
    stops = ", ".join("rgb({}, {}, {})".format(*table[round(k * 255 / (_STOPS - 1))]) for k in range(_STOPS))
    return f"linear-gradient(90deg, {stops})"
