"""Reader of text files whose lines are samples, or whose whole text is one."""

from __future__ import annotations

from pathlib import Path

from nnviz3d.data.files.memory_limit import read_text
from nnviz3d.errors import SampleError

_NAME = 64
"""Most characters of a text that is the name of its sample."""


def whole_text(path: Path) -> str:
    """Read a file of UTF-8 text.

    Raises
    ------
    SampleError
        If it is missing, too large, or no text.
    """
    try:
        return read_text(path, SampleError).removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise SampleError(f"{path.name} is no UTF-8 text; save it as UTF-8.") from None
    except OSError as error:
        raise SampleError(f"{path.name} cannot be read: {error.strerror or error}.") from None


def text_lines(path: Path) -> tuple[str, ...]:
    """Read the lines of a text file, without those that are blank.

    Raises
    ------
    SampleError
        If the file cannot be read or holds no text.
    """
    lines = tuple(line.strip() for line in whole_text(path).splitlines() if line.strip())
    if not lines:
        raise SampleError(f"{path.name} holds no text; expected one sample on each line.")
    return lines


def named_by(text: str) -> str:
    """Return the beginning of a text, as the name of its sample."""
    words = " ".join(text.split())
    return words if len(words) <= _NAME else f"{words[: _NAME - 3].rstrip()}..."
