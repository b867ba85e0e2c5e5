"""Random damage to bytes and documents, determined by a seed."""

from __future__ import annotations

import copy
import io
import json
import random
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ODD_TEXTS = (
    "",
    " ",
    "x" * 5000,
    "two\nlines",
    "\x1b[31mred\x1b[0m",
    "\x00",
    "\u202eright to left",
    "\udcff",
    "no/such/../path",
    "conv2d[0:",
    "名前",
    "9" * 5000,
    "%s{}[]*?",
)
ODD_NUMBERS = (0, -1, 1, 2, 255, 2**31, 10**12, -(10**12), 10**30, 0.5, -0.0, 1e308, float("nan"), float("inf"))


def odd_value(rng: random.Random) -> Any:
    """Draw a value that most readers do not expect."""
    depth = rng.choice((1, 3, 400))
    nested: Any = 0
    for _ in range(depth):
        nested = [nested]
    return rng.choice(
        (
            lambda: rng.choice(ODD_TEXTS),
            lambda: rng.choice(ODD_NUMBERS),
            lambda: rng.choice((None, True, False, [], {}, nested)),
            lambda: [rng.choice(ODD_NUMBERS) for _ in range(rng.randrange(5))],
            lambda: {rng.choice(ODD_TEXTS): rng.choice(ODD_NUMBERS)},
        )
    )()


def damaged_bytes(rng: random.Random, data: bytes) -> bytes:
    """Flip, cut, repeat, blank or insert bytes at a random position."""
    if not data:
        return rng.randbytes(rng.randrange(1, 64))
    at, length = rng.randrange(len(data)), rng.randrange(1, max(2, min(len(data), 4096)))
    way = rng.randrange(7)
    if way == 0:
        return data[:at]
    if way == 1:
        return data[:at] + data[at + length :]
    if way == 2:
        return data[:at] + rng.randbytes(length) + data[at + length :]
    if way == 3:
        return data[:at] + data[at : at + length] * 3 + data[at + length :]
    if way == 4:
        return data[:at] + bytes(length) + data[at + length :]
    if way == 5:
        return data[:at] + rng.randbytes(rng.randrange(1, 40)) + data[at:]
    flipped = bytearray(data)
    for _ in range(rng.randrange(1, 30)):
        flipped[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def damaged_document(rng: random.Random, document: Any) -> Any:
    """Replace, remove, add or swap one to three values of a document of lists and dictionaries."""
    document = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = [(c, k) for c in _containers(document) for k in (list(c) if isinstance(c, dict) else range(len(c)))]
        if not places:
            return odd_value(rng)
        container, key = rng.choice(places)
        way = rng.randrange(6)
        if way == 0:
            del container[key]
        elif way == 1 and isinstance(container, dict):
            container[rng.choice(ODD_TEXTS)] = container[key]
        elif way == 2 and isinstance(container, list):
            container.extend([copy.deepcopy(container[key])] * rng.choice((1, 3, 50)))
        elif way == 3:
            other, where = rng.choice(places)
            if where in (other if isinstance(other, dict) else range(len(other))):
                container[key] = copy.deepcopy(other[where])
        else:
            container[key] = odd_value(rng)
    return document


def _containers(document: Any) -> list[Any]:
    found: list[Any] = []
    pending = [document]
    while pending:
        one = pending.pop()
        if isinstance(one, dict | list):
            found.append(one)
            pending.extend(one.values() if isinstance(one, dict) else one)
    return found


def damaged_json(rng: random.Random, text: bytes) -> bytes:
    """Damage a JSON text: mostly its document, sometimes its bytes."""
    if rng.random() < 0.2:
        return damaged_bytes(rng, text)
    return json.dumps(damaged_document(rng, json.loads(text))).encode("utf-8", errors="replace")


def damaged_zip(rng: random.Random, path: Path, damaged: Callable[[str, bytes], bytes]) -> bytes:
    """Damage one member of an archive, or the archive's own structure.

    Parameters
    ----------
    damaged
        Returns a member's new content from its name and its content.
    """
    with zipfile.ZipFile(path) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist() if not info.is_dir()]
    at = rng.randrange(len(members))
    name, content = members[at]
    way = rng.randrange(8)
    if way == 0:
        del members[at]
    elif way == 1:
        members[at] = (rng.choice(("other", "../outside", name.upper(), name + "/deeper")), content)
    elif way == 2:
        members.append((name, damaged(name, content)))
    elif way == 3:
        members[at] = (name, bytes(rng.choice((0, 1, 1 << 20))))
    else:
        members[at] = (name, damaged(name, content))
    buffer = io.BytesIO()
    packing = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(buffer, "w", packing) as archive:
        for member, data in members:  # zipfile warns of duplicate names
            archive.writestr(member, data)
    packed = buffer.getvalue()
    if way == 4:  # the directory at the end says that each member is encrypted
        return packed.replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00")
    return packed
