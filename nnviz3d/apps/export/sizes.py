"""Sizes of files in words: ``50MB``."""

from __future__ import annotations

import re

from nnviz3d.data.printable import printable
from nnviz3d.errors import UserError

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


def byte_count(text: str) -> int:
    """Read a size such as ``50MB``, ``1.5 GB`` or ``200000``.

    Raises
    ------
    UserError
        If it is none.
    """
    found = re.fullmatch(r"\s*(\d{1,12}(?:\.\d{1,6})?)\s*([kmg]?)b?\s*", text.lower(), re.ASCII)
    count = 0 if found is None else int(float(found[1]) * _UNITS[found[2]])
    if not count:
        raise UserError(f"--max-size is a size such as 50MB; got {printable(text)!r}.")
    return count


def size_words(count: int) -> str:
    """Write a size: ``50 MB``, ``1.5 GB``, ``820 kB``."""
    for unit, least in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= least:
            return f"{count / least:.3g} {unit}"
    return f"{count} B"
