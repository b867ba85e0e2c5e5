"""Waiting for what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def wait_until(condition: Callable[[], Any], what: str, *, patience: float, pause: float) -> Any:
    """Return what a condition gives once it is true; fail after so many seconds, with a look every so many."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(pause)
    raise AssertionError(f"Waited {patience:.0f} s in vain: {what}")
