"""One sentence on what interventions do to the answer of a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.provenance import answering_output
from nnviz3d.data.axes import unit_word
from nnviz3d.data.capabilities.interventions import Intervention
from nnviz3d.data.reader import CaptureReader
from nnviz3d.scene.colors import score
from nnviz3d.scene.context import class_name, predicted_of_two, top_classes


def changed_answer(
    capture: CaptureReader,
    interventions: Sequence[Intervention],
    head: str,
    before: NDArray[np.float32],
    after: NDArray[np.float32],
) -> str:
    """Say what interventions do to a model's answer: a class with its score, or the only number of its output.

    Parameters
    ----------
    interventions
        One or more.
    head
        The output with the answer.
    before, after
        Its numbers without and with the interventions, ``(K,)``.

    Returns
    -------
    One sentence; empty if the output is a list of numbers that are no scores of classes.
    """
    is_scores = answering_output(capture) == head
    if not is_scores and before.size != 1:
        return ""
    change = _told(capture, interventions)
    if not np.isfinite(after).all():
        return f"{change}, the output of {head} is not finite."
    if not np.isfinite(before).all():
        return f"{change}, the output of {head} is finite; without it, it is not."
    if not is_scores:
        return f"{change}, the output {_from_to('', before[0], after[0])}."
    first, of_first = _answer(capture, head, before)
    second, of_second = _answer(capture, head, after)
    if first == second:
        return f"{change}, the answer {_from_to(first, before[of_first], after[of_second])}."
    return (
        f"{change}, the answer changes from {first} ({score(float(before[of_first]))}) "
        f"to {second} ({score(float(after[of_second]))})."
    )


def _answer(capture: CaptureReader, head: str, values: NDArray[np.float32]) -> tuple[str, int]:
    """Return the predicted class, and which of the output's numbers says so."""
    best = top_classes(values, 1)[0]
    of_two = predicted_of_two(capture, head, float(values[0])) if values.size == 1 else None
    return of_two or class_name(capture.classes, best), best


def _from_to(name: str, before: np.float32, after: np.float32) -> str:
    first, second = score(float(before)), score(float(after))
    if name:
        return f"stays {name} ({first})" if first == second else f"stays {name} ({first} → {second})"
    return f"stays {first}" if first == second else f"goes from {first} to {second}"


def _told(capture: CaptureReader, interventions: Sequence[Intervention]) -> str:
    """Return the beginning of the sentence: without a muted channel, or with the changes."""
    if len(interventions) > 1:
        return f"With these {len(interventions)} changes"
    (one,) = interventions
    if one.action != "mute" or one.unit is None or one.reader:
        return "With this change"
    return f"Without {unit_word(capture.graph.node(one.layer).axes)} {one.unit} of {one.layer}"
