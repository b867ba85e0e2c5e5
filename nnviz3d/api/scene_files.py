"""Reads scenes for Python, and writes them as scene files for the viewer's process."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnviz3d.apps.target import bundled_scenes, scene_named
from nnviz3d.data.files.paths import exists, user_path
from nnviz3d.scene.spec import SceneSource, SceneSpec, parse_scene

_NO_PATHS = ("random", "digits:", "sklearn:", "keras:")
"""Beginnings of the names of models and inputs that are no paths."""


def read_scene(scene: str | Path | Mapping[str, Any]) -> SceneSpec:
    """Read a scene, to change it with its ``model_copy(update=...)`` or to show a model by it.

    Parameters
    ----------
    scene
        A scene file, the name of a bundled scene, or the content of a scene file as a dictionary, whose ``format`` is 1
        by default: ``{"views": [{"kind": "activations", "threshold": 0.2}]}``.

    Returns
    -------
    SceneSpec
        The scene. Paths of its source are absolute, if they are relative to the scene file.

    Raises
    ------
    SceneError
        If it is no valid scene; the message carries the path within the scene, such as ``views[1].layers``.
    """
    if isinstance(scene, Mapping):
        return parse_scene({"format": 1, **scene})
    name = str(scene)
    spec = scene_named(name)
    return with_absolute_paths(spec, bundled_scenes().get(name, user_path(name)).parent)


def with_absolute_paths(spec: SceneSpec, folder: Path) -> SceneSpec:
    """Return the scene with the paths of its source relative to a folder made absolute.

    A model or a file of classes that is not in the folder keeps its name, because it may be in the working folder.
    """
    source = spec.source
    if source is None:
        return spec

    def absolute(name: str) -> str:
        return name if name.startswith(_NO_PATHS) else str((folder / user_path(name)).absolute())

    def found(name: str | None) -> str | None:
        return name if name is None or not exists(folder / user_path(name)) else absolute(name)

    def inputs(names: str | Sequence[str]) -> str | tuple[str, ...]:
        return absolute(names) if isinstance(names, str) else tuple(map(absolute, names))

    paths = {
        "capture": None if source.capture is None else absolute(source.capture),
        "model": found(source.model),
        "classes": found(source.classes),
        "input": inputs(source.input),
        "choices": inputs(source.choices),
    }
    return spec.model_copy(update={"source": SceneSource(**{**dict(source), **paths})})


def scene_text(spec: SceneSpec) -> str:
    """Return the scene as the text of a scene file, in TOML."""
    return "\n".join(_table(spec.model_dump(exclude_none=True))) + "\n"


def _table(table: Mapping[str, Any], name: str = "") -> list[str]:
    """Return the lines of a table: first its plain values, then the tables in it."""
    plain, tables = [], []
    for key, value in table.items():
        path = f"{name}.{key}" if name else key
        if isinstance(value, Mapping):
            tables += [f"\n[{path}]", *_table(value, path)]
        elif isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
            for item in value:
                tables += [f"\n[[{path}]]", *_table(item, path)]
        elif isinstance(value, list | tuple):
            plain += [f"{key} = [", *(f"  {_value(item)}," for item in value), "]"]
        else:
            plain.append(f"{key} = {_value(value)}")
    return plain + tables


def _value(value: str | float) -> str:
    """Return a string, a number or a boolean in TOML, whose strings are those of JSON without the character DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
