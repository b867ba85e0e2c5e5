"""Access to the numbers of a compared model through any reader of the capture that is shown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.counterpart import Counterpart
from nnviz3d.data.grouped_capture import GroupedCapture, without_groups
from nnviz3d.data.reader import CaptureReader
from nnviz3d.errors import CaptureError


def counterpart_of(capture: CaptureReader) -> Counterpart | None:
    """Return the model with which a capture is compared; `None` if there is none."""
    whole = without_groups(capture)
    return whole.counterpart if isinstance(whole, CaptureSeries) else None


def has_counterpart(capture: CaptureReader, sample: int, node_id: str | None = None) -> bool:
    """Whether the compared model has numbers for a sample, or for one of its nodes."""
    whole = without_groups(capture)
    if not isinstance(whole, CaptureSeries) or whole.counterpart is None:
        return False
    try:
        found, own = whole.counterpart_of(sample)
    except CaptureError:
        return False
    return found.holds(own, *(() if node_id is None else _original(capture, node_id)))


def inputs_differ(capture: CaptureReader, sample: int) -> bool:
    """Whether the compared model was run on another input than that of a sample: on another file of its name, say."""
    whole = without_groups(capture)
    if not isinstance(whole, CaptureSeries) or not has_counterpart(whole, sample):
        return False
    found, own = whole.counterpart_of(sample)
    return not found.same_input(whole, sample, found.index_of(own))


def counterpart_activation(capture: CaptureReader, node_id: str, sample: int) -> NDArray[np.float32]:
    """Read the compared model's numbers of a node's first output for one sample, ``shape``.

    Parameters
    ----------
    node_id
        A node of the shown graph; a closed group shows the numbers of its last node.

    Raises
    ------
    CaptureError
        If there is no compared model, it was not run on this sample, or this node was left out of its capture.
    """
    whole = without_groups(capture)
    if not isinstance(whole, CaptureSeries):
        raise CaptureError(f"{capture.path.name} is compared with no other model; --against names one.")
    found, own = whole.counterpart_of(sample)
    name, output = _original(capture, node_id)
    if found.holds(own) and not found.holds(own, name, output):
        raise CaptureError(f"{found.name} was captured without the numbers of {name}; capture it without --keep.")
    return found.activation(name, own, output)


def _original(capture: CaptureReader, node_id: str) -> tuple[str, int]:
    """Return the captured node and the index of its output whose numbers a node of the shown graph has."""
    return capture.original(node_id) if isinstance(capture, GroupedCapture) else (node_id, 0)
