"""Panel with the list of layers and the exact numbers of the highlighted one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from trame.widgets import html
from trame.widgets import vuetify3 as v

from nnviz3d.apps.web.layer_details import layer_details
from nnviz3d.apps.web.layer_rows import alarm_items, dead_items, grouped_layers, layers_inside
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.page_panel import PagePanel
from nnviz3d.apps.web.panels.unfolding import unfold_layer, unfoldable_layers
from nnviz3d.apps.web.value_checks import shown
from nnviz3d.data.training import Training
from nnviz3d.errors import UserError
from nnviz3d.scene.derived.layer_figures import derived_values
from nnviz3d.scene.views.structure import number_of_parameters

_MOST_FOUND = 30
"""Maximum number of layers inside one closed group that a search lists."""
_SOUGHT = ".toLowerCase().includes((layer_filter || '').trim().toLowerCase())"
_FOUND_INSIDE = (
    "((layer_filter || '').trim() && layers_inside[node.id] || [])"
    f".filter((inner) => (inner[0] + ' ' + inner[1]){_SOUGHT})"
)
_MATCH = f"((node.id + ' ' + node.kind + ' ' + node.inside){_SOUGHT} || {_FOUND_INSIDE}.length > 0)"
_INDENT = "{ paddingLeft: `${6 + 10 * group.depth}px` }"
_INNER_INDENT = "{ paddingLeft: `${24 + 10 * group.depth}px` }"
_ROW = (
    "{ 'data-layer': node.id, 'aria-level': group.depth + 1, 'aria-selected': node.id === layer,"
    " 'aria-expanded': node.inside ? false : null }"
)
_HEADING_INDENT = "{ paddingLeft: `${10 * group.depth - 4}px` }"
_MATCH_BELOW = f"group.below{_SOUGHT}"


@dataclass(frozen=True)
class LayersState:
    """Values that the widgets show.

    Attributes
    ----------
    layer_groups
        The list of layers, as `grouped_layers` returns it.
    layers_inside
        For each closed group id and kind of its layers, which a search finds.
    layer_total
        The number of layers and parameters in words.
    layers_to_unfold
        The layers whose channels can be unfolded.
    layer, details
        The highlighted layer, and its numbers as `layer_details` returns them.
    alarms
        The layers with a training problem at the shown step, as `alarm_items` returns them.
    unfolded_layer
        The layer whose channels are unfolded.
    dead_channels
        Of layers with channels that no sample activates their number in short, and in words: ``text`` and ``words``.
    """

    layer_groups: list[dict[str, Any]]
    layers_inside: dict[str, list[list[str]]]
    layer_total: str
    layers_to_unfold: list[str]
    layer: str | None = None
    details: list[list[str]] = field(default_factory=list)
    alarms: dict[str, dict[str, str]] = field(default_factory=dict)
    unfolded_layer: str | None = None
    dead_channels: dict[str, dict[str, str]] = field(default_factory=dict)


class LayersPanel(PagePanel[LayersState]):
    """List of the layers, which highlights one of them and shows its exact numbers."""

    def __init__(self, page: PageContext) -> None:
        self._detailed: tuple[object, ...] = (None,)
        self._checked: tuple[Training, int] | None = None
        graph = page.session.scene.capture.graph
        total = f"{len(graph):,} layer{'s' * (len(graph) != 1)} · {number_of_parameters(graph.parameters)} parameters"
        self._listed, self._scene = page.session.scene.context.graph, page.session.scene
        listed = grouped_layers(self._listed, page.session.groups), layers_inside(self._listed, page.session.groups)
        super().__init__(page, LayersState(*listed, total, list(unfoldable_layers(page.session))))
        page.client_only(layer_filter="")

    @property
    def keys(self) -> Mapping[str, Callable[[], None]]:
        """The key that opens the highlighted group, or closes the group around the highlighted layer."""
        return {"group": self._toggle_highlighted}

    def synchronize(self) -> None:
        """Show the layers and the highlighted one."""
        session = self.page.session
        if self._listed is not session.scene.context.graph:
            self._listed = session.scene.context.graph
            self.state = replace(
                self.state,
                layer_groups=grouped_layers(self._listed, session.groups),
                layers_inside=layers_inside(self._listed, session.groups),
            )
        if self._scene is not session.scene:
            self._scene = session.scene
            self.state = replace(self.state, layers_to_unfold=list(unfoldable_layers(session)))
        self.show(
            replace(
                self.state,
                layer=session.selection.layer,
                details=self._details(),
                alarms=self._alarms(),
                unfolded_layer=session.unfolding.layer,
                dead_channels=dead_items(session),
            )
        )

    def tick(self) -> None:
        """Show the alarms of the clock's step."""
        self.show(replace(self.state, alarms=self._alarms()))

    def _details(self) -> list[list[str]]:
        """Return the numbers of the highlighted layer; measured once, because a large layer takes time."""
        session = self.page.session
        context, selection, quantity = session.context, session.selection, session.choices.quantity
        layer, key = selection.layer, (selection.layer, selection.sample, selection.target, selection.against, quantity)
        if self._detailed[0] is context and self._detailed[1:] == key:
            return self.state.details
        found = []
        if layer is not None and layer in context.graph:
            found = layer_details(context, layer, selection.sample, derived_values(context, layer, quantity, selection))
        self._detailed = (context, *key)
        return found

    def _alarms(self) -> dict[str, dict[str, str]]:
        """Return the alarms at the shown step of a training."""
        session = self.page.session
        training, step = session.scene.context.capture.training, session.scene.step(session.clock.t, session.selection)
        shown = None if training is None or step is None else (training, step)
        if self._checked == shown:
            return self.state.alarms
        found = {} if shown is None else alarm_items(*shown, session.scene.context.graph)
        self._checked = shown
        return found

    def _toggle_unfolded(self, layer: str) -> None:
        """Unfold a layer's channels, or fold them up."""
        unfold_layer(self.page, None if self.page.session.unfolding.layer == layer else layer)

    def _toggle_group(self, name: str) -> None:
        """Open a closed group, or close an open one."""
        groups = self.page.session.groups
        if groups.is_closed(name):
            groups.open(name)
        elif name in groups.all:
            groups.close(name)
        else:
            raise UserError(f"The page asked to open an unknown group, {shown(name)}.")
        self.page.refresh()

    def _toggle_highlighted(self) -> None:
        session = self.page.session
        pick = session.selection.pick
        layer = session.selection.layer or (None if pick is None else pick.of_layer)
        if session.groups.toggle(layer) is None:
            self.page.say("Highlight a layer inside a group, then press z to close the group.")
        self.page.refresh()

    def build(self) -> None:
        """Make the widgets."""
        with html.Div(classes="section grow", id="layers"):
            with html.Div(classes="section-head"):
                html.Span("Layers", classes="section-title")
                html.Span("{{ layer_total }}", classes="faint")
            v.VTextField(
                v_model=("layer_filter", ""),
                placeholder="Search by name or kind  ( / )",
                prepend_inner_icon="mdi-magnify",
                clearable=True,
                id="filter",
                classes="filter",
                aria_label="Search the layers by name or kind; Enter flies to the first one",
            )
            with html.Div(classes="layer-list", role="tree", tabindex="0", aria_label="Layers"):
                with v.Template(v_for="(group, place) in layer_groups", key="place"):
                    html.Div(
                        "{{ group.path }}",
                        classes="group",
                        v_if=f"group.path && !group.open && {_MATCH_BELOW}",
                        style=(_HEADING_INDENT,),
                        role="none",
                    )
                    html.Button(
                        "− {{ group.path }}",
                        classes="group closes",
                        v_if=f"group.open && {_MATCH_BELOW}",
                        style=(_HEADING_INDENT,),
                        click=(self.page.guarded(self._toggle_group), "[group.open]"),
                        title="Close this group to one block (z)",
                        role="treeitem",
                        tabindex="-1",
                        v_bind="{ 'data-group': group.open, 'aria-expanded': true, 'aria-level': group.depth }",
                    )
                    with v.Template(v_for="node in group.nodes", key="node.id"):
                        self._row()
                        self._found_inside()
                html.Div(
                    "No layer matches “{{ layer_filter }}”. Names and kinds are searched, those in closed groups too. "
                    "A number behind a layer's name is a channel or neuron, such as conv2d 3: Enter picks it.",
                    classes="faint empty",
                    v_if=f"!layer_groups.some((group) => group.nodes.some((node) => {_MATCH}))",
                )

    def _click(self, layer: str) -> None:
        """Open a closed group; highlight a layer."""
        if self.page.session.groups.is_closed(layer):
            self._toggle_group(layer)
        else:
            self.page.toggle_layer(layer)

    def _row(self) -> None:
        with html.Button(
            v_if=_MATCH,
            classes=("['layer', { chosen: node.id === layer, dimmed: layer && node.id !== layer }]",),
            click=(self.page.guarded(self._click), "[node.id]"),
            title=("node.inside ? node.id + ': click to open' : node.id",),
            style=(_INDENT,),
            role="treeitem",
            tabindex="-1",
            v_bind=_ROW,
        ):
            html.Span(classes="dot", style=("{ background: node.color }",))
            with html.Span(classes="layer-text"):
                with html.Span(classes="line"):
                    html.Span("{{ (node.inside ? '+ ' : '') + node.name }}")
                    html.Span(
                        classes="alarm",
                        v_if="alarms[node.id]",
                        style=("{ background: alarms[node.id].color }",),
                        title=("alarms[node.id].text",),
                        role="img",
                        aria_label=("alarms[node.id].text",),
                    )
                with html.Span(classes="line faint"):
                    html.Span("{{ node.kind }}")
                    html.Span(
                        " · {{ dead_channels[node.id].text }}",
                        v_if="dead_channels[node.id]",
                        title=("dead_channels[node.id].words",),
                        classes="dead-channels",
                    )
            with html.Span(classes="layer-numbers"):
                html.Span("{{ node.shape }}", classes="line")
                html.Span("{{ node.parameters }}", classes="line faint")
        with html.Div(v_if=f"node.id === layer && {_MATCH}", classes="details", id="details"):
            html.Button(
                "{{ node.id === unfolded_layer ? 'Fold its channels up' : 'Unfold its channels' }}",
                v_if="layers_to_unfold.includes(node.id)",
                click=(self.page.guarded(self._toggle_unfolded), "[node.id]"),
                classes="action",
                id="unfold-layer",
            )
            html.Button("Fly to it (f)", click="window.nnviz3dWay.fly(node.id)", classes="action", id="fly-to-layer")
            html.Span(
                "{{ alarms[node.id].text }}",
                v_if="alarms[node.id]",
                classes="alarm-text",
                style=("{ borderColor: alarms[node.id].color }",),
            )
            with v.Template(v_for="pair in details", key="pair[0]"):
                html.Span("{{ pair[0] }}", classes="faint")
                html.Span("{{ pair[1] }}")

    def _found_inside(self) -> None:
        """Make the rows of the layers that a search finds in a closed group; `static/navigation.js` opens it."""
        with html.Button(
            v_for=f"inner in {_FOUND_INSIDE}.slice(0, {_MOST_FOUND})",
            key="inner[0]",
            classes="layer inner",
            title=("`${inner[0]}: click to open ${node.id} and fly there`",),
            style=(_INNER_INDENT,),
            role="treeitem",
            tabindex="-1",
            v_bind="{ 'data-layer': inner[0], 'aria-level': group.depth + 2 }",
        ):
            with html.Span(classes="layer-text"):
                html.Span("{{ inner[0] }}", classes="line")
                html.Span("{{ inner[1] }}", classes="line faint")
        html.Div(
            f"{{{{ {_FOUND_INSIDE}.length - {_MOST_FOUND} }}}} more; open the group to see them.",
            v_if=f"{_FOUND_INSIDE}.length > {_MOST_FOUND}",
            classes="faint empty",
            style=(_INNER_INDENT,),
        )
