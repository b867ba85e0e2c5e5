"""Reader of scene files for the Python API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnviz3d.apps.target import WEIGHTS, bundled_scenes, scene_named, with_metadata_in
from nnviz3d.data.files.paths import exists, user_path
from nnviz3d.data.model_sources import has_prefix
from nnviz3d.data.source_names import in_folder
from nnviz3d.scene.spec import SceneSource, SceneSpec, parse_scene


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
    spec = with_metadata_in(spec, folder)
    source = spec.source
    if source is None:
        return spec

    def absolute(name: str) -> str:
        return str((folder / user_path(name)).absolute())

    def found(name: str | None) -> str | None:
        prefixed = name is not None and has_prefix(name)
        return name if name is None or prefixed or not exists(folder / user_path(name)) else absolute(name)

    def inputs(names: str | Sequence[str]) -> str | tuple[str, ...]:
        return in_folder(folder, names) if isinstance(names, str) else tuple(in_folder(folder, name) for name in names)

    paths = {
        "capture": None if source.capture is None else absolute(source.capture),
        "model": found(source.model),
        "classes": found(source.classes),
        "input": inputs(source.input),
        "choices": inputs(source.choices),
        "beside": inputs(source.beside),
        "against": found(source.against),
        "architecture": found(source.architecture),
        "weights": source.weights if source.weights in WEIGHTS else found(source.weights),
    }
    return spec.model_copy(update={"source": SceneSource(**{**dict(source), **paths})})
