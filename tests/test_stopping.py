"""Signals at random moments: every command ends quietly and leaves no files or processes, except after SIGKILL."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from tests.apps.test_desktop import on_display, x_server
from tests.support.processes import processes_of_session
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads the list of processes from /proc"),
    pytest.mark.slow,
    pytest.mark.usefixtures("ctrl_c_interrupts"),  # the commands inherit it
]

RUNS = int(os.environ.get("NNVIZ3D_SIGNALS", "20"))
"""Number of signals for each command."""
SEED = os.environ.get("NNVIZ3D_SIGNALS_SEED", "")
AT_ONCE = 4
PATIENCE = 120.0
"""Seconds to wait for the end of a command, on a busy machine."""
DIGITS = str(bundled("digits.keras"))


@dataclass(frozen=True)
class Command:
    """A command, the file that it writes, and the range of seconds for the random moment."""

    arguments: tuple[str, ...]
    output: str = ""
    span: float = 3.0


COMMANDS = {
    "serve": Command(("serve", "--no-open"), span=5.0),
    "show": Command(("show", "--size", "320x240"), span=5.0),
    "record": Command(
        ("record", "-o", "film.mp4", "--size", "128x96", "--seconds", "1", "--fps", "8"), "film.mp4", span=6.0
    ),
    "snapshot": Command(("snapshot", "-o", "x.png", "--size", "160x120"), "x.png"),
    "export": Command(("export", "training", "-o", "x.html"), "x.html", span=9.0),
    "capture": Command(("capture", DIGITS, "--input", "digits:0-49", "-o", "run.zarr"), "run.zarr", span=9.0),
    "inspect": Command(("inspect", DIGITS), span=9.0),
}


class Run:
    """A command in its own session, so that all processes that it starts can be found."""

    def __init__(self, command: Command, folder: Path, display: str | None) -> None:
        self._command = command
        self._work, self._temporary = folder / "work", folder / "tmp"
        for made in (self._work, self._temporary):
            made.mkdir(parents=True)
        self._said = (folder / "stderr").open("w+b")
        environment = {**(on_display(display) if display else os.environ), "TMPDIR": str(self._temporary)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nnviz3d", *command.arguments],
            cwd=self._work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
            start_new_session=True,
        )

    def wait_until_it_listens(self) -> None:
        """Wait until the program listens for signals, after Python's own start."""
        bit = 1 << (signal.SIGTERM - 1)

        def listens() -> bool:
            if self._process.poll() is not None:
                return True
            status = Path(f"/proc/{self._process.pid}/status").read_text()
            return bool(int(status.partition("SigCgt:")[2].split()[0], 16) & bit)

        wait_until(listens, "the command listens for signals", patience=PATIENCE, pause=0.002)

    def stop(self, numbers: tuple[int, ...], pause: float) -> None:
        """Send signals one after another."""
        for number in numbers:
            if self._process.poll() is None:
                self._process.send_signal(number)
            time.sleep(pause)

    def problems(self, numbers: tuple[int, ...]) -> Iterator[str]:
        """Yield everything that is wrong after the end."""
        code = self._process.wait(PATIENCE)
        self._said.seek(0)
        said = self._said.read().decode(errors="replace")
        self._said.close()
        killed = signal.SIGKILL in numbers
        if code != 0 and code not in {128 + number for number in numbers} | ({-signal.SIGKILL} if killed else set()):
            yield f"exit code {code}: {said}"
        if "Traceback" in said or "Exception ignored" in said:
            yield said
        left = [path.name for path in self._work.iterdir() if not (killed and _is_unfinished(path))]
        if left not in ([], [self._command.output]):
            yield f"left {left}"
        if left == ["run.zarr"] and not open_capture(self._work / "run.zarr").complete:
            yield "half a capture"
        try:
            wait_until(lambda: not self._survivors(), "its processes end too", patience=PATIENCE, pause=0.02)
        except AssertionError:
            yield f"processes {self._survivors()} go on"
        if not killed and any(self._temporary.iterdir()):
            yield f"temporary files {[path.name for path in self._temporary.rglob('*')]}"

    def _survivors(self) -> list[int]:
        return processes_of_session(self._process.pid)


def _is_unfinished(path: Path) -> bool:
    """Whether a file has the hidden name of an unfinished one, which the next run removes."""
    return path.name.startswith(".") and path.name.endswith(".partial")


DURING_IMPORT = """
import os, signal, sys
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.{number})
sys.meta_path.insert(0, Finder)
from nnviz3d.__main__ import main
main()
"""
IN_A_DESTRUCTOR = """
import os, signal
from nnviz3d.apps import snapshot as pictures
class Last:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
def draw(*arguments, **options):
    Last()
    while True:
        pass
pictures.snapshot = draw
from nnviz3d.__main__ import main
main()
"""


def snapshot(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, "snapshot", "-o", "x.png", "--size", "64x64"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=PATIENCE)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", COMMANDS)
def test_signal_at_a_random_moment_ends_a_command_quietly_and_leaves_nothing(name: str, tmp_path: Path):
    command = COMMANDS[name]
    chance = random.Random(name + SEED)
    with x_server() if name == "show" else nullcontext() as display:

        def tried(number: int, moment: float, twice: float | None) -> list[str]:
            run = Run(command, tmp_path / str(moment), display)
            run.wait_until_it_listens()
            time.sleep(moment)
            numbers = (number,) if twice is None else (number, signal.SIGINT)
            run.stop(numbers, twice or 0.0)
            return [f"{signal.Signals(number).name} after {moment:.2f} s: {one}" for one in run.problems(numbers)]

        with ThreadPoolExecutor(AT_ONCE) as pool:
            tries = [
                pool.submit(
                    tried,
                    (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)[i % 3],
                    chance.uniform(0, command.span),
                    chance.choice((None, chance.uniform(0, 0.5))),
                )
                for i in range(RUNS)
            ]
            problems = [problem for one in tries for problem in one.result()]
    assert problems == []


@pytest.mark.parametrize(
    ("module", "number"),
    [("cyclopts", "SIGINT"), ("pydantic", "SIGTERM"), ("vtkmodules", "SIGTERM"), ("vtkmodules.util", "SIGINT")],
)
def test_signal_during_an_import_ends_the_command_quietly(tmp_path: Path, module: str, number: str):
    done = snapshot(DURING_IMPORT.format(module=module, number=number), tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.Signals[number], "", "")
    assert list(tmp_path.iterdir()) == []


def test_signal_that_is_lost_in_a_destructor_is_sent_again(tmp_path: Path):
    done = snapshot(IN_A_DESTRUCTOR, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGTERM, "", "")
