"""The point cloud of one embedding, in the colours of a column, with title and legend."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.embedding_quality import judged_after_reduction
from nnviz3d.analysis.reduction import REDUCED
from nnviz3d.data.capabilities.embeddings import METHOD_NAMES, Embedding
from nnviz3d.scene.colors import OTHERS, Color
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.projected_samples import ProjectedSample, thumbnail
from nnviz3d.scene.facts import Facts
from nnviz3d.scene.panel_rows import PictureRow, Row, TextRow
from nnviz3d.scene.primitives import Callout, Label, Labels, Panel, Points, Primitive, Source, Span
from nnviz3d.scene.selection import EVERY_POINT, ColoredBy, PointFilter, Selection
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.views.points.columns import CLASSES, LABEL, columns_of
from nnviz3d.scene.views.points.label_places import densest
from nnviz3d.scene.views.points.neighbours import share_of_variance
from nnviz3d.scene.views.points.painting import Painted, Painter
from nnviz3d.scene.views.points.samples import PointPick, answer_of, facts_of_point, facts_of_sample
from nnviz3d.scene.views.points.search import matching

_SIZE, _WRONG, _PLACED, _CHOSEN = 14.0, 25.0, 25.0, 34.0
"""Diameters in pixels of a 720 pixels high picture."""
_SMALL, _FAINT = 0.35, 0.6
"""Points that are not searched for: share of the usual size, and factor of their colours and opacity."""
_GATHERED = 0.6
"""A category of a table has its name in the picture if its points are spread less than this share of all points' spread."""
_MANY = 1500
"""Maximum number of points at full size; the points of larger clouds are smaller."""
_PICTURE = 1.5
"""Height of a sample's picture as a multiple of the usual distance between two points."""
_SEEN, _HIGHEST = 0.036, 0.15
"""Height of a picture as a share of the widest extent of the points: the least that is seen from afar, and the largest."""
_MEASURED = 200
"""Points from which the usual distance is measured."""
_MOST_BYTES = 2**25
"""Most bytes of the pictures of all points; of more none are shown among the points."""
RADIUS = 10.0
"""World radius of the cloud."""
_FLAT = 1e-5
"""Most share of the widest dimension that the points' extent in another one takes by rounding alone."""


@dataclass(frozen=True)
class SampleSource(Source):
    """The point of a projected sample, which was added to a finished embedding."""

    sample: int = 0


class Cloud:
    """One embedding, in the world.

    Parameters
    ----------
    placed
        Transformation to the world, and the snapshots in the world, ``(F, M, 3)``; by default the result of `fitted`.
    wrong
        Diameter of wrongly predicted points, in pixels of a 720 pixels high picture.

    Attributes
    ----------
    end
        ``(M, 3)``: final positions of the points.
    reach
        ``(n, 3)``: what a picture has to contain, the points and those of their pictures that are seen from afar.
    count
        Number of points, M.
    moves
        Whether the points move before.
    columns
        What is known of the samples, which can colour the points, by name.
    """

    def __init__(
        self,
        context: SceneContext,
        found: Embedding,
        placed: tuple[CoordinateFrame, NDArray[np.float32]] | None = None,
        *,
        wrong: float = _WRONG,
    ) -> None:
        self._context, self._found = context, found
        self._frame, self._way = fitted(found) if placed is None else placed
        self.moves = len(self._way) > 1
        self.end: NDArray[np.float32] = self._way[-1]  # always the same object, so that it is uploaded only once
        self.count = len(self.end)
        self.columns = columns_of(context, found)
        shrunk = min(1.0, (_MANY / len(self.end)) ** (1 / 3))
        classes = context.capture.classes
        self._painter = Painter(found, classes, self.columns, plain=_SIZE * shrunk, large=wrong * shrunk)
        self._pictures = found.thumbnails if 0 < found.thumbnails.nbytes <= _MOST_BYTES else None
        self._picture_size = 0.0 if self._pictures is None else _PICTURE * spacing_of(self.end)
        self.reach = _with_pictures(self.end, self._picture_size)
        self.title = self._titled()
        self._painted: dict[ColoredBy | None, Painted] = {}
        self._searched: dict[tuple[ColoredBy | None, PointFilter], Painted] = {}
        self._cores: tuple[Painted | None, dict[int, NDArray[np.int64]]] = (None, {})
        self._kept: tuple[object, tuple[Primitive, ...]] = (None, ())
        self._more: tuple[object, tuple[Primitive, ...]] = (None, ())

    def colored_by(self, wanted: ColoredBy) -> ColoredBy | None:
        """Return what colours the points: `wanted` if it is known, otherwise the first column."""
        return wanted if wanted in self.columns else next(iter(self.columns), None)

    def palette(self, by: ColoredBy | None) -> dict[str, Color]:
        """Return the colours of the most frequent categories of a column by their names."""
        painted = self.paint(by, EVERY_POINT)
        return {painted.titles[code]: color for code, color in painted.palette.items()}

    def moment(self, t: float, share: float, timeline: Timeline, selection: Selection) -> float:
        """Return the finished share of the points' way, from 0 to 1."""
        return share if self.moves else 1.0

    def at(self, share: float, color: ColoredBy, sample: int, wanted: PointFilter) -> tuple[Primitive, ...]:
        """Return the primitives at a share of the points' way; the same objects as before if nothing has changed.

        Parameters
        ----------
        wanted
            The points that are searched for; the others are small.
        sample
            The selected sample. All samples that were captured after the embedding are shown as projected samples.
        """
        by = self.colored_by(color)
        if self._kept[0] != (share, by, sample, wanted):
            painted = self.paint(by, wanted)
            points = self._points(share)
            if share >= 1 and self._more[0] != (by, sample):
                self._more = ((by, sample), tuple(self._placed(painted, sample)))
            more = self._more[1] if share >= 1 else ()
            kept = (self.balls(points, painted), self.names(points, painted), self.title, painted.legend, *more)
            self._kept = ((share, by, sample, wanted), kept)
        return self._kept[1]

    def marked(self, share: float, pick: PointPick, selected: int) -> tuple[Primitive, ...]:
        """Return brackets around a point, and the callout of its sample; nothing if the selected sample is the same.

        Such a sample has brackets and a callout, because it is selected.
        """
        if share >= 1 and self._tells_of(pick, selected):
            return ()
        if pick.placed:
            known = self._projected(pick.index)
            return () if share < 1 or known.point is None else (self._callout("pick", known),)
        return (self.callout(self._points(share), pick.index),)

    def balls(self, points: NDArray[np.float32], painted: Painted) -> Points:
        """Return the primitive of points at ``(M, 3)``."""
        return Points(
            self._found.name,
            points,
            painted.colors,
            painted.sizes,
            painted.rings,
            pictures=self._pictures,
            picture_size=self._picture_size,
            source=Source("embedding", self._found.name),
        )

    def callout(self, points: NDArray[np.float32], index: int) -> Callout:
        """Return the callout of a point."""
        picture = self._found.thumbnails[index] if len(self._found.thumbnails) else None
        facts = facts_of_point(self._context.capture, self._found, index, self.columns)
        return _callout("pick", points[index], facts, picture)

    def _tells_of(self, pick: PointPick, selected: int) -> bool:
        """Whether the picked sample is the selected one, which has a callout."""
        one = self._projected(selected)
        shown = one.point is not None and (one.index is None or selected in self._context.capture.added_samples)
        return shown and pick.index == (selected if pick.placed else one.index)

    def _projected(self, sample: int) -> ProjectedSample:
        return self._context.projected_sample(self._found, sample)

    def _placed(self, painted: Painted, selected: int) -> Iterable[Primitive]:
        """Yield the projected samples; the selected sample has its picture."""
        capture = self._context.capture
        later = capture.added_samples
        found = [self._projected(sample) for sample in dict.fromkeys((*later, selected))]
        # A sample that is one of the points is highlighted only if it was added later by the user.
        found = [one for one in found if one.index is None or one.sample in later]
        rows = [TextRow(one.problem) for one in found if one.sample == selected and one.problem]
        placed = [one for one in found if one.point is not None]
        for one in placed:
            size = _CHOSEN if one.sample == selected else _PLACED
            yield self._ball(one, painted, size)
            if one.sample == selected:
                yield self._callout("placed", one)
        if any(one.index is None for one in placed):
            rows.append(TextRow("white rings: projected samples; the other points do not move", "quiet"))
        if rows:
            yield Panel("placed", "bottom-right", tuple(rows))

    def _ball(self, one: ProjectedSample, painted: Painted, size: float) -> Points:
        capture = self._context.capture
        answer, label = answer_of(capture, one.sample), capture.label(one.sample)
        known = label if painted.by == LABEL and label is not None else None if answer is None else answer[0]
        # No column of a table has a line for it.
        color = painted.palette.get(known, OTHERS) if known is not None and painted.by in CLASSES else OTHERS
        return Points(
            f"placed:{one.sample}:{self._found.name}",
            self._frame.to_world(one.point)[np.newaxis],
            np.array([[*color, 1]], dtype=np.float32),
            np.array([size], dtype=np.float32),
            np.ones((1, 4), dtype=np.float32),
            source=SampleSource("embedding", self._found.name, one.sample),
        )

    def _callout(self, name: str, one: ProjectedSample) -> Callout:
        capture = self._context.capture
        picture = thumbnail(capture, self._found, one.sample)
        return _callout(name, self._frame.to_world(one.point), facts_of_sample(capture, one.sample), picture)

    def _points(self, share: float) -> NDArray[np.float32]:
        if share >= 1.0:
            return self.end
        at = share * (len(self._way) - 1)
        before = int(at)
        part = np.float32(at - before)
        return np.asarray(self._way[before] * (1 - part) + self._way[before + 1] * part)

    def paint(self, by: ColoredBy | None, wanted: PointFilter) -> Painted:
        """Return colours, sizes and legend of the points; those that are not wanted are small."""
        if by not in self._painted:
            self._painted[by] = self._painter.paint(by)
        painted = self._painted[by]
        if wanted.everything:
            return painted
        if (by, wanted) not in self._searched:  # only the last search is kept
            matched = matching(self._found, wanted, by, self.columns)
            self._searched = {(by, wanted): self._with_small(painted, matched, isolated=wanted.isolated)}
        return self._searched[by, wanted]

    @staticmethod
    def _with_small(painted: Painted, matched: NDArray[np.bool_], *, isolated: bool) -> Painted:
        # Small, because otherwise they would cover points that are searched for.
        # Fainter balls are mixed with the background, not blended with balls behind them, so isolated ones hide the others.
        faint = 0.0 if isolated else _FAINT
        sizes = np.where(matched, painted.sizes, painted.sizes.min() * _SMALL).astype(np.float32)
        colors = painted.colors * np.where(matched[:, np.newaxis], 1, faint).astype(np.float32)
        rings = None if painted.rings is None else painted.rings * matched[:, np.newaxis]
        others = "the others are hidden" if isolated else "the others are small"
        words = f"{int(matched.sum()):,} of {len(matched):,} samples searched for; {others}"
        legend = replace(painted.legend, rows=(*painted.legend.rows, TextRow(words)))
        return painted._replace(colors=colors, sizes=sizes, rings=rings, legend=legend)

    def names(self, points: NDArray[np.float32], painted: Painted) -> Labels:
        """Return a label for each coloured class, at the points that are densest at the end of the way.

        They are the same points along the whole way, so that a label does not jump from one cluster to another.
        """
        labels = []
        known = painted.by in CLASSES
        if self._cores[0] is not painted:
            self._cores = (painted, {})
        cores = self._cores[1]
        for k in painted.palette:
            members = np.flatnonzero((painted.codes == k) & (painted.colors[:, 3] > 0))
            if len(members) and (known or spread_of(points[members]) < _GATHERED * spread_of(points)):
                if k not in cores:
                    cores[k] = members[densest(self.end[members])]
                x, y, z = (float(v) for v in np.median(points[cores[k]], axis=0))
                labels.append(Label((x, y, z), (painted.titles[k],), "above", priority=float(len(members))))
        return Labels("classes", tuple(labels))

    def _titled(self) -> Panel:
        found, settings = self._found, self._found.settings
        count = len(found.points)
        words_ = [f"{count:,} samples, close together where the outputs of {found.name} are similar"]
        facts = [f"{METHOD_NAMES[found.method]} in {found.points.shape[1]} dimensions"]
        varying = _varying(found.points)
        if found.method == "pca" and varying < found.points.shape[1]:
            facts[0] += f", of which {varying} {'has' if varying == 1 else 'have'} variance"
        if "landmarks" in settings:
            facts[0] += f" of {int(str(settings['landmarks'])):,} samples, the others placed among them"
        if settings.get("engine") == "grid":
            facts.append("repulsion on a grid")
        if settings.get("neighbours") == "approximate":
            facts.append("approximate neighbours")
        if "near" in settings:
            facts.append(f"{settings['near']} neighbours")
        if "perplexity" in settings:
            facts.append(f"perplexity {float(str(settings['perplexity'])):.3g}")
        numbers = "channel means" if settings.get("pooled") else "numbers"
        facts.append(f"{int(str(settings['dimensions'])):,} {numbers} for each sample")
        facts.extend(_after_reduction(found))
        facts.append(f"seed {settings['seed']}")
        if settings.get("from_last"):
            facts.append("each step starts from the previous one and is rotated onto it, not scaled")
        return Panel("title", "top-left", (TextRow(" · ".join(words_)), TextRow(" · ".join(facts), "quiet")))


class CoordinateFrame(NamedTuple):
    """The transformation of an embedding to the world.

    Attributes
    ----------
    middle, axes
        ``(d,)`` and ``(d, d)``: the subtracted centre, and the rotation.
    """

    middle: NDArray[np.float64]
    axes: NDArray[np.float64]
    scale: float

    def to_world(self, point: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """Transform a point, ``(d,)``, to the world, ``(3,)``."""
        found = np.zeros(3, dtype=np.float32)
        if point is not None:
            found[: len(point)] = (point - self.middle) @ self.axes * self.scale
        return found


def fitted(found: Embedding) -> tuple[CoordinateFrame, NDArray[np.float32]]:
    """Transform all snapshots to the world, ``(F, M, 3)``; also returns the transformation of the last one.

    Each snapshot has the same extent, because the units of t-SNE have no meaning. All have the same rotation, in which
    the final cloud is widest across the picture, and shallowest in depth.
    """
    way = found.snapshots.astype(np.float64)
    middle = way.mean(axis=1, keepdims=True)
    way -= middle
    axes = np.linalg.eigh(way[-1].T @ way[-1])[1][:, ::-1]
    axes[:, -1] *= np.sign(np.linalg.det(axes))  # a rotation, not a reflection
    way = way @ axes
    spread = np.sqrt((way**2).sum(axis=2).mean(axis=1))
    scale = 1 / np.where(spread > 0, spread, 1.0)
    scale *= RADIUS / max(float(np.abs(way[-1]).max() * scale[-1]), 1e-9)
    flat = np.zeros((*way.shape[:2], 3), dtype=np.float32)
    flat[..., : way.shape[2]] = way * scale[:, np.newaxis, np.newaxis]
    return CoordinateFrame(middle[-1, 0], axes, float(scale[-1])), flat


def spread_of(points: NDArray[np.float32]) -> float:
    """Return the usual distance of points from their middle: the median."""
    return float(np.median(np.linalg.norm(points - np.median(points, axis=0), axis=1)))


def spacing_of(points: NDArray[np.float32]) -> float:
    """Return the usual distance of a point from its nearest neighbour: the median over some hundred points."""
    some = points[:: max(1, len(points) // _MEASURED)].astype(np.float64)
    nearest = []
    for point in some:
        away = np.linalg.norm(points - point, axis=1)
        apart = away[away > 0]
        nearest.append(apart.min() if len(apart) else 0.0)
    return float(np.median(nearest)) if nearest else 0.0


def _callout(name: str, position: NDArray[np.float32], found: Facts, picture: NDArray[np.uint8] | None) -> Callout:
    rows: list[Row] = [TextRow(found.title)]
    if picture is not None:
        rows.append(PictureRow(picture))
    rows.extend(TextRow(text) for text in found.more)
    x, y, z = (float(v) for v in position)
    return Callout(name, (Span((x, y, z), (0.0, 0.0, 0.0)),), tuple(rows), np.empty((0, 3), dtype=np.float32))


def _with_pictures(points: NDArray[np.float32], height: float) -> NDArray[np.float32]:
    """Return points, ``(M, 3)``, and the corners of the pictures around them, if those are seen from afar."""
    extents = np.ptp(points, axis=0)
    if height < _SEEN * extents.max():
        return points
    half = min(height, _HIGHEST * extents.max()) / 2
    corners = [(x, y, z) for x in (-half, half) for y in (-half, half) for z in (-half, half)]
    around = np.array(corners, dtype=np.float32) * [1.0, 1.0, float(extents[2] > 0)]  # flat points stay flat
    return np.concatenate([points, *(points + corner for corner in around)]).astype(np.float32)


def _varying(points: NDArray[np.float32]) -> int:
    """Return the number of dimensions in which points, ``(M, d)``, differ."""
    extents = np.ptp(points, axis=0) if len(points) else np.zeros(points.shape[1])
    return int((extents > _FLAT * extents.max()).sum())


def _after_reduction(found: Embedding) -> list[str]:
    """Describe the PCA before the embedding: its dimensions and its share of the variance; empty without PCA."""
    width = int(str(found.settings["dimensions"]))
    if width <= REDUCED:
        return []
    left = min(REDUCED, len(found.points))
    if judged_after_reduction(found.quality, width):
        return [f"{left} after PCA, on which the figures below are measured"]
    kept = found.quality.get("variance")
    if kept is None:
        return [f"{left} after PCA"]
    return [f"{left} after PCA, with {share_of_variance(kept)} of the variance"]
