"""Mouse, wheel, fingers and keys move the client's camera as the window's turntable does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from nnviz3d.apps import turntable
from nnviz3d.scene.camera import CameraPose
from tests.support.client import page_with

pytestmark = pytest.mark.chromium

SIZE = (600, 400)
POSE = CameraPose((3.0, 4.0, 20.0), (1.0, 1.0, 0.0))
_START = """([pose, framed]) => {
  document.body.style.margin = "0";
  const place = document.createElement("div");
  place.style.cssText = "position: absolute; inset: 0";
  document.body.replaceChildren(place);
  Object.assign(window, { pose, poses: 0, clicks: [], doubles: [], homes: 0, keys: [] });
  window.controls = new client.Controls(place, {
    framed,
    pose: () => window.pose,
    onPose: (pose) => Object.assign(window, { pose, poses: poses + 1 }),
    onClick: (at) => clicks.push(at),
    onDouble: (at) => doubles.push(at),
    onKey: (event) => (keys.push(event.key), event.key === " "),
    onHome: () => homes++,
  });
}"""


@pytest.fixture(scope="module")
def opened(chromium: Any) -> Any:
    return page_with(chromium, "controls.js", size=SIZE)


@pytest.fixture
def page(opened: Any) -> Any:
    return started(opened)


def started(page: Any, *, framed: bool = False) -> Any:
    page.evaluate(_START, [{field.name: getattr(POSE, field.name) for field in fields(POSE)}, framed])
    return page


def looks_as(page: Any, wanted: CameraPose) -> None:
    found = page.evaluate("pose")
    for field in fields(wanted):
        np.testing.assert_allclose(found[field.name], getattr(wanted, field.name), rtol=1e-9, atol=1e-12)


def drag(page: Any, to: tuple[float, float], **how: Any) -> None:
    page.mouse.move(300, 200)
    page.mouse.down(**how)
    page.mouse.move(*to)
    page.mouse.up(**how)


def test_drag_turns_the_scene(page: Any) -> None:
    drag(page, (340, 180))
    looks_as(page, turntable.orbit(POSE, -40 * 180 / 400, -20 * 180 / 400))
    assert page.evaluate("[clicks.length, controls.held]") == [0, False]


@pytest.mark.parametrize("how", ["shift", "right", "middle"])
def test_drag_with_shift_or_another_button_moves_the_scene(page: Any, how: str) -> None:
    if how == "shift":
        page.keyboard.down("Shift")
        drag(page, (340, 180))
        page.keyboard.up("Shift")
    else:
        drag(page, (340, 180), button=how)
    looks_as(page, turntable.pan(POSE, 40 / 400, 20 / 400))
    assert page.evaluate("clicks.length") == 0


def test_drag_goes_on_outside_the_element(page: Any) -> None:
    page.evaluate("Object.assign(document.querySelector('div').style, { inset: '50px 250px 150px 50px' })")
    page.mouse.move(200, 200)
    page.mouse.down()
    page.mouse.move(500, 390)
    page.mouse.up()
    looks_as(page, turntable.orbit(POSE, -300 * 180 / 200, 190 * 180 / 200))


def test_wheel_zooms_at_the_pointer(page: Any) -> None:
    page.mouse.move(450, 100)
    page.mouse.wheel(0, -200)
    page.wait_for_function("poses === 1")
    looks_as(page, turntable.zoom(POSE, 1.12**2, (150 / 400, 100 / 400)))


def test_click_is_no_drag_and_two_clicks_are_a_double_click(page: Any) -> None:
    page.mouse.move(100, 120)
    page.mouse.down()
    page.mouse.move(102, 121)
    page.mouse.up()
    assert page.evaluate("[poses, clicks, doubles]") == [0, [[100, 120]], []]
    page.mouse.click(101, 120)
    assert page.evaluate("[poses, clicks, doubles]") == [0, [[100, 120]], [[101, 120]]]
    page.mouse.click(400, 300)
    assert page.evaluate("clicks.length") == 2


def test_keys_turn_move_zoom_and_go_home(page: Any) -> None:
    page.mouse.click(10, 10)
    page.keyboard.press("ArrowRight")
    looks_as(page, wanted := turntable.orbit(POSE, -5, 0))
    page.keyboard.press("Shift+ArrowUp")
    looks_as(page, wanted := turntable.pan(wanted, 0, 0.05))
    page.keyboard.press("+")
    looks_as(page, wanted := turntable.zoom(wanted, 1.12))
    page.keyboard.press("-")
    looks_as(page, turntable.zoom(wanted, 1 / 1.12))
    page.keyboard.press("r")
    page.keyboard.press(" ")
    assert page.evaluate("homes") == 1
    assert page.evaluate("keys.at(-1)") == " "


@pytest.fixture
def touch(page: Any) -> Iterator[Callable[..., None]]:
    session = page.context.new_cdp_session(page)

    def send(kind: str, *points: tuple[float, float]) -> None:
        given = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": given})

    yield send
    session.detach()


def test_two_fingers_pinch_and_move(page: Any, touch: Callable[..., None]) -> None:
    touch("Start", (200, 150))
    touch("Start", (200, 150), (400, 150))
    touch("Move", (250, 200), (350, 200))
    page.wait_for_function("poses === 2")
    looks_as(page, pinched())
    touch("End")
    assert page.evaluate("[clicks.length, controls.held]") == [0, False]


def pinched() -> CameraPose:
    """The pose after both fingers have moved: each one is an event of its own."""
    pose, before = POSE, ((200, 150), (400, 150))
    for after in (((250, 200), (400, 150)), ((250, 200), (350, 200))):
        (ax, ay), (bx, by) = (np.mean(fingers, axis=0) for fingers in (before, after))
        factor = np.hypot(*np.subtract(*after)) / np.hypot(*np.subtract(*before))
        pose = turntable.zoom(pose, float(factor), ((ax - 300) / 400, (200 - ay) / 400))
        pose = turntable.pan(pose, (bx - ax) / 400, (ay - by) / 400)
        before = after
    return pose


def test_finger_turns_the_scene_and_a_tap_is_a_click(page: Any, touch: Callable[..., None]) -> None:
    touch("Start", (200, 150))
    touch("Move", (230, 170))
    touch("Move", (260, 190))
    touch("End")
    looks_as(page, turntable.orbit(POSE, -60 * 180 / 400, 40 * 180 / 400))
    touch("Start", (200, 150))
    touch("End")
    assert page.evaluate("clicks") == [[200, 150]]


def test_wheel_in_a_frame_scrolls_the_page_around_it_until_a_click(opened: Any) -> None:
    page = started(opened, framed=True)
    hinted = "document.body.textContent.includes('click to zoom')"
    page.mouse.move(450, 100)
    page.mouse.wheel(0, -200)
    page.wait_for_function(hinted)
    assert page.evaluate("poses") == 0
    page.mouse.click(450, 100)
    assert not page.evaluate(hinted)
    page.mouse.wheel(0, -200)
    page.wait_for_function("poses === 1")
    page.keyboard.press("Escape")
    page.mouse.wheel(0, -200)
    page.wait_for_function(hinted)
    assert page.evaluate("poses") == 1


def test_closed_controls_do_nothing(page: Any) -> None:
    page.evaluate("controls.close()")
    drag(page, (340, 180))
    assert page.evaluate("[poses, clicks.length]") == [0, 0]
