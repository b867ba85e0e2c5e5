"""Progress bar of a film on standard error, with the remaining time."""

from __future__ import annotations

from rich.console import Console

from nnviz3d.apps.progress import counting_line


class FilmBar:
    """A context that shows one line on a terminal; call it with the number of frames drawn and the number of all frames."""

    def __init__(self, name: str, console: Console | None = None) -> None:
        self._name = name
        self._progress = counting_line(console or Console(stderr=True))
        self._task = self._progress.add_task("Drawing frames", total=None)

    def __enter__(self) -> FilmBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, done: int, total: int) -> None:
        """Update the number of frames drawn."""
        words = f"Writing {self._name}" if done == total else "Drawing frames"
        self._progress.update(self._task, description=words, completed=done, total=total)
