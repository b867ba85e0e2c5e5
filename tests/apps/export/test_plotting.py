"""Tests of the plotter: what is seen where, and what a user finds in it."""

from __future__ import annotations

import numpy as np
import pytest
import pyvista as pv

import nnviz3d
from nnviz3d.apps.export.faces import drawn_cells
from nnviz3d.apps.export.plotting import plotter_of
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.colors import INF_COLOR, NAN_COLOR, colormap
from nnviz3d.scene.look import LookSpec, PoseSpec
from nnviz3d.scene.primitives import DrawList, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import default_scene
from tests.support.faces import visible_faces

pytestmark = pytest.mark.usefixtures("no_tensorflow")

OFF_SCREEN = {"off_screen": True, "window_size": (640, 360)}


def test_plotter_holds_exact_numbers_and_the_camera_of_the_picture(small_capture):
    plotter = nnviz3d.plotter(small_capture, plotter_options=OFF_SCREEN, sample=1, threshold=0.4)
    scene = Scene.build(default_scene(), small_capture)
    for one in scene.at(scene.duration, Selection(1, threshold=0.4)).primitives:
        if isinstance(one, Voxels):
            mesh = plotter.actors[one.name].mapper.dataset
            faces = visible_faces(drawn_cells(one))
            assert np.sort(mesh.cell_data["activation"]).tobytes() == np.sort(faces.values(one)).tobytes()
            assert plotter.actors[one.name].mapper.scalar_range == pytest.approx(one.limits)
    pose = scene.camera(scene.duration, aspect=16 / 9)
    assert plotter.camera.position == pytest.approx(pose.position)
    assert plotter.camera.focal_point == pytest.approx(pose.target)
    assert plotter.camera.view_angle == pytest.approx(pose.field_of_view)
    before = plotter.screenshot(return_img=True)
    assert plotter.camera.position == pytest.approx(pose.position)  # the first picture keeps it
    # It goes on: PyVista's own filters work on the data of the same layer.
    block = nnviz3d.to_pyvista(small_capture, sample=1)["layers"]["conv"]
    plotter.add_mesh(block.slice(normal="z"), color="lime", lighting=False, name="slice")
    after = plotter.screenshot(return_img=True)
    assert (np.abs(after.astype(int) - before).sum(axis=2) > 60).sum() > 50
    plotter.close()


def test_saved_scene_is_plotted_with_its_camera_at_its_time(small_capture, tmp_path):
    saved = PoseSpec(position=(3, 4, 50), target=(1, 2, 0), aspect=16 / 9)
    spec = default_scene()
    at_start, at_end = (spec.model_copy(update={"look": LookSpec(time=time)}) for time in (0.0, None))
    at_start = at_start.model_copy(update={"camera": spec.camera.model_copy(update={"pose": saved})})
    plotters = [nnviz3d.plotter(small_capture, plotter_options=OFF_SCREEN, scene=one) for one in (at_start, at_end)]
    shown = [{name for name in one.actors if name in small_capture.graph} for one in plotters]
    assert shown[0] < shown[1]
    assert plotters[0].camera.position == pytest.approx(saved.position)
    assert plotters[0].camera.focal_point == pytest.approx(saved.target)
    for one in plotters:
        one.close()


def test_cells_are_seen_in_the_colours_of_the_map():
    values = np.array([0.0, 0.5, 1.0, np.nan, np.inf], dtype=np.float32).reshape(5, 1, 1)
    block = Voxels("a", values, (-2.5, -0.5, -1), (1, 1, 1), colormap("inferno"), (0.0, 1.0))
    pose = CameraPose((0, 0, 12), (0, 0, 0))
    plotter = plotter_of(DrawList((block,)), pose, "activation", off_screen=True, window_size=(500, 300))
    pixels = plotter.screenshot(return_img=True)
    plotter.close()
    height = 2 * 12 * np.tan(np.radians(13))
    found = [pixels[150, round(250 + (k - 2) * 300 / height)] / 255 for k in range(5)]
    table = colormap("inferno").table / 255
    for color, expected in zip(found, [table[0], table[128], table[255], NAN_COLOR, INF_COLOR], strict=True):
        # The light of PyVista makes the faces a little darker, never of another hue.
        share = np.linalg.norm(color) / max(np.linalg.norm(expected), 1e-6)
        assert np.linalg.norm(expected) < 0.05 or 0.7 < share < 1.1
        assert np.allclose(color, np.array(expected) * share, atol=0.06)


@pytest.mark.parametrize("scene", ["embedding", "landscape", "attention"])
def test_every_kind_of_scene_is_plotted(scene):
    plotter = nnviz3d.plotter(scene, plotter_options=OFF_SCREEN)
    pixels = plotter.screenshot(return_img=True)
    plotter.close()
    assert isinstance(plotter, pv.Plotter)
    bright = pixels.astype(int).max(axis=2) > 110
    assert bright.mean() > 0.01
    rows, columns = np.nonzero(bright)
    assert np.ptp(columns) > 0.5 * pixels.shape[1]
    assert np.ptp(rows) > 0.5 * pixels.shape[0]
