"""Samples that are no points of an embedding, or came later: where they stand among its points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nnviz3d.analysis.embedding import flattened, index_of, project
from nnviz3d.data.capabilities.embeddings import Embedding
from nnviz3d.data.reader import CaptureReader
from nnviz3d.errors import UserError


@dataclass(frozen=True, eq=False)
class Newcomer:
    """A sample among the points of an embedding.

    Attributes
    ----------
    sample
        Which of the capture's.
    point
        ``(3,)`` or ``(2,)``, in the units of `Embedding.points`; `None` if it has no place there.
    index
        Which of the points it is, if it is one of them.
    problem
        A sentence that says why it has no place.
    """

    sample: int
    point: NDArray[np.float32] | None = None
    index: int | None = None
    problem: str = ""

    @staticmethod
    def find(capture: CaptureReader, found: Embedding, sample: int) -> Newcomer:
        """Place a sample by what the layer answers to it; one that is a point already stands where that does."""
        name = capture.sample_name(sample)
        if not capture.has_activations(found.name):
            return Newcomer(sample, problem=f"{name} has no place here: what {found.name} answers was not captured.")
        answer = capture.activation(found.name, sample)[np.newaxis]
        vectors = flattened(answer, capture.graph.node(found.name).axes, pooled=bool(found.settings.get("pooled")))
        try:
            index = index_of(found, vectors[0])
            if index is not None:
                return Newcomer(sample, found.points[index], index)
            return Newcomer(sample, project(found, vectors)[0])
        except UserError as error:
            return Newcomer(sample, problem=f"{name} has no place here: {error}")


def thumbnail(capture: CaptureReader, found: Embedding, sample: int) -> NDArray[np.uint8] | None:
    """Make a small picture of a sample, as high as those of the points; `None` if they have none, or it is no picture."""
    pictures = (capture.picture(name, sample) for name in capture.graph.inputs)
    picture = next((p for p in pictures if p is not None), None)
    if picture is None or not len(found.thumbnails):
        return None
    height = found.thumbnails.shape[1]
    size = (max(1, round(picture.shape[1] * height / picture.shape[0])), height)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX), dtype=np.uint8)
