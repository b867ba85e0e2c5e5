"""View of attention: the scores of every layer as sheets above the network, one for each head, and their rollout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capabilities.attention import has_attention
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.request import Insights
from nnviz3d.errors import SceneError
from nnviz3d.scene.colors import DEFAULT_SEQUENTIAL, Colormap, colormap, number, repeated
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.facts import Facts, exact
from nnviz3d.scene.hits import CellHit, Hit
from nnviz3d.scene.layout.attention import (
    PlacedSheet,
    ScorePick,
    Sheet,
    chained,
    place_sheets,
    sheet_scores,
    why_no_rollout,
)
from nnviz3d.scene.layout.routes import lead_up
from nnviz3d.scene.panel_rows import Row, ScaleRow, TextRow
from nnviz3d.scene.primitives import Box, Label, Labels, Lines, Panel, Primitive, Source, Voxels
from nnviz3d.scene.selection import Pick, Selection
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.view import View
from nnviz3d.scene.view_spec import Sequential, ViewSpec
from nnviz3d.scene.views.marks import framed
from nnviz3d.scene.views.structure import FAMILIES


@dataclass(frozen=True)
class SheetSource(Source):
    """The sheet of one head of a layer, or of the rollout if `layer` is `None`."""

    head: int = 0


class AttentionSpec(ViewSpec):
    """The scores of every attention layer above the network: one sheet for each head, queries down, keys to the right.

    Attributes
    ----------
    rollout
        Whether a further sheet shows the rollout through all layers of self-attention.
    """

    kind: Literal["attention"]
    colormap: Sequential = DEFAULT_SEQUENTIAL
    rollout: bool = True

    @property
    def needs(self) -> Insights:
        """The request for everything that this view needs beyond one forward pass."""
        return Insights(attention=True)

    def own_layers(self, capture: CaptureReader) -> Iterable[str]:
        """Return the layers whose scores were captured."""
        return (node.id for node in capture.graph if has_attention(capture.stored, node.id))


class AttentionView(View):
    """The sheets, their names, and the lines to their layers.

    Attributes
    ----------
    extent_beside
        ``(n, 3)``: world coordinates that a picture has to contain beside the network.
    """

    spec_class = AttentionSpec

    def __init__(self, spec: AttentionSpec, context: SceneContext, timeline: Timeline) -> None:
        self._spec = spec
        self._context = context
        self._placed = place_sheets(context, with_rollout=spec.rollout)
        if not self._placed:
            raise SceneError(
                f"kind: {context.capture.path.name} holds no attention scores; capture the model with --attention, or "
                "choose a model that has attention layers."
            )
        self.extent_beside = np.array([corner for placed in self._placed for corner in _corners(placed)])
        self._timeline = timeline
        # Rollout needs the scores of all its layers.
        last = max((context.placement(name).rank for name in chained(context)), default=0)
        self._ranks = {
            placed.sheet.name: last if placed.sheet.layer is None else context.placement(placed.sheet.layer).rank
            for placed in self._placed
        }
        self._kept: dict[Selection, tuple[Primitive, ...]] = {}

    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the part of each sheet that the forward pass has revealed; frames and names are always complete."""
        if selection not in self._kept:
            self._kept = {selection: self._build(selection)}
        return tuple(self._revealed(p, t) if isinstance(p, Voxels) else p for p in self._kept[selection])

    def _revealed(self, block: Voxels, t: float) -> Voxels:
        share = self._timeline.revealed(self._ranks[block.name], t)
        return block if share >= 1 else replace(block, reveal=share)

    def pick(self, hit: Hit, selection: Selection) -> Pick | None:
        """Return the hit score."""
        source = hit.primitive.source
        if not isinstance(hit, CellHit) or not isinstance(source, SheetSource):
            return None
        sheet = Sheet(source.layer, source.head)
        return next((placed.pick(hit.cell) for placed in self._placed if placed.sheet == sheet), None)

    def describe(self, pick: Pick, selection: Selection) -> Facts | None:
        """Return a score with its query and its key; `None` if the sample has no such score."""
        if not isinstance(pick, ScorePick):
            return None
        scores = sheet_scores(self._context, Sheet(pick.layer, pick.head), selection.sample)
        if scores is None or pick.query >= scores.shape[0] or pick.key >= scores.shape[1]:
            return None
        whose = "rollout of attention" if pick.layer is None else f"{pick.layer}: attention head {pick.head}"
        return Facts(f"{whose}, query {pick.query}, key {pick.key}", exact(scores[pick.query, pick.key]))

    def mark(self, pick: Pick, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return a frame around a score, if its sheet is shown, and the callout."""
        if not isinstance(pick, ScorePick):
            return ()
        sheet = Sheet(pick.layer, pick.head)
        spans = [placed.span(pick) for placed in self._placed if placed.sheet == sheet]
        return framed(spans, self.describe(pick, selection))

    def _build(self, selection: Selection) -> tuple[Primitive, ...]:
        scores = {placed.sheet: sheet_scores(self._context, placed.sheet, selection.sample) for placed in self._placed}
        known = {sheet: found for sheet, found in scores.items() if found is not None}
        tops: dict[str | None, float] = {}
        for sheet, found in known.items():
            tops[sheet.layer] = max(tops.get(sheet.layer, 0.0), float(found.max()))
        chosen = colormap(selection.colormap or self._spec.colormap)
        colors = colormap(self._spec.colormap) if chosen.diverging else chosen
        sheets: list[Primitive] = []
        for placed in (placed for placed in self._placed if placed.sheet in known):
            seen = 1.0 if selection.layer in (None, placed.sheet.layer) else 0.3
            sheets.append(_voxels(placed, known[placed.sheet], colors, tops[placed.sheet.layer], seen))
            sheets.append(Box(placed.sheet.name, placed.origin, placed.size, FAMILIES["attention"], 0.3 * seen))
        return (
            *sheets,
            self._lines(),
            Labels("attention", tuple(self._names())),
            _legend(colors, list(tops.values()), self._missing()),
        )

    def _missing(self) -> str:
        """Return the reason why there is no rollout, if the scene asks for one."""
        return why_no_rollout(self._context) if self._spec.rollout else ""

    def _lines(self) -> Lines:
        """Return lines from each layer's block to the middle of its sheets."""
        points = []
        for layer, group in groupby(self._placed, key=lambda placed: placed.sheet.layer):
            if layer is None:
                continue
            low, high = _bounds(list(group))
            placement = self._context.placement(layer)
            start = np.array([placement.center[0], placement.origin[1] + placement.size[1], placement.center[2]])
            end = np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])
            points.append(lead_up(start, end))
        colors = repeated(FAMILIES["attention"], 0.8, len(points))
        return Lines("attention", np.stack(points), colors, width=1.8)

    def _names(self) -> list[Label]:
        labels = []
        for layer, placed_of_layer in groupby(self._placed, key=lambda placed: placed.sheet.layer):
            group = list(placed_of_layer)
            low, high = _bounds(group)
            span = tuple(float(n) for n in high - low)
            queries, keys = group[0].shape
            if layer is None:
                lines = ("rollout", f"through {_layers(len(chained(self._context)))} · {queries} × {keys}")
            else:
                heads = f"{len(group)} heads" if len(group) > 1 else "1 head"
                lines = (layer.split("/")[-1], f"{heads} · {queries} queries × {keys} keys")
                labels += [
                    Label(
                        placed.origin, (f"head {placed.sheet.head}",), "above", 4.0, 0.8, small=True, span=placed.size
                    )
                    for placed in group
                    if len(group) > 1
                ]
            labels.append(
                Label(tuple(float(n) for n in low), lines, priority=8.0, span=span)  # type: ignore[arg-type]
            )
        return labels


def _layers(count: int) -> str:
    return "1 layer" if count == 1 else f"{count} layers"


def _voxels(placed: PlacedSheet, scores: NDArray[np.float32], colors: Colormap, top: float, seen: float) -> Voxels:
    return Voxels(
        placed.sheet.name,
        scores[::-1].T[:, :, np.newaxis],
        placed.origin,
        (placed.cell, placed.cell, placed.cell),
        colors,
        (0.0, top or 1.0),
        emphasis=seen,
        source=SheetSource("attention", placed.sheet.layer, placed.sheet.head),
    )


def _legend(colors: Colormap, tops: Sequence[float], missing: str) -> Panel:
    rows: list[Row] = []
    if tops:
        span = number(min(tops)) if len(set(tops)) == 1 else f"{number(min(tops))} … {number(max(tops))}"
        rows.append(TextRow(f"attention; each layer's scale ends at m: {span}", "quiet"))
        rows.append(ScaleRow(colors, ((0.0, "0"), (0.5, "m/2"), (1.0, "m"))))
    rows.append(TextRow("how much each query (row) attends to each key (column)", "quiet"))
    if missing:
        rows.append(TextRow(f"no rollout: {missing}", "quiet"))
    return Panel("attention", "bottom-left", tuple(rows))


def _corners(placed: PlacedSheet) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    low = np.array(placed.origin)
    return low, low + np.array(placed.size)


def _bounds(group: Sequence[PlacedSheet]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    lows, highs = zip(*(_corners(placed) for placed in group), strict=True)
    return np.min(lows, axis=0), np.max(highs, axis=0)
