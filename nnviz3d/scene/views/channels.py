"""View of a layer's channels, which unfold from its block into a grid before the network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import model_validator

from nnviz3d.data.axes import channel_axis
from nnviz3d.data.capabilities.examples import has_examples
from nnviz3d.data.capabilities.features import has_features
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.request import Insights
from nnviz3d.data.selectors import by_kind, lacks, matching
from nnviz3d.errors import SceneError
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.channel_pictures import CAPTURED
from nnviz3d.scene.easing import eased
from nnviz3d.scene.hits import Hit, TileHit
from nnviz3d.scene.layout.channel_tiles import unfolding
from nnviz3d.scene.panel_rows import TextRow
from nnviz3d.scene.primitives import (
    Box,
    Image,
    Label,
    Labels,
    Lines,
    Panel,
    Points,
    Primitive,
    Source,
    Span,
    Tiles,
    Voxels,
    vector,
)
from nnviz3d.scene.selection import CellPick, ChannelOrder, ChannelPictures, Pick, Selection
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.view import FillsBlocks, View
from nnviz3d.scene.view_spec import Move, ViewSpec
from nnviz3d.scene.views.blocks import describe_cell, pick_on_tile
from nnviz3d.scene.views.channel_sheets import ChannelSheet, sheet_of
from nnviz3d.scene.views.marks import callout, rectangles

_RECEDED = 0.16
"""Opacity of the network behind a grid."""


class ChannelsSpec(ViewSpec):
    """A layer's stack of channels, which unfolds into a grid before the network, and may fold up again.

    Attributes
    ----------
    layer
        A selector; by default the last layer with maps. For ``features`` or ``examples`` with a kind of layer that has
        none in the capture, it is the last layer that has some.
    order
        ``index``; ``mean`` activation, the largest first; or ``contribution``: gradient times activation, summed over
        locations.
    show
        The channels' ``maps``; their ``features``: pictures that maximize them; or their ``examples``: the samples of a
        data set that activate them most.
    unfold, fold
        Times of unfolding and of folding up again; by default it stays unfolded.
    """

    kind: Literal["channels"]
    layer: str | None = None
    order: ChannelOrder = "mean"
    show: ChannelPictures = "maps"
    unfold: Move = Move()
    fold: Move | None = None

    @model_validator(mode="after")
    def _of_a_layer(self) -> ChannelsSpec:
        if self.show != "maps" and self.layer is None:
            raise ValueError(f"{self.show} are of one layer; give its name as 'layer'")
        return self

    @property
    def needs(self) -> Insights:
        """The request for everything that this view needs beyond one forward pass."""
        chosen = () if self.layer is None else (self.layer,)
        return Insights(
            gradients=self.order == "contribution",
            features=chosen if self.show == "features" else (),
            examples=chosen if self.show == "examples" else (),
        )

    def cannot_show(self, capture: CaptureReader) -> str:
        """Return one sentence on a model whose layers of the kind have no maps, which pictures of channels replace."""
        wanted = () if self.layer is None or self.show == "maps" else matching(self.layer, capture.graph)
        if not wanted or any(_has_maps(capture, name) for name in wanted) or not self.lacks(capture):
            return ""
        return f"{wanted[-1]} has no maps (rows, columns, channels) to unfold."

    def lacks(self, capture: CaptureReader) -> str:
        """Return one sentence on a capture without such pictures of a layer that the view can unfold; else nothing."""
        if self.show == "maps" or self.layer is None:
            return ""
        has = {"features": has_features, "examples": has_examples}[self.show]
        held = [node.id for node in capture.graph if has(capture.stored, node.id) and _has_maps(capture, node.id)]
        wanted = matching(self.layer, capture.graph)
        if any(name in held for name in wanted) or (held and by_kind(self.layer)):
            return ""
        return _not_captured(capture, self.show, wanted[-1] if wanted else self.layer)


class ChannelsView(View):
    """The unfolded channels of one layer.

    Parameters
    ----------
    spec
        Settings of the scene file; `None` if a layer unfolds only when it is selected.
    """

    spec_class = ChannelsSpec
    always = True
    blocks: FillsBlocks | None = None

    def __init__(self, spec: ChannelsSpec | None, context: SceneContext, timeline: Timeline) -> None:
        self._context = context
        self._spec = None if spec is None else spec.model_copy(update={"layer": _named(spec, context)})
        moves = () if spec is None else (spec.unfold, spec.fold)
        self.duration = max((move.start + move.duration for move in moves if move is not None), default=0.0)
        self._sheet: tuple[object, ChannelSheet] | None = None
        self._kept: dict[tuple[object, float], tuple[Primitive, ...]] = {}
        self._receded: dict[int, tuple[Primitive, float, Primitive]] = {}

    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the tiles at `t`; nothing while they are stacked."""
        layer, share = self.unfolded(t, selection)
        if layer is None or share <= 0:
            return ()
        sheet = self._prepared(layer, selection)
        key = (sheet, share)
        if key not in self._kept:
            # The cache holds one moment of the animation, beside its end.
            self._kept = {(s, end): tiles for (s, end), tiles in self._kept.items() if s is sheet and end >= 1}
            self._kept[key] = self._tiles(layer, share, sheet)
        return self._kept[key]

    def pick(self, hit: Hit, selection: Selection) -> Pick | None:
        """Return the cell of a tile's pixel, or the strongest one of its channel if the tiles show no maps."""
        source = hit.primitive.source
        if not isinstance(hit, TileHit) or source is None or source.layer is None:
            return None
        return pick_on_tile(self._context, source.layer, hit, selection.sample)

    def mark(self, pick: Pick, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return frames around the tile of a picked number and its pixel, and the callout, once the tiles are spread."""
        layer, share = self.unfolded(t, selection)
        if not isinstance(pick, CellPick) or pick.layer != layer or share < 1:
            return ()
        grid, facts = self._context.placement(layer).grid, describe_cell(self._context, pick, selection)
        if facts is None or len(pick.index) < len(grid.shape):
            return ()
        tiles = next(found for found in self.at(t, selection) if isinstance(found, Tiles))
        row, column = grid.location(pick.index)
        at = channel_axis(grid.axes)
        numbers = np.flatnonzero(tiles.channels == (0 if at is None else pick.index[at]))
        if not len(numbers):
            return ()
        corner = tiles.origins[numbers[0]].astype(np.float64)
        right, up = np.array(tiles.right) * tiles.size[0], np.array(tiles.up) * tiles.size[1]
        framed = [(corner, right, up)]
        if tiles.maps:
            rows, columns = tiles.pixels.shape[1:3]
            pixel = corner + right * (column / columns) + up * (1 - (row + 1) / rows)
            framed.append((pixel, right / columns, up / rows))
        ends = np.array([corner, corner + right, corner + up, corner + right + up])
        box = Span(vector(ends.min(axis=0)), vector(np.ptp(ends, axis=0)))
        return (rectangles(framed), callout([box], facts))

    @property
    def own_layer(self) -> str | None:
        """The layer that the scene unfolds by itself; `None` if a layer unfolds only when it is selected."""
        return None if self._spec is None else self._spec.layer

    def unfolded(self, t: float, selection: Selection) -> tuple[str | None, float]:
        """Return the unfolded layer at `t` seconds, and the finished share of the unfolding, from 0 to 1."""
        if selection.unfold is not None and unfolds(self._context, selection.unfold):
            return selection.unfold, selection.unfolded
        if self._spec is None:
            return None, 0.0
        share = self._spec.unfold.share(t)
        if self._spec.fold is not None:
            share = min(share, 1 - self._spec.fold.share(t))
        return self._spec.layer, share

    def recede(self, found: Iterable[Primitive], t: float, selection: Selection) -> list[Primitive]:
        """Dim the other primitives while a layer is unfolded; unchanged primitives stay the same objects."""
        layer, share = self.unfolded(t, selection)
        primitives = list(found)
        if layer is None or share <= 0:
            self._receded = {}
            return primitives
        seen = 1 - (1 - _RECEDED) * eased(min(1.0, 1.6 * share))
        before, self._receded = self._receded, {}
        kept: list[Primitive] = []
        for primitive in primitives:
            if isinstance(primitive, Labels | Points):
                continue
            old = before.get(id(primitive))
            fainter = old[2] if old is not None and old[:2] == (primitive, seen) else _fainter(primitive, seen)
            self._receded[id(primitive)] = (primitive, seen, fainter)
            kept.append(fainter)
        return kept

    def _tiles(self, layer: str, share: float, sheet: ChannelSheet) -> tuple[Primitive, ...]:
        places = unfolding(sheet.stacked, sheet.spread, share)
        found: list[Primitive] = [
            Tiles(
                layer,
                sheet.pixels,
                places.corners.astype(np.float32),
                (float(places.size[0]), float(places.size[1])),
                sheet.channels,
                min(1.0, 0.3 + 4 * share),
                sheet.maps,
                vector(places.right),
                vector(places.up),
                Source("channels", layer),
            ),
            Panel("channels", "bottom-left", sheet.rows),
        ]
        if share >= 1:
            labels = (
                Label(vector(anchor), (name,), priority=30.0, emphasis=0.55, small=True, fixed=True)
                for anchor, name in zip(sheet.spread.below, sheet.names, strict=True)
            )
            found.append(Labels("channels", tuple(labels)))
        return tuple(found)

    def order(self, layer: str, selection: Selection) -> ChannelOrder:
        """Return the order of a layer's channels: the selected one, or else that of the scene file."""
        default: ChannelOrder = self._spec.order if self._spec is not None and self._spec.layer == layer else "mean"
        return selection.channel_order if selection.channel_order in self.orders(selection) else default

    def orders(self, selection: Selection) -> tuple[ChannelOrder, ...]:
        """Return the possible orders of channels; contributions need gradients."""
        return ("index", "mean", "contribution") if self._context.has_gradients(selection) else ("index", "mean")

    def pictures(self, layer: str, selection: Selection) -> ChannelPictures:
        """Return the content of a layer's tiles: as selected, or else as in the scene file; maps without other pictures."""
        shown = self._wanted(selection)
        return shown if shown in self.kinds_of_pictures(layer) else "maps"

    def lacking(self, layer: str, selection: Selection) -> str:
        """Say that a layer has not the chosen pictures, and which layers have them; empty if it has them."""
        wanted = self._wanted(selection)
        if wanted in self.kinds_of_pictures(layer):
            return ""
        return f"{self.elsewhere(layer).get(wanted, f'no {wanted} were captured')}; these are its maps"

    def elsewhere(self, layer: str) -> dict[ChannelPictures, str]:
        """Return the pictures that other layers have but not this one, and a sentence for each that names these layers."""
        found: dict[ChannelPictures, str] = {}
        for kind in (kind for kind in CAPTURED if kind not in self.kinds_of_pictures(layer)):
            held = [node.id for node in self._context.graph if kind in self.kinds_of_pictures(node.id)]
            held = [name for name in held if unfolds(self._context, name)]
            if held:
                found[kind] = f"{kind} were captured for {', '.join(held)}, not for {layer}"
        return found

    def _wanted(self, selection: Selection) -> ChannelPictures:
        return selection.channel_pictures or ("maps" if self._spec is None else self._spec.show)

    def kinds_of_pictures(self, layer: str) -> tuple[ChannelPictures, ...]:
        """Return what a layer's tiles can show."""
        stored = self._context.capture.stored
        return ("maps", *(name for name, (_, held) in CAPTURED.items() if held(stored, layer)))

    def _prepared(self, layer: str, selection: Selection) -> ChannelSheet:
        order, pictures = self.order(layer, selection), self.pictures(layer, selection)
        look = selection.quantity, selection.against, selection.normalize, selection.colormap
        lacking = self.lacking(layer, selection)
        key = (layer, order, pictures, lacking, selection.sample, selection.target, look)
        if self._sheet is None or self._sheet[0] != key:
            sheet = sheet_of(self._context, layer, order, pictures, selection, self.blocks)
            self._sheet = (key, replace(sheet, rows=(*sheet.rows, TextRow(lacking))) if lacking else sheet)
        return self._sheet[1]


def _named(spec: ChannelsSpec, context: SceneContext) -> str:
    """Return the layer that a scene unfolds; it must have the maps or other pictures that the scene shows."""
    can = [node.id for node in context.graph if unfolds(context, node.id)]
    if not can:
        raise SceneError(f"kind: no layer of {context.graph.name} has maps (rows, columns, channels) to unfold.")
    wanted = can[-1:] if spec.layer is None else matching(spec.layer, context.graph)
    if spec.show != "maps":
        _, has = CAPTURED[spec.show]
        held = [name for name in can if has(context.capture.stored, name)]
        chosen = [name for name in wanted if name in held]
        if chosen:
            return chosen[-1]
        if held and spec.layer is not None and by_kind(spec.layer):
            return held[-1]
    if not wanted and spec.layer is not None:
        listed = f"those with channels to unfold are {', '.join(can)}"
        fault = f"there is no layer {spec.layer!r}"
        raise SceneError(f"layer: {lacks(spec.layer, context.graph) if by_kind(spec.layer) else fault}; {listed}.")
    layer = next((name for name in reversed(wanted) if name in can), None)
    if layer is None:
        raise SceneError(f"layer: {wanted[-1]} has no maps (rows, columns, channels) to unfold; {', '.join(can)} have.")
    if spec.show != "maps":
        raise SceneError(f"show: {_not_captured(context.capture, spec.show, layer)}")
    return layer


def unfolds(context: SceneContext, layer: str) -> bool:
    """Whether a layer has maps that can be unfolded."""
    placement = context.plan.placements.get(layer)
    return placement is not None and len(placement.grid.shape) == 3 and context.capture.has_activations(layer)


def _has_maps(capture: CaptureReader, layer: str) -> bool:
    return len(capture.graph.node(layer).shape) == 3


def _not_captured(capture: CaptureReader, show: ChannelPictures, layer: str) -> str:
    option, _ = CAPTURED[show]
    return f"{capture.path.name} holds no {show} of {layer}; capture the model with {option} {layer}."


def _fainter(primitive: Primitive, seen: float) -> Primitive:
    match primitive:
        case Voxels():
            return replace(primitive, emphasis=primitive.emphasis * seen)
        case Image() | Lines():
            return replace(primitive, opacity=primitive.opacity * seen)
        case Box():
            return replace(primitive, edge=primitive.edge * seen, fill=primitive.fill * seen)
    return primitive
