"""`snapshot`: write one picture into a file."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.png import encode_png
from nnviz3d.apps.whole_files import write_whole
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.training_embedding import EmbeddingTrajectory
from nnviz3d.errors import UserError
from nnviz3d.scene.look_check import scene_of
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import SceneSpec
from nnviz3d.stopping import DelayedSignals


def require_graphics() -> None:
    """Refuse to draw where the system's OpenGL is missing, because VTK would crash without a message.

    Raises
    ------
    UserError
        On Linux, if libEGL or libGL cannot be loaded.
    """
    if not sys.platform.startswith("linux"):
        return
    for library in ("libEGL.so.1", "libGL.so.1"):
        try:
            ctypes.CDLL(library)
        except OSError:
            raise UserError(
                f"Drawing needs OpenGL, and {library} is missing here; on Debian and Ubuntu: apt install libegl1 libgl1."
            ) from None


def snapshot(
    spec: SceneSpec,
    capture: CaptureReader,
    out: Path,
    *,
    size: tuple[int, int] = (1920, 1080),
    at: float | None = None,
    selection: Selection | None = None,
    trajectory: EmbeddingTrajectory | None = None,
) -> None:
    """Draw one picture and write it as PNG. The file appears only when it is complete.

    Parameters
    ----------
    size
        Width and height in pixels.
    at
        Time of the scene in seconds; by default that of its saved look, or its end, where everything is visible.
    trajectory
        The points of a recorded training at each step; by default those that the capture holds.
    """
    require_graphics()
    from nnviz3d.render.offscreen import Offscreen

    aspect = size[0] / size[1]
    selection = selection or Selection()
    scene = scene_of(spec, capture, selection, aspect=aspect, trajectory=trajectory)
    moment = scene.first_time if at is None else at
    drawn = scene.at(moment, selection)
    with DelayedSignals():
        studio = Offscreen(size)
    try:
        with DelayedSignals():
            pixels = studio.picture(drawn, scene.first_pose(moment, aspect=aspect))
        write_png(pixels, out)
    finally:
        studio.close()


def write_png(pixels: NDArray[np.uint8], out: Path) -> None:
    """Write ``(H, W, 3)`` as PNG; the file appears only when it is complete.

    Raises
    ------
    UserError
        If the system refuses to write the file.
    """
    write_whole(out, encode_png(pixels))
