"""Seconds from a key that mutes a picked channel to the whole picture of what that changes, in Chromium."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.apps.conftest import Served
from tests.benchmarks.results import record_result
from tests.benchmarks.test_browser import DRAWN_HERE, SERVED, opened, without_webgl
from tests.benchmarks.test_next_sample import WATCH, pressed
from tests.benchmarks.timing import table
from tests.conftest import webgl  # noqa: F401 - the browser that draws by WebGL2

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHANGED = WATCH.replace('"sample"', '"whatif_scores"')
"""Measures from each key to the first picture after the page has been told the scores of a changed run."""
EXAMPLE = Path(__file__).parents[2] / "examples" / "imagenet_efficientnet.py"
PLACES = [(x / 40, y / 20) for y in (9, 7, 11, 5) for x in range(8, 33)]
"""Points of the picture, as shares of its width and height, that are clicked until one is a cell with a channel."""


def pick_a_channel(page: Page) -> None:
    """Click until a channel of a layer is picked."""
    box = page.locator("#view").bounding_box()
    for x, y in PLACES:
        page.locator("#view").click(position={"x": x * box["width"], "y": y * box["height"]})
        time.sleep(0.5)
        if page.locator(".whatif-place", has_text="Channel").count():
            return
    raise AssertionError("no click met a cell of a layer with channels")


def measured(browser: Browser, served: Served, ready: str, rounds: int, rest: float) -> tuple[float, float]:
    """Return the seconds of the first mute, some time after the pick, and the median of the later ones."""
    with opened(browser, served.url, ready) as page:
        time.sleep(5 * rest)
        pick_a_channel(page)
        page.evaluate(CHANGED)
        time.sleep(2 * rest)
        found = []
        for _ in range(rounds + 1):
            found.append(pressed(page, "d"))
            time.sleep(rest)
            page.keyboard.press("d")
            page.wait_for_function("() => window.trame.state.get('whatif_scores').length === 0")
            time.sleep(rest)
        return found[0], statistics.median(found[1:])


def rows_of(webgl: Browser, arguments: tuple[str, ...], rounds: int, rest: float) -> list[tuple[str, float, float]]:  # noqa: F811
    rows = []
    with ExitStack() as stack:
        plain = stack.enter_context(without_webgl(webgl))
        for way, browser, ready in (("server", plain, SERVED), ("client", webgl, DRAWN_HERE)):
            with Served("--draw", way, *arguments) as served:
                rows.append((way, *measured(browser, served, ready, rounds, rest)))
    return rows


def recorded(row: str, title: str, rows: list[tuple[str, float, float]], rounds: int) -> None:
    table(title, [["drawn by the", "first", "later"], *rows])
    slowest = max(rows, key=lambda one: one[2])
    firsts = ", ".join(f"{way} {first:.2g} s" for way, first, _ in rows)
    record_result(
        row,
        slowest[2],
        f"median of {rounds} after the first, drawn by the {slowest[0]}, the slower of the two; the first one, after the "
        f"pick has stood for some seconds: {firsts}; software rendering",
    )


def test_mute_of_a_channel_of_the_digits(webgl: Browser, smallest: bool) -> None:  # noqa: F811
    pytest.importorskip("tensorflow", reason="The changed run is computed by TensorFlow.")
    rounds, rest = (1, 0.2) if smallest else (9, 2.0)
    recorded(
        "mute", "Digits, from the key to the picture, in seconds", rows_of(webgl, ("digits",), rounds, rest), rounds
    )


def test_mute_of_a_channel_of_a_large_network(webgl: Browser, tmp_path: Path, smallest: bool) -> None:  # noqa: F811
    pytest.importorskip("tensorflow", reason="The changed run is computed by TensorFlow.")
    if smallest:
        pytest.skip("its code is that of the digits")
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), "-o", str(tmp_path)], check=False, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(
            f"EfficientNet-Lite0 cannot be made: {done.stderr.splitlines()[-1] if done.stderr else done.returncode}"
        )
    network = (str(tmp_path / "efficientnet_lite0.keras"), "--input", "sklearn:china.jpg")
    rows = rows_of(webgl, network, 5, 3.0)
    recorded("mute_large", "EfficientNet-Lite0, from the key to the picture, in seconds", rows, 5)
