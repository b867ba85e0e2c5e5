"""The point cloud of one embedding, in the colours of its classes, with title and legend."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.embedding_quality import NEIGHBOURS, judged_after_reduction
from nnviz3d.analysis.reduction import REDUCED
from nnviz3d.data.capabilities.embeddings import NO_CLASS, Embedding
from nnviz3d.scene.colors import NAN_COLOR, OTHERS, Color, categorical, repeated
from nnviz3d.scene.context import SceneContext, class_name
from nnviz3d.scene.derived.projected_samples import ProjectedSample, thumbnail
from nnviz3d.scene.facts import Facts
from nnviz3d.scene.panel_rows import PictureRow, Row, SwatchRow, TextRow
from nnviz3d.scene.primitives import Callout, Label, Labels, Panel, Points, Primitive, Source, Span
from nnviz3d.scene.selection import ColoredBy, PointFilter, Selection
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.views.points.neighbours import matching, share_of_variance
from nnviz3d.scene.views.points.samples import PointPick, answer_of, facts_of_point, facts_of_sample

COLORED = 10
"""Maximum number of classes with separate colours; these are the most frequent ones."""
_SIZE, _WRONG, _PLACED, _CHOSEN = 14.0, 25.0, 25.0, 34.0
"""Diameters in pixels of a 720 pixels high picture."""
_SMALL, _FAINT = 0.35, 0.6
"""Points that are not searched for: share of the usual size, and factor of their colours and opacity."""
_MANY = 1500
"""Maximum number of points at full size; the points of larger clouds are smaller."""
RADIUS = 10.0
"""World radius of the cloud."""
_METHODS = {"tsne": "t-SNE", "umap": "UMAP", "pacmap": "PaCMAP", "pca": "PCA"}
_ACROSS = 5
"""Number of classes in a row of the legend."""


@dataclass(frozen=True)
class SampleSource(Source):
    """The point of a projected sample, which was added to a finished embedding."""

    sample: int = 0


class Painted(NamedTuple):
    """Colours and legend of the points, by label or by prediction.

    Attributes
    ----------
    by
        What the colours show: label or prediction.
    classes
        ``(M,)``: class of each point; empty if the classes are unknown.
    palette
        Colours of the most frequent classes.
    colors, sizes, rings
        As in `Points`.
    """

    by: ColoredBy | None
    classes: NDArray[np.int64]
    palette: dict[int, Color]
    colors: NDArray[np.float32]
    sizes: NDArray[np.float32]
    rings: NDArray[np.float32] | None
    legend: Panel


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
    end, reach
        ``(M, 3)``: final positions of the points, which a picture has to contain.
    moves
        Whether the points move before.
    known
        The known ones of label and prediction, which can colour the points.
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
        self.reach = self.end
        known, told = found.labels, found.predictions
        counts: dict[ColoredBy, int] = {"label": len(known), "prediction": len(told)}
        self.known = tuple(name for name in counts if counts[name])
        self._wrong = known != told if len(known) and len(told) else np.zeros(len(self.end), dtype=bool)
        shrunk = min(1.0, (_MANY / len(self.end)) ** (1 / 3))
        self._sizes = np.where(self._wrong, wrong, _SIZE).astype(np.float32) * np.float32(shrunk)
        self.title = self._titled()
        self._painted: dict[ColoredBy | None, Painted] = {}
        self._searched: dict[tuple[ColoredBy | None, PointFilter], Painted] = {}
        self._kept: tuple[object, tuple[Primitive, ...]] = (None, ())
        self._more: tuple[object, tuple[Primitive, ...]] = (None, ())

    def colored_by(self, wanted: ColoredBy) -> ColoredBy | None:
        """Return what colours the points: `wanted` if it is known, otherwise the other one."""
        return wanted if wanted in self.known else next(iter(self.known), None)

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

    def marked(self, share: float, pick: PointPick) -> tuple[Primitive, ...]:
        """Return brackets around a point, and the callout of its sample."""
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
            source=Source("embedding", self._found.name),
        )

    def callout(self, points: NDArray[np.float32], index: int) -> Callout:
        """Return the callout of a point."""
        picture = self._found.thumbnails[index] if len(self._found.thumbnails) else None
        return _callout("pick", points[index], facts_of_point(self._context.capture, self._found, index), picture)

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
        known = label if painted.by == "label" and label is not None else None if answer is None else answer[0]
        color = OTHERS if known is None else painted.palette.get(known, OTHERS)
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
        painted = self._paint(by)
        if wanted == PointFilter():
            return painted
        if (by, wanted) not in self._searched:  # only the last search is kept
            self._searched = {(by, wanted): self._with_small(painted, matching(self._found, wanted, by))}
        return self._searched[by, wanted]

    @staticmethod
    def _with_small(painted: Painted, meant: NDArray[np.bool_]) -> Painted:
        # Small, because otherwise they would cover points that are searched for.
        sizes = np.where(meant, painted.sizes, painted.sizes.min() * _SMALL).astype(np.float32)
        colors = painted.colors * np.where(meant[:, np.newaxis], 1, _FAINT).astype(np.float32)
        rings = None if painted.rings is None else painted.rings * meant[:, np.newaxis]
        words = f"{int(meant.sum()):,} of {len(meant):,} samples searched for; the others are small"
        legend = replace(painted.legend, rows=(*painted.legend.rows, TextRow(words)))
        return painted._replace(colors=colors, sizes=sizes, rings=rings, legend=legend)

    def _paint(self, by: ColoredBy | None) -> Painted:
        """Return colours, sizes and legend of all points."""
        if by not in self._painted:
            told = self._found.predictions
            classes = self._found.labels if by == "label" else told
            palette = _palette(np.concatenate([classes, told]))
            rings = _colors(told, palette) * self._wrong[:, np.newaxis] if len(told) else None
            colors = _colors(classes, palette) if len(classes) else _uniform(len(self.end))
            legend = self._legend(by, classes, palette)
            self._painted[by] = Painted(by, classes, palette, colors, self._sizes, rings, legend)
        return self._painted[by]

    def names(self, points: NDArray[np.float32], painted: Painted) -> Labels:
        """Return a label for each coloured class at the centre of its points."""
        labels = []
        for k in painted.palette:
            members = points[painted.classes == k]
            if len(members):
                x, y, z = (float(v) for v in np.median(members, axis=0))
                name = class_name(self._context.capture.classes, k)
                labels.append(Label((x, y, z), (name,), "above", priority=float(len(members))))
        return Labels("classes", tuple(labels))

    def _titled(self) -> Panel:
        found, settings = self._found, self._found.settings
        count = len(found.points)
        words_ = [f"{count:,} samples, close together where the outputs of {found.name} are similar"]
        facts = [f"{_METHODS[found.method]} in {found.points.shape[1]} dimensions"]
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

    def _legend(self, by: ColoredBy | None, members: NDArray[np.int64], palette: dict[int, Color]) -> Panel:
        quality = self._found.quality
        said = []
        if "trustworthiness" in quality:
            said.append(f"trustworthiness {quality['trustworthiness']:.3f}")
        if "neighbours" in quality:
            near = min(NEIGHBOURS, len(self.end) - 1)
            said.append(f"{quality['neighbours']:.0%} of the {near} nearest neighbours kept")
        judged = int(str(self._found.settings.get("judged", len(self.end))))
        if said and judged < len(self.end):
            said.append(f"of {judged:,} samples")
        if "kl" in quality:
            said.append(f"KL divergence {quality['kl']:.2f}")
        rows: list[Row] = [TextRow(" · ".join(said))] if said else []
        classes = self._context.capture.classes
        swatches: list[tuple[Color, str]] = [
            (color, f"{class_name(classes, k)}  {int((members == k).sum()):,}") for k, color in palette.items()
        ]
        none = int((self._found.predictions == NO_CLASS).sum())
        others = int((members != NO_CLASS).sum()) - sum(int((members == k).sum()) for k in palette)
        if others:
            swatches.append((OTHERS, f"others  {others:,}"))
        rows.extend(SwatchRow(tuple(swatches[k : k + _ACROSS])) for k in range(0, len(swatches), _ACROSS))
        if len(self._found.labels) and len(self._found.predictions):
            wrong = int(self._wrong.sum())
            if none:
                rows.append(SwatchRow(((NAN_COLOR, f"{none:,} answered with NaN"),)))
            inner, ring = ("label", "prediction") if by == "label" else ("prediction", "prediction")
            rows.append(TextRow(f"{wrong:,} wrong: ball coloured by {inner}, ring by {ring}", "quiet"))
        elif len(members):
            rows.append(TextRow(f"coloured by {by}", "quiet"))
        return Panel("embedding", "bottom-left", tuple(rows))


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


def _callout(name: str, position: NDArray[np.float32], found: Facts, picture: NDArray[np.uint8] | None) -> Callout:
    rows: list[Row] = [TextRow(found.title)]
    if picture is not None:
        rows.append(PictureRow(picture))
    rows.extend(TextRow(text) for text in found.more)
    x, y, z = (float(v) for v in position)
    return Callout(name, (Span((x, y, z), (0.0, 0.0, 0.0)),), tuple(rows), np.empty((0, 3), dtype=np.float32))


def _palette(classes: NDArray[np.int64]) -> dict[int, Color]:
    """Assign a colour to each of the most frequent classes, in the order of their numbers."""
    known, counts = np.unique(classes[classes != NO_CLASS], return_counts=True)
    frequent = sorted(int(k) for k in known[np.argsort(-counts, kind="stable")[:COLORED]])
    return dict(zip(frequent, categorical(len(frequent)), strict=True))


def _colors(classes: NDArray[np.int64], palette: dict[int, Color]) -> NDArray[np.float32]:
    """Give each point its class's colour, ``(M, 4)``."""
    known, where = np.unique(classes, return_inverse=True)
    table = np.array(
        [[*(NAN_COLOR if c == NO_CLASS else palette.get(int(c), OTHERS)), 1] for c in known], dtype=np.float32
    )
    return np.asarray(table[where])


def _uniform(count: int) -> NDArray[np.float32]:
    return repeated(OTHERS, 1, count)


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
