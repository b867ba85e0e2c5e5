"""Processes that go with the one that started them."""

from __future__ import annotations

import os
import signal
import threading
import time

PARENT = "NNVIZ3D_PARENT"
"""Environment variable by which a process that is started is told with which one it goes."""
_LOOK = 0.5
"""Seconds between two looks."""
_GRACE = 10.0
"""Seconds to clean up in once the parent is gone."""


def end_with_parent(parent: int | None = None) -> None:
    """End this process once its parent is gone, as if it had been asked to; where it does not listen, by force.

    Parameters
    ----------
    parent
        The parent's id; by default the one that the environment variable `PARENT` names, if this is its child.
    """
    named = os.environ.get(PARENT, "")
    if parent is None and named.isdigit() and os.getppid() == int(named):
        parent = int(named)
    if parent is not None:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os._exit(130)
