"""Frames per second of a recorded film, against drawing and reading back the same frames in the same quality."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nnviz3d.apps.film.record import record
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.render.offscreen import Offscreen
from nnviz3d.render.steady_labels import SteadyLabels
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.primitives import DrawList
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import default_scene
from nnviz3d.scene.tours.make_tour import make_tour
from tests.benchmarks.timing import interleaved, table

SIZE = (1280, 720)
SECONDS, FPS = 4.0, 10
ROUNDS = 3


@pytest.mark.parametrize("network", ["digits", "VGG16"])
def test_recording_against_drawing(network: str, digits: Capture, vgg: Path, tmp_path: Path):
    """Compare whole programs: each lays out the scene, opens a window, and makes every frame of the flight."""
    capture = digits if network == "digits" else open_capture(vgg)

    def draw(_: int) -> None:
        aspect = SIZE[0] / SIZE[1]
        scene = Scene.build(default_scene(), capture, aspect=aspect)
        tour = make_tour(scene, aspect, "flythrough", SECONDS)
        studio = Offscreen(SIZE)
        size, scale = studio.renderer.size, studio.renderer.scale

        def at(tau: float) -> tuple[DrawList, CameraPose]:
            t, pose = tour.at(tau)
            return scene.at(t), pose

        labels = SteadyLabels(tour.seconds, at, size, scale)
        for tau in tour.frames(FPS):
            what, pose = at(float(tau))
            studio.picture(labels.of(what, float(tau)), pose)
        studio.close()

    def film(name: str) -> None:
        out = tmp_path / name
        record(default_scene(), capture, out, tour="flythrough", size=SIZE, fps=FPS, seconds=SECONDS)
        if out.is_dir():
            shutil.rmtree(out)  # otherwise the next round would reuse its frames

    names = ("x.mp4", "x.webm", "x.gif", "x")
    actions = {"drawn and read back": draw, **{name: lambda _, n=name: film(n) for name in names}}
    seconds = interleaved(actions, ROUNDS)
    frames = SECONDS * FPS
    rows: list[list[object]] = [["", "frames a second", "of drawing"]]
    rows += [[name, frames / spent, seconds["drawn and read back"] / spent] for name, spent in seconds.items()]
    table(f"{network}, {SIZE[0]} x {SIZE[1]}, 2 x 2 samples a pixel", rows)
