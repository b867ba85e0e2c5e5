"""The processes of this machine and their memory, read from ``/proc``; the signals of a child."""

from __future__ import annotations

import re
import signal
from pathlib import Path


def processes_of_session(session: int) -> list[int]:
    """Return the numbers of the running processes of a session, which has the number of its first process."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, own = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(own) == session and state != "Z":
            found.append(int(entry.name))
    return found


def not_ignoring_interrupts() -> None:
    """Let Ctrl-C end a child before it starts: a shell's background jobs, and all that they start, ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def descendants(process: int) -> list[int]:
    """Return the numbers of the processes that a process has started, and of those that they have started."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            children.setdefault(int(parent), []).append(int(entry.name))
    found: list[int] = []
    waiting = [process]
    while waiting:
        started = children.get(waiting.pop(), [])
        found += started
        waiting += started
    return found


def runs(process: int) -> bool:
    """Whether a process exists and has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def memory_of(process: int | str, field: str = "VmRSS") -> int:
    """Return one of the memory figures in ``/proc/PROCESS/status`` in bytes: ``VmRSS`` is present, ``VmHWM`` the peak."""
    text = Path(f"/proc/{process}/status").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB$", text, re.MULTILINE)
    assert found is not None, text
    return int(found[1]) * 1024
