"""Antialiasing of a still picture: the mean of frames that are shifted by parts of a pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnviz3d.render.renderer import Renderer

SHIFTS = ((-0.125, -0.375), (0.375, -0.125), (0.125, 0.375), (-0.375, 0.125))
"""Shift of each frame in pixels, right and up: a rotated grid, best for edges near the axes."""


class StillPicture:
    """Mean of shifted frames. Each is added by its own call, so that the caller can do other work in between.

    Parameters
    ----------
    renderer
        Has rendered the picture once without a shift, which placed the texts; they stay there.
    """

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        width, height = renderer.size
        self._total = np.zeros((height, width, 3), dtype=np.uint16)
        self.count = 0

    @property
    def done(self) -> bool:
        """Whether all frames were added."""
        return self.count == len(SHIFTS)

    def add(self) -> None:
        """Draw the next frame and add it."""
        self._renderer.render(shift=SHIFTS[self.count])
        self._total += self._renderer.pixels()
        self.count += 1

    def picture(self) -> NDArray[np.uint8]:
        """Return the mean of the frames so far, ``(H, W, 3)`` uint8."""
        return ((self._total + self.count // 2) // self.count).astype(np.uint8)
