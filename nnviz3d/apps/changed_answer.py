"""One sentence on what interventions do to the answer of a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.provenance import answering_output
from nnviz3d.data.axes import unit_word
from nnviz3d.data.capabilities.interventions import Intervention
from nnviz3d.data.reader import CaptureReader
from nnviz3d.scene.class_names import predicted_class
from nnviz3d.scene.colors import score


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
    # The highest score is that of the predicted class; a single number is it itself.
    was, now = score(float(before.max())), score(float(after.max()))
    if not is_scores:
        return f"{change}, the output stays {was}." if was == now else f"{change}, the output goes from {was} to {now}."
    first, second = predicted_class(capture, head, before), predicted_class(capture, head, after)
    if first != second:
        return f"{change}, the answer changes from {first} ({was}) to {second} ({now})."
    return f"{change}, the answer stays {first} ({was if was == now else f'{was} → {now}'})."


def _told(capture: CaptureReader, interventions: Sequence[Intervention]) -> str:
    """Return the beginning of the sentence: without a muted channel, or with the changes."""
    if len(interventions) > 1:
        return f"With these {len(interventions)} changes"
    (one,) = interventions
    if one.action != "mute" or one.unit is None or one.reader:
        return "With this change"
    return f"Without {unit_word(capture.graph.node(one.layer).axes)} {one.unit} of {one.layer}"
