"""Numbers of layers that are stored as float16, half the size of float32 and exact to about three digits."""

from __future__ import annotations

import numpy as np

from nnviz3d.data.grouped_capture import GroupedCapture
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.storage import schema


def is_rounded(capture: CaptureReader, node_id: str, sample: int = 0) -> bool:
    """Whether the numbers of a node were rounded to float16 when they were stored."""
    name, output = capture.original(node_id) if isinstance(capture, GroupedCapture) else (node_id, 0)
    if not 0 <= sample < capture.committed:
        return False
    array = capture.stored_sample(sample)[0].find(schema.activation_path(name, output))
    return array is not None and array.dtype == np.float16
