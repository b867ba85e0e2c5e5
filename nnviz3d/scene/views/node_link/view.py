"""View of the network as a graph: balls coloured by activation, lines by the weights between them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.graph import connecting_nodes
from nnviz3d.data.records import Ranking
from nnviz3d.errors import SceneError
from nnviz3d.scene.camera import FIELD_OF_VIEW, MARGINS, fit
from nnviz3d.scene.class_names import is_classifier, top_classes
from nnviz3d.scene.colors import NEGATIVE, POSITIVE
from nnviz3d.scene.context import SceneContext, head_of, vector_outputs
from nnviz3d.scene.derived.contributions import contributions
from nnviz3d.scene.derived.neurons import neurons_at, unit_values
from nnviz3d.scene.derived.unit_weights import Links, links_of, slice_of
from nnviz3d.scene.facts import Facts
from nnviz3d.scene.hits import Hit, LineHit, PointHit, TileHit
from nnviz3d.scene.layout.nodes import ANGLES, BallLayout, arrange, positions_of
from nnviz3d.scene.primitives import Ends, Lines, Points, Primitive, Source, Tiles
from nnviz3d.scene.selection import CellPick, LayerPick, Pick, Selection
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.view import View
from nnviz3d.scene.views.blocks import describe_cell, describe_layer, pick_on_tile
from nnviz3d.scene.views.marks import callout, glow, point
from nnviz3d.scene.views.node_link.colors import BEHIND, lights, paint, scale_of, seen_at
from nnviz3d.scene.views.node_link.labels import (
    Drawn,
    ball_scales,
    line_scale,
    named_outputs,
    names,
    scores,
    written_inputs,
)
from nnviz3d.scene.views.node_link.layer_balls import LayerBallsView
from nnviz3d.scene.views.node_link.lines import passing, strongest, ways, weighted
from nnviz3d.scene.views.node_link.picks import ChannelPick, LinkPick, describe_channel, describe_link
from nnviz3d.scene.views.node_link.pictures import ROOM, corners_of, input_pictures, middle_of_pixel
from nnviz3d.scene.views.node_link.spec import NodesSpec
from nnviz3d.scene.views.outputs import NAMED_CELLS
from nnviz3d.scene.views.titles import title_panel

MOST_LAYERS = 24
"""Maximum number of layers with units for one ball per unit; longer networks have one ball per layer."""
_ANSWER = (0.93, 0.98, 1.0)
_LARGEST, _BALL, _RINGED = 26.0, 0.62, 1.5
"""Diameter of a ball: the maximum in pixels of a 720 pixels high picture, the share of the distance to the next ball,
and the factor for a ball with a ring."""
_PIXELS = 1024
"""Maximum number of pixels of an input with a ball for each pixel."""
_NAMES = 0.10
"""Width of a class's name and score as a share of the network's."""
_BELOW = 0.07
"""Height of the text below a layer as a share of the network's height."""
_HAZE = 0.12
_ASPECT = 16 / 9
_WHAT = "activation (channel mean)"


@dataclass(frozen=True, eq=False)
class _Sample:
    """Everything that depends on the sample.

    Attributes
    ----------
    layouts
        Layout of the balls by layer.
    cloud
        All balls in their final colours.
    layers
        ``(n,)``: layer of each ball, as an index in `layouts`.
    ranks
        ``(n,)``: rank in which each ball lights up.
    rings
        ``(n, 4)``: rings of the balls.
    lines
        Source layer, target layer and lines.
    still
        Primitives that are the same at all times.
    answer
        Title and scores, shown when they are known.
    """

    layouts: Mapping[str, BallLayout]
    cloud: Points
    layers: NDArray[np.int64]
    ranks: NDArray[np.int64]
    rings: NDArray[np.float32]
    lines: tuple[tuple[str, str, Lines], ...]
    still: tuple[Primitive, ...]
    answer: tuple[Primitive, ...]


class NodesView(View):
    """Balls and lines of the selected sample, which light up layer by layer.

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
        missing = next((node.id for node in context.graph if not context.capture.has_activations(node.id)), None)
        if missing is not None:
            kept = bool(context.capture.provenance.kept)
            why = ", because only other layers were kept; capture again without --keep" if kept else ""
            raise SceneError(f"kind: the activation of {missing!r}, which its balls show, was not captured{why}.")
        self._shapes = {node.id: context.placement(node.id).grid.shape for node in context.graph}
        empty = next((name for name, shape in self._shapes.items() if 0 in shape), None)
        if empty is not None:
            raise SceneError(
                f"kind: {empty!r} has no numbers, so it has no balls to show; --scene digits shows blocks."
            )
        self._neurons = neurons_at(context)
        self._links = [links_of(context.capture, self._neurons, feed) for feed in self._neurons.feeds]
        self._timeline = timeline
        self.duration = self._timeline.duration
        self._head = head_of(context.graph)
        self.angles = ANGLES
        self._kept: tuple[tuple[int, Ranking], _Sample] | None = None
        self._lit: tuple[object, tuple[Primitive, ...]] = (None, ())
        found = self._of(0, spec.ranking)
        self._stands_out: tuple[object, Points] = (None, found.cloud)
        balls = found.cloud.points.astype(np.float64)
        below = balls - np.array([0.0, _BELOW * np.ptp(balls[:, 1]), 0.0])
        pictures = [corners_of(found) for found in found.still if isinstance(found, Tiles)]
        self.extent = np.concatenate([balls, below, *pictures, *self._room_for_names(found.layouts)])

    @classmethod
    def build(cls, spec: NodesSpec, context: SceneContext, timeline: Timeline) -> View:
        """Build the graph of neurons, or the graph of layers for a network of more than `MOST_LAYERS` layers."""
        many = len(neurons_at(context).graph) > MOST_LAYERS
        return LayerBallsView(spec, context, timeline) if many else cls(spec, context, timeline)

    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the graph of the selected sample; each layer lights up when the forward pass reaches it."""
        found = self._of(selection.sample, selection.ranking or self._spec.ranking)
        now = self._timeline.ranks_revealed(t)
        key = (found, selection.layer, now)
        if self._lit[0] != key:
            cloud = self._chosen(found, selection.layer)
            if now < self._timeline.ranks:
                colors = lights(cloud.colors, found.ranks, now)
                rings = found.rings * np.clip(now - found.ranks, 0, 1)[:, np.newaxis].astype(np.float32)
                cloud = replace(cloud, colors=colors, rings=rings)
            known = self._head is None or now > self._context.placement(self._head).rank
            words = found.answer if known else (title_panel(self._context, selection.sample),)
            self._lit = (key, (cloud, *self._lines_at(found, now, selection.layer), *found.still, *words))
        return self._lit[1]

    def pick(self, hit: Hit, selection: Selection) -> Pick | None:
        """Return the hit unit, link, or pixel of an input."""
        match hit:
            case PointHit(primitive=Points(units=tuple(units))):
                layer, unit = units[hit.number]
                return None if unit is None else self._unit(layer, unit)
            case LineHit(primitive=Lines(ends=Ends(taken=str(taken)) as ends)):
                source, target = (int(i) for i in ends.index[hit.number])
                return LinkPick(ends.source, ends.target, taken, source, target)
            case TileHit(primitive=Tiles(source=Source(layer=str(layer)))):
                return pick_on_tile(self._context, layer, hit, selection.sample)
        return None

    def _unit(self, layer: str, unit: int) -> Pick:
        if layer not in self._neurons.vectors:
            return ChannelPick(layer, unit)
        shape = self._shapes[layer]
        return CellPick(layer, tuple(int(i) for i in np.unravel_index(unit, shape)) if shape else ())

    def describe(self, pick: Pick, selection: Selection) -> Facts | None:
        """Return the numbers of a unit, a link or a cell, or the description of a layer."""
        match pick:
            case ChannelPick():
                return describe_channel(self._context, self._neurons, pick, selection.sample)
            case LinkPick():
                return describe_link(self._context, self._neurons, pick, selection.sample)
            case CellPick():
                return describe_cell(self._context, pick, selection)
            case LayerPick():
                return describe_layer(self._context, pick)
        return None

    def mark(self, pick: Pick, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return brackets around a ball, or around the two balls that a link joins, and the callout."""
        layouts = self._of(selection.sample, selection.ranking or self._spec.ranking).layouts
        positions = self._positions(pick, layouts, selection.sample)
        facts = self.describe(pick, selection)
        if facts is None or not positions:
            return ()
        marks = [point(position) for position in positions]
        if not isinstance(pick, LinkPick):
            return (callout(marks, facts),)
        feed = self._neurons.feed(pick.taken, pick.target)
        way = ways(feed, positions[0][np.newaxis], positions[1][np.newaxis], layouts)[0]
        found = slice_of(self._context.capture, self._neurons, feed, (pick.source_unit, pick.target_unit))
        positive = found is not None and found[1].sum() >= 0
        return (*glow(way, POSITIVE if positive else NEGATIVE), callout(marks, facts, way))

    def _positions(self, pick: Pick, layouts: Mapping[str, BallLayout], sample: int) -> list[NDArray[np.float64]]:
        """Return the positions of a pick; nothing if a part of it is not shown."""
        ends: list[tuple[str, int]] = []
        match pick:
            case ChannelPick():
                ends = [(pick.layer, pick.channel)]
            case CellPick() if pick.layer in self._neurons.vectors:
                shape = self._shapes[pick.layer]
                ends = [(pick.layer, int(np.ravel_multi_index(pick.index, shape)) if shape else 0)]
            case CellPick():
                tiles = input_pictures(self._context, self._neurons, layouts, sample)
                position = self._context.placement(pick.layer).grid.location(pick.index)
                return [middle_of_pixel(found, position) for found in tiles if found.name == pick.layer]
            case LayerPick() if pick.layer in layouts:
                return [layouts[pick.layer].points.mean(axis=0)]
            case LinkPick():
                ends = [(pick.source, pick.source_unit), (pick.target, pick.target_unit)]
        if not all(layer in layouts and unit in layouts[layer].units for layer, unit in ends):
            return []
        return [positions_of(layouts[layer], np.array([unit]))[0] for layer, unit in ends]

    def around(self, layer: str) -> NDArray[np.float64]:
        """Return the points that a picture of a layer has to contain; its source's, if it only passes units on."""
        layouts = self._of(0, self._spec.ranking).layouts if self._kept is None else self._kept[1].layouts
        sources = (feed.source for feed in self._neurons.feeds if layer in feed.via)
        name = layer if layer in layouts else next(sources, None)
        return np.empty((0, 3)) if name is None else layouts[name].points

    def _chosen(self, found: _Sample, layer: str | None) -> Points:
        """Return the balls; only those of the selected layer and its neighbours are bright."""
        if layer is None or layer not in found.layouts:
            return found.cloud
        if self._stands_out[0] != (found, layer):
            colors = found.cloud.colors.copy()
            near = {layer, *(end for pair in found.lines if layer in pair[:2] for end in pair[:2])}
            far = [k for k, name in enumerate(found.layouts) if name not in near]
            colors[np.isin(found.layers, far), 3] *= BEHIND
            self._stands_out = ((found, layer), replace(found.cloud, colors=colors))
        return self._stands_out[1]

    def _lines_at(self, found: _Sample, now: float, chosen: str | None) -> Iterable[Lines]:
        for source, target, lines in found.lines:
            seen = seen_at(self._context.placement(source).rank, self._context.placement(target).rank, now)
            seen *= 1.0 if chosen in (None, source, target) or chosen not in found.layouts else BEHIND
            yield lines if seen == 1.0 else replace(lines, opacity=seen)

    def _of(self, sample: int, ranking: Ranking) -> _Sample:
        if self._kept is None or self._kept[0] != (sample, ranking):
            self._kept = ((sample, ranking), self._build(sample, ranking))
        return self._kept[1]

    def _ranked(self, links: Links | None, sample: int, ranking: Ranking) -> Links | None:
        """Return the links between two layers with the strengths of the ranking."""
        if links is None or ranking == "weight":
            return links
        taken = self._context.values(links.feed.taken, sample).values
        return contributions(self._context.capture, self._neurons, links, taken)

    def _build(self, sample: int, ranking: Ranking) -> _Sample:
        neurons, spec = self._neurons, self._spec
        values = {
            node.id: unit_values(neurons, node.id, self._context.values(node.id, sample).values)
            for node in neurons.graph
        }
        shown = {name: self._shown(name, numbers) for name, numbers in values.items()}
        pictured = any(self._context.capture.picture(name, sample) is not None for name in self._context.graph.inputs)
        room = ROOM if pictured else 0.0
        layouts = arrange(neurons, shown, self._shapes, aspect=_ASPECT, before=room)
        points = np.concatenate([layout.points for layout in layouts.values()])
        rings = self._rings(layouts, values)
        pixel = 720 / (2 * math.tan(math.radians(FIELD_OF_VIEW / 2)) * _distance(points))
        sizes = [np.full(len(r.units), min(_LARGEST, _BALL * r.pitch * pixel)) for r in layouts.values()]
        sizes = [np.where(ring[:, 3] > 0, _RINGED * size, size) for ring, size in zip(rings, sizes, strict=True)]
        scales = {name: scale_of(spec, numbers) for name, numbers in values.items()}
        colors = [paint(values[name][layout.units], scales[name]) for name, layout in layouts.items()]
        cloud = Points(
            "nodes",
            points.astype(np.float32),
            np.concatenate(colors),
            np.concatenate(sizes).astype(np.float32),
            np.concatenate(rings),
            units=tuple((name, int(unit)) for name, layout in layouts.items() for unit in layout.units),
            haze=_HAZE,
            source=Source("nodes"),
        )
        layers = np.repeat(np.arange(len(layouts)), [len(layout.units) for layout in layouts.values()])
        ranks = np.array([self._context.placement(name).rank for name in layouts])[layers]
        lines: list[tuple[str, str, Lines]] = []
        drawn = []
        for k, (feed, weights) in enumerate(zip(neurons.feeds, self._links, strict=True)):
            links = self._ranked(weights, sample, ranking)
            if links is None or not links.numbers:
                lines.append((feed.source, feed.target, passing(f"pass/{k}", feed, links, layouts)))
                continue
            chosen = strongest(links, layouts, spec.strongest)
            drawn_lines = weighted(str(k), links, chosen, layouts, spec.diverging)
            lines.extend((feed.source, feed.target, found) for found in drawn_lines)
            drawn.append((links, len(chosen)))
        pictures = input_pictures(self._context, self._neurons, layouts, sample)
        some = any(len(layout.units) < neurons.counts[name] for name, layout in layouts.items())
        still: tuple[Primitive, ...] = (
            *pictures,
            names(self._context, neurons, layouts, drawn, _boxes(layouts, pictures)),
            *ball_scales(
                scales,
                "activation" if neurons.vectors.issuperset(layouts) else _WHAT,
                some=some,
            ),
            *line_scale(self._context.capture, drawn, ranking, spec.diverging, self._unknown(drawn), some=some),
        )
        return _Sample(
            layouts,
            cloud,
            layers,
            ranks,
            np.concatenate(rings),
            tuple(lines),
            still,
            scores(self._context, layouts, sample),
        )

    def _unknown(self, drawn: Drawn) -> list[str]:
        """Return the layers whose weights connect units but are not drawn as lines."""
        graph, known = self._neurons.graph, {links.feed.target for links, _ in drawn}
        return [
            node.name for node in graph if node.id in connecting_nodes(self._context.graph) and node.id not in known
        ]

    def _shown(self, name: str, numbers: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the units of a layer with a ball, in ascending order: all, or only the most active."""
        most = self._spec.most
        if len(numbers) <= most or (name in self._neurons.scattered and len(numbers) <= _PIXELS):
            return np.arange(len(numbers))
        if name in self._neurons.graph.outputs:
            return np.sort(np.array(top_classes(numbers, min(most, NAMED_CELLS)), dtype=np.int64))
        strength = np.where(np.isfinite(numbers), np.abs(numbers), np.inf)
        return np.sort(np.argsort(-strength, kind="stable")[:most])

    def _rings(
        self, layouts: Mapping[str, BallLayout], values: Mapping[str, NDArray[np.float32]]
    ) -> list[NDArray[np.float32]]:
        """Return the rings of each layer's balls, ``(m, 4)``: one around the predicted class of each classifier."""
        rings = {name: np.zeros((len(layout.units), 4), dtype=np.float32) for name, layout in layouts.items()}
        for output in vector_outputs(self._context.graph):
            if is_classifier(self._context.capture, output):
                rings[output][layouts[output].units == top_classes(values[output], 1)[0]] = (*_ANSWER, 1.0)
        return list(rings.values())

    def _room_for_names(self, layouts: Mapping[str, BallLayout]) -> tuple[NDArray[np.float64], ...]:
        """Return points beside the balls of short inputs and outputs that leave room for their names."""
        every = np.concatenate([layout.points for layout in layouts.values()])
        aside = np.array([_NAMES * np.ptp(every[:, 0]), 0.0, 0.0])
        after = [layouts[name].points + aside for name in named_outputs(self._context, layouts)]
        before = [layouts[name].points - aside for name in written_inputs(self._context, layouts)]
        return (*after, *before)


def _boxes(
    layouts: Mapping[str, BallLayout], pictures: Iterable[Tiles]
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return the lowest and the highest corner of each layer's balls, with the picture before them."""
    boxes = {}
    for name, layout in layouts.items():
        points = np.concatenate([layout.points, *(corners_of(tiles) for tiles in pictures if tiles.name == name)])
        # Includes half a ball above and below the centres.
        half = np.array([0.0, _BALL * layout.pitch / 2, 0.0])
        boxes[name] = (points.min(axis=0) - half, points.max(axis=0) + half)
    return boxes


def _distance(points: NDArray[np.float64]) -> float:
    """Return the distance of the camera that sees all points."""
    pose = fit(points, *ANGLES, aspect=_ASPECT, margins=MARGINS)
    return math.dist(pose.position, pose.target)
