"""View of attention: the scores of every layer as sheets above the network, one for each head, and their rollout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capabilities.attention import has_attention
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.request import Insights
from nnviz3d.errors import SceneError
from nnviz3d.scene.colors import DEFAULT_SEQUENTIAL, Colormap, colormap, repeated
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.attention_lines import attention_lines, keys_of
from nnviz3d.scene.derived.token_names import shortened, token_words, tokens_of
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
from nnviz3d.scene.layout.flow import GAP
from nnviz3d.scene.layout.routes import lead_up
from nnviz3d.scene.panel_rows import Row, ScaleRow, TextRow
from nnviz3d.scene.primitives import Box, Label, Labels, Lines, Panel, Primitive, Source, Voxels
from nnviz3d.scene.selection import Pick, Selection
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.view import View
from nnviz3d.scene.view_spec import Sequential, ViewSpec
from nnviz3d.scene.views.legends import own_scales
from nnviz3d.scene.views.marks import framed
from nnviz3d.scene.views.structure import FAMILIES

_NAMED_HEADS = 8
"""Greatest number of heads whose sheets say "head"; more of them say only their number."""
_MANY_LAYERS = 5
"""Number of layers from which on all their names are shown before the numbers of their heads."""
_STRONGEST = 2
"""Number of keys of each query to which lines lead."""
_FARTHEST = 3 * GAP
"""World distance of two sheets beyond which lines between their tokens would cross other blocks."""
_PICKED = (1.0, 0.93, 0.72)
"""Colour of the lines to the picked query."""


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
        """Return the part of each sheet that the forward pass has revealed; frames and names are always complete.

        The lines between tokens appear with the sheets of their layer.
        """
        if selection not in self._kept:
            self._kept = {selection: self._build(selection)}
        return tuple(self._revealed(p, t) for p in self._kept[selection])

    def _revealed(self, found: Primitive, t: float) -> Primitive:
        if isinstance(found, Voxels):
            share = self._timeline.revealed(self._ranks[found.name], t)
            return found if share >= 1 else replace(found, reveal=share)
        if isinstance(found, Lines) and found.source is not None and found.source.layer is not None:
            share = self._timeline.revealed(self._context.placement(found.source.layer).rank, t)
            return found if share >= 1 else replace(found, opacity=share)
        return found

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
        title = f"{whose}, query {pick.query}, key {pick.key}"
        return Facts(title, exact(scores[pick.query, pick.key]), more=self._tokens_of(pick, selection.sample, scores))

    def mark(self, pick: Pick, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return a frame around a score, if its sheet is shown, the callout, and its head's lines to the query."""
        if not isinstance(pick, ScorePick):
            return ()
        sheet = Sheet(pick.layer, pick.head)
        spans = [placed.span(pick) for placed in self._placed if placed.sheet == sheet]
        marks = framed(spans, self.describe(pick, selection))
        return (*marks, *self._of_query(pick, selection.sample)) if marks else ()

    def _tokens_of(self, pick: ScorePick, sample: int, scores: NDArray[np.float32]) -> tuple[str, ...]:
        """Return the sentence that names the tokens of a score's query and key; nothing if they have no tokens."""
        layer = chained(self._context)[0] if pick.layer is None else pick.layer
        source = keys_of(self._context, layer, scores.shape[1])
        if source is None or tokens_of(self._context, layer, sample) is None:
            return ()
        query, key = (token_words(self._context, *row, sample) for row in ((layer, pick.query), (source, pick.key)))
        return (f"query: {query}", f"key: {key}")

    def _of_query(self, pick: ScorePick, sample: int) -> list[Lines]:
        """Return the lines of one head from all keys to the picked query."""
        scores = None if pick.layer is None else sheet_scores(self._context, Sheet(pick.layer, pick.head), sample)
        if pick.layer is None or scores is None:
            return []
        only = np.full_like(scores, np.nan)
        only[pick.query] = scores[pick.query]
        lines = attention_lines(self._context, pick.layer, only, "pick/attention", _PICKED, width=2.6)
        return [] if lines is None else [lines]

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
        between = self._between(known, selection.layer)
        return (
            *sheets,
            self._lines(),
            *between,
            Labels("attention", (*self._names(), *self._words(selection.sample))),
            _legend(colors, list(tops.values()), self._missing(), bool(between)),
        )

    def _between(self, known: Mapping[Sheet, NDArray[np.float32]], chosen: str | None) -> list[Lines]:
        """Return the lines between the sheets of tokens of each layer: the mean of its heads."""
        heads: dict[str, list[NDArray[np.float32]]] = {}
        for sheet, scores in known.items():
            if sheet.layer is not None and chosen in (None, sheet.layer):
                heads.setdefault(sheet.layer, []).append(scores)
        found = (
            attention_lines(
                self._context,
                layer,
                np.mean(scores, axis=0),
                f"attention of {layer}",
                FAMILIES["attention"],
                strongest=_STRONGEST,
                farthest=_FARTHEST,
            )
            for layer, scores in heads.items()
        )
        return [lines for lines in found if lines is not None]

    def _words(self, sample: int) -> list[Label]:
        """Return the tokens of the queries at the left of the rollout's rows, and of a layer with a single sheet."""
        labels = []
        sheets = Counter(placed.sheet.layer for placed in self._placed)
        for placed in (placed for placed in self._placed if sheets[placed.sheet.layer] == 1):
            layer = chained(self._context)[0] if placed.sheet.layer is None else placed.sheet.layer
            x, y, z = placed.origin
            for i, word in enumerate(tokens_of(self._context, layer, sample) or ()):
                low = (x, y + (placed.shape[0] - 1 - i) * placed.cell, z)
                span = (0.0, placed.cell, placed.cell)
                labels.append(
                    Label(low, (shortened(word),), "left", 3.0, 0.7 if word else 0.3, small=True, fixed=True, span=span)
                )
        return labels

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
        labels, many = [], len({placed.sheet.layer for placed in self._placed}) > _MANY_LAYERS
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
                word = "head " if len(group) <= _NAMED_HEADS else ""
                labels += [
                    Label(
                        placed.origin, (f"{word}{placed.sheet.head}",), "above", 4.0, 0.8, small=True, span=placed.size
                    )
                    for placed in group
                    if len(group) > 1
                ]
            anchor = tuple(float(n) for n in low)
            labels.append(Label(anchor, lines, priority=8.0, brief=many, span=span))  # type: ignore[arg-type]
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


def _legend(colors: Colormap, tops: Sequence[float], missing: str, lines: bool) -> Panel:
    rows: list[Row] = []
    if tops:
        rows.append(TextRow(own_scales("attention", tops), "quiet"))
        rows.append(ScaleRow(colors, ((0.0, "0"), (0.5, "half"), (1.0, "end"))))
    what = "how much each query (row) attends to each key (column)"
    if lines:
        what = f"row: query, column: key; lines: each query's {_STRONGEST} strongest keys, mean of heads"
    rows.append(TextRow(what, "quiet"))
    if missing:
        rows.append(TextRow(f"no rollout: {missing}", "quiet"))
    return Panel("attention", "bottom-left", tuple(rows))


def _corners(placed: PlacedSheet) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    low = np.array(placed.origin)
    return low, low + np.array(placed.size)


def _bounds(group: Sequence[PlacedSheet]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    lows, highs = zip(*(_corners(placed) for placed in group), strict=True)
    return np.min(lows, axis=0), np.max(highs, axis=0)
