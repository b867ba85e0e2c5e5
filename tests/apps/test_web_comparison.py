"""The panel of a difference: the scores of both sides, the lists of what differs most, and showing a place."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nnviz3d.apps.comparison import joined
from nnviz3d.apps.session import Session
from nnviz3d.apps.web.panels import comparison
from nnviz3d.apps.web.panels.comparison import ComparisonPanel
from nnviz3d.data.capture_at_step import at_step
from nnviz3d.errors import UserError
from nnviz3d.scene.colors import score
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick
from nnviz3d.scene.spec import default_scene
from tests.apps.conftest import Served
from tests.apps.test_web_panels import Page
from tests.scene.test_model_difference import layer_sizes, other_values
from tests.support import captures, trainings
from tests.support.browser import changed, choose, looking, serving, still, text, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("a.keras", "b.keras", "b.keras")


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    shown = captures.small_capture(folder / "a.zarr")
    return shown, captures.write(folder / "b.zarr", captures.small_graph(), other_values())


def panel_of(capture) -> ComparisonPanel:
    page = Page(Session(Scene.build(default_scene(), capture), SimpleNamespace()))
    page.panels = [ComparisonPanel(page)]
    page.panels[0].synchronize()
    return page.panels[0]


@pytest.fixture
def panel(two) -> ComparisonPanel:
    found = panel_of(joined(two[:1], two[1:], NAMES))
    found.page.session.choose(1)
    found.synchronize()
    return found


def test_layers_are_listed_by_their_difference_with_the_scores_of_both_models(panel):
    state, sizes = panel.state, layer_sizes()
    assert state.diff_names == ["a.keras", "b.keras"]
    assert [one["name"] for one in state.diff_places] == sorted(set(sizes) - {"input"}, key=lambda name: -sizes[name])
    first = state.diff_places[0]
    assert first["size"] == f"{float(f'{100 * max(sizes.values()):.2g}'):g} %"
    assert first["share"] == 100
    assert "1 layer is equal" in state.diff_words
    here, there = captures.small_values()["scores"][1], other_values()["scores"][1]
    told = {one["name"]: (one["here"], one["there"], one["sign"]) for one in state.diff_scores}
    assert told == {
        name: (score(float(a)), score(float(b)), int(np.sign(a - b)))
        for name, a, b in zip(captures.CLASSES, here, there, strict=True)
    }


def test_words_tell_that_the_inputs_differ_too(two, panel, tmp_path):
    assert "inputs" not in panel.state.diff_words
    odd = other_values() | {"input": -captures.small_values()["input"]}
    other = captures.write(tmp_path / "b.zarr", captures.small_graph(), odd)
    assert "The inputs differ, too" in panel_of(joined(two[:1], (other,), NAMES)).state.diff_words


def test_place_of_a_list_is_shown_in_the_cells(panel):
    session = panel.page.session
    panel._set_kind("units")
    place = panel._places[0].place
    assert panel.state.diff_places[0]["name"] == f"{place.layer} · channel {place.unit}"
    panel._show_place(0)
    assert (session.choices.quantity, session.selection.layer) == ("difference", place.layer)
    change = captures.small_values()[place.layer][1] - other_values()[place.layer][1]
    strongest = np.unravel_index(np.abs(change[..., place.unit]).argmax(), change.shape[:-1])
    assert session.selection.pick == CellPick(place.layer, (*map(int, strongest), place.unit))
    panel._set_kind("cells")
    panel._show_place(2)
    cell = panel._places[2].place
    assert session.selection.pick == CellPick(cell.layer, cell.index)
    assert "in a.keras" in panel.state.diff_places[2]["told"]
    assert session.scene.at(9.0, session.selection).primitives
    with pytest.raises(UserError, match="unknown place"):
        panel._show_place(99)
    with pytest.raises(UserError, match="unknown list"):
        panel._set_kind("secrets")


def test_next_place_goes_through_layers_and_channels(panel):
    places = panel.page.session.differences
    first, second = places.next(), places.next()
    assert [first.name, second.name] == [one["name"] for one in panel.state.diff_places[:2]]


def test_two_samples_are_compared_while_the_cells_show_their_difference(two):
    panel = panel_of(two[0])
    assert panel.state.diff_names == []
    assert panel.page.session.differences.next() is None
    panel.page.session.choices.show("difference")
    panel.synchronize()
    assert panel.state.diff_names == ["sample 0", "sample 2"]
    assert "input" in [one["name"] for one in panel.state.diff_places]
    assert [one["value"] for one in panel.state.diff_kinds] == ["layers", "units", "cells"]


def test_list_stays_while_groups_are_opened_and_perspectives_change(panel):
    session, found = panel.page.session, panel._found
    session._frame.rearrange(Scene.build(session.scene.spec, session.scene.capture, aspect=2.0))
    panel.synchronize()
    assert panel._found is found
    session.look_at("side_by_side")
    panel.synchronize()
    assert panel._found is found
    session.choose(2)
    panel.synchronize()
    assert panel._found is not found


def test_large_network_is_compared_while_the_page_goes_on(two, monkeypatch):
    monkeypatch.setattr(comparison, "_MANY", 1)

    async def show() -> ComparisonPanel:
        found = panel_of(joined(two[:1], two[1:], NAMES))
        assert found.state.diff_words.startswith("Finding")
        assert found.state.diff_scores, "what is known is shown at once"
        for _ in range(200):
            if found.state.diff_places:
                break
            await asyncio.sleep(0.02)
        return found

    assert len(asyncio.run(show()).state.diff_places) == 5


def stepped(training) -> ComparisonPanel:
    """Return the panel of a recorded training whose cells show the difference of its two samples."""
    panel = panel_of(training)
    panel.page.session.choices.show("difference")
    panel.synchronize()
    return panel


def sizes_of(panel: ComparisonPanel) -> dict[str, float]:
    return {one.place.layer: one.place.size for one in panel._places}


def expected_sizes(training, step: int) -> dict[str, float]:
    """Return the sizes of the difference of both samples at a step, by layer, as the definition says."""
    then, found = at_step(training, step), {}
    for node in training.graph:
        a, b = (then.activation(node.id, sample).astype(float) for sample in (0, 1))
        found[node.id] = np.sqrt(np.mean((a - b) ** 2) / ((np.mean(a**2) + np.mean(b**2)) / 2))
    return found


def test_list_follows_the_steps_of_a_training_while_they_are_played(tmp_path):
    training = trainings.small_training(tmp_path / "t.zarr")
    panel = stepped(training)
    last = sizes_of(panel)
    for index in (0, 2):
        panel.page.session.clock.show_recorded(index)
        panel.tick()
        assert sizes_of(panel) == pytest.approx(expected_sizes(training, trainings.STEPS[index]), rel=1e-5)
        assert sizes_of(panel) != last


def test_large_training_is_compared_at_one_step_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "_MANY_PLAYING", 1)
    training, began = trainings.small_training(tmp_path / "t.zarr"), []

    async def play() -> ComparisonPanel:
        panel = stepped(training)
        beside = panel._find_beside
        monkeypatch.setattr(panel, "_find_beside", lambda key: (began.append(key), beside(key)))
        clock = panel.page.session.clock
        clock.playing = True
        for index in (0, 2, 0, 2):  # before the first answer can arrive
            clock.show_recorded(index)
            panel.tick()
            assert panel.state.diff_words.startswith("Finding")
        assert len(began) == 1
        for _ in range(200):
            if panel.state.diff_places:
                break
            await asyncio.sleep(0.02)
        return panel

    panel = asyncio.run(play())
    assert len(began) == 2
    assert sizes_of(panel) == pytest.approx(expected_sizes(training, trainings.STEPS[2]), rel=1e-5)


@pytest.fixture
def served(two) -> Iterator[Served]:
    yield from serving(str(two[0].path), "--against", str(two[1].path))


def test_click_on_a_place_highlights_it_and_flies_there_in_the_browser(chromium: Browser, served: Served):
    with looking(chromium, served) as page:
        before = still(page)
        wait_until(lambda: page.locator(".diff-place").count() == 5, "the layers are listed")
        assert "a.zarr − b.zarr" in text(page, "#differences")
        first = page.locator(".diff-place .line").first.inner_text()
        page.locator(".diff-place").first.click()
        after = changed(page, before)
        wait_until(lambda: page.evaluate("window.trame.state.get('layer')") == first, "the layer is highlighted")
        choose(page, "diff-kind", "channels")
        wait_until(lambda: " · channel " in text(page, ".diff-place .line"), "channels are listed")
        page.get_by_text("Side by side").click()
        changed(page, after)
        assert page.locator("#differences").count() == 1, "the list stays"
