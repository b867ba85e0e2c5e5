"""Seconds from a click on a perspective that the capture holds to its whole picture, in Chromium."""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from nnviz3d.data.bundled import bundled
from tests.apps.conftest import Served
from tests.benchmarks.results import record_result
from tests.benchmarks.test_browser import DRAWN_HERE, SERVED, opened, without_webgl
from tests.benchmarks.timing import table
from tests.conftest import webgl  # noqa: F401 - the browser that draws by WebGL2

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("neurons", "filters", "network", "activations")
WATCH = """() => {
  const shown = () => window.nnviz3dPicture?.()?.number ?? window.nnviz3d.drawList();
  window.switchTo = (name) => {
    const acted = performance.now();
    const before = shown();
    let arrived = null;
    window.taken = null;
    document.querySelector(`[data-perspective=${name}]`).click();
    const look = () => {
      const chosen = document.querySelector(".perspective.chosen").dataset.perspective === name;
      // The server's picture is displayed as it is counted; the page draws some time after the numbers have arrived.
      if (arrived === null && chosen && shown() !== before) arrived = window.nnviz3d.pictures() ?? -1;
      if (arrived !== null && (window.nnviz3d.pictures() ?? 0) > arrived) window.taken = performance.now() - acted;
      else setTimeout(look, 5);
    };
    look();
  };
}"""


def switched(page: Page, name: str) -> float:
    """Switch to a perspective, and return the seconds until its picture is displayed."""
    page.evaluate("(name) => window.switchTo(name)", name)
    page.wait_for_function("() => window.taken !== null", timeout=60_000)
    return float(page.evaluate("window.taken")) / 1000


def measured(browser: Browser, served: Served, ready: str, rounds: int, rest: float) -> tuple[float, float]:
    """Return median seconds of first switches, which make a scene, and of switches back to a scene that was shown."""
    with opened(browser, served.url, ready) as page:
        time.sleep(5 * rest)
        page.evaluate(WATCH)
        first, again = [], []
        for k in range(rounds + 1):
            for name in NAMES:
                (again if k else first).append(switched(page, name))
                time.sleep(rest)
        return statistics.median(first[:-1]), statistics.median(again)


def test_switch_of_perspective(webgl: Browser, smallest: bool) -> None:  # noqa: F811
    rounds, rest = (1, 0.1) if smallest else (4, 1.5)
    rows = []
    with ExitStack() as stack:
        plain = stack.enter_context(without_webgl(webgl))
        for way, browser, ready in (("server", plain, SERVED), ("client", webgl, DRAWN_HERE)):
            with Served("--draw", way, "--no-live", str(bundled("digits.zarr.zip"))) as served:
                rows.append((way, *measured(browser, served, ready, rounds, rest)))
    table("digits, from the click to the picture, in seconds", [["drawn by the", "first time", "shown before"], *rows])
    slowest = max(rows, key=lambda row: row[1])
    record_result(
        "switch",
        slowest[1],
        f"digits, {', '.join(NAMES[:-1])}: median of first switches, drawn by the {slowest[0]}, the slower of the two; to "
        f"a scene that was shown before: {', '.join(f'{way} {again:.2g} s' for way, _, again in rows)}; software rendering",
    )
