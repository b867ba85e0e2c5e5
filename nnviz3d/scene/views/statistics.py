"""How each layer's numbers are spread: a histogram of small cubes that stands on its block, and its figures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.statistics import BINS, LayerStatistics, layer_statistics
from nnviz3d.scene.colors import INF_COLOR, NAN_COLOR, Colormap, number
from nnviz3d.scene.measures import measured_values
from nnviz3d.scene.primitives import KeyRow, Label, Labels, Panel, Primitive, Row, SwatchRow, TextRow, Voxels
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import SceneSpec
from nnviz3d.scene.stage import Stage
from nnviz3d.scene.view_specs import Statistics

LEVELS = 20
"""Cubes of the highest bar."""
_NARROWEST, _WIDEST = 1.0, 2.6
_LIFT = 0.12
"""World distance between a block and its histogram."""
_HEIGHT = 0.75
"""Share of the headroom that the histogram takes; its figures stand above it."""
_BARS = (0.60, 0.70, 0.86)


def histogram_of(name: str) -> str:
    """Return what a node's histogram is called among the blocks."""
    return f"{name} (histogram)"


class StatisticsView:
    """The histograms, their figures, and all figures of the chosen layer."""

    duration = 0.0

    def __init__(self, spec: Statistics, stage: Stage, scene: SceneSpec) -> None:
        self._stage = stage
        self._height = spec.headroom * _HEIGHT
        self._nodes = [node for node in stage.graph if stage.capture.has_activations(node.id)]
        self._measured: dict[str, LayerStatistics] = {}
        self._bars: dict[str, Voxels] = {}
        self._sample: int | None = None
        self._kept: tuple[tuple[int, str | None], tuple[Primitive, ...]] = ((-1, None), ())

    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the same histograms at all times."""
        key = (selection.sample, selection.layer)
        if self._kept[0] != key:
            self._measure(selection.sample)
            self._kept = (key, (*self._bars.values(), self._figures(selection), *self._panels(selection)))
        return self._kept[1]

    def _measure(self, sample: int) -> None:
        if self._sample == sample:
            return
        self._sample = sample
        self._measured = {
            node.id: layer_statistics(self._stage.values(node.id, sample).values, node.activation)
            for node in self._nodes
        }
        self._bars = {name: self._histogram(name, found) for name, found in self._measured.items() if found.count}

    def _histogram(self, name: str, found: LayerStatistics) -> Voxels:
        place = self._stage.place(name)
        values = bars(found)
        width = min(max(place.size[0], _NARROWEST), _WIDEST, self._free(name))
        cell = (width / len(values), self._height / LEVELS, 0.06)
        low = (
            place.center[0] - width / 2,
            place.origin[1] + place.size[1] + _LIFT,
            place.origin[2] + place.size[2] / 2,
        )
        return Voxels(histogram_of(name), values, low, cell, _PLAIN, (0.0, 1.0), threshold=0.5)

    def _free(self, name: str) -> float:
        """Return how wide a histogram may be so that two of one row do not meet."""
        place = self._stage.place(name)
        others = (p for p in self._stage.plan.placements.values() if p.row == place.row and p.rank != place.rank)
        return 0.92 * min((abs(p.center[0] - place.center[0]) for p in others), default=_WIDEST)

    def _figures(self, selection: Selection) -> Labels:
        labels = []
        for name, found in self._measured.items():
            if not found.finite:
                continue
            block = self._bars[name]
            text = f"{number(found.mean)} ± {number(found.std)} · {found.zeros:.0%} zeros"
            seen = 0.8 if selection.layer in (None, name) else 0.35
            labels.append(Label(block.origin, (text,), "above", 1.5, seen, small=True, span=block.size))
        return Labels("statistics", tuple(labels))

    def _panels(self, selection: Selection) -> tuple[Panel, ...]:
        rows: list[Row] = [
            TextRow("mean ± std, and how many numbers are how large"),
            TextRow("from each layer's least number (left) to its greatest; height: log(1 + count)", "quiet"),
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
        values = self._stage.values(chosen.id, selection.sample).values
        figures = (KeyRow(name, text) for name, text in measured_values(chosen, values))
        return (Panel("statistics", "bottom-right", (TextRow(chosen.id), *figures, *rows[1:])),)


def bars(found: LayerStatistics) -> NDArray[np.float32]:
    """Stand a histogram up as cubes.

    Returns
    -------
    ``(bins, LEVELS, 1)``, 1 where there is a cube and 0 elsewhere. The highest bar has all levels, the others by
    ``log(1 + count)``, rounded up, so that a single number is seen. To the right, after a gap, stands a bar of NaN for
    the NaN among the numbers, and one of infinity for the infinite ones, as high as their counts by the same measure.
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
