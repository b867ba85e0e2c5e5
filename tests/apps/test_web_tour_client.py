"""Browser test of the tour on a page that draws the scene itself."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager

import numpy as np
from playwright.sync_api import Page

from nnviz3d.apps.web.server import ASPECT
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import default_scene
from nnviz3d.scene.story.captions import story_of
from nnviz3d.scene.tours.story import Walk
from tests.support.browser import serving, wait_until
from tests.support.browser_log import logged_by


def test_page_that_draws_the_scene_flies_to_the_pose_of_the_stop(webgl, digits_folder):
    with contextmanager(serving)(str(digits_folder), "--tour", "--draw", "client") as server:
        context = webgl.new_context(viewport={"width": 1280, "height": 720})
        page = context.new_page()
        logged = logged_by(page)
        page.goto(server.url)
        wait_until(lambda: page.locator("#tour-bar").is_visible(), "the tour leads")
        page.keyboard.press(" ")
        wait_until(lambda: page.evaluate("window.nnviz3d.still()") is not None, "the picture rests")
        poses = _poses_of_stops(page)
        for index in (3, 7, 6):
            page.locator(".tour-stop").nth(index).click()
            wait_until(lambda: _is_at(page, poses[index]), f"the camera is at stop {index}")  # noqa: B023
        context.close()
        assert not logged


def test_reader_who_prefers_no_motion_sees_the_stops_only(webgl, digits_folder):
    with contextmanager(serving)(str(digits_folder), "--tour", "--draw", "client") as server:
        context = webgl.new_context(viewport={"width": 1280, "height": 720}, reduced_motion="reduce")
        page = context.new_page()
        page.goto(server.url)
        wait_until(lambda: page.locator("#tour-bar").is_visible(), "the tour leads")
        page.keyboard.press(" ")
        # A pause may come during a flight, where the camera then stands; at a stop it is where it was sent.
        page.locator(".tour-stop").nth(2).click()
        wait_until(lambda: page.evaluate("window.nnviz3d.still()") is not None, "the picture rests")
        first, second = _poses_of_stops(page)[2:4]
        wait_until(lambda: _is_at(page, first), "the camera is at a stop")
        page.evaluate(
            "window.seen = new Set(); setInterval(() => seen.add(JSON.stringify(window.nnviz3d.pose().position)), 20)"
        )
        wait_until(lambda: page.evaluate("seen.size"), "the first pose is noted")
        page.keyboard.press("ArrowRight")
        wait_until(lambda: _is_at(page, second) and page.evaluate("seen.size") > 1, "the camera is at the next stop")
        seen = page.evaluate("[...seen].map(JSON.parse)")
        assert np.shape(seen) == (2, 3)
        assert np.allclose(seen, [first.position, second.position], atol=1e-3)
        context.close()


def _is_at(page: Page, pose: CameraPose) -> bool:
    return np.allclose(page.evaluate("window.nnviz3d.pose().position"), pose.position, atol=1e-3)


def _poses_of_stops(page: Page) -> Sequence[CameraPose]:
    """Return the poses of the tour's stops, computed from the bundled capture for the size of the page's picture."""
    box = page.locator("#view").bounding_box()
    assert box is not None
    scene = Scene.build(default_scene(), open_capture(bundled("digits.zarr.zip")), aspect=ASPECT)
    stops = story_of(scene, Selection())
    return Walk.of(scene, box["width"] / box["height"], Selection(), stops, captioned=False).poses
