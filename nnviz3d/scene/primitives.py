"""Primitives, the frozen values that a picture consists of; the renderer draws them.

World space is right-handed and in world units: x runs along the network's flow, y up, z towards the viewer. Colours are
sRGB in [0, 1]. Arrays are never changed once they are in a primitive; the renderer compares them by identity, so the same
array object means "nothing to upload".
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


@dataclass(frozen=True)
class Source:
    """The part of a scene that a primitive came from; picking asks it what a hit means.

    Attributes
    ----------
    view
        Kind of the view, as in a scene file.
    layer
        Node id, for a primitive of one layer.
    """

    view: str
    layer: str | None = None


@dataclass(frozen=True, eq=False)
class Voxels:
    """A block of cubes, one for each number of a tensor.

    Attributes
    ----------
    name
        Unique among the blocks of a picture: the node id for the block of a node.
    values
        ``(X, Y, Z)`` float32 along the world's axes; any strides. What is drawn and picked are exactly these numbers.
    count
        How many cells are real, in C order of ``(Y reversed, X)``, where a vector was wrapped into a grid with a few
        cells to spare; `None` if all are.
    origin
        World coordinates of the corner with the smallest x, y and z.
    cell
        World size of one cell along x, y and z.
    colormap
        What turns a number into a colour.
    limits
        The numbers that get the first and the last colour; what lies beyond gets the nearest of the two.
    threshold
        Cells with ``|value|`` below it are not drawn; NaN and infinite ones always are.
    since, reveal
        Which part of the block is shown: from which share of its length along x to which, from 0 to 1.
    front
        At which share of its length along x light passes through it; none by default.
    glow
        How brightly the whole block shines beyond its colours, from 0 to 1.
    emphasis
        1 as usual; less sinks into the background, for what is not selected.
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
        """Whether any cell can be visible."""
        return self.values.size > 0 and self.reveal > self.since

    @property
    def columns(self) -> tuple[int, int]:
        """The first cell along x that is shown, and the one behind the last."""
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
        Node id of what they belong to.
    pixels
        ``(n, h, w, 3)`` uint8, the first row on top.
    origins
        ``(n, 3)`` float32 world coordinates of the lower left corners; new ones move the tiles without an upload.
    size
        Width and height of a tile in world units.
    channels
        ``(n,)`` int64: which channel of the layer each shows.
    maps
        Whether each pixel is the number at that row and column of the channel.
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
    """A cloud of points, each a small lit ball at a constant size on the screen; farther ones are fainter.

    Attributes
    ----------
    name
        Unique among the clouds of a picture.
    points
        ``(n, 3)`` float32 world coordinates.
    colors
        ``(n, 4)`` float32: red, green, blue, opacity, which lets a ball sink into the ground.
    sizes
        ``(n,)`` float32: diameter in pixels of a 720 pixels high picture.
    rings
        ``(n, 4)`` float32: a ring of this colour around each, within its size; none where its opacity is 0.
    units
        The node id and the unit, neuron or channel, that each stands for, if they are units of layers; `None` for all.
    haze
        How much fainter the farthest is than the nearest, from 0 to 1.
    """

    name: str
    points: NDArray[np.float32]
    colors: NDArray[np.float32]
    sizes: NDArray[np.float32]
    rings: NDArray[np.float32] | None = None
    units: tuple[tuple[str, int | None], ...] | None = None
    haze: float = 0.4
    source: Source | None = None


@dataclass(frozen=True, eq=False)
class Ends:
    """The connections that some lines stand for.

    Attributes
    ----------
    source, target
        Node ids.
    index
        ``(n, 2)`` int64: for each line the flat index (C order) of the source's cell and of the target's.
    weight
        ``(n,)`` float32.
    taken
        The node whose tensor the target takes, where the indices are those of units, neurons or channels, not of cells.
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
        What each line connects, if each is one connection.
    """

    name: str
    points: NDArray[np.float32]
    colors: NDArray[np.float32]
    width: float = 1.0
    opacity: float = 1.0
    ends: Ends | None = None
    source: Source | None = None


@dataclass(frozen=True, eq=False)
class Ridges:
    """Upright bands that face +z, one behind the other: curves of several numbers over a common axis.

    Attributes
    ----------
    feet
        ``(n, 3)`` float32: world coordinates from which each band's columns are counted.
    along
        ``(m,)`` float32: where the columns stand, in world units to the right of the feet, rising.
    heights
        ``(n, m, 2)`` float32: the least and the greatest height of each column; NaN where there is none.
    colors
        ``(n, m, 2, 3)`` float32: at those heights.
    joined
        ``(n, m - 1)`` bool: whether a column and the next one are two ends of one stretch. One that is joined to none
        stands alone, as a bar.
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
        """Mask of the columns that are joined to no other, ``(n, m)``."""
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
        ``(m, n)`` float32: world y. The surface has a hole around each one that is not finite.
    colors
        ``(m, n, 3)`` float32: at the grid points, before light and shade.
    """

    name: str
    along: NDArray[np.float32]
    across: NDArray[np.float32]
    heights: NDArray[np.float32]
    colors: NDArray[np.float32]
    source: Source | None = None

    @property
    def points(self) -> NDArray[np.float32]:
        """The grid points, ``(m, n, 3)``; those of holes at height 0."""
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
        Opacity of the faces; 0 for a frame alone.
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
        World coordinates of what it names: a point, or the smallest corner of a block.
    span
        World extent of the block; the text stands beside its outline on the screen.
    lines
        The first line stands out, the others are quiet.
    align
        Where the text stands: below its anchor, above it, to its right, or to its left.
    priority
        Where labels would overlap, the one with the larger priority stays.
    emphasis
        1 as usual; less is fainter.
    small
        Whether it stands among many close neighbours.
    """

    anchor: Vector
    lines: tuple[str, ...]
    align: Literal["below", "above", "right", "left"] = "below"
    priority: float = 0.0
    emphasis: float = 1.0
    small: bool = False
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
        Panels of one corner stand side by side, in their order, the first outermost. In the middle, or above the lower
        edge, each stands alone.
    """

    name: str
    corner: Literal["top-left", "top-right", "bottom-left", "bottom-right", "middle", "bottom"]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Span:
    """A box of the world, along its axes."""

    origin: Vector
    size: Vector


@dataclass(frozen=True, eq=False)
class Callout:
    """Brackets around marked boxes of the world, visible however small the boxes are, and text beside them.

    Attributes
    ----------
    marks
        What is marked.
    path
        ``(n, 3)`` float32: points that the words should not cover either; the middle one, if there are any, is what
        they stand beside.
    """

    name: str
    marks: tuple[Span, ...]
    rows: tuple[Row, ...]
    path: NDArray[np.float32]


Primitive = Voxels | Image | Tiles | Points | Lines | Ridges | Surface | Box | Labels | Panel | Callout


@dataclass(frozen=True)
class DrawList:
    """One picture: everything in it, each under a name of its own among its kind.

    Attributes
    ----------
    background
        Colours of the bottom and the top of the ground.
    """

    primitives: tuple[Primitive, ...]
    background: tuple[Color, Color] = field(default=((0.02, 0.025, 0.035), (0.055, 0.07, 0.10)))
