"""The parts of primitives that can be picked one by one: lines, points, tiles, cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nnviz3d.scene.hits import BoxHit, CellHit, Hit, LineHit, PixelHit, PointHit, RidgeHit, SurfaceHit, TileHit
from nnviz3d.scene.primitives import Box, Image, Lines, Points, Primitive, Ridges, Surface, Tiles, Voxels


@dataclass(frozen=True)
class PartHits:
    """The hits on all parts of a primitive, in the order of their numbers."""

    count: int
    make: Callable[[int], Hit]

    def all(self) -> Iterator[Hit]:
        """Return the hit on each part."""
        return (self.make(k) for k in range(self.count))


def hits_on(primitive: Primitive) -> PartHits | None:
    """Return the hits on a primitive's parts; `None` for a primitive that cannot be hit."""
    match primitive:
        case Voxels():
            x, y, _ = primitive.values.shape
            return PartHits(primitive.values.size, lambda k: CellHit(primitive, (k % x, k // x % y, k // (x * y))))
        case Image():
            rows, columns = primitive.pixels.shape[:2]
            return PartHits(rows * columns, lambda k: PixelHit(primitive, k // columns, k % columns))
        case Tiles():
            count, rows, columns = primitive.pixels.shape[:3]
            if not primitive.maps:
                return PartHits(count, lambda k: TileHit(primitive, k, 0, 0))
            return PartHits(
                count * rows * columns,
                lambda k: TileHit(primitive, k // (rows * columns), k // columns % rows, k % columns),
            )
        case Lines() if primitive.ends is not None:
            return PartHits(len(primitive.points), lambda k: LineHit(primitive, k))
        case Points():
            return PartHits(len(primitive.points), lambda k: PointHit(primitive, k))
        case Ridges():
            rows, columns = primitive.heights.shape[:2]
            return PartHits(rows * columns, lambda k: RidgeHit(primitive, k // columns, k % columns))
        case Surface():
            rows, columns = primitive.heights.shape
            return PartHits(rows * columns, lambda k: SurfaceHit(primitive, k // columns, k % columns))
        case Box():
            return PartHits(1, lambda _: BoxHit(primitive))
    return None


def likeness(primitive: Primitive) -> tuple[object, object]:
    """Return a key that is the same for primitives whose parts have the same picks, and what its identities belong to."""
    held: object = None
    count: object = 1
    match primitive:
        case Voxels():
            count = primitive.values.shape
        case Image():
            count = primitive.pixels.shape
        case Tiles():
            held, count = primitive.channels, primitive.pixels.shape
        case Lines():
            held = primitive.ends
        case Points():
            held, count = primitive.units, len(primitive.points)
        case Ridges() | Surface():
            count = primitive.heights.shape
    return (type(primitive), primitive.name, getattr(primitive, "source", None), count, id(held)), held
