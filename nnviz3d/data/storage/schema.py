"""Names and rules of the capture on disk, which the writer and the reader share.

A capture is a Zarr v3 group. Arrays stand at ``<kind>/<path>/@<call>/<k>``, k the index of the output, so that a
path may be another's prefix and a layer may have several outputs.
"""

from __future__ import annotations

import math

FORMAT = "nnviz3d-capture"
VERSION = 1
CHUNK_BYTES = 16 * 2**20
"""No chunk is larger: one sample or one step of a big tensor, or a part of it."""
SERIES_BYTES = 2**20
"""Samples of small tensors share a chunk up to this size, so that a thousand samples are not a thousand files."""


TRAINING = "training"
"""The group of all that was recorded of a training. Its attribute ``committed`` is written last."""
TRAINING_PARTS = ("steps", "probes", "weights", "embedded")
"""What ``committed`` counts there: recorded steps; those with the probe samples' tensors; those with all weights; those
with what one layer answers to the samples that are placed as points."""
EMBEDDED = f"{TRAINING}/embedded"
"""The group of what is known of these samples before the first step."""
COURSE = f"{EMBEDDED}/course"
"""The group of where they stand as points, if that was written down."""


def split_id(node_id: str) -> tuple[str, int]:
    """Take a node id apart: ``block/conv@1`` is the second call of ``block/conv``."""
    path, at, call = node_id.rpartition("@")
    return (path, int(call)) if at and call.isdigit() else (node_id, 0)


def activation_path(node_id: str, output: int = 0) -> str:
    """Where one output of a node is stored: ``activations/block/conv/@0/0``."""
    path, call = split_id(node_id)
    return f"activations/{path}/@{call}/{output}"


def connection_path(source: str, target: str) -> str:
    """Where the strongest connections of a pair are stored, by every ranking."""
    (a, i), (b, j) = split_id(source), split_id(target)
    return f"connections/{a}/@{i}/{b}/@{j}"


def weight_path(layer: str, variable: str) -> str:
    """Where one of a layer's variables is stored."""
    return f"weights/{layer}/@0/{variable}"


def input_path(name: str) -> str:
    """Where what the model was fed through one of its inputs is stored."""
    return f"inputs/{name}"


def picture_path(name: str) -> str:
    """Where the samples stand as people would look at them: ``(N, H, W, 3)`` uint8, before preprocessing."""
    return f"pictures/{name}"


def training_path(name: str) -> str:
    """Where one packed series of a training is stored, a row for each step that it tells of."""
    return f"{TRAINING}/{name}"


def chunks_for(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Cut an array whose first axis is samples into chunks of one sample, or several where they are small.

    Parameters
    ----------
    shape
        ``(N, *sample_shape)``.
    itemsize
        Bytes of one number.
    """
    if not shape:
        return ()
    sample = math.prod(shape[1:]) * itemsize
    if sample <= CHUNK_BYTES:
        return (max(1, min(shape[0], SERIES_BYTES // max(sample, 1))), *(max(1, n) for n in shape[1:]))
    chunk = [1, *shape[1:]]
    for axis in range(1, len(shape)):
        rest = math.prod(chunk[axis + 1 :]) * itemsize
        chunk[axis] = max(1, min(shape[axis], CHUNK_BYTES // max(rest, 1)))
        if rest <= CHUNK_BYTES:
            break
    return tuple(chunk)
