"""The limit on the memory for reading one file, and the option that raises it."""

from __future__ import annotations

import math
import os
from pathlib import Path

from nnviz3d.data.files.paths import quoted, refuse_special
from nnviz3d.errors import UserError

VARIABLE = "NNVIZ3D_LIMIT"
"""The environment variable that holds the limit in gigabytes. It reaches every process that the command starts."""
GIGABYTE = 2**30
"""Bytes."""
_DEFAULT = 2.0
"""Gigabytes: more than the largest model of keras.applications needs, less than the memory of a small computer."""
TEXT = 8
"""Bytes of memory per byte of text after parsing."""
_MOST = 2.0**20
"""Gigabytes: more than any computer has."""


def limit() -> int:
    """Return the limit in bytes of memory for reading one file.

    Raises
    ------
    UserError
        If the environment variable holds no valid number.
    """
    return int(_gigabytes(os.environ.get(VARIABLE) or str(_DEFAULT), VARIABLE) * GIGABYTE)


def set_limit(gigabytes: float) -> None:
    """Set the limit for this process and those that it starts.

    Raises
    ------
    UserError
        If the limit is not a positive number.
    """
    text = repr(gigabytes)
    _gigabytes(text, "--limit")
    os.environ[VARIABLE] = text


def read_text(path: Path, error: type[UserError] = UserError) -> str:
    """Read a UTF-8 text file; refuse a device, a pipe and a file that is too large.

    Raises
    ------
    UserError
        If the file is refused.
    OSError, UnicodeDecodeError
        If the file cannot be read, or is not UTF-8 text.
    """
    refuse_special(path, error)
    check_size(quoted(path), path.stat().st_size * TEXT, error)
    return path.read_text(encoding="utf-8")


def check_size(what: str, size: int, error: type[UserError] = UserError) -> None:
    """Refuse to read something that would take more memory than the limit.

    Parameters
    ----------
    what
        The beginning of the sentence, such as a file's name.
    size
        Bytes, computed from headers before anything is read.
    error
        The error class to raise.

    Raises
    ------
    UserError
        If the size exceeds the limit; the sentence says how to raise the limit.
    """
    most = limit()
    if size > most:
        raise error(
            f"{what} would take {_in_words(size)} of memory; the limit is {_in_words(most)}. To allow it, raise the limit "
            f"with --limit GIGABYTES (in Python: os.environ[{VARIABLE!r}] = 'GIGABYTES')."
        )


def _gigabytes(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= _MOST:  # NaN too
        raise UserError(f"{name} is a number of gigabytes, more than 0 and at most {_MOST:,.0f}; got {text[:40]!r}.")
    return value


def _in_words(size: int) -> str:
    if size > GIGABYTE * _MOST:
        return f"more than {_MOST:,.0f} GB"
    return f"{size / GIGABYTE:,.1f} GB" if size >= GIGABYTE else f"{size / 2**20:,.1f} MB"
