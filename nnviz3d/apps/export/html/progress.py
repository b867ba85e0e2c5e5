"""Progress bar of an export on standard error."""

from __future__ import annotations

import threading

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from nnviz3d.apps.progress import one_line

_QUIET = 1.0
"""Seconds that work may last without a progress bar."""


class ExportBar:
    """A context that shows one line on a terminal after a second; call it with the parts packed and all parts."""

    def __init__(self, name: str, console: Console | None = None) -> None:
        self._progress = one_line(
            console or Console(stderr=True),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        self._task = self._progress.add_task(f"Packing {name}", total=None)
        self._timer = threading.Timer(_QUIET, self._progress.start)
        self._timer.daemon = True

    def __enter__(self) -> ExportBar:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()
        self._progress.stop()

    def __call__(self, done: int, total: int) -> None:
        """Update the number of parts packed."""
        self._progress.update(self._task, completed=done, total=total)
