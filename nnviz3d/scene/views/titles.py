"""The title of a picture: the sample, the answer of the model, the preprocessing and the notes on the sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nnviz3d.data.axes import Axes
from nnviz3d.data.files.picture_arrays import PictureShape
from nnviz3d.data.note_words import told_elsewhere
from nnviz3d.data.preprocessing_words import short_meaning
from nnviz3d.scene.camera import Margins
from nnviz3d.scene.class_names import class_name
from nnviz3d.scene.colors import ValueStatistics, number
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.panel_rows import TextRow, text_height
from nnviz3d.scene.primitives import Panel

_INPUTS = 4
"""Maximum number of inputs whose ranges are written."""

_SHARE, _EDGE, _NARROWEST = 0.7, 17.0, 100.0
"""Width of a title as a share of the picture's, its edge, and its least width, in pixels of a picture 720 high."""
_BELOW, _LOWEST = 0.018, 0.3
"""Free height below a title, and the lowest end of the margin above a network, as shares of the picture's height."""


def title_panel(context: SceneContext, sample: int, answer: str | None = None) -> Panel:
    """Return the title: the sample, its label, the answer; below, the preprocessing, the inputs' ranges and the notes.

    Words need no preprocessing, so that their picture says nothing about it.
    """
    capture = context.capture
    words = [f"input {capture.sample_name(sample)}"]
    label = capture.label(sample)
    if label is not None:
        words.append(f"labelled {class_name(capture.classes, label)}")
    if answer is not None:
        words.append(answer)
    mode, _ = capture.preprocessing(sample)
    records = capture.step_records
    step = (
        []
        if records is None or records.probe_step is None
        else [f"activations recorded after training step {records.probe_step:,}"]
    )
    text = mode == "none" and capture.tokens(sample) is not None
    meaning = [] if text else [short_meaning(mode)]
    notes = (note.rstrip(".") for note in capture.provenance.notes_of(sample) if not told_elsewhere(note))
    facts = " · ".join([*step, *meaning, *_ranges(context, sample), *notes])
    below = (TextRow(facts, "quiet"),) if facts else ()
    return Panel("title", "top-left", (TextRow(" · ".join(words)), *below))


def margins_below(rows: Sequence[TextRow], aspect: float, margins: Margins) -> Margins:
    """Return margins whose upper one has room for a title with these rows in a picture with this aspect."""
    wide = max(_SHARE * 720 * aspect - 2 * _EDGE, _NARROWEST)
    top = (text_height(rows, wide) + 2 * _EDGE) / 720 + _BELOW
    return replace(margins, top=max(margins.top, min(top, _LOWEST)))


def range_text(statistics: ValueStatistics) -> str:
    """Write the smallest and the largest finite number of a tensor: ``0 … 255``; if both are equal, that number."""
    low, high = number(statistics.low), number(statistics.high)
    return low if statistics.low == statistics.high else f"{low} … {high}"


def is_picture(shape: tuple[int, ...], axes: Axes) -> bool:
    """Whether a tensor is drawn as a picture: with rows, columns and one, three or four channels."""
    return PictureShape.of(shape, axes) is not None if axes else False


def _ranges(context: SceneContext, sample: int) -> list[str]:
    """Write the range of each input that was given as an array; a photo's pixels need none, and tokens have none."""
    found = []
    for name in context.graph.inputs:
        capture = context.capture
        if not capture.has_activations(name) or capture.picture(name, sample) is not None:
            continue
        values = context.values(name, sample)
        if values.statistics.count < 2 or capture.tokens(sample, name) is not None:
            continue
        drawn = ", drawn from black to white" if is_picture(values.grid.shape, values.grid.axes) else ""
        if not np.isfinite(values.values).any():
            found.append(f"{context.graph.node(name).name} holds no finite number")
            continue
        of = f" of {context.graph.node(name).name}" if len(context.graph.inputs) > 1 else ""
        found.append(f"numbers{of} {range_text(values.statistics)}{drawn}")
    more = len(found) - _INPUTS
    return [*found[:_INPUTS], f"and {more:,} more inputs"] if more > 0 else found
