"""Browser test of the tour on a page that draws the scene itself."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np

from nnviz3d.apps.web.server import ASPECT
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
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
        box = page.locator("#view").bounding_box()
        capture = open_capture(bundled("digits.zarr.zip"))
        scene = Scene.build(default_scene(), capture, aspect=ASPECT)
        stops = story_of(scene, Selection())
        walk = Walk.of(scene, box["width"] / box["height"], Selection(), stops, captioned=False)
        for index in (3, 7, 6):
            page.locator(".tour-stop").nth(index).click()
            expected = walk.poses[index]
            near = lambda: np.allclose(page.evaluate("window.nnviz3d.pose().position"), expected.position, atol=1e-3)  # noqa: E731, B023
            wait_until(near, f"the camera is at stop {index}")
        context.close()
        assert not logged


def test_reader_who_prefers_no_motion_sees_the_stops_only(webgl, digits_folder):
    with contextmanager(serving)(str(digits_folder), "--tour", "--draw", "client") as server:
        context = webgl.new_context(viewport={"width": 800, "height": 600}, reduced_motion="reduce")
        page = context.new_page()
        page.goto(server.url)
        wait_until(lambda: page.locator("#tour-bar").is_visible(), "the tour leads")
        page.keyboard.press(" ")
        wait_until(lambda: page.evaluate("window.nnviz3d.still()") is not None, "the picture rests")
        page.evaluate("window.poses = []; setInterval(() => poses.push(String(window.nnviz3d.pose().position)), 20)")
        before = wait_until(lambda: page.evaluate("poses.at(-1)"), "the first pose is noted")
        page.keyboard.press("ArrowRight")
        wait_until(lambda: page.evaluate("poses.at(-1)") != before, "the camera is elsewhere")
        wait_until(lambda: page.evaluate("poses.slice(-50).every((one) => one === poses.at(-1))"), "the camera rests")
        assert len(set(page.evaluate("poses"))) == 2
        context.close()
