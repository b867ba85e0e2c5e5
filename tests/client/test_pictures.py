"""The client's pictures in a real Chromium against VTK's pictures of the same frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from nnviz3d.render.antialiasing import StillPicture
from nnviz3d.render.offscreen import offscreen_window
from nnviz3d.render.renderer import Renderer
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.primitives import DrawList, Voxels
from tests.support.client_page import client_page, without_text
from tests.support.scenes import bundled_scene

SIZE = (1280, 720)


def drawn_by_vtk(what: DrawList, pose: CameraPose) -> NDArray[np.uint8]:
    """Return VTK's picture with smooth edges, as the page of a served scene shows it at rest."""
    renderer = Renderer(offscreen_window(SIZE))
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


@pytest.fixture(scope="module")
def page(webgl):
    with client_page(webgl, SIZE) as opened:
        yield opened


@pytest.mark.parametrize("name", ["digits"])
def test_client_draws_what_vtk_draws(page, name: str) -> None:
    scene = bundled_scene(name)
    what = without_text(scene.at(scene.duration))
    what = replace(what, primitives=tuple(p for p in what.primitives if isinstance(p, Voxels)))
    pose = scene.camera(scene.duration, aspect=SIZE[0] / SIZE[1])
    page.show(what, pose)
    apart = np.abs(page.pixels().astype(int) - drawn_by_vtk(what, pose))
    assert apart.mean() < 0.5
    assert (apart.max(axis=2) > 40).mean() < 0.001
