"""Progress bar of an export on standard error."""

from __future__ import annotations

from rich.console import Console

from nnviz3d.apps.progress import LateLine, counting_line


class ExportBar(LateLine):
    """A context that shows one line on a terminal after a second; call it with the parts packed and all parts."""

    def __init__(self, name: str, console: Console | None = None) -> None:
        super().__init__(counting_line(console or Console(stderr=True)))
        self._task = self.progress.add_task(f"Packing {name}", total=None)

    def __call__(self, done: int, total: int) -> None:
        """Update the number of parts packed."""
        self.progress.update(self._task, completed=done, total=total)
