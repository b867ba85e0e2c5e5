"""Waits for a model: from the command to the picture, for the first sample that was not captured, and of `inspect`."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from nnviz3d.data.bundled import bundled, digits
from tests.apps.conftest import Served
from tests.benchmarks.results import record_result
from tests.benchmarks.timing import interleaved, table
from tests.support.browser import looking, text
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.tensorflow

DIGITS = str(bundled("digits.keras"))
PLAIN = """
import sys
import keras, numpy as np
from PIL import Image
model = keras.models.load_model(sys.argv[1])
model(np.asarray(Image.open(sys.argv[2]), np.float32)[None, :, :, None] / 255)
"""
"""What any program has to do: import Keras, load the model, and call it on the picture."""


def run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_command_to_picture(tmp_path: Path, smallest: bool) -> None:
    picture, out = tmp_path / "seven.png", tmp_path / "out.png"
    Image.fromarray(digits()[0][0]).save(picture)
    seconds = interleaved(
        {
            "import, load, call": lambda _: run("-c", PLAIN, DIGITS, str(picture)),
            "snapshot": lambda _: run("-m", "nnviz3d", "snapshot", DIGITS, "--input", str(picture), "-o", str(out)),
        },
        1 if smallest else 7,
        warm=0 if smallest else 1,
    )
    assert Image.open(out).size == (1920, 1080)
    table("Seconds, each a process of its own", list(seconds.items()))
    record_result(
        "command",
        seconds["snapshot"] - seconds["import, load, call"],
        f"`nnviz3d snapshot model.keras --input x.png`, 1920 x 1080, {seconds['snapshot']:.1f} s; a Python program that "
        f"imports Keras, loads the model and calls it on the picture, {seconds['import, load, call']:.1f} s; medians of "
        "7 interleaved runs; the capture process leaves out four packages that Keras imports where they are installed",
    )


def test_first_sample_that_was_not_captured(chromium: Browser, smallest: bool) -> None:
    waits: dict[str, list[float]] = {"": [], "--no-live": []}
    for _ in range(1 if smallest else 5):
        for option, found in list(waits.items())[: 1 if smallest else 2]:
            with Served("digits", *filter(None, [option])) as server, looking(chromium, server) as page:
                since = time.perf_counter()
                page.locator("#sample").click()
                page.locator("#sample-filter").fill("digits:320")
                page.locator(".sample-list .sample", has_text="digits:320").first.click()

                def shown(page=page) -> bool:
                    return text(page, "#sample").startswith("digits:320") and page.locator("#busy").count() == 0

                wait_until(shown, "the sample is shown", patience=120.0, pause=0.02)
                found.append(time.perf_counter() - since)
    medians = {option: float(np.median(found)) for option, found in waits.items() if found}
    table("Seconds from the page to the first sample that was not captured", list(medians.items()))
    record_result(
        "first_sample",
        medians[""],
        "`nnviz3d serve digits` in Chromium: from the first whole picture of the page, a sample is chosen by the mouse at "
        f"once, until it is shown; with --no-live {medians.get('--no-live', np.nan):.1f} s; medians of 5",
    )


def test_inspect_of_many_samples(tmp_path: Path, smallest: bool) -> None:
    many = 3 if smallest else 1000
    images = digits()[0]
    for name, count in (("one", 1), ("many", many)):
        np.save(tmp_path / f"{name}.npy", np.resize(images, (count, 28, 28, 1)).astype(np.float32) / 255)
    names = ("many",) if smallest else ("one", "many")
    seconds = interleaved(
        {
            n: lambda _, n=n: run("-m", "nnviz3d", "inspect", DIGITS, "--input", str(tmp_path / f"{n}.npy"))
            for n in names
        },
        1 if smallest else 5,
        warm=0 if smallest else 1,
    )
    table("Seconds of inspect", list(seconds.items()))
    record_result(
        "inspect",
        seconds["many"] / seconds.get("one", np.inf),
        f"`nnviz3d inspect model.keras --input x.npy`, {seconds['many']:.1f} s with {many:,} samples in the file; medians "
        "of 5 interleaved runs",
    )
