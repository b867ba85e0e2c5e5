"""True outputs of the samples, such as the masks of a segmentation, as stored in a capture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.graph import LayerNode, ModelGraph, Shape
from nnviz3d.data.storage import schema

if TYPE_CHECKING:
    from nnviz3d.data.storage.array_writer import ArrayWriter
    from nnviz3d.data.storage.zarr_reader import StoredArrays


def write_truth(writer: ArrayWriter, graph: ModelGraph, truth: NDArray[Any], start: int = 0) -> None:
    """Write the true output of samples from ``start`` on, if it fits exactly one output; else write nothing.

    Parameters
    ----------
    truth
        ``(n, *shape)`` with the shape of an output, or ``(n, *locations)`` with one number or class for each location.
    """
    fitting = [name for name in graph.outputs if _fits(truth.shape[1:], graph.node(name))]
    if len(fitting) == 1:
        writer.rows(schema.truth_path(fitting[0]), start, truth)


def read_truth(stored: StoredArrays, node_id: str, sample: int) -> NDArray[Any] | None:
    """Read the true value of an output for one sample, with or without an axis of channels; `None` if it is unknown.

    Raises
    ------
    CaptureError
        If there is no such sample, or the array is damaged.
    """
    array = stored.find(schema.truth_path(node_id))
    if array is None:
        return None
    node = stored.graph.node(node_id)
    if not _fits(array.shape[1:], node):
        raise stored.damaged(f"{schema.truth_path(node_id)} has the shape {array.shape[1:]}, the output {node.shape}")
    return np.asarray(stored.sample(array, sample))


def _fits(truth: tuple[int, ...], output: LayerNode) -> bool:
    """Whether a true value has the shape of an output with locations, with all its channels or with one number each."""
    if len(output.shape) < 2:
        return False
    wanted: tuple[Shape, ...] = (output.shape, output.location_shape, (*output.location_shape, 1))
    return any(
        len(truth) == len(shape) and all(n is None or n == m for n, m in zip(shape, truth, strict=True))
        for shape in wanted
    )
