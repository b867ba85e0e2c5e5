"""Embeddings of captures, and of recorded trainings at each step."""

from __future__ import annotations

import numpy as np

from nnviz3d.data.capabilities.embeddings import Embedding, embedding_names, read_embedding
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.training_embedding import EmbeddedOutputs, EmbeddingTrajectory
from nnviz3d.errors import CaptureError, SceneError
from nnviz3d.scene.context import SceneContext


def embedded_of(capture: CaptureReader) -> EmbeddedOutputs | None:
    """Return the layer outputs that a training recorded for its embeddings; `None` if there are none."""
    found = None if capture.training is None else capture.training.embedded
    return found if found is not None and len(found) else None


def known_trajectory(context: SceneContext, embedded: EmbeddedOutputs) -> EmbeddingTrajectory:
    """Return the points of a training at each step: those passed to the scene, or else those in the capture.

    Raises
    ------
    SceneError
        If both have fewer steps than the training.
    """
    found = context.trajectory or embedded.trajectory
    if found is None or len(found.points) < len(embedded):
        name = context.capture.path.name
        raise SceneError(f"layer: the points of {name} are not embedded yet; compute them with `embed_training`.")
    return found


def embedding_of(context: SceneContext, name: str) -> Embedding:
    """Return an embedding by name: a captured one, or that of a training at the step that the capture shows."""
    capture = context.capture
    embedded = embedded_of(capture)
    if embedded is None or embedded.samples.layer != name or name in embedding_names(capture.stored):
        return read_embedding(capture.stored, name)
    records = None if capture.step_records is None else capture.step_records.embedded
    return embedding_at(context, embedded, -1 if records is None else records)


def embedding_at(context: SceneContext, embedded: EmbeddedOutputs, at: int) -> Embedding:
    """Return a training's embedding at an index among its embedded steps, 0 to E - 1 or negative from the end."""
    trajectory, known = known_trajectory(context, embedded), embedded.samples
    if not len(trajectory.points):
        raise CaptureError(f"{context.capture.path.name} holds no points yet.")
    points = trajectory.points[at]
    return Embedding(
        name=known.layer,
        method="pca" if trajectory.settings["method"] == "pca" else "tsne",
        points=points,
        first=points,
        snapshots=points[np.newaxis],
        names=known.names,
        labels=known.labels,
        predictions=embedded.predictions(at),
        probabilities=embedded.probabilities(at),
        thumbnails=known.thumbnails,
        vectors=np.empty((len(points), 0), dtype=np.float32),
        quality=trajectory.quality[at],
        settings={**trajectory.settings, "pooled": known.pooled},
        key=trajectory.keys[at],
    )
