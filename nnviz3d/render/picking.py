"""Picking: finds the visible primitive and its cell at a point of the picture, by rays in NumPy, without a window.

Blocks are searched as by the voxel shader. The cost depends on the cells that one ray crosses, not on the cells of a block.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from nnviz3d.render.eye import Eye, Floats
from nnviz3d.render.point_pictures import place_pictures
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.easing import eased
from nnviz3d.scene.hits import (
    BoxHit,
    CellHit,
    Hit,
    LineHit,
    PixelHit,
    PointHit,
    RidgeHit,
    SolidHit,
    SurfaceHit,
    TileHit,
)
from nnviz3d.scene.primitives import Box, DrawList, Image, Lines, Points, Ridges, Surface, Tiles, Voxels

GAP_SHARE = 0.07
"""Gap on each side of a cube, as a share of its shortest side."""
_REACH = 5.0
"""Maximum distance in pixels from which a line in front of the background is picked."""
_REACH_BEFORE = 2.5
"""Maximum distance in pixels from which a line in front of another primitive is picked."""
_SMALLEST_SCALE = 0.6
"""Minimum size of balls in a small picture, relative to a picture that is 720 pixels high, as in the renderer."""
_SAME = 1.0
"""Difference of distances in pixels up to which the upper one of two lines is picked."""
_EDGE = 2.0
"""Pixels above a ridge that belong to its upper edge."""
_FAINTEST = 0.02
"""Maximum opacity of lines that count as invisible."""
_EYE = 1e-6
"""Minimum world distance of visible points from the camera."""


def pick(what: DrawList, pose: CameraPose, size: tuple[int, int], at: tuple[float, float]) -> Hit | None:
    """Find the nearest visible primitive at a point.

    Parameters
    ----------
    what, pose, size
        The picture: its draw list, its camera pose, and its width and height in pixels.
    at
        Pixels from the picture's upper left corner; the middle of the first pixel is ``(0.5, 0.5)``.

    Returns
    -------
    The point whose picture is there; else the ball at the point, or the nearest one within a few pixels; else the nearest
    line within a few pixels that nothing hides; else a cube, pixel, tile, ridge, surface or solid box; else `None`.
    """
    eye = Eye.of(pose, size)
    point = _picture(what, eye, at) or _point(what, eye, at)
    if point is not None:
        return point
    found = _solid(what, eye, eye.ray(*at))
    line = _line(what, eye, at, found)
    return line or (found[0] if found is not None else None)


def nearest_box(
    low: Floats, high: Floats, pose: CameraPose, size: tuple[int, int], at: tuple[float, float]
) -> int | None:
    """Return the index of the nearest box at a point of the picture; boxes are given by their corners, ``(n, 3)``."""
    eye = Eye.of(pose, size)
    enter, leave = _between(low, high, eye.position, eye.ray(*at))
    hit = np.flatnonzero((enter <= leave) & (leave > 0))
    return int(hit[enter[hit].argmin()]) if len(hit) else None


def _solid(what: DrawList, eye: Eye, ray: Floats) -> tuple[SolidHit, float] | None:
    """Return the first opaque primitive that a ray hits, and its depth along the view."""
    nearest: SolidHit | None = None
    distance = math.inf
    for hit, away in _surfaces(what, eye, ray):
        if away < distance:
            nearest, distance = hit, away
    blocks = [p for p in what.primitives if isinstance(p, Voxels) and p.visible]
    for block, enter in _crossed(blocks, eye, ray):
        if enter >= distance:
            break
        found = first_cell(block, eye.position, ray, eye.pixel)
        if found is not None and found[1] < distance:
            nearest, distance = CellHit(block, found[0]), found[1]
    return None if nearest is None else (nearest, distance * float(ray @ eye.ahead))


def _scale(eye: Eye) -> float:
    return max(_SMALLEST_SCALE, min(eye.size[0] / 1280, eye.size[1] / 720))


def _picture(what: DrawList, eye: Eye, at: tuple[float, float]) -> PointHit | None:
    """Return the point whose picture is seen at a point of the picture."""
    x, y = at
    for cloud in reversed(what.primitives):
        if not isinstance(cloud, Points) or cloud.pictures is None:
            continue
        places, depth = eye.project(cloud.points.astype(np.float64))
        for one in place_pictures(cloud, places, depth, eye.pixel, eye.size, _scale(eye)):
            if one.left <= x < one.left + one.width and one.top <= y < one.top + one.height:
                return PointHit(cloud, one.number)
    return None


def _point(what: DrawList, eye: Eye, at: tuple[float, float]) -> PointHit | None:
    """Return the foremost ball at a point of the picture, or else the nearest one within a few pixels."""
    scale = _scale(eye)
    best: tuple[float, float] | None = None
    hit: PointHit | None = None
    for cloud in what.primitives:
        if not isinstance(cloud, Points) or not len(cloud.points):
            continue
        places, depth = eye.project(cloud.points.astype(np.float64))
        off = np.maximum(np.linalg.norm(places - np.array(at), axis=1) - cloud.sizes * scale / 2, 0.0)
        near = np.flatnonzero((depth > _EYE) & (cloud.colors[:, 3] > 0) & (off <= _REACH))
        if not len(near):
            continue
        k = int(near[np.lexsort((depth[near], off[near]))[0]])
        rank = (float(off[k]), float(depth[k]))
        if best is None or rank < best:
            best, hit = rank, PointHit(cloud, k)
    return hit


def _crossed(blocks: list[Voxels], eye: Eye, ray: Floats) -> Iterable[tuple[Voxels, float]]:
    """Return the blocks that a ray crosses and the distances at which it enters them, the nearest first."""
    if not blocks:
        return []
    low = np.array([b.origin for b in blocks])
    enter, leave = _between(low, low + np.array([b.size for b in blocks]), eye.position, ray)
    hit = np.flatnonzero((enter <= leave) & (leave > 0))
    return [(blocks[i], float(max(enter[i], 0.0))) for i in hit[np.argsort(enter[hit], kind="stable")]]


def _between(low: Floats, high: Floats, start: Floats, way: Floats) -> tuple[Floats, Floats]:
    """Return where a ray enters and leaves boxes, ``(n,)`` each; it misses a box that it leaves before it enters."""
    way = np.where(way == 0, 1e-12, way)
    a, b = (low - start) / way, (high - start) / way
    return np.minimum(a, b).max(axis=-1), np.maximum(a, b).min(axis=-1)


def first_cell(block: Voxels, start: Floats, way: Floats, pixel: float) -> tuple[tuple[int, int, int], float] | None:
    """Find the first drawn cube of a block that a ray hits.

    The ray is cut at every plane between two cells (R. L. Siddon, "Fast calculation of the exact radiological path for
    a three-dimensional CT array", 1985). This gives the same cells in the same order as the shader's walk.

    Parameters
    ----------
    start, way
        World coordinates of the ray's origin, and its unit vector.
    pixel
        World size of a pixel at distance 1: the gaps between cubes of about a pixel are closed.

    Returns
    -------
    Index of the cell along x, y and z, and the distance at which the ray hits it.
    """
    shape = block.values.shape
    begin = np.array([block.columns[0], 0, 0])
    end = np.array([block.columns[1], shape[1], shape[2]])
    size = np.array(block.cell)
    way = np.where(way == 0, 1e-12, way)
    slope, first = way / size, (start - np.array(block.origin)) / size
    bounds = _between(begin.astype(np.float64), end.astype(np.float64), first, slope)
    enter, leave = max(float(bounds[0]), 0.0), float(bounds[1])
    if enter >= leave:
        return None
    planes = np.concatenate([(np.arange(1, n) - q) / s for n, q, s in zip(shape, first, slope, strict=True)])
    stops = np.sort(np.concatenate([[enter], planes[(planes > enter) & (planes < leave)], [leave]]))
    middles = (stops[:-1] + stops[1:])[np.diff(stops) > 0] / 2
    cells = np.clip(np.floor(first + slope * middles[:, np.newaxis]), begin, end - 1).astype(np.int64)
    # NaN and infinite numbers always show; NaN fails the comparison, hence the "not".
    shown = ~(np.abs(block.values[tuple(cells.T)]) < np.float32(block.threshold))
    if block.count is not None:
        shown &= (shape[1] - 1 - cells[:, 1]) * shape[0] + cells[:, 0] < block.count
    cells = cells[shown]
    smallest = float(size.min())
    gap = smallest * GAP_SHARE * _smoothstep(2.0, 6.0, smallest / (pixel * max(enter, _EYE))) / size
    a, b = (cells + gap - first) / slope, (cells + 1 - gap - first) / slope
    into = np.minimum(a, b).max(axis=1)
    met = np.flatnonzero(into <= np.maximum(a, b).min(axis=1))
    if not len(met):
        return None
    i, j, k = (int(n) for n in cells[met[0]])
    return (i, j, k), max(float(into[met[0]]), 0.0)


def _smoothstep(low: float, high: float, x: float) -> float:
    return eased(min(max((x - low) / (high - low), 0.0), 1.0))


def _surfaces(what: DrawList, eye: Eye, ray: Floats) -> Iterator[tuple[SolidHit, float]]:
    """Yield the hits of a ray on images, tiles, ridges, surfaces and solid boxes, with their distances."""
    for primitive in what.primitives:
        if isinstance(primitive, Image) and primitive.opacity > 0 and ray[2]:
            away = float((primitive.origin[2] - eye.position[2]) / ray[2])
            x, y = (eye.position + ray * away)[:2] - primitive.origin[:2]
            across, up = x / primitive.size[0], y / primitive.size[1]
            if away > 0 and 0 <= across < 1 and 0 < up <= 1:
                rows, columns = primitive.pixels.shape[:2]
                yield PixelHit(primitive, int((1 - up) * rows), int(across * columns)), away
        elif isinstance(primitive, Tiles) and primitive.opacity > 0:
            tile = _tile(primitive, eye, ray)
            if tile is not None:
                yield tile
        elif isinstance(primitive, Ridges):
            ridge = _ridge(primitive, eye, ray)
            if ridge is not None:
                yield ridge
        elif isinstance(primitive, Surface):
            surface = _surface(primitive, eye, ray)
            if surface is not None:
                yield surface
        elif isinstance(primitive, Box) and primitive.fill > 0:
            low = np.array(primitive.origin)
            enter, leave = _between(low, low + np.array(primitive.size), eye.position, ray)
            if enter <= leave and leave > 0:
                yield BoxHit(primitive), float(enter if enter > 0 else leave)


def _tile(tiles: Tiles, eye: Eye, ray: Floats) -> tuple[TileHit, float] | None:
    """Return the first tile that a ray hits, and its distance."""
    right, up = np.array(tiles.right), np.array(tiles.up)
    facing = np.cross(right, up)
    slope = float(ray @ facing)
    if slope == 0 or not len(tiles.origins):
        return None
    away = (tiles.origins - eye.position) @ facing / slope
    place = eye.position + ray * away[:, np.newaxis] - tiles.origins
    across, rise = place @ right / tiles.size[0], place @ up / tiles.size[1]
    hit = np.flatnonzero((away > 0) & (across >= 0) & (across < 1) & (rise > 0) & (rise <= 1))
    if not len(hit):
        return None
    k = int(hit[away[hit].argmin()])
    rows, columns = tiles.pixels.shape[1:3]
    return TileHit(tiles, k, int((1 - rise[k]) * rows), int(across[k] * columns)), float(away[k])


def _ridge(ridges: Ridges, eye: Eye, ray: Floats) -> tuple[RidgeHit, float] | None:
    """Return the first ridge that a ray hits, with the nearest column, and its distance."""
    if not ray[2] or not ridges.heights.size:
        return None
    away = (ridges.feet[:, 2].astype(np.float64) - eye.position[2]) / ray[2]
    place = eye.position + ray * away[:, np.newaxis] - ridges.feet
    x, edge = place[:, 0], _EDGE * eye.pixel * away
    along, tops = ridges.along.astype(np.float64), ridges.heights[:, :, 1].astype(np.float64)
    row, nearest = np.arange(len(place)), np.abs(place[:, :1] - along).argmin(axis=1)
    # The upper edge has its full width at any height of the ridge, and at its ends.
    half = np.where(ridges.alone[row, nearest], np.maximum(ridges.bar / 2, edge), edge)
    top = np.where(np.abs(x - along[nearest]) <= half, tops[row, nearest], np.nan)
    if len(along) > 1:
        left = np.clip(np.searchsorted(along, x, side="right") - 1, 0, len(along) - 2)
        share = (x - along[left]) / (along[left + 1] - along[left])
        within = ridges.joined[row, left] & (share >= 0) & (share <= 1)
        top = np.where(within, tops[row, left] * (1 - share) + tops[row, left + 1] * share, top)
    hit = np.flatnonzero((away > 0) & (place[:, 1] >= -edge) & (place[:, 1] <= top + edge))
    if not len(hit):
        return None
    k = int(hit[away[hit].argmin()])
    return RidgeHit(ridges, k, int(nearest[k])), float(away[k])


def _surface(surface: Surface, eye: Eye, ray: Floats) -> tuple[SurfaceHit, float] | None:
    """Return the grid point nearest to the first hit of a ray on a triangle, and the distance of the hit.

    All triangles are tried at once (T. Möller, B. Trumbore, "Fast, minimum storage ray/triangle intersection", 1997).
    """
    points = surface.points.reshape(-1, 3).astype(np.float64)
    a, b, c = (points[corner] for corner in surface.triangles.T)
    one, two = b - a, c - a
    across = np.cross(ray, two)
    determinant = (one * across).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        start = eye.position - a
        u = (start * across).sum(axis=1) / determinant
        turned = np.cross(start, one)
        v = turned @ ray / determinant
        away = (two * turned).sum(axis=1) / determinant
        met = np.flatnonzero((u >= 0) & (v >= 0) & (u + v <= 1) & (away > _EYE))
    if not len(met):
        return None
    first = met[away[met].argmin()]
    where = eye.position + ray * away[first]
    row, column = np.abs(surface.across - where[2]).argmin(), np.abs(surface.along - where[0]).argmin()
    return SurfaceHit(surface, int(row), int(column)), float(away[first])


def _line(what: DrawList, eye: Eye, at: tuple[float, float], behind: tuple[SolidHit, float] | None) -> LineHit | None:
    """Return the nearest connection within reach that nothing hides."""
    reach = _REACH if behind is None else _REACH_BEFORE
    found: list[tuple[float, float, Floats, LineHit]] = []
    for lines in what.primitives:
        if not isinstance(lines, Lines) or lines.ends is None:
            continue
        seen = np.flatnonzero(lines.colors[:, 3] * lines.opacity > _FAINTEST)
        away, depth, where = _nearest(lines.points[seen].astype(np.float64), eye, np.array(at))
        near = np.flatnonzero((away <= reach) & (depth < (math.inf if behind is None else behind[1])))
        found.extend((float(away[k]), float(depth[k]), where[k], LineHit(lines, int(seen[k]))) for k in near)
    nearest = sorted(found, key=lambda line: line[0])
    closest = next((away for away, depth, where, _ in nearest if not _hidden(what, eye, where, depth)), None)
    if closest is None:
        return None
    # Lines that are drawn later are on top.
    alike = (line for line in reversed(found) if line[0] <= closest + _SAME)
    return next(hit for _, depth, where, hit in alike if not _hidden(what, eye, where, depth))


def _hidden(what: DrawList, eye: Eye, where: Floats, depth: float) -> bool:
    """Whether an opaque primitive hides a point of this depth at a position of the picture."""
    found = _solid(what, eye, eye.ray(float(where[0]), float(where[1])))
    return found is not None and found[1] < depth


def _nearest(points: Floats, eye: Eye, at: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the distance of each polyline, ``(n, p, 3)``, from a point of the picture, and its nearest point.

    Returns
    -------
    away
        Distances, ``(n,)`` pixels; infinite behind the camera.
    depth
        Depths of the nearest points along the view, ``(n,)``.
    where
        Positions of the nearest points, ``(n, 2)`` pixels.
    """
    screen, depth = eye.project(points)
    a, b = screen[:, :-1], screen[:, 1:]
    along = b - a
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.clip(((at - a) * along).sum(axis=-1) / np.maximum((along * along).sum(axis=-1), 1e-12), 0, 1)
        nearest = a + share[..., np.newaxis] * along
        away = np.linalg.norm(nearest - at, axis=-1)
        # Along a line of the picture 1 / depth is linear.
        ahead = 1 / (1 / depth[:, :-1] + share * (1 / depth[:, 1:] - 1 / depth[:, :-1]))
    away[(depth[:, :-1] <= _EYE) | (depth[:, 1:] <= _EYE)] = np.inf
    best = away.argmin(axis=1)
    rows = np.arange(len(points))
    return away[rows, best], ahead[rows, best], nearest[rows, best]
