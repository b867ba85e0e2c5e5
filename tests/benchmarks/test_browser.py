"""Frame rate of a drag and delay of another sample, with Chromium and the server on the same cores."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.render.offscreen import offscreen_window
from nnviz3d.render.renderer import Renderer
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import default_scene
from tests.apps.conftest import Served
from tests.benchmarks.hand import HAND, PAGE
from tests.benchmarks.timing import table
from tests.support.browser import SHOWS_WHOLE_PICTURE, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DRAG = 6.0
"""Seconds."""
WATCH = """() => {
  window.seen = [];
  const shown = () => window.trame.state.get('sample');
  new MutationObserver((changes) => {
    for (const change of changes) {
      const image = change.target;
      if (!(image instanceof HTMLImageElement) || !image.closest('#view')) continue;
      image.decode().then(() => requestAnimationFrame(() => window.seen.push(
        { at: performance.now(), width: image.naturalWidth, sample: shown() })), () => {});
    }
  }).observe(document.querySelector('#view'), { subtree: true, attributes: true, attributeFilter: ['src'] });
  for (const name of ['keydown', 'pointerup', 'mouseup']) {
    window.addEventListener(name, () => { window.acted = performance.now(); }, true);
  }
}"""
"""Records the time of each picture on the screen, and of the last input event."""


@pytest.fixture
def page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    servers: list[Served] = []

    def opened(*target: str) -> Page:
        servers.append(Served(*target))
        page = chromium.new_context(viewport=PAGE).new_page()  # type: ignore[arg-type]
        page.goto(servers[-1].url)
        wait_until(lambda: page.evaluate(SHOWS_WHOLE_PICTURE), "the picture is there")
        time.sleep(2)
        page.evaluate(WATCH)
        return page

    yield opened
    for server in servers:
        server.end()


def bare(capture: Capture, size: tuple[int, int]) -> float:
    """Frames per second of only the renderer during the same drag."""
    scene = Scene.build(default_scene(), capture)
    renderer = Renderer(offscreen_window(size))
    renderer.careful = False
    renderer.draw(scene.at(scene.duration))
    pose = scene.camera(scene.duration, aspect=size[0] / size[1])
    from nnviz3d.apps.turntable import orbit

    for warm in range(3):
        renderer.look(orbit(pose, warm, 0.0))
        renderer.render()
    frames, start = 0, time.perf_counter()
    while time.perf_counter() - start < DRAG / 2:
        renderer.look(orbit(pose, 0.7 * (frames % 60), 0.1 * (frames % 30)))
        renderer.render()
        frames += 1
    seconds = time.perf_counter() - start
    renderer.close()
    return frames / seconds


@pytest.mark.parametrize("name", ["digits", "vgg16"])
def test_a_drag(page, vgg: Path, name: str) -> None:
    target = bundled("digits.zarr.zip") if name == "digits" else vgg
    here = page(str(target))
    box = here.locator("#view").bounding_box()
    size = (round(box["width"]), round(box["height"]))
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    here.mouse.move(x, y)
    here.mouse.down()
    began = here.evaluate("performance.now()")
    here.evaluate(HAND, [x, y])
    time.sleep(DRAG)
    here.evaluate("clearInterval(window.hand)")
    ended = here.evaluate("performance.now()")
    here.mouse.up()
    time.sleep(3)
    seen = here.evaluate("window.seen")
    released = here.evaluate("window.acted")
    moving = [s for s in seen if began < s["at"] < ended]
    shown = len(moving) / (ended - began) * 1000
    full = next(s for s in seen if s["at"] > released and s["width"] == size[0])
    ratio = min(s["width"] for s in moving[2:]) / size[0]
    alone = bare(open_capture(target), size)
    table(
        f"{name}, dragged in Chromium at {size[0]} x {size[1]}",
        [
            ["pictures shown a second", shown],
            ["frames a second of the renderer alone", alone],
            ["ratio", shown / alone],
            ["least linear resolution", ratio],
            ["seconds until the still is full", (full["at"] - released) / 1000],
        ],
    )


@pytest.mark.parametrize("name", ["digits", "imagenet"])
def test_another_sample(page, name: str, tmp_path: Path) -> None:
    if name == "digits":
        here, rounds = page("digits"), 20
        for _ in range(3):
            here.keyboard.press("ArrowRight")  # from the captured samples to those that the model has to compute
            time.sleep(0.5)
    else:
        model = Path("efficientnet_lite0.keras")
        if not model.is_file():
            pytest.skip("python examples/imagenet_efficientnet.py makes the model")
        from sklearn.datasets import load_sample_image

        photograph = load_sample_image("china.jpg")
        from PIL import Image

        for k in range(22):
            Image.fromarray(photograph[:, 4 * k :]).save(tmp_path / f"{k:02}.jpg")
        here, rounds = page("imagenet", "--input", str(tmp_path)), 20
        here.keyboard.press("ArrowRight")
    arrive(here)
    taken = []
    for _ in range(rounds):
        here.keyboard.press("ArrowRight")
        taken.append(arrive(here))
        time.sleep(1.0)
    table(
        f"{name}: from the key to the picture of a sample that was not captured",
        [["median seconds", statistics.median(taken)], ["slowest", max(taken)]],
    )


def arrive(page: Page) -> float:
    """Wait until the requested sample is on the screen; returns the seconds since the key was pressed."""

    def there() -> Any:
        return page.evaluate(
            """() => {
              if (window.trame.state.get('busy')) return null;
              const shown = window.trame.state.get('sample');
              const last = window.seen.filter((s) => s.at > window.acted && s.sample === shown);
              return last.length ? last[0].at - window.acted : null;
            }"""
        )

    return float(wait_until(there, "it is there")) / 1000
