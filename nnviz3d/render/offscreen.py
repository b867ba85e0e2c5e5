"""Off-screen rendering to pictures."""

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
"""Maximum number of pixels, about, of a picture that is drawn twice as wide and high and then halved."""


def offscreen_window(size: tuple[int, int]) -> vtkRenderWindow:
    """Make an invisible window; it needs no display."""
    if sys.platform.startswith("linux"):
        # Otherwise VTK first tries the X server, and prints warnings if there is none.
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    window = vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetSize(*size)
    return window


class Offscreen:
    """Renderer of pictures of one size.

    Parameters
    ----------
    size
        Width and height in pixels.
    antialias
        Whether to draw twice as wide and high and average, unless the picture is too large for that.
    """

    def __init__(self, size: tuple[int, int], *, antialias: bool = True) -> None:
        self._factor = 2 if antialias and size[0] * size[1] * 4 <= _SUPERSAMPLED * 2.1 else 1
        self.renderer = Renderer(offscreen_window((size[0] * self._factor, size[1] * self._factor)), scale=self._factor)

    def picture(self, what: DrawList, pose: CameraPose) -> NDArray[np.uint8]:
        """Draw a picture and return it, ``(H, W, 3)`` uint8, the first row on top."""
        return self.averaged(self.samples(what, pose))

    def samples(self, what: DrawList, pose: CameraPose) -> NDArray[np.uint8]:
        """Draw a picture and return its samples, which `averaged` converts to the picture, on another thread if needed."""
        self.renderer.draw(what)
        self.renderer.look(pose)
        self.renderer.render()
        return self.renderer.pixels()

    def averaged(self, samples: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the picture of the `samples`, ``(H, W, 3)`` uint8. It uses no window, so any thread may call it."""
        return halved(samples) if self._factor == 2 else samples

    def close(self) -> None:
        """Free the memory of the graphics card."""
        self.renderer.close()


def halved(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Average 2 x 2 pixels, ``(2H, 2W, 3)`` to ``(H, W, 3)``."""
    h, w = pixels.shape[0] // 2, pixels.shape[1] // 2
    rows = pixels.reshape(h, 2, w * 6)
    pairs = np.add(rows[:, 0], rows[:, 1], dtype=np.uint16).reshape(h, w, 6)
    total = np.empty((h, w, 3), dtype=np.uint16)
    # One long loop for each colour is three times as fast as short loops over the three colours.
    for k in range(3):
        np.add(pairs[..., k], pairs[..., k + 3], out=total[..., k])
    total += 2
    total >>= 2
    return total.astype(np.uint8)
