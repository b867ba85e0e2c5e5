"""VTK actors for `Box` and `Image`, and helpers that make VTK's meshes, colours and images from arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
from vtkmodules.vtkCommonCore import vtkPoints, vtkUnsignedCharArray
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkImageData, vtkPolyData
from vtkmodules.vtkRenderingCore import (
    vtkActor,
    vtkPolyDataMapper,
    vtkRenderer,
    vtkTexture,
)

from nnviz3d.scene.primitives import Box, Image, Lines

_CRISP = 64
"""Maximum width in pixels of images whose pixels are drawn as squares."""
CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float32)
_EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if (a ^ b).bit_count() == 1]
_FRAME = 1.1
"""Width of the edges of boxes, in pixels of a 720 pixels high picture."""
FACES = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]


def mesh(points: NDArray[np.float32], cells: NDArray[np.int64], *, lines: bool) -> vtkPolyData:
    """Make a mesh from points ``(n, 3)`` and cells ``(m, k)``, each cell k indices of points."""
    data = vtkPolyData()
    where = vtkPoints()
    where.SetData(numpy_to_vtk(np.ascontiguousarray(points), deep=True))
    data.SetPoints(where)
    (data.SetLines if lines else data.SetPolys)(cell_array(cells))
    return data


def cell_array(cells: NDArray[np.int64]) -> vtkCellArray:
    """Convert indices of points, ``(m, k)``, to VTK's cells."""
    count, length = cells.shape
    array = vtkCellArray()
    offsets = numpy_to_vtkIdTypeArray(np.arange(0, count * length + 1, length, dtype=np.int64), deep=True)
    array.SetData(offsets, numpy_to_vtkIdTypeArray(np.ascontiguousarray(cells, dtype=np.int64).ravel(), deep=True))
    return array


def _color_cells(data: vtkPolyData, colors: NDArray[np.floating]) -> None:
    """Set the colours of the cells, ``(m, 4)`` in [0, 1]."""
    data.GetCellData().SetScalars(rgba(colors))


def rgba(colors: NDArray[np.floating]) -> vtkUnsignedCharArray:
    """Convert colours, ``(m, 4)`` in [0, 1], to VTK's bytes."""
    pixels = np.ascontiguousarray(np.clip(colors, 0, 1) * 255 + 0.5, dtype=np.uint8)
    found: vtkUnsignedCharArray = numpy_to_vtk(pixels, deep=True)
    found.SetName("colors")
    return found


class Mesh:
    """An actor with coloured cells."""

    def __init__(self, renderer: vtkRenderer) -> None:
        self._renderer = renderer
        self.mapper = vtkPolyDataMapper()
        self.mapper.SetColorModeToDirectScalars()
        self.mapper.SetScalarModeToUseCellData()
        self.actor = vtkActor()
        self.actor.SetMapper(self.mapper)
        self.actor.GetProperty().LightingOff()
        self.actor.PickableOff()
        renderer.AddActor(self.actor)

    def remove(self) -> None:
        """Remove the actor from the picture."""
        self._renderer.RemoveActor(self.actor)


class BoxesActor:
    """Draws the bodies of all `Box`es as one mesh of faces.

    Attributes
    ----------
    frames
        The edges of all boxes.
    """

    def __init__(self, renderer: vtkRenderer) -> None:
        self._bodies = Mesh(renderer)
        self._bodies.actor.ForceOpaqueOn()
        self._bodies.actor.VisibilityOff()
        surface = self._bodies.actor.GetProperty()
        surface.LightingOn()
        surface.SetInterpolationToFlat()
        surface.SetAmbient(0.35)
        surface.SetDiffuse(0.65)
        self._boxes: Sequence[Box] = ()
        self.frames: tuple[Lines, ...] = ()

    def update(self, boxes: Sequence[Box]) -> None:
        """Show these boxes instead of the earlier ones."""
        if len(boxes) == len(self._boxes) and all(a is b for a, b in zip(boxes, self._boxes, strict=True)):
            return
        self._boxes = boxes
        solid = [i for i, b in enumerate(boxes) if b.fill > 0]
        self._bodies.actor.SetVisibility(bool(solid))
        if not boxes:
            self.frames = ()
            return
        points = np.stack([np.array(b.origin) + CORNERS * np.array(b.size) for b in boxes]).astype(np.float32)
        colors = np.repeat([[*_edge_color(b), b.edge] for b in boxes], len(_EDGES), axis=0)
        self.frames = (Lines("frames", points[:, _EDGES].reshape(-1, 2, 3), colors, width=_FRAME),)
        if solid:
            first = np.arange(len(solid))[:, np.newaxis, np.newaxis] * 8
            faces = mesh(points[solid].reshape(-1, 3), (np.array(FACES) + first).reshape(-1, 4), lines=False)
            # The bodies are opaque, so their order never matters; `fill` is their brightness against the background.
            _color_cells(
                faces, np.repeat([[*(c * boxes[i].fill for c in boxes[i].color), 1.0] for i in solid], 6, axis=0)
            )
            self._bodies.mapper.SetInputData(faces)

    def remove(self) -> None:
        """Remove the boxes from the picture."""
        self._bodies.remove()


def _edge_color(box: Box) -> tuple[float, float, float]:
    """Return the colour of a box's edges: that of a body is lighter than its faces, so that it is visible."""
    if box.fill <= 0:
        return box.color
    r, g, b = (c + (1 - c) * 0.45 for c in box.color)
    return r, g, b


class ImageActor:
    """Draws an `Image`."""

    def __init__(self, renderer: vtkRenderer, image: Image, scale: float) -> None:
        self._renderer = renderer
        self._image: Image | None = None
        self._texture = vtkTexture()
        self._mapper = vtkPolyDataMapper()
        self.actor = vtkActor()
        self.actor.SetMapper(self._mapper)
        self.actor.SetTexture(self._texture)
        self.actor.GetProperty().LightingOff()
        self.update(image, scale)
        renderer.AddActor(self.actor)

    def update(self, image: Image, scale: float) -> None:
        """Show this image instead of the earlier one."""
        if self._image is image:
            return
        if self._image is None or self._image.pixels is not image.pixels:
            self._texture.SetInputData(image_data(image.pixels))
            self._texture.SetInterpolate(image.pixels.shape[1] > _CRISP)
            self._texture.SetMipmap(image.pixels.shape[1] > _CRISP)
        self._image = image
        x, y, z = image.origin
        w, h = image.size
        points = np.array([[x, y, z], [x + w, y, z], [x + w, y + h, z], [x, y + h, z]], dtype=np.float32)
        self._mapper.SetInputData(_quad(points))
        # `opacity` darkens the image and does not make it translucent, so that nothing behind it is visible.
        self.actor.GetProperty().SetColor(image.opacity, image.opacity, image.opacity)
        self.actor.SetVisibility(image.opacity > 0)

    def remove(self) -> None:
        """Remove the image from the picture."""
        self._renderer.RemoveActor(self.actor)


def _quad(points: NDArray[np.float32]) -> vtkPolyData:
    """Make a textured rectangle from its corners, ``(4, 3)``."""
    data = mesh(points, np.array([[0, 1, 2, 3]]), lines=False)
    coordinates = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float32)
    data.GetPointData().SetTCoords(numpy_to_vtk(coordinates, deep=True))
    return data


def image_data(pixels: NDArray[np.uint8]) -> vtkImageData:
    """Convert pixels ``(H, W, 3)``, the first row on top, to VTK's image, whose first row is at the bottom."""
    height, width, components = pixels.shape
    data = vtkImageData()
    data.SetDimensions(width, height, 1)
    flat = np.ascontiguousarray(pixels[::-1]).reshape(-1, components)
    array = numpy_to_vtk(flat, deep=True)
    array.SetName("pixels")
    data.GetPointData().SetScalars(array)
    return data
