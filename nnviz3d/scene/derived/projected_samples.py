"""Samples that were captured after the embedding, projected into it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nnviz3d.analysis.embedding import flattened, index_of, project, reduce_new
from nnviz3d.data.capabilities.embeddings import Embedding
from nnviz3d.data.reader import CaptureReader
from nnviz3d.errors import UserError


@dataclass(frozen=True, eq=False)
class ProjectedSample:
    """A sample among the points of an embedding.

    Attributes
    ----------
    sample
        Its index in the capture.
    point
        Its coordinates, ``(3,)`` or ``(2,)``, in the units of `Embedding.points`; `None` if it cannot be projected.
    index
        Index of its point in the embedding, if it is one of the embedded samples.
    vector
        ``(k,)``: the layer's output for it, in the units of `Embedding.vectors`; `None` if it cannot be projected.
    problem
        The reason why it cannot be projected, as a sentence.
    """

    sample: int
    point: NDArray[np.float32] | None = None
    index: int | None = None
    vector: NDArray[np.float32] | None = None
    problem: str = ""

    @staticmethod
    def find(capture: CaptureReader, found: Embedding, sample: int) -> ProjectedSample:
        """Project a sample by the layer's output for it; an embedded sample keeps its point."""
        name = capture.sample_name(sample)
        if not capture.has_activations(found.name):
            return ProjectedSample(
                sample, problem=f"{name} cannot be projected: the output of {found.name} was not captured."
            )
        answer = capture.activation(found.name, sample)[np.newaxis]
        vectors = flattened(answer, capture.graph.node(found.name).axes, pooled=bool(found.settings.get("pooled")))
        try:
            index, vector = index_of(found, vectors[0]), reduce_new(found, vectors)[0]
            point = project(found, vectors)[0] if index is None else found.points[index]
            return ProjectedSample(sample, point, index, vector)
        except UserError as error:
            return ProjectedSample(sample, problem=f"{name} cannot be projected: {error}")


def thumbnail(capture: CaptureReader, found: Embedding, sample: int) -> NDArray[np.uint8] | None:
    """Return a thumbnail of a sample, as high as the embedding's thumbnails; `None` if there is no picture."""
    pictures = (capture.picture(name, sample) for name in capture.graph.inputs)
    picture = next((p for p in pictures if p is not None), None)
    if picture is None or not len(found.thumbnails):
        return None
    height = found.thumbnails.shape[1]
    size = (max(1, round(picture.shape[1] * height / picture.shape[0])), height)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX), dtype=np.uint8)
