"""Runs trials in a host process and judges the results."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from PIL import Image

from nnviz3d.data.files.unfinished import is_unfinished

REPOSITORY = Path(__file__).resolve().parents[2]
HANGS = 120.0
"""Seconds after which a command counts as hanging; a correct one ends in a few seconds, even on a busy machine."""
MEMORY = 1 << 30
"""Maximum memory of a command in bytes."""
SENTENCE = 700
"""Number of characters from which a refusal is too long."""
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Trial:
    """One command, and the files that it runs on.

    Parameters
    ----------
    name
        Seed, kind and number: the same name gives the same trial.
    arguments
        The command line.
    folder
        The working folder, which holds the damaged files.
    output
        The file in that folder that the command may write.
    """

    name: str
    arguments: tuple[str, ...]
    folder: Path
    output: str | None = None
    given: frozenset[str] = field(default=frozenset())


class Host:
    """The process that runs commands; it is started again after it hung or died."""

    def __init__(self, scratch: Path) -> None:
        self._temporary = scratch / "temporary"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._end()

    def judge(self, trial: Trial) -> str | None:
        """Run a trial; returns the fault in its outcome, `None` if there is none."""
        answer = self._run(trial)
        if isinstance(answer, str):
            fault: str | None = answer
            self._end()
        else:
            left = self._left_over()
            fault = _fault(trial, answer) or (
                f"left in the folder for temporary files: {sorted(left)}" if left else None
            )
            for path in left.values():
                shutil.rmtree(path, ignore_errors=True)
        return fault

    def _run(self, trial: Trial) -> dict[str, Any] | str:
        process = self._ready()
        assert process.stdin is not None
        assert process.stdout is not None
        line = json.dumps({"arguments": trial.arguments, "folder": str(trial.folder)}) + "\n"
        try:
            process.stdin.write(line.encode())
            process.stdin.flush()
        except BrokenPipeError:
            return f"the host died (exit code {process.wait()})"
        if not select.select([process.stdout], [], [], HANGS)[0]:
            return f"no end after {HANGS:.0f} s"
        text = process.stdout.readline()
        return json.loads(text) if text else f"the command took its process along (exit code {process.wait()})"

    def _ready(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._temporary.mkdir(parents=True, exist_ok=True)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.host"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=REPOSITORY,
                env={**os.environ, "TMPDIR": str(self._temporary), "COLUMNS": "100000"},
                start_new_session=True,
            )
        return self._process

    def _end(self) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
        shutil.rmtree(self._temporary, ignore_errors=True)

    def _left_over(self) -> dict[str, Path]:
        """Return the files that the command left in the folder for temporary files, by name."""
        left: dict[str, Path] = {}
        for path in self._temporary.iterdir():
            # The capture process lives on with a folder of its own, which is empty between two commands.
            lives_on = (
                is_unfinished(path.name) and self._process is not None and f"-{self._process.pid}-" not in path.name
            )
            left |= {one.name: one for one in path.iterdir()} if lives_on else {path.name: path}
        return left


def _fault(trial: Trial, answer: dict[str, Any]) -> str | None:
    code, err = answer["code"], answer["err"]
    there = set(os.listdir(trial.folder)) - trial.given
    if "Traceback" in err or code not in (0, 2):
        return f"exit code {code}: {_end_of(err)}"
    if answer["peak"] > MEMORY or answer["grown"] > MEMORY:
        return f"{answer['peak'] >> 20} MB here, {answer['grown'] >> 20} MB more in the capture process"
    if found := _CONTROL.search(err + answer["out"]):
        return f"a control character reaches the terminal: {found[0]!r} in {_end_of(err)}"
    if code == 2:
        return _refusal_fault(answer["out"], err) or (f"left: {sorted(there)}" if there else None)
    allowed = {trial.output}
    if trial.output is not None and trial.output.endswith(".vtm"):
        allowed.add(trial.output.removesuffix(".vtm"))  # the folder of its data sets
    if extra := there - allowed:
        return f"left: {sorted(extra)}"
    return _output_fault(trial, answer["out"])


def _refusal_fault(out: str, err: str) -> str | None:
    lines = err.splitlines()
    said = [line for line in lines if line.startswith("nnviz3d: ")]
    if out:
        return f"printed {out[:80]!r} and then refused"
    if len(said) != 1 or said[0] != lines[-1]:
        return f"not one sentence: {_end_of(err)}"
    if len(said[0]) >= SENTENCE:
        return f"a sentence of {len(said[0])} characters: {said[0][:200]}..."
    if not said[0].endswith((".", "?", ")", "…")):
        return f"no whole sentence: {said[0]}"
    return None


def _output_fault(trial: Trial, out: str) -> str | None:
    if "--json" in trial.arguments:
        json.loads(out)
    if trial.output is None:
        return None
    path = trial.folder / trial.output
    if not path.exists():
        return f"{trial.output} is not there"
    if path.suffix == ".png":
        with Image.open(path) as picture:
            picture.load()
    return None


def _end_of(text: str) -> str:
    text = text.partition("\nIt printed last:\n")[0]  # TensorFlow's own messages
    return " | ".join(text.strip().splitlines()[-12:])[-1500:]


def report(faults: Sequence[tuple[str, str]]) -> str:
    """List faults, each with the name by which it can be run again."""
    return "\n".join(f"{name}: {fault}" for name, fault in faults)
