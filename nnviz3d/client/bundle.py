"""The client's scripts as one ES module, with the shaders as strings: for an exported file, and for the live page.

A script of `static` imports others by ``import { NAME } from "./FILE.js";`` and exports by ``export`` before a function,
class or constant. Names at the top level are unique among all scripts, so the modules can follow each other in one
scope, without a build step.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

STATIC = files("nnviz3d.client") / "static"
_SHADERS = files("nnviz3d.render") / "shaders"
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([a-z_]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const|let)\b)", re.MULTILINE)
_NAME = re.compile(r"^export (?:async )?(?:function\*?|class|const|let) (\w+)", re.MULTILINE)
_DECLARED = re.compile(r"^(?:export )?(?:async )?(?:function\*?|class|const|let) (\w+)", re.MULTILINE)
SHADERS = "shaders.js"
"""Name by which scripts import the shaders: ``import { SHADERS } from "./shaders.js";``, texts by file name."""


def bundle(*entries: str) -> str:
    """Return the text of an ES module that holds some scripts, all that they import, and exports of their names.

    Parameters
    ----------
    entries
        Names of the scripts, such as ``viewer.js``.
    """
    ordered: list[str] = []
    for entry in entries:
        _visit(entry, ordered, ())
    parts = [_EXPORT.sub("", _IMPORT.sub("", script(name))) for name in ordered]
    names = [name for entry in entries for name in _NAME.findall(script(entry))]
    return "\n".join([*parts, f"export {{ {', '.join(names)} }};\n"])


def declared(name: str) -> list[str]:
    """Return the names that a script declares at its top level."""
    return _DECLARED.findall(script(name))


@cache
def script(name: str) -> str:
    """Return the text of a script."""
    if name == SHADERS:
        return f"export const SHADERS = {json.dumps(_shaders(), indent=1)};\n"
    return (STATIC / name).read_text(encoding="utf-8")


def scripts() -> list[str]:
    """Return the names of all scripts."""
    return sorted([SHADERS, *(found.name for found in STATIC.iterdir() if found.name.endswith(".js"))])


def _visit(name: str, ordered: list[str], importers: tuple[str, ...]) -> None:
    """Add a script after all that it imports."""
    if name in ordered:
        return
    if name in importers:
        raise ValueError(f"{name} imports itself by {' and '.join(importers)}.")
    for imported in _IMPORT.findall(script(name)):
        _visit(imported, ordered, (*importers, name))
    ordered.append(name)


def _shaders() -> dict[str, str]:
    """Return the shaders that VTK and the client share, and the client's own, by file name."""
    own: Traversable = STATIC / "shaders"
    folders = [_SHADERS, *([own] if own.is_dir() else [])]
    return {found.name: found.read_text(encoding="utf-8") for folder in folders for found in folder.iterdir()}
