"""The network as a graph of neurons: lit balls by their activation, lines by the weights between them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from nnviz3d.errors import SceneError
from nnviz3d.scene.camera import FIELD_OF_VIEW, MARGINS, fit
from nnviz3d.scene.colors import (
    INF_COLOR,
    NAN_COLOR,
    NEGATIVE,
    POSITIVE,
    Colormap,
    colormap,
    limits_for,
    score,
    statistics_of,
)
from nnviz3d.scene.links import Links, links_of
from nnviz3d.scene.neurons import neurons_at, unit_values
from nnviz3d.scene.primitives import Callout, Ends, Label, Labels, Lines, Panel, Points, Primitive, Span, Tiles, Vector
from nnviz3d.scene.racks import ANGLES, TALLEST, Rack, arrange
from nnviz3d.scene.routes import bezier
from nnviz3d.scene.selection import CellPick, ChannelPick, LinkPick, Pick, Selection
from nnviz3d.scene.spec import SceneSpec
from nnviz3d.scene.stage import Stage, head_of, is_classifier, top_classes, vector_outputs
from nnviz3d.scene.view_specs import Nodes
from nnviz3d.scene.views.details import facts, glow
from nnviz3d.scene.views.legends import NAMED_CELLS, names_of, scores_of, title_panel
from nnviz3d.scene.views.node_words import legend

WIDTHS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
"""Pixels of a 720 pixels high picture; each line takes one of them, by strength."""
_FAINT, _STRONG = 0.10, 0.95
_DENSE = 90
_PASSING = (0.45, 0.52, 0.62, 0.22)
_UNLIT = (0.10, 0.12, 0.16)
_ANSWER = (0.93, 0.98, 1.0)
_GLOW = (26, 32, 44)
_BEHIND = 0.2
"""How much is left of what is not chosen."""
_LARGEST, _BALL, _RINGED = 26.0, 0.62, 1.5
"""Diameter of a ball: in pixels of a 720 pixels high picture, as a share of the way to the next one, and of a ringed one
in those of others."""
_PIXELS = 1024
"""Pixels of an input that all have a ball."""
_NAMES = 0.10
"""Width of a class's name and score as a share of the network's."""
_BELOW = 0.07
"""Height of a layer's further words as a share of the network's."""
_ASIDE = 0.7
_OVER = 1.2
"""World height of a bow over what stands between."""
_BOW = 20
_HAZE = 0.12
_BEFORE = 1.9
"""World distance of an input's picture from the balls of its channels."""
_PICTURE = 0.42 * TALLEST
"""World size of an input's picture."""
_TURNED = (0.5, 0.0, math.sqrt(0.75))
"""Along its width: between across the flow, as the sheets are, and facing the viewer."""
_ASPECT = 16 / 9


@dataclass(frozen=True, eq=False)
class _Sample:
    """All that depends on the sample.

    Attributes
    ----------
    racks
        By layer.
    cloud
        All balls, lit.
    layers
        ``(n,)``: whose each is, by its place in `racks`.
    ranks
        ``(n,)``: when each is lit.
    lines
        With the layers that they join.
    still
        What is the same at all times.
    """

    racks: Mapping[str, Rack]
    cloud: Points
    layers: NDArray[np.int64]
    ranks: NDArray[np.int64]
    lines: tuple[tuple[str, str, Lines], ...]
    still: tuple[Primitive, ...]


class NodesView:
    """Balls and lines of the chosen sample, lit layer by layer.

    Attributes
    ----------
    extent
        ``(n, 3)``: what a picture has to hold.
    angles
        Azimuth and elevation to look from, in degrees.
    """

    def __init__(self, spec: Nodes, stage: Stage, scene: SceneSpec) -> None:
        self._spec, self._stage = spec, stage
        missing = next((node.id for node in stage.graph if not stage.capture.has_activations(node.id)), None)
        if missing is not None:
            raise SceneError(f"kind: the activation of {missing!r}, which its balls show, was not captured.")
        self._shapes = {node.id: stage.place(node.id).grid.shape for node in stage.graph}
        self._neurons = neurons_at(stage)
        self._links = [links_of(stage.capture, self._neurons, feed) for feed in self._neurons.feeds]
        scattered = self._neurons.scattered
        self._vectors = {name for name in self._neurons.counts if len(self._shapes[name]) < 2 or name in scattered}
        self._start, self._seconds = spec.reveal.start, spec.reveal.duration
        self.duration = self._start + self._seconds if self._seconds else 0.0
        self.angles = ANGLES
        self._kept: tuple[int, _Sample] | None = None
        self._lit: tuple[object, tuple[Primitive, ...]] = (None, ())
        found = self._of(0)
        self._stands_out: tuple[object, Points] = (None, found.cloud)
        balls = found.cloud.points.astype(np.float64)
        below = balls - np.array([0.0, _BELOW * np.ptp(balls[:, 1]), 0.0])
        pictures = [_corners(found) for found in found.still if isinstance(found, Tiles)]
        self.extent = np.concatenate([balls, below, *pictures, *self._room_for_names(found.racks)])

    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the graph of the chosen sample; each layer lights up as the forward pass reaches it."""
        found = self._of(selection.sample)
        steps = 1 + max(rack.spot.rank for rack in found.racks.values())
        now = steps if t >= self.duration else min(max((t - self._start) / self._seconds * steps, 0.0), steps)
        key = (found, selection.layer, now)
        if self._lit[0] != key:
            cloud = self._chosen(found, selection.layer)
            if now < steps:
                cloud = replace(cloud, colors=_lights(cloud.colors, found.ranks, now))
            self._lit = (key, (cloud, *_lines_at(found, now, selection.layer), *found.still))
        return self._lit[1]

    def marked(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return brackets around a picked ball, or around the two that a picked line joins, and what is known of it."""
        pick = selection.pick
        if pick is None:
            return ()
        racks = self._of(selection.sample).racks
        places = [_place(racks, layer, unit) for layer, unit in self._ends(pick)]
        if isinstance(pick, CellPick) and pick.layer not in self._vectors:
            tiles = self._pictures(racks, selection.sample)
            places = [_pixel(found, pick.index) for found in tiles if found.name == pick.layer]
        told = facts(self._stage, pick, selection)
        known = [place for place in places if place is not None]
        if told is None or not known or len(known) < len(places):
            return ()
        marks = tuple(Span(_vector(place), (0.0, 0.0, 0.0)) for place in known)
        if len(known) == 1:
            return (Callout("pick", marks, told.rows, np.empty((0, 3), dtype=np.float32)),)
        way = self._ways(
            racks, np.array(known[:1]), np.array(known[1:]), *(racks[layer].spot.rank for layer, _ in self._ends(pick))
        )[0]
        sign = 1 if isinstance(pick, LinkPick) and self._signed(pick) >= 0 else -1
        return (*glow(way, POSITIVE if sign > 0 else NEGATIVE), Callout("pick", marks, told.rows, way))

    def _chosen(self, found: _Sample, layer: str | None) -> Points:
        """Return the balls, all but those of the chosen layer faint."""
        if layer is None or layer not in found.racks:
            return found.cloud
        if self._stands_out[0] != (found, layer):
            colors = found.cloud.colors.copy()
            colors[found.layers != list(found.racks).index(layer), 3] *= _BEHIND
            self._stands_out = ((found, layer), replace(found.cloud, colors=colors))
        return self._stands_out[1]

    def _of(self, sample: int) -> _Sample:
        if self._kept is None or self._kept[0] != sample:
            self._kept = (sample, self._build(sample))
        return self._kept[1]

    def _build(self, sample: int) -> _Sample:
        neurons, spec = self._neurons, self._spec
        values = {
            node.id: unit_values(neurons, node.id, self._stage.values(node.id, sample).values) for node in neurons.graph
        }
        shown = {name: self._shown(name, numbers) for name, numbers in values.items()}
        pictured = any(self._stage.capture.picture(name, sample) is not None for name in self._stage.graph.inputs)
        room = _BEFORE + _PICTURE if pictured else 0.0
        racks = arrange(neurons, shown, self._shapes, aspect=_ASPECT, before=room)
        points = np.concatenate([rack.points for rack in racks.values()])
        rings = self._rings(racks, values)
        pixel = 720 / (2 * math.tan(math.radians(FIELD_OF_VIEW / 2)) * _distance(points))
        sizes = [np.full(len(r.units), min(_LARGEST, _BALL * r.pitch * pixel)) for r in racks.values()]
        sizes = [np.where(ring[:, 3] > 0, _RINGED * size, size) for ring, size in zip(rings, sizes, strict=True)]
        scales = {name: _scale(spec, numbers) for name, numbers in values.items()}
        colors = [_paint(values[name][rack.units], *scales[name]) for name, rack in racks.items()]
        cloud = Points(
            "nodes",
            points.astype(np.float32),
            np.concatenate(colors),
            np.concatenate(sizes).astype(np.float32),
            np.concatenate(rings),
            units=tuple((name, int(unit)) for name, rack in racks.items() for unit in rack.units),
            haze=_HAZE,
        )
        layers = np.repeat(np.arange(len(racks)), [len(rack.units) for rack in racks.values()])
        ranks = np.array([rack.spot.rank for rack in racks.values()])[layers]
        lines, drawn = self._lines(racks)
        pictures = self._pictures(racks, sample)
        still = (
            *pictures,
            *self._names(racks, drawn, pictures),
            *self._scores(racks, sample),
            *legend(
                scales,
                [
                    (links, k)
                    for links, k in zip(self._links, drawn, strict=True)
                    if links is not None and links.numbers
                ],
                diverging=spec.diverging,
                channels=not self._vectors.issuperset(racks),
            ),
        )
        return _Sample(racks, cloud, layers, ranks, lines, still)

    def _shown(self, name: str, numbers: NDArray[np.float32]) -> NDArray[np.int64]:
        """Choose which units of a layer have a ball, in ascending order: all, or the most active."""
        most = self._spec.most
        if len(numbers) <= most or (name in self._neurons.scattered and len(numbers) <= _PIXELS):
            return np.arange(len(numbers))
        if name in self._neurons.graph.outputs:
            return np.sort(np.array(top_classes(numbers, min(most, NAMED_CELLS)), dtype=np.int64))
        strength = np.where(np.isfinite(numbers), np.abs(numbers), np.inf)
        return np.sort(np.argsort(-strength, kind="stable")[:most])

    def _lines(self, racks: Mapping[str, Rack]) -> tuple[tuple[tuple[str, str, Lines], ...], list[int]]:
        """Return the strongest lines of each pair of layers, thin ones first, and how many each pair has."""
        lines: list[tuple[str, str, Lines]] = []
        counts = []
        for number_, (feed, links) in enumerate(zip(self._neurons.feeds, self._links, strict=True)):
            source, target = racks[feed.source], racks[feed.target]
            ranks = (source.spot.rank, target.spot.rank)
            if links is None or links.numbers == 0:
                way = self._passing(racks, links, feed.source, feed.target, ranks)
                colors = np.tile(np.array(_PASSING, dtype=np.float32), (len(way), 1))
                lines.append((feed.source, feed.target, Lines(f"pass/{number_}", way, colors, 0.8)))
                counts.append(len(way))
                continue
            chosen = _strongest(links, source, target, self._spec.strongest)
            counts.append(len(chosen))
            if not len(chosen):
                continue
            share = links.norm[chosen] / max(float(links.norm[chosen].max()), 1e-30)
            index, signed = links.index[chosen], links.signed[chosen]
            colors = _tint(colormap(self._spec.diverging), np.where(signed < 0, -share, share))
            start, end = _points_of(source, index[:, 0]), _points_of(target, index[:, 1])
            ways = self._ways(racks, start, end, *ranks)
            bins = np.minimum((share * len(WIDTHS)).astype(int), len(WIDTHS) - 1)
            for k, width in enumerate(WIDTHS):
                mine = bins == k
                if mine.any():
                    ends = Ends(
                        feed.source, feed.target, index[mine], signed[mine].astype(np.float32), taken=feed.taken
                    )
                    found = Lines(f"{number_}/{k}", ways[mine], colors[mine], width, ends=ends)
                    lines.append((feed.source, feed.target, found))
        return tuple(lines), counts

    def _passing(
        self, racks: Mapping[str, Rack], links: Links | None, source: str, target: str, ranks: tuple[int, int]
    ) -> NDArray[np.float32]:
        """Return the ways on which units are passed on unchanged; of what is not known unit by unit one for all."""
        a, b = racks[source], racks[target]
        chosen = np.empty(0, dtype=np.int64) if links is None else _strongest(links, a, b, len(links.norm))
        if links is None or not len(chosen):
            return self._ways(racks, a.points.mean(axis=0)[np.newaxis], b.points.mean(axis=0)[np.newaxis], *ranks)
        index = links.index[chosen]
        return self._ways(racks, _points_of(a, index[:, 0]), _points_of(b, index[:, 1]), *ranks)

    def _ways(
        self, racks: Mapping[str, Rack], start: NDArray[np.float64], end: NDArray[np.float64], first: int, last: int
    ) -> NDArray[np.float32]:
        """Return straight lines to the next layer, and bows over what stands between, ``(n, p, 3)``."""
        between = [rack for rack in racks.values() if first < rack.spot.rank < last]
        low, high = np.minimum(start[:, 1], end[:, 1]).min(), np.maximum(start[:, 1], end[:, 1]).max()
        hidden = [rack for rack in between if rack.origin[1] <= high and rack.origin[1] + rack.size[1] >= low]
        if not hidden:
            return np.stack([start, end], axis=1).astype(np.float32)
        top = max(rack.origin[1] + rack.size[1] for rack in hidden) + _OVER
        lift = np.zeros_like(start)
        # A cubic curve reaches three quarters of the height of its two middle points.
        lift[:, 1] = (top - (start[:, 1] + end[:, 1]) / 2) / 0.75
        reach = (end - start) * np.array([0.3, 0.0, 0.3])
        return bezier(start, start + reach + lift, end - reach + lift, end, _BOW).astype(np.float32)

    def _pictures(self, racks: Mapping[str, Rack], sample: int) -> tuple[Tiles, ...]:
        """Return the pictures that the model sees, each before the balls of its channels."""
        found = []
        for name in self._stage.graph.inputs:
            pixels = None if name in self._neurons.scattered else self._stage.capture.picture(name, sample)
            if pixels is None:
                continue
            rows, columns = pixels.shape[:2]
            width, height = (_PICTURE * n / max(rows, columns) for n in (columns, rows))
            middle = racks[name].points.mean(axis=0) - np.array([_BEFORE + width * _TURNED[0] / 2, 0.0, 0.0])
            corner = middle - np.array(_TURNED) * width / 2 - np.array([0.0, height / 2, 0.0])
            maps = self._shapes[name] == (rows, columns, 1)
            origins = corner[np.newaxis].astype(np.float32)
            found.append(
                Tiles(
                    name, pixels[np.newaxis], origins, (width, height), np.zeros(1, np.int64), maps=maps, right=_TURNED
                )
            )
        return tuple(found)

    def _rings(self, racks: Mapping[str, Rack], values: Mapping[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Return a ring around the answer of each classifier, and none around all others: of each layer ``(m, 4)``."""
        rings = {name: np.zeros((len(rack.units), 4), dtype=np.float32) for name, rack in racks.items()}
        for output in vector_outputs(self._stage.graph):
            if is_classifier(self._stage.capture, output):
                rings[output][racks[output].units == top_classes(values[output], 1)[0]] = (*_ANSWER, 1.0)
        return list(rings.values())

    def _names(self, racks: Mapping[str, Rack], drawn: list[int], pictures: Sequence[Tiles]) -> tuple[Primitive, ...]:
        graph, neurons = self._neurons.graph, self._neurons
        labels = []
        for node in graph:
            rack, count = racks[node.id], neurons.counts[node.id]
            what = "neuron" if node.id in self._vectors else "channel"
            shown = f"{len(rack.units):,} of {count:,}" if len(rack.units) < count else f"{count:,}"
            lines = [node.name, f"{shown} {what}{'s' * (count != 1)}"]
            lines += [
                f"{k:,} of {links.total:,} connections"
                for links, k in zip(self._links, drawn, strict=True)
                if links is not None and links.numbers and links.feed.target == node.id
            ]
            lines += [f"→ {self._stage.graph.node(name).name}" for name in neurons.passed_on(node.id)]
            ends = node.id in (*graph.inputs, *graph.outputs)
            around = [rack.points, *(_corners(tiles) for tiles in pictures if tiles.name == node.id)]
            low, high = np.concatenate(around).min(axis=0), np.concatenate(around).max(axis=0)
            if node.id in graph.outputs:
                low[1] -= rack.pitch  # the last one's score stands beside it
            labels.append(Label(_vector(low), tuple(lines), priority=3.0 + ends, span=_vector(high - low)))
        return (Labels("names", tuple(labels)),)

    def _scores(self, racks: Mapping[str, Rack], sample: int) -> tuple[Primitive, ...]:
        """Return the title with the answer in it, and names and scores beside the outputs' balls."""
        stage, head = self._stage, head_of(self._stage.graph)
        if head is None:
            return (title_panel(stage.capture, sample),)
        labels: list[Label] = []
        for output in vector_outputs(stage.graph):
            numbers = stage.values(output, sample).values.reshape(-1)
            names = names_of(stage.capture, output, len(numbers)) if len(numbers) > 1 else [""]
            best = top_classes(numbers, 1)[0]
            rack = racks[output]
            for unit, place in zip(rack.units, rack.points, strict=True):
                if len(rack.units) > NAMED_CELLS:
                    continue
                labels.append(
                    Label(
                        _vector(place + np.array([_ASIDE, 0.0, 0.0])),
                        (f"{names[unit]}   {score(float(numbers[unit]))}".strip(),),
                        align="right",
                        priority=20.0 if unit == best else 8.0,
                        emphasis=1.0 if unit == best else 0.5,
                        small=True,
                    )
                )
        title = [found for found in scores_of(stage, head, sample) if isinstance(found, Panel)]
        return (*title, Labels("scores", tuple(labels)))

    def _room_for_names(self, racks: Mapping[str, Rack]) -> tuple[NDArray[np.float64], ...]:
        """Return points beside the outputs' balls, where their names stand, if they do."""
        every = np.concatenate([rack.points for rack in racks.values()])
        named = [racks[o].points for o in vector_outputs(self._stage.graph) if len(racks[o].units) <= NAMED_CELLS]
        return tuple(points + np.array([_NAMES * np.ptp(every[:, 0]), 0.0, 0.0]) for points in named)

    def _ends(self, pick: Pick) -> list[tuple[str, int]]:
        match pick:
            case ChannelPick():
                return [(pick.layer, pick.channel)]
            case CellPick() if pick.layer in self._vectors:
                shape = self._shapes[pick.layer]
                return [(pick.layer, int(np.ravel_multi_index(pick.index, shape)) if shape else 0)]
            case LinkPick():
                return [(pick.source, pick.source_unit), (pick.target, pick.target_unit)]
        return []

    def _signed(self, pick: LinkPick) -> float:
        links = next(
            k for k in self._links if k is not None and (k.feed.taken, k.feed.target) == (pick.taken, pick.target)
        )
        return float(links.signed[(links.index == (pick.source_unit, pick.target_unit)).all(axis=1)][0])


def _strongest(links: Links, source: Rack, target: Rack, most: int) -> NDArray[np.int64]:
    """Return which links join balls that are shown, at most so many, the weakest first; no NaN or infinite ones."""
    between = np.isin(links.index[:, 0], source.units) & np.isin(links.index[:, 1], target.units)
    chosen = np.flatnonzero(between & np.isfinite(links.norm))
    return chosen[np.argsort(-links.norm[chosen], kind="stable")][:most][::-1]


def _points_of(rack: Rack, units: NDArray[np.int64]) -> NDArray[np.float64]:
    return rack.points[np.searchsorted(rack.units, units)]


def _place(racks: Mapping[str, Rack], layer: str, unit: int) -> NDArray[np.float64] | None:
    rack = racks.get(layer)
    if rack is None or unit not in rack.units:
        return None
    return np.asarray(_points_of(rack, np.array([unit]))[0])


def _lights(colors: NDArray[np.float32], ranks: NDArray[np.int64], now: float) -> NDArray[np.float32]:
    """Return the balls' colours while the forward pass is under way, ``(n, 4)``."""
    lit = np.clip(now - ranks, 0.0, 1.0)[:, np.newaxis].astype(np.float32)
    unlit = np.tile(np.array([*_UNLIT, 1.0], dtype=np.float32), (len(colors), 1))
    unlit[:, 3] = colors[:, 3]
    return np.asarray(colors * lit + unlit * (1 - lit))


def _lines_at(found: _Sample, now: float, chosen: str | None) -> Iterable[Lines]:
    for source, target, lines in found.lines:
        # A line is there before the ball that it leads to is lit.
        seen = float(np.clip((now - found.racks[target].spot.rank + 0.6) / 0.8, 0.0, 1.0))
        seen *= 1.0 if chosen in (None, source, target) or chosen not in found.racks else _BEHIND
        yield lines if seen == 1.0 else replace(lines, opacity=seen)


def _scale(spec: Nodes, numbers: NDArray[np.float32]) -> tuple[Colormap, tuple[float, float]]:
    limits = limits_for(statistics_of(numbers), "layer")
    return _glowing(spec.diverging if limits[0] < 0 else spec.colormap), limits


@cache
def _glowing(name: str) -> Colormap:
    """Return a colour map whose darkest colours stand out from the ground, so that a ball at zero is seen as one."""
    found = colormap(name)
    table = found.table + (255.0 - found.table) * (np.array(_GLOW) / 255)
    return Colormap(found.name, np.asarray(np.round(table), dtype=np.uint8), found.diverging)


def _paint(numbers: NDArray[np.float32], scale: Colormap, limits: tuple[float, float]) -> NDArray[np.float32]:
    """Give numbers their colours, ``(n, 4)``; what is no number its own."""
    low, high = limits
    with np.errstate(invalid="ignore"):
        share = np.nan_to_num((numbers.astype(np.float64) - low) / (high - low), nan=0.0, posinf=1.0, neginf=0.0)
    colors = np.ones((len(numbers), 4), dtype=np.float32)
    colors[:, :3] = scale.table[np.round(np.clip(share, 0, 1) * 255).astype(int)] / np.float32(255)
    colors[np.isnan(numbers), :3] = NAN_COLOR
    colors[np.isinf(numbers), :3] = INF_COLOR
    return colors


def _tint(scale: Colormap, signed: NDArray[np.float64]) -> NDArray[np.float32]:
    """Give lines their colours by signed shares of the strongest, -1 to 1: the weaker, the fainter."""
    strength = np.abs(signed)
    # The middle of a diverging map is as dark as the ground; the weakest lines still show their sign.
    lifted = np.sign(signed) * (0.35 + 0.5 * strength)
    colors = np.empty((len(signed), 4), dtype=np.float32)
    colors[:, :3] = scale.table[np.round((lifted + 1) / 2 * 255).astype(int)] / np.float32(255)
    # Many lines of like strength would add up to one pale mass: the more there are, the fainter each is.
    colors[:, 3] = (_FAINT + (_STRONG - _FAINT) * strength**1.5) * min(1.0, (_DENSE / len(signed)) ** 0.5)
    return colors


def _corners(tiles: Tiles) -> NDArray[np.float64]:
    """Return the corners of a picture, ``(4, 3)``."""
    right, up = np.array(tiles.right) * tiles.size[0], np.array(tiles.up) * tiles.size[1]
    return np.asarray(tiles.origins[0] + np.array([np.zeros(3), right, up, right + up]))


def _pixel(tiles: Tiles, index: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the middle of a pixel of a picture."""
    rows, columns = tiles.pixels.shape[1:3]
    right = np.array(tiles.right) * tiles.size[0] * (index[1] + 0.5) / columns
    up = np.array(tiles.up) * tiles.size[1] * (1 - (index[0] + 0.5) / rows)
    return np.asarray(tiles.origins[0] + right + up)


def _distance(points: NDArray[np.float64]) -> float:
    """Say how far the eye is that sees all points."""
    pose = fit(points, *ANGLES, aspect=_ASPECT, margins=MARGINS)
    return math.dist(pose.position, pose.target)


def _vector(v: NDArray[np.float64]) -> Vector:
    return float(v[0]), float(v[1]), float(v[2])
