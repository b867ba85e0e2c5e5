"""Frames a second of a drag in Chromium: the exported file, the live page, and TensorSpace.js, in one run."""

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
from tests.benchmarks.hand import drag
from tests.benchmarks.peer import tensorspace
from tests.benchmarks.results import record_result
from tests.benchmarks.test_browser import LENET, MIDDLE, READY, opened
from tests.benchmarks.timing import table
from tests.conftest import webgl  # noqa: F401 - the browser that draws by WebGL2

if TYPE_CHECKING:
    from playwright.sync_api import Browser

DRAWN = "() => window.frames.size > 0"


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
    rounds, seconds = (1, 0.3) if smallest else (3, 4.0)
    rates: dict[str, list[float]] = {name: [] for name in pages}
    for _ in range(rounds):
        for name, (address, ready) in pages.items():
            with opened(browser, address, ready) as page:
                time.sleep(min(3, seconds))
                rates[name].append(drag(browser, page, MIDDLE, seconds).rate)
    found = {name: float(np.median(values)) for name, values in rates.items()}
    rows = [[f"{name}, frames a second", rate] for name, rate in found.items()]
    table(title, [*rows, *([f"ratio of {name} to {peer}", found[name] / max(found[peer], 1e-3)] for name in own)])
    return found


def test_a_drag_of_digits(webgl: Browser, exported: Path, smallest: bool) -> None:  # noqa: F811
    address, seconds = write(str(bundled("digits.zarr.zip")), exported / "digits.html")
    digit = np.random.default_rng(0).random(784).tolist()
    own = ("exported", "live, drawn by the page")
    with tensorspace(digit) as base, Served("digits", "--draw", "client") as served:
        pages = {
            own[0]: (address, DRAWN),
            own[1]: (served.url, DRAWN),
            "TensorSpace, layers closed": (f"{base}lenet.html", READY),
            LENET: (f"{base}lenet_open.html", READY),
        }
        title = "digits, all cells, dragged at 1280 x 720"
        found = compare(webgl, pages, own, LENET, title, smallest=smallest)
    table("export", [["seconds", seconds], ["megabytes", (exported / "digits.html").stat().st_size / 1e6]])
    record_result(
        "drag_peer",
        found[own[1]] / max(found[LENET], 1e-3),
        f"the live page {found[own[1]]:.3g}, the exported file {found[own[0]]:.3g}, TensorSpace {found[LENET]:.3g} frames "
        "a second; browser frames in which WebGL drew, at most those that the compositor displayed",
    )


def test_a_drag_of_vgg16(webgl: Browser, exported: Path, vgg: Path, smallest: bool) -> None:  # noqa: F811
    if smallest:
        pytest.skip("It takes the same code as the digits, and TensorSpace's VGG16 takes half a minute.")
    address, seconds = write(str(vgg), exported / "vgg16.html")
    with tensorspace([0.0] * 784) as base:
        pages = {"exported": (address, DRAWN), "TensorSpace, layers open": (f"{base}vgg16.html", READY)}
        title = "VGG16, 15.3 million cells, dragged at 1280 x 720"
        compare(webgl, pages, ("exported",), "TensorSpace, layers open", title, smallest=smallest)
    table("export", [["seconds", seconds], ["megabytes", (exported / "vgg16.html").stat().st_size / 1e6]])
