"""Samples as a cloud of points: near each other where a layer answers alike, coloured by class, the mistakes ringed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.insights import Embedding
from nnviz3d.errors import SceneError
from nnviz3d.scene.colors import OTHERS, categorical
from nnviz3d.scene.primitives import (
    Callout,
    Color,
    Label,
    Labels,
    Panel,
    PictureRow,
    Points,
    Primitive,
    Row,
    Span,
    SwatchRow,
    TextRow,
)
from nnviz3d.scene.selection import Pick, PointPick, Selection
from nnviz3d.scene.spec import SceneSpec
from nnviz3d.scene.stage import Stage, class_name
from nnviz3d.scene.view_specs import EmbeddingCloud
from nnviz3d.scene.views.details import facts_of_point

COLORED = 10
"""Classes that have a colour of their own, the most frequent ones; more could not be told apart."""
_SIZE, _WRONG = 14.0, 25.0
"""Diameters in pixels of a 720 pixels high picture."""
_MANY = 1500
"""Points up to which they have the full size; more are smaller, so that they do not cover each other."""
_RADIUS = 10.0
"""World units that the cloud reaches."""
_ACROSS = 5
"""Classes in a row of the legend."""
_ANGLES = {2: (0.0, 0.0), 3: (-14.0, 14.0)}


class EmbeddingView:
    """The cloud of one layer, on its way from a first look to where it is in the end.

    Attributes
    ----------
    extent
        ``(M, 3)``: what a picture has to hold.
    angles
        Azimuth and elevation to look from, in degrees.
    """

    def __init__(self, spec: EmbeddingCloud, stage: Stage, scene: SceneSpec) -> None:
        self._stage = stage
        self._found = _find(stage, spec.layer)
        self._start, self._seconds = spec.animate.start, spec.animate.duration
        self._way: NDArray[np.float32] = _fitted(self._found)
        self.duration = self._start + self._seconds if len(self._way) > 1 and self._seconds else 0.0
        self._end: NDArray[np.float32] = self._way[-1]  # one object, so that nothing is uploaded again
        self.extent = self._end.astype(np.float64)
        self.angles = _ANGLES[self._found.points.shape[1]]
        known, told = self._found.labels, self._found.predictions
        by_label = len(known) and (spec.color == "label" or not len(told))
        self._classes = known if by_label else told
        self._colored_by = "label" if by_label else "prediction"
        self._wrong = known != told if len(known) and len(told) else np.zeros(len(self.extent), dtype=bool)
        self._palette = _palette(np.concatenate([self._classes, told]))
        count = len(self.extent)
        shrunk = min(1.0, (_MANY / count) ** (1 / 3))
        self._sizes = np.where(self._wrong, _WRONG, _SIZE).astype(np.float32) * np.float32(shrunk)
        self._colors = self._paint(self._classes)
        self._rings = self._paint(told) * self._wrong[:, np.newaxis] if len(told) else None
        self._panels = (self._title(), self._legend())
        self._kept: tuple[float, tuple[Primitive, ...]] = (-1.0, ())

    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the cloud; from the animation's end on it is always the same."""
        share = self._share(t)
        if self._kept[0] != share:
            points = self._points(share)
            cloud = Points(self._found.name, points, self._colors, self._sizes, self._rings)
            self._kept = (share, (cloud, self._names(points), *self._panels))
        return self._kept[1]

    def marked(self, t: float, pick: Pick) -> tuple[Primitive, ...]:
        """Return brackets around a picked point, and what is known of its sample."""
        if not isinstance(pick, PointPick) or pick.embedding != self._found.name:
            return ()
        place = self._points(self._share(t))[pick.index]
        found = facts_of_point(self._stage.capture, self._found, pick.index)
        rows: list[Row] = [TextRow(found.title)]
        if len(self._found.thumbnails):
            rows.append(PictureRow(self._found.thumbnails[pick.index]))
        rows.extend(TextRow(text) for text in found.more)
        span = Span((float(place[0]), float(place[1]), float(place[2])), (0.0, 0.0, 0.0))
        return (Callout("pick", (span,), tuple(rows), np.empty((0, 3), dtype=np.float32)),)

    def _share(self, t: float) -> float:
        """Say how far along its way the cloud is, from 0 to 1."""
        if not self.duration:
            return 1.0
        return float(np.clip((t - self._start) / self._seconds, 0.0, 1.0))

    def _points(self, share: float) -> NDArray[np.float32]:
        if share >= 1.0:
            return self._end
        at = share * (len(self._way) - 1)
        before = int(at)
        part = np.float32(at - before)
        return np.asarray(self._way[before] * (1 - part) + self._way[before + 1] * part)

    def _paint(self, classes: NDArray[np.int64]) -> NDArray[np.float32]:
        """Give each point its class's colour, ``(M, 4)``."""
        if not len(classes):
            return np.tile(np.array([*OTHERS, 1], dtype=np.float32), (len(self.extent), 1))
        known, where = np.unique(classes, return_inverse=True)
        table = np.array([[*self._palette.get(int(c), OTHERS), 1] for c in known], dtype=np.float32)
        return table[where]

    def _names(self, points: NDArray[np.float32]) -> Labels:
        """Name each coloured class at the middle of its points."""
        labels = []
        for k in self._palette:
            members = points[self._classes == k]
            if len(members):
                x, y, z = (float(v) for v in np.median(members, axis=0))
                name = class_name(self._stage.capture.classes, k)
                labels.append(Label((x, y, z), (name,), "above", priority=float(len(members))))
        return Labels("classes", tuple(labels))

    def _title(self) -> Panel:
        found, settings = self._found, self._found.settings
        count = len(found.points)
        words_ = [f"{count:,} samples, near each other where {found.name} answers alike"]
        how = "t-SNE" if found.method == "tsne" else "PCA"
        facts = [f"{how} in {found.points.shape[1]} dimensions"]
        if "perplexity" in settings:
            facts.append(f"perplexity {float(str(settings['perplexity'])):.3g}")
        numbers = "channel means" if settings.get("pooled") else "numbers"
        facts.append(f"{int(str(settings['dimensions'])):,} {numbers} a sample")
        if len(found.mean):
            facts.append(f"{settings['reduced']} after PCA")
        facts.append(f"seed {settings['seed']}")
        return Panel("title", "top-left", (TextRow(" · ".join(words_)), TextRow(" · ".join(facts), "quiet")))

    def _legend(self) -> Panel:
        quality = self._found.quality
        said = []
        if "trustworthiness" in quality:
            judged = int(str(self._found.settings.get("judged", len(self.extent))))
            of = f" (of {judged:,})" if judged < len(self.extent) else ""
            said.append(f"trustworthiness {_short(quality['trustworthiness'], 3)}{of}")
        said.append(f"{_short(quality['neighbours'], 2)} of the 10 nearest kept")
        if "kl" in quality:
            said.append(f"KL {quality['kl']:.2f}")
        rows: list[Row] = [TextRow(" · ".join(said))]
        classes = self._stage.capture.classes
        swatches: list[tuple[Color, str]] = [
            (color, f"{class_name(classes, k)}  {int((self._classes == k).sum()):,}")
            for k, color in self._palette.items()
        ]
        others = len(self._classes) - sum(int((self._classes == k).sum()) for k in self._palette)
        if others:
            swatches.append((OTHERS, f"others  {others:,}"))
        rows.extend(SwatchRow(tuple(swatches[k : k + _ACROSS])) for k in range(0, len(swatches), _ACROSS))
        if len(self._found.labels) and len(self._found.predictions):
            wrong = int(self._wrong.sum())
            inner, ring = ("label", "prediction") if self._colored_by == "label" else ("prediction", "prediction")
            rows.append(TextRow(f"{wrong:,} wrong: ball coloured by {inner}, ring by {ring}", "quiet"))
        elif len(self._classes):
            rows.append(TextRow(f"coloured by {self._colored_by}", "quiet"))
        return Panel("embedding", "bottom-left", tuple(rows))


def _find(stage: Stage, layer: str | None) -> Embedding:
    names = stage.capture.embeddings
    if not names:
        raise SceneError(
            f"layer: {stage.capture.path.name} holds no embedding; capture the model with --embed LAYER --dataset DATA."
        )
    name = names[0] if layer is None else layer
    if name not in names:
        raise SceneError(f"layer: there is no embedding of {name!r}; the capture has {', '.join(names)}.")
    return stage.capture.embedding(name)


def _fitted(found: Embedding) -> NDArray[np.float32]:
    """Bring all snapshots to the world, ``(F, M, 3)``.

    Each has the same extent, for t-SNE's units mean nothing. All are turned alike, so that in the end the cloud is
    widest across the picture, and shallowest in depth.
    """
    way = found.snapshots.astype(np.float64)
    way -= way.mean(axis=1, keepdims=True)
    axes = np.linalg.eigh(way[-1].T @ way[-1])[1][:, ::-1]
    axes[:, -1] *= np.sign(np.linalg.det(axes))  # turned, not mirrored
    way = way @ axes
    spread = np.sqrt((way**2).sum(axis=2).mean(axis=1))
    way /= np.where(spread > 0, spread, 1.0)[:, np.newaxis, np.newaxis]
    way *= _RADIUS / max(float(np.abs(way[-1]).max()), 1e-9)
    flat = np.zeros((*way.shape[:2], 3), dtype=np.float32)
    flat[..., : way.shape[2]] = way
    return flat


def _palette(classes: NDArray[np.int64]) -> dict[int, Color]:
    """Give the most frequent classes a colour each, in the order of their numbers."""
    known, counts = np.unique(classes, return_counts=True)
    frequent = sorted(int(k) for k in known[np.argsort(-counts, kind="stable")[:COLORED]])
    return dict(zip(frequent, categorical(len(frequent)), strict=True))


def _short(value: float, digits: int) -> str:
    """Write a share without its zero: ``.991``; 1 stays 1."""
    return f"{value:.{digits}f}".removeprefix("0")
