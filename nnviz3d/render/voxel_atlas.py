"""VTK actor for many small `Voxels`: their numbers side by side in one texture, all boxes in one draw call."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkRenderingCore import vtkRenderer

from nnviz3d.render.drawers import CORNERS, FACES, mesh
from nnviz3d.render.shader_texts import glsl
from nnviz3d.render.voxel_packing import pack_all
from nnviz3d.render.voxels import Packed, VoxelBoxes, front_of, lowest_rank, real_count
from nnviz3d.scene.colors import Color
from nnviz3d.scene.primitives import Voxels

LEAST = 48
"""Least number of small blocks of a picture that are drawn together."""
MOST_CELLS = 4096
"""Most cells of a small block. Larger ones cover many pixels each, so drawing them together saves nothing."""
MOST = 8192
"""Most blocks of one actor; each has a row of a texture."""
_TEXELS = 8
"""Texels of four numbers for each block, as in the shader."""
_WIDEST = 4096
_DECLARATIONS = f"uniform sampler2D parameters;\n{''.join(f'flat out vec4 block{k};{chr(10)}' for k in range(_TEXELS))}"


def drawn_together(blocks: Mapping[str, Voxels]) -> dict[str, Voxels]:
    """Return the blocks of a picture, by name, that one `VoxelAtlasActor` draws; none if few are small."""
    small = [name for name, block in blocks.items() if 0 < block.values.size <= MOST_CELLS][:MOST]
    return {name: blocks[name] for name in small} if len(small) >= LEAST else {}


class VoxelAtlasActor(VoxelBoxes):
    """Draws many blocks. `update` uploads only what changed."""

    def __init__(self, renderer: vtkRenderer, ground: Color) -> None:
        super().__init__(
            renderer,
            ground,
            declarations=_DECLARATIONS,
            corners=glsl("voxel_atlas.vert.glsl"),
            definitions=glsl("voxel_atlas.frag.glsl"),
        )
        self._blocks: Sequence[Voxels] = ()
        self._packed: list[Packed] = []
        self._places: NDArray[np.int64] = np.empty((0, 4), dtype=np.int64)
        renderer.AddActor(self.actor)

    def update(self, blocks: Sequence[Voxels]) -> None:
        """Show these blocks instead of the earlier ones."""
        before = self._blocks
        if len(blocks) == len(before) and all(a is b for a, b in zip(blocks, before, strict=True)):
            return
        if len(blocks) != len(before) or any(a.values is not b.values for a, b in zip(blocks, before, strict=True)):
            self._upload(blocks)
        maps = list({id(block.colormap): block.colormap for block in blocks}.values())
        if maps != list({id(block.colormap): block.colormap for block in before}.values()):
            self._texture("lookup", np.stack([one.table for one in maps]).reshape(len(maps), 256, 3))
        rows = {id(one): k for k, one in enumerate(maps)}
        found = [
            _parameters(block, packed, rows[id(block.colormap)])
            for block, packed in zip(blocks, self._packed, strict=True)
        ]
        parameters = np.array(found, dtype=np.float32).reshape(len(blocks), _TEXELS, 4)
        parameters[:, 7] = self._places
        self._texture("parameters", parameters)
        self._blocks = blocks
        shown = np.array([block.visible for block in blocks])
        self.actor.SetVisibility(bool(shown.any()))
        self._mapper.SetInputData(_boxes(blocks, shown))

    def _upload(self, blocks: Sequence[Voxels]) -> None:
        known = {id(block.values): packed for block, packed in zip(self._blocks, self._packed, strict=True)}
        new = [block for block in blocks if id(block.values) not in known]
        known |= dict(zip((id(b.values) for b in new), pack_all([b.values for b in new]), strict=True))
        self._packed = [known[id(block.values)] for block in blocks]
        numbers, first = side_by_side([one.atlas for one in self._packed])
        levels, second = side_by_side([one.levels for one in self._packed])
        self._places = np.concatenate([first, second], axis=1)
        self._texture("numbers", numbers)
        self._texture("levels", levels)


def side_by_side(pictures: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Put pictures on shelves of one larger picture, the highest first.

    Returns
    -------
    whole
        ``(H, W, ...)``; the rest is zero.
    places
        ``(n, 2)``: column and row of each picture's first pixel.
    """
    sizes = np.array([picture.shape[:2] for picture in pictures])
    width = int(np.clip(math.sqrt(sizes.prod(axis=1).sum()), sizes[:, 1].max(), max(_WIDEST, sizes[:, 1].max())))
    places = np.empty((len(pictures), 2), dtype=np.int64)
    left = top = height = 0
    for k in np.argsort(-sizes[:, 0], kind="stable").tolist():
        high, wide = sizes[k].tolist()
        if left + wide > width:
            left, top, height = 0, top + height, 0
        places[k] = left, top
        left, height = left + wide, max(height, high)
    whole = np.zeros((top + height, width, *pictures[0].shape[2:]), dtype=pictures[0].dtype)
    for (x, y), picture in zip(places.tolist(), pictures, strict=True):
        whole[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    return whole, places


def _parameters(block: Voxels, packed: Packed, row: int) -> list[float]:
    """Return what the shader knows of a block, in the order of its texels; the last texel is left to the caller."""
    x, y, z = block.values.shape
    begin, end = block.columns
    return [
        *(x, y, z, packed.across),
        *(begin, 0, 0, packed.levels_across),
        *(end, y, z, lowest_rank(packed.bounds, block.threshold)),
        *(*block.origin, block.emphasis),
        *(*block.cell, block.glow),
        *(*front_of(block), block.threshold),
        *(*block.limits, real_count(block), row),
        *(0, 0, 0, 0),
    ]


def _boxes(blocks: Sequence[Voxels], shown: NDArray[np.bool_]) -> vtkPolyData:
    """Return the boxes as one mesh, whose points are those of all blocks and whose faces are those of the shown ones."""
    low = np.array([block.origin for block in blocks])
    high = low + np.array([block.size for block in blocks])
    # As VTK's cube source computes them, so that a block has the same pixels as if it were drawn alone.
    points = ((high + low) / 2)[:, np.newaxis] + (2 * CORNERS - 1.0) * ((high - low) / 2)[:, np.newaxis]
    faces = np.array(FACES) + 8 * np.flatnonzero(shown)[:, np.newaxis, np.newaxis]
    return mesh(points.reshape(-1, 3).astype(np.float32), faces.reshape(-1, 4), lines=False)
