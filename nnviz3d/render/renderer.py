"""Renderer of draw lists in a VTK window. Each type of primitive has its actor; unchanged primitives are not touched."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import vtkmodules.vtkRenderingOpenGL2  # noqa: F401 - registers the OpenGL implementations
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkUnsignedCharArray
from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow, vtkTexture

from nnviz3d.processors import processors
from nnviz3d.render.callouts import board_places, callout_places, marked_at
from nnviz3d.render.drawers import BoxesActor, ImageActor, image_data
from nnviz3d.render.flush import gl_flush
from nnviz3d.render.gradient import GradientBackground
from nnviz3d.render.label_placement import Rect, corners_of, line_map, outlines, place_labels
from nnviz3d.render.label_ways import LabelWays
from nnviz3d.render.lines import LinesDrawing
from nnviz3d.render.observers import calling_back, observe
from nnviz3d.render.panels import CORNERS, is_narrow, is_too_high, left_out_note, narrowed, panel_widest, place_panels
from nnviz3d.render.point_pictures import placed_in
from nnviz3d.render.points import PointsActor
from nnviz3d.render.ridges import RidgesActor
from nnviz3d.render.sprites import SpritesActor
from nnviz3d.render.surfaces import SurfaceActor
from nnviz3d.render.text import PlacedSprite, Sprite, label_size, label_sprite, panel_sprite
from nnviz3d.render.tiles import TilesActor
from nnviz3d.render.voxel_atlas import VoxelAtlasActor, drawn_together
from nnviz3d.render.voxels import VoxelActor, VoxelBoxes, pack
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.panel_rows import TextRow
from nnviz3d.scene.primitives import (
    Box,
    Callout,
    Corner,
    DrawList,
    Image,
    Label,
    Labels,
    Lines,
    Panel,
    Points,
    Ridges,
    Surface,
    Tiles,
    Voxels,
)

_CORES = processors()
_REFERENCE = (1280, 720)
"""Width and height of the picture in which text, lines and margins have scale 1."""

_FEWER = "fewer while moving"
"""Name of the panel that says how many points and connections are drawn while the picture moves."""
_CORNERS_FOR_FEWER: tuple[Corner, ...] = ("bottom-right", "top-right", "top-left")


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
        self._labels: tuple[Label, ...] = ()
        self._pictured: tuple[Points, ...] = ()
        self._corners = corners_of(())
        self._ways: tuple[LabelWays, float] | None = None
        self._avoided: tuple[NDArray[np.float32], ...] = ()
        self._panels: tuple[Panel, ...] = ()
        self._boards: tuple[Panel, ...] = ()
        self._callouts: tuple[Callout, ...] = ()
        self._text = SpritesActor(self.renderer)
        self._placed: tuple[tuple[object, ...], object] = (), None
        self._panel_pixels: dict[tuple[Panel, float, float, bool], NDArray[np.uint8]] = {}
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
        self._avoided = tuple(p.points for p in what.primitives if isinstance(p, Lines) and p.avoided)
        self._pictured = tuple(p for p in what.primitives if isinstance(p, Points) and p.pictures is not None)
        labels = tuple(label for p in what.primitives if isinstance(p, Labels) for label in p.labels)
        if len(labels) != len(self._labels) or any(a is not b for a, b in zip(labels, self._labels, strict=True)):
            self._labels, self._corners = labels, corners_of(labels)
        panels = [p for p in what.primitives if isinstance(p, Panel)]
        self._panels = tuple(p for p in panels if p.corner in CORNERS)
        self._boards = tuple(p for p in panels if p.corner not in CORNERS)
        self._callouts = tuple(p for p in what.primitives if isinstance(p, Callout))

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
            self._keep_text()
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
            self._add_count_panel({"points": (drawn, count), "connections": connections})
            # What is invisible when a frame begins is not in it, so only text that is there can wait.
            self._text_waits = bool(self._lines.runs) and self._text.visible
            if not self._text_waits:
                self._keep_text()

    def _before_lines(self) -> None:
        """Place the text, if it waits, while the threads of a software rasterizer draw the blocks."""
        self._flush()
        if self._text_waits:
            self._text_waits = False
            self._keep_text()

    def _voxels(self) -> list[VoxelBoxes]:
        return [*self._blocks.values(), *([] if self._atlas is None else [self._atlas])]

    def _add_count_panel(self, numbers: Mapping[str, tuple[int, int]]) -> None:
        """Say in a panel what is not drawn; the numbers are how many of a kind are drawn, and the number of all."""
        panels = [p for p in self._panels if p.name != _FEWER]
        rows = tuple(
            TextRow(f"{drawn:,} of {count:,} {what} are drawn while the picture moves", "quiet")
            for what, (drawn, count) in numbers.items()
            if drawn < count
        )
        if rows:
            known = next((p for p in self._panels if p.name == _FEWER and p.rows == rows), None)
            taken = {p.corner for p in panels}
            # In a free corner it moves no other panel.
            corner: Corner = next((c for c in _CORNERS_FOR_FEWER if c not in taken), _CORNERS_FOR_FEWER[0])
            panels.append(known if known and known.corner == corner else Panel(_FEWER, corner, rows))
        self._panels = tuple(panels)

    def _keep_text(self) -> None:
        """Place all text, unless it, the camera and the size are as when it was last placed."""
        texts = (*self._labels, *self._avoided, *self._panels, *self._boards, *self._callouts, *self._pictured)
        view = (self.size, self.scale, self._matrix().tobytes())
        known, seen = self._placed
        if view == seen and len(texts) == len(known) and all(a is b for a, b in zip(texts, known, strict=True)):
            return
        self._placed = (), None
        self._place_text()
        self._placed = texts, view

    def _place_text(self) -> None:
        """Place panels, boards, callouts and labels, in the order of their importance, and pictures of points below."""
        scale = self.scale
        sprites, occupied = self._place_panels(scale)
        size, matrix = self.size, self._matrix()
        pictures = placed_in(self._pictured, matrix, size, scale, occupied)
        boards = board_places(self._boards, size, scale, occupied, marked_at(self._callouts, matrix, size, scale))
        named = outlines(self._corners, matrix, size)
        callouts = callout_places(self._callouts, matrix, size, scale, occupied, named)
        placed = place_labels(
            self._label_ways(scale), named, size, scale, occupied, line_map(self._avoided, matrix, size)
        )
        for found in placed:
            label = self._labels[found.index]
            sprite = label_sprite(found.lines, label.emphasis, scale, label.small)
            sprites.append(PlacedSprite(sprite, found.rect.left, found.rect.bottom))
        self._text.show([*pictures, *sprites, *callouts, *boards])

    def _label_ways(self, scale: float) -> LabelWays:
        """Return the ways in which each label may be shown; measured anew for other labels and another scale."""
        known = self._ways
        if known is None or known[0].labels is not self._labels or known[1] != scale:
            measured = LabelWays(self._labels, lambda label, lines: label_size(lines, scale, label.small))
            known = self._ways = (measured, scale)
        return known[0]

    def _place_panels(self, scale: float) -> tuple[list[PlacedSprite], list[Rect]]:
        """Place the panels in the corners; returns them and the rectangles that other text must not cover."""
        size = self.size
        narrow = is_narrow(size, scale)
        beside = Counter(p.corner for p in self._panels)
        known, self._panel_pixels = self._panel_pixels, {}

        def drawn(panel: Panel, widest: float | None = None) -> Sprite:
            usual = panel_widest(panel.corner, beside[panel.corner], size, scale)
            key = (panel, scale, usual if widest is None else widest, narrow)
            found = known[key] if key in known else panel_sprite(panel, scale, key[2], at_left=narrow)
            self._panel_pixels[key] = found
            return found

        panels = list(self._panels)
        pixels = [drawn(panel) for panel in panels]
        for k, widest in narrowed(_shapes(panels, pixels), size, scale).items():
            found = drawn(panels[k], widest)
            if is_too_high(pixels[k].shape[0], size) or not is_too_high(found.shape[0], size):
                pixels[k] = found
        note = left_out_note(panels, [one.shape[0] for one in pixels], size)
        if note is not None:
            panels.append(note)
            pixels.append(drawn(note))
        placed = place_panels(_shapes(panels, pixels), size, scale)
        return [PlacedSprite(pixels[p.index], p.left, p.bottom) for p in placed], [p.rect for p in placed]

    def _matrix(self) -> NDArray[np.float64]:
        """Return the matrix from world to clip coordinates, ``(4, 4)``."""
        width, height = self.size
        matrix = self.renderer.GetActiveCamera().GetCompositeProjectionTransformMatrix(width / height, -1, 1)
        return np.array([[matrix.GetElement(i, j) for j in range(4)] for i in range(4)])


def _shapes(panels: Sequence[Panel], pixels: Sequence[Sprite]) -> list[tuple[str, tuple[int, int]]]:
    """Return corner, and width and height in pixels of each panel."""
    return [(p.corner, (w, h)) for p, (h, w, _) in zip(panels, (s.shape for s in pixels), strict=True)]
