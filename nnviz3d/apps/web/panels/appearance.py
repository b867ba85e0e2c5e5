"""How the numbers are shown: threshold, colours, scale, and what makes a connection strong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from trame.widgets import html
from trame.widgets import vuetify3 as v

from nnviz3d.apps.web.panels.fields import switched
from nnviz3d.data.records import RANKINGS
from nnviz3d.scene.colors import DIVERGING, SEQUENTIAL, Normalize, colormap
from nnviz3d.scene.views.activations import ActivationsSpec
from nnviz3d.scene.views.connections import ConnectionsSpec
from nnviz3d.scene.views.node_link.spec import NodesSpec

if TYPE_CHECKING:
    from nnviz3d.apps.web.app import WebApp

_STOPS = 12
"""Colours from which the page draws a map."""


class Appearance:
    """Changes the looks; what the scene does not show has no control."""

    def __init__(self, app: WebApp) -> None:
        self._app = app
        views = app.session.scene.spec.views
        self._activations = next((view for view in views if isinstance(view, ActivationsSpec)), None)
        self._connections = next((view for view in views if isinstance(view, ConnectionsSpec | NodesSpec)), None)
        app.state.colormaps = [
            {"title": name, "value": name, "strip": gradient(name), "note": "" if name in SEQUENTIAL else "signed"}
            for name in SEQUENTIAL + DIVERGING
        ]
        self.synchronize()
        for name, change in (
            ("threshold", self._set_threshold),
            ("colormap", self._set_colormap),
            ("normalize", self._set_normalize),
            ("ranking", self._set_ranking),
        ):
            app.state.change(name)(app.guarded(change))

    def synchronize(self) -> None:
        """Show what is selected, or else what the scene says."""
        selection, state = self._app.session.selection, self._app.state
        if (view := self._activations) is not None:
            threshold = view.threshold if selection.threshold is None else selection.threshold
            state.threshold = round(threshold * 100)
            state.colormap = selection.colormap or view.colormap
            state.normalize = selection.normalize or view.normalize
        if self._connections is not None:
            state.ranking = selection.ranking or self._connections.ranking

    # The pages and this program both change the state; only what differs from the session is a person's wish.

    def _set_threshold(self, threshold: float, **_: Any) -> None:
        share = min(max(float(threshold) / 100, 0.0), 1.0)
        view, selection = self._activations, self._app.session.selection
        if (
            view is None
            or abs(share - (view.threshold if selection.threshold is None else selection.threshold)) < 0.005
        ):
            return
        self._app.select(moving=True, threshold=share)

    def _set_colormap(self, colormap: str, **_: Any) -> None:
        selection = self._app.session.selection
        if self._activations is not None and colormap != (selection.colormap or self._activations.colormap):
            if colormap not in SEQUENTIAL + DIVERGING:
                raise ValueError(f"The page asked for an unknown colour map {colormap!r}.")
            self._app.select(colormap=colormap)

    def _set_normalize(self, normalize: Normalize, **_: Any) -> None:
        selection = self._app.session.selection
        if self._activations is not None and normalize != (selection.normalize or self._activations.normalize):
            if normalize not in get_args(Normalize):
                raise ValueError(f"The page asked for an unknown scale {normalize!r}.")
            self._app.select(normalize=normalize)

    def _set_ranking(self, ranking: str, **_: Any) -> None:
        selection = self._app.session.selection
        if self._connections is not None and ranking != (selection.ranking or self._connections.ranking):
            if ranking not in RANKINGS:
                raise ValueError(f"The page asked for an unknown ranking {ranking!r}.")
            self._app.select(ranking=ranking)

    def build(self) -> None:
        """Make the widgets."""
        if self._activations is None and self._connections is None:
            return
        with html.Div(classes="section appearance", id="appearance"):
            if self._activations is not None:
                self._threshold()
                self._colors()
                switched("Scale", "normalize", get_args(Normalize), "One colour scale for each layer, or one for all")
            if self._connections is not None:
                switched("Lines by", "ranking", RANKINGS, "Which connections are strong: |weight|, or |weight × value|")

    def _threshold(self) -> None:
        with html.Div(classes="field", title="Cells below this share of their layer's range are not drawn"):
            html.Span("Threshold", classes="field-name")
            v.VSlider(v_model=("threshold",), min=0, max=100, step=1, id="threshold", aria_label="Threshold")
            html.Span("{{ threshold }} %", classes="field-value")

    def _colors(self) -> None:
        with html.Div(classes="field"):
            html.Span("Colours", classes="field-name")
            with v.VSelect(v_model=("colormap",), items=("colormaps",), id="colormap", aria_label="Colour map"):
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
    """Write a colour map as CSS."""
    table = colormap(name).table
    stops = ", ".join("rgb({}, {}, {})".format(*table[round(k * 255 / (_STOPS - 1))]) for k in range(_STOPS))
    return f"linear-gradient(90deg, {stops})"
