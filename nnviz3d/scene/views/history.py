"""View of one statistic over a training: a ridge for each layer, and the shown step as a bright line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.history import History
from nnviz3d.data.training import Training
from nnviz3d.scene.colors import INF_COLOR, NAN_COLOR, Colormap, colormap, number, repeated
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.facts import Facts, exact
from nnviz3d.scene.hits import Hit, RidgeHit
from nnviz3d.scene.layout.ridges import RidgeLayout, Scale, history
from nnviz3d.scene.panel_rows import Row, ScaleRow, SwatchRow, TextRow
from nnviz3d.scene.primitives import Label, Labels, Lines, Panel, Primitive, Ridges, Source, Span
from nnviz3d.scene.selection import Pick, Selection
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.view import View
from nnviz3d.scene.view_spec import Figure, Sequential, TrainingUse, ViewSpec
from nnviz3d.scene.views.marks import framed

WORDS = {
    "gradient_norm": "gradient norm",
    "weight_norm": "weight norm",
    "update_ratio": "update ratio",
    "mean": "mean activation",
    "std": "standard deviation of activations",
    "zeros": "share of zeros among activations",
    "saturated": "share of saturated activations",
    "dead": "share of dead units",
    "nonfinite_activations": "activations that are not finite",
    "nonfinite_gradients": "gradients that are not finite",
    "nonfinite_weights": "weights that are not finite",
    "nonfinite_before": "weights that were not finite before the step",
}
"""Display names of the recorded statistics."""

_NOW = (1.0, 0.98, 0.92)
_GRID = (0.62, 0.70, 0.80)
_DIMMED, _DIMMED_ALARM = 0.28, 0.6
"""Brightness of the ridges of layers that are not selected, and of their NaN and infinite numbers."""
_AHEAD = 0.4
"""Brightness of the part after the shown step."""
_BEFORE = 0.02
"""Distance of the bars of NaN and infinite numbers before their ridge, as a share of the distance between ridges."""
_NAN_HEIGHT = 0.4
"""Height of the bar of a NaN as a share of the scale's height; the bar of an infinite number has the full height."""
_NAMES = 0.085
"""Room for the layers' names, as a share of the ridges' width."""


@dataclass(frozen=True)
class HistoryPick(Pick):
    """A layer's statistic at a recorded step of a training.

    Attributes
    ----------
    statistic
        One of `nnviz3d.data.training.STATISTICS`.
    """

    layer: str
    statistic: str
    step: int


@dataclass(frozen=True)
class HistorySource(Source):
    """The ridges of one statistic."""

    statistic: str = ""


class HistorySpec(ViewSpec):
    """One statistic over the steps of a recorded training: a ridge for each layer, above the network.

    Attributes
    ----------
    statistic
        One of the statistics that are recorded for each layer at each step.
    scale
        Whether heights and colours follow the number or its logarithm; by default the logarithm for norms and ratios
        that span more than a decade.
    """

    kind: Literal["history"]
    training: ClassVar[TrainingUse] = "required"
    statistic: Figure = "gradient_norm"
    scale: Literal["linear", "log"] | None = None
    colormap: Sequential = "plasma"


class HistoryView(View):
    """The ridges of the selected statistic, or else of the scene's.

    Attributes
    ----------
    extent_beside
        ``(n, 3)``: world coordinates that a picture has to contain beside the network.
    """

    spec_class = HistorySpec

    def __init__(self, spec: HistorySpec, context: SceneContext, timeline: Timeline) -> None:
        self._spec = spec
        self._context = context
        self._timeline = timeline
        self.duration = self._timeline.duration
        self._figures: dict[str, _Figure] = {}
        self.extent_beside = self._figure(None).extent

    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the ridges, bright up to the selected or else the clock's step, and the line at this step."""
        return self._figure(selection.statistic).at(t, selection)

    def pick(self, hit: Hit, selection: Selection) -> Pick | None:
        """Return the number of a hit column: the first one that is not finite, or else the greatest one."""
        source = hit.primitive.source
        if not isinstance(hit, RidgeHit) or not isinstance(source, HistorySource):
            return None
        return self._figure(source.statistic).pick(hit)

    def describe(self, pick: Pick, selection: Selection) -> Facts | None:
        """Return a layer's statistic at a recorded step; `None` if it was not recorded."""
        training = self._context.capture.training
        if not isinstance(pick, HistoryPick) or training is None:
            return None
        if pick.layer not in training.layers or pick.step not in training.steps:
            return None
        index = training.recorded_index(pick.step)
        value = training.statistic(pick.statistic)[index, training.layers.index(pick.layer)]
        title = f"{pick.layer}: {WORDS[pick.statistic]} at step {pick.step:,}"
        return Facts(title, exact(value), more=(f"epoch {training.epochs[index] + 1}",))

    def mark(self, pick: Pick, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return a frame around a number, if its ridges are shown, and the callout."""
        return framed(self._figure(selection.statistic).spans_of(pick), self.describe(pick, selection))

    def _figure(self, statistic: str | None) -> _Figure:
        chosen = statistic or self._spec.statistic
        if chosen not in self._figures:
            self._figures[chosen] = _Figure(self._spec, chosen, self._context, self._timeline)
        return self._figures[chosen]


class _Figure:
    """The ridges of one statistic, their axes and their scale."""

    def __init__(self, spec: HistorySpec, statistic: str, context: SceneContext, timeline: Timeline) -> None:
        self._spec = spec
        self._statistic = statistic
        self._context = context
        self._timeline = timeline
        self._found = history(context, statistic)
        self.extent: NDArray[np.float64] = np.empty((0, 3))
        self._still: tuple[object, tuple[Primitive, ...]] = (None, ())
        self._moving: tuple[object, tuple[Primitive, ...]] = (None, ())
        if self._found is not None:
            self._scale = Scale.of(self._found, spec.scale if statistic == spec.statistic else None)
            self._layout = RidgeLayout.of(context, len(self._found.names))
            self._bare = _bare(self._found, self._scale, self._layout)
            self.extent = _with_names(self._layout.corners)

    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        training = self._context.capture.training
        if training is None or self._found is None:
            rows = (TextRow(WORDS[self._statistic]), TextRow("no step has been recorded yet", "quiet"))
            if self._still[0] != "nothing":
                self._still = ("nothing", (Panel("history", "bottom-right", rows),))
            return self._still[1]
        chosen = colormap(selection.colormap or self._spec.colormap)
        colors = colormap(self._spec.colormap) if chosen.diverging else chosen
        layer = selection.layer if selection.layer in self._found.names else None
        if self._still[0] != (layer, colors):
            words = self._words(self._found, layer)
            self._still = ((layer, colors), (self._grid(self._found), words, self._legend(self._found, colors)))
        index = self._timeline.recorded_index(training, t, selection.step)
        if self._moving[0] != (layer, colors, index):
            ridges = self._ridges(self._found, colors, layer, None if index is None else int(training.steps[index]))
            self._moving = ((layer, colors, index), (*ridges, *self._line(training, self._found, index)))
        return (*self._moving[1], *self._still[1])

    def pick(self, hit: RidgeHit) -> HistoryPick | None:
        found = self._found
        if found is None:
            return None
        return HistoryPick(found.names[hit.ridge], found.statistic, int(found.telling[hit.ridge, hit.column]))

    def spans_of(self, pick: Pick) -> tuple[Span, ...]:
        found, training = self._found, self._context.capture.training
        if not isinstance(pick, HistoryPick) or found is None or training is None or pick.statistic != found.statistic:
            return ()
        if pick.layer not in found.names or pick.step not in training.steps:
            return ()
        k = found.names.index(pick.layer)
        x, y, z = self._layout.foot(k)
        side = 0.02 * self._layout.height
        rise = float(self._tops(training, found, training.recorded_index(pick.step))[k])
        low = (x + float(self._layout.x(found, pick.step)) - side, y + rise - side, z)
        return (Span(low, (2 * side, 2 * side, 2 * side)),)

    def _tops(self, training: Training, found: History, index: int) -> NDArray[np.float64]:
        """Return the heights of the numbers of one recorded step, ``(n,)``; 0 for NaN and infinite numbers."""
        at = [training.layers.index(name) for name in found.names]
        values = training.statistic(found.statistic)[index, at].astype(np.float64)
        known = np.isfinite(values)
        return np.where(known, self._scale.share(np.where(known, values, self._scale.low)) * self._layout.height, 0.0)

    def _ridges(self, found: History, colors: Colormap, layer: str | None, step: int | None) -> list[Ridges]:
        """Colour the ridges; layers that are not selected are dark, and the part after the step is darker."""
        chosen = np.array([layer in (None, name) for name in found.names])[:, np.newaxis]
        come = np.ones(len(found.at), bool) if step is None else found.at <= max(found.at[found.column(step)], step)
        seen, alarming = (
            np.where(chosen, 1.0, dimmed) * np.where(come, 1.0, _AHEAD) for dimmed in (_DIMMED, _DIMMED_ALARM)
        )
        shares = np.stack([self._scale.share(found.low), self._scale.share(found.high)], axis=2)
        table = colors.at(np.nan_to_num(shares))
        odd = np.where(found.nan[:, :, np.newaxis], np.array(NAN_COLOR), np.array(INF_COLOR))[:, :, np.newaxis]
        painted = (table * seen[:, :, np.newaxis, np.newaxis], odd * alarming[:, :, np.newaxis, np.newaxis])
        return [
            replace(bare, colors=np.ascontiguousarray(np.broadcast_to(paint, table.shape), dtype=np.float32))
            for bare, paint in zip(self._bare, painted, strict=False)
        ]

    def _grid(self, found: History) -> Lines:
        """Draw the foot of each ridge, lines at the labelled steps, and the axis of the scale."""
        layout, feet = self._layout, self._layout.feet
        width, up = layout.right - layout.left, np.array([0.0, layout.height, 0.0])
        right = np.array([width, 0.0, 0.0])
        lines = [(foot, foot + right, 0.10) for foot in feet]
        for step in step_ticks(found.first, found.last):
            x = np.array([float(layout.x(found, step)), 0.0, 0.0])
            lines.append((feet[0] + x, feet[-1] + x, 0.16))
        lines.append((feet[0] + right, feet[0] + right + up, 0.5))
        points = np.array([[a, b] for a, b, _ in lines], dtype=np.float32)
        colors = np.array([[*_GRID, opacity] for *_, opacity in lines], dtype=np.float32)
        return Lines("history/grid", points, colors, width=1.0)

    def _words(self, found: History, layer: str | None) -> Labels:
        layout = self._layout
        labels, beside = [], min(0.25 * layout.height, 0.6 * layout.rise)
        for k, name in enumerate(found.names):
            chosen = layer == name
            faint = 0.85 if layer is None or chosen else 0.4
            short = self._context.graph.node(name).name
            x, y, z = layout.foot(k)
            labels.append(
                Label((x, y + beside, z), (short,), "left", 9.0 if chosen else 5.0 - k * 1e-3, faint, small=True)
            )
        x, y, z = layout.foot(0)
        for step in step_ticks(found.first, found.last):
            at = (x + float(layout.x(found, step)), y, z)
            labels.append(Label(at, (f"{step:,}",), "below", 6.0, 0.7, small=True))
        for tick in self._scale.ticks:
            rise = float(self._scale.share(np.array([tick]))[0]) * layout.height
            anchor = (x + layout.right - layout.left, y + rise, z)
            labels.append(Label(anchor, (number(tick),), "right", 6.5, 0.7, small=True))
        return Labels("history", tuple(labels))

    def _line(self, training: Training, found: History, index: int | None) -> tuple[Primitive, ...]:
        """Draw the line at a recorded step: along the ground, and up each ridge."""
        if index is None:
            return ()
        step = int(training.steps[index])
        x, tops = float(self._layout.x(found, step)), self._tops(training, found, index)
        low = self._layout.feet + np.array([x, 0.0, 0.06 * self._layout.recede])
        high = low + np.stack([np.zeros_like(tops), tops, np.zeros_like(tops)], axis=1)
        points = np.stack([low, high], axis=1).astype(np.float32)
        colors = repeated(_NOW, 0.95, len(points))
        top = low[-1] + np.array([0.0, float(tops[-1]), 0.0])
        label = Label(tuple(map(float, top)), (f"step {step:,}",), "above", 9.0, small=True)  # type: ignore[arg-type]
        ground = Lines("history/ground", low[np.newaxis].astype(np.float32), 0.55 * colors[:1], width=1.6)
        return Lines("history/now", points, colors, width=2.6), ground, Labels("history/now", (label,))

    def _legend(self, found: History, colors: Colormap) -> Panel:
        scale, what = self._scale, WORDS[found.statistic]
        ticks = tuple((float(scale.share(np.array([tick]))[0]), number(tick)) for tick in scale.ticks)
        rows: list[Row] = [
            TextRow(f"{what} of each layer, over the training"),
            ScaleRow(colors, ticks),
            TextRow(
                f"height and colour: {'logarithm, ' if scale.logarithmic else ''}one scale for all layers", "quiet"
            ),
            TextRow(recorded_words(found), "quiet"),
        ]
        if scale.floored:
            rows.append(TextRow(f"values below {number(scale.low)}, including zero, are drawn at the bottom", "quiet"))
        odd = ((NAN_COLOR, "NaN", found.nan), (INF_COLOR, "infinite", found.infinite))
        swatches = tuple((color, word) for color, word, where in odd if where.any())
        if swatches:
            rows.append(SwatchRow(swatches))
        return Panel("history", "bottom-right", tuple(rows))


def recorded_words(found: History) -> str:
    """Describe the shown steps and the columns."""
    steps = f"{found.recorded:,} recorded steps" if found.recorded != 1 else "1 recorded step"
    if found.reduced:
        return f"{steps} in {len(found.at):,} columns, least to greatest"
    usual = "" if found.recorded < 2 or found.usual == 1 else f", every {found.usual:,}"
    return f"{steps}{usual}"


def step_ticks(first: int, last: int, most: int = 6) -> Sequence[int]:
    """Return the labelled steps of the axis: round ones, and the first one."""
    if last <= first:
        return (first,)
    rough = (last - first) / most
    power = 10 ** int(np.floor(np.log10(max(rough, 1))))
    by = next(k * power for k in (1, 2, 5, 10) if k * power >= rough)
    inner = [step for step in range(-(-first // by) * by, last + 1, by) if step - first > by / 2]
    return (first, *inner)


def _bare(found: History, scale: Scale, layout: RidgeLayout) -> tuple[Ridges, ...]:
    """Return the ridges without colours: those of the numbers, and those of NaN and infinite numbers, if any."""
    source = HistorySource("history", None, found.statistic)
    feet, along = layout.feet, layout.x(found, found.at)
    bar = float(np.diff(along).min()) if len(along) > 1 else 0.02 * (layout.right - layout.left)
    shares = np.stack([scale.share(found.low), scale.share(found.high)], axis=2)
    ridges = _uncolored(f"history of {found.statistic}", source, feet, along, shares * layout.height, found.joined, bar)
    odd = found.nan | found.infinite
    if not odd.any():
        return (ridges,)
    tall = np.where(found.infinite, 1.0, _NAN_HEIGHT) * layout.height
    heights = np.where(odd[:, :, np.newaxis], np.stack([np.zeros_like(tall), tall], axis=2), np.nan)
    before = feet + np.array([0, 0, _BEFORE * layout.recede])
    name = f"history of {found.statistic} (not finite)"
    return ridges, _uncolored(name, source, before, along, heights, np.zeros_like(found.joined), bar)


def _uncolored(
    name: str,
    source: Source,
    feet: NDArray[np.float64],
    along: NDArray[np.float64],
    heights: NDArray[np.float64],
    joined: NDArray[np.bool_],
    bar: float,
) -> Ridges:
    feet_, along_, heights_ = (a.astype(np.float32) for a in (feet, along, heights))
    return Ridges(name, feet_, along_, heights_, np.zeros((*heights.shape, 3), np.float32), joined, bar, source)


def _with_names(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add room at both sides for text with a constant size on the screen."""
    wide = corners.copy()
    low, high = corners[:, 0].min(), corners[:, 0].max()
    wide[:, 0] += np.where(corners[:, 0] > low, 0.5, -1.0) * _NAMES * (high - low)
    return wide
