"""Tell what a network is given: a picture, tokens, the columns of a table, or numbers."""

from __future__ import annotations

import numpy as np

from nnviz3d.data.preprocessing_words import short_meaning
from nnviz3d.data.reader import CaptureReader
from nnviz3d.scene.class_names import class_name
from nnviz3d.scene.colors import number
from nnviz3d.scene.context import shape_text

_WORDS = 12
"""Maximum number of tokens that are quoted."""
_COLUMNS = 3
"""Maximum number of columns of a table that are named."""
_INPUTS = 3
"""Maximum number of inputs that are told."""


def input_sentences(capture: CaptureReader, sample: int) -> tuple[str, ...]:
    """Return sentences on the inputs of a sample, and on its label.

    Parameters
    ----------
    capture
        The capture with all nodes.
    """
    inputs = capture.graph.inputs
    sentences = [_input(capture, name, sample) for name in inputs[:_INPUTS]]
    if len(inputs) > _INPUTS:
        sentences.append(f"{len(inputs) - _INPUTS:,} more inputs are not listed.")
    label = capture.label(sample)
    if label is not None:
        sentences.append(f"Its label is {class_name(capture.classes, label)}.")
    return tuple(sentences)


def _input(capture: CaptureReader, name: str, sample: int) -> str:
    node = capture.graph.node(name)
    several = len(capture.graph.inputs) > 1
    what = f"Input {node.name}" if several else capture.sample_name(sample)
    tokens = capture.tokens(sample, name)
    if tokens is None and not several and not capture.has_activations(name):
        tokens = capture.tokens(sample)
    if tokens is not None:
        words = [word for word in tokens if word]
        quoted = " ".join(words[:_WORDS]) + (" …" if len(words) > _WORDS else "")
        count = f"{len(words):,} token{'s' * (len(words) != 1)}"
        return f"{what}: {count}, “{quoted}”." if several else f"The text is read as {count}: “{quoted}”."
    if not capture.has_activations(name):
        return f"{what}: {shape_text(node)}."
    values = np.asarray(capture.activation(name, sample), dtype=np.float64)
    finite = values[np.isfinite(values)]
    if capture.picture(name, sample) is not None:
        mode, _ = capture.preprocessing(sample)
        scaled = "" if mode == "none" else f", {short_meaning(mode).partition(' (')[0]}"
        return f"{what}: a picture of {shape_text(node, values.shape)} numbers{scaled}."
    columns = capture.unit_names(name)
    if columns is not None and values.ndim == 1 and len(columns) == len(values):
        shown = ", ".join(
            f"{column} {number(float(value))}" for column, value in zip(columns[:_COLUMNS], values, strict=False)
        )
        more = len(columns) - _COLUMNS
        return f"{what}: {shown}" + (f", and {more:,} more columns." if more > 0 else ".")
    if not finite.size:
        return f"{what}: {shape_text(node, values.shape)} numbers, none of them finite."
    low, high = number(float(finite.min())), number(float(finite.max()))
    return f"{what}: {shape_text(node, values.shape)} numbers from {low} to {high}."
