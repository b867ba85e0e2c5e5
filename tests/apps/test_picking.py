"""Picks at points of the picture."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from nnviz3d.apps.picking import pick_at, say
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from nnviz3d.scene.facts import exact
from nnviz3d.scene.primitives import Ridges, Tiles
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, Selection
from nnviz3d.scene.spec import default_scene, parse_scene, read_scene
from nnviz3d.scene.views.blocks import value_at
from nnviz3d.scene.views.history import HistoryPick
from tests.support import trainings
from tests.support.pinhole import pixel_at

SIZE = (1280, 720)


def session_of(scene: Scene, selection: Selection, t: float = 0.0) -> SimpleNamespace:
    """The part of a session that picking needs."""
    pose = scene.camera(t, aspect=16 / 9)
    renderer = SimpleNamespace(pose=lambda: pose, size=SIZE)
    return SimpleNamespace(scene=scene, selection=selection, clock=SimpleNamespace(t=t), renderer=renderer)


def point(session: SimpleNamespace, tiles: Tiles, number: int, row: float, column: float) -> tuple[float, float]:
    """The middle of a tile's pixel in the picture, in pixels from the upper left corner."""
    _, rows, columns, _ = tiles.pixels.shape
    across = np.array(tiles.right) * tiles.size[0] * (column + 0.5) / columns
    rise = np.array(tiles.up) * tiles.size[1] * (1 - (row + 0.5) / rows)
    place = tuple(map(float, tiles.origins[number] + across + rise))
    y, x = pixel_at(place, session.renderer.pose(), SIZE)
    return x + 0.5, y + 0.5


@pytest.mark.parametrize("layer", ["conv2d_1", "conv2d_2"])
def test_pick_of_an_unfolded_channels_pixel_is_its_number(digits, layer):
    scene = Scene.build(default_scene(), digits)
    session = session_of(scene, Selection(sample=2, unfold=layer), 99.0)
    (tiles,) = (p for p in scene.at(99.0, session.selection).primitives if isinstance(p, Tiles))
    stored = digits.activation(layer, 2)
    rows, columns, _ = stored.shape
    for number in (0, 17, 40, 63):
        channel = int(tiles.channels[number])
        for row, column in ((0, 0), (rows - 1, 0), (rows // 2, columns - 1)):
            picked = pick_at(session, point(session, tiles, number, row, column))
            assert picked == CellPick(layer, (row, column, channel))
            assert value_at(scene.context, layer, picked.index, 2) == stored[row, column, channel]


def test_pick_of_a_feature_is_the_strongest_number_of_its_channel():
    scene = Scene.build(read_scene(bundled("features.toml")), open_capture(bundled("features.zarr.zip")))
    session = session_of(scene, Selection(), scene.duration)
    (tiles,) = (p for p in scene.at(scene.duration).primitives if isinstance(p, Tiles))
    picked = pick_at(session, point(session, tiles, 5, 3, 3))
    channel = int(tiles.channels[5])
    numbers = scene.context.values("conv2d_2", 0).values[..., channel]
    assert picked == CellPick("conv2d_2", (*np.unravel_index(numbers.argmax(), numbers.shape), channel))


def test_pick_of_a_ridge_is_the_statistic_of_its_layer_at_the_recorded_step(tmp_path):
    series = trainings.figures(6)
    capture = trainings.training_of(tmp_path / "run.zarr", np.array(trainings.STEPS), series)
    scene = Scene.build(parse_scene({"format": 1, "views": [{"kind": "history"}]}), capture)
    session = session_of(scene, Selection())
    (ridges,) = (p for p in scene.at(0.0).primitives if isinstance(p, Ridges))
    for ridge, layer in enumerate(("conv", "dense", "scores")):
        for column, step in enumerate(trainings.STEPS):
            x, y, z = (float(n) for n in ridges.feet[ridge])
            top = (x + float(ridges.along[column]), y + 0.97 * float(ridges.heights[ridge, column, 1]), z)
            row, across = pixel_at(top, session.renderer.pose(), SIZE)
            picked = pick_at(session, (across + 0.5, row + 0.5))
            assert picked == HistoryPick(layer, "gradient_norm", step)
            session.selection = Selection(pick=picked)
            value = series[column, [1, 4, 5][ridge], 0]
            assert say(session) == f"{layer}: gradient norm at step {step} = {exact(value)}"
