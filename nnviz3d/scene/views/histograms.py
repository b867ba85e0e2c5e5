"""View of the histograms of a layer over a training: a ridge for each step, the last step in front."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.selectors import matching
from nnviz3d.data.training_histograms import BINS, Histograms
from nnviz3d.scene.colors import Colormap, colormap, number, repeated
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.facts import Facts
from nnviz3d.scene.hits import Hit, RidgeHit
from nnviz3d.scene.layout.histograms import COLUMNS, HistogramRidges, histogram_ridges
from nnviz3d.scene.layout.ridges import RidgeLayout
from nnviz3d.scene.panel_rows import Row, TextRow
from nnviz3d.scene.primitives import Label, Labels, Lines, Panel, Primitive, Ridges, Source, Span
from nnviz3d.scene.selection import HistogramOf, Pick, Selection
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.view import View
from nnviz3d.scene.view_spec import Sequential, TrainingUse, ViewSpec
from nnviz3d.scene.views.marks import framed

WORDS = {"weights": "weights", "gradients": "gradients of the weights", "updates": "updates of the weights"}
"""Display names of the quantities."""
_NOT_RECORDED = "it holds no histograms; record the training again with this version's TrainingRecorder"
_GRID = (0.62, 0.70, 0.80)
_NOW = (1.0, 0.98, 0.92)
_AHEAD, _PAST = 0.22, 0.75
"""Brightness of the ridges after the shown step and before it."""
_FOOT = 0.12
"""Share of the colour map that is not used, so that the lowest parts are seen before the background."""
_NAMES = 0.085
"""Room for the steps, as a share of the ridges' width."""
_APART = 0.012
"""Distance of the steps from the ridges, likewise."""


@dataclass(frozen=True)
class HistogramPick(Pick):
    """A bin of a recorded histogram.

    Attributes
    ----------
    quantity
        One of `nnviz3d.data.training_histograms.QUANTITIES`.
    bin
        Index of the bin, 0 to BINS - 1.
    """

    layer: str
    quantity: str
    step: int
    bin: int


@dataclass(frozen=True)
class HistogramSource(Source):
    """The ridges of one quantity."""

    quantity: str = ""


class HistogramsSpec(ViewSpec):
    """Histograms of the weights, gradients or updates of a layer over a recorded training, above the network.

    Attributes
    ----------
    layer
        The layer, if none is selected; by default the first one with weights.
    of
        The quantity whose histograms are drawn.
    """

    kind: Literal["histograms"]
    training: ClassVar[TrainingUse] = "required"
    layer: str | None = None
    of: HistogramOf = "weights"
    colormap: Sequential = "plasma"

    def cannot_show(self, capture: CaptureReader) -> str:
        """Return that the training was recorded without histograms, if it was."""
        training = capture.training
        lacks = training is not None and len(training) and not training.histograms.entries
        return f"{capture.path.name} cannot show histograms: {_NOT_RECORDED}." if lacks else ""


class HistogramsView(View):
    """The ridges of the selected layer and quantity.

    Attributes
    ----------
    extent_beside
        ``(n, 3)``: world coordinates that a picture has to contain beside the network.
    """

    spec_class = HistogramsSpec

    def __init__(self, spec: HistogramsSpec, context: SceneContext, timeline: Timeline) -> None:
        self._spec = spec
        self._context = context
        self._timeline = timeline
        self.duration = self._timeline.duration
        self._kept: tuple[object, tuple[Primitive, ...]] = (None, ())
        self._layout = RidgeLayout.of(context, 12)
        self.extent_beside = _with_steps(self._layout.corners)

    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the ridges up to the selected or else the clock's step bright, the others dark."""
        training = self._context.capture.training
        layer, quantity = self._layer(selection), selection.histogram or self._spec.of
        index = None if training is None else self._timeline.recorded_index(training, t, selection.step)
        chosen = colormap(selection.colormap or self._spec.colormap)
        colors = colormap(self._spec.colormap) if chosen.diverging else chosen
        found = None if layer is None else self._ridges(layer, quantity)
        step = None if training is None or index is None else int(training.steps[index])
        now = None if found is None or step is None else found.number_of(step)
        key = (layer, quantity, colors, now, found)
        if self._kept[0] != key:
            self._kept = (key, self._drawn(layer, quantity, found, colors, now))
        return self._kept[1]

    def pick(self, hit: Hit, selection: Selection) -> Pick | None:
        """Return the bin of the step at a hit column; the nearest one if the column is outside of the step's bins."""
        source = hit.primitive.source
        if not isinstance(hit, RidgeHit) or not isinstance(source, HistogramSource) or source.layer is None:
            return None
        found, histograms = self._ridges(source.layer, source.quantity), self._histograms(source.layer, source.quantity)
        if found is None or histograms is None:
            return None
        low, high = histograms.limits[found.rows[hit.ridge]]
        share = (found.at[hit.column] - low) / (high - low) if high > low else 0.5
        bin_ = int(np.clip(share * BINS, 0, BINS - 1))
        return HistogramPick(source.layer, source.quantity, int(found.steps[hit.ridge]), bin_)

    def describe(self, pick: Pick, selection: Selection) -> Facts | None:
        """Return how many numbers a recorded bin holds."""
        if not isinstance(pick, HistogramPick):
            return None
        histograms, training = self._histograms(pick.layer, pick.quantity), self._context.capture.training
        if histograms is None or training is None or pick.step not in training.histograms.steps:
            return None
        row = int(np.searchsorted(training.histograms.steps, pick.step))
        counts, (low, high) = histograms.counts[row], histograms.limits[row]
        if not np.isfinite(low) or not 0 <= pick.bin < BINS:
            return None
        a, b = (low + (high - low) * (pick.bin + k) / BINS for k in (0, 1))
        outside = f"{counts[0]:,} below and {counts[-1]:,} above the bins" if counts[0] or counts[-1] else ""
        return Facts(
            f"{pick.layer}: {WORDS[pick.quantity]} at step {pick.step:,}",
            f"{counts[1 + pick.bin]:,} of {counts.sum():,}",
            more=tuple(filter(None, (f"from {number(a)} to {number(b)}", outside))),
        )

    def mark(self, pick: Pick, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return a frame around a bin, if its ridge is shown, and the callout."""
        return framed(self._spans(pick, selection), self.describe(pick, selection))

    def _spans(self, pick: Pick, selection: Selection) -> tuple[Span, ...]:
        quantity = selection.histogram or self._spec.of
        if not isinstance(pick, HistogramPick) or (pick.layer, pick.quantity) != (self._layer(selection), quantity):
            return ()
        found, histograms = self._ridges(pick.layer, quantity), self._histograms(pick.layer, quantity)
        if found is None or histograms is None or pick.step not in found.steps:
            return ()
        k = int(np.flatnonzero(found.steps == pick.step)[0])
        low, high = histograms.limits[found.rows[k]]
        at = low + (high - low) * (pick.bin + 0.5) / BINS
        share = (at - found.low) / (found.high - found.low)
        layout = self._sized(found)
        x, y, z = layout.foot(k)
        side = 0.02 * layout.height
        rise = float(found.shares[k, min(int(share * COLUMNS), COLUMNS - 1)]) * layout.height
        return (Span((x + share * self._width - side, y + rise - side, z), (2 * side, 2 * side, 2 * side)),)

    @property
    def _width(self) -> float:
        return self._layout.right - self._layout.left

    def _layer(self, selection: Selection) -> str | None:
        """Return the layer whose histograms are drawn."""
        training = self._context.capture.training
        if training is None:
            return None
        quantity = selection.histogram or self._spec.of
        own = () if self._spec.layer is None else matching(self._spec.layer, self._context.graph)
        wanted = (selection.layer, *own, *training.histograms.layers)
        return next((one for one in wanted if one is not None and self._histograms(one, quantity) is not None), None)

    def _histograms(self, layer: str, quantity: str) -> Histograms | None:
        training = self._context.capture.training
        if training is None:
            return None
        read = self._context.memo.get
        return read(training, ("histograms", layer, quantity), lambda: training.histograms.of(layer, quantity))

    def _ridges(self, layer: str, quantity: str) -> HistogramRidges | None:
        training, found = self._context.capture.training, self._histograms(layer, quantity)
        if training is None or found is None:
            return None
        key = ("histogram ridges", layer, quantity)
        return self._context.memo.get(training, key, lambda: histogram_ridges(training.histograms.steps, found))

    def _sized(self, found: HistogramRidges) -> RidgeLayout:
        """Return the layout for so many ridges within the extent of all layouts."""
        count = len(found.steps)
        base = self._layout
        whole = base.rise * (base.count - 1)
        deep = base.recede * (base.count - 1)
        by = max(count - 1, 1)
        return replace(base, rise=whole / by, recede=deep / by, count=count)

    def _drawn(
        self, layer: str | None, quantity: str, found: HistogramRidges | None, colors: Colormap, now: int | None
    ) -> tuple[Primitive, ...]:
        if layer is None or found is None:
            training = self._context.capture.training
            none = training is None or not len(training)
            words = "no step has been recorded yet" if none else f"no histograms of {WORDS[quantity]} are recorded"
            return (Panel("histograms", "bottom-right", (TextRow("histograms"), TextRow(words, "quiet"))),)
        layout = self._sized(found)
        feet = layout.feet.astype(np.float32)
        along = ((np.arange(COLUMNS) + 0.5) / COLUMNS * self._width).astype(np.float32)
        heights = np.stack([np.zeros_like(found.shares), found.shares * layout.height], axis=2).astype(np.float32)
        shares = _FOOT + (1 - _FOOT) * np.stack([np.zeros_like(found.shares), found.shares], axis=2)
        numbers = np.arange(len(found.steps))
        past = np.ones(len(numbers), bool) if now is None else numbers >= now
        seen = np.where(past, np.where(numbers == now, 1.0, _PAST), _AHEAD)
        painted = (colors.at(shares) * seen[:, np.newaxis, np.newaxis, np.newaxis]).astype(np.float32)
        joined = np.ones((len(feet), COLUMNS - 1), bool)
        source = HistogramSource("histograms", layer, quantity)
        ridges = Ridges(
            f"histograms of {quantity}", feet, along, heights, painted, joined, float(self._width / COLUMNS), source
        )
        return (
            ridges,
            *self._line(found, layout, now),
            self._grid(found, layout),
            self._words(found, layout, now),
            _legend(layer, quantity, found),
        )

    def _line(self, found: HistogramRidges, layout: RidgeLayout, now: int | None) -> tuple[Primitive, ...]:
        """Draw the outline of the shown step's histogram."""
        if now is None:
            return ()
        x, y, z = layout.foot(now)
        along = x + (np.arange(COLUMNS) + 0.5) / COLUMNS * self._width
        rise = y + found.shares[now] * layout.height
        points = np.stack([along, rise, np.full(COLUMNS, z + 0.02 * layout.recede)], axis=1)
        return (Lines("histograms/now", points[np.newaxis].astype(np.float32), repeated(_NOW, 0.95, 1), width=1.8),)

    def _ticks(self, found: HistogramRidges) -> tuple[float, ...]:
        inner = (0.0,) if found.low < 0 < found.high else ()
        return (found.low, *inner, found.high)

    def _grid(self, found: HistogramRidges, layout: RidgeLayout) -> Lines:
        feet, right = layout.feet, np.array([self._width, 0.0, 0.0])
        lines = [(foot, foot + right, 0.12) for foot in feet]
        for tick in self._ticks(found):
            across = right * (tick - found.low) / (found.high - found.low)
            lines.append((feet[0] + across, feet[-1] + across, 0.3 if tick == 0 else 0.18))
        points = np.array([[a, b] for a, b, _ in lines], dtype=np.float32)
        return Lines("histograms/grid", points, np.array([[*_GRID, o] for *_, o in lines], dtype=np.float32), width=1.0)

    def _words(self, found: HistogramRidges, layout: RidgeLayout, now: int | None) -> Labels:
        labels = []
        for k, step in enumerate(found.steps.tolist()):
            x, y, z = layout.foot(k)
            shown = k == now
            ends = k in (0, len(found.steps) - 1)
            text = f"step {step:,}" if shown or ends else f"{step:,}"
            at = (x + (1 + _APART) * self._width, y, z)
            labels.append(
                Label(at, (text,), "right", 9.0 if shown else 7.0 if ends else 4.0, 0.95 if shown else 0.6, small=True)
            )
        x, y, z = layout.foot(0)
        for tick in self._ticks(found):
            # The last one is moved away from the last step's name.
            share = min((tick - found.low) / (found.high - found.low), 1 - _APART)
            labels.append(Label((x + share * self._width, y, z), (number(tick),), "below", 8.0, 0.75, small=True))
        return Labels("histograms", tuple(labels))


def _legend(layer: str, quantity: str, found: HistogramRidges) -> Panel:
    drawn = len(found.steps)
    steps = (
        f"{drawn:,} recorded steps" if drawn == found.recorded else f"{drawn:,} of {found.recorded:,} recorded steps"
    )
    rows: tuple[Row, ...] = (
        TextRow(f"{layer}: {WORDS[quantity]} over the training"),
        TextRow("across: value; height: how many numbers, each step scaled to its own highest bin", "quiet"),
        TextRow(f"{steps}, the last one in front", "quiet"),
    )
    return Panel("histograms", "bottom-right", rows)


def _with_steps(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add room at the right side for the steps, which have a constant size on the screen."""
    wide = corners.copy()
    low, high = corners[:, 0].min(), corners[:, 0].max()
    wide[corners[:, 0] > low, 0] += _NAMES * (high - low)
    return wide
