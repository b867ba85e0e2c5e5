"""Memory of a capture by its samples, of a server by its visits, and of a film by its frames."""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nnviz3d.data.bundled import bundled
from tests.apps.conftest import Served
from tests.benchmarks.hand import PAGE
from tests.benchmarks.memory import megabytes, peak_of, watched
from tests.benchmarks.results import record_result
from tests.benchmarks.timing import table
from tests.support.browser import SHOWS_WHOLE_PICTURE

if TYPE_CHECKING:
    from playwright.sync_api import Browser

if not Path("/proc/self/smaps_rollup").exists():
    pytest.skip("The memory of a group of processes is measured on Linux only.", allow_module_level=True)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "nnviz3d", *map(str, arguments)]


def test_a_capture_of_many_samples(tmp_path: Path, smallest: bool) -> None:
    few, many = (1, 1) if smallest else (10, 1000)
    peaks = {
        count: peak_of(
            command("capture", bundled("digits.keras"), "-i", f"digits:0-{count - 1}", "-o", tmp_path / f"{count}.zarr")
        )
        for count in dict.fromkeys((few, many))
    }
    table("Peak memory of a capture of the digits, MB", [[f"{count} samples", peak] for count, peak in peaks.items()])
    if not smallest:
        record_result(
            "memory_capture", peaks[many] / peaks[few], "digits network, peak of all processes of the command"
        )


def test_a_server_under_visits(chromium: Browser, smallest: bool) -> None:
    marks, rest = ((1, 2), 0.0) if smallest else ((5, 50), 0.5)
    found = {}
    with Served("digits") as served:
        for visit in range(marks[-1] + 1):
            page = chromium.new_context(viewport=PAGE).new_page()  # type: ignore[arg-type]
            page.goto(served.url)
            page.wait_for_function(SHOWS_WHOLE_PICTURE, timeout=120_000)
            page.mouse.move(800, 360)
            page.mouse.down()
            page.mouse.move(900, 400, steps=20)
            page.mouse.up()
            page.keyboard.press("ArrowRight")
            if not visit:  # what the model takes when it is loaded is no growth
                page.locator("#sample").click()
                page.locator("#sample-filter").fill("digits:456")
                page.locator(".sample-list .sample").first.click()
                page.locator("#sample", has_text="digits:456").wait_for(timeout=120_000)
            time.sleep(rest)
            page.context.close()
            if visit in marks:
                time.sleep(2 * rest)
                found[visit] = megabytes(served.process.pid)
        served.end()
    table("Memory of a server, MB", [[f"after {visit} visits", size] for visit, size in found.items()])
    if not smallest:
        ratio = found[marks[1]] / found[marks[0]]
        record_result("memory_page", ratio, "digits, each visit a drag and another sample, all processes of the server")


def test_a_long_film(tmp_path: Path, smallest: bool) -> None:
    frames = 20 if smallest else 10_000
    out = tmp_path / "frames"
    film = command("record", "digits", "-o", out, "--size", "128x72", "--fps", 100, "--seconds", frames / 100)
    found = watched(film, lambda: sum(1 for _ in out.rglob("*.png")), pause=0.5)
    assert len(list(out.rglob("*.png"))) >= frames
    if smallest:
        return
    early = statistics.median(size for done, size in found if 0.1 * frames < done < 0.2 * frames)
    late = statistics.median(size for done, size in found if done > 0.9 * frames)
    table("Memory of a film, MB", [["after a tenth of its frames", early], ["at its end", late]])
    record_result("memory_film", late / early, f"{frames:,} frames of 128 x 72 as .png, all processes of the command")
