"""Browser test of saves on a page that draws the scene itself, with a camera of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nnviz3d.scene.spec import read_scene
from tests.apps.conftest import Served
from tests.apps.test_web_saves import address_of, drag, saved, view_in
from tests.support.browser import pixels, serving, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.chromium

DRAWN = "() => (window.nnviz3d?.pictures?.() ?? 0) > 0"


@pytest.fixture
def live(digits_folder: Path) -> Iterator[Served]:
    yield from serving(str(digits_folder), "--draw", "client")


def test_page_that_draws_itself_saves_its_own_camera(webgl: Browser, live: Served, tmp_path: Path) -> None:
    with webgl.new_context(viewport={"width": 1000, "height": 640}) as context:
        page = context.new_page()
        page.goto(live.url)
        wait_until(lambda: page.evaluate(DRAWN), "the page draws")
        wait_until(lambda: view_in(page) is not None, "the address has the view")
        assert view_in(page).pose is None
        drag(page)
        wait_until(lambda: view_in(page).pose is not None, "the address has the camera")
        pose = page.evaluate("window.nnviz3d.pose()")
        wait_until(lambda: view_in(page).pose.position == pytest.approx(pose["position"], abs=1e-4), "it is the page's")
        spec = read_scene(saved(page, tmp_path))
        assert spec.camera.pose is not None
        assert spec.camera.pose.position == pytest.approx(pose["position"])
        address = address_of(page)
        page.goto("about:blank")
        page.goto(address)
        wait_until(lambda: page.evaluate(DRAWN), "the page draws again")
        wait_until(
            lambda: page.evaluate("window.nnviz3d.pose()")["position"] == pytest.approx(pose["position"], abs=1e-3),
            "the camera of the address",
        )
        page.keyboard.press("k")
        wait_until(lambda: page.locator(".keyframe").count() == 1, "a keyframe")
        found = read_scene(saved(page, tmp_path)).camera.keyframes[0].pose
        assert found is not None
        assert found.position == pytest.approx(pose["position"], abs=1e-3)
        assert pixels(page).std() > 1
