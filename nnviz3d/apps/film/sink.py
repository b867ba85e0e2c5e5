"""What takes the frames of a film, and a file that takes its name only once it is whole."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.files.unfinished import partial_path


class FrameSink(Protocol):
    """Takes the frames of one film, in order, and makes the film of them.

    One thread at a time may use it. `OSError` and `UserError` say that the system does not let it write.
    """

    def needs(self, number: int) -> bool:
        """Whether a frame, counted from 0, has still to be drawn."""
        ...

    def write(self, number: int, pixels: NDArray[np.uint8]) -> None:
        """Take a frame ``(H, W, 3)``, the first row on top."""
        ...

    def finish(self) -> None:
        """Make the film appear under its name, where it replaces an earlier one."""
        ...

    def discard(self) -> None:
        """Give up, and leave nothing that is not whole; an earlier film of the name stays as it was."""
        ...


class PartialFile(io.FileIO):
    """A hidden file, open for writing, beside the one that it becomes.

    Nothing of it waits in memory, so that a full disk is told where it is written to, and nowhere later.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self.path = partial_path(out)
        # Opened like any file, so that the user's umask says who may read it; `x` because nobody else's is overwritten.
        super().__init__(self.path, "x")

    def write(self, data: Any, /) -> int:
        """Write all of it."""
        rest = memoryview(data)
        while rest:
            rest = rest[super().write(rest) :]
        return len(data)

    def keep(self) -> None:
        """Give it its name."""
        self.close()
        self.path.replace(self._out)

    def discard(self) -> None:
        """Remove it, unless it has its name."""
        self.close()
        self.path.unlink(missing_ok=True)
