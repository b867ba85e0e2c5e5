"""Descriptions of samples: label, prediction, and whether the prediction is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nnviz3d.data.capabilities.embeddings import NO_CLASS, Embedding
from nnviz3d.data.labels import label_in
from nnviz3d.data.reader import CaptureReader
from nnviz3d.scene.class_names import class_name, is_classifier, top_classes
from nnviz3d.scene.colors import score
from nnviz3d.scene.context import head_of
from nnviz3d.scene.facts import Facts
from nnviz3d.scene.selection import Pick
from nnviz3d.scene.views.points.columns import OWN, PointColumn

NO_COLUMNS: Mapping[str, PointColumn] = {}
_TOLD = 5
"""Most columns of a table that are told of a sample."""


@dataclass(frozen=True)
class PointPick(Pick):
    """A sample among the points of an embedding.

    Attributes
    ----------
    index
        Index of the point; of a projected sample (`placed`) its index in the capture.
    """

    embedding: str
    index: int
    placed: bool = False


def facts_of_sample(capture: CaptureReader, sample: int) -> Facts:
    """Describe one of the capture's samples in the same way as a point."""
    answer = answer_of(capture, sample)
    return Facts(capture.sample_name(sample), more=_answered(capture, capture.label(sample), answer))


def answer_of(capture: CaptureReader, sample: int) -> tuple[int, float] | None:
    """Return the predicted class of a sample and its score; `None` if the model is not a classifier."""
    head = head_of(capture.graph)
    if head is None or not capture.has_activations(head) or not is_classifier(capture, head):
        return None
    scores = capture.activation(head, sample).reshape(-1)
    best = top_classes(scores, 1)[0]
    return best, float(scores[best])


def facts_of_point(
    capture: CaptureReader, found: Embedding, index: int, columns: Mapping[str, PointColumn] = NO_COLUMNS
) -> Facts:
    """Describe a point of an embedding.

    Parameters
    ----------
    columns
        What is known of the samples; of those that come from a table the cells are told.
    """
    label = label_in(found.labels, index)
    probability = float(found.probabilities[index]) if len(found.probabilities) else None
    answer = (int(found.predictions[index]), probability) if len(found.predictions) else None
    table = [column for name, column in columns.items() if name not in OWN]
    # A column that repeats the name says nothing new.
    cells = ((column.name, column.text(index)) for column in table if column.text(index) != found.names[index])
    told = [f"{name}: {text}" for name, text in cells if text]
    more = f" · {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    sentences = (f"{' · '.join(told[:_TOLD])}{more}",) if told else ()
    return Facts(found.names[index], more=(*_answered(capture, label, answer), *sentences))


def _answered(capture: CaptureReader, label: int | None, answer: tuple[int, float | None] | None) -> tuple[str, ...]:
    sentences = [] if label is None else [f"labelled {class_name(capture.classes, label)}"]
    if answer is not None:
        predicted, sure = answer
        if predicted == NO_CLASS:
            return (*sentences, "the output is NaN")
        wrong = ", which is wrong" if label is not None and label != predicted else ""
        sentences.append(
            f"predicted {class_name(capture.classes, predicted)}{'' if sure is None else f' ({score(sure)})'}{wrong}"
        )
    return tuple(sentences)
