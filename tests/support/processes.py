"""The processes of this machine, read from ``/proc``."""

from __future__ import annotations

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
