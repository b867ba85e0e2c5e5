"""Tell whether a process still runs. Its number alone does not: a later process may have the same."""

from __future__ import annotations

import os
from pathlib import Path


def runs(pid: int) -> bool:
    """Whether there is a process of this number, or may be one."""
    if os.name == "nt":
        return True  # nothing can be asked there without a risk for the process
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def started(pid: int) -> str:
    """Return when a process was started, in words of its system; nothing if the system does not tell, or it is dead."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else f"{boot} {fields[19]}"  # a dead one that nobody has asked for has still a number
