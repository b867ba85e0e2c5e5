"""The receptive field of a picked cell in the layers that a scene shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nnviz3d.analysis.receptive_field import LayerField, receptive_field
from nnviz3d.data.grouped_capture import originals, without_groups
from nnviz3d.data.reader import CaptureReader
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.primitives import Span, vector
from nnviz3d.scene.selection import CellPick


@dataclass(frozen=True, eq=False)
class CellField:
    """The receptive field of a cell.

    Attributes
    ----------
    layers
        The field in each shown layer that the cell depends on, in the order of the graph; without the cell's own layer.
    own
        The cell, as the field in its own layer.
    """

    layers: Mapping[str, LayerField]
    own: LayerField

    @property
    def unclear(self) -> str | None:
        """A layer that does not say which numbers it reads; `None` if the whole field is exact."""
        return next((field.unclear for field in self.layers.values() if field.unclear is not None), None)


def known_shapes(capture: CaptureReader) -> dict[str, tuple[int, ...]] | None:
    """Return the shape of each node's first output, without the sample axis; `None` if a length is not known."""
    shapes: dict[str, tuple[int, ...]] = {}
    for node in capture.graph:
        known = capture.activation_shape(node.id) if capture.has_activations(node.id) else node.shape
        if any(n is None for n in known):
            return None
        shapes[node.id] = tuple(int(n or 0) for n in known)
    return shapes


def field_of(context: SceneContext, pick: CellPick) -> CellField | None:
    """Return the receptive field of a cell, or of all channels of a location; `None` if lengths are not known.

    It is found in the network with all groups open; a closed group has the field of the layer whose numbers it shows.
    """
    capture, shown = without_groups(context.capture), originals(context.capture)
    shapes = known_shapes(capture)
    if shapes is None:
        return None
    name, grid = shown.get(pick.layer, pick.layer), context.placement(pick.layer).grid
    index: tuple[int | None, ...] = pick.index
    if len(pick.index) < len(grid.shape):
        ends = zip(grid.full(pick.index, 0), grid.full(pick.index, 1), strict=True)
        index = tuple(a if a == b else None for a, b in ends)  # the axis of the channels has two values
    if len(index) != len(shapes[name]):
        return None
    found = receptive_field(capture.graph, shapes.__getitem__, name, index)
    layers = {node.id: found[shown[node.id]] for node in context.graph if shown.get(node.id) in found}
    own = layers.pop(pick.layer)
    return CellField(layers, own)


def span_of_field(context: SceneContext, layer: str, field: LayerField) -> Span:
    """Return the box of the world around the cells of a field."""
    placement = context.placement(layer)
    grid = placement.grid
    if len(grid.shape) == 1:
        flat = np.flatnonzero(field.positions[0])
    else:
        low, high = ([side[k] - k for side in field.box] for k in (0, 1))
        flat = np.array([np.ravel_multi_index(tuple(end), grid.shape) if grid.shape else 0 for end in (low, high)])
    cells = grid.cells(flat.astype(np.int64))
    origin = np.array(placement.origin) + cells.min(axis=0) * placement.cell
    size = (cells.max(axis=0) - cells.min(axis=0) + 1) * np.array(placement.cell)
    return Span(vector(origin), vector(size))
