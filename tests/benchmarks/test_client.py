"""Frames a second of a drag in Chromium: the exported file, the live page, and TensorSpace.js, in one run.

A frame counts if WebGL drew something during it, so a page that only answers the browser's callback counts nothing.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nnviz3d.data.bundled import bundled
from tests.apps.conftest import Served
from tests.benchmarks.hand import PAGE, dragged
from tests.benchmarks.peer import tensorspace
from tests.benchmarks.results import record_result
from tests.benchmarks.timing import table
from tests.conftest import webgl  # noqa: F401 - the browser that draws by WebGL2

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

MIDDLE = (800.0, 360.0)
"""Where the pointer is pressed: inside the picture of every page."""
ROUNDS, SECONDS = 3, 4.0
COUNT = """() => {
  window.frames_drawn = 0;
  window.follows_mouse = true;  // TensorSpace does not listen to pointers
  let dirty = false;
  for (const kind of [window.WebGLRenderingContext, window.WebGL2RenderingContext]) {
    for (const name of ["drawArrays", "drawElements", "drawArraysInstanced", "drawElementsInstanced"]) {
      const draw = kind?.prototype[name];
      if (draw) kind.prototype[name] = function (...all) { dirty = true; return draw.apply(this, all); };
    }
  }
  const tick = () => {
    if (dirty) window.frames_drawn++;
    dirty = false;
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}"""
"""Counts the browser's frames in which WebGL drew."""


def opened(browser: Browser, address: str, ready: str) -> Page:
    page = browser.new_context(viewport=PAGE).new_page()  # type: ignore[arg-type]
    page.add_init_script(f"({COUNT})()")
    page.goto(address)
    page.wait_for_function(ready, timeout=180_000)
    return page


DRAWN = "() => window.frames_drawn > 0"
READY = "() => window.ready === true"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exported")


def write(target: str, out: Path) -> tuple[str, float]:
    """Export a target; returns the address of the file, and the seconds that the command took."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "nnviz3d", "export", target, "-o", str(out)], check=True)
    return out.as_uri(), time.perf_counter() - start


def compare(
    browser: Browser, pages: dict[str, tuple[str, str]], own: Sequence[str], peer: str, title: str, *, smallest: bool
) -> dict[str, float]:
    """Drag pages, each given by address and condition, in turn and each alone, since TensorSpace never stops drawing.

    Returns the frames a second of each.
    """
    rates: dict[str, list[float]] = {name: [] for name in pages}
    for _ in range(1 if smallest else ROUNDS):
        for name, (address, ready) in pages.items():
            page = opened(browser, address, ready)
            time.sleep(0.5 if smallest else 3)
            rates[name].append(dragged(page, MIDDLE, "frames_drawn", 0.5 if smallest else SECONDS))
            page.context.close()
    found = {name: float(np.median(values)) for name, values in rates.items()}
    rows = [[f"{name}, frames a second", rate] for name, rate in found.items()]
    table(title, [*rows, *([f"ratio of {name} to {peer}", found[name] / found[peer]] for name in own)])


def test_a_drag_of_digits(webgl: Browser, exported: Path, smallest: bool) -> None:  # noqa: F811
    address, seconds = write(str(bundled("digits.zarr.zip")), exported / "digits.html")
    digit = np.random.default_rng(0).random(784).tolist()
    own = ("exported", "live, drawn by the page")
    with tensorspace(digit) as base, Served("digits", "--draw", "client") as served:
        pages = {
            own[0]: (address, DRAWN),
            own[1]: (served.url, DRAWN),
            "TensorSpace, layers closed": (f"{base}lenet.html", READY),
            "TensorSpace, layers open": (f"{base}lenet_open.html", READY),
        }
        title = "digits, all cells, dragged at 1280 x 720"
        found = compare(webgl, pages, own, "TensorSpace, layers open", title, smallest=smallest)
    if not smallest:
        ratio = found[own[1]] / found["TensorSpace, layers open"]
        record_result(
            "drag_peer", ratio, f"digits live, all cells, 1280 x 720, {ROUNDS} drags of {SECONDS:g} s each, in turns"
        )
    table("export", [["seconds", seconds], ["megabytes", (exported / "digits.html").stat().st_size / 1e6]])


def test_a_drag_of_vgg16(webgl: Browser, exported: Path, vgg: Path, smallest: bool) -> None:  # noqa: F811
    if smallest:
        pytest.skip("It differs from the drag of the digits by its size only, and TensorSpace takes half a minute.")
    address, seconds = write(str(vgg), exported / "vgg16.html")
    with tensorspace([0.0] * 784) as base:
        pages = {"exported": (address, DRAWN), "TensorSpace, layers open": (f"{base}vgg16.html", READY)}
        title = "VGG16, 15.3 million cells, dragged at 1280 x 720"
        compare(webgl, pages, ("exported",), "TensorSpace, layers open", title, smallest=smallest)
    table("export", [["seconds", seconds], ["megabytes", (exported / "vgg16.html").stat().st_size / 1e6]])
