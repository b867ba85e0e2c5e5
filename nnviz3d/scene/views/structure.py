"""View of the architecture: a frame or a body for every layer, its name, kind and shape, and all edges."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from nnviz3d.data.graph import LayerNode
from nnviz3d.scene.colors import repeated
from nnviz3d.scene.context import SceneContext, shape_text
from nnviz3d.scene.hits import Hit
from nnviz3d.scene.layer_families import FAMILIES as FAMILIES
from nnviz3d.scene.layer_families import family_of as family_of
from nnviz3d.scene.layout.routes import route_edges
from nnviz3d.scene.panel_rows import SwatchRow, TextRow
from nnviz3d.scene.primitives import Box, Label, Labels, Lines, Panel, Primitive, Source, Vector, vector
from nnviz3d.scene.selection import LayerPick, Pick, Selection
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.view import View
from nnviz3d.scene.view_spec import ViewSpec
from nnviz3d.scene.views.gates import gates_before
from nnviz3d.scene.views.token_labels import TokenColumns, block_labels, numbered_blocks

_FLOW = (0.52, 0.60, 0.74)
_OPACITY = {"flow": 0.55, "around": 0.85, "fold": 0.4}


class StructureSpec(ViewSpec):
    """Frames, names and edges.

    Attributes
    ----------
    solid
        Whether blocks are drawn as solid bodies; by default only if no view shows their numbers.
    """

    kind: Literal["structure"]
    in_default_scene: ClassVar[bool] = True
    labels: bool = True
    edges: bool = True
    solid: bool | None = None


class StructureView(View):
    """Frames, labels and edges; if no numbers are shown, the blocks are solid bodies coloured by family.

    Attributes
    ----------
    label_extent
        ``(n, 3)``: world coordinates that a picture has to contain for the words of the tokens.
    """

    spec_class = StructureSpec

    def __init__(self, spec: StructureSpec, context: SceneContext, timeline: Timeline) -> None:
        self._context = context
        self._solid = not context.setting.filled if spec.solid is None else spec.solid
        self._labels = spec.labels
        self._tokens = TokenColumns.of(context) if spec.labels else TokenColumns((), 1, 0.0)
        self._edges = self._route_lines() if spec.edges else ()
        self.label_extent = np.concatenate([self._tokens.extent, context.plan.names_below])
        self._named = {node.id: self._with_gates(node) for node in context.graph} if spec.labels else {}
        self._kept: dict[tuple[int, str | None], tuple[Primitive, ...]] = {}

    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the same frames and edges at all times; labels follow the sample's shapes and the chosen layer."""
        key = (selection.sample, selection.layer)
        if key not in self._kept:
            self._kept = {key: (*self._frames(selection), *self._edges, *self._names(selection), *self._legend())}
        return self._kept[key]

    def pick(self, hit: Hit, selection: Selection) -> Pick | None:
        """Return the layer of the hit body."""
        source = hit.primitive.source
        return None if source is None or source.layer is None else LayerPick(source.layer)

    def _frames(self, selection: Selection) -> tuple[Primitive, ...]:
        boxes = []
        for node in self._context.graph:
            placement = self._context.placement(node.id)
            chosen = selection.layer == node.id
            color = FAMILIES[family_of(node)]
            edge = 0.95 if chosen else 0.7 if self._solid else 0.45 if node.members else 0.22
            # A block without numbers is a body, so that it is seen and can be picked among the blocks of cells.
            body = self._solid or not placement.grid.count or not self._context.capture.has_activations(node.id)
            fill = (0.85 if selection.layer in (None, node.id) else 0.25) if body else 0.0
            boxes.append(
                Box(node.id, placement.origin, placement.size, color, edge, fill, Source("structure", node.id))
            )
        return tuple(boxes)

    def _route_lines(self) -> tuple[Primitive, ...]:
        lines: list[Primitive] = []
        routes = self._context.routes
        if self._tokens.sheets:
            routes = route_edges(self._context.graph, self._tokens.with_words(self._context.plan))
        for kind, skips, count in sorted({(r.kind, r.skips, len(r.points)) for r in routes}):
            points = np.stack([r.points for r in routes if (r.kind, r.skips, len(r.points)) == (kind, skips, count)])
            color, opacity = (FAMILIES["merge"], 0.85) if skips else (_FLOW, _OPACITY[kind])
            colors = repeated(color, opacity, len(points))
            name = f"edges/{kind}/{'skip' if skips else 'next'}/{count}"
            source = Source("structure", part="edges")
            lines.append(Lines(name, points, colors, width=1.6, source=source, avoided=True))
        return tuple(lines)

    def _names(self, selection: Selection) -> tuple[Primitive, ...]:
        if not self._labels:
            return ()
        graph = self._context.graph
        blocks = numbered_blocks(self._context)
        largest = max((n.parameters for n in graph), default=0) or 1
        labels, groups = [], {""}
        for node in graph:
            placement = self._context.placement(node.id)
            details = shape_text(node, placement.grid.shape if None in node.shape else None)
            ends = node.id in graph.inputs or node.id in graph.outputs
            priority = 3.0 * ends + 2.0 * (node.parameters / largest) + (node.parameters > 0)
            chosen = selection.layer == node.id
            # The label of a nested model's first layer includes the model's name, because layer names repeat.
            enters = node.group not in groups
            groups.add(node.group)
            name = "/".join(node.id.split("/")[-2:]) if enters else node.name
            if node.id in blocks:
                name = blocks[node.id][1]
            priority += enters
            anchor, span = self._named[node.id]
            labels.append(
                Label(
                    anchor,
                    (name, f"{node.kind} · {details}{' · output' if node.id in graph.outputs else ''}"),
                    priority=9.0 if chosen else priority,
                    emphasis=1.0 if selection.layer in (None, node.id) else 0.45,
                    brief=placement.grid.tokens,
                    span=span,
                )
            )
        labels += block_labels(self._context, blocks)
        return (Labels("names", tuple(labels)), *self._words(selection.sample))

    def _with_gates(self, node: LayerNode) -> tuple[Vector, Vector]:
        """Return the origin and the size of what a name is below: the block, with its gates if they reach below it."""
        placement = self._context.placement(node.id)
        gates = gates_before(self._context, node)
        if not gates or min(gate.origin[1] for gate in gates) >= placement.origin[1]:
            return placement.origin, placement.size
        origins = np.array([placement.origin, *(gate.origin for gate in gates)])
        sizes = np.array([placement.size, *(gate.size for gate in gates)])
        low, high = origins.min(axis=0), (origins + sizes).max(axis=0)
        return vector(low), vector(high - low)

    def _words(self, sample: int) -> tuple[Primitive, ...]:
        """Return the words of the tokens beside the rows of their sheets."""
        words, leaders = self._tokens.labels(self._context, sample), self._tokens.leaders()
        return (Labels("tokens", words), *(() if leaders is None else (leaders,))) if words else ()

    def _legend(self) -> tuple[Primitive, ...]:
        if not self._solid:
            return ()
        graph = self._context.graph
        present = {family_of(node) for node in graph}
        swatches = [(color, family) for family, color in FAMILIES.items() if family in present]
        rows = [SwatchRow(tuple(swatches[k : k + 4])) for k in range(0, len(swatches), 4)]
        layers = (
            f"{sum(node.members or 1 for node in graph):,} nodes · {number_of_parameters(graph.parameters)} parameters"
        )
        return (Panel("structure", "bottom-left", (TextRow(layers), *rows)),)


def number_of_parameters(count: int) -> str:
    """Write a large count: ``93,322``, ``138.4 M``."""
    return f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count:,}"
