"""Prediction and label of each sample that a session lists, and whether the prediction is wrong."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from nnviz3d.apps.provenance import answering_output, sample_note
from nnviz3d.apps.session import Session
from nnviz3d.data.capabilities.embeddings import NO_CLASS, Embedding, embedding_names, read_embedding
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.labels import label_in
from nnviz3d.data.reader import CaptureReader
from nnviz3d.errors import CaptureError
from nnviz3d.scene.class_names import class_name, predicted_of_two, top_classes


class SampleNote(NamedTuple):
    """The known label and prediction of a sample.

    Attributes
    ----------
    text
        Prediction and label in words; empty if neither is known.
    wrong
        Whether the prediction is another class than the label; `None` if one of them is not known.
    """

    text: str = ""
    wrong: bool | None = None


def notes_of(session: Session) -> dict[int, SampleNote]:
    """Return what is known of samples, by position in the session's list.

    Of a sample that the model was run on its own run tells, of another one the embedding that was computed of it: it holds
    labels and predictions of all its samples.
    """
    capture = session.context.capture
    head = answering_output(capture)
    scores = {} if head is None else _answers(session, head)
    embedded = _embedded(session)
    listed = Counter(sample.name for sample in session.samples)
    found = {}
    for position, sample in enumerate(session.samples):
        if sample.index is not None:
            found[position] = _note(capture, head, sample.index, scores.get(sample.index))
        elif sample.name in embedded and listed[sample.name] == 1:
            found[position] = embedded[sample.name]
    return found


def _answers(session: Session, head: str) -> dict[int, np.ndarray[Any, Any]]:
    """Return the numbers of an output for all captured samples, by index, without runs that later ones have replaced."""
    found: dict[int, np.ndarray[Any, Any]] = {}
    start = 0
    for capture, count in _parts(session):
        # Drawing the picture reports a damaged capture.
        with suppress(CaptureError, ValueError, OSError):
            if capture is not None:
                found.update(enumerate(capture.activations(head).values, start))
        start += count
    return found


def _parts(session: Session) -> list[tuple[CaptureReader | None, int]]:
    """Return the captures that the samples are in, each with the number of its samples; none for those removed."""
    shown, series = session.context.capture, session.scene.capture
    removed = isinstance(series, CaptureSeries) and any(part.capture is None for part in series.parts)
    if not removed:
        return [(shown, shown.committed)]
    return [(part.capture, len(part.names)) for part in CaptureSeries.of(series).parts]


def note_of(session: Session, position: int) -> SampleNote:
    """Return what the model's run on one sample tells; nothing if it has not been run on it."""
    capture, index = session.context.capture, session.samples[position].index
    if index is None:
        return SampleNote()
    head = answering_output(capture)
    return _note(capture, head, index, None if head is None else capture.activation(head, index))


def _note(capture: CaptureReader, head: str | None, index: int, scores: np.ndarray[Any, Any] | None) -> SampleNote:
    text, label = sample_note(capture, head, index, scores), capture.label(index)
    if head is None or scores is None or label is None or not np.isfinite(scores).all():
        return SampleNote(text)
    if scores.size > 1:
        return SampleNote(text, top_classes(scores, 1)[0] != label)
    of_two = predicted_of_two(capture, head, float(scores.flat[0]))
    return SampleNote(text, None if of_two is None else of_two != class_name(capture.classes, label))


def _embedded(session: Session) -> dict[str, SampleNote]:
    """Return what the first embedding with predictions tells of its samples, by names that only one of them has."""
    stored = session.context.capture.stored
    for name in embedding_names(stored):
        found = read_embedding(stored, name)
        if len(found.predictions):
            return _told(found, session.context.capture.classes)
    return {}


def _told(found: Embedding, classes: tuple[str, ...] | None) -> dict[str, SampleNote]:
    notes: dict[str, SampleNote] = {}
    for index, name in enumerate(found.names):
        predicted = int(found.predictions[index])
        label = label_in(found.labels, index)
        parts = [] if predicted == NO_CLASS else [f"predicted {class_name(classes, predicted)}"]
        parts += [] if label is None else [f"label {class_name(classes, label)}"]
        wrong = None if label is None or predicted == NO_CLASS else predicted != label
        # Of samples with the same name it is not known which is which.
        notes[name] = SampleNote() if name in notes else SampleNote(" · ".join(parts), wrong)
    return {name: note for name, note in notes.items() if note.text}
