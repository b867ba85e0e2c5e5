"""Records of the tables from which the client describes picks; `nnviz3d.client.pick_tables` makes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.derived.cell_facts import CellPixels, Words
from nnviz3d.scene.layout.cells import CellGrid
from nnviz3d.scene.primitives import Primitive, Source, Span, Vector


@dataclass(frozen=True, eq=False)
class CellWords:
    """Words about the cells of a layer, for an index of a number and for one of a location with all its channels."""

    number: Words
    location: Words


@dataclass(frozen=True, eq=False)
class CellNumbers:
    """Further numbers of a layer's cells.

    Attributes
    ----------
    values
        As cells ``(Z, Y, X)``; or, `by_location`, of the shape of the locations, or of the first axes of them.
    times_activation
        Whether they are multiplied by the activation.
    """

    name: str
    values: NDArray[np.float32]
    by_location: bool
    times_activation: bool


@dataclass(frozen=True, eq=False)
class Copies:
    """Boxes that show a location of a layer once more: the first one, and the way to the next row and column."""

    first: Span
    down: Vector
    across: Vector


@dataclass(frozen=True, eq=False)
class LayerTable:
    """Words and arrays by which the client describes and marks each cell of a layer.

    Attributes
    ----------
    grid
        The arrangement of the cells of the block.
    held
        The arrangement of this sample's numbers, whose shape may be smaller.
    channel_axis
        Position of the channel axis of the tensor; `None` if it has none.
    token_cells
        For each token the position of its row along y; empty if the layer is no sheet of tokens.
    values
        The layer's numbers as cells ``(Z, Y, X)``.
    """

    layer: str
    grid: CellGrid
    held: CellGrid
    channel_axis: int | None
    token_cells: tuple[int, ...]
    origin: Vector
    cell: Vector
    words: CellWords
    values: NDArray[np.float32]
    further: tuple[CellNumbers, ...]
    pixels: CellPixels | None
    copies: tuple[Copies, ...]


@dataclass(frozen=True)
class CellSource:
    """The source of primitives whose cells, pixels or lines the client describes itself.

    Attributes
    ----------
    locations
        Whether the cells of its blocks are locations with all their channels.
    """

    source: Source
    locations: bool


@dataclass(frozen=True, eq=False)
class Slopes:
    """Gradients of the target's score by the connections of two layers.

    Attributes
    ----------
    index
        ``(n, 2)``: flat indices of both ends.
    """

    source: str
    target: str
    index: NDArray[np.int64]
    values: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SheetWords:
    """Words about the numbers of a tensor that a block shows besides the layers' own blocks: a kernel, a gate, scores.

    Attributes
    ----------
    shape
        Shape of the tensor.
    title, more
        Words about an index of it.
    """

    shape: tuple[int, ...]
    title: Words
    more: tuple[Words, ...]


@dataclass(frozen=True, eq=False)
class SheetCells:
    """The cells of such a block.

    Attributes
    ----------
    source
        The source of the block.
    flat
        For each cell ``(Z, Y, X)`` the flat index (C order) of its number in the tensor; -1 for a spare cell.
    """

    source: Source
    flat: NDArray[np.int64]
    words: SheetWords


@dataclass(frozen=True, eq=False)
class MarkedPick:
    """A pick with its marks.

    Attributes
    ----------
    name
        The same for the same pick in each table.
    moves
        Whether the mark is a point that moves with the time; then its position is left open.
    marks
        The primitives that show it, but for the frames around its boxes.
    framed
        Whether its boxes have frames.
    """

    name: str
    moves: bool
    marks: tuple[Primitive, ...]
    framed: bool


@dataclass(frozen=True, eq=False)
class PickedParts:
    """The picks of a primitive's parts.

    Attributes
    ----------
    primitive
        One of the frames' primitives.
    picks
        For each part a position in the table's list of picks, -1 for none: lines, points and tiles by their number,
        columns of ridges and grid points of a surface row by row, cells and pixels in the order of their arrays. A
        single number holds for all parts.
    """

    primitive: Primitive
    picks: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PickTable:
    """All that can be picked in some frames of one sample.

    Attributes
    ----------
    scientific
        Numbers from which on a float32 and a float16 are written with an exponent.
    """

    scientific: tuple[float, float]
    layers: tuple[LayerTable, ...]
    sources: tuple[CellSource, ...]
    slopes: tuple[Slopes, ...]
    sheets: tuple[SheetCells, ...]
    parts: tuple[PickedParts, ...]
    picks: tuple[MarkedPick, ...]


@dataclass(frozen=True, eq=False)
class PickTables:
    """The tables of some frames.

    Attributes
    ----------
    of_frame
        For each frame the position of its table. There are several if the frames show several steps of a training.
    left_out
        A sentence about each view with too many parts.
    """

    tables: tuple[PickTable, ...]
    of_frame: tuple[int, ...]
    left_out: tuple[str, ...]
