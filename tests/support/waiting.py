"""Waiting for a condition that another process fulfils."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def wait_until(condition: Callable[[], Any], what: str, *, patience: float, pause: float) -> Any:
    """Return the result of a condition as soon as it is true; fail after a time limit."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(pause)
    raise AssertionError(f"Waited {patience:.0f} s in vain: {what}")
