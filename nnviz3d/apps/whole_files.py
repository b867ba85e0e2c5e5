"""Files that get their names when they are complete, and the sentence on one that cannot be written."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nnviz3d.data.files.unfinished import partial_path
from nnviz3d.errors import UserError
from nnviz3d.stopping import DelayedSignals


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
        with DelayedSignals():
            if partial is not None:
                partial.discard()


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Turn an `OSError` into a `UserError` that says that `out` cannot be written, and why."""
    try:
        yield
    except OSError as error:
        raise UserError(f"Cannot write {out}: {error.strerror or error}.") from None


def write_whole(out: Path, data: bytes) -> None:
    """Write a file that appears only when it is complete.

    Raises
    ------
    UserError
        If the system refuses to write the file.
    """
    with writing(out), whole_file(out) as file:
        file.write(data)
