"""Attention scores: each attention layer's weights from every query to every key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnviz3d.data.storage.schema import split_id

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nnviz3d.data.storage.array_writer import ArrayWriter
    from nnviz3d.data.storage.zarr_reader import StoredArrays


def attention_path(node_id: str) -> str:
    """Return the array of an attention layer's scores, ``(N, heads, T, S)``."""
    path, call = split_id(node_id)
    return f"attention/{path}/@{call}"


def has_attention(stored: StoredArrays, node_id: str) -> bool:
    """Whether the scores of an attention layer were captured."""
    return stored.find(attention_path(node_id)) is not None


def read_attention(stored: StoredArrays, node_id: str, sample: int) -> NDArray[np.float32] | None:
    """Read the scores of an attention layer, ``(heads, T, S)``; `None` if they were not captured.

    Each row, over S, adds up to 1.
    """
    array = stored.find(attention_path(node_id), (None, None, None, None))
    return None if array is None else stored.sample(array, sample)


def write_attention(writer: ArrayWriter, node_id: str, start: int, values: NDArray[Any]) -> None:
    """Write the scores of an attention layer for samples ``start`` and on: ``(n, heads, T, S)``."""
    writer.rows(attention_path(node_id), start, values)
