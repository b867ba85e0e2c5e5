"""The nearest samples of a sample by a layer's own numbers, not by the points that a picture shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.embedding import rounding_of
from nnviz3d.analysis.neighbours import Neighbours, nearest
from nnviz3d.data.capabilities.embeddings import Embedding, embedding_names
from nnviz3d.data.labels import label_in
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.embedding_trajectory import embedded_of, embedding_of
from nnviz3d.scene.derived.projected_samples import thumbnail
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.views.points.columns import PointColumn, columns_of
from nnviz3d.scene.views.points.samples import PointPick, answer_of, facts_of_point, facts_of_sample

_ROUNDED_UP = 0.9995
"""Minimum share that would be rounded to 100.0%, although it is smaller."""


@dataclass(frozen=True, eq=False)
class PointSpace:
    """The numbers by which the samples of an embedding are compared.

    Attributes
    ----------
    vectors
        ``(M, k)``: the layer's outputs, or their principal components; not the points.
    words
        What a distance is measured in.
    columns
        What is known of the samples.
    """

    embedding: Embedding
    vectors: NDArray[np.float32]
    words: str
    columns: Mapping[str, PointColumn]

    @property
    def projects(self) -> bool:
        """Whether other samples can be compared with those of the embedding."""
        return len(self.vectors) > 0 and self.vectors is self.embedding.vectors


@dataclass(frozen=True, eq=False)
class ComparedSample:
    """The sample whose neighbours are searched.

    Attributes
    ----------
    name, more
        Its name and sentences on it.
    picture
        ``(h, w, 3)``; `None` if there is none.
    vector
        ``(k,)``: its numbers; `None` if they are not known.
    label
        Its class, or else the predicted one; `None` if neither is known.
    index
        Index of its point; `None` if it is none of the embedded samples.
    sample
        Its index in the capture; `None` if it was picked as a point.
    problem
        Why it has no neighbours, as a sentence; otherwise empty.
    """

    name: str
    more: tuple[str, ...]
    picture: NDArray[np.uint8] | None
    vector: NDArray[np.float32] | None
    label: int | None = None
    index: int | None = None
    sample: int | None = None
    problem: str = ""


def space_of(context: SceneContext, name: str) -> PointSpace:
    """Return the numbers of an embedding, for a training those at the step that the capture shows."""
    return context.memo.get(context.capture, ("point space", name), lambda: _read(context, name))


def compared_sample(context: SceneContext, space: PointSpace, selection: Selection) -> ComparedSample | None:
    """Return the picked sample, or else the selected one; `None` if it has no numbers of this layer."""
    pick, found, capture = selection.pick, space.embedding, context.capture
    if isinstance(pick, PointPick) and pick.embedding == found.name:
        if pick.placed:
            return _of_sample(context, space, pick.index)
        facts, vector, problem = facts_of_point(capture, found, pick.index, space.columns), None, ""
        if not len(space.vectors):
            problem = f"{capture.path.name} does not hold the outputs of {found.name}."
        elif not np.isfinite(vector := space.vectors[pick.index]).all():
            problem = f"The outputs of {found.name} for it hold NaN or infinite numbers, so it has no neighbours."
        picture = found.thumbnails[pick.index] if len(found.thumbnails) else None
        label = class_of(found, pick.index)
        return ComparedSample(facts.title, facts.more, picture, vector, label, pick.index, problem=problem)
    return _of_sample(context, space, selection.sample) if space.projects and capture.committed else None


def _of_sample(context: SceneContext, space: PointSpace, sample: int) -> ComparedSample:
    capture = context.capture
    projected, facts = context.projected_sample(space.embedding, sample), facts_of_sample(capture, sample)
    picture = thumbnail(capture, space.embedding, sample)
    label, answer = capture.label(sample), answer_of(capture, sample)
    if label is None and answer is not None:
        label = answer[0]
    return ComparedSample(
        facts.title, facts.more, picture, projected.vector, label, projected.index, sample, projected.problem
    )


def class_of(found: Embedding, index: int) -> int | None:
    """Return the label of a point's sample, or else its predicted class; `None` if neither is known."""
    label = label_in(found.labels, index)
    return int(found.predictions[index]) if label is None and len(found.predictions) else label


def neighbours_of(
    space: PointSpace, compared: ComparedSample, count: int, among: NDArray[np.bool_]
) -> Neighbours | None:
    """Return the nearest samples of a sample, without itself; `None` if it has none.

    Parameters
    ----------
    among
        ``(M,)``: the samples that are searched.
    """
    if compared.vector is None or compared.problem:
        return None
    among = among.copy()
    if compared.index is not None:
        among[compared.index] = False
    return nearest(space.vectors, compared.vector, count, among)


def is_sample_of_point(context: SceneContext, space: PointSpace, sample: int, index: int) -> bool:
    """Whether a sample of the capture has the outputs of a point's sample; also if that cannot be found out."""
    if not space.projects:
        return False
    projected = context.projected_sample(space.embedding, sample)
    if projected.vector is None or projected.index == index:
        return True
    away = float(np.linalg.norm(projected.vector - space.vectors[index]))
    return away <= rounding_of(space.embedding)


def share_of_variance(kept: float) -> str:
    """Return in words the share of the outputs' variance that their principal components keep."""
    return "over 99.9%" if _ROUNDED_UP <= kept < 1 else f"{kept:.1%}"


def _read(context: SceneContext, name: str) -> PointSpace:
    capture, found = context.capture, embedding_of(context, name)
    embedded = embedded_of(capture)
    settings = found.settings
    numbers = "channel means" if settings.get("pooled") else "outputs"
    columns = columns_of(context, found)
    whole = f"the {int(str(settings['dimensions'])):,} {numbers} of {name}"
    if embedded is not None and embedded.samples.layer == name and name not in embedding_names(capture.stored):
        records = None if capture.step_records is None else capture.step_records.embedded
        at = -1 if records is None else records
        return PointSpace(found, embedded.vectors(at), f"{whole} at step {embedded.steps[at]:,}", columns)
    if not len(found.basis):
        return PointSpace(found, found.vectors, whole, columns)
    kept = found.quality.get("variance")
    share = "" if kept is None else f" ({share_of_variance(kept)} of the variance)"
    words = f"{found.vectors.shape[1]} principal components of {whole}{share}"
    return PointSpace(found, found.vectors, words, columns)
