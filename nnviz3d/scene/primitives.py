"""Primitives, the frozen values that a picture consists of; the renderer draws them.

World space is right-handed and in world units: x runs along the network's flow, y up, z towards the viewer. Colours are
sRGB in [0, 1]. Arrays in a primitive are never changed. The renderer compares them by identity and uploads only new
array objects.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.colors import Color, Colormap
from nnviz3d.scene.panel_rows import Row

Vector = tuple[float, float, float]
Corner = Literal["top-left", "top-right", "bottom-left", "bottom-right", "middle", "side", "bottom", "caption"]
"""Position of a panel; a caption stands at the bottom, is narrow enough to be read, and labels keep clear of it."""


def vector(v: NDArray[np.float64]) -> Vector:
    """Return an array of three as plain numbers."""
    return float(v[0]), float(v[1]), float(v[2])


@dataclass(frozen=True)
class Source:
    """The part of a scene that a primitive came from; picking asks it what a hit means.

    Attributes
    ----------
    view
        Kind of the view, as in a scene file.
    layer
        Node id, for a primitive of one layer.
    part
        The part of the view, if others have to tell it from the rest: ``gradients``, ``curves``, ``edges`` or ``scale``.
    """

    view: str
    layer: str | None = None
    part: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True, eq=False)
class Voxels:
    """A block of cubes, one for each number of a tensor.

    Attributes
    ----------
    name
        Unique among the blocks of a picture: the node id for the block of a node.
    values
        ``(X, Y, Z)`` float32 along the world's axes; any strides. Exactly these numbers are drawn and picked.
    count
        Number of cells with a number, in C order of ``(Y reversed, X)``, if a vector was wrapped into a grid with a few
        spare cells; `None` if there are no spare cells.
    origin
        World coordinates of the corner with the smallest x, y and z.
    cell
        World size of one cell along x, y and z.
    colormap
        Colour map of the numbers.
    limits
        The numbers that get the first and the last colour; numbers beyond a limit get its colour.
    threshold
        Cells with ``|value|`` below it are not drawn; NaN and infinite ones always are.
    since, reveal
        The visible part of the block: its begin and end along x, as shares of the length from 0 to 1.
    front
        Position of the light that passes through it, as a share of its length along x; no light by default.
    glow
        Additional brightness of the whole block, from 0 to 1.
    emphasis
        1 by default; less is fainter, for blocks that are not selected.
    """

    name: str
    values: NDArray[np.float32]
    origin: Vector
    cell: Vector
    colormap: Colormap
    limits: tuple[float, float]
    threshold: float = 0.0
    count: int | None = None
    reveal: float = 1.0
    emphasis: float = 1.0
    since: float = 0.0
    front: float | None = None
    glow: float = 0.0
    source: Source | None = None

    @property
    def visible(self) -> bool:
        """Whether a cell can be visible."""
        return self.values.size > 0 and self.reveal > self.since

    @property
    def columns(self) -> tuple[int, int]:
        """The range of visible cells along x: the first one, and the one after the last."""
        count = self.values.shape[0]
        return min(int(count * self.since), count), min(count, math.ceil(count * self.reveal))

    @property
    def size(self) -> Vector:
        """World size of the block."""
        x, y, z = (float(n * s) for n, s in zip(self.values.shape, self.cell, strict=True))
        return x, y, z


@dataclass(frozen=True, eq=False)
class Image:
    """A picture in the world that faces +z.

    Attributes
    ----------
    pixels
        ``(H, W, 3)`` uint8, the first row on top.
    origin
        World coordinates of its lower left corner.
    size
        Its width and height in world units.
    """

    name: str
    pixels: NDArray[np.uint8]
    origin: Vector
    size: tuple[float, float]
    opacity: float = 1.0
    source: Source | None = None


@dataclass(frozen=True, eq=False)
class Tiles:
    """Many small pictures of one size in the world: channels laid out as a grid, thumbnails.

    Attributes
    ----------
    name
        Node id of the layer that they belong to.
    pixels
        ``(n, h, w, 3)`` uint8, the first row on top.
    origins
        ``(n, 3)`` float32 world coordinates of the lower left corners; new ones move the tiles without an upload.
    size
        Width and height of a tile in world units.
    channels
        ``(n,)`` int64: the channel of the layer that each shows.
    maps
        Whether each pixel shows the number at its row and column of the channel.
    right, up
        Unit vectors along their width and height; by default they face +z.
    """

    name: str
    pixels: NDArray[np.uint8]
    origins: NDArray[np.float32]
    size: tuple[float, float]
    channels: NDArray[np.int64]
    opacity: float = 1.0
    maps: bool = False
    right: Vector = (1.0, 0.0, 0.0)
    up: Vector = (0.0, 1.0, 0.0)
    source: Source | None = None


@dataclass(frozen=True, eq=False)
class Points:
    """A cloud of points, each a small lit ball with a constant size on the screen; farther balls are fainter.

    Attributes
    ----------
    name
        Unique among the clouds of a picture.
    points
        ``(n, 3)`` float32 world coordinates.
    colors
        ``(n, 4)`` float32: red, green, blue, and opacity, which blends a ball with the background.
    sizes
        ``(n,)`` float32: diameter in pixels of a 720 pixels high picture.
    rings
        ``(n, 4)`` float32: colour of the ring around each point, within its size; no ring if the opacity is 0.
    units
        For each point the node id and the unit, neuron or channel; `None` if the points are not units of layers.
    haze
        How much fainter the farthest point is than the nearest, from 0 to 1.
    pictures
        ``(n, h, w, 3)`` uint8, the first row on top: a picture of each point, which is shown in its place where the camera
        is near and the point is opaque; `None` if there are none.
    picture_size
        Height of a picture in world units. It is shown where that is at least 26 pixels of a 720 pixels high picture.
    """

    name: str
    points: NDArray[np.float32]
    colors: NDArray[np.float32]
    sizes: NDArray[np.float32]
    rings: NDArray[np.float32] | None = None
    units: tuple[tuple[str, int | None], ...] | None = None
    haze: float = 0.4
    pictures: NDArray[np.uint8] | None = None
    picture_size: float = 0.0
    source: Source | None = None


@dataclass(frozen=True, eq=False)
class Ends:
    """The connections that lines show.

    Attributes
    ----------
    source, target
        Node ids.
    index
        ``(n, 2)`` int64: for each line the flat index (C order) of the source's cell and of the target's.
    weight
        ``(n,)`` float32.
    taken
        The node whose tensor the target takes, if the indices are those of units (neurons or channels), not of cells.
    """

    source: str
    target: str
    index: NDArray[np.int64]
    weight: NDArray[np.float32]
    taken: str | None = None


@dataclass(frozen=True, eq=False)
class Lines:
    """Polylines; each has one colour and one opacity.

    Attributes
    ----------
    points
        ``(n, p, 3)`` float32: n lines of p points.
    colors
        ``(n, 4)`` float32: red, green, blue, opacity.
    width
        In pixels of a 720 pixels high picture.
    ends
        The ends of each line, if each line is one connection.
    avoided
        Whether labels keep clear of the lines.
    """

    name: str
    points: NDArray[np.float32]
    colors: NDArray[np.float32]
    width: float = 1.0
    opacity: float = 1.0
    ends: Ends | None = None
    source: Source | None = None
    avoided: bool = False


@dataclass(frozen=True, eq=False)
class Ridges:
    """Upright bands that face +z, one behind the other: curves over a common axis.

    Attributes
    ----------
    feet
        ``(n, 3)`` float32: world coordinates of the origin of each band.
    along
        ``(m,)`` float32: positions of the columns, in world units to the right of the feet, rising.
    heights
        ``(n, m, 2)`` float32: the least and the greatest height of each column; NaN for an empty column.
    colors
        ``(n, m, 2, 3)`` float32: colours at those heights.
    joined
        ``(n, m - 1)`` bool: whether a column is joined to the next one. A column without a join is drawn as a bar.
    bar
        World width of such a bar.
    """

    name: str
    feet: NDArray[np.float32]
    along: NDArray[np.float32]
    heights: NDArray[np.float32]
    colors: NDArray[np.float32]
    joined: NDArray[np.bool_]
    bar: float
    source: Source | None = None

    @property
    def alone(self) -> NDArray[np.bool_]:
        """Mask of the columns without a join, ``(n, m)``."""
        tied = np.zeros(self.heights.shape[:2], dtype=bool)
        tied[:, :-1] |= self.joined
        tied[:, 1:] |= self.joined
        return np.asarray(~tied & np.isfinite(self.heights[:, :, 1]))


@dataclass(frozen=True, eq=False)
class Surface:
    """A lit surface over a grid of the ground: one height for each pair of coordinates.

    Attributes
    ----------
    along, across
        ``(n,)`` and ``(m,)`` float32: world x of the columns and world z of the rows, both rising.
    heights
        ``(m, n)`` float32: world y. The surface has a hole around each height that is not finite.
    colors
        ``(m, n, 3)`` float32: colours at the grid points, before shading.
    """

    name: str
    along: NDArray[np.float32]
    across: NDArray[np.float32]
    heights: NDArray[np.float32]
    colors: NDArray[np.float32]
    source: Source | None = None

    @property
    def points(self) -> NDArray[np.float32]:
        """The grid points, ``(m, n, 3)``; in holes the height is 0."""
        x, z = np.meshgrid(self.along, self.across)
        return np.stack([x, np.where(np.isfinite(self.heights), self.heights, 0), z], axis=-1).astype(np.float32)

    @property
    def triangles(self) -> NDArray[np.int64]:
        """Two triangles for each square of the grid whose corners are all finite, ``(t, 3)`` indices of grid points."""
        finite = np.isfinite(self.heights)
        whole = finite[:-1, :-1] & finite[:-1, 1:] & finite[1:, :-1] & finite[1:, 1:]
        row, column = np.nonzero(whole)
        n = self.heights.shape[1]
        first = row * n + column
        return np.concatenate(
            [np.stack([first, first + n, first + 1], axis=1), np.stack([first + 1, first + n, first + n + 1], axis=1)]
        )


@dataclass(frozen=True, eq=False)
class Box:
    """A thin frame, or a solid box with softly drawn edges.

    Attributes
    ----------
    origin, size
        World coordinates of the smallest corner, and the extent.
    fill
        Opacity of the faces; 0 draws only a frame.
    """

    name: str
    origin: Vector
    size: Vector
    color: Color
    edge: float = 0.35
    fill: float = 0.0
    source: Source | None = None


@dataclass(frozen=True)
class Label:
    """Text beside a block or a point of the world, at a constant size on the screen.

    Attributes
    ----------
    anchor
        World coordinates of the named point, or of the smallest corner of the named block.
    span
        World extent of the block; the text is beside its outline on the screen.
    lines
        Lines of text; the first one is brighter than the others.
    align
        Position of the text: below its anchor, above it, to its right, or to its left.
    priority
        If labels would overlap, the one with the larger priority is kept.
    emphasis
        1 by default; less is fainter.
    small
        Whether the text is small, for a label with many close neighbours.
    fixed
        Whether the text keeps its place even over a line: its height says what it names, or it would jump in a film.
    brief
        Whether the first lines of all brief labels are shown before a further line of any, for many labels side by side.
    """

    anchor: Vector
    lines: tuple[str, ...]
    align: Literal["below", "above", "right", "left"] = "below"
    priority: float = 0.0
    emphasis: float = 1.0
    small: bool = False
    brief: bool = False
    fixed: bool = False
    span: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Labels:
    """All labels of one kind; the renderer places them so that none covers another."""

    name: str
    labels: tuple[Label, ...]


@dataclass(frozen=True)
class Panel:
    """Text and small charts at a corner of the picture, or in front of everything.

    Attributes
    ----------
    corner
        Corner or other position. Panels of one corner are side by side in their order, the first one outermost; other
        positions have one panel.
    """

    name: str
    corner: Corner
    rows: tuple[Row, ...]
    source: Source | None = None


@dataclass(frozen=True)
class Span:
    """An axis-aligned box of the world."""

    origin: Vector
    size: Vector


@dataclass(frozen=True, eq=False)
class Callout:
    """Brackets around marked boxes of the world, visible however small the boxes are, and text beside them.

    Attributes
    ----------
    marks
        The marked boxes.
    path
        ``(n, 3)`` float32: points that the text should not cover either. If there are any, the text is beside the
        middle one.
    """

    name: str
    marks: tuple[Span, ...]
    rows: tuple[Row, ...]
    path: NDArray[np.float32]


Primitive = Voxels | Image | Tiles | Points | Lines | Ridges | Surface | Box | Labels | Panel | Callout


@dataclass(frozen=True)
class DrawList:
    """One picture: all its primitives, with names that are unique within a kind of primitive.

    Attributes
    ----------
    background
        Colours at the bottom and at the top of the background.
    """

    primitives: tuple[Primitive, ...]
    background: tuple[Color, Color] = field(default=((0.02, 0.025, 0.035), (0.055, 0.07, 0.10)))
