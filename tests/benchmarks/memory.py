"""Memory of a program with all processes that it starts."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.processes import descendants


def megabytes(process: int) -> float:
    """Return the memory of a process and of its descendants in MB; pages that they share are divided among them."""
    return sum(_own(one) for one in (process, *descendants(process)))


def peak_of(command: Sequence[str], *, pause: float = 0.1) -> float:
    """Run a command and return the peak of its memory in MB."""
    return max(found for _, found in watched(command, lambda: 0, pause=pause))


def watched(command: Sequence[str], done: Callable[[], int], *, pause: float = 0.1) -> list[tuple[int, float]]:
    """Run a command, and return again and again what `done` says and the memory in MB."""
    found = []
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as program:
        while program.poll() is None:
            found.append((done(), megabytes(program.pid)))
            time.sleep(pause)
    if program.returncode:
        raise subprocess.CalledProcessError(program.returncode, list(command))
    return found


def _own(process: int) -> float:
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:  # it has ended
        return 0.0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1024
