"""Pictures of points in a real Chromium against VTK's picture of the same frame."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.apps.turntable import zoom
from nnviz3d.render.eye import Eye
from nnviz3d.render.point_pictures import place_pictures
from nnviz3d.scene.primitives import DrawList, Points
from tests.support.client_page import client_page
from tests.support.scenes import bundled_scene
from tests.support.vtk_picture import drawn_by_vtk

SIZE = (1280, 720)


@pytest.fixture(scope="module")
def page(webgl):
    with client_page(webgl, SIZE) as opened:
        yield opened


@pytest.mark.parametrize("factor", [3.5, 9])
def test_client_draws_pictures_of_points_as_vtk_does(page, factor: float) -> None:
    scene = bundled_scene("embedding")
    cloud = next(p for p in scene.at(scene.duration).primitives if isinstance(p, Points))
    pose = zoom(scene.camera(scene.duration, aspect=SIZE[0] / SIZE[1]), factor, (0.1, -0.05))
    places, depth = (eye := Eye.of(pose, SIZE)).project(cloud.points.astype(np.float64))
    placed = place_pictures(cloud, places, depth, eye.pixel, SIZE, 1.0)
    assert len(placed) > 2
    alone = DrawList((cloud,))
    page.show(alone, pose)
    apart = np.abs(page.pixels().astype(int) - drawn_by_vtk(alone, pose, SIZE)).max(axis=2)
    for one in placed:
        inside = apart[max(one.top, 0) : one.top + one.height, max(one.left, 0) : one.left + one.width]
        # Where a picture is enlarged, both take the nearest pixel; a few lie between two.
        assert np.mean(inside > 24) < 0.12, one
    assert (apart > 40).mean() < 0.003
