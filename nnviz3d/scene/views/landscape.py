"""View of the loss landscape: a lit surface over a plane through the weights, and the path of a training over it.

Li, Xu, Taylor, Studer, Goldstein 2018, "Visualizing the Loss Landscape of Neural Nets", arXiv:1712.09913.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capabilities.landscape import LANDSCAPE, LossLandscape, read_landscape
from nnviz3d.data.request import Insights
from nnviz3d.errors import SceneError
from nnviz3d.scene.colors import Colormap, colormap, number, repeated
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.facts import Facts, exact
from nnviz3d.scene.hits import Hit, PointHit, SurfaceHit
from nnviz3d.scene.layout.landscape import HEIGHT, WIDTH, LandscapeWorld, round_ticks
from nnviz3d.scene.panel_rows import Row, ScaleRow, TextRow
from nnviz3d.scene.primitives import (
    Label,
    Labels,
    Lines,
    Panel,
    Points,
    Primitive,
    Source,
    Span,
    Surface,
)
from nnviz3d.scene.selection import Pick, Selection
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.view import View
from nnviz3d.scene.view_spec import Reveal, Sequential, ViewSpec
from nnviz3d.scene.views.marks import framed

_NAMED_SETS = 3
"""Most data sets, or samples, that the legend names."""
_CONTOURS = 14
"""Contour lines, evenly spread over the height."""
_LIFT = 0.025
"""World distance of contour lines from the surface, so that they are not hidden by it."""
_TRAINED, _KEPT, _SHOWN = 17.0, 8.0, 20.0
"""Diameters in pixels of a 720 pixels high picture: of the trained weights, of kept weights, and of the shown step's."""
_MANY = 60
"""Kept weights up to which each has a ball."""
_LIGHT, _GRID, _CONTOUR, _AHEAD = (0.97, 0.98, 1.0), (0.62, 0.70, 0.80), (0.02, 0.03, 0.05), 0.28
"""Colours of the path, the frame and the contour lines; opacity of the path after the shown step."""
_WHICH = ("first", "second")
KIND = "landscape"


class LandscapeSpec(ViewSpec):
    """The loss of the model over a plane through its weights. It stands alone in its scene.

    Attributes
    ----------
    scale
        Whether heights and colours follow the loss or its logarithm; by default the logarithm if the losses are positive
        and the highest is more than 100 times the lowest.
    animate
        When the path of a training runs over the surface.
    """

    kind: Literal["landscape"]
    stands_alone: ClassVar[bool] = True
    scale: Literal["linear", "log"] | None = None
    colormap: Sequential = "viridis"
    animate: Reveal = Reveal(start=0.5, duration=8.0)

    @property
    def needs(self) -> Insights:
        """The request for everything that this view draws beyond one forward pass."""
        return Insights(landscape=True)


@dataclass(frozen=True)
class LossPick(Pick):
    """A grid point of the surface, by its row and column."""

    row: int
    column: int


@dataclass(frozen=True)
class KeptWeightsPick(Pick):
    """Weights that a training kept, by their step."""

    step: int


class LandscapeView(View):
    """The surface with its contour lines and axes, the trained weights, and the path of a recorded training.

    Attributes
    ----------
    landscape
        The landscape that is shown.
    extent
        ``(n, 3)`` world coordinates that a picture has to hold.
    angles
        Azimuth and elevation of the camera, in degrees.
    """

    spec_class = LandscapeSpec
    angles = (-32.0, 36.0)

    def __init__(self, spec: LandscapeSpec, context: SceneContext, timeline: Timeline) -> None:
        found = read_landscape(context.capture.stored)
        if found is None:
            raise SceneError(f"kind: {LANDSCAPE.missing(context.capture, spec.needs)}")
        self._spec, self.landscape = spec, found
        self._world = LandscapeWorld.of(found, spec.scale)
        animate = spec.animate
        self.duration = animate.start + animate.duration if len(found.steps) > 1 else 0.0
        self._maps: dict[str, tuple[Primitive, ...]] = {}
        self._walked: dict[int, tuple[Primitive, ...]] = {}
        self._contours = _contours(self._world)
        dark = repeated(_CONTOUR, 0.6, len(self._contours))
        lifted = self._contours + np.array([0, _LIFT, 0], np.float32)
        self._still = (*_axes(self._world, found), Lines("contours", lifted, dark, width=1.2))
        self.extent = self._world.extent

    def around(self, layer: str) -> NDArray[np.float64]:
        """Return nothing: no layer is shown."""
        return np.empty((0, 3))

    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the landscape; the path is bright up to the selected step, or else to the clock's."""
        chosen = colormap(selection.colormap or self._spec.colormap)
        colors = colormap(self._spec.colormap) if chosen.diverging else chosen
        if colors.name not in self._maps:
            surface, ground = _surface(self._world, colors), _contours_on_the_ground(self._contours, colors)
            self._maps = {colors.name: (surface, ground, _legend(self._world, self.landscape, colors))}
        now = self.moment(t, selection.step)
        if now not in self._walked:
            # The end is kept too: that is where the clock rests, and nothing is uploaded again.
            last = len(self.landscape.steps) - 1
            self._walked = {index: found for index, found in self._walked.items() if index == last}
            self._walked[now] = self._path(now)
        return (*self._maps[colors.name], *self._still, *self._walked[now])

    def moment(self, t: float, step: int | None) -> int:
        """Return which of the kept weights are shown, 0 to S - 1: those of a step, or else those of a time."""
        last = max(len(self.landscape.steps) - 1, 0)
        if step is not None and last:
            return max(int(np.searchsorted(self.landscape.steps, step, side="right")) - 1, 0)
        return min(int(self._spec.animate.share(t) * (last + 1)), last)

    def _path(self, now: int) -> tuple[Primitive, ...]:
        found, world = self.landscape, self._world
        center = world.on_surface(np.zeros((1, 2)))
        trained = _balls("trained weights", center, _TRAINED, Source(KIND))
        if not len(found.steps):
            words = ("trained weights", f"loss {number(float(found.center))}")
            return trained, Labels("trained weights", (_label(center[0], words),))
        points = world.on_surface(found.path)
        balls = np.arange(len(points)) if len(points) <= _MANY else np.array([0, len(points) - 1])
        words = (f"step {found.steps[now]:,}", f"loss {number(float(found.path_losses[now]))}")
        parts = (("path", found.path[: now + 1], 0.95), ("path after the step", found.path[now:], _AHEAD))
        return (
            *(_polyline(name, world.way(part), opacity) for name, part, opacity in parts if len(part) > 1),
            trained,
            _balls("kept weights", points[balls], _KEPT, _PathSource(KIND, steps=tuple(map(int, found.steps[balls])))),
            _balls("shown step", points[[now]], _SHOWN, _PathSource(KIND, steps=(int(found.steps[now]),))),
            Labels("shown step", (_label(points[now], words, "below"),)),
        )

    def pick(self, hit: Hit, selection: Selection) -> Pick | None:
        """Return the grid point or the kept weights that were hit."""
        if isinstance(hit, SurfaceHit):
            return LossPick(hit.row, hit.column)
        source = hit.primitive.source
        if isinstance(hit, PointHit) and isinstance(source, _PathSource):
            return KeptWeightsPick(source.steps[hit.number])
        return LossPick(*self.landscape.origin) if isinstance(hit, PointHit) else None

    def describe(self, pick: Pick, selection: Selection) -> Facts | None:
        """Return both coordinates and the exact loss."""
        found = self.landscape
        if isinstance(pick, LossPick) and pick.row < len(found.across) and pick.column < len(found.along):
            at = found.along[pick.column], found.across[pick.row]
            return Facts("loss on the plane", exact(found.values[pick.row, pick.column]), _coordinates(at))
        if isinstance(pick, KeptWeightsPick) and pick.step in found.steps:
            kept = int(np.searchsorted(found.steps, pick.step))
            off = ("distance from the plane", exact(found.distances[kept]))
            parts = (*_coordinates(found.path[kept]), off)
            return Facts(f"loss at step {pick.step:,}", exact(found.path_losses[kept]), parts)
        return None

    def mark(self, pick: Pick, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return a callout at a point of the surface or of the path."""
        facts, world, found = self.describe(pick, selection), self._world, self.landscape
        if facts is None:
            return ()
        if isinstance(pick, KeptWeightsPick):
            kept = int(np.searchsorted(found.steps, pick.step))
            where = world.on_surface(found.path[[kept]])[0]
        elif isinstance(pick, LossPick):
            where = np.array([world.along[pick.column], world.heights[pick.row, pick.column], world.across[pick.row]])
        side = 0.012 * WIDTH
        span = Span(tuple(float(n) - side / 2 for n in where), (side, side, side))  # type: ignore[arg-type]
        return framed((span,), facts) if np.isfinite(where).all() else ()


@dataclass(frozen=True)
class _PathSource(Source):
    """Balls of kept weights, by their steps."""

    steps: tuple[int, ...] = ()


def _coordinates(at: tuple[float, float] | NDArray[np.float64]) -> tuple[tuple[str, str], ...]:
    return tuple((f"{which} direction", exact(np.float64(x))) for which, x in zip(_WHICH, at, strict=True))


def _surface(world: LandscapeWorld, colors: Colormap) -> Surface:
    table = colors.at(np.nan_to_num(world.heights / HEIGHT))
    along, across, heights, paint = (a.astype(np.float32) for a in (world.along, world.across, world.heights, table))
    return Surface("loss", along, across, heights, paint, Source(KIND))


def _contours(world: LandscapeWorld) -> NDArray[np.float32]:
    """Return the pieces of the lines of equal loss at their heights, ``(n, 2, 3)``."""
    from contourpy import contour_generator

    generator = contour_generator(world.along, world.across, np.ma.masked_invalid(world.heights))
    pieces: list[NDArray[np.float64]] = [np.empty((0, 2, 3))]
    for height in np.linspace(0, HEIGHT, _CONTOURS + 2)[1:-1]:
        lines: Any = generator.lines(height)
        for line in lines:
            points = np.insert(line, 1, height, axis=1)
            pieces.append(np.stack([points[:-1], points[1:]], axis=1))
    return np.concatenate(pieces).astype(np.float32)


def _contours_on_the_ground(contours: NDArray[np.float32], colors: Colormap) -> Lines:
    """Draw the lines of equal loss on the ground, in their colours."""
    opacity = np.full((len(contours), 1), 0.7)
    paint = np.concatenate([colors.at(contours[:, 0, 1] / HEIGHT), opacity], axis=1).astype(np.float32)
    return Lines("contours on the ground", contours * np.array([1, 0, 1], np.float32), paint, width=1.4)


def _axes(world: LandscapeWorld, found: LossLandscape) -> tuple[Primitive, ...]:
    """Draw the ground with its axes, and the axis of the loss at the left edge."""
    left, right, back, front = (float(n) for n in (*world.along[[0, -1]], *world.across[[0, -1]]))
    corners = [(left, 0.0, back), (right, 0.0, back), (right, 0.0, front), (left, 0.0, front)]
    edges = [*zip(corners, [*corners[1:], corners[0]], strict=True), ((left, 0.0, back), (left, HEIGHT, back))]
    labels = []
    for k, axis in enumerate((found.along, found.across)):
        for tick in round_ticks(float(axis[0]), float(axis[-1])):
            at = (tick - world.middle[k]) * world.unit
            anchor = (at, 0.0, front) if k == 0 else (left, 0.0, at)
            labels.append(_label(anchor, (number(tick),), "below" if k == 0 else "left", 5.0, small=True))
    names = _directions(found)
    labels.append(_label(((left + right) / 2, -0.6, front), (names[0],), "below", 7.0))
    labels.append(_label((left - 0.9, 0.0, (back + front) / 2), (names[1],), "left", 7.0))
    for share, text in world.ticks:
        labels.append(_label((left, share * HEIGHT, back), (text,), "left", 6.0, small=True))
    lines = Lines("axes", np.array(edges, dtype=np.float32), repeated(_GRID, 0.45, len(edges)), width=1.0)
    return lines, Labels("axes", tuple(labels))


def _directions(found: LossLandscape) -> tuple[str, str]:
    if not len(found.shares):
        return "first random direction", "second random direction"
    first, second = (
        f"{which} principal direction, {share:.0%}" for which, share in zip(_WHICH, found.shares, strict=True)
    )
    return first, second


def _legend(world: LandscapeWorld, found: LossLandscape, colors: Colormap) -> Panel:
    how = "logarithm of the loss" if world.logarithmic else "loss"
    rows: list[Row] = [
        TextRow(f"{found.loss} on {found.count:,} samples{_of_which(found)}"),
        ScaleRow(colors, world.ticks),
        TextRow(f"height and colour: {how}; {_CONTOURS} contour lines, evenly spaced", "quiet"),
    ]
    if len(found.shares):
        rows.append(
            TextRow(f"path of {len(found.steps):,} kept weights, projected onto the plane, which holds", "quiet")
        )
        rows.append(TextRow(f"{found.shares.sum():.1%} of their squared distances from the final weights", "quiet"))
    else:
        rows.append(TextRow("directions scaled to the norm of each filter; 1 is that norm", "quiet"))
    holes = int((~np.isfinite(found.values)).sum())
    if holes:
        rows.append(TextRow(f"{holes:,} of {found.values.size:,} grid points are not finite: holes", "quiet"))
    return Panel("landscape", "bottom-right", tuple(rows))


def _of_which(found: LossLandscape) -> str:
    """Return the data set in words; nothing if it is a long list of samples."""
    return f" of {found.dataset}" if found.dataset.count(", ") < _NAMED_SETS else ""


def _label(
    at: Iterable[float],
    words: tuple[str, ...],
    align: Literal["below", "above", "right", "left"] = "above",
    priority: float = 9.0,
    *,
    small: bool = False,
) -> Label:
    x, y, z = (float(n) for n in at)
    return Label((x, y, z), words, align, priority, small=small)


def _balls(name: str, points: NDArray[np.float64], size: float, source: Source) -> Points:
    count = len(points)
    sizes = np.full(count, size, dtype=np.float32)
    return Points(name, points.astype(np.float32), repeated(_LIGHT, 1.0, count), sizes, haze=0.0, source=source)


def _polyline(name: str, points: NDArray[np.float64], opacity: float) -> Lines:
    pairs = np.stack([points[:-1], points[1:]], axis=1).astype(np.float32)
    return Lines(name, pairs, repeated(_LIGHT, opacity, len(pairs)), width=2.4)
