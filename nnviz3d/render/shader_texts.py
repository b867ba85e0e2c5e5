"""Texts of the shaders in the folder ``shaders``."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

_SHADERS = files("nnviz3d.render") / "shaders"


@cache
def glsl(name: str) -> str:
    """Return the text of a shader."""
    return (_SHADERS / name).read_text(encoding="utf-8")
