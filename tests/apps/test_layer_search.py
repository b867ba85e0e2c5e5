"""Search for layers, groups and channels, and showing what was found."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from nnviz3d.apps.layer_search import find_places, show_place
from nnviz3d.apps.session import Session
from nnviz3d.apps.window.controls import Controls
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick
from nnviz3d.scene.spec import default_scene, parse_scene
from nnviz3d.scene.views.node_link.picks import ChannelPick
from tests.data.test_grouping import residual_blocks
from tests.support.captures import small_values, write
from tests.support.window_status import status_lines


class Camera(SimpleNamespace):
    """A renderer that keeps its pose."""

    def __init__(self) -> None:
        super().__init__(size=(900, 600), now=CameraPose((0.0, 0.0, 50.0), (0.0, 0.0, 0.0)))

    def pose(self) -> CameraPose:
        return self.now

    def look(self, pose: CameraPose) -> None:
        self.now = pose


@pytest.fixture
def session(small_capture) -> Session:
    return Session(Scene.build(default_scene(), small_capture), Camera())


@pytest.fixture(scope="module")
def grouped(tmp_path_factory):
    graph = residual_blocks(12, "block_{block}_part{layer}")
    values = {node.id: np.ones((1, *node.shape), np.float32) for node in graph}
    return write(tmp_path_factory.mktemp("groups") / "run.zarr", graph, values)


def names(session: Session, text: str) -> list[str]:
    return [one.name if one.channel is None else f"{one.name} {one.channel}" for one in find_places(session, text)]


def test_names_come_before_kinds_and_equal_names_first(session):
    assert names(session, " DENSE ") == ["dense", "scores"], "the last one is a Dense layer of another name"
    assert names(session, "o") == ["conv", "pool", "scores"]
    assert names(session, "") == names(session, "nothing") == []


def test_number_means_a_channel_that_the_layer_has(session):
    assert names(session, "conv 3") == names(session, "conv channel 3") == names(session, "conv[3]") == ["conv 3"]
    assert names(session, "conv 4") == [], "it has four"
    assert names(session, "dense 19") == ["dense 19"]
    assert names(session, "input 1") == []


def test_channel_is_picked_at_its_number_farthest_from_zero(session):
    session.select(sample=2)
    assert show_place(session, find_places(session, "conv 3")[0]) == ("conv",)
    values = small_values()["conv"][2][..., 3]
    row, column = np.argwhere(np.abs(values) == np.abs(values).max())[0]
    assert session.selection.pick == CellPick("conv", (int(row), int(column), 3))
    show_place(session, find_places(session, "dense 7")[0])
    assert (session.selection.layer, session.selection.pick) == ("dense", CellPick("dense", (7,)))


def test_channel_is_picked_as_a_unit_where_units_are_drawn(small_capture):
    session = Session(Scene.build(parse_scene({"format": 1, "views": [{"kind": "nodes"}]}), small_capture), Camera())
    show_place(session, find_places(session, "conv 3")[0])
    assert session.selection.pick == ChannelPick("conv", 3)
    show_place(session, find_places(session, "dense 7")[0])
    assert session.selection.pick == CellPick("dense", (7,))


def test_layer_in_a_closed_group_is_found_and_its_group_opened(grouped):
    session = Session(Scene.build(default_scene(), grouped), Camera())
    assert "block_2_part1" not in session.context.graph
    assert names(session, "block_2") == ["block_2", *(f"block_2_part{k}" for k in range(4))]
    assert names(session, "block")[:6] == ["block_0", *(f"block_0_part{k}" for k in range(4)), "block_1"], (
        "a group is first"
    )
    assert show_place(session, find_places(session, "2_part1")[0]) == ("block_2_part1",)
    assert session.selection.layer == "block_2_part1"


def typed(window: Controls, *keys: str, now: float = 0.0) -> None:
    for key in keys:
        window.follow({"type": "KeyPress", "key": key, "shiftKey": False, "repeat": False}, now)  # type: ignore[typeddict-item]


def searched(window: Controls) -> list[str]:
    return [row.text for panel in window.panels() if panel.name == "search" for row in panel.rows]


def test_keys_belong_to_the_search_until_it_flies_or_ends(session):
    window = Controls(session, save=str, write=str, printed=print)
    typed(window, "/", "q", "s")
    assert searched(window)[0] == "Search: qs|"
    assert not window.closed
    typed(window, "BackSpace", "BackSpace", "o", "Down", "Down", "Down", "Up")
    rows = searched(window)
    assert [row.startswith("›") for row in rows[1:4]] == [False, False, True]
    typed(window, "Return")
    assert (searched(window), session.selection.layer) == ([], "scores")
    window.advance(9.0, 9.0)
    end = session.renderer.pose()
    assert end.target[0] == pytest.approx(session.context.placement("scores").center[0], abs=1e-6)
    typed(window, "/", "c", "Escape", "v", "r", now=9.0)
    assert not window.by_hand
    typed(window, "V", now=9.0)  # Caps Lock makes no difference
    assert not searched(window)


def test_bookmarks_hold_choices_and_camera_and_are_gone_through(session):
    window = Controls(session, save=str, write=str, printed=print)

    def shift(key: str) -> None:
        window.follow({"type": "KeyPress", "key": key, "shiftKey": True, "repeat": False}, 0.0)  # type: ignore[typeddict-item]

    def told() -> str:
        return status_lines(window)[0]

    shift("V")
    assert told().startswith("There is no bookmark")
    typed(window, "v")
    session.select(layer="conv", sample=2, colormap="viridis")
    here = CameraPose((9.0, 8.0, 7.0), (1.0, 0.0, 0.0))
    window._look(here)
    typed(window, "v")
    assert told() == "bookmark 2: Activations · sample 2 · conv · V: next bookmark"
    shift("V")
    assert (session.selection.layer, session.selection.sample, window.by_hand) == (None, 0, False)
    session.look_at("network")
    shift("V")
    window.advance(0.0, 0.0)
    assert (session.perspectives.current, session.selection.colormap) == (session.perspectives.first, "viridis")
    assert session.renderer.pose() == here
    typed(window, "v")
    assert told().startswith("removed the bookmark: ")
    shift("V")
    assert told().startswith("bookmark 1 of 1: ")
