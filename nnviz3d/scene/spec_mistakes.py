"""Sentences on what is wrong in a scene file, from the errors of pydantic."""

from __future__ import annotations

from reprlib import Repr
from typing import Any

from pydantic import ValidationError

from nnviz3d.data.printable import printable
from nnviz3d.scene.views import BY_KIND

_LISTED = 3
"""Maximum number of mistakes that an error message lists."""
_LONGEST_MISTAKE = 190
"""Maximum number of characters for one mistake."""
_REPR = Repr()
"""Quotes a given value; long and nested values are truncated."""
_REPR.maxstring = _REPR.maxother = 60
_KINDS = tuple(BY_KIND)


def mistakes_of(error: ValidationError) -> str:
    """Return the first mistakes, each with its path within the file, and the number of the others."""
    found = error.errors()
    # For a mistake inside a view, pydantic also reports the view itself as missing; only the first error counts.
    inside = any(e["loc"][:1] == ("views",) and len(e["loc"]) > 1 for e in found)
    kept = [e for e in found if not (inside and e["loc"] == ("views",))]
    mistakes = [printable(_sentence(e), _LONGEST_MISTAKE) for e in kept[:_LISTED]]
    more = [f"{len(kept) - _LISTED:,} more mistakes"] if len(kept) > _LISTED else []
    return "; ".join([*mistakes, *more])


def _sentence(error: Any) -> str:
    where = ""
    for part in error["loc"]:
        if isinstance(part, int):
            where += f"[{part}]"
        # pydantic puts the chosen kind of a view into the location; the file has no such key.
        elif not where.startswith("views[") or part not in _KINDS or "." in where:
            where += f".{part}" if where else str(part)
    if error["type"] == "extra_forbidden":
        return f"unknown key {where}"
    if error["type"] == "missing":
        return f"{where} is missing"
    if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        given = error["input"].get("kind") if isinstance(error["input"], dict) else error["input"]
        return f"{where}.kind is one of {', '.join(_KINDS[:-1])} and {_KINDS[-1]} (got {_REPR.repr(given)})"
    if where == "format":
        return (
            f"this nnviz3d reads scenes of format 1 (got {_REPR.repr(error['input'])}); update nnviz3d for a newer one"
        )
    message = error["msg"].removeprefix("Value error, ")
    got = "" if isinstance(error["input"], list | tuple | dict) else f" (got {_REPR.repr(error['input'])})"
    return f"{where}: {message[0].lower()}{message[1:]}{got}"
