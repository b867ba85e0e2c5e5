"""Browser tests of samples that the model runs on while the page is open."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from nnviz3d.data.bundled import bundled, digits
from tests.apps.conftest import Served
from tests.support.browser import SHOWS_WHOLE_PICTURE, changed, looking, still, text, wait_until
from tests.support.processes import runs

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.chromium, pytest.mark.tensorflow]


@pytest.fixture(scope="module")
def live():
    """Serve the bundled scene: ten captured digits, and hundreds that the model has not run on."""
    server = Served("digits", "--no-live")
    yield server
    workers = workers_of(server)
    code, _, errors = server.end()
    assert code == 0
    assert "Traceback" not in errors, errors
    assert not any(map(runs, workers)), "they end with the server"


@pytest.fixture
def page(chromium: Browser, live: Served):
    with looking(chromium, live) as page:
        yield page


def workers_of(server: Served) -> list[int]:
    """Return the capture processes that a server has started."""
    found = subprocess.run(
        ["pgrep", "-P", str(server.process.pid), "-f", "capture.process"], capture_output=True, text=True, check=False
    )
    return [int(line) for line in found.stdout.split()]


def choose(page: Page, name: str) -> None:
    page.locator("#sample").click()
    page.locator("#sample-filter").fill(name)
    page.locator(".sample-list .sample", has_text=name).first.click()


def arrived(page: Page, name: str) -> None:
    wait_until(lambda: text(page, "#sample").startswith(name), f"{name} is shown")
    wait_until(lambda: page.locator("#busy").count() == 0, "nothing is waited for")


def test_choosing_a_sample_that_was_not_captured_runs_the_model(page, live):
    first = still(page)
    assert workers_of(live) == [], "no process is started before it is needed"
    _, labels = digits()
    choose(page, "digits:320")
    wait_until(lambda: page.locator("#busy").count() == 1, "the running request is shown")
    arrived(page, "digits:320")
    picture = changed(page, first)
    assert np.mean(np.abs(picture.astype(int) - first)) > 1, "it is another network picture"
    assert f"predicted {labels[320]} · label {labels[320]}" in text(page, "#sample")
    (worker,) = workers_of(live)
    choose(page, "digits:456")
    arrived(page, "digits:456")
    assert workers_of(live) == [worker], "the process is used again"
    page.locator("#view").click(position={"x": 20, "y": 560})
    page.keyboard.press("ArrowRight")
    arrived(page, "digits:457")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    arrived(page, "digits:455")


def test_uploaded_picture_runs_through_the_model(page, tmp_path):
    first = still(page)
    drawn = np.zeros((200, 200, 3), np.uint8)
    drawn[30:170, 85:115] = 255
    Image.fromarray(drawn).save(tmp_path / "my <one> & only.png")
    page.set_input_files("#file", tmp_path / "my <one> & only.png")
    arrived(page, "my _one_ _ only.png")
    changed(page, first)
    assert "predicted 1" in text(page, "#sample")
    thumbnail = page.locator("#sample img")
    wait_until(lambda: thumbnail.evaluate("image => image.complete && image.naturalWidth > 0"), "it has a thumbnail")
    assert re.fullmatch(
        r"samples/\d+/thumbnail\?run=[0-9a-f]{8}&of=\d+&secret=[\w-]{20,}", str(thumbnail.get_attribute("src"))
    )


def test_all_dropped_files_are_listed_and_the_first_sample_is_shown(page):
    before = page.evaluate("window.trame.state.get('samples').length")
    drop = """async () => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 40, height: 40 });
      const blob = await new Promise((done) => canvas.toBlob(done));
      const files = new DataTransfer();
      files.items.add(new File(["no picture"], "notes.md"));
      for (const name of ["one.png", "two.png"]) files.items.add(new File([blob], name, { type: "image/png" }));
      document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
    }"""
    page.evaluate(drop)
    arrived(page, "one.png")
    wait_until(lambda: "notes.md is no picture" in page.locator("#message").inner_text(), "the page says so")

    def listed() -> bool:
        names = page.evaluate("window.trame.state.get('samples').map(({ name }) => name)")
        return names[before:] == ["one.png", "two.png"]

    wait_until(listed, "both pictures are listed")  # the answers of the server and its state come by two ways


def test_upload_that_is_no_picture_is_refused_with_a_sentence(page, tmp_path):
    shown = text(page, "#sample")
    (tmp_path / "notes.md").write_text("no picture")
    page.set_input_files("#file", tmp_path / "notes.md")
    wait_until(lambda: "notes.md is no picture" in page.locator("#message").inner_text(), "the page says so")
    (tmp_path / "broken.png").write_text("no picture either")
    page.set_input_files("#file", tmp_path / "broken.png")
    wait_until(lambda: "broken.png" in page.locator("#message").inner_text(), "the page says so")
    assert text(page, "#sample") == shown
    assert page.locator("#busy").count() == 0


def test_sample_that_is_no_picture_has_the_sign_of_a_sheet(page, tmp_path):
    (tmp_path / "words.txt").write_text("a good film")
    page.set_input_files("#file", tmp_path / "words.txt")
    name = "a good film"
    wait_until(
        lambda: page.evaluate("(name) => window.trame.state.get('samples').some((one) => one.name === name)", name),
        "it is listed",
    )
    page.locator("#sample").click()
    page.locator("#sample-filter").fill("film")
    item = page.locator(".sample-list .sample", has_text=name)
    wait_until(lambda: item.count() == 1, "it can be chosen")
    picture = item.locator("img")
    wait_until(lambda: "none" in picture.get_attribute("class").split(), "it has no picture")
    assert "svg" in picture.evaluate("(image) => getComputedStyle(image).content")
    page.locator("#sample-filter").fill("")
    page.keyboard.press("Escape")
    wait_until(lambda: item.count() == 0, "the list is closed")


def test_dead_worker_is_reported_and_replaced(page, live):
    choose(page, "digits:601")
    arrived(page, "digits:601")
    (worker,) = workers_of(live)
    os.kill(worker, signal.SIGSTOP)
    choose(page, "digits:602")
    wait_until(lambda: page.locator("#busy").count() == 1, "the running request is shown")
    os.kill(worker, signal.SIGKILL)
    wait_until(
        lambda: "The capture process died (signal 9)." in page.locator("#message").inner_text(), "the error is shown"
    )
    assert text(page, "#sample").startswith("digits:601")
    choose(page, "digits:602")
    arrived(page, "digits:602")
    (fresh,) = workers_of(live)
    assert fresh != worker


def test_files_require_the_secret(page, live):
    import urllib.error
    import urllib.request

    for address, data in (("samples/0/thumbnail", None), ("samples/new?name=x.png", b"x")):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(f"{live.base}/{address}", data=data))
        assert refused.value.code == 403
    count = page.evaluate("window.trame.state.get('samples').length")
    picture = io.BytesIO()
    Image.new("L", (8, 8)).save(picture, "PNG")
    answer = page.evaluate(
        "bytes => fetch('samples/new?name=' + encodeURIComponent('../../evil.png'),"
        " {method: 'POST', body: new Uint8Array(bytes)}).then(a => a.json())",
        list(picture.getvalue()),
    )
    assert answer == {"position": count}, "the path is cut off, and the file stays in a folder of its own"
    assert not list(Path(bundled("digits.keras")).parent.glob("evil*"))


def test_two_browsers_share_one_view_also_after_a_reload(page, chromium, live):
    other = chromium.new_context(viewport={"width": 1280, "height": 720}).new_page()
    other.goto(live.url)
    wait_until(
        lambda: other.locator("#shared").is_visible() and page.locator("#shared").is_visible(),
        "both pages show that the view is shared",
    )
    choose(page, "digits:700")
    arrived(page, "digits:700")
    arrived(other, "digits:700")
    other.reload()
    wait_until(lambda: other.evaluate(SHOWS_WHOLE_PICTURE), "the picture is there again")
    arrived(other, "digits:700")
    other.context.close()
    wait_until(lambda: not page.locator("#shared").is_visible(), "the other page has gone")


def test_fast_key_presses_show_the_last_requested_sample(page):
    page.locator("#view").click(position={"x": 20, "y": 560})
    start = int(text(page, "#sample").split(":")[1].split("\\n")[0].split()[0])
    for _ in range(10):
        page.keyboard.press("ArrowRight")
        time.sleep(0.05)
    arrived(page, f"digits:{start + 10}")


def test_model_is_loaded_without_a_request_and_ends_with_the_server():
    with Served("digits") as server:
        wait_until(lambda: workers_of(server) != [], "the process of the model has started")
        (worker,) = workers_of(server)
        code, _, errors = server.end()
        assert code == 0
        assert "Traceback" not in errors, errors
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)
