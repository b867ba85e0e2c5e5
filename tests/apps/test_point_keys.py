"""The window's keys that search among points, and hide the others."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from nnviz3d.apps.session import Session
from nnviz3d.apps.window.change_keys import ChangeKeys
from nnviz3d.apps.window.key_commands import KeyCommands
from nnviz3d.apps.window.point_keys import PointKeys
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import PointFilter
from nnviz3d.scene.spec import default_scene, parse_scene
from nnviz3d.scene.views.points.samples import PointPick


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene.build(
        parse_scene({"format": 1, "views": [{"kind": "embedding"}]}), open_capture(bundled("embedding.zarr.zip"))
    )


def test_keys_go_through_mistakes_and_the_class_of_the_picked_sample(scene):
    said: list[str] = []
    session = Session(scene, SimpleNamespace())
    keys = PointKeys(session, said.append)
    keys.isolate_points()
    assert said[-1].startswith("All points are searched for")
    keys.next_point_filter()
    assert session.selection.points == PointFilter(wrong=True)
    assert said[-1] == "points: wrong predictions, 12 of 1,000"
    keys.isolate_points()
    assert session.selection.points == PointFilter(wrong=True, isolated=True)
    session.select(pick=PointPick("dense", 4))
    label = int(scene.context.capture.embedding("dense").labels[4])
    keys.next_point_filter()
    assert session.selection.points == PointFilter(of_class=label, isolated=True)
    assert said[-1].startswith(f"points: class {label}, ")
    keys.isolate_points()
    keys.next_point_filter()
    assert session.selection.points == PointFilter()
    keys.next_point_colors()
    keys.next_point_colors()
    assert (session.selection.colored_by, said[-1]) == ("score", "coloured by score")


def test_keys_say_that_there_are_no_points(recorded_capture):
    said: list[str] = []
    keys = PointKeys(Session(Scene.build(default_scene(), recorded_capture), SimpleNamespace()), said.append)
    for press in (keys.next_point_filter, keys.isolate_points, keys.next_neighbour):
        press()
        assert said.pop() == "This scene shows no points; Tab leads to the embedding"


def test_key_picks_the_nearest_points_one_after_another(scene):
    said: list[str] = []
    session = Session(scene, SimpleNamespace())
    keys = PointKeys(session, said.append)
    session.select(pick=PointPick("dense", 4))
    found = scene.context.capture.embedding("dense")
    away = np.linalg.norm(found.vectors.astype(np.float64) - found.vectors[4], axis=1)
    nearest = np.argsort(away, kind="stable")[1:4].tolist()
    for rank, index in enumerate(nearest, 1):
        keys.next_neighbour()
        assert session.selection.pick == PointPick("dense", index)
        label = int(found.labels[index])
        assert said[-1].startswith(
            f"nearest {rank} of {found.names[4]}: {found.names[index]}, class {label}, distance "
        )
        assert float(said[-1].rsplit(" ", 1)[1]) == pytest.approx(away[index], rel=5e-3)
    session.select(pick=PointPick("dense", 9))
    keys.next_neighbour()
    assert said[-1].startswith(f"nearest 1 of {found.names[9]}: "), "another point has its own"
    session.select(pick=PointPick("dense", 4), points=PointFilter(of_class=int(found.labels[4]) ^ 1))
    keys.next_neighbour()
    assert int(found.labels[session.selection.pick.index]) == int(found.labels[4]) ^ 1, "only those that are meant"


def test_keys_for_cells_say_that_a_scene_of_points_has_none(scene):
    said: list[str] = []
    session = Session(scene, SimpleNamespace())
    keys = KeyCommands(session, said.append)
    for press in (keys.next_quantity, keys.next_colormap, keys.raise_threshold):
        press()
        assert said.pop() == "This scene shows no activations; Tab leads to them"
    changes = ChangeKeys(session, said.append)
    for press in (changes.mute, changes.next_change, changes.next_place, changes.undo):
        press()
        assert said.pop() == "This scene shows no blocks to change; Tab leads to the activations"
