"""The scene of an export."""

from __future__ import annotations

from nnviz3d.apps.open_target import Opened
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection

ASPECT = 16 / 9
"""Width over height of the picture that the layout fills."""


def scene_of(found: Opened, selection: Selection, *, aspect: float = ASPECT) -> Scene:
    """Lay out the scene of an open target, with the selected layer shown."""
    scene = Scene.build(found.spec, found.capture, aspect=aspect, trajectory=found.trajectory)
    return scene.showing(selection.layer)
