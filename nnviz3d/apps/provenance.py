"""Words about a capture: the origin of its numbers, and the answer for a sample."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnviz3d.data.preprocessing_words import MEANING
from nnviz3d.data.reader import CaptureReader
from nnviz3d.scene.class_names import class_name, is_classifier, predicted_class, predicted_of_two
from nnviz3d.scene.context import head_of


def provenance_lines(capture: CaptureReader, sample: int) -> list[list[str]]:
    """Return the origin of a sample's numbers, as pairs of name and value."""
    origin = capture.provenance
    lines = [["model", origin.model]]
    if origin.sha256:
        lines.append(["sha256", f"{origin.sha256[:16]}…"])
    mode, reason = capture.preprocessing(sample)
    lines.append(["preprocessing", f"{mode}: {MEANING[mode]}" if mode in MEANING else mode])
    if reason:
        lines.append(["because", reason])
    if origin.created:
        lines.append(["captured", origin.created])
    if origin.versions:
        lines.append(["with", ", ".join(f"{name} {version}" for name, version in origin.versions.items())])
    lines.extend(["note", note] for note in origin.notes)
    return lines


def answering_output(capture: CaptureReader) -> str | None:
    """Return the output with the class scores, or with the probability of one of two classes, if there is one."""
    head = head_of(capture.graph)
    if head is None or not capture.has_activations(head):
        return None
    return head if is_classifier(capture, head) or predicted_of_two(capture, head, 0.0) is not None else None


def sample_note(capture: CaptureReader, head: str | None, index: int, scores: np.ndarray[Any, Any] | None) -> str:
    """Return the prediction and the label of a sample in words; empty if neither is known.

    Parameters
    ----------
    head, scores
        The output of `answering_output` and its numbers for the sample, if there are any.
    """
    parts = []
    if head is not None and scores is not None and np.isfinite(scores).any():
        parts.append(f"predicted {predicted_class(capture, head, scores)}")
    label = capture.label(index)
    if label is not None:
        parts.append(f"label {class_name(capture.classes, label)}")
    return " · ".join(parts)
