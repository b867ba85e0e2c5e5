"""View of a long network as a graph: one ball for each layer at the placement of its block, and the edges."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.camera import default_view
from nnviz3d.scene.colors import colormap, number
from nnviz3d.scene.context import SceneContext, shape_text
from nnviz3d.scene.derived.layer_figures import weights_of_then
from nnviz3d.scene.facts import Facts
from nnviz3d.scene.hits import Hit, PointHit
from nnviz3d.scene.panel_rows import ScaleRow, TextRow
from nnviz3d.scene.primitives import Label, Labels, Lines, Panel, Points, Primitive, Source, Span, vector
from nnviz3d.scene.selection import LayerPick, Pick, Selection
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.view import View
from nnviz3d.scene.views.blocks import describe_layer
from nnviz3d.scene.views.marks import callout
from nnviz3d.scene.views.node_link.colors import BEHIND, PASSING, WIDTHS, lights, paint, seen_at, width_bins
from nnviz3d.scene.views.node_link.labels import title
from nnviz3d.scene.views.node_link.spec import NodesSpec

_SIZE = 20.0
"""Diameter of a ball in pixels of a 720 pixels high picture."""
_UNKNOWN = (0.30, 0.34, 0.42, 1.0)
"""Colour of a layer whose activation was not captured."""
_WEIGHTED = (0.62, 0.80, 0.95)
_SKIPPING = (0.38, 0.84, 0.78)
_HAZE = 0.15


class LayerBallsView(View):
    """Balls and edges of a network with many layers.

    Attributes
    ----------
    extent
        ``(n, 3)``: world coordinates that a picture has to contain.
    angles
        Azimuth and elevation of the camera in degrees.
    """

    spec_class = NodesSpec

    def __init__(self, spec: NodesSpec, context: SceneContext, timeline: Timeline) -> None:
        self._spec, self._context = spec, context
        self._timeline = timeline
        self.duration = self._timeline.duration
        self.angles = default_view(len(context.plan.rows))
        self.extent = context.plan.corners()
        placements = [context.placement(node.id) for node in context.graph]
        self._points = np.array([placement.center for placement in placements], dtype=np.float32)
        self._ranks = np.array([placement.rank for placement in placements])
        self._strengths = {node.id: self._strength(node.path) for node in context.graph}
        self._lines = self._edges()
        self._still: tuple[Primitive, ...] = (self._names(), *self._line_scale())
        self._sample: tuple[int, Points, tuple[Primitive, ...]] | None = None
        self._kept: tuple[object, tuple[Primitive, ...]] = (None, ())

    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the graph of the selected sample; each layer lights up when the forward pass reaches it."""
        now = self._timeline.ranks_revealed(t)
        cloud, words = self._of(selection.sample)
        key = (cloud, selection.layer, now)
        if self._kept[0] != key:
            colors = cloud.colors if now == self._timeline.ranks else lights(cloud.colors, self._ranks, now)
            if selection.layer is not None and selection.layer in self._context.graph:
                colors = colors.copy()
                colors[[node.id != selection.layer for node in self._context.graph], 3] *= BEHIND
            shown = cloud if colors is cloud.colors else replace(cloud, colors=colors)
            self._kept = (key, (shown, *self._lines_at(now), *words, *self._still))
        return self._kept[1]

    def pick(self, hit: Hit, selection: Selection) -> Pick | None:
        """Return the layer of the hit ball."""
        if not isinstance(hit, PointHit) or hit.primitive.units is None:
            return None
        return LayerPick(hit.primitive.units[hit.number][0])

    def describe(self, pick: Pick, selection: Selection) -> Facts | None:
        """Return the description of a layer."""
        return describe_layer(self._context, pick) if isinstance(pick, LayerPick) else None

    def mark(self, pick: Pick, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return brackets around a layer's ball, and the callout."""
        if not isinstance(pick, LayerPick):
            return ()
        mark = Span(self._context.placement(pick.layer).center, (0.0, 0.0, 0.0))
        return (callout([mark], describe_layer(self._context, pick)),)

    def around(self, layer: str) -> NDArray[np.float64]:
        """Return the points that a picture of a layer has to contain."""
        return self._context.plan.corners([layer])

    def _of(self, sample: int) -> tuple[Points, tuple[Primitive, ...]]:
        if self._sample is None or self._sample[0] != sample:
            means = np.array([self._mean(node.id, sample) for node in self._context.graph], dtype=np.float32)
            known = ~np.isnan(means)
            signed = bool((means[known] < 0).any())
            table = colormap(self._spec.diverging if signed else self._spec.colormap)
            top = float(np.abs(means[known]).max(initial=0.0)) or 1.0
            scale = (table, (-top if signed else 0.0, top))
            colors = paint(means, scale)
            colors[~known] = _UNKNOWN
            units = tuple((node.id, None) for node in self._context.graph)
            sizes = np.full(len(means), _SIZE, dtype=np.float32)
            cloud = Points("nodes", self._points, colors, sizes, units=units, haze=_HAZE, source=Source("nodes"))
            ticks = ((0.0, number(scale[1][0])), (1.0, number(top)))
            what = f"ball colour: mean activation of a layer as a share of its maximum ({int(known.sum()):,} captured)"
            rows = (TextRow(what, "quiet"), ScaleRow(table, ticks))
            panel = Panel("scale/0", "bottom-left", rows, Source("nodes", part="scale"))
            self._sample = (sample, cloud, (*title(self._context, sample), panel))
        return self._sample[1], self._sample[2]

    def _mean(self, layer: str, sample: int) -> float:
        """Return a layer's mean activation as a share of its largest |activation|; NaN if it was not captured."""
        if not self._context.capture.has_activations(layer):
            return float("nan")
        values = self._context.values(layer, sample).values
        finite = values[np.isfinite(values)].astype(np.float64)
        return float(finite.mean() / (np.abs(finite).max() or 1.0)) if finite.size else float("nan")

    def _strength(self, path: str) -> float:
        """Return the root mean square of a layer's kernel; NaN if none was captured."""
        kernel = self._context.capture.weights(path).get("kernel")
        return float("nan") if kernel is None else float(np.sqrt(np.mean(np.square(kernel, dtype=np.float64))))

    def _edges(self) -> tuple[tuple[int, Lines], ...]:
        """Return all edges, grouped by what one primitive can hold and by when they are seen."""
        top = max((s for s in self._strengths.values() if np.isfinite(s)), default=1.0) or 1.0
        groups: dict[tuple[int, int, int], list[tuple[NDArray[np.float32], tuple[float, ...]]]] = {}
        for route in self._context.routes:
            strength = self._strengths[route.edge.target]
            share = strength / top if np.isfinite(strength) else 0.0
            color = _SKIPPING if route.skips else (_WEIGHTED if share else PASSING[:3])
            ends = [
                self._context.placement(route.edge.source).center,
                self._context.placement(route.edge.target).center,
            ]
            points = np.concatenate([ends[:1], route.points, ends[1:]]).astype(np.float32)
            key = (self._context.placement(route.edge.target).rank, int(width_bins(np.array([share]))[0]), len(points))
            groups.setdefault(key, []).append((points, (*color, 0.35 + 0.6 * share)))
        return tuple(
            (
                key[0],
                Lines(
                    "/".join(map(str, key)),
                    np.stack([points for points, _ in found]),
                    np.array([color for _, color in found], dtype=np.float32),
                    WIDTHS[key[1]] + 0.4,
                ),
            )
            for key, found in sorted(groups.items(), key=lambda group: group[0])
        )

    def _lines_at(self, now: float) -> Iterable[Lines]:
        for rank, lines in self._lines:
            seen = seen_at(rank - 1, rank, now)
            yield lines if seen == 1.0 else replace(lines, opacity=seen)

    def _names(self) -> Labels:
        graph = self._context.graph
        largest = max((node.parameters for node in graph), default=0) or 1
        ends = (*graph.inputs, *graph.outputs)
        return Labels(
            "names",
            tuple(
                Label(
                    vector(point.astype(np.float64) - np.array([0.0, 0.35, 0.0])),
                    (node.name, f"{node.kind} · {shape_text(node)}"),
                    priority=3.0 * (node.id in ends) + 2.0 * node.parameters / largest + (node.parameters > 0),
                )
                for node, point in zip(graph, self._points, strict=True)
            ),
        )

    def _line_scale(self) -> tuple[Panel, ...]:
        known = [s for s in self._strengths.values() if np.isfinite(s)]
        count = f"{len(self._context.graph):,} layers: one ball for each layer, not for each neuron"
        if not known:
            return (Panel("links", "bottom-right", (TextRow(count, "quiet"),)),)
        span = f"{number(min(known))} … {number(max(known))}"
        line = "line width: root mean square of the target's kernel"
        rows = (
            TextRow(count, "quiet"),
            TextRow(f"{line} ({span}{weights_of_then(self._context.capture)})", "quiet"),
        )
        return (Panel("links", "bottom-right", rows),)
