"""Tests of the registry of panels, and of what holds for every panel."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from nnviz3d.apps.session import Session
from nnviz3d.apps.web import panels
from nnviz3d.apps.web.page import page_values
from nnviz3d.apps.web.page_keys import KEYS
from nnviz3d.apps.web.panels.page_panel import PagePanel
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import default_scene

TOURING = {"tour_pause", "tour_previous", "tour_next"}
"""Actions of keys that have another action without a tour."""


class Page(SimpleNamespace):
    """A page context that keeps the values of the page in a dictionary."""

    def __init__(self, session: Session) -> None:
        super().__init__(session=session, values={}, changed={}, triggers={}, group=None, redraw=lambda **_: None)

    def show(self, values: dict[str, object]) -> None:
        self.values.update(values)

    def client_only(self, **values: object) -> None:
        self.values.update(values)

    def on_change(self, key: str, changed: object) -> None:
        self.changed[key] = changed

    def on_trigger(self, name: str, triggered: object) -> None:
        self.triggers[name] = triggered

    def select(self, *, moving: bool = False, **changes: object) -> None:
        self.session.select(**changes)
        self.synchronize()

    def synchronize(self) -> None:
        for panel in self.panels:
            panel.synchronize()

    refresh = tick = synchronize


@pytest.fixture(params=["small_capture", "explained_capture", "recorded_capture"])
def page(request: pytest.FixtureRequest) -> Page:
    session = Session(Scene.build(default_scene(), request.getfixturevalue(request.param)), SimpleNamespace())
    page = Page(session)
    page.panels = [make(page) for make in panels.panel_classes()]
    return page


def test_registry_has_each_panel_once_and_every_module_with_a_panel_is_registered():
    registered = panels.panel_classes()
    assert len(set(registered)) == len(registered)
    folder = Path(panels.__file__).parent
    modules = [import_module(f"{panels.__name__}.{path.stem}") for path in folder.glob("[!_]*.py")]
    found = {value for module in modules for value in vars(module).values() if isinstance(value, type)}
    assert {one for one in found if issubclass(one, PagePanel) and one is not PagePanel} == set(registered)


def test_every_key_of_a_panel_is_in_the_table_of_keys(page):
    sent = {key.action for key in KEYS if key.names and not key.local}
    assert {name for panel in page.panels for name in panel.keys} <= sent | TOURING


def test_panel_named_by_several_capabilities_is_on_the_page_once(monkeypatch):
    name = "nnviz3d.apps.web.panels.explanation:ExplanationPanel"
    monkeypatch.setattr(panels, "PANELS", (name, *panels.PANELS, name))
    assert [one.__name__ for one in panels.panel_classes()].count("ExplanationPanel") == 1


def test_state_of_every_panel_is_a_frozen_dataclass_with_field_names_of_its_own(page):
    page.synchronize()
    names = Counter(list(page_values(page.session)))
    for panel in page.panels:
        assert is_dataclass(panel.state)
        assert panel.state.__dataclass_params__.frozen
        names.update(field.name for field in fields(panel.state))
        assert all(page.values[field.name] == getattr(panel.state, field.name) for field in fields(panel.state))
    assert max(names.values()) == 1, names.most_common(3)


def test_tick_changes_nothing_after_synchronize(page):
    page.synchronize()
    before = [panel.state for panel in page.panels]
    for panel in page.panels:
        panel.tick()
    assert [panel.state for panel in page.panels] == before


def test_values_of_the_session_are_no_change_of_the_session(page):
    page.synchronize()
    selection, t = page.session.selection, page.session.clock.t
    for key, changed in page.changed.items():
        changed(page.values[key])
    assert (page.session.selection, page.session.clock.t) == (selection, t)


def test_look_that_was_changed_is_reset_to_that_of_the_scene(page):
    page.synchronize()
    before, values = page.session.selection, dict(page.values)
    assert not values["look_changed"]
    for key, value in {
        "threshold": 60,
        "colormap": "viridis",
        "normalize": "global",
        "ranking": "contribution",
    }.items():
        page.changed[key](value)
        assert page.values["look_changed"]
    page.triggers["reset_look"]()
    assert (page.session.selection, page.values) == (before, values)


def test_no_key_belongs_to_two_panels(page):
    keys = [key for panel in page.panels for key in panel.keys]
    assert len(set(keys)) == len(keys)


def test_panel_modules_import_neither_the_application_nor_other_panels():
    folder = Path(panels.__file__).parent
    shared = {"fields", "page_panel", "unfolding"}
    modules = {path.stem for path in folder.glob("[!_]*.py")} - shared
    for path in folder.glob("[!_]*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            imported = node.module if isinstance(node, ast.ImportFrom) else None
            assert imported != "nnviz3d.apps.web.app", path.name
            assert imported not in {f"{panels.__name__}.{name}" for name in modules}, path.name
