"""Preparation of a viewer while another process works: its imports, and a first small picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nnviz3d.processors import processors

_SMALL = (64, 36)
"""Width and height of the first picture in pixels."""


def picture_steps() -> Sequence[Callable[[], None]]:
    """Return the steps that prepare a picture: each takes a fraction of a second, and has no effect but on the time.

    With one processor there are none, because they would only delay the other process.
    """
    return (_import_scene, _import_renderer, _draw) if processors() > 1 else ()


def window_steps() -> Sequence[Callable[[], None]]:
    """Return the steps that prepare a window: only imports, since after a picture off screen VTK opens no window."""
    return (_import_scene, _import_renderer, _import_window) if processors() > 1 else ()


def page_steps() -> Sequence[Callable[[], None]]:
    """Return the steps that prepare a live page."""
    return (*picture_steps(), _import_server) if processors() > 1 else ()


def _import_scene() -> None:
    import nnviz3d.scene.look_check  # noqa: F401


def _import_renderer() -> None:
    import nnviz3d.render.offscreen  # noqa: F401


def _import_window() -> None:
    import nnviz3d.render.window  # noqa: F401


def _import_server() -> None:
    import nnviz3d.apps.web.server  # noqa: F401


def _draw() -> None:
    """Draw the bundled digits, which loads the graphics driver, and compiles the shaders of blocks, texts and lines."""
    from nnviz3d.data.bundled import bundled
    from nnviz3d.data.capture import open_capture
    from nnviz3d.render.offscreen import Offscreen
    from nnviz3d.scene.look_check import scene_of
    from nnviz3d.scene.selection import Selection
    from nnviz3d.scene.spec import default_scene
    from nnviz3d.stopping import DelayedSignals

    aspect = _SMALL[0] / _SMALL[1]
    scene = scene_of(default_scene(), open_capture(bundled("digits.zarr.zip")), Selection(), aspect=aspect)
    drawn = scene.at(scene.first_time, Selection())
    with DelayedSignals():
        studio = Offscreen(_SMALL)
    try:
        with DelayedSignals():
            studio.picture(drawn, scene.first_pose(scene.first_time, aspect=aspect))
    finally:
        studio.close()
