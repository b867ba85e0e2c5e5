"""Renderer of draw lists in a VTK window. Each type of primitive has its actor; unchanged primitives are not touched."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import vtkmodules.vtkRenderingOpenGL2  # noqa: F401 - registers the OpenGL implementations
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkUnsignedCharArray
from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow, vtkTexture

from nnviz3d.processors import processors
from nnviz3d.render.drawers import BoxesActor, ImageActor, image_data
from nnviz3d.render.flush import gl_flush
from nnviz3d.render.gradient import GradientBackground
from nnviz3d.render.lines import LinesDrawing
from nnviz3d.render.observers import calling_back, observe
from nnviz3d.render.placed_text import PlacedText
from nnviz3d.render.points import PointsActor
from nnviz3d.render.ridges import RidgesActor
from nnviz3d.render.surfaces import SurfaceActor
from nnviz3d.render.tiles import TilesActor
from nnviz3d.render.voxel_atlas import VoxelAtlasActor, drawn_together
from nnviz3d.render.voxels import VoxelActor, VoxelBoxes, pack
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.primitives import (
    Box,
    DrawList,
    Image,
    Lines,
    Points,
    Ridges,
    Surface,
    Tiles,
    Voxels,
)

_CORES = processors()
_REFERENCE = (1280, 720)
"""Width and height of the picture in which text, lines and margins have scale 1."""


class _Drawn(Protocol):
    def update(self, primitive: Any, scale: float) -> None: ...
    def remove(self) -> None: ...


_DRAWN: dict[type, Callable[[vtkRenderer, Any, float], _Drawn]] = {
    Image: ImageActor,
    Tiles: TilesActor,
    Points: PointsActor,
    Ridges: RidgesActor,
    Surface: SurfaceActor,
}


class Renderer:
    """Draws into a VTK window, on screen or off screen.

    Parameters
    ----------
    window
        Any VTK render window; the renderer adds its own VTK renderers to it.
    scale
        Extra factor for text and lines, such as 2 for a picture that will be halved.

    Attributes
    ----------
    factor
        The extra factor; a new one takes effect at the next `draw`.
    text
        The placed text.
    careful
        Whether to darken the corners and creases of blocks, to shade the background, and to draw very many curves through
        all their points. This takes a third of the time of a frame on a software rasterizer, so frames of a moving picture
        do without.
    """

    def __init__(self, window: vtkRenderWindow, *, scale: float = 1.0) -> None:
        self.window = window
        self.factor = scale
        self.careful = True
        self._background = DrawList(()).background
        self._text_stays = False
        self.renderer = vtkRenderer()
        window.AddRenderer(self.renderer)
        window.SetMultiSamples(0)
        # Lines are blended in their order, the strongest on top. VTK's order-independent transparency would average their
        # colours, so that many orange and blue lines become grey, and takes a fifth of the time of a frame.
        self.renderer.SetUseOIT(False)
        # Textures of exact numbers need an OpenGL context before the first block is made.
        window.Render()
        self._gradient = GradientBackground(self.renderer)
        self._drawn: dict[tuple[type, str], _Drawn] = {}
        self._blocks: dict[str, VoxelActor] = {}
        self._atlas: VoxelAtlasActor | None = None
        self._boxes = BoxesActor(self.renderer)
        self._lines = LinesDrawing(self.renderer, self._before_lines)
        self._flush = gl_flush()
        self._text_waits = False
        self.text = PlacedText(self.renderer)
        observe(self.renderer, "StartEvent", self._before_render)
        self._front = vtkRenderer()
        self._front.DrawOff()
        self._front.InteractiveOff()
        window.AddRenderer(self._front)
        self._overlay = vtkTexture()
        self._overlay.InterpolateOff()
        self._front.SetBackgroundTexture(self._overlay)
        self._front.TexturedBackgroundOn()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        width, height = self.window.GetSize()
        return int(width), int(height)

    @property
    def scale(self) -> float:
        """Factor for the sizes of text and lines; 1 in a picture of 1280 x 720 pixels."""
        width, height = self.size
        return max(0.6 * self.factor, min(width / _REFERENCE[0], height / _REFERENCE[1]))

    def draw(self, what: DrawList) -> None:
        """Make the window equal to a draw list; `render` shows it."""
        self.window.MakeCurrent()  # otherwise textures of exact numbers may go to the window that was drawn last
        self._background = what.background
        self.renderer.SetBackground(*self._background[0])
        scale = self.scale
        wanted = {(type(p), p.name): p for p in what.primitives if type(p) in _DRAWN}
        for key in [k for k in self._drawn if k not in wanted]:
            self._drawn.pop(key).remove()
        for key, primitive in wanted.items():
            if key in self._drawn:
                self._drawn[key].update(primitive, scale)
            else:
                self._drawn[key] = _DRAWN[key[0]](self.renderer, primitive, scale)
        self._draw_blocks({p.name: p for p in what.primitives if isinstance(p, Voxels)})
        self._boxes.update([p for p in what.primitives if isinstance(p, Box)])
        self._lines.update([*(p for p in what.primitives if isinstance(p, Lines)), *self._boxes.frames], scale)
        self.text.update(what)

    def _draw_blocks(self, blocks: dict[str, Voxels]) -> None:
        together = drawn_together(blocks)
        if self._atlas is not None and not together:
            self._atlas.remove()
            self._atlas = None
        if together:
            self._atlas = self._atlas or VoxelAtlasActor(self.renderer, self.renderer.GetBackground())
            self._atlas.update([*together.values()])
        self._draw_single_blocks({name: block for name, block in blocks.items() if name not in together})

    def _draw_single_blocks(self, blocks: dict[str, Voxels]) -> None:
        for name in [name for name in self._blocks if name not in blocks]:
            self._blocks.pop(name).remove()
        new = [b for name, b in blocks.items() if name not in self._blocks or not self._blocks[name].shows(b.values)]
        packed = {}
        if len(new) > 1:
            # In parallel: another sample of a deep network is many millions of numbers.
            with ThreadPoolExecutor(_CORES) as cores:
                packed = dict(zip((b.name for b in new), cores.map(pack, (b.values for b in new)), strict=True))
        for name, block in blocks.items():
            if name in self._blocks:
                self._blocks[name].update(block, packed.get(name))
            else:
                ground = self.renderer.GetBackground()
                self._blocks[name] = VoxelActor(self.renderer, block, ground, packed.get(name))

    def look(self, pose: CameraPose) -> None:
        """Set the camera's pose."""
        camera = self.renderer.GetActiveCamera()
        camera.SetPosition(*pose.position)
        camera.SetFocalPoint(*pose.target)
        camera.SetViewUp(*pose.up)
        camera.SetViewAngle(pose.field_of_view)

    def pose(self) -> CameraPose:
        """Return the camera's pose."""
        camera = self.renderer.GetActiveCamera()
        return CameraPose(camera.GetPosition(), camera.GetFocalPoint(), camera.GetViewUp(), camera.GetViewAngle())

    def render(self, *, shift: tuple[float, float] | None = None) -> None:
        """Draw one frame.

        Parameters
        ----------
        shift
            Offset of everything but text, to the right and upwards, less than a pixel: the average of shifted frames has
            smooth edges and crisp text.
        """
        width, height = self.size
        x, y = shift or (0.0, 0.0)
        self.renderer.GetActiveCamera().SetWindowCenter(-2 * x / width, -2 * y / height)
        self._text_stays = shift is not None
        with calling_back():
            self.window.Render()
        if self._text_waits:
            # No line was in the picture.
            self._text_waits = False
            self._place_text()
            self._text_stays = True
            with calling_back():
                self.window.Render()

    def overlay(self, pixels: NDArray[np.uint8] | None) -> None:
        """Show a picture instead of the scene, which is not drawn meanwhile; `render` shows it.

        Parameters
        ----------
        pixels
            ``(H, W, 3)`` uint8, the first row on top, as large as the window; `None` to show the scene again.
        """
        if pixels is not None:
            self._overlay.SetInputData(image_data(pixels))
        self._front.SetDraw(pixels is not None)
        self.renderer.SetDraw(pixels is None)

    def pixels(self) -> NDArray[np.uint8]:
        """Read the last frame, ``(H, W, 3)`` uint8, the first row on top, without drawing it again."""
        width, height = self.size
        buffer = vtkUnsignedCharArray()
        self.window.GetPixelData(0, 0, width - 1, height - 1, 0, buffer, 0)
        return np.asarray(vtk_to_numpy(buffer).reshape(height, width, 3)[::-1])

    def pixels_with_alpha(self) -> NDArray[np.uint8]:
        """Read the last frame, ``(H, W, 4)`` uint8, as `pixels` does, but sooner.

        The window stores four bytes a pixel; no picture needs the fourth.
        """
        width, height = self.size
        buffer = vtkUnsignedCharArray()
        self.window.GetRGBACharPixelData(0, 0, width - 1, height - 1, 0, buffer, 0)
        return np.asarray(vtk_to_numpy(buffer).reshape(height, width, 4)[::-1])

    def close(self) -> None:
        """Free the memory of the graphics card."""
        for drawn in self._drawn.values():
            drawn.remove()
        for block in self._voxels():
            block.remove()
        self._gradient.close()
        self._drawn.clear()
        self._blocks.clear()
        self._atlas = None
        self.window.Finalize()

    def _before_render(self, *_: object) -> None:
        low, high = self._background
        if self.careful:
            self._gradient.begin(low, high)
        else:
            red, green, blue = ((a + b) / 2 for a, b in zip(low, high, strict=True))
            self._gradient.begin_plain((red, green, blue))
        clouds = [d for d in self._drawn.values() if isinstance(d, PointsActor)]
        drawn, count = (
            sum(numbers) for numbers in zip((0, 0), *(c.look(moving=not self.careful) for c in clouds), strict=True)
        )
        self.renderer.ResetCameraClippingRange()
        camera = self.renderer.GetActiveCamera()
        parallel = bool(camera.GetParallelProjection())
        half = camera.GetParallelScale() if parallel else math.tan(math.radians(camera.GetViewAngle() / 2))
        pixel = 2 * half / self.size[1]
        connections = self._lines.look_from(camera.GetPosition(), pixel, moving=not self.careful)
        for block in self._voxels():
            block.look_from(
                camera.GetPosition(),
                camera.GetDirectionOfProjection(),
                pixel,
                parallel=parallel,
                creases=self.careful,
            )
        if not self._text_stays:
            self.text.add_count_panel({"points": (drawn, count), "connections": connections})
            # What is invisible when a frame begins is not in it, so only text that is there can wait.
            self._text_waits = bool(self._lines.runs) and self.text.visible
            if not self._text_waits:
                self._place_text()

    def _before_lines(self) -> None:
        """Place the text, if it waits, while the threads of a software rasterizer draw the blocks."""
        self._flush()
        if self._text_waits:
            self._text_waits = False
            self._place_text()

    def _voxels(self) -> list[VoxelBoxes]:
        return [*self._blocks.values(), *([] if self._atlas is None else [self._atlas])]

    def _place_text(self) -> None:
        self.text.place(self._matrix(), self.size, self.scale)

    def _matrix(self) -> NDArray[np.float64]:
        """Return the matrix from world to clip coordinates, ``(4, 4)``."""
        width, height = self.size
        matrix = self.renderer.GetActiveCamera().GetCompositeProjectionTransformMatrix(width / height, -1, 1)
        return np.array([[matrix.GetElement(i, j) for j in range(4)] for i in range(4)])
