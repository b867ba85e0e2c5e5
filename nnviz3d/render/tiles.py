"""VTK actor for `Tiles`: all are in one texture, each has a rectangle, which moves without an upload of pixels."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkRenderer, vtkTexture

from nnviz3d.render.drawers import cell_array, image_data
from nnviz3d.scene.primitives import Tiles

_CRISP = 64
"""Maximum width in pixels of tiles whose pixels are drawn as squares."""
_CORNERS = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float32)


class TilesActor:
    """Draws `Tiles`. Only changed arrays are uploaded."""

    def __init__(self, renderer: vtkRenderer, tiles: Tiles, scale: float) -> None:
        self._renderer = renderer
        self._tiles: Tiles | None = None
        self._texture = vtkTexture()
        self._data = vtkPolyData()
        self._corners = np.empty((0, 3), dtype=np.float32)
        self._mapper = vtkPolyDataMapper()
        self._mapper.SetInputData(self._data)
        self._mapper.ScalarVisibilityOff()
        self.actor = vtkActor()
        self.actor.SetMapper(self._mapper)
        self.actor.SetTexture(self._texture)
        self.actor.GetProperty().LightingOff()
        self.actor.ForceOpaqueOn()
        self.actor.PickableOff()
        self.update(tiles, scale)
        renderer.AddActor(self.actor)

    def update(self, tiles: Tiles, scale: float) -> None:
        """Show these tiles instead of the earlier ones."""
        before, self._tiles = self._tiles, tiles
        if before is tiles:
            return
        if before is None or before.pixels is not tiles.pixels:
            self._upload(tiles)
        self._move(tiles)
        # `opacity` darkens the tiles and does not make them translucent, so that nothing behind them is visible.
        self.actor.GetProperty().SetColor(tiles.opacity, tiles.opacity, tiles.opacity)
        self.actor.SetVisibility(tiles.opacity > 0 and len(tiles.pixels) > 0)

    def _upload(self, tiles: Tiles) -> None:
        atlas, across = pack_tiles(tiles.pixels)
        smooth = tiles.pixels.shape[2] > _CRISP
        self._texture.SetInputData(image_data(atlas))
        self._texture.SetInterpolate(smooth)
        n, h, w, _ = tiles.pixels.shape
        row, column = np.divmod(np.arange(n), across)
        # The rectangle ends slightly inside of the tile, so that its edge never shows the next tile.
        inset = 0.5 if smooth else 0.01
        left, top = column[:, np.newaxis] * w, row[:, np.newaxis] * h
        u = left + inset + _CORNERS[:, 0] * (w - 2 * inset)
        v = atlas.shape[0] - (top + h - inset - _CORNERS[:, 1] * (h - 2 * inset))
        coordinates = np.stack([u / atlas.shape[1], v / atlas.shape[0]], axis=-1).reshape(-1, 2).astype(np.float32)
        if len(self._corners) != 4 * n:
            self._corners = np.zeros((4 * n, 3), dtype=np.float32)
            points = vtkPoints()
            points.SetData(numpy_to_vtk(self._corners, deep=False))
            self._data.SetPoints(points)
            self._data.SetPolys(cell_array(np.arange(4 * n, dtype=np.int64).reshape(n, 4)))
        self._data.GetPointData().SetTCoords(numpy_to_vtk(coordinates, deep=True))

    def _move(self, tiles: Tiles) -> None:
        sides = np.array([tiles.right, tiles.up], dtype=np.float32) * np.array(tiles.size, dtype=np.float32)[:, None]
        self._corners[...] = (tiles.origins[:, np.newaxis] + _CORNERS @ sides).reshape(-1, 3)
        points = self._data.GetPoints()
        points.GetData().Modified()
        points.Modified()
        self._data.Modified()

    def remove(self) -> None:
        """Remove the tiles from the picture."""
        self._renderer.RemoveActor(self.actor)


def pack_tiles(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """Put tiles ``(n, h, w, 3)`` side by side into one picture, about square; returns it and the tiles in each row."""
    n, h, w, _ = pixels.shape
    across = max(1, min(n, math.ceil(math.sqrt(n * h / max(w, 1)))))
    rows = -(-n // across)
    atlas = np.zeros((max(rows, 1) * across, h, w, 3), dtype=np.uint8)
    atlas[:n] = pixels
    atlas = atlas.reshape(max(rows, 1), across, h, w, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(atlas.reshape(max(rows, 1) * h, across * w, 3)), across
