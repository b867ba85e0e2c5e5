"""Sizes of files in words: ``50MB``."""

from __future__ import annotations

import re

from nnviz3d.data.printable import printable
from nnviz3d.errors import UserError

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
_SIZE = re.compile(r"\s*(\d{1,12}(?:\.\d{1,12})?)\s*((?:[kmg]i?)?)b?\s*", re.ASCII | re.IGNORECASE)


def read_size(text: str) -> int:
    """Return the bytes of a size such as ``50MB``, ``1.5 GB``, ``800k`` or ``2MiB``.

    Raises
    ------
    UserError
        If the text is no size.
    """
    found = _SIZE.fullmatch(text)
    count = 0 if found is None else int(float(found[1]) * _UNITS[found[2].lower()])
    if not count:
        raise UserError(f"--max-size is a size such as 50MB or 800kB; got {printable(text)!r}.")
    return count


def size_text(count: int) -> str:
    """Write a number of bytes: ``1.25 GB``, ``50 MB``, ``641 kB``; the last unit is rounded up."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6)):
        if count >= 0.9995 * scale:
            return f"{count / scale:.3g} {unit}"
    return f"{-(-count // 1000)} kB"
