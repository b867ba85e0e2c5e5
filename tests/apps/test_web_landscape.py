"""Browser tests of the panel of a loss landscape: the slider over the kept weights, and clicks on the surface."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nnviz3d.apps.target import bundled_scenes
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capabilities.landscape import read_landscape
from nnviz3d.data.capture import open_capture
from nnviz3d.scene.colors import number
from nnviz3d.scene.primitives import Surface
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import read_scene
from tests.apps.conftest import Served
from tests.support.browser import back, changed, looking, serving, still, text, wait_until
from tests.support.pinhole import to_pixels

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def landscape() -> Iterator[Served]:
    yield from serving("landscape")


def test_step_slider_walks_the_path_and_the_clock_takes_over_again(chromium: Browser, landscape: Served):
    found = read_landscape(open_capture(bundled("landscape.zarr.zip")).stored)
    assert found is not None

    def told(index: int) -> str:
        return f"step {found.steps[index]:,}: {found.loss} {number(float(found.path_losses[index]))}"

    with looking(chromium, landscape) as page:
        last = still(page)
        assert text(page, "#landscape-words") == "1,000 samples"
        assert text(page, "#landscape-loss") == told(-1)
        thumb = page.locator(".v-slider:has(#kept-step) [role=slider]")
        thumb.press("Home")
        changed(page, last)
        wait_until(lambda: text(page, "#landscape-loss") == told(0), "the first kept weights are named")
        thumb.press("ArrowRight")
        wait_until(lambda: text(page, "#landscape-loss") == told(1), "the next ones")
        page.locator("#kept-release").click()
        wait_until(lambda: text(page, "#landscape-loss") == told(-1), "the clock's")
        back(page, last)


def test_click_on_the_surface_shows_a_callout_that_escape_removes(chromium: Browser, landscape: Served):
    scene = Scene.build(read_scene(bundled_scenes()["landscape"]), open_capture(bundled("landscape.zarr.zip")))
    surface = next(p for p in scene.at(scene.duration).primitives if isinstance(p, Surface))
    with looking(chromium, landscape) as page:
        before = still(page)
        height, width = before.shape[:2]
        pose = scene.camera(scene.duration, aspect=width / height)
        x, y = to_pixels(surface.points[30, 14][np.newaxis].astype(float), pose, (width, height))[0]
        page.locator("#view").click(position={"x": float(x), "y": float(y)})
        changed(page, before)
        page.keyboard.press("Escape")
        back(page, before)
