"""The bundled scenes, built once for each process and aspect."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from nnviz3d.scene.scene import Scene
from tests.support.gallery import SPECS


@cache
def bundled_scene(name: str, aspect: float = 16 / 9) -> Scene:
    """Build a bundled scene that has a ready capture."""
    spec = SPECS[name]
    assert spec.source is not None
    assert spec.source.capture is not None
    return Scene.build(spec, open_capture(bundled(Path(spec.source.capture).name)), aspect=aspect)
