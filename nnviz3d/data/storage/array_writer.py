"""Interface through which arrays are written into a capture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnviz3d.data.axes import Axes


class GroupWriter(Protocol):
    """The methods of `CaptureWriter` that write groups and whole arrays."""

    def whole(self, path: str, values: NDArray[Any]) -> None:
        """Write a whole array in its own type."""
        ...

    def group(self, path: str, attributes: Mapping[str, Any]) -> None:
        """Make a group with attributes, before anything in it is written."""
        ...


class ArrayWriter(GroupWriter, Protocol):
    """The methods of `CaptureWriter` that write any array."""

    def rows(self, path: str, start: int, values: NDArray[Any], axes: Axes = ()) -> None:
        """Write samples from ``start`` on of an array whose first axis is samples; real numbers as ``float32``.

        Parameters
        ----------
        axes
            Names of the other axes, for readers of Zarr such as xarray; ignored if their number does not fit.
        """
        ...

    def write_numbers(self, path: str, node_id: str, output: int, start: int, values: NDArray[Any]) -> None:
        """Write numbers of an output of a node, or gradients by it, ``(n, *shape)``."""
        ...

    def axes_of(self, node_id: str, output: int = 0) -> Axes:
        """Return the names of the axes of one sample of a node's output."""
        ...
