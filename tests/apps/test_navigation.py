"""Navigation: breadcrumbs, groups, flights, the table of keys, and views of perspectives."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nnviz3d.apps import web
from nnviz3d.apps.bookmark_shelf import identity
from nnviz3d.apps.breadcrumbs import breadcrumbs
from nnviz3d.apps.flight import around_layers, around_pick, pose_before
from nnviz3d.apps.session import Session
from nnviz3d.apps.view_state import show_view, view_of
from nnviz3d.apps.web import start_page
from nnviz3d.apps.web.layer_rows import layers_inside
from nnviz3d.apps.web.page_keys import KEYS, described, key_actions
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.errors import SceneError, UserError
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, LayerPick
from nnviz3d.scene.spec import default_scene
from nnviz3d.scene.view_text import ViewState, decode_view, encode_view
from nnviz3d.scene.views.connections import EdgePick
from tests.data.test_grouping import residual_blocks
from tests.support.captures import write
from tests.support.graphs import chain

POSE = CameraPose((-8.0, 6.0, 20.0), (0.0, 0.0, 0.0))
ASPECT = 1.6


@pytest.fixture(scope="module")
def digits() -> Capture:
    return open_capture(bundled("digits.zarr.zip"))


@pytest.fixture
def session(digits: Capture) -> Session:
    return session_of(digits)


def session_of(capture: Capture) -> Session:
    return Session(Scene.build(default_scene(), capture), SimpleNamespace(size=(900, 600)))


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    graph = residual_blocks(12, "block_{block}_part{layer}")
    values = {node.id: np.ones((1, *node.shape), np.float32) for node in graph}
    return write(tmp_path_factory.mktemp("blocks") / "run.zarr", graph, values)


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    layers = [("in", "InputLayer", (4,)), ("b/one", "Dense", (3,)), ("b/two", "Dense", (2,)), ("out", "Dense", (2,))]
    graph = chain(layers)
    values = {node.id: np.ones((1, *node.shape), np.float32) for node in graph}
    return write(tmp_path_factory.mktemp("nested") / "run.zarr", graph, values)


class TestBreadcrumbs:
    def words(self, session: Session, group: str | None = None) -> list[tuple[str, str]]:
        return [(one.kind, one.words) for one in breadcrumbs(session, group)]

    def test_breadcrumbs_lead_from_the_model_to_the_pick_or_else_to_the_selected_layer(self, session: Session):
        model = ("model", "digits")
        assert self.words(session) == []
        session.select(layer="conv2d_1")
        assert self.words(session) == [model, ("layer", "conv2d_1")]
        session.select(pick=CellPick("conv2d", (11, 16, 3)))
        channel = [("layer", "conv2d"), ("channel", "channel 3")]
        assert self.words(session) == [model, *channel, ("pick", "row 11, column 16")], "the pick counts first"
        session.select(pick=CellPick("dense", (5,)))
        assert self.words(session) == [model, ("layer", "dense"), ("pick", "neuron 5")]
        session.select(pick=LayerPick("flatten"))
        assert self.words(session) == [model, ("layer", "flatten")]
        session.select(pick=EdgePick("dense", "dense_1", (5,), (7,), 0.25))
        assert self.words(session)[:2] == [model, ("layer", "dense_1")]
        assert "dense" in self.words(session)[2][1]

    def test_breadcrumbs_contain_open_groups_and_end_at_a_group_without_a_selected_layer(self, blocks: Capture):
        session = session_of(blocks)
        session.select(layer="block_3")
        assert [kind for kind, _ in self.words(session)] == ["model", "layer"]
        session.groups.open("block_2")
        session.select(layer="block_2_part1")
        assert self.words(session)[1:] == [("group", "block_2"), ("layer", "block_2_part1")]
        session.select(layer=None)
        assert self.words(session, "block_2")[1:] == [("group", "block_2")]
        assert self.words(session, "nothing") == []

    def test_breadcrumbs_contain_a_nested_model_of_a_small_network(self, nested: Capture):
        session = session_of(nested)
        session.select(layer="b/two")
        assert self.words(session)[1:] == [("group", "b"), ("layer", "b/two")]


class TestGroups:
    def test_reveal_opens_the_groups_around_a_layer(self, blocks: Capture):
        session = session_of(blocks)
        assert session.groups.shown_of("block_4_part2") == ("block_4",)
        session.groups.reveal("block_4_part2")
        assert session.groups.shown_of("block_4_part2") == ("block_4_part2",)
        assert session.groups.shown_of("block_4") == session.groups.members("block_4")

    def test_list_inside_a_group_has_all_layers_of_the_closed_group(self, blocks: Capture):
        session = session_of(blocks)
        inside = layers_inside(session.scene.context.graph, session.groups)
        assert [name for name, _ in inside["block_7"]] == list(session.groups.members("block_7"))
        found = {name for layers in inside.values() for name, _ in layers}
        assert found | {node.id for node in session.scene.context.graph} >= {node.id for node in blocks.graph}


class TestFlights:
    def seen(self, points, pose: CameraPose) -> tuple[float, float]:
        """Return the largest distances of points from the picture's middle, as shares of half its width and height."""
        ahead = np.subtract(pose.target, pose.position)
        ahead /= np.linalg.norm(ahead)
        right = np.cross(ahead, pose.up)
        right /= np.linalg.norm(right)
        up = np.cross(right, ahead)
        away = points - np.array(pose.position)
        half = np.tan(np.radians(pose.field_of_view / 2)) * (away @ ahead)
        assert (away @ ahead > 0).all()
        return float(np.abs(away @ right / half / ASPECT).max()), float(np.abs(away @ up / half).max())

    @pytest.mark.parametrize("layers", [["conv2d_1"], ["dense"], ["flatten", "dense", "dense_1"]])
    def test_flight_to_layers_fills_the_picture_and_keeps_the_direction(self, session: Session, layers: list[str]):
        points = around_layers(session.scene, layers)
        found = pose_before(points, POSE, ASPECT)
        assert found is not None
        arms = [np.subtract(one.position, one.target) for one in (found, POSE)]
        assert np.cross(*(arm / np.linalg.norm(arm) for arm in arms)) == pytest.approx([0, 0, 0], abs=1e-6)
        assert max(self.seen(points, found)) == pytest.approx(0.6, abs=0.05)

    def test_flight_to_a_pick_ends_closer_than_one_to_its_layer(self, session: Session):
        session.select(pick=CellPick("conv2d_1", (3, 4, 5)))
        near, far = around_pick(session.scene, 99.0, session.selection), around_layers(session.scene, ["conv2d_1"])
        assert (far.min(axis=0) - 1 < near.min(axis=0)).all()
        assert np.ptp(near, axis=0).max() < np.ptp(far, axis=0).max() / 1.5
        assert not len(around_pick(session.scene, 99.0, session_of(session.scene.capture).selection))

    def test_flight_to_a_layer_that_is_not_shown_has_no_pose(self, session: Session):
        assert pose_before(around_layers(session.scene, ["nothing"]), POSE, ASPECT) is None


class TestKeys:
    def test_every_key_of_the_page_has_one_action_that_exists(self):
        names = Counter(name for key in KEYS for name in key.names)
        assert set(names.values()) == {1}
        scripts = "".join(
            (Path(web.__file__).parent / "static" / name).read_text() for name in ("saves.js", "navigation.js")
        )
        for key in KEYS:
            if key.local:
                assert re.search(rf"^    (?:async )?{key.action}(?:[:,(]| =)", scripts, re.MULTILINE), key.action
        assert json.loads(json.dumps(key_actions()))["?"] == ["help", True]

    def test_help_lists_every_key_once(self):
        lines = described()
        assert len(set(lines)) == len(lines)
        assert {(key.label, key.words) for key in KEYS} == set(lines)


class TestPerspectiveOfAView:
    def test_view_opens_in_its_perspective_and_one_without_in_the_first(self, digits: Capture):
        first, second = session_of(digits), session_of(digits)
        first.look_at("neurons")
        first.select(sample=1, layer="conv2d_1")
        text = encode_view(view_of(first))
        assert decode_view(text).perspective == "neurons"
        show_view(second, decode_view(text))
        assert (second.perspectives.current, second.selection) == ("neurons", first.selection)
        show_view(second, ViewState(sample=0))
        assert second.perspectives.current == second.perspectives.first

    @pytest.mark.parametrize(
        ("view", "words"),
        [
            (ViewState(perspective="nothing"), "there is no 'nothing'; there are"),
            (ViewState(perspective="attention"), "attention"),
            (ViewState(perspective="neurons", sample=10**6), "no sample 1000000"),
        ],
    )
    def test_view_that_cannot_be_shown_changes_nothing(self, session: Session, view: ViewState, words: str):
        session.select(layer="dense")
        session.clock.seek(2.0)
        before = (session.perspectives.current, session.selection, session.clock.t)
        with pytest.raises(UserError, match=words):
            show_view(session, view)
        assert (session.perspectives.current, session.selection, session.clock.t) == before
        with pytest.raises(SceneError, match="a name has"):
            decode_view("1~j")


def test_page_loads_every_script_beside_the_start_page():
    scripts = {Path(name).name for name in start_page.MODULE["scripts"]}
    assert scripts == {path.name for path in start_page.STATIC.glob("*.js")} - {"connection.js"}


def test_bookmarks_of_one_network_are_the_same_for_all_its_captures_and_not_those_of_another(
    digits: Capture, blocks: Capture
):
    assert identity(session_of(digits)) == identity(session_of(digits)) != identity(session_of(blocks))
