"""Pictures a second of a drag, and time to the first picture: drawn by the page itself and by the server, in one run."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from nnviz3d.data.bundled import bundled
from tests.apps.conftest import Served
from tests.benchmarks.hand import PAGE, dragged
from tests.benchmarks.timing import table

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Way = Literal["client", "server"]
DRAG = 4.0
"""Seconds."""
ROUNDS = 3
SHOWN = """() => document.querySelector("#view img")?.naturalWidth > 100
  || (window.nnviz3d?.pictures() > 0 && document.querySelector("#client canvas")?.width > 100)"""
COUNT = """() => {
  // The animation frames that carried a new picture.
  window.carried = 0;
  let before = null;
  let decoded = 0;
  new MutationObserver((changes) => {
    for (const { target } of changes) {
      if (target instanceof HTMLImageElement && target.closest("#view")) target.decode().then(() => decoded++, () => {});
    }
  }).observe(document.querySelector("#view"), { subtree: true, attributes: true, attributeFilter: ["src"] });
  const look = () => {
    const shown = window.nnviz3d.pictures() ?? decoded;
    if (before !== null && shown !== before) window.carried++;
    before = shown;
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""


def drag(browser: Browser, server: Served) -> tuple[float, float]:
    """Return the seconds to the first picture, and the pictures a second of a drag."""
    page = browser.new_context(viewport=PAGE).new_page()  # type: ignore[arg-type]
    start = time.perf_counter()
    page.goto(server.url)
    page.wait_for_function(SHOWN, timeout=120_000)
    first = time.perf_counter() - start
    time.sleep(2)
    page.evaluate(COUNT)
    box = page.locator("#view").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    rate = dragged(page, (x, y), "carried", DRAG)
    page.context.close()
    return first, rate


@pytest.mark.parametrize("name", ["digits", "vgg16"])
def test_drag_and_first_picture(webgl: Browser, request, name: str) -> None:
    target: Path = bundled("digits.zarr.zip") if name == "digits" else request.getfixturevalue("vgg")
    found: dict[Way, list[tuple[float, float]]] = {"client": [], "server": []}
    for _ in range(ROUNDS):
        for way, results in found.items():
            server = Served("--draw", way, str(target))
            results.append(drag(webgl, server))
            server.end()
    first = {way: statistics.median(one for one, _ in results) for way, results in found.items()}
    shown = {way: statistics.median(one for _, one in results) for way, results in found.items()}
    table(
        f"{name} in Chromium at {PAGE['width']} x {PAGE['height']}: drawn by the page, by the server",
        [
            ["pictures a second while dragging", shown["client"], shown["server"], shown["client"] / shown["server"]],
            [
                "seconds from address to first picture",
                first["client"],
                first["server"],
                first["client"] / first["server"],
            ],
        ],
    )
    assert name != "digits" or shown["client"] > shown["server"]
