"""Samples of an exported page, as users write them: ``0:20``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nnviz3d.data.printable import printable
from nnviz3d.errors import UserError

_RANGE = re.compile(r"(\d{0,9}):(\d{0,9})|(\d{1,9})")


def chosen_samples(text: str | None, shown: int, count: int) -> tuple[int, ...]:
    """Return the indices of the samples to export, the shown one first if it is among them.

    Parameters
    ----------
    text
        ``0:20``, ``3``, several of these with commas between them, or ``all``; `None` for the shown one only.
    count
        Number of samples that the capture holds.

    Raises
    ------
    UserError
        If the text is none of these, or there are no such samples.
    """
    if text is None:
        return (shown,)
    found = tuple(dict.fromkeys(_listed(text, count)))
    if not found:
        raise UserError(f"--samples {printable(text)}: there are no such samples; the capture holds 0 to {count - 1}.")
    return (shown, *(one for one in found if one != shown)) if shown in found else found


def _listed(text: str, count: int) -> Iterator[int]:
    if text.strip() == "all":
        yield from range(count)
        return
    for part in text.split(","):
        found = _RANGE.fullmatch(part.strip())
        if found is None:
            raise UserError(f"--samples is all, or numbers and ranges such as 0:20 or 3,7,9; got {printable(text)!r}.")
        first, last, single = found.groups()
        if single is None:
            yield from range(int(first or 0), min(int(last or count), count))
        elif int(single) < count:
            yield int(single)
        else:
            raise UserError(f"--samples: there is no sample {single}; the capture holds samples 0 to {count - 1}.")
