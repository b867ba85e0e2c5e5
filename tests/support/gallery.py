"""The bundled scenes that show a bundled capture, so that they can be drawn without a model."""

from __future__ import annotations

from nnviz3d.apps.target import bundled_scenes
from nnviz3d.scene.spec import read_scene

SPECS = {name: read_scene(path) for name, path in bundled_scenes().items()}
READY = [name for name, spec in SPECS.items() if spec.source is not None and spec.source.capture is not None]
