"""Browser tests of pages that draw the scene themselves. All share one server, so each test restores what it changes."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from nnviz3d.apps.session import Session
from nnviz3d.apps.web.frames import FrameRenderer
from nnviz3d.apps.web.server import ASPECT
from nnviz3d.data.capture import open_capture
from nnviz3d.render.offscreen import offscreen_window
from nnviz3d.render.picking import pick
from nnviz3d.render.renderer import Renderer
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.facts import exact
from nnviz3d.scene.hits import CellHit
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, Selection
from nnviz3d.scene.spec import default_scene
from nnviz3d.scene.view_text import decode_view
from tests.apps.conftest import Served
from tests.support.browser import choose, same, text, wait_until
from tests.support.browser_log import logged_by
from tests.support.pinhole import to_pixels
from tests.support.proxies import Site, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

TOLERANCE = 3.0
"""Largest mean difference of the client's picture from the server's, of 255."""
_POSE = "() => window.nnviz3d.pose()"
_STILL = "() => window.nnviz3d?.still() ?? null"


@pytest.fixture(scope="module")
def served_to_clients(digits_folder: Path) -> Iterator[Served]:
    server = Served("--draw", "client", str(digits_folder))
    yield server
    code, _, errors = server.end()
    assert code == 0
    assert "Traceback" not in errors, errors
    assert "The page reports" not in errors, errors


@contextmanager
def open_page(browser: Browser, server: Served, *, logs: bool = False, **how: Any) -> Iterator[Page]:
    """Open a page that draws the scene; in the end the browser must have logged no warning or error."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 720}, **how})
    page = context.new_page()
    logged = logged_by(page)
    page.goto(server.url)
    wait_until(lambda: page.evaluate(_STILL), "the page draws the scene")
    yield page
    context.close()
    assert logs or not logged, logged


@pytest.fixture(scope="module")
def page(webgl: Browser, served_to_clients: Served) -> Iterator[Page]:
    with open_page(webgl, served_to_clients) as page:
        yield page


def pixels(page: Page) -> NDArray[np.uint8]:
    """Wait until the picture is still, and return it, ``(H, W, 3)``."""
    number = None

    def is_still() -> bool:
        nonlocal number
        before, number = number, page.evaluate(_STILL)
        time.sleep(0.2)
        return number is not None and before == number

    wait_until(is_still, "the picture is still")
    return np.asarray(Image.open(io.BytesIO(page.locator("#view").screenshot())).convert("RGB"))


def changed(page: Page, before: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Wait for a still picture that differs from an earlier one, and return it."""
    found = before

    def differs() -> bool:
        nonlocal found
        found = pixels(page)
        return not same(found, before)

    wait_until(differs, "the picture changes")
    return found


def back(page: Page, first: NDArray[np.uint8]) -> None:
    wait_until(lambda: same(pixels(page), first), "the picture is the first one again")


def drag(page: Page, right: int, down: int) -> None:
    box = page.locator("#view").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + right, y + down, steps=5)
    page.mouse.up()


def pose_of(page: Page) -> CameraPose:
    found = page.evaluate(_POSE)
    return CameraPose(*(tuple(found[name]) for name in ("position", "target", "up")), found["field_of_view"])


@pytest.fixture(scope="module")
def server_draws(digits_folder: Path) -> Iterator[Callable[..., NDArray[np.uint8]]]:
    """Draw the scene as the server does."""
    renderer = Renderer(offscreen_window((64, 64)))
    session = Session(Scene.build(default_scene(), open_capture(digits_folder), aspect=ASPECT), renderer)

    def draw(size: tuple[int, int], pose: CameraPose, **selection: Any) -> NDArray[np.uint8]:
        frames = FrameRenderer(session)
        frames.resize(*size, 1.0)
        session.select(**selection)
        renderer.look(pose)
        return frames.still()

    yield draw
    renderer.close()


def test_client_draws_the_picture_that_the_server_draws(page: Page, server_draws) -> None:
    home = pixels(page)
    for shown in (home, None):
        if shown is None:
            drag(page, 160, 60)
            shown = changed(page, home)
        height, width = shown.shape[:2]
        wanted = server_draws((width, height), pose_of(page))
        difference = np.abs(shown.astype(int) - wanted)
        assert difference.mean() < TOLERANCE
        assert (difference.max(axis=2) > 60).mean() < 0.02
    page.keyboard.press("r")
    back(page, home)


def test_two_pages_have_two_cameras_and_one_scene(page: Page, webgl: Browser, served_to_clients: Served) -> None:
    home = pixels(page)
    with open_page(webgl, served_to_clients, viewport={"width": 1000, "height": 700}) as other:
        there = pixels(other)
        drag(page, 160, 60)
        turned = changed(page, home)
        other.locator('#normalize button[value="global"]').click()
        recolored = changed(other, there)
        changed(page, turned)
        page.keyboard.press("r")
        assert not same(pixels(page), home), "home is about the camera only"
        assert same(pixels(other), recolored), "the other page's camera stays"
        other.locator('#normalize button[value="layer"]').click()
        back(other, there)
    back(page, home)


def test_click_shows_the_sentence_that_the_server_finds(page: Page, digits_folder: Path) -> None:
    home = pixels(page)
    height, width = home.shape[:2]
    capture, pose = open_capture(digits_folder), pose_of(page)
    scene = Scene.build(default_scene(), capture, aspect=ASPECT)
    for node in ("conv2d_2", "max_pooling2d_1"):
        x, y = (float(v) for v in to_pixels(np.array([scene.context.placement(node).center]), pose, (width, height))[0])
        hit = pick(scene.at(scene.duration), pose, (width, height), (x, y))
        assert isinstance(hit, CellHit)
        found = scene.pick(hit, Selection())
        assert isinstance(found, CellPick)
        facts = scene.describe(found, Selection())
        assert facts is not None
        page.locator("#view").click(position={"x": x, "y": y})
        wait_until(lambda: callout(page), "the pick is marked")
        shown = callout(page)
        assert exact(capture.activation(found.layer, 0)[found.index]) in shown
        marked = scene.at(scene.duration, Selection(pick=found)).primitives
        wanted = next(p for p in marked if type(p).__name__ == "Callout")
        assert shown == [row.text for row in wanted.rows if hasattr(row, "text")]
        page.keyboard.press("Escape")
        wait_until(lambda: not callout(page), "the pick is cleared")
    back(page, home)


def callout(page: Page) -> list[str]:
    """Return the texts beside the pick."""
    found = page.evaluate(
        """() => window.nnviz3d.drawList().primitives.filter((p) => p.kind === "Callout")
          .flatMap((p) => p.rows).map((row) => row.text ?? null)"""
    )
    return [text for text in found if text is not None]


def test_playing_seeking_and_choosing_change_the_picture(page: Page, digits_folder: Path) -> None:
    home = pixels(page)
    page.locator("#restart").click()
    start = changed(page, home)
    page.locator("#play").click()
    wait_until(lambda: float(text(page, ".clock-now")) > 0.5, "the clock runs")
    drawn = page.evaluate("() => window.nnviz3d.pictures()")
    page.keyboard.press(" ")
    assert drawn > 5
    changed(page, start)
    page.locator("#transport [role=slider]").press("End")
    back(page, home)
    names = open_capture(digits_folder).provenance.samples
    page.locator('[title^="Next sample"]').click()
    changed(page, home)
    wait_until(lambda: names[1] in text(page, "#sample"), "the picker names it")
    page.locator("#view").click(position={"x": 5, "y": 300})
    page.keyboard.press("ArrowLeft")
    back(page, home)
    choose(page, "unfold", "conv2d_1")
    changed(page, home)
    choose(page, "unfold", "no layer")
    back(page, home)


def test_upright_telephone_has_a_layout_and_a_bar_that_fit(webgl: Browser, served_to_clients: Served) -> None:
    size = {"width": 390, "height": 844}
    with open_page(webgl, served_to_clients, viewport=size, is_mobile=True, has_touch=True) as phone:
        assert phone.evaluate("document.documentElement.scrollWidth") == 390
        for control in ("#toggle", "#home", "#save", "#play", "#layer-right", "#speed"):
            box = phone.locator(control).first.bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 390
        assert phone.locator("#transport .time").bounding_box()["width"] > 80  # type: ignore[index]
        assert phone.evaluate("() => window.nnviz3d.pose()") is not None
        heights = phone.evaluate(
            """() => window.nnviz3d.drawList().primitives.filter((p) => p.kind === "Voxels").map((p) => p.origin[1])"""
        )
        assert max(heights) - min(heights) > 10, "the network has several rows"


def test_saved_picture_is_the_one_on_this_page(page: Page) -> None:
    home = pixels(page)
    drag(page, 100, 30)
    shown = changed(page, home)
    with page.expect_download() as download:
        page.locator("#save").click()
    assert download.value.suggested_filename == "digits.png"
    saved = np.asarray(Image.open(download.value.path()).convert("RGB"))
    assert saved.shape == shown.shape
    assert np.abs(saved.astype(int) - shown).mean() < 0.5
    page.locator("#home").click()
    back(page, home)


def test_hostile_message_of_a_page_is_refused_and_changes_nothing(page: Page) -> None:
    home = pixels(page)
    for message in (
        {"type": "click", "frame": page.evaluate(_STILL), "kind": "CellHit", "record": 10**6, "part": [0, 0, 0]},
        {"type": "start", "width": 1e300, "height": 1},
        "<img src=x onerror=alert(1)>",
    ):
        answer = page.evaluate("(m) => trame.client.getConnection().getSession().call('nnviz3d.draw', [m])", message)
        assert set(answer) == {"refused"}
    assert same(pixels(page), home)


def test_large_arrays_need_the_secret(page: Page, served_to_clients: Served) -> None:
    assert page.request.get(f"{served_to_clients.base}/arrays/none").status == 404
    other = page.context.browser.new_context()
    assert other.request.get(f"{served_to_clients.base}/arrays/none").status == 403
    other.close()


def view_of(page: Page) -> str:
    """Return the text of the view in the page's address; empty if there is none."""
    return parse_qs(urlsplit(page.url).query).get("view", [""])[0]


def test_page_reconnects_after_a_lost_connection_with_its_camera(webgl: Browser, served_to_clients: Served) -> None:
    with open_page(webgl, served_to_clients, logs=True) as page:
        home = pixels(page)
        drag(page, 160, 60)
        turned, pose = changed(page, home), pose_of(page)
        there = np.array(pose.position)

        def kept() -> bool:
            found = decode_view(view_of(page)).pose if view_of(page) else None
            return found is not None and np.allclose(found.position, there, atol=0.02)

        wait_until(kept, "the address holds the last pose")
        with page.expect_event("load"):
            page.evaluate("() => { trame.client.getConnection().getSession().close(); }")
        wait_until(lambda: page.evaluate(_STILL), "the page draws the scene")
        wait_until(lambda: np.allclose(pose_of(page).position, there, atol=0.02), "the camera is where it was")
        wait_until(lambda: np.abs(pixels(page).astype(int) - turned).mean() < 1.5, "the picture is as before")


def test_server_draws_where_webgl_is_lacking_or_is_lost_twice(webgl: Browser, digits_folder: Path) -> None:
    server = Served("--draw", "auto", str(digits_folder))
    image = "() => window.nnviz3dPicture?.()?.width > 500"
    reason = "() => document.querySelector('#drawn-by-server')?.title"
    page = webgl.new_page(viewport={"width": 1280, "height": 720})
    page.add_init_script("""
      const context = HTMLCanvasElement.prototype.getContext;
      HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
        return kind.startsWith("webgl") ? null : context.call(this, kind, ...more);
      };
    """)
    page.goto(server.url)
    wait_until(lambda: page.evaluate(image), "the server's picture")
    assert page.evaluate(reason) == "The server draws this picture, because this browser lacks WebGL2."
    page.close()
    with open_page(webgl, server, logs=True) as page:
        home = pixels(page)
        lose = """() => {
          const canvas = document.querySelector("#client canvas");
          const extension = canvas.getContext("webgl2").getExtension("WEBGL_lose_context");
          extension.loseContext();
          setTimeout(() => extension.restoreContext(), 300);
        }"""
        page.evaluate(lose)
        wait_until(lambda: page.evaluate("() => window.nnviz3d.losses() === 1"), "the context is lost")
        time.sleep(1)
        back(page, home)
        page.evaluate(lose)
        wait_until(lambda: page.evaluate(image), "the server's picture")
        wait_until(lambda: "stopped twice" in (page.evaluate(reason) or ""), "the page says why")
        assert page.evaluate(_POSE) is None
    code, _, errors = server.end()
    assert code == 0
    assert "Traceback" not in errors


def test_page_draws_by_itself_in_a_frame_of_another_site(webgl, digits_folder):
    notebook = Site("<iframe width=1000 height=650></iframe>")
    with running(notebook) as (port,):
        around = f"http://notebook.localhost:{port}"
        with Served("--draw", "client", "--origin", around, str(digits_folder)) as server:
            page = webgl.new_context(viewport={"width": 1100, "height": 700}).new_page()
            page.goto(around)
            with page.expect_event("framenavigated"):
                page.evaluate("address => { document.querySelector('iframe').src = address }", server.url)
            frame = page.frames[-1]
            wait_until(lambda: frame.evaluate(_STILL), "the page draws the scene")
            page.context.close()
            assert "The page reports" not in server.end()[2]


@pytest.mark.parametrize(("host", "allowed"), [("localhost", True), ("notebook.localhost", False)])
def test_page_of_a_notebook_is_framed_by_this_machine_alone(webgl, digits_folder, host, allowed):
    served = Served("--draw", "client", "--in-notebook", str(digits_folder))
    with running(Site("<iframe width=1000 height=650></iframe>")) as (port,), served as server:
        page = webgl.new_context(viewport={"width": 1100, "height": 700}).new_page()
        page.goto(f"http://{host}:{port}")
        put = "address => { document.querySelector('iframe').src = address }"
        if allowed:
            with page.expect_event("framenavigated"):
                page.evaluate(put, server.url)
            wait_until(lambda: page.frames[-1].evaluate(_STILL), "the page draws the scene")
        else:
            with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
                page.evaluate(put, server.url)
        page.context.close()
        server.end()
