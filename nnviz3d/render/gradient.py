"""Background that changes its colour from the bottom to the top: drawn once, then copied into each frame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow
from vtkmodules.vtkRenderingOpenGL2 import vtkOpenGLFramebufferObject, vtkTextureObject

from nnviz3d.errors import UserError
from nnviz3d.scene.colors import Color

_COLORS, _NEAREST, _CUTTING = 0x4000, 0x2600, 0x0C11
"""OpenGL's color buffer bit, nearest filter, and scissor test."""
_BYTE = 3
"""VTK's type of unsigned bytes."""


class GradientBackground:
    """The background of a renderer that fills its window.

    VTK computes a gradient with noise against visible bands, which takes a software rasterizer five times as long as a
    copy of the same pixels.
    """

    def __init__(self, renderer: vtkRenderer) -> None:
        self._renderer = renderer
        self._window: vtkRenderWindow = renderer.GetRenderWindow()
        self._pixels = vtkTextureObject()
        self._pixels.SetContext(self._window)
        self._kept = vtkOpenGLFramebufferObject()
        self._kept.SetContext(self._window)
        self._size = (0, 0)
        self._shown: tuple[tuple[int, int], Color, Color] | None = None

    def begin(self, low: Color, high: Color) -> None:
        """Put the gradient into the frame that begins.

        Parameters
        ----------
        low, high
            Colours at the bottom and at the top.
        """
        width, height = self._window.GetSize()
        shown = (width, height), low, high
        self._renderer.SetBackground(*low)
        self._renderer.SetBackground2(*high)
        if shown != self._shown:
            self._draw(width, height)
            self._shown = shown
        self._renderer.SetGradientBackground(False)
        self._renderer.SetPreserveColorBuffer(True)
        self._copy(self._kept, self._window.GetRenderFramebuffer(), (width, height))

    def begin_plain(self, color: Color) -> None:
        """Put one colour into the frame that begins."""
        self._renderer.SetBackground(*color)
        self._renderer.SetGradientBackground(False)
        self._renderer.SetPreserveColorBuffer(False)

    def close(self) -> None:
        """Free the memory of the graphics card."""
        self._kept.ReleaseGraphicsResources(self._window)
        self._pixels.ReleaseGraphicsResources(self._window)

    def _draw(self, width: int, height: int) -> None:
        """Draw the gradient into the frame, and keep a copy."""
        self._renderer.SetGradientBackground(True)
        self._renderer.SetPreserveColorBuffer(False)
        state = self._window.GetState()
        state.vtkglDisable(_CUTTING)
        state.vtkglViewport(0, 0, width, height)
        self._renderer.Clear()
        if self._size != (width, height):
            if not self._pixels.Allocate2D(width, height, 4, _BYTE):
                raise UserError(f"The graphics driver refused a picture of {width} x {height}; choose a smaller one.")
            with self._bindings():
                self._kept.Bind()
                self._kept.AddColorAttachment(0, self._pixels)
            self._size = width, height
        self._copy(self._window.GetRenderFramebuffer(), self._kept, (width, height))

    def _copy(
        self, source: vtkOpenGLFramebufferObject, target: vtkOpenGLFramebufferObject, size: tuple[int, int]
    ) -> None:
        extent = (0, size[0], 0, size[1])
        with self._bindings():
            source.Bind(vtkOpenGLFramebufferObject.GetReadMode())
            source.ActivateReadBuffer(0)
            target.Bind(vtkOpenGLFramebufferObject.GetDrawMode())
            target.ActivateDrawBuffer(0)
            self._window.GetState().vtkglDisable(_CUTTING)  # it would cut the copy too
            vtkOpenGLFramebufferObject.Blit(extent, extent, _COLORS, _NEAREST)

    @contextmanager
    def _bindings(self) -> Iterator[None]:
        """Context after which the framebuffers are bound as before."""
        state = self._window.GetState()
        state.PushFramebufferBindings()
        try:
            yield
        finally:
            state.PopFramebufferBindings()
