"""Pictures without a window."""

from __future__ import annotations

import os
import sys

import numpy as np
from numpy.typing import NDArray
from vtkmodules.vtkRenderingCore import vtkRenderWindow

from nnviz3d.render.renderer import Renderer
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.primitives import DrawList

_SUPERSAMPLED = 16_000_000
"""Pixels up to which a still is drawn twice as wide and high and then halved."""


def offscreen_window(size: tuple[int, int]) -> vtkRenderWindow:
    """Make a window that is nowhere to be seen, on machines without a display too."""
    if sys.platform.startswith("linux"):
        # Else VTK first tries the X server and complains where there is none.
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    window = vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetSize(*size)
    return window


class Offscreen:
    """A picture of a given size, drawn as often as wanted.

    Parameters
    ----------
    size
        Width and height in pixels.
    antialias
        Draw twice as wide and high and average, unless the picture is too large for that.
    """

    def __init__(self, size: tuple[int, int], *, antialias: bool = True) -> None:
        self._factor = 2 if antialias and size[0] * size[1] * 4 <= _SUPERSAMPLED * 2.1 else 1
        self.renderer = Renderer(offscreen_window((size[0] * self._factor, size[1] * self._factor)), scale=self._factor)

    def picture(self, what: DrawList, pose: CameraPose) -> NDArray[np.uint8]:
        """Draw, and return ``(H, W, 3)`` uint8, the first row on top."""
        return self.averaged(self.samples(what, pose))

    def samples(self, what: DrawList, pose: CameraPose) -> NDArray[np.uint8]:
        """Draw, and return what `averaged` makes the picture of, for films on another thread."""
        self.renderer.draw(what)
        self.renderer.look(pose)
        self.renderer.render()
        return self.renderer.pixels()

    def averaged(self, samples: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the picture of the `samples`, ``(H, W, 3)`` uint8; touches no window."""
        return halved(samples) if self._factor == 2 else samples

    def close(self) -> None:
        """Free everything on the graphics card."""
        self.renderer.close()


def halved(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Average 2 x 2 pixels, ``(2H, 2W, 3)`` to ``(H, W, 3)``."""
    h, w = pixels.shape[0] // 2, pixels.shape[1] // 2
    rows = pixels.reshape(h, 2, w * 6)
    pairs = np.add(rows[:, 0], rows[:, 1], dtype=np.uint16).reshape(h, w, 6)
    total = np.empty((h, w, 3), dtype=np.uint16)
    # Long strides, one for each colour, are three times as quick as short ones over the three colours.
    for k in range(3):
        np.add(pairs[..., k], pairs[..., k + 3], out=total[..., k])
    total += 2
    total >>= 2
    return total.astype(np.uint8)
