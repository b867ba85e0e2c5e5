"""View of connections: the k strongest of n between vectors, and the receptive-field fans of convolutions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nnviz3d.data.graph import connecting_nodes
from nnviz3d.data.records import RANKINGS, Connections, Ranking
from nnviz3d.data.targets import LOSS
from nnviz3d.scene.colors import NAN_COLOR, NEGATIVE, POSITIVE, Color, number
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.layer_figures import weights_of_then
from nnviz3d.scene.derived.weight_updates import Parts, update_parts
from nnviz3d.scene.facts import Facts, exact
from nnviz3d.scene.hits import Hit, LineHit
from nnviz3d.scene.layout.routes import Route, bezier
from nnviz3d.scene.panel_rows import SwatchRow, TextRow
from nnviz3d.scene.primitives import Ends, Lines, Panel, Primitive, Source
from nnviz3d.scene.selection import Pick, Selection
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.view import View
from nnviz3d.scene.view_spec import ViewSpec
from nnviz3d.scene.views.blocks import flat_index, span_of, value_at
from nnviz3d.scene.views.legends import listed
from nnviz3d.scene.views.marks import callout, frames, glow

_WIDTHS = (0.7, 1.0, 1.5, 2.2)
"""Line widths in pixels; each line has one of them, by strength."""
_MANY = 64
"""Of more pairs of layers, all thin lines are below all thick ones, because lines of one width are drawn fast together."""
_POINTS = 14
_COLORS = (POSITIVE, NEGATIVE)
_GRADIENT_COLORS: tuple[Color, Color] = ((1.00, 0.80, 0.45), (0.55, 0.85, 1.00))
"""Brighter colours of the same hues, for shining lines."""
_SUNK = 0.3
"""Opacity of the lines during the backward pass."""
_GATHERED = 0.2
"""Opacity factor of lines on one common path, around blocks or to another row, because they overlap."""


@dataclass(frozen=True)
class EdgePick(Pick):
    """A connection between two numbers.

    Attributes
    ----------
    source_index, target_index
        Indices of the two numbers in one sample's tensors.
    weight
        The same for every sample.
    """

    source: str
    target: str
    source_index: tuple[int, ...]
    target_index: tuple[int, ...]
    weight: float

    @property
    def of_layer(self) -> str:
        """The layer at the end of the connection."""
        return self.target


class ConnectionsSpec(ViewSpec):
    """The strongest connections between vectors, and the receptive-field fans of convolutions.

    Attributes
    ----------
    strongest
        Maximum number of lines between two layers.
    fans
        Whether convolutions show the fan of their strongest filter.
    """

    kind: Literal["connections"]
    arrays: ClassVar[frozenset[str]] = frozenset({"connections"})
    in_default_scene: ClassVar[bool] = True
    ranking: Ranking = "weight"
    strongest: Annotated[int, Field(ge=1)] = 160
    fans: bool = True


class ConnectionsView(View):
    """Lines from cell to cell: opacity and width by strength, colour by sign."""

    spec_class = ConnectionsSpec

    def __init__(self, spec: ConnectionsSpec, context: SceneContext, timeline: Timeline) -> None:
        self._spec = spec
        self._context = context
        self._timeline = timeline
        self.duration = self._timeline.duration
        self._kept: dict[tuple[int, Ranking], tuple[Primitive, ...]] = {}
        self._slopes: dict[tuple[object, ...], tuple[Primitive, ...]] = {}

    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the lines of the selected sample and ranking; each pair appears when the forward pass reaches it."""
        ranking = selection.ranking or self._spec.ranking
        key = (selection.sample, ranking)
        if key not in self._kept:
            self._kept = {key: self._build(selection.sample, ranking)}
        turned = self._timeline.turned(t)
        found = [self._faded(p, self._seen(p, t) * (1 - (1 - _SUNK) * turned), selection) for p in self._kept[key]]
        if turned <= 0:
            return tuple(found)
        slopes = (*key, selection.target)
        if slopes not in self._slopes:
            self._slopes = {slopes: self._back(selection, ranking)}
        back = [self._faded(p, self._lit(p, t), selection) for p in self._slopes[slopes]]
        if back:  # there are two legends; only one is shown at a time
            found = [p for p in found if turned < 0.5 or not isinstance(p, Panel)]
            back = [p for p in back if turned >= 0.5 or not isinstance(p, Panel)]
        return (*found, *back)

    def pick(self, hit: Hit, selection: Selection) -> Pick | None:
        """Return the connection of the hit line."""
        if not isinstance(hit, LineHit) or hit.primitive.ends is None:
            return None
        ends = hit.primitive.ends
        source, target = (
            tuple(int(i) for i in np.unravel_index(int(flat), self._context.placement(node).grid.shape))
            for node, flat in zip((ends.source, ends.target), ends.index[hit.number], strict=True)
        )
        return EdgePick(ends.source, ends.target, source, target, float(ends.weight[hit.number]))

    def describe(self, pick: Pick, selection: Selection) -> Facts | None:
        """Return weight, activation and contribution of a connection, and its gradient if that was captured."""
        return describe_edge(self._context, pick, selection) if isinstance(pick, EdgePick) else None

    def mark(self, pick: Pick, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return frames around both ends of a connection, its line, brighter than the others, and the callout."""
        facts = self.describe(pick, selection)
        if not isinstance(pick, EdgePick) or facts is None:
            return ()
        ends = ((pick.source, pick.source_index), (pick.target, pick.target_index))
        spans = [span_of(self._context, layer, index) for layer, index in ends]
        shapes = (self._context.placement(layer).grid.shape for layer, _ in ends)
        flat = [flat_index(index, shape) for (_, index), shape in zip(ends, shapes, strict=True)]
        path = np.asarray(curves(self._context, pick.source, pick.target, np.array([flat]))[0])
        return (frames(spans), *glow(path, POSITIVE if pick.weight >= 0 else NEGATIVE), callout(spans, facts, path))

    def _faded(self, primitive: Primitive, seen: float, selection: Selection) -> Primitive:
        if not isinstance(primitive, Lines) or primitive.ends is None:
            return primitive
        chosen = (None, primitive.ends.target, primitive.ends.source)
        seen *= 1.0 if selection.layer in chosen else 0.2
        return primitive if seen == 1.0 else replace(primitive, opacity=seen)

    def _seen(self, lines: Primitive, t: float) -> float:
        """Return the revealed share of these lines, from 0 to 1."""
        if not isinstance(lines, Lines) or lines.ends is None:
            return 1.0
        return self._timeline.revealed(self._context.placement(lines.ends.target).rank - 1, t)

    def _lit(self, lines: Primitive, t: float) -> float:
        """Return the brightness of the gradient on these lines, from 0 to 1."""
        if not isinstance(lines, Lines) or lines.ends is None:
            return 1.0
        source, target = (self._context.placement(node).rank for node in (lines.ends.source, lines.ends.target))
        return self._timeline.between(target, source, t)

    def _pairs(self, sample: int, ranking: Ranking) -> list[Connections]:
        context = self._context
        found = []
        for edge in context.graph.edges:
            pair = context.capture.connections(edge.source, edge.target, ranking, sample)
            if pair is not None and pair.shown and (self._spec.fans or pair.rule == "dense"):
                found.append(pair)
        return found

    def _build(self, sample: int, ranking: Ranking) -> tuple[Primitive, ...]:
        found = self._pairs(sample, ranking)
        lines: list[Lines] = []
        for pair in found:
            lines.extend(self._lines(pair, _ranked(pair), _COLORS))
        if len(found) > _MANY:
            lines.sort(key=lambda one: one.width)
        return (*lines, *self._legend(found, ranking))

    def _back(self, selection: Selection, ranking: Ranking) -> tuple[Primitive, ...]:
        """Return the same connections with the gradient of the score by the weight as strength."""
        explanations = self._context.explanations(selection.sample)
        lines: list[Lines] = []
        top = 0.0
        for pair in self._pairs(selection.sample, ranking):
            slopes = explanations.connection_gradient(pair, selection.target)
            if slopes is None:
                continue
            kept = np.where(np.isin(np.arange(pair.shown), self._strongest(pair)), slopes, 0.0).astype(np.float32)
            kept[~np.isfinite(kept)] = 0.0
            if kept.any():
                lines.extend(self._lines(pair, kept, _GRADIENT_COLORS, back=True))
                top = max(top, float(np.abs(kept).max()))
        if not lines:
            return ()
        if len(lines) > _MANY * len(_WIDTHS):
            lines.sort(key=lambda one: one.width)
        explained = explanations.explained(selection.target)
        score = "the loss" if explained is not None and explained.target == LOSS else "the score"
        rows = (
            TextRow(f"gradient of {score} by the weights of the same connections", "quiet"),
            SwatchRow(((_GRADIENT_COLORS[0], "positive"), (_GRADIENT_COLORS[1], "negative"))),
            TextRow(f"brightest: the strongest of each layer, up to {number(top)}", "quiet"),
        )
        return (*lines, Panel("connections", "bottom-right", rows))

    def _lines(
        self, pair: Connections, values: NDArray[np.float32], palette: tuple[Color, Color], *, back: bool = False
    ) -> list[Lines]:
        # Weakest first, so that the strongest are drawn on top.
        order = self._strongest(pair)[::-1]
        order = order[np.argsort(np.abs(values[order]), kind="stable")]
        order = order[np.abs(values[order]) > 0] if back else order
        if not len(order):
            return []
        strength = np.abs(values[order])
        share = strength / max(float(strength.max()), 1e-30)
        signed = values[order]
        points = curves(self._context, pair.source, pair.target, pair.index[order])
        colors = np.empty((len(order), 4), dtype=np.float32)
        colors[:, :3] = np.where(signed[:, np.newaxis] >= 0, *palette)
        # Many lines of similar strength would merge into one pale area: the more lines, the fainter each one.
        colors[:, 3] = (0.05 + (0.9 if back else 0.6) * share**2) * min(1.0, (90 / len(order)) ** 0.5)
        if _gathered(self._context, self._context.route(pair.source, pair.target)):
            colors[:, 3] *= _GATHERED
        bins = np.minimum((share * len(_WIDTHS)).astype(int), len(_WIDTHS) - 1)
        lines = []
        for k, width in enumerate(_WIDTHS):
            chosen = order[bins == k]
            if len(chosen):
                ends = Ends(pair.source, pair.target, pair.index[chosen], pair.weight[chosen])
                name = f"{'gradient|' if back else ''}{pair.source}|{pair.target}|{k}"
                lines.append(
                    Lines(name, points[bins == k], colors[bins == k], width, ends=ends, source=Source("connections"))
                )
        return lines

    def _strongest(self, pair: Connections) -> NDArray[np.int64]:
        """Return the drawn connections, the strongest first; NaN and infinite ones are left out."""
        strength = np.abs(_ranked(pair))
        finite = np.flatnonzero(np.isfinite(strength))
        return finite[np.argsort(-strength[finite], kind="stable")][: self._spec.strongest]

    def _legend(self, pairs: list[Connections], ranking: Ranking) -> tuple[Primitive, ...]:
        missing = self._missing(pairs)
        if not pairs:
            return (Panel("connections", "bottom-right", missing),) if missing else ()
        what = "|weight|" if ranking == "weight" else "|weight × activation|"
        dense = [p for p in pairs if p.rule == "dense"]
        fans = [p for p in pairs if p.rule == "fan"]
        rows: list[TextRow | SwatchRow] = [
            TextRow(f"strongest connections by {what}{weights_of_then(self._context.capture)}", "quiet"),
            SwatchRow(((POSITIVE, "positive"), (NEGATIVE, "negative"))),
        ]
        if len(dense) > 2:
            rows.append(self._total(dense, f"connections between {len(dense)} pairs of layers"))
        else:
            rows.extend(self._row(p) for p in dense)
        if fans:
            rows.append(self._total(fans, f"weights into the {self._cells(fans)}"))
        rows.extend(missing)
        broken = sum(int(np.count_nonzero(~np.isfinite(_ranked(p)))) for p in pairs)
        if broken:
            rows.append(SwatchRow(((NAN_COLOR, f"{broken:,} NaN or infinite, not drawn"),)))
        return (Panel("connections", "bottom-right", tuple(rows)),)

    def _cells(self, fans: list[Connections]) -> str:
        """Name the numbers that the fans lead to."""
        alike = all("Conv" in self._context.graph.node(pair.target).kind for pair in fans)
        what = "convolution" if alike else "layer"
        return f"strongest activation of {f'each of {len(fans)} {what}s' if len(fans) > 1 else f'one {what}'}"

    def _missing(self, pairs: list[Connections]) -> tuple[TextRow, ...]:
        """Return how many layers with weights have lines, and the names of the others."""
        joined, every = {pair.target for pair in pairs}, connecting_nodes(self._context.graph)
        none = [self._context.graph.node(name).name for name in every if name not in joined]
        if not none:
            return ()
        drawn = len(every) - len(none)
        return (TextRow(f"drawn for {drawn:,} of {len(every):,} layers with weights, not for {listed(none)}", "quiet"),)

    def _row(self, pair: Connections) -> TextRow:
        drawn = self._strongest(pair)
        up_to = f", up to {number(float(np.abs(_ranked(pair)[drawn[0]])))}" if len(drawn) else ""
        return TextRow(f"{pair.source} → {pair.target}: {len(drawn):,} of {pair.total:,}{up_to}", "quiet")

    def _total(self, pairs: list[Connections], what: str) -> TextRow:
        k = sum(len(self._strongest(p)) for p in pairs)
        return TextRow(f"{k:,} of {sum(p.total for p in pairs):,} {what}", "quiet")


def _gathered(context: SceneContext, route: Route) -> bool:
    """Whether lines follow the edge's own path, because straight lines would cross other blocks."""
    lanes = [context.placement(node).lane for node in (route.edge.source, route.edge.target)]
    return route.kind != "flow" or abs(lanes[0] - lanes[1]) > 1


def _ranked(pair: Connections) -> NDArray[np.float32]:
    """Return the ranking numbers of a pair's connections."""
    return pair.weight if pair.ranking == "weight" else pair.contribution


def curves(context: SceneContext, source: str, target: str, index: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the curves of connections from one layer to the next.

    Parameters
    ----------
    index
        ``(n, 2)``: flat indices of the source's cells and of the target's.

    Returns
    -------
    ``(n, p, 3)`` world coordinates.
    """
    start, end = context.centers(source, index[:, 0]), context.centers(target, index[:, 1])
    route = context.route(source, target)
    if not _gathered(context, route):
        reach = np.zeros_like(start)
        reach[:, 0] = (end[:, 0] - start[:, 0]) * 0.45
        return bezier(start, start + reach, end - reach, end, _POINTS).astype(np.float32)
    # Around other blocks or to another row: the lines merge into the path of the edge, and spread again at its end.
    way = route.points
    first, last = np.broadcast_to(way[0], start.shape), np.broadcast_to(way[-1], end.shape)
    out = bezier(start, (start + first) / 2, first, first, _POINTS)
    into = bezier(last, last, (last + end) / 2, end, _POINTS)
    middle = np.broadcast_to(way, (len(index), *way.shape))
    return np.concatenate([out, middle, into], axis=1).astype(np.float32)


def describe_edge(context: SceneContext, pick: EdgePick, selection: Selection) -> Facts | None:
    """Return weight, activation and contribution of a connection; `None` if the sample has no such numbers."""
    sample = selection.sample
    activation = value_at(context, pick.source, pick.source_index, sample)
    target = value_at(context, pick.target, pick.target_index, sample)
    if activation is None or activation.ndim or target is None:
        return None
    weight, value = np.float32(pick.weight), np.float32(activation)
    ends = ((pick.source, pick.source_index), (pick.target, pick.target_index))
    title = " → ".join(f"{layer}[{', '.join(map(str, index))}]" for layer, index in ends)
    # The same product of two float32 as in the capture; adding 0 turns -0.0 into 0.0.
    with np.errstate(invalid="ignore", over="ignore"):  # of NaN and infinite numbers
        product = weight * value + np.float32(0)
    parts: Parts = (("weight", exact(weight)), ("activation", exact(value)), ("contribution", exact(product)))
    slope = _slope_of(context, pick, selection)
    parts = parts if slope is None else (*parts, ("gradient by the weight", exact(slope)))
    return Facts(title, parts=(*parts, *_update_of(context, pick)))


def _update_of(context: SceneContext, pick: EdgePick) -> Parts:
    """Return what the training did to the weight of a connection between vectors, if that was recorded."""
    source, target = (context.placement(layer).grid.shape for layer in (pick.source, pick.target))
    if context.graph.node(pick.target).kind != "Dense" or len(source) != 1 or len(target) != 1:
        return ()
    return update_parts(context, pick.target, "kernel", (*pick.source_index, *pick.target_index))


def _slope_of(context: SceneContext, pick: EdgePick, selection: Selection) -> np.float32 | None:
    """Return the gradient of the selected target's score by a connection; `None` if it was not captured."""
    shapes = context.placement(pick.source).grid.shape, context.placement(pick.target).grid.shape
    ends = [flat_index(pick.source_index, shapes[0]), flat_index(pick.target_index, shapes[1])]
    for ranking in RANKINGS:
        pair = context.capture.connections(pick.source, pick.target, ranking, selection.sample)
        if pair is None:
            continue
        slopes = context.explanations(selection.sample).connection_gradient(pair, selection.target)
        found = np.flatnonzero((pair.index == ends).all(axis=1))
        if slopes is not None and len(found):
            return np.float32(slopes[found[0]])
    return None
