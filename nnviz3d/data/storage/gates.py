"""Gates and states of recurrent layers, as stored in a capture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nnviz3d.data.axes import TIME, axes_of
from nnviz3d.data.storage import schema
from nnviz3d.data.storage.axis_names import read_names

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nnviz3d.data.storage.array_writer import ArrayWriter
    from nnviz3d.data.storage.zarr_reader import StoredArrays


def write_gates(writer: ArrayWriter, node_id: str, start: int, gates: Mapping[str, NDArray[Any]]) -> None:
    """Write a recurrent layer's gates for samples from ``start`` on, ``(n, T, *shape)`` each, by name."""
    path = schema.gate_path(node_id)
    if start == 0 and gates:
        writer.group(path, {"names": list(gates)})
    for i, values in enumerate(gates.values()):
        writer.rows(f"{path}/{i}", start, values, (TIME, *axes_of(values.shape[2:])))


def read_gates(stored: StoredArrays, node_id: str, sample: int) -> dict[str, NDArray[np.float32]]:
    """Read a recurrent layer's gates for one sample, ``(T, *shape)`` each, by name; empty if none were captured.

    Raises
    ------
    CaptureError
        If there is no such sample, or the gates are damaged.
    """
    stored.checked(sample)
    path = schema.gate_path(node_id)
    if node_id not in stored.graph or not stored.has_group(path):
        return {}
    names = read_names(stored, path, "names")
    return {name: stored.sample(stored.require(f"{path}/{i}"), sample) for i, name in enumerate(names)}
