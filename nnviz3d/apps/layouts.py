"""The scene of a session laid out for pictures of other shapes, such as a phone held upright."""

from __future__ import annotations

from nnviz3d.apps.frame_state import FrameState
from nnviz3d.scene.scene import Scene

_SHAPES = ((0.72, 0.55), (1.15, 0.95))
"""Shapes besides the session's own: the greatest width over height that counts as this shape, and that of its layout."""


def shape_of(aspect: float) -> float | None:
    """Return the width over height of the layout for a picture; `None` for the session's own layout."""
    return next((shape for most, shape in _SHAPES if aspect < most), None)


def _arranged(scene: Scene) -> tuple[object, ...]:
    """Return what the places of a scene's things depend on, besides the picture's shape."""
    return scene.spec.views, scene.context.opened


class Layouts:
    """Gives the scene of a frame for pictures of any shape; one layout serves all pictures of a similar shape.

    Parameters
    ----------
    frame
        The frame whose scene is laid out.
    """

    def __init__(self, frame: FrameState) -> None:
        self._frame = frame
        self._made: dict[float, tuple[Scene, Scene]] = {}

    def scene_for(self, aspect: float) -> Scene:
        """Return the scene for a picture with this width over height."""
        base, shape = self._frame.scene, shape_of(aspect)
        # A saved scene keeps its layout, because its camera's poses are places in it.
        if shape is None or base.context.aspect < 1 or not base.blocks or base.spec.layout.aspect is not None:
            return base
        made_from, made = self._made.get(shape, (None, None))
        kept = made_from is not None and _arranged(made_from) == _arranged(base)
        if made is None or made_from is None or not kept:
            made = base.with_aspect(shape)
        elif made_from.context is not base.context:
            made = made.revised(base.capture, base.context.trajectory)
        if made.spec.camera != base.spec.camera:
            made = made.with_keyframes(base.spec.camera.keyframes)
        self._made[shape] = base, made
        return made
