"""Writer of the arrays of a capture under construction."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.axes import Axes, axes_of
from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.storage import schema
from nnviz3d.data.storage.zarr_writers import Sink
from nnviz3d.errors import CaptureError, UserError

_LARGEST = 65504
"""The largest number of float16."""


class RowsWriter:
    """Writes the arrays of a capture.

    Parameters
    ----------
    sink
        The Zarr store.
    graph
        The graph, which names the axes.
    samples
        N: number of samples.
    kept
        The nodes whose numbers are written; `None` means all.
    float16
        Whether the numbers of nodes, and gradients by them, are rounded to float16.
    """

    def __init__(
        self,
        sink: Sink,
        graph: ModelGraph,
        samples: int,
        kept: Collection[str] | None = None,
        *,
        float16: bool = False,
    ) -> None:
        self._sink = sink
        self._graph = graph
        self.samples = samples
        self._kept = kept
        self._float16 = float16
        self._groups: set[str] = set()

    def keeps(self, node_id: str) -> bool:
        """Whether the numbers of a node belong in the capture."""
        return self._kept is None or node_id in self._kept

    def write_activations(self, node_id: str, output: int, start: int, values: NDArray[Any]) -> None:
        """Write one output of a node for samples from ``start`` on; values ``(n, *shape)``."""
        self.write_numbers(schema.activation_path(node_id, output), node_id, output, start, values)

    def write_numbers(self, path: str, node_id: str, output: int, start: int, values: NDArray[Any]) -> None:
        """Write numbers of an output of a node, or gradients by it, ``(n, *shape)``; real ones are rounded if that is set.

        Raises
        ------
        UserError
            If a number is too large for float16.
        """
        stored = as_stored(values)
        if self._float16 and stored.dtype == np.float32:
            finite = np.abs(stored, where=np.isfinite(stored), out=np.zeros_like(stored))
            if finite.size and finite.max() > _LARGEST:
                what = "a gradient" if path.startswith("gradients/") else "a number"
                raise UserError(
                    f"{node_id} has {what} of size {float(finite.max()):,.0f}, and float16 ends at {_LARGEST:,}; capture "
                    "without --float16."
                )
            stored = as_float16(stored)
        self._rows(path, start, stored, self.axes_of(node_id, output))

    def write_input(self, name: str, start: int, values: NDArray[Any]) -> None:
        """Write the array that an input of the model was given, ``(n, *shape)``."""
        self.rows(schema.input_path(name), start, values, self.axes_of(name))

    def write_pictures(self, name: str, values: NDArray[np.uint8], start: int = 0) -> None:
        """Write samples from ``start`` on as pictures for people, ``(n, H, W, 3)`` uint8."""
        self.rows(schema.picture_path(name), start, values, ("row", "column", "color"))

    def write_labels(self, labels: NDArray[np.integer[Any]]) -> None:
        """Write the true class of each sample, ``(N,)``."""
        self.rows("labels", 0, np.asarray(labels, dtype=np.int64))

    def write_weights(self, layer: str, variable: str, values: NDArray[Any]) -> None:
        """Write one variable of a layer."""
        self.whole(schema.weight_path(layer, variable), as_stored(values))

    def rows(self, path: str, start: int, values: NDArray[Any], axes: Axes = ()) -> None:
        """Write samples from ``start`` on of an array whose first axis is samples; real numbers as ``float32``.

        Parameters
        ----------
        axes
            Names of the other axes, for readers of Zarr such as xarray; ignored if their number does not fit.
        """
        self._rows(path, start, as_stored(values), axes)

    def _rows(self, path: str, start: int, values: NDArray[Any], axes: Axes) -> None:
        self.group(path.rpartition("/")[0])
        others = axes if len(axes) == values.ndim - 1 else (None,) * (values.ndim - 1)
        self._sink.write(path, self.samples, start, values, ("sample", *others))

    def axes_of(self, node_id: str, output: int = 0) -> Axes:
        """Return the names of the axes of one sample of a node's output; none for an unknown one."""
        node = self._graph.node(node_id) if node_id in self._graph else None
        if node is None or output >= len(node.shapes):
            return ()
        shape, named = node.shapes[output], node.named_axes_of(output)
        return named if len(named) == len(shape) else axes_of(shape)

    def whole(self, path: str, values: NDArray[Any]) -> None:
        """Write a whole array in its own type."""
        self.group(path.rpartition("/")[0])
        self._sink.put(path, values)

    def group(self, path: str, attributes: Mapping[str, Any] | None = None) -> None:
        """Make a group and its missing parents; attributes can be given only with the first call for a path."""
        if path in self._groups and attributes:
            raise CaptureError(f"{path} exists already; its attributes must be written before its content.")
        if path and path not in self._groups:
            self.group(path.rpartition("/")[0])
            self._sink.group(path, attributes or {})
            self._groups.add(path)


def as_float16(values: NDArray[Any]) -> NDArray[Any]:
    """Round float32 to float16; other numbers are unchanged."""
    with np.errstate(over="ignore", under="ignore"):
        return values.astype(np.float16) if values.dtype == np.float32 else values


def as_stored(values: NDArray[Any]) -> NDArray[Any]:
    """Convert an array to the type in which it is stored: float32; integers and bytes are unchanged.

    bfloat16 and float16 become float32 exactly; float64 is rounded.
    """
    values = np.asarray(values)
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    if values.dtype.kind in "iu":
        return values
    if values.dtype == object:
        raise CaptureError("An array of Python objects cannot be stored; expected numbers.")
    return np.ascontiguousarray(values, dtype=np.float32)
