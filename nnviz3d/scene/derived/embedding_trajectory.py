"""Where the samples of a recorded training stand as points: placed once, and gone on with as the training goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np

from nnviz3d.analysis.embedding_trajectory import embed_training
from nnviz3d.data.capabilities.embeddings import Embedding
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.training_embedding import EmbeddedOutputs, EmbeddingTrajectory
from nnviz3d.errors import CaptureError

# Placing takes seconds, and a scene is built anew for every step that is looked at.
_placed: WeakKeyDictionary[EmbeddedOutputs, EmbeddingTrajectory] = WeakKeyDictionary()
_last: dict[Path, EmbeddingTrajectory] = {}


def embedded_of(capture: CaptureReader) -> EmbeddedOutputs | None:
    """Return what a capture holds of a training's points, if it holds any."""
    found = None if capture.training is None else capture.training.embedded
    return found if found is not None and len(found) else None


def course_of(
    capture: CaptureReader, embedded: EmbeddedOutputs, report: Callable[[int, int], None] = lambda done, total: None
) -> EmbeddingTrajectory:
    """Return where the points stand at each step; placed now if they were not yet.

    Raises
    ------
    ModelError
        If they are too few.
    """
    if embedded not in _placed:
        found = embed_training(embedded, earlier=_last.get(capture.path), report=report)
        _placed[embedded] = _last[capture.path] = found
    return _placed[embedded]


def embedding_of(capture: CaptureReader, name: str) -> Embedding:
    """Return an embedding of this name: one that was captured, or a training's, at the step that the capture shows."""
    embedded = embedded_of(capture)
    if embedded is None or embedded.samples.layer != name or name in capture.embeddings:
        return capture.embedding(name)
    records = None if capture.step_records is None else capture.step_records.embedded
    return embedding_at(capture, embedded, -1 if records is None else records)


def embedding_at(capture: CaptureReader, embedded: EmbeddedOutputs, at: int) -> Embedding:
    """Return a training's embedding at a step, 0 to E - 1, or from -1 back."""
    course, known = course_of(capture, embedded), embedded.samples
    if not len(course.points):
        raise CaptureError(f"{capture.path.name} holds no points yet.")
    points = course.points[at]
    return Embedding(
        name=known.layer,
        method="pca" if course.settings["method"] == "pca" else "tsne",
        points=points,
        first=points,
        snapshots=points[np.newaxis],
        names=known.names,
        labels=known.labels,
        predictions=embedded.predictions(at),
        probabilities=embedded.probabilities(at),
        thumbnails=known.thumbnails,
        vectors=np.empty((len(points), 0), dtype=np.float32),
        quality=course.quality[at],
        settings={**course.settings, "pooled": known.pooled},
        key=course.keys[at],
    )
