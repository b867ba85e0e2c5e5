"""Names of classes and targets for users, and which class an output predicts."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data import target_words
from nnviz3d.data.axes import channel_axis
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.targets import LOSS, Target


def name_of_target(capture: CaptureReader, target: Target) -> str:
    """Return the name of one number of an output for users: its class, or its position in the output."""
    if target == LOSS:
        return "the loss"
    two = two_classes(capture, target.output)
    if two is not None:
        return two[0 if target.against else 1]
    node = capture.graph.node(target.output)
    if target.region:
        return name_of_region(capture, target)
    if is_classifier(capture, node.id) and len(node.shape) < 2:
        name = class_name(capture.classes, target.index)
    else:
        name = f"{target.output}[{target.index}]" if node.size > 1 else target.output
    return f"not {name}" if target.against else name


def name_of_region(capture: CaptureReader, target: Target) -> str:
    """Return the name of the mean over a part of an output: of a whole channel its class, else its index."""
    node = capture.graph.node(target.output)
    at = channel_axis(node.axes)
    channel = None if at is None or len(target.spans) != len(node.axes) else target.spans[at]
    name = f"{target.output}[{target.region}]"
    named = capture.classes is not None and len(capture.classes) == node.channels
    if named and channel is not None and channel[0] is not None and channel[1] == channel[0] + 1:
        others = [span for i, span in enumerate(target.spans) if i != at]
        place = ",".join(f"{'' if a is None else a}:{'' if b is None else b}" for a, b in others)
        whole = all(span == (None, None) for span in others)
        name = class_name(capture.classes, channel[0]) + ("" if whole else f" [{place}]")
    return f"not {name}" if target.against else name


def two_classes(capture: CaptureReader, output: str) -> tuple[str, str] | None:
    """Return the names of the two classes of a binary output: the class for 0, then the class for 1."""
    return target_words.two_classes(capture.graph, capture.classes, output)


def predicted_of_two(capture: CaptureReader, output: str, value: float) -> str | None:
    """Return the class, one of two, that a single probability predicts; `None` for any other number."""
    two = two_classes(capture, output)
    if two is None or capture.graph.node(output).activation != "sigmoid" or math.isnan(value):
        return None
    return two[value > 0.5]


def predicted_class(capture: CaptureReader, output: str, scores: NDArray[np.float32]) -> str:
    """Return the name of the class that an output's scores, or its single probability, predict."""
    of_two = predicted_of_two(capture, output, float(scores.flat[0])) if scores.size == 1 else None
    return of_two or class_name(capture.classes, top_classes(scores, 1)[0])


def is_classifier(capture: CaptureReader, head: str) -> bool:
    """Whether an output's numbers are scores of classes: it ends in a softmax, or the classes have names."""
    node = capture.graph.node(head)
    named = capture.classes is not None and len(capture.classes) == node.size
    return node.size > 1 and (named or node.activation == "softmax" or node.kind == "Softmax")


def top_classes(scores: NDArray[np.float32], count: int) -> list[int]:
    """Return the indices of the largest scores, the largest first; NaN last."""
    order = np.argsort(np.where(np.isnan(scores), math.inf, -scores), kind="stable")
    return [int(i) for i in order[:count]]


def class_name(classes: tuple[str, ...] | None, index: int) -> str:
    """Return a class's name, or its number if it has none."""
    return classes[index] if classes is not None and index < len(classes) else f"class {index}"
