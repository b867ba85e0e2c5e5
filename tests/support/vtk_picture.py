"""The picture that VTK draws of a draw list."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnviz3d.render.antialiasing import StillPicture
from nnviz3d.render.offscreen import offscreen_window
from nnviz3d.render.renderer import Renderer
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.primitives import DrawList


def drawn_by_vtk(what: DrawList, pose: CameraPose, size: tuple[int, int], *, scale: float = 1.0) -> NDArray[np.uint8]:
    """Return VTK's picture with smooth edges, ``(H, W, 3)``, as the page of a served scene shows it at rest.

    Parameters
    ----------
    scale
        Factor of the sizes of text and lines for small pictures.
    """
    renderer = Renderer(offscreen_window(size), scale=scale)
    try:
        renderer.draw(what)
        renderer.look(pose)
        renderer.render()
        still = StillPicture(renderer)
        while not still.done:
            still.add()
        return still.picture()
    finally:
        renderer.close()
