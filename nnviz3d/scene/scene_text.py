"""Write a scene as the text of a scene file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nnviz3d.scene.spec import SceneSpec

_LONGEST_LINE = 120
"""Most characters of a list that is written on one line."""


def scene_text(spec: SceneSpec) -> str:
    """Return the scene as the text of a scene file, in TOML."""
    return "\n".join(_table(spec.model_dump(exclude_none=True))) + "\n"


def _table(table: Mapping[str, Any], name: str = "") -> list[str]:
    """Return the lines of a table: first its plain values, then the tables in it."""
    plain, tables = [], []
    for key, value in table.items():
        path = f"{name}.{key}" if name else key
        if isinstance(value, Mapping):
            content = _table(value, path)
            # A table without plain values of its own needs no heading.
            tables += [*([f"\n[{path}]"] if content and not content[0].startswith("\n") else []), *content]
        elif isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
            for item in value:
                tables += [f"\n[[{path}]]", *_table(item, path)]
        elif isinstance(value, list | tuple):
            items = [_value(item) for item in value]
            line = f"{key} = [{', '.join(items)}]"
            plain += [line] if len(line) <= _LONGEST_LINE else [f"{key} = [", *(f"  {item}," for item in items), "]"]
        else:
            plain.append(f"{key} = {_value(value)}")
    return plain + tables


def _value(value: str | float) -> str:
    """Return a string, a number or a boolean in TOML, whose strings are those of JSON without the character DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
