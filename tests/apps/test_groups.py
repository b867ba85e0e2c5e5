"""Groups that the user opens and closes: in the window, on the page, and in the list of layers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nnviz3d.apps.session import Session
from nnviz3d.apps.web.panels.layers import LayersPanel
from nnviz3d.apps.window import controls
from nnviz3d.apps.window.controls import Controls
from nnviz3d.data.capture import Capture
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.errors import UserError
from nnviz3d.scene.primitives import Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, LayerPick, Selection
from nnviz3d.scene.spec import default_scene
from tests.apps.test_web_panels import Page as PanelPage
from tests.data.test_grouping import residual_blocks
from tests.support.browser import changed, looking, serving, still, wait_until
from tests.support.captures import write

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BLOCKS = 12
CLOSED = ["input", *(f"block_{k}" for k in range(BLOCKS)), "out"]
PARTS = [f"block_2_part{k}" for k in range(4)]
OPEN = [*CLOSED[:3], *PARTS, *CLOSED[4:]]


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    graph = residual_blocks(BLOCKS, "block_{block}_part{layer}")
    random = np.random.default_rng(2)
    values = {node.id: random.random((1, *node.shape), dtype=np.float32) for node in graph}
    return write(tmp_path_factory.mktemp("groups") / "run.zarr", graph, values)


@pytest.fixture
def session(capture: Capture) -> Session:
    return Session(Scene.build(default_scene(), capture), SimpleNamespace(size=(900, 600)))


def shown(session: Session) -> list[str]:
    return [node.id for node in session.context.graph]


class TestSession:
    def test_group_opens_and_closes_and_the_choices_stay(self, session: Session):
        session.clock.seek(2.0)
        session.select(colormap="viridis", layer="block_5")
        session.groups.open("block_2")
        assert shown(session) == OPEN
        assert (session.clock.t, session.selection.colormap, session.selection.layer) == (2.0, "viridis", "block_5")
        session.groups.close("block_2")
        assert shown(session) == CLOSED

    def test_choice_of_a_layer_that_is_hidden_means_its_group(self, session: Session):
        session.groups.open("block_2")
        session.select(layer="block_2_part1", pick=CellPick("block_2_part1", (0, 0, 0)), unfold="block_2_part1")
        session.groups.close("block_2")
        selection = session.selection
        assert (selection.layer, selection.pick, selection.unfold) == ("block_2", None, None)
        assert session.scene.at(99.0, selection).primitives

    def test_toggle_opens_a_group_and_closes_the_group_around_a_layer(self, session: Session):
        assert session.groups.toggle("block_2") == "block_2"
        assert shown(session) == OPEN
        assert session.groups.toggle("block_2_part3") == "block_2"
        assert shown(session) == CLOSED
        assert session.groups.toggle("input") is None
        assert session.groups.toggle(None) is None


def test_further_sample_is_shown_in_the_same_groups(session: Session, capture: Capture):
    session.groups.open("block_2")
    longer = session.scene.revised(CaptureSeries.of(session.scene.capture).plus(capture))
    assert [node.id for node in longer.context.graph] == OPEN
    assert longer.context.capture.committed == 2
    found = longer.context.values("block_5", 1).values
    assert np.array_equal(found, capture.activation("block_5_part3", 0))
    blocks = {p.name: p for p in longer.at(99.0, Selection(sample=1)).primitives if isinstance(p, Voxels)}
    assert np.array_equal(blocks["block_5"].values, longer.context.values("block_5", 1).cells)


class TestWindow:
    def test_click_on_a_group_opens_it_and_key_z_closes_it(self, session: Session, monkeypatch: pytest.MonkeyPatch):
        at: dict[str, object] = {}
        monkeypatch.setattr(controls, "pick_at", lambda *_: at["pick"])
        monkeypatch.setattr(controls, "layer_at", lambda *_: at["layer"])
        window = Controls(session, save=str, write=str, printed=lambda _: None)
        at.update(pick=CellPick("block_2", (0, 0, 0)), layer="block_2_part1")
        window._pick()
        assert shown(session) == OPEN
        assert session.selection.pick is None
        window.follow({"type": "KeyPress", "key": "z", "shiftKey": False, "repeat": False}, 0.0)  # type: ignore[typeddict-item]
        assert shown(session) == CLOSED
        at.update(pick=LayerPick("input"))
        window._pick()
        assert session.selection.pick == LayerPick("input")


class TestList:
    @pytest.fixture
    def panel(self, session: Session) -> LayersPanel:
        page = PanelPage(session)
        panel = LayersPanel(page)  # type: ignore[arg-type]
        page.panels = [panel]
        page.guarded = lambda function: function
        page.toggle_layer = lambda layer: session.select(layer=layer)
        return panel

    def listed(self, panel: LayersPanel) -> list[tuple[str, str, list[str]]]:
        return [(g["path"], g["open"], [node["id"] for node in g["nodes"]]) for g in panel.state.layer_groups]

    def test_list_shows_closed_groups_and_the_size_of_the_whole_network(self, panel: LayersPanel):
        assert self.listed(panel) == [("", "", CLOSED)]
        assert panel.state.layer_total.startswith("50 layers")
        node = panel.state.layer_groups[0]["nodes"][3]
        assert (node["kind"], node["inside"]) == ("4 layers", " ".join(PARTS))

    def test_click_opens_a_group_in_its_place_and_its_heading_closes_it(self, panel: LayersPanel, session: Session):
        panel._click("block_2")
        assert self.listed(panel) == [("", "", CLOSED[:3]), ("block_2", "block_2", PARTS), ("", "", CLOSED[4:])]
        panel._click("block_2_part1")
        assert session.selection.layer == "block_2_part1"
        panel._toggle_group("block_2")
        assert self.listed(panel) == [("", "", CLOSED)]
        assert session.selection.layer == "block_2"

    def test_key_z_opens_the_highlighted_group_and_closes_it_again(self, panel: LayersPanel, session: Session):
        session.select(layer="block_2")
        panel.keys["group"]()
        assert shown(session) == OPEN
        session.select(layer="block_2_part1")
        panel.keys["group"]()
        assert shown(session) == CLOSED

    def test_unknown_group_is_refused(self, panel: LayersPanel):
        with pytest.raises(UserError, match="unknown group, 'nothing'"):
            panel._toggle_group("nothing")


@pytest.fixture
def page(chromium: Browser, capture: Capture) -> Iterator[Page]:
    with contextmanager(serving)(str(capture.path)) as served, looking(chromium, served) as found:
        yield found


def test_click_in_the_list_of_the_page_opens_a_group_and_its_heading_closes_it(page: Page):
    first = still(page)
    page.locator("[data-layer=block_2]").click()
    page.locator("[data-layer=block_2_part1]").wait_for()
    changed(page, first)
    page.locator("[data-group=block_2]").click()
    page.locator("[data-layer=block_2]").wait_for()
    page.locator("#filter").fill("block_7_part3")
    rows = page.locator(".layer")
    wait_until(lambda: rows.first.inner_text().startswith("+ block_7"), "its group is listed alone")
