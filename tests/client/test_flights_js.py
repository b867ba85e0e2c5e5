"""Double clicks fly to what lies under the pointer, and fingertips reach farther than a mouse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from nnviz3d.render.eye import Eye
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.primitives import DrawList, Points, Source
from tests.support.blocks import block, looking, picture_of
from tests.support.client_page import ClientPage, client_page

SIZE = (640, 360)


@pytest.fixture(scope="module")
def page(webgl: Any) -> Iterator[ClientPage]:
    with client_page(webgl, SIZE) as opened:
        yield opened


def pose_of(page: ClientPage) -> CameraPose:
    return CameraPose(**page.page.evaluate("viewer.pose"))


def started(page: ClientPage) -> tuple[DrawList, tuple[float, float]]:
    """Show two blocks; returns the picture and the middle of the second one in it."""
    a, b = (
        block(np.ones((4, 4, 4), np.float32), name=name, origin=(x, 0.0, 0.0)) for name, x in (("a", 0.0), ("b", 30.0))
    )
    what, pose = picture_of(a, b), looking((-20.0, 16.0), 110.0)
    page.show(what, pose)
    (at,), _ = Eye.of(pose, SIZE).project(np.array([[32.0, 2.0, 2.0]]))
    return what, (float(at[0]), float(at[1]))


def test_double_click_flies_to_the_block_under_the_pointer(page: ClientPage) -> None:
    _, at = started(page)
    page.page.mouse.dblclick(*at)
    page.page.wait_for_function("viewer.flight !== null")
    page.page.wait_for_function("viewer.flight === null")
    (seen,), _ = Eye.of(pose_of(page), SIZE).project(np.array([[32.0, 2.0, 2.0]]))
    assert np.abs(seen - np.array(SIZE) / 2).max() < 40
    page.page.mouse.dblclick(3, 3)
    assert page.page.evaluate("viewer.flight") is None


def test_wheel_ends_a_flight(page: ClientPage) -> None:
    started(page)
    page.page.evaluate("(pose) => viewer.fly(pose)", asdict(looking((60.0, 30.0), 300.0)))
    page.page.mouse.move(100, 100)
    page.page.mouse.wheel(0, 100)
    page.page.wait_for_function("viewer.flight === null")
    before = pose_of(page)
    page.page.wait_for_timeout(100)
    assert pose_of(page) == before
    assert np.linalg.norm(before.position) < 280


def test_flight_is_a_jump_for_readers_who_prefer_no_motion(page: ClientPage) -> None:
    started(page)
    page.page.emulate_media(reduced_motion="reduce")
    end = looking((60.0, 30.0), 300.0)
    page.page.evaluate("(pose) => viewer.fly(pose)", asdict(end))
    np.testing.assert_allclose(pose_of(page).position, end.position)
    page.page.emulate_media(reduced_motion="no-preference")


def test_fingertip_picks_a_ball_from_farther_than_a_mouse(page: ClientPage) -> None:
    ball = Points(
        "cloud",
        np.zeros((1, 3), np.float32),
        np.ones((1, 4), np.float32),
        np.full(1, 4, np.float32),
        source=Source("points"),
    )
    page.show(picture_of(ball), looking((0.0, 0.0), 10.0))
    picked = "(pointer) => viewer.pick([329, 180], pointer)?.kind ?? null"
    assert page.page.evaluate(picked, "mouse") is None
    assert page.page.evaluate(picked, "touch") == "PointHit"
