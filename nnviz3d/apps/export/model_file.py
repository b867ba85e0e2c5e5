"""Export of a scene as a 3D model, NET.glb: the visible faces of the cells, lines, balls, pictures and names."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.export import ASPECT, ExportJob
from nnviz3d.apps.export.faces import LIGHT, Faces
from nnviz3d.apps.export.flat_labels import label_quads
from nnviz3d.apps.export.gltf import LINES, GltfBuilder, linear
from nnviz3d.apps.export.reduced import ShownBlock, within
from nnviz3d.apps.export.sizes import read_size, size_text
from nnviz3d.apps.export.solids import CORNERS, EDGES, SIDES
from nnviz3d.apps.whole_files import write_whole
from nnviz3d.data.files.paths import quoted
from nnviz3d.errors import UserError
from nnviz3d.render.ridges import columns
from nnviz3d.scene.camera import CameraPose, height_seen
from nnviz3d.scene.colors import INF_COLOR, NAN_COLOR, Colormap
from nnviz3d.scene.primitives import (
    Box,
    DrawList,
    Image,
    Labels,
    Lines,
    Points,
    Ridges,
    Surface,
    Tiles,
    Voxels,
    vector,
)
from nnviz3d.version import __version__

DEFAULT_SIZE = "80MB"
"""Maximum size of a file, if none is given."""
_FACE_BYTES = 4 * (12 + 8)
"""Bytes of a face: four corners with position and texture coordinates."""
_NODE_BYTES, _FIXED_BYTES = 2000, 220_000
"""More bytes than the description of a node takes, and than the indices of quads and the palettes take."""
_FEW_BALLS = 2000
"""Maximum number of balls that are drawn round; more of them are octahedra."""
_CRISP = 64
"""Maximum width in pixels of pictures whose pixels are drawn as squares."""
_RING = 1.3
"""Radius of a ring over that of its ball."""
_LIGHTS = sorted(set(LIGHT), reverse=True)
_ROWS = np.array([_LIGHTS.index(light) for light in LIGHT])
"""Row of the palette for each direction of a face."""
_NAN, _INFINITE = 256, 257
"""Columns of the palette for numbers without a colour in the map."""
_COLUMNS = 258


def write_model_file(job: ExportJob) -> None:
    """Write a binary glTF file. Large layers lose hidden faces first, and are named.

    Raises
    ------
    UserError
        If the file cannot be written, or not even the other parts fit in it.
    """
    most = read_size(job.settings.max_size or DEFAULT_SIZE)
    scene = job.scene()
    moment = scene.first_time
    drawn = scene.at(moment, job.selection)
    context = scene.as_of(moment, job.selection).context
    about = {
        "model": context.capture.provenance.model,
        "sample": context.capture.sample_name(job.selection.sample),
        "title": scene.title(job.selection.sample),
    }
    data, blocks = model_of(drawn, scene.first_pose(moment, aspect=ASPECT), most, about)
    notes = [note for block in blocks if (note := block.note)]
    if notes:
        print(
            f"{quoted(job.out.name)} keeps to {size_text(most)}: faces inside large blocks are left out, then those of "
            f"small |numbers|. It holds of {', of '.join(notes)} faces; --max-size and --threshold change that.",
            file=sys.stderr,
        )
    write_whole(job.out, data)


def model_of(
    drawn: DrawList, pose: CameraPose, most: int, about: dict[str, str]
) -> tuple[bytes, tuple[ShownBlock, ...]]:
    """Convert a picture to a binary glTF file.

    Parameters
    ----------
    most
        Maximum size in bytes.
    about
        Texts for the file's ``extras``.

    Returns
    -------
    tuple
        The file, and the blocks with the faces that it holds.

    Raises
    ------
    UserError
        If the other parts alone are larger than `most`.
    """
    parts = _Parts(drawn, pose)
    voxels = [one for one in drawn.primitives if isinstance(one, Voxels) and one.visible]
    rest = int(most * 0.99) - parts.gltf.size - _NODE_BYTES * (len(parts.roots) + len(voxels)) - _FIXED_BYTES
    if rest < 0:
        raise UserError(f"--max-size: lines, pictures and names alone need more than {size_text(most)}.")
    blocks = within(voxels, rest // _FACE_BYTES)
    for block in blocks:
        parts.block(block)
    parts.camera()
    return parts.gltf.finish(parts.roots, generator=f"nnviz3d {__version__}", extras=about), blocks


class _Parts:
    """The nodes of the file, and what they share.

    Attributes
    ----------
    roots
        The nodes so far.
    """

    def __init__(self, drawn: DrawList, pose: CameraPose) -> None:
        self.gltf = GltfBuilder()
        self.roots: list[int] = []
        self._pose = pose
        self._ground = np.mean(drawn.background, axis=0)
        self._materials: dict[object, int] = {}
        lines = [one for one in drawn.primitives if isinstance(one, Lines) and one.opacity > 0 and len(one.points)]
        for line in lines:
            self._lines(line)
        boxes = [one for one in drawn.primitives if isinstance(one, Box)]
        self._frames(boxes)
        for one in drawn.primitives:
            match one:
                case Image() if one.opacity > 0:
                    self._image(one)
                case Tiles() if one.opacity > 0 and len(one.pixels):
                    self._tiles(one)
                case Points() if len(one.points):
                    self._balls(one)
                case Box() if one.fill > 0:
                    self._body(one)
                case Ridges():
                    self._ridges(one)
                case Surface() if len(one.triangles):
                    self._surface(one)
        self._names(drawn, lines)

    def block(self, shown: ShownBlock) -> None:
        """Add the visible faces of a block."""
        block, faces = shown.block, shown.faces
        if not len(faces):
            return
        extras = {
            "layer": block.source.layer if block.source is not None else block.name,
            "cells": [shown.cells, int(block.count or block.values.size)],
            "faces": [len(faces), shown.visible],
            "threshold": block.threshold,
            "limits": list(block.limits),
            "colormap": block.colormap.name,
        }
        material = self._palette(block.colormap, min(block.emphasis, 1.0))
        uv = palette_coordinates(block, faces)
        quads = self.gltf.quads(faces.corners(block), np.repeat(uv[:, np.newaxis], 4, axis=1), material)
        self.roots.append(self.gltf.mesh(block.name, quads, extras))

    def camera(self) -> None:
        """Add the camera of the picture."""
        eye, target = np.array(self._pose.position), np.array(self._pose.target)
        back = (eye - target) / np.linalg.norm(eye - target)
        right = np.cross(self._pose.up, back)
        right /= np.linalg.norm(right)
        matrix = np.eye(4)
        matrix[:3] = np.stack([right, np.cross(back, right), back, eye], axis=1)
        far = 20 * float(np.linalg.norm(eye - target))
        self.roots.append(self.gltf.camera(matrix, math.radians(self._pose.field_of_view), far))

    def _palette(self, colormap: Colormap, emphasis: float) -> int:
        key = (colormap.name, emphasis)
        if key not in self._materials:
            table = np.concatenate([colormap.table / 255, [NAN_COLOR, INF_COLOR]])
            rows = np.array(_LIGHTS)[:, np.newaxis, np.newaxis] * table
            rows = self._ground + (rows - self._ground) * emphasis
            texture = self.gltf.texture(np.round(rows * 255).astype(np.uint8), crisp=True)
            self._materials[key] = self.gltf.material(f"colour map {colormap.name}", texture=texture)
        return self._materials[key]

    def _vertex_colors(self, *, unlit: bool, blended: bool = False) -> int:
        """Return the material of things with colours at their vertices."""
        key = (unlit, blended)
        if key not in self._materials:
            name = "vertex colours" if unlit else "lit vertex colours"
            self._materials[key] = self.gltf.material(name, unlit=unlit, blended=blended)
        return self._materials[key]

    def _add(self, name: str, primitives: Iterable[dict[str, Any]], extras: dict[str, Any] | None = None) -> None:
        self.roots.append(self.gltf.mesh(name, list(primitives), extras))

    def _lines(self, lines: Lines) -> None:
        n, p, _ = lines.points.shape
        colors = lines.colors.copy()
        colors[:, 3] *= lines.opacity
        at = np.arange(n * p).reshape(n, p)
        ends = np.stack([at[:, :-1], at[:, 1:]], axis=-1).reshape(-1)
        extras = None if lines.ends is None else {"source": lines.ends.source, "target": lines.ends.target}
        name = lines.name if extras is None else f"{extras['source']} -> {extras['target']}"
        self._add(name, [self._segments(lines.points.reshape(-1, 3), ends, np.repeat(colors, p, axis=0))], extras)

    def _segments(
        self, points: NDArray[np.float32], ends: NDArray[np.integer], colors: NDArray[np.floating]
    ) -> dict[str, Any]:
        material = self._vertex_colors(unlit=True, blended=True)
        return self.gltf.primitive(points, material, mode=LINES, indices=ends, COLOR_0=linear(colors))

    def _frames(self, boxes: Sequence[Box]) -> None:
        seen = [box for box in boxes if box.edge > 0]
        if not seen:
            return
        points = np.concatenate([_corners(box) for box in seen])
        ends = (8 * np.arange(len(seen))[:, np.newaxis, np.newaxis] + EDGES).reshape(-1)
        colors = np.repeat(np.array([[*box.color, min(box.edge, 1.0)] for box in seen]), 8, axis=0)
        self._add("frames", [self._segments(points, ends, colors)])

    def _body(self, box: Box) -> None:
        points = _corners(box)[SIDES].reshape(-1, 3)
        light = np.repeat(np.array(LIGHT), 4)[:, np.newaxis]
        colors = np.concatenate([light * box.color * box.fill, np.ones((24, 1))], axis=1)
        indices = (4 * np.arange(6)[:, np.newaxis] + [0, 1, 2, 0, 2, 3]).reshape(-1)
        material = self._vertex_colors(unlit=True)
        self._add(
            box.name, [self.gltf.primitive(points, material, indices=indices.astype(np.int64), COLOR_0=linear(colors))]
        )

    def _image(self, image: Image) -> None:
        texture = self.gltf.texture(image.pixels, crisp=image.pixels.shape[1] <= _CRISP)
        material = self.gltf.material(f"picture {image.name}", texture=texture, opacity=image.opacity)
        width, height = image.size
        corners = _rectangle(np.array(image.origin), np.array([width, 0, 0]), np.array([0, height, 0]))
        self._add(image.name, self.gltf.quads(corners[np.newaxis], _uv(0, 0, 1, 1)[np.newaxis], material))

    def _tiles(self, tiles: Tiles) -> None:
        count, height, width = tiles.pixels.shape[:3]
        across = max(1, round(math.sqrt(count * height / width)))
        down = -(-count // across)
        atlas = np.zeros((down * across, height, width, 3), dtype=np.uint8)
        atlas[:count] = tiles.pixels
        picture = atlas.reshape(down, across, height, width, 3).swapaxes(1, 2).reshape(down * height, across * width, 3)
        material = self.gltf.material(
            f"pictures {tiles.name}", texture=self.gltf.texture(picture, crisp=True), opacity=tiles.opacity
        )
        right, up = np.array(tiles.right) * tiles.size[0], np.array(tiles.up) * tiles.size[1]
        corners = np.stack([_rectangle(origin, right, up) for origin in tiles.origins])
        uv = [
            _uv(k % across / across, k // across / down, (k % across + 1) / across, (k // across + 1) / down)
            for k in range(count)
        ]
        self._add(tiles.name, self.gltf.quads(corners, np.stack(uv), material), {"channels": tiles.channels.tolist()})

    def _balls(self, cloud: Points) -> None:
        seen = np.flatnonzero(cloud.colors[:, 3] > 0)
        if not len(seen):
            return
        middle = vector(cloud.points.mean(axis=0).astype(np.float64))
        radius = cloud.sizes[seen] / 720 * height_seen(self._pose, middle) / 2
        ball, triangles = _ball(round_=len(seen) <= _FEW_BALLS)
        colors = self._ground + (cloud.colors[seen, :3] - self._ground) * cloud.colors[seen, 3:]
        rings = np.zeros((len(seen), 4)) if cloud.rings is None else cloud.rings[seen]
        ringed = rings[:, 3] > 0
        inner = np.where(ringed, radius / _RING, radius)
        lit, flat = self._vertex_colors(unlit=False), self._vertex_colors(unlit=True)
        parts = [self._copies(cloud.points[seen], inner, colors, ball, triangles, lit)]
        if ringed.any():
            # The faces of this larger ball look inwards, so only its edge is seen behind the ball.
            shells = (cloud.points[seen][ringed], radius[ringed], rings[ringed, :3])
            parts.append(self._copies(*shells, ball, triangles[:, ::-1], flat))
        self._add(cloud.name, parts, {"points": len(seen)})

    def _copies(
        self,
        points: NDArray[np.float32],
        radius: NDArray[np.floating],
        colors: NDArray[np.floating],
        ball: NDArray[np.float32],
        triangles: NDArray[np.int64],
        material: int,
    ) -> dict[str, Any]:
        """Return a primitive of one ball at each point."""
        count, corners = len(points), len(ball)
        positions = points[:, np.newaxis] + radius[:, np.newaxis, np.newaxis] * ball
        indices = corners * np.arange(count)[:, np.newaxis, np.newaxis] + triangles
        opaque = np.concatenate([colors, np.ones((count, 1))], axis=1)
        return self.gltf.primitive(
            positions.reshape(-1, 3).astype(np.float32),
            material,
            indices=indices.reshape(-1),
            NORMAL=np.tile(ball, (count, 1)),
            COLOR_0=linear(np.repeat(opaque, corners, axis=0)),
        )

    def _ridges(self, ridges: Ridges) -> None:
        points, colors, left, right = columns(ridges)
        if not len(left):
            return
        corners = np.concatenate([np.stack([left + k, right + k, right + k + 1, left + k + 1], axis=1) for k in (0, 1)])
        both = np.concatenate([corners[:, [0, 1, 2, 0, 2, 3]], corners[:, [0, 2, 1, 0, 3, 2]]])  # seen from both sides
        opaque = np.concatenate([colors.reshape(-1, 3), np.ones((colors.shape[0] * 3, 1))], axis=1)
        material = self._vertex_colors(unlit=True)
        flat = points.reshape(-1, 3).astype(np.float32)
        self._add(ridges.name, [self.gltf.primitive(flat, material, indices=both.reshape(-1), COLOR_0=linear(opaque))])

    def _surface(self, surface: Surface) -> None:
        points, triangles = surface.points.reshape(-1, 3), surface.triangles
        a, b, c = (points[triangles[:, k]] for k in range(3))
        normals = np.zeros_like(points)
        for k in range(3):
            np.add.at(normals, triangles[:, k], np.cross(b - a, c - a))
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        normals = np.where(length > 0, normals / np.where(length > 0, length, 1), (0, 1, 0)).astype(np.float32)
        opaque = np.concatenate([surface.colors.reshape(-1, 3), np.ones((len(points), 1))], axis=1)
        both = np.concatenate([triangles, triangles[:, ::-1]])
        material = self._vertex_colors(unlit=True)
        self._add(
            surface.name,
            [self.gltf.primitive(points, material, indices=both.reshape(-1), NORMAL=normals, COLOR_0=linear(opaque))],
        )

    def _names(self, drawn: DrawList, lines: list[Lines]) -> None:
        labels = [label for one in drawn.primitives if isinstance(one, Labels) for label in one.labels]
        clouds = [one.points for one in drawn.primitives if isinstance(one, Points)]
        balls = np.concatenate(clouds) if clouds else None
        found = label_quads(labels, self._pose, [one.points for one in lines if one.avoided], balls)
        if found is not None:
            material = self.gltf.material("names", texture=self.gltf.texture(found.atlas, crisp=False), blended=True)
            self._add("names", self.gltf.quads(found.corners, found.uv, material), {"names": list(found.texts)})


def palette_coordinates(block: Voxels, faces: Faces) -> NDArray[np.float32]:
    """Return where the palette has the colour of each face, ``(n, 2)``: its column by the number, its row by the light."""
    values = faces.values(block).astype(np.float64)
    low, high = block.limits
    with np.errstate(invalid="ignore"):
        column = np.round(np.clip((values - low) / ((high - low) or 1.0), 0, 1) * 255)
    column[np.isnan(values)] = _NAN
    column[np.isinf(values)] = _INFINITE
    return np.stack([(column + 0.5) / _COLUMNS, (_ROWS[faces.side] + 0.5) / len(_LIGHTS)], axis=1).astype(np.float32)


def _corners(box: Box) -> NDArray[np.float32]:
    return np.asarray(np.array(box.origin) + CORNERS * np.array(box.size), dtype=np.float32)


def _rectangle(
    origin: NDArray[np.floating], right: NDArray[np.floating], up: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Return the corners of a rectangle counterclockwise from its lower left one, ``(4, 3)``."""
    return np.stack([origin, origin + right, origin + right + up, origin + up]).astype(np.float32)


def _uv(left: float, top: float, right: float, bottom: float) -> NDArray[np.float32]:
    """Return the texture coordinates of a rectangle's corners, counterclockwise from the lower left one, ``(4, 2)``."""
    return np.array([[left, bottom], [right, bottom], [right, top], [left, top]], dtype=np.float32)


def _ball(*, round_: bool) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return corners and triangles of a ball of radius 1: an octahedron, or one whose faces were divided twice."""
    points = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=np.float64)
    triangles = np.array(
        [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]], dtype=np.int64
    )
    for _ in range(2 if round_ else 0):
        a, b, c = (points[triangles[:, k]] for k in range(3))
        parts = np.stack([a, b, c, a + b, b + c, c + a], axis=1)
        parts = (parts / np.linalg.norm(parts, axis=2, keepdims=True)).reshape(-1, 3)
        inner = np.array([[0, 3, 5], [3, 1, 4], [5, 4, 2], [3, 4, 5]])
        divided = (6 * np.arange(len(triangles))[:, np.newaxis, np.newaxis] + inner).reshape(-1, 3)
        _, first, where = np.unique(np.round(parts, 6), axis=0, return_index=True, return_inverse=True)
        points, triangles = parts[first], where.reshape(-1)[divided]
    return points.astype(np.float32), triangles
