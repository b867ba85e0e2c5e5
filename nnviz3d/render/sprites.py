"""VTK actor for all text of a picture: sprites side by side in one texture, each on a rectangle of one mesh."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkImageData, vtkPolyData
from vtkmodules.vtkRenderingCore import vtkPolyDataMapper2D, vtkRenderer, vtkTexture, vtkTexturedActor2D

from nnviz3d.render.drawers import cell_array
from nnviz3d.render.text import PlacedSprite, Sprite

_SPARE = 1.5
"""Area of a new atlas as a multiple of the area of its sprites: the rest is for later sprites."""


class Atlas:
    """Sprites side by side in one picture; each is found by its identity.

    Attributes
    ----------
    pixels
        ``(H, W, 4)`` uint8. Adding a sprite writes into the array; packing all sprites again replaces it.
    """

    def __init__(self) -> None:
        self._clear(1, 1)

    def _clear(self, width: int, height: int) -> None:
        self.pixels = np.zeros((height, width, 4), dtype=np.uint8)
        # The sprites are kept alive, so that no other object can get their ids.
        self._held: dict[int, tuple[Sprite, tuple[int, int, int, int]]] = {}
        self._shelves: list[_Shelf] = []

    def hold(self, sprites: Sequence[Sprite]) -> bool:
        """Add the sprites that are missing; return whether the pixels changed."""
        missing = [sprite for sprite in sprites if id(sprite) not in self._held]
        if missing and not all(self._add(sprite) for sprite in _by_height(missing)):
            self._pack(sprites)
        return bool(missing)

    def where(self, sprite: Sprite) -> tuple[int, int, int, int]:
        """Return left, top, right and bottom of a sprite in the atlas, in pixels."""
        return self._held[id(sprite)][1]

    def _pack(self, sprites: Sequence[Sprite]) -> None:
        """Replace the content of the atlas by these sprites."""
        area = sum(sprite.shape[0] * sprite.shape[1] for sprite in sprites) * _SPARE
        width = max(2 ** math.ceil(math.log2(area) / 2), *(sprite.shape[1] for sprite in sprites))
        height = 2 ** math.ceil(math.log2(max(area / width, *(sprite.shape[0] for sprite in sprites))))
        self._clear(width, height)
        while not all(self._add(sprite) for sprite in _by_height(sprites)):
            height *= 2
            self._clear(width, height)

    def _add(self, sprite: Sprite) -> bool:
        """Put a sprite on a shelf of about its height, or on a new shelf; return whether there was room."""
        if id(sprite) in self._held:
            return True
        height, width = sprite.shape[:2]
        free = [
            s for s in self._shelves if height <= s.height <= 1.3 * height and s.used + width <= self.pixels.shape[1]
        ]
        if free:
            shelf = min(free, key=lambda s: s.height)
        else:
            top = self._shelves[-1].top + self._shelves[-1].height if self._shelves else 0
            if top + height > self.pixels.shape[0] or width > self.pixels.shape[1]:
                return False
            shelf = _Shelf(top, height)
            self._shelves.append(shelf)
        left, right, bottom = shelf.used, shelf.used + width, shelf.top + height
        self.pixels[shelf.top : bottom, left:right] = sprite
        self._held[id(sprite)] = sprite, (left, shelf.top, right, bottom)
        shelf.used = right
        return True


@dataclass
class _Shelf:
    """A row of sprites in the atlas: its upper edge, its height and its used width, in pixels."""

    top: int
    height: int
    used: int = 0


def _by_height(sprites: Sequence[Sprite]) -> list[Sprite]:
    return sorted(sprites, key=lambda sprite: -sprite.shape[0])


class SpritesActor:
    """Draws sprites in front of the scene, each in front of those before it."""

    def __init__(self, renderer: vtkRenderer) -> None:
        self._atlas = Atlas()
        self._shown: list[tuple[int, int, int]] = []
        # VTK reads these arrays without a copy: `(n, 4, 3)` and `(n, 4, 2)`, four corners for each sprite.
        self._corners = np.zeros((0, 4, 3), dtype=np.float32)
        self._within = np.zeros((0, 4, 2), dtype=np.float32)
        self._image = vtkImageData()
        self._texture = vtkTexture()
        self._texture.InterpolateOff()
        self._mapper = vtkPolyDataMapper2D()
        self.actor = vtkTexturedActor2D()
        self.actor.SetMapper(self._mapper)
        self.actor.SetTexture(self._texture)
        self.actor.PickableOff()
        self.actor.VisibilityOff()
        renderer.AddViewProp(self.actor)

    @property
    def visible(self) -> bool:
        """Whether any sprite is shown."""
        return bool(self._shown)

    def show(self, placed: Sequence[PlacedSprite]) -> None:
        """Show these sprites instead of the earlier ones."""
        # Positions are rounded to whole pixels, so that text is crisp.
        shown = [(id(one.sprite), round(one.left), round(one.bottom)) for one in placed]
        if shown == self._shown:
            return
        self._shown = shown
        self.actor.SetVisibility(bool(placed))
        if not placed:
            # VTK draws an actor once more that becomes invisible in the middle of a frame.
            self._make(0)
            return
        pixels = self._atlas.pixels
        if self._atlas.hold([one.sprite for one in placed]):
            self._upload(anew=self._atlas.pixels is not pixels)
        self._move(
            np.array([(left, bottom) for _, left, bottom in shown]),
            np.array([self._atlas.where(one.sprite) for one in placed]),
        )

    def _upload(self, *, anew: bool) -> None:
        if anew:
            self._image = vtkImageData()
            self._image.SetDimensions(self._atlas.pixels.shape[1], self._atlas.pixels.shape[0], 1)
            self._image.GetPointData().SetScalars(numpy_to_vtk(self._atlas.pixels.reshape(-1, 4)))
            self._texture.SetInputData(self._image)
        self._image.Modified()

    def _move(self, low: NDArray[np.int64], rects: NDArray[np.int64]) -> None:
        """Draw rectangles of the atlas, ``(n, 4)``, with their lower left corners at screen positions ``(n, 2)``."""
        if len(low) != len(self._corners):
            self._make(len(low))
        left, top, right, bottom = rects.T
        x, y = low.T
        height, width = self._atlas.pixels.shape[:2]
        for k, (across, up) in enumerate(((0, 0), (1, 0), (1, 1), (0, 1))):
            self._corners[:, k, 0] = x + across * (right - left)
            self._corners[:, k, 1] = y + up * (bottom - top)
            # The first row of the atlas is the first row of the texture, which VTK puts at the bottom.
            self._within[:, k, 0] = (right if across else left) / width
            self._within[:, k, 1] = (top if up else bottom) / height
        data = self._mapper.GetInput()
        data.GetPoints().GetData().Modified()
        data.GetPoints().Modified()
        data.GetPointData().GetTCoords().Modified()
        data.Modified()

    def _make(self, count: int) -> None:
        """Make the mesh for a number of sprites."""
        self._corners = np.zeros((count, 4, 3), dtype=np.float32)
        self._within = np.zeros((count, 4, 2), dtype=np.float32)
        data = vtkPolyData()
        points = vtkPoints()
        points.SetData(numpy_to_vtk(self._corners.reshape(-1, 3)))
        data.SetPoints(points)
        data.SetPolys(cell_array(np.arange(count * 4).reshape(count, 4)))
        data.GetPointData().SetTCoords(numpy_to_vtk(self._within.reshape(-1, 2)))
        self._mapper.SetInputData(data)
