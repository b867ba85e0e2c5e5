"""Paths and chunk sizes of the arrays of a capture on disk, shared by the writer and the reader.

A capture is a Zarr v3 group. Arrays have paths ``<kind>/<path>/@<call>/<k>``, where k is the index of the output, so
that a path may be another's prefix and a layer may have several outputs.
"""

from __future__ import annotations

import math

FORMAT = "nnviz3d-capture"
VERSION = 2
"""Version 2 has several samples in a file, with an index (`nnviz3d.data.storage.shards`), and packed connections."""
DESCRIPTION = "zarr.json"
"""Name of the file that describes a group or an array."""
CHUNK_BYTES = 16 * 2**20
"""Largest size of a chunk: one sample or one step of a big tensor, or a part of it."""
SHARED_BYTES = 2**16
"""Largest size of a chunk that several samples share: one that reads as fast as a single small sample."""
SHARD_BYTES = 64 * 2**20
"""Largest size of a file that several samples share, unless one sample is larger."""
MOST_IN_A_SHARD = 1024
"""Largest number of samples in one file, so that many processes can share the samples."""
LEAST_COMPRESSED = 512
"""Fewest bytes for which compression is tried."""


PACKED = "connections/packed"
"""Group of the connections of all pairs; missing in captures of version 1 and of models without connections."""
TEXTS = "texts"
"""Name of the group of the texts of inputs that take text."""
TRUTHS = "truths"
"""Name of the group of the true outputs of the samples."""
TOKENS = "tokens"
"""Group of the tokens along the time axis of nodes; missing in captures of earlier versions and without text."""
UNITS = "unit_names"
"""Group of the names of units, such as the columns of a table; missing likewise."""
GATES = "gates"
"""Group of the gates of recurrent layers; missing likewise."""
OUTPUTS = "outputs"
"""Group of the outputs of embedded layers in a part of an embedding, which no finished capture has."""
TRAINING = "training"
"""Group of a recorded training. Its attribute ``committed`` is written last."""
TRAINING_PARTS = ("steps", "probes", "weights", "embedded", "epochs", "histograms", "updates")
"""Keys of ``committed``: the number of recorded steps, of steps with the tensors of the probe samples, of steps with all
weights, of steps with the outputs of the embedded samples, of recorded ends of epochs, of steps with histograms, and of
steps with the updates of single weights."""
LATER_PARTS = ("embedded", "epochs", "histograms", "updates")
"""Those that captures of earlier versions lack."""
EMBEDDED = f"{TRAINING}/embedded"
"""Group of the embedded samples, written before the first step."""
TRAJECTORY = f"{EMBEDDED}/course"
"""Group of the trajectory of their points, if it was written."""


def split_id(node_id: str) -> tuple[str, int]:
    """Split a node id into path and call: ``block/conv@1`` is the second call of ``block/conv``."""
    path, at, call = node_id.rpartition("@")
    return (path, int(call)) if at and call.isdigit() else (node_id, 0)


def activation_path(node_id: str, output: int = 0) -> str:
    """Return the path of one output of a node: ``activations/block/conv/@0/0``."""
    path, call = split_id(node_id)
    return f"activations/{path}/@{call}/{output}"


def connection_path(source: str, target: str) -> str:
    """Return the path of the strongest connections of a pair, by every ranking, in captures of version 1."""
    (a, i), (b, j) = split_id(source), split_id(target)
    return f"connections/{a}/@{i}/{b}/@{j}"


def weight_path(layer: str, variable: str) -> str:
    """Return the path of one of a layer's variables."""
    return f"weights/{layer}/@0/{variable}"


def input_path(name: str) -> str:
    """Return the path of the array that one of the model's inputs was given."""
    return f"inputs/{name}"


def picture_path(name: str) -> str:
    """Return the path of the samples as pictures: ``(N, H, W, 3)`` uint8, before preprocessing."""
    return f"pictures/{name}"


def token_path(node_id: str) -> str:
    """Return the group of the tokens along a node's time axis: ``tokens/words/@0``.

    Its attribute ``words`` lists the distinct tokens; its array ``index``, ``(N, T)``, holds for each sample and position
    the number of its word.
    """
    path, call = split_id(node_id)
    return f"{TOKENS}/{path}/@{call}"


def text_path(node_id: str) -> str:
    """Return the group of the texts that an input was given: ``texts/words/@0``, laid out like the tokens."""
    path, call = split_id(node_id)
    return f"{TEXTS}/{path}/@{call}"


def truth_path(node_id: str) -> str:
    """Return the path of the true values of an output, ``(N, *shape)``: ``truths/mask/@0``."""
    path, call = split_id(node_id)
    return f"{TRUTHS}/{path}/@{call}"


def unit_path(node_id: str) -> str:
    """Return the group of the names of a node's units, its attribute ``names``: ``unit_names/table/@0``."""
    path, call = split_id(node_id)
    return f"{UNITS}/{path}/@{call}"


def gate_path(node_id: str) -> str:
    """Return the group of a recurrent layer's gates: ``gates/lstm/@0``.

    Its attribute ``names`` lists them; its arrays ``0``, ``1`` and so on, ``(N, T, *shape)``, hold them in this order.
    """
    path, call = split_id(node_id)
    return f"{GATES}/{path}/@{call}"


def training_path(name: str) -> str:
    """Return the path of one array of a training, with one row per recorded step."""
    return f"{TRAINING}/{name}"


def samples_per_shard(samples: int, largest: int) -> int:
    """Return the number of samples in one file of an array, a power of 2.

    Parameters
    ----------
    samples
        Number of samples of the capture, or of one part of it.
    largest
        Bytes of one sample of the array, or of the largest array if all arrays have files of as many samples.
    """
    fitting = max(1, min(SHARD_BYTES // max(largest, 1), MOST_IN_A_SHARD))
    return int(min(2 ** (fitting.bit_length() - 1), 2 ** (max(samples, 1) - 1).bit_length()))


def chunks_for(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return the shape of chunks for an array of samples: one sample per chunk, or several small ones.

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
        return (max(1, min(shape[0], SHARED_BYTES // max(sample, 1))), *(max(1, n) for n in shape[1:]))
    chunk = [1, *shape[1:]]
    for axis in range(1, len(shape)):
        rest = math.prod(chunk[axis + 1 :]) * itemsize
        chunk[axis] = max(1, min(shape[axis], CHUNK_BYTES // max(rest, 1)))
        if rest <= CHUNK_BYTES:
            break
    return tuple(chunk)
