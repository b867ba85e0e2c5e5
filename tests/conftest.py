"""Fixtures of all tests."""

from __future__ import annotations

import gc
import itertools
import shutil
import signal
from collections.abc import Iterator

import pytest

from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import Capture, open_capture
from tests.support import captures, trainings

CHROMIUM = ("--no-sandbox", "--disable-gpu", "--disable-software-rasterizer", "--disable-background-networking")
"""Without a GPU process, because emulating one takes a third of the processor time of these tests."""
WEBGL = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-background-networking")
"""With WebGL2 in software."""


_NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test begin without bookmarks, and leave those of the user alone."""
    folder = tmp_path_factory.getbasetemp() / f"state-{next(_NUMBERS)}"
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))


@pytest.fixture(autouse=True)
def same_signals() -> Iterator[None]:
    """Undo what a test does to signal handlers: processes of later tests would inherit that SIGTERM is ignored."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        if handler is not None and signal.getsignal(number) != handler:
            signal.signal(number, handler)


@pytest.fixture
def ctrl_c_interrupts() -> Iterator[None]:
    """Let Ctrl-C raise `KeyboardInterrupt`, which the background jobs of a shell and their children ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test that drives a browser or a window as slow."""
    for item in items:
        if {"chromium", "webgl", "display"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """Exclude the modules and tests from garbage collection: with TensorFlow loaded, each full pass takes half a second."""
    gc.collect()
    gc.freeze()


def _browser(flags: tuple[str, ...]) -> Iterator[object]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("Chromium is not installed: apt install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(flags))
        yield browser
        browser.close()


@pytest.fixture(scope="module")  # Playwright keeps a running event loop, and other tests want their own
def chromium() -> Iterator[object]:
    """A browser without WebGL."""
    yield from _browser(CHROMIUM)


@pytest.fixture(scope="module")
def webgl() -> Iterator[object]:
    """A browser with WebGL2 in software."""
    yield from _browser(WEBGL)


@pytest.fixture(scope="session")
def small_capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    """Return a capture of six layers and three samples, written from NumPy arrays."""
    return captures.small_capture(tmp_path_factory.mktemp("captures") / "small.zarr")


@pytest.fixture(scope="session")
def explained_capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    """Return the small capture with two targets, gradients and maps."""
    return captures.explained_capture(tmp_path_factory.mktemp("captures") / "explained.zarr")


@pytest.fixture(scope="session")
def long_capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    """Return a capture of 177 layers with skips."""
    return captures.long_capture(tmp_path_factory.mktemp("captures") / "long.zarr")


@pytest.fixture(scope="session")
def digits() -> Capture:
    """The bundled capture of the digits network."""
    return open_capture(bundled("digits.zarr.zip"))


@pytest.fixture(scope="session")
def recorded_capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    """Return a training of the small network with six recorded steps, written from NumPy arrays."""
    return trainings.small_training(tmp_path_factory.mktemp("captures") / "training.zarr")
