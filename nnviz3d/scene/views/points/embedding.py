"""View of embeddings: samples as a cloud of points, coloured by class, with rings around wrong predictions."""

from __future__ import annotations

from collections.abc import Mapping
from glob import escape
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nnviz3d.data.capabilities.embeddings import embedding_names, read_embedding
from nnviz3d.data.files.paths import quoted
from nnviz3d.data.request import Insights
from nnviz3d.data.selectors import by_kind, matching
from nnviz3d.errors import SceneError
from nnviz3d.scene.colors import Color
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.embedding_trajectory import embedded_of, embedding_of
from nnviz3d.scene.facts import Facts
from nnviz3d.scene.hits import Hit, PointHit
from nnviz3d.scene.primitives import Primitive
from nnviz3d.scene.selection import ColoredBy, Pick, Selection
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.view import View
from nnviz3d.scene.view_spec import Reveal, ViewSpec
from nnviz3d.scene.views.points.cloud import Cloud, SampleSource
from nnviz3d.scene.views.points.columns import OWN, PointColumn, columns_of
from nnviz3d.scene.views.points.samples import PointPick, facts_of_point, facts_of_sample
from nnviz3d.scene.views.points.trajectory import PointMotion, TrajectoryCloud

_ANGLES = {2: (0.0, 0.0), 3: (-14.0, 14.0)}


class EmbeddingSpec(ViewSpec):
    """Samples as a cloud of points; similar outputs of a layer are close together. It stands alone in its scene.

    Attributes
    ----------
    layer
        Selector of the layer whose embedding is shown. By default, or for a kind of layer without an embedding in the
        capture, it is the capture's first embedding.
    color
        What colours show: ``label``, the true class of a sample; ``prediction``, the predicted one; ``score``, the
        probability of the predicted class; or a column of the table about the samples.
    animate
        Time in which the points move from the PCA to their final positions. In a training they follow its steps.
    trails
        Length of the trails behind the points of a training, in steps.
    """

    kind: Literal["embedding"]
    stands_alone: ClassVar[bool] = True
    shows_samples: ClassVar[bool] = True
    layer: str | None = None
    color: ColoredBy = "label"
    animate: Reveal = Reveal()
    trails: Annotated[float, Field(ge=0)] = 1.0

    @property
    def needs(self) -> Insights:
        """The request for everything that this view needs beyond one forward pass."""
        # The name of one layer, even if it looks like a pattern.
        return Insights(embeddings=() if self.layer is None else (escape(self.layer),))


class EmbeddingView(View):
    """The point cloud of one layer, moving from PCA to the final embedding, or through a training.

    Attributes
    ----------
    names
        The layers with embeddings.
    extent
        ``(n, 3)``: world coordinates that a picture of any of the embeddings has to contain.
    angles
        Azimuth and elevation of the camera in degrees.
    """

    spec_class = EmbeddingSpec

    def __init__(self, spec: EmbeddingSpec, context: SceneContext, timeline: Timeline) -> None:
        self._spec, self._context = spec, context
        self._clouds = _clouds(context, spec)
        self.names = tuple(self._clouds)
        self._first = _first(self.names, spec.layer, context)
        columns = self._clouds[self._first].columns
        if spec.color not in (*OWN, *columns):
            listed = ", ".join(columns) or "no columns"
            raise SceneError(f"color: there is no column {quoted(spec.color)!r}; the samples have {listed}.")
        self._timeline = timeline
        self._start, self._seconds = spec.animate.start, spec.animate.duration
        moves = self._seconds and any(cloud.moves for cloud in self._clouds.values())
        self.duration = self._timeline.duration
        if self._timeline.training is None:
            self.duration = self._start + self._seconds if moves else 0.0
        self.extent = np.concatenate([cloud.reach for cloud in self._clouds.values()]).astype(np.float64)
        self.angles = _ANGLES[3 if self.extent[:, 2].any() else 2]

    def shown(self, selection: Selection) -> str:
        """Return the layer of the shown embedding: the selected one, or else the scene's."""
        return selection.embedding if selection.embedding in self._clouds else self._first

    def colored_by(self, selection: Selection) -> ColoredBy | None:
        """Return what colours the points: as selected, or else as in the scene file; `None` if nothing is known."""
        return self._clouds[self.shown(selection)].colored_by(selection.colored_by or self._spec.color)

    def colors(self, selection: Selection) -> tuple[ColoredBy, ...]:
        """Return the possible colourings of the points."""
        return tuple(self._clouds[self.shown(selection)].columns)

    def columns(self, selection: Selection) -> Mapping[str, PointColumn]:
        """Return what is known of the samples of the shown embedding, by name."""
        return self._clouds[self.shown(selection)].columns

    def palette(self, selection: Selection) -> Mapping[str, Color]:
        """Return the colours of the most frequent categories by their names; empty if colours show numbers."""
        return self._clouds[self.shown(selection)].palette(self.colored_by(selection))

    def count(self, selection: Selection) -> int:
        """Return the number of samples of the shown embedding."""
        return self._clouds[self.shown(selection)].count

    def around(self, layer: str) -> NDArray[np.float64]:
        """Return nothing: no layer is shown."""
        return np.empty((0, 3))

    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return the cloud; after the end of the animation always the same objects."""
        name = self.shown(selection)
        color = selection.colored_by or self._spec.color
        return self._clouds[name].at(self._moment(name, t, selection), color, selection.sample, selection.points)

    def pick(self, hit: Hit, selection: Selection) -> Pick | None:
        """Return the hit point or projected sample."""
        source = hit.primitive.source
        if not isinstance(hit, PointHit) or source is None or source.layer is None:
            return None
        if isinstance(source, SampleSource):
            return PointPick(source.layer, source.sample, placed=True)
        return PointPick(source.layer, hit.number)

    def describe(self, pick: Pick, selection: Selection) -> Facts | None:
        """Return label and prediction of a point's sample."""
        if not isinstance(pick, PointPick):
            return None
        capture = self._context.capture
        if pick.placed:
            return facts_of_sample(capture, pick.index)
        found = embedding_of(self._context, pick.embedding)
        return facts_of_point(capture, found, pick.index, columns_of(self._context, found))

    def mark(self, pick: Pick, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return brackets around a point, and a callout with its sample."""
        if not isinstance(pick, PointPick) or pick.embedding != self.shown(selection):
            return ()
        return self._clouds[pick.embedding].marked(self._moment(pick.embedding, t, selection), pick, selection.sample)

    def motion(self, t: float, selection: Selection) -> PointMotion | None:
        """Return what the points at `t` seconds are computed from; `None` if they do not move through a training."""
        name = self.shown(selection)
        cloud = self._clouds[name]
        return cloud.motion(self._moment(name, t, selection)) if isinstance(cloud, TrajectoryCloud) else None

    def _moment(self, name: str, t: float, selection: Selection) -> float:
        """Return the shown moment of a cloud: the share of its way, or the index of a training's step."""
        share = float(np.clip((t - self._start) / self._seconds, 0.0, 1.0)) if self._seconds else 1.0
        return self._clouds[name].moment(t, share, self._timeline, selection)


def _first(names: tuple[str, ...], layer: str | None, context: SceneContext) -> str:
    """Return the layer whose embedding a scene shows first."""
    wanted = () if layer is None else (layer, *matching(layer, context.graph))
    found = next((name for name in wanted if name in names), None)
    if found is None and layer is not None and not by_kind(layer):
        raise SceneError(f"layer: there is no embedding of {layer!r}; the capture has {', '.join(names)}.")
    return names[0] if found is None else found


def _clouds(context: SceneContext, spec: EmbeddingSpec) -> dict[str, Cloud | TrajectoryCloud]:
    capture = context.capture
    found: dict[str, Cloud | TrajectoryCloud] = {
        name: Cloud(context, read_embedding(capture.stored, name)) for name in embedding_names(capture.stored)
    }
    embedded = embedded_of(capture)
    if capture.training is not None and embedded is not None:
        found.setdefault(embedded.samples.layer, TrajectoryCloud(context, capture.training, embedded, spec.trails))
    if not found and capture.training is not None:
        raise SceneError(
            f"layer: {capture.path.name} holds no points; record the training with TrainingRecorder(..., embed='LAYER', "
            "embed_samples=(x, y))."
        )
    if not found:
        raise SceneError(
            f"layer: {capture.path.name} holds no embedding; capture the model with --embed LAYER --dataset DATA."
        )
    return found
