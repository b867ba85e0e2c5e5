"""Values that say which part of a primitive a ray met; `nnviz3d.render.picking` finds them."""

from __future__ import annotations

from dataclasses import dataclass

from nnviz3d.scene.primitives import Box, Image, Lines, Points, Ridges, Surface, Tiles, Voxels


@dataclass(frozen=True)
class CellHit:
    """A cube of a block: its position along x, y and z."""

    primitive: Voxels
    cell: tuple[int, int, int]


@dataclass(frozen=True)
class PixelHit:
    """A pixel of a picture in the world."""

    primitive: Image
    row: int
    column: int


@dataclass(frozen=True)
class TileHit:
    """A pixel of one of several tiles, by the tile's number."""

    primitive: Tiles
    number: int
    row: int
    column: int


@dataclass(frozen=True)
class BoxHit:
    """A solid box."""

    primitive: Box


@dataclass(frozen=True)
class LineHit:
    """One of several lines, by its number."""

    primitive: Lines
    number: int


@dataclass(frozen=True)
class PointHit:
    """One of several points, by its number."""

    primitive: Points
    number: int


@dataclass(frozen=True)
class RidgeHit:
    """A column of a ridge, by their numbers."""

    primitive: Ridges
    ridge: int
    column: int


@dataclass(frozen=True)
class SurfaceHit:
    """A grid point of a surface, the nearest one to the ray, by its row and column."""

    primitive: Surface
    row: int
    column: int


SolidHit = CellHit | PixelHit | TileHit | BoxHit | RidgeHit | SurfaceHit
Hit = SolidHit | LineHit | PointHit
