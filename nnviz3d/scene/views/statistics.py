"""View of each layer's histogram, made of small cubes above its block, with mean, standard deviation and zeros."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.statistics import BINS, LayerStatistics, layer_statistics
from nnviz3d.scene.colors import INF_COLOR, NAN_COLOR, Colormap, number
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.layer_figures import measured_values
from nnviz3d.scene.hits import Hit
from nnviz3d.scene.layout.plan import Placement
from nnviz3d.scene.layout.routes import lead_up
from nnviz3d.scene.panel_rows import KeyRow, Row, SwatchRow, TextRow
from nnviz3d.scene.primitives import Label, Labels, Lines, Panel, Primitive, Source, Voxels
from nnviz3d.scene.selection import LayerPick, Pick, Selection
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.view import View
from nnviz3d.scene.view_spec import ViewSpec
from nnviz3d.scene.views.structure import FAMILIES, family_of

LEVELS = 20
"""Number of cubes of the highest bar."""
_NARROWEST, _WIDEST = 1.0, 3.2
"""Minimum and maximum world width of a histogram with its margins."""
_FILLED = 0.84
"""Share of this width that the bars take."""
_INSIDE = 0.2
"""Minimum distance of a histogram's middle from the ends of the row, in widths of a histogram."""
_LIFT, _HEIGHT = 0.2, 0.62
"""Shares of the headroom: the gap above the tallest block, and the height of the histograms; figures are above."""
_BARS = (0.60, 0.70, 0.86)
_LINES = 0.55
"""Opacity of the ground lines, and of the lines between blocks and histograms."""


class StatisticsSpec(ViewSpec):
    """A histogram above each block whose numbers were captured, with their mean, standard deviation and zeros."""

    kind: Literal["statistics"]

    @property
    def headroom(self) -> float:
        """World height that the histograms and their figures take above each block."""
        return 3.0


class StatisticsView(View):
    """The histograms, their figures, and all figures of the selected layer."""

    spec_class = StatisticsSpec

    def __init__(self, spec: StatisticsSpec, context: SceneContext, timeline: Timeline) -> None:
        self._context = context
        self._timeline = timeline
        self._nodes = [node for node in context.graph if context.capture.has_activations(node.id)]
        self._measured: dict[str, LayerStatistics] = {}
        self._bars: dict[str, Voxels] = {}
        self._sample: int | None = None
        self._slots = _slots([context.placement(node.id) for node in self._nodes], spec.headroom)
        self._words: tuple[object, tuple[Primitive, ...]] = (None, ())
        self._panel: tuple[object, tuple[Primitive, ...]] = (None, ())

    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the part of each histogram that the forward pass has revealed; the same objects after its end."""
        self._measure(selection.sample)
        shares = {name: self._timeline.revealed(self._context.placement(name).rank, t) for name in self._bars}
        bars_ = (
            block if shares[name] >= 1 else replace(block, reveal=shares[name]) for name, block in self._bars.items()
        )
        complete = tuple(name for name, share in shares.items() if share >= 1)
        key = (selection.sample, selection.layer, complete)
        if self._words[0] != key:
            self._words = (key, (*self._lines(complete), self._figures(complete, selection)))
        if self._panel[0] != key[:2]:
            self._panel = (key[:2], self._panels(selection))
        return (*bars_, *self._words[1], *self._panel[1])

    def pick(self, hit: Hit, selection: Selection) -> Pick | None:
        """Return the layer of the hit histogram."""
        source = hit.primitive.source
        return None if source is None or source.layer is None else LayerPick(source.layer)

    def _measure(self, sample: int) -> None:
        if self._sample == sample:
            return
        self._sample = sample
        self._measured = {
            node.id: layer_statistics(self._context.values(node.id, sample).values, node.activation)
            for node in self._nodes
        }
        self._bars = {name: self._histogram(name, found) for name, found in self._measured.items() if found.count}

    def _histogram(self, name: str, found: LayerStatistics) -> Voxels:
        slot, values = self._slots[name], bars(found)
        cell = (slot.width / len(values), slot.height / LEVELS, 0.06)
        low = (slot.middle - slot.width / 2, slot.bottom, 0.0)
        source = Source("statistics", name)
        return Voxels(f"{name} (histogram)", values, low, cell, _PLAIN, (0.0, 1.0), threshold=0.5, source=source)

    def _lines(self, complete: Sequence[str]) -> tuple[Primitive, ...]:
        """Draw a ground line below each histogram, and a line to it from its block."""
        if not complete:
            return ()
        leads, grounds, colors = [], [], []
        for name in complete:
            slot, placement = self._slots[name], self._context.placement(name)
            half = slot.width / 2
            start = np.array([placement.center[0], placement.origin[1] + placement.size[1], placement.center[2]])
            leads.append(lead_up(start, np.array([slot.middle, slot.bottom, 0.0])))
            grounds.append([[slot.middle + side * half, slot.bottom, 0.0] for side in (-1, 1)])
            colors.append([*FAMILIES[family_of(self._context.graph.node(name))], _LINES])
        paint = np.array(colors, dtype=np.float32)
        return (
            Lines("statistics/leads", np.stack(leads), paint, width=1.2),
            Lines("statistics/grounds", np.array(grounds, dtype=np.float32), paint, width=1.6),
        )

    def _figures(self, complete: Sequence[str], selection: Selection) -> Labels:
        labels = []
        for name in complete:
            found, block = self._measured[name], self._bars[name]
            if not found.finite:
                continue
            single = found.count == 1
            spread = (f"{number(found.mean)} ± {number(found.std)}", f"{found.zeros:.0%} zeros")
            words = (number(found.mean),) if single else spread
            seen = 0.8 if selection.layer in (None, name) else 0.35
            labels.append(Label(block.origin, words, "above", 6.0, seen, small=True, span=block.size))
        return Labels("statistics", tuple(labels))

    def _panels(self, selection: Selection) -> tuple[Panel, ...]:
        rows: list[Row] = [
            TextRow("mean ± std and histogram of each layer"),
            TextRow("left: minimum of the layer, right: its maximum; height: log(1 + count)", "quiet"),
        ]
        broken = self._measured.values()
        swatches = (
            (NAN_COLOR, sum(found.nan for found in broken), "NaN"),
            (INF_COLOR, sum(found.infinite for found in broken), "infinite"),
        )
        rows += [SwatchRow(((color, f"{count:,} {what}"),)) for color, count, what in swatches if count]
        chosen = next((node for node in self._nodes if node.id == selection.layer), None)
        if chosen is None:
            return (Panel("statistics", "bottom-right", tuple(rows)),)
        values = self._context.values(chosen.id, selection.sample).values
        figures = (KeyRow(name, text) for name, text in measured_values(chosen, values))
        return (Panel("statistics", "bottom-right", (TextRow(chosen.id), *figures, *rows[1:])),)


@dataclass(frozen=True)
class _Slot:
    """The position of a histogram: world coordinates of the middle of its lower edge, and its size."""

    middle: float
    bottom: float
    width: float
    height: float


def _slots(placements: Sequence[Placement], headroom: float) -> dict[str, _Slot]:
    """Lay out the histograms above each row of blocks: of equal size, without overlap, each near its block."""
    found = {}
    for line in {(placement.row, placement.lane): None for placement in placements}:
        blocks = sorted((p for p in placements if (p.row, p.lane) == line), key=lambda p: p.center[0])
        left, right = blocks[0].origin[0], max(p.origin[0] + p.size[0] for p in blocks)
        pitch = min(max((right - left) / len(blocks), _NARROWEST), _WIDEST)
        steps = pitch * np.arange(len(blocks))
        # The mean of two solutions: overlapping histograms are moved to the right, or to the left.
        wanted = np.array([p.center[0] for p in blocks]) - steps
        apart = (np.maximum.accumulate(wanted) + np.minimum.accumulate(wanted[::-1])[::-1]) / 2
        low, high = left + _INSIDE * pitch, right - _INSIDE * pitch - steps[-1]
        middles = np.clip(apart, min(low, high), max(low, high)) + steps
        bottom = max(p.origin[1] + p.size[1] for p in blocks) + _LIFT * headroom
        for placement, middle in zip(blocks, middles, strict=True):
            found[placement.node] = _Slot(float(middle), bottom, _FILLED * pitch, _HEIGHT * headroom)
    return found


def bars(found: LayerStatistics) -> NDArray[np.float32]:
    """Convert a histogram to cubes.

    Returns
    -------
    ``(bins, LEVELS, 1)``, 1 for a cube and 0 for none. The highest bar has all levels; the heights follow
    ``log(1 + count)``, rounded up, so that a single number is visible. To the right, after a gap, a bar of NaN shows the
    count of NaN, and a bar of infinity the count of infinite numbers, both with the same measure of height.
    """
    counts = found.counts if len(found.counts) else np.zeros(BINS, dtype=np.int64)
    extra = [(count, what) for count, what in ((found.nan, np.nan), (found.infinite, np.inf)) if count]
    most = max(int(counts.max()), *(count for count, _ in extra), 1)
    columns = [(int(count), 1.0) for count in counts]
    for count, what in extra:
        columns += [(0, 1.0), (count, what), (count, what)]
    grid = np.zeros((len(columns), LEVELS, 1), dtype=np.float32)
    for i, (count, what) in enumerate(columns):
        grid[i, : int(np.ceil(LEVELS * np.log1p(count) / np.log1p(most) - 1e-9))] = what
    return grid


def _plain() -> Colormap:
    table = np.tile(np.round(np.array(_BARS) * 255).astype(np.uint8), (256, 1))
    table.flags.writeable = False
    return Colormap("plain", table, diverging=False)


_PLAIN = _plain()
