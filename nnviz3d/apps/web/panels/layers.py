"""The list of layers: what the network is made of, and the exact numbers of the one that is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trame.widgets import html
from trame.widgets import vuetify3 as v

from nnviz3d.analysis.health import alarms
from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.training import Training
from nnviz3d.scene.context import SceneContext, shape_text
from nnviz3d.scene.derived.layer_figures import measured_values, measured_weights
from nnviz3d.scene.primitives import Color
from nnviz3d.scene.views.health import color_of
from nnviz3d.scene.views.structure import FAMILIES, family_of, number_of_parameters

if TYPE_CHECKING:
    from nnviz3d.apps.web.app import WebApp

_MATCH = "(node.id + ' ' + node.kind).toLowerCase().includes((layer_filter || '').trim().toLowerCase())"


class Layers:
    """Chooses the layer that stands out."""

    def __init__(self, app: WebApp) -> None:
        self._app = app
        self._context: SceneContext | None = None
        self._told: tuple[str | None, int] | None = None
        self._marked: tuple[Training, int] | None = None
        graph = app.session.scene.context.graph
        app.state.update({"layer_groups": groups(graph), "layer_filter": "", "alarms": {}})
        app.state.layer_total = f"{len(graph):,} layers · {number_of_parameters(graph.parameters)} parameters"
        self.synchronize()

    def synchronize(self) -> None:
        """Show which one is selected."""
        selection = self._app.session.selection
        known = selection.layer in self._app.session.scene.context.graph if selection.layer is not None else False
        self._app.state.layer = selection.layer
        # Whatever else is selected brings one here, and to measure a large layer takes time.
        context, told = self._app.session.context, (selection.layer, selection.sample)
        if self._context is not context or self._told != told:
            self._app.state.details = details(context, str(selection.layer), selection.sample) if known else []
            self._context, self._told = context, told
        self.mark()

    def mark(self) -> None:
        """Show what is wrong with the layers at the step of a training that is shown."""
        session = self._app.session
        training, step = session.scene.context.capture.training, session.scene.step(session.clock.t, session.selection)
        shown = None if training is None or step is None else (training, step)
        if self._marked != shown:
            self._marked = shown
            self._app.state.alarms = {} if shown is None else marks(*shown, session.scene.context.graph)

    def toggle(self, node_id: str) -> None:
        """Let a layer stand out, or release it."""
        selection = self._app.session.selection
        self._app.select(layer=None if selection.layer == node_id else str(node_id))

    def build(self) -> None:
        """Make the widgets."""
        with html.Div(classes="section grow", id="layers"):
            with html.Div(classes="section-head"):
                html.Span("Layers", classes="section-title")
                html.Span("{{ layer_total }}", classes="faint")
            v.VTextField(
                v_model=("layer_filter", ""),
                placeholder="Filter by name or kind",
                prepend_inner_icon="mdi-magnify",
                clearable=True,
                id="filter",
                classes="filter",
            )
            with html.Div(classes="layer-list"):
                with v.Template(v_for="group in layer_groups", key="group.path"):
                    html.Div(
                        "{{ group.path }}",
                        classes="group",
                        v_if=f"group.path && group.nodes.some((node) => {_MATCH})",
                    )
                    with v.Template(v_for="node in group.nodes", key="node.id"):
                        self._row()
                html.Div(
                    "No layer matches.",
                    classes="faint empty",
                    v_if=f"!layer_groups.some((group) => group.nodes.some((node) => {_MATCH}))",
                )

    def _row(self) -> None:
        with html.Button(
            v_if=_MATCH,
            classes=("['layer', { chosen: node.id === layer, dimmed: layer && node.id !== layer }]",),
            click=(self._app.guarded(self.toggle), "[node.id]"),
            title=("node.id",),
            v_bind="{ 'data-layer': node.id }",
        ):
            html.Span(classes="dot", style=("{ background: node.color }",))
            with html.Span(classes="layer-text"):
                with html.Span(classes="line"):
                    html.Span("{{ node.name }}")
                    html.Span(
                        classes="alarm",
                        v_if="alarms[node.id]",
                        style=("{ background: alarms[node.id].color }",),
                        title=("alarms[node.id].text",),
                        role="img",
                        aria_label=("alarms[node.id].text",),
                    )
                html.Span("{{ node.kind }}", classes="line faint")
            with html.Span(classes="layer-numbers"):
                html.Span("{{ node.shape }}", classes="line")
                html.Span("{{ node.parameters }}", classes="line faint")
        with html.Div(v_if=f"node.id === layer && {_MATCH}", classes="details", id="details"):
            html.Button(
                "{{ node.id === unfold ? 'Fold its channels up' : 'Unfold its channels' }}",
                v_if="unfoldable.some((one) => one.value === node.id)",
                click=(self._app.guarded(self._app.views.toggle), "[node.id]"),
                classes="action",
                id="unfold-layer",
            )
            html.Span(
                "{{ alarms[node.id].text }}",
                v_if="alarms[node.id]",
                classes="alarm-text",
                style=("{ borderColor: alarms[node.id].color }",),
            )
            with v.Template(v_for="pair in details", key="pair[0]"):
                html.Span("{{ pair[0] }}", classes="faint")
                html.Span("{{ pair[1] }}")


def css(color: Color) -> str:
    """Write a colour as a style sheet does."""
    red, green, blue = (round(255 * c) for c in color)
    return f"rgb({red}, {green}, {blue})"


def groups(graph: ModelGraph) -> list[dict[str, Any]]:
    """Describe the layers for the page, by the group they stand in, groups in the order of their first layer."""
    found: dict[str, list[dict[str, str]]] = {}
    for node in graph:
        found.setdefault(node.group, []).append(
            {
                "id": node.id,
                "name": node.name,
                "kind": node.kind,
                "shape": shape_text(node),
                "parameters": number_of_parameters(node.parameters) if node.parameters else "",
                "color": css(FAMILIES[family_of(node)]),
            }
        )
    return [{"path": path, "nodes": nodes} for path, nodes in found.items()]


def marks(training: Training, step: int, graph: ModelGraph) -> dict[str, dict[str, str]]:
    """Say of each layer that something is wrong with at a recorded step what it is, and in which colour."""
    found: dict[str, dict[str, str]] = {}
    for alarm in alarms(training, graph, training.recorded_index(step)):
        mark = found.setdefault(alarm.layer, {"color": css(color_of(alarm)), "text": ""})  # the gravest comes first
        mark["text"] += ("\n" if mark["text"] else "") + f"{alarm.title}: {alarm.words}"
    return found


def details(context: SceneContext, node_id: str, sample: int) -> list[list[str]]:
    """Say all that is known of a layer, as names and values; extremes exactly as captured."""
    node = context.graph.node(node_id)
    pairs = [["id", node.id], ["kind", node.kind], ["shape", shape_text(node)], ["parameters", f"{node.parameters:,}"]]
    if node.activation:
        pairs.append(["activation", node.activation])
    pairs.extend([name.replace("_", " "), _text(value)] for name, value in node.details.items())
    if context.capture.has_activations(node_id):
        pairs.extend(map(list, measured_values(node, context.values(node_id, sample).values)))
    pairs.extend(map(list, measured_weights(context.capture, node)))
    return pairs


def _text(value: Any) -> str:
    return " × ".join(str(v) for v in value) if isinstance(value, list | tuple) else str(value)
