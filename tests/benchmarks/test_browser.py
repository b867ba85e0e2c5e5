"""Pictures displayed of a drag in Chromium: drawn by the server, and TensorSpace's LeNet, in one run on the same cores."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nnviz3d.data.bundled import bundled
from tests.apps.conftest import Served
from tests.benchmarks.hand import COUNT, PAGE, Drag, drag
from tests.benchmarks.peer import tensorspace
from tests.benchmarks.results import record_result
from tests.benchmarks.timing import table
from tests.conftest import CHROMIUM, webgl  # noqa: F401 - the fixture is the browser that draws by WebGL2

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

MIDDLE = (800.0, 360.0)
"""Where the pointer is pressed: inside the picture of every page."""
DRAWN_HERE = "() => window.nnviz3d?.pictures() > 0 && document.querySelector('#client canvas')?.width > 100"
SERVED = "() => window.nnviz3dPicture?.()?.width > 100"
LENET = "TensorSpace's LeNet, layers open"
READY = "() => window.ready === true"


@contextmanager
def opened(browser: Browser, address: str, ready: str) -> Iterator[Page]:
    page = browser.new_context(viewport=PAGE).new_page()  # type: ignore[arg-type]
    page.add_init_script(f"window.follows_mouse = {str(ready == READY).lower()}; ({COUNT})()")
    page.goto(address)
    page.wait_for_function(ready, timeout=180_000)
    yield page
    page.context.close()


@contextmanager
def without_webgl(browser: Browser) -> Iterator[Browser]:
    """Start a second Chromium, which composes its pages without a GPU process; by default the server draws for it."""
    second = browser.browser_type.launch(executable_path=shutil.which("chromium"), args=list(CHROMIUM))
    yield second
    second.close()


def lenet_of(stack: ExitStack) -> str | None:
    """Serve TensorSpace's LeNet until the stack ends; `None` if its packages cannot be had."""
    try:
        return f"{stack.enter_context(tensorspace(np.random.default_rng(0).random(784).tolist()))}lenet_open.html"
    except pytest.skip.Exception as reason:
        print(reason)
        return None


def test_a_drag_drawn_by_the_server(webgl: Browser, vgg: Path, smallest: bool) -> None:  # noqa: F811
    rounds, seconds = (1, 0.3) if smallest else (3, 4.0)
    with ExitStack() as stack:
        plain = stack.enter_context(without_webgl(webgl))
        lenet = lenet_of(stack)
        digits = stack.enter_context(Served(str(bundled("digits.zarr.zip"))))
        pages = {
            "digits": (webgl, digits.url, SERVED),
            "digits, browser without WebGL": (plain, digits.url, SERVED),
        }
        if not smallest:
            pages["VGG16, browser without WebGL"] = (plain, stack.enter_context(Served(str(vgg))).url, SERVED)
        if lenet is not None:
            pages[LENET] = (webgl, lenet, READY)
        found: dict[str, list[Drag]] = {name: [] for name in pages}
        for _ in range(rounds):
            for name, (browser, address, ready) in pages.items():
                with opened(browser, address, ready) as page:
                    time.sleep(0.3 if smallest else 3)
                    found[name].append(drag(browser, page, MIDDLE, seconds))
    rates = {name: statistics.median(one.rate for one in drags) for name, drags in found.items()}
    rows: list[list[object]] = [["", "counted", "compositor", "displayed", "width"]]
    for name, drags in found.items():
        counted, displayed, width = (
            statistics.median(values)
            for values in zip(*((one.counted, one.displayed, one.width) for one in drags), strict=True)
        )
        rows.append([name, counted, displayed, rates[name], width])
    table("dragged in Chromium at 1280 x 720, frames a second; width of the server's pictures, at most 964", rows)
    peer = "" if lenet is None else f"; TensorSpace's LeNet, layers open, in the same browser {rates[LENET]:.3g}"
    width = statistics.median(one.width for one in found["digits"])
    record_result(
        "drag",
        rates["digits"],
        f"browser frames with a new picture, at most those that the compositor displayed, median of {rounds} drags of "
        f"{seconds:g} s; pictures {width:.0f} of 964 pixels wide; WebGL browser, software rendering. "
        f"In a browser without WebGL {rates['digits, browser without WebGL']:.3g}{peer}",
    )
