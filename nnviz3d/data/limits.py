"""The limit on the memory that one file may take when it is read, and the option that raises it."""

from __future__ import annotations

import math
import os
from pathlib import Path

from nnviz3d.data.paths import quoted, refuse_special
from nnviz3d.errors import UserError

VARIABLE = "NNVIZ3D_LIMIT"
"""The environment variable that holds the limit in gigabytes. It reaches every process that the command starts."""
GIGABYTE = 2**30
"""Bytes."""
_DEFAULT = 2.0
"""Gigabytes: more than the largest model of keras.applications takes, less than a small computer has."""
TEXT = 8
"""Bytes of memory for a byte of text, once it is taken apart."""
_MOST = 2.0**20
"""Gigabytes: more than any computer has."""


def limit() -> int:
    """Return how many bytes of memory one file may take when it is read.

    Raises
    ------
    UserError
        If the environment variable holds no such number.
    """
    return int(_gigabytes(os.environ.get(VARIABLE) or str(_DEFAULT), VARIABLE) * GIGABYTE)


def set_limit(gigabytes: float) -> None:
    """Set the limit for this process and those that it starts.

    Raises
    ------
    UserError
        If it is no positive number.
    """
    text = repr(gigabytes)
    _gigabytes(text, "--limit")
    os.environ[VARIABLE] = text


def read_text(path: Path, error: type[UserError] = UserError) -> str:
    """Read a text file in UTF-8, unless it is a device or a pipe, or too large.

    Raises
    ------
    UserError
        If it is one of these.
    OSError, UnicodeDecodeError
        If it cannot be read, or holds something else.
    """
    refuse_special(path, error)
    check_size(quoted(path), path.stat().st_size * TEXT, error)
    return path.read_text(encoding="utf-8")


def check_size(what: str, size: int, error: type[UserError] = UserError) -> None:
    """Refuse to read what would take more memory than the limit.

    Parameters
    ----------
    what
        The beginning of the sentence, such as a file's name.
    size
        Bytes, as far as headers tell before anything is read.
    error
        The kind of mistake that it is.

    Raises
    ------
    UserError
        If it is too large; the sentence says how the limit is raised.
    """
    most = limit()
    if size > most:
        raise error(
            f"{what} would take {_in_words(size)} of memory; the limit is {_in_words(most)}. If that is right, raise it "
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
