"""The window's keys that search among points, and hide the others."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from nnviz3d.apps.session import Session
from nnviz3d.apps.window.key_commands import KeyCommands
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
    keys = KeyCommands(session, said.append)
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
    keys = KeyCommands(Session(Scene.build(default_scene(), recorded_capture), SimpleNamespace()), said.append)
    for press in (keys.next_point_filter, keys.isolate_points):
        press()
        assert said.pop() == "This scene shows no points; Tab leads to the embedding"


def test_keys_for_cells_say_that_a_scene_of_points_has_none(scene):
    said: list[str] = []
    keys = KeyCommands(Session(scene, SimpleNamespace()), said.append)
    for press in (keys.next_quantity, keys.next_colormap, keys.raise_threshold):
        press()
        assert said.pop() == "This scene shows no activations; Tab leads to them"
    keys.mute()
    assert said == ["This scene shows no blocks to change; Tab leads to the activations"]
