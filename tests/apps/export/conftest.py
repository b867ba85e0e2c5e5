"""Fixtures for tests of exports: bundled scenes, opened and exported once, and a process without TensorFlow."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from nnviz3d.apps.export import ExportJob, ExportSettings, export
from nnviz3d.apps.open_target import Opened, opened
from nnviz3d.apps.target import ModelOptions
from nnviz3d.scene.selection import Selection


@pytest.fixture(scope="session")
def bundled_target() -> Iterator[Callable[[str], Opened]]:
    """Open bundled scenes with a ready capture."""
    with ExitStack() as stack:

        @cache
        def open_bundled(name: str) -> Opened:
            return stack.enter_context(opened(name, None, ModelOptions(), lambda _request: pytest.fail("captured")))

        yield open_bundled


@pytest.fixture(scope="session")
def bundled_page(
    bundled_target: Callable[[str], Opened], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Export bundled scenes as HTML, with the first three samples of digits."""

    @cache
    def page(name: str) -> Path:
        found, out = bundled_target(name), tmp_path_factory.mktemp("pages") / f"{name}.html"
        settings = ExportSettings(samples="0:3") if name == "digits" else ExportSettings()
        export(ExportJob(found, Selection(found.sample), out, settings))
        return out

    return page


@pytest.fixture(scope="module")
def no_tensorflow() -> Iterator[None]:
    """Hide TensorFlow, which tests of the capture load in this process with local symbols; otherwise VTK is refused."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(sys.modules, "tensorflow", raising=False)
        yield
