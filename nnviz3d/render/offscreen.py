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

_BAND = 8
"""Rows of the picture that are averaged at a time, so that they stay in the processor's cache."""
_RED_BLUE, _GREEN = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x000000FF000000FF)
_HALF = np.uint64(2 << 16 | 2)
"""Half of the divisor, for rounding."""


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
        return self.renderer.pixels_with_alpha() if self._factor == 2 else self.renderer.pixels()

    def averaged(self, samples: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the picture of the `samples`, ``(H, W, 3)`` uint8. It uses no window, so any thread may call it."""
        return halved(samples) if self._factor == 2 else samples

    def close(self) -> None:
        """Free the memory of the graphics card."""
        self.renderer.close()


def halved(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Average 2 x 2 pixels, ``(2H, 2W, 4)`` to ``(H, W, 3)``: the fourth byte of each pixel is left out."""
    h, w = pixels.shape[0] // 2, pixels.shape[1] // 2
    # Two neighbours are one number of eight bytes, so that one addition adds several colours, each in 16 bits.
    rows = pixels.reshape(2 * h, 8 * w).view("<u8").reshape(h, 2, w)
    found = np.empty((h, w, 3), dtype=np.uint8)
    for start in range(0, h, _BAND):
        upper, lower = rows[start : start + _BAND, 0], rows[start : start + _BAND, 1]
        red_blue = _quarters((upper & _RED_BLUE) + (lower & _RED_BLUE))
        green = _quarters((upper >> 8 & _GREEN) + (lower >> 8 & _GREEN))
        band = found[start : start + _BAND]
        band[..., 0], band[..., 1], band[..., 2] = red_blue[..., 0], green[..., 0], red_blue[..., 2]
    return found


def _quarters(sums: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Add the sums of two neighbours, ``(n, w)``, and divide them by 4: bytes ``(n, w, 8)``, the colours at 0 and 2."""
    sums += sums >> 32
    sums += _HALF
    sums >>= 2
    return sums.view(np.uint8).reshape(*sums.shape, 8)
