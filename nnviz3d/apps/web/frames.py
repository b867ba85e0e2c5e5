"""Frames of the page's picture: drawn in three qualities and encoded for the network."""

from __future__ import annotations

import asyncio
import io
import math
import time
from collections.abc import Callable
from enum import Enum, auto

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nnviz3d.apps.png import encode_png
from nnviz3d.apps.session import Session
from nnviz3d.apps.web.resolution import Resolution
from nnviz3d.render.antialiasing import SHIFTS, StillPicture
from nnviz3d.scene.primitives import DrawList
from nnviz3d.scene.scene import Scene

FOLLOWING = 1 / 25
"""Most seconds from one displayed picture to the next while the user moves the camera; if slower, they are smaller."""
PLAYING = 1 / 12
"""The same while a scene plays."""
_READABLE = 1.45
"""Enlargement of text on the page, since a page cannot be zoomed like a saved picture."""
_MOST = 16_000_000
"""Most pixels of a picture."""
_LOSSLESS = 4_000_000
"""Most pixels of a still picture that is sent without loss; encoding a larger one takes too long."""
_LONGEST_SMOOTH = 5.0
"""Most seconds for a smooth picture; if it takes longer, the plain picture stays."""


class Quality(Enum):
    """Quality of a picture: while it moves, as soon as it is still, and after a moment without changes."""

    ROUGH = auto()
    FULL = auto()
    SMOOTH = auto()


class FrameRenderer:
    """Draws one session for one size of page.

    Attributes
    ----------
    size
        Width and height in pixels of the page.
    moving
        Chooses the size of pictures of a motion.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._renderer = session.renderer
        self.size = session.renderer.size
        self._density = 1.0
        self.moving = Resolution()

    @property
    def aspect(self) -> float:
        """Width over height."""
        return self.size[0] / self.size[1]

    @property
    def scene(self) -> Scene:
        """The session's scene, laid out for this shape."""
        return self._session.layouts.scene_for(self.aspect)

    def resize(self, width: float, height: float, density: float) -> bool:
        """Set the picture's size in page pixels and the screen pixels per page pixel; returns whether it changed."""
        before = self.resolution
        self.size = (int(max(16, min(width, 8192))), int(max(16, min(height, 8192))))
        density = max(0.5, min(density, 4.0))
        self._density = min(density, math.sqrt(_MOST / (self.size[0] * self.size[1])))
        return self.resolution != before

    @property
    def resolution(self) -> tuple[tuple[int, int], float]:
        """Width and height of the picture in page pixels, and the screen pixels per page pixel."""
        return self.size, self._density

    def picture(self) -> DrawList:
        """Return what is drawn now."""
        return self._session.picture(self.scene)

    def draw(self, quality: Quality, what: DrawList | None = None) -> NDArray[np.uint8]:
        """Draw once, by default what `picture` returns; returns ``(H, W, 3)`` uint8."""
        self._fit(self.moving.share if quality is Quality.ROUGH else 1.0)
        self._renderer.careful = quality is not Quality.ROUGH
        self._renderer.draw(what or self.picture())
        self._renderer.render()
        return self._renderer.pixels()

    async def smooth(self, go_on: Callable[[], bool]) -> NDArray[np.uint8] | None:
        """Draw with smooth edges; other tasks run between the frames. `None` if `go_on` says no or it takes too long."""
        start = time.perf_counter()
        average = self._begin()
        while not average.done:
            await asyncio.sleep(0)
            spent = time.perf_counter() - start
            if not go_on() or spent * len(SHIFTS) > _LONGEST_SMOOTH * max(average.count, 1):
                return None
            self._fit(1.0)
            average.add()
        return average.picture()

    def still(self) -> NDArray[np.uint8]:
        """Draw with smooth edges, without a pause."""
        average = self._begin()
        while not average.done:
            average.add()
        return average.picture()

    def _begin(self) -> StillPicture:
        self._renderer.careful = True
        self._fit(1.0)
        self._renderer.draw(self.picture())
        self._renderer.render()
        return StillPicture(self._renderer)

    def _fit(self, ratio: float) -> None:
        factor = self._density * ratio
        size = (max(8, round(self.size[0] * factor)), max(8, round(self.size[1] * factor)))
        self._renderer.factor = factor * _READABLE
        if self._renderer.size != size:
            self._renderer.window.SetSize(*size)


def encode(pixels: NDArray[np.uint8], quality: Quality) -> tuple[bytes, str]:
    """Encode a picture; returns its bytes and their media type."""
    if quality is Quality.SMOOTH and pixels.size <= _LOSSLESS * 3:
        return png(pixels), "image/png"
    image = Image.fromarray(np.ascontiguousarray(pixels))
    out = io.BytesIO()
    if quality is Quality.ROUGH:
        image.save(out, "JPEG", quality=78)
    else:
        image.save(out, "JPEG", quality=93, subsampling=0)
    return out.getvalue(), "image/jpeg"


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode a picture ``(H, W, 3)`` as PNG, in little time."""
    return encode_png(pixels, effort=1)
