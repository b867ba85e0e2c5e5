"""Protocol of the receivers of a film's frames, and a file that gets its name when it is complete."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.delayed_signals import DelayedSignals
from nnviz3d.data.files.unfinished import partial_path


class FrameSink(Protocol):
    """Receives the frames of one film in order, and writes the film.

    Only one thread at a time may use it. Its methods raise `OSError` or `UserError` if the system refuses to write.
    """

    def needs(self, number: int) -> bool:
        """Return whether a frame, counted from 0, has to be drawn."""
        ...

    def write(self, number: int, pixels: NDArray[np.uint8]) -> None:
        """Receive a frame ``(H, W, 3)``, the top row first."""
        ...

    def finish(self) -> None:
        """Give the film its name; it replaces an earlier film of that name."""
        ...

    def discard(self) -> None:
        """Remove incomplete files; an earlier film of the same name stays as it was."""
        ...


class PartialFile(io.FileIO):
    """A hidden file, open for writing, in the folder of the final file.

    It is not buffered, so that a full disk raises an error in `write` and not later.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self.path = partial_path(out)
        # Opened like any file, so that the user's umask applies; `x` never overwrites another process's file.
        super().__init__(self.path, "x")

    def write(self, data: Any, /) -> int:
        """Write all bytes."""
        rest = memoryview(data)
        while rest:
            rest = rest[super().write(rest) :]
        return len(data)

    def keep(self) -> None:
        """Close the file and give it its final name."""
        self.close()
        self.path.replace(self._out)

    def discard(self) -> None:
        """Close the file and remove it, unless it has its final name."""
        self.close()
        self.path.unlink(missing_ok=True)


@contextmanager
def whole_file(out: Path) -> Iterator[PartialFile]:
    """Open a file that gets its name at the end of the context, and is removed after any error or signal."""
    partial = None
    try:
        with DelayedSignals():
            partial = PartialFile(out)
        yield partial
        partial.keep()
    finally:
        if partial is not None:
            partial.discard()
