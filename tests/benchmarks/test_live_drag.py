"""Pictures a second of a drag, and time to the first picture: drawn by the page itself and by the server, in one run."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from nnviz3d.data.bundled import bundled
from tests.apps.conftest import Served
from tests.benchmarks.hand import PAGE, Drag, drag
from tests.benchmarks.test_browser import DRAWN_HERE, MIDDLE, SERVED, opened
from tests.benchmarks.timing import table
from tests.conftest import webgl  # noqa: F401 - the browser that draws by WebGL2

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Way = Literal["client", "server"]
READY: dict[Way, str] = {"client": DRAWN_HERE, "server": SERVED}


def measured(browser: Browser, server: Served, way: Way, seconds: float) -> tuple[float, Drag]:
    """Return the seconds to the first picture, and what the page shows of a drag."""
    start = time.perf_counter()
    with opened(browser, server.url, READY[way]) as page:
        first = time.perf_counter() - start
        time.sleep(min(2, seconds))
        return first, drag(browser, page, MIDDLE, seconds)


@pytest.mark.parametrize("name", ["digits", "vgg16"])
def test_drag_and_first_picture(webgl: Browser, request, smallest: bool, name: str) -> None:  # noqa: F811
    rounds, seconds = (1, 0.3) if smallest else (3, 4.0)
    if smallest and name != "digits":
        pytest.skip("It takes the same code as the digits.")
    target: Path = bundled("digits.zarr.zip") if name == "digits" else request.getfixturevalue("vgg")
    found: dict[Way, list[tuple[float, Drag]]] = {"client": [], "server": []}
    for _ in range(rounds):
        for way, results in found.items():
            with Served("--draw", way, str(target)) as server:
                results.append(measured(webgl, server, way, seconds))
    first = {way: statistics.median(one for one, _ in results) for way, results in found.items()}
    shown = {way: statistics.median(one.rate for _, one in results) for way, results in found.items()}
    table(
        f"{name} in Chromium at {PAGE['width']} x {PAGE['height']}: drawn by the page, by the server",
        [
            ["pictures a second while dragging", shown["client"], shown["server"]],
            ["seconds from address to first picture", first["client"], first["server"]],
        ],
    )
