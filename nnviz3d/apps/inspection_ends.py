"""Inputs and outputs of a model for `inspect`: the numbers of one sample, and the words that name what can be explained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.target_words import map_targets
from nnviz3d.scene.class_names import is_classifier, top_classes, two_classes
from nnviz3d.scene.colors import number
from nnviz3d.scene.context import head_of

_MOST = 3
"""Most targets that a line lists with their values."""
_LISTED = 6
"""Most tokens or columns that a line lists."""


def inputs_of(capture: CaptureReader, sample: int) -> list[dict[str, Any]]:
    """Describe the model's inputs.

    Returns
    -------
    For each input: ``id``, ``shape``, ``min`` and ``max`` of the sample's numbers (`None` for text or if they were not
    captured), ``tokens`` along its time axis, or into which its text is split, and ``columns``, the names of its units.
    """
    found = []
    for node_id in capture.graph.inputs:
        low, high = _range(capture, node_id, sample)
        # Tokens of text are those of the layer that makes them. A training without probe samples has no samples.
        named = node_id if capture.has_activations(node_id) else None
        tokens = capture.tokens(sample, named) if capture.committed else None
        columns = capture.unit_names(node_id)
        found.append(
            {
                "id": node_id,
                "shape": list(capture.graph.node(node_id).shape),
                "min": low,
                "max": high,
                "tokens": None if tokens is None else list(tokens),
                "columns": None if columns is None else list(columns),
            }
        )
    return found


def targets_of(capture: CaptureReader, sample: int) -> list[dict[str, Any]]:
    """Describe what can be explained of each output.

    Returns
    -------
    For each output: ``output``, its ``shape``, ``min`` and ``max`` of the sample's numbers, ``kind`` (``classes``, ``two
    classes``, ``map`` or ``numbers``), ``count`` of the targets, ``words``, the first and the last word for ``--class`` or
    all names of classes, and ``largest``: words and values of the largest targets, of a map their means.
    """
    graph, head = capture.graph, head_of(capture.graph)
    maps = map_targets(graph)
    found = []
    for node_id in graph.outputs:
        node = graph.node(node_id)
        low, high = _range(capture, node_id, sample)
        values = None
        if capture.has_activations(node_id):
            values = np.asarray(capture.activation(node_id, sample), np.float64)
        two = two_classes(capture, node_id) if node_id == head else None
        over = [target for target in maps if target.output == node_id]
        kind, count = "numbers", node.size
        words = [f"{node_id}[{i}]" for i in (0, count - 1)] if count > 1 else [node_id]
        flat = None if values is None else values.reshape(-1)
        if two is not None:
            kind, count, words = "two classes", 2, list(two)
            flat = None if flat is None else np.array([1 - flat[0], flat[0]])
        elif over:
            kind, count = "map", len(over)
            words = _class_words(capture, count)
            index = [tuple(slice(*span) for span in target.spans) for target in over]
            flat = None if values is None else np.array([values[part].mean() for part in index])
        elif node_id == head and count > 1:
            kind = "classes" if is_classifier(capture, node_id) else kind
            words = _class_words(capture, count)
        found.append(
            {
                "output": node_id,
                "shape": list(node.shape),
                "min": low,
                "max": high,
                "kind": kind,
                "count": count,
                "words": words,
                "largest": [] if flat is None else _largest(flat, words, node_id, plain=node_id == head or bool(over)),
            }
        )
    return found


def lines_of(inputs: Sequence[dict[str, Any]], targets: Sequence[dict[str, Any]]) -> list[str]:
    """Write inputs and targets as lines for the terminal."""
    lines = ["", "inputs:"]
    for one in inputs:
        columns = one["columns"] if one["columns"] != [one["id"]] else None
        parts = [f"  {one['id']}: {_shape(one['shape'])}", _between(one)]
        for name, given in (("tokens", one["tokens"]), ("columns", columns)):
            listed = [word for word in given or () if word]
            if listed:
                parts.append(f"{name} {', '.join(listed[:_LISTED])}{', ...' * (len(listed) > _LISTED)}")
        lines.append("; ".join(filter(None, parts)))
    lines.append("outputs, and the targets for --class:")
    for one in targets:
        largest = ", ".join(f"{word} = {number(value)}" for word, value in one["largest"])
        told = f"largest: {largest}" if len(one["largest"]) > 1 else ""
        parts = [f"  {one['output']}: {_shape(one['shape'])}", _between(one), _explainable(one), told]
        lines.append("; ".join(filter(None, parts)))
    return lines


def _explainable(one: dict[str, Any]) -> str:
    """Write what can be explained of an output."""
    words, count = one["words"], one["count"]
    every = len(words) == count
    listed = f": {', '.join(words[:_LISTED])}{', ...' * (count > _LISTED)}" if every else f", {words[0]} to {words[-1]}"
    match one["kind"]:
        case "classes":
            return f"{count:,} classes{listed}"
        case "two classes":
            return f"2 classes{listed}, told apart by one number; {words[0]} is explained as its negative"
        case "map":
            return f"{count:,} classes{listed}, each over the whole map, or a part as in {one['output']}[2:9,4:8,0]"
    return words[0] if count == 1 else f"{count:,} numbers, {words[0]} to {words[-1]}"


def _class_words(capture: CaptureReader, count: int) -> list[str]:
    """Return the names of the classes, or the first and the last number if they have none."""
    named = capture.classes is not None and len(capture.classes) == count
    return list(capture.classes or ()) if named else [str(i) for i in (0, count - 1)[: max(1, min(count, 2))]]


def _largest(values: Any, words: Sequence[str], output: str, *, plain: bool) -> list[tuple[str, float]]:
    """Return the words and values of the largest targets."""
    every = len(words) == len(values)
    found = [i for i in top_classes(np.asarray(values), _MOST) if np.isfinite(values[i])]
    return [(words[i] if every else str(i) if plain else f"{output}[{i}]", float(values[i])) for i in found]


def _range(capture: CaptureReader, node_id: str, sample: int) -> tuple[float | None, float | None]:
    if not capture.has_activations(node_id):
        return None, None
    values = np.asarray(capture.activation(node_id, sample))
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (None, None)


def _shape(shape: Sequence[int | None]) -> str:
    return " × ".join("?" if n is None else f"{n:,}" for n in shape) or "scalar"


def _between(one: dict[str, Any]) -> str:
    if one["min"] is None:
        return ""
    return number(one["min"]) if one["min"] == one["max"] else f"{number(one['min'])} to {number(one['max'])}"
