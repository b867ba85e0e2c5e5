"""Fixtures: a server in a separate process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Self
from urllib.parse import parse_qs, urlsplit

import pytest

from nnviz3d.apps.web.origins import PublicAddress
from nnviz3d.apps.web.server_environment import ServerEnvironment


class Served:
    """A running `nnviz3d serve`.

    Attributes
    ----------
    url
        The address as it was printed.
    """

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nnviz3d", "serve", "--no-open", *_drawn_by_server(arguments), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._errors = _Reader(self.process.stderr)
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http://"), self.end()
        self._output = _Reader(self.process.stdout)

    @property
    def token(self) -> str:
        return parse_qs(urlsplit(self.url).query)["secret"][0]

    @property
    def port(self) -> int:
        return int(urlsplit(self.url).port or 80)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def notices(self) -> tuple[str, str]:
        """The two standard errors of a server on the loopback: with the usual port free, and with it taken."""
        told = ServerEnvironment(os.environ, self.port).instructions("127.0.0.1", PublicAddress(), self.token)
        lines = "".join(f"{sentence}\n" for sentence in told)
        return lines, f"Port 8080 is taken; using {self.port}.\n{lines}"

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Send a signal; returns the exit code, the output after the address, and the standard error."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(60)
        rest = self._output.text() if hasattr(self, "_output") else ""
        return code, rest, self._errors.text()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()  # after a test that failed; else it has ended


def _drawn_by_server(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the option by which the server draws, unless a test says what draws: most look at the server's picture."""
    return () if "--draw" in arguments else ("--draw", "server")


class _Reader:
    """Reads a pipe in a thread, so that the pipe never fills."""

    def __init__(self, pipe: IO[str]) -> None:
        self._lines: list[str] = []
        self._thread = threading.Thread(target=lambda: self._lines.extend(pipe), daemon=True)
        self._thread.start()

    def text(self) -> str:
        self._thread.join(10)
        return "".join(self._lines)


@pytest.fixture(scope="module")
def served(digits_folder: Path) -> Iterator[Served]:
    """Serve the digits network for all tests of a module."""
    server = Served(str(digits_folder))
    yield server
    code, _, errors = server.end()
    assert code == 0
    assert "Traceback" not in errors, errors


@pytest.fixture(scope="session")
def digits_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled capture of the digits network, unpacked."""
    from nnviz3d.data.bundled import bundled

    folder = tmp_path_factory.mktemp("digits") / "digits.zarr"
    shutil.unpack_archive(bundled("digits.zarr.zip"), folder)
    attributes = json.loads((folder / "zarr.json").read_text())["attributes"]
    assert attributes["committed"] >= 2, "the tests choose another sample"
    return folder
