"""Find out whether the first axis of a network's sequences is time, or only a position: of a node, a point, a patch."""

from __future__ import annotations

import re

from nnviz3d.data.axes import FREQUENCY, OUTER_TIME, TIME, Axes
from nnviz3d.data.graph import LayerNode
from nnviz3d.data.grouped_capture import without_groups
from nnviz3d.data.reader import CaptureReader

POSITION = "position"
"""Name of an axis whose order no layer reads."""
_ORDERED = re.compile(r"RNN|LSTM|GRU|Spectrogram|TimeDistributed|(?<!Global)(Average|Max)Pooling1D")
"""Parts of the names of layers that read an axis step by step, or neighbouring steps of it."""


def runs_over_time(capture: CaptureReader) -> bool:
    """Whether any layer reads neighbouring steps of a sequence, so that its axis is one of time."""
    return any(_is_ordered(node) for node in without_groups(capture).graph)


def shown_axes(axes: Axes, over_time: bool) -> Axes:
    """Return the names of axes as they are shown: a position instead of a time step, if no layer reads steps in order."""
    return axes if over_time else tuple(POSITION if axis == TIME else axis for axis in axes)


def _is_ordered(node: LayerNode) -> bool:
    kernel = node.details.get("kernel_size")
    window = len(kernel) == 1 and kernel[0] != 1 if isinstance(kernel, list | tuple) else "Conv1D" in node.kind
    # These names are never a default.
    certain = OUTER_TIME in node.axes or FREQUENCY in node.axes or node.axes == (TIME,)
    return window or certain or "gates" in node.details or bool(_ORDERED.search(node.kind))
