"""Smooth edges for a picture that stands: the mean of frames that each look at another place within every pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnviz3d.render.renderer import Renderer

SHIFTS = ((-0.125, -0.375), (0.375, -0.125), (0.125, 0.375), (-0.375, 0.125))
"""Where in a pixel each frame looks: a rotated grid, best for edges near the axes."""


class Average:
    """A smooth picture in the making, one frame at a time, so that there is time for others in between.

    Parameters
    ----------
    renderer
        Has drawn, and rendered once without a shift: where the texts stood then they stay.
    """

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        width, height = renderer.size
        self._total = np.zeros((height, width, 3), dtype=np.uint16)
        self.count = 0

    @property
    def done(self) -> bool:
        """Whether all frames are there."""
        return self.count == len(SHIFTS)

    def add(self) -> None:
        """Draw one more frame."""
        self._renderer.render(shift=SHIFTS[self.count])
        self._total += self._renderer.pixels()
        self.count += 1

    def picture(self) -> NDArray[np.uint8]:
        """Return the mean of the frames so far, ``(H, W, 3)`` uint8."""
        return ((self._total + self.count // 2) // self.count).astype(np.uint8)
