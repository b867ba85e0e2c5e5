"""Lasso and box of the window: which points a drag chooses, and where its outline is drawn."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from nnviz3d.apps.session import Session
from nnviz3d.apps.window.controls import Controls
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from nnviz3d.scene.enclosure import enclosed, traced
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import EVERY_POINT
from nnviz3d.scene.spec import default_scene, parse_scene
from tests.support import pinhole
from tests.support.window_status import status_lines

SIZE = (900, 600)


@pytest.fixture(scope="module")
def scene() -> Scene:
    spec = parse_scene({"format": 1, "views": [{"kind": "embedding"}]})
    return Scene.build(spec, open_capture(bundled("embedding.zarr.zip")))


def window_of(scene: Scene) -> Controls:
    pose = scene.overview(aspect=SIZE[0] / SIZE[1])
    renderer = SimpleNamespace(size=SIZE, pose=lambda: pose)
    return Controls(Session(scene, renderer), save=str, write=str, printed=print)


def press(window: Controls, key: str, *, shift: bool = False) -> None:
    window.follow({"type": "KeyPress", "key": key, "shiftKey": shift, "repeat": False}, 0.0)  # type: ignore[typeddict-item]


def drag(window: Controls, path: list[tuple[int, int]], **held: bool) -> None:
    """Drag the left button along a path of pixels from the lower left corner."""
    kinds = ["LeftButtonPress", *["MouseMove"] * (len(path) - 1), "LeftButtonRelease"]
    for kind, (x, y) in zip(kinds, [*path, path[-1]], strict=True):
        window.follow({"type": kind, "x": x, "y": y, "shiftKey": False, "controlKey": False, **held}, 0.0)  # type: ignore[typeddict-item]


def places(scene: Scene) -> np.ndarray:
    """Return the pixels of all points from the lower left corner, ``(n, 2)``, by the pinhole camera."""
    pose = scene.overview(aspect=SIZE[0] / SIZE[1])
    points = next(p.points for p in scene.at(scene.duration).primitives if getattr(p, "name", "") == "dense")
    down = pinhole.to_pixels(points.astype(float), pose, SIZE)
    return down * [1, -1] + [0, SIZE[1]]


def chosen(window: Controls) -> list[int] | None:
    found = window._session.selection.points.chosen
    return None if found is None else list(found)


def told(window: Controls) -> str:
    return status_lines(window)[0]


def test_box_and_lasso_choose_add_and_take_away(scene):
    window, at = window_of(scene), places(scene)
    left, lower = at[:, 0] < 450, at[:, 1] < 300
    press(window, "L", shift=True)
    assert told(window).startswith("lasso: drag around points")
    drag(window, [(-9, -9), (450, -9), (450, 700), (-9, 700)])
    assert chosen(window) == np.flatnonzero(left).tolist()
    labels = scene.context.capture.embedding("dense").labels
    names, counts = np.unique(labels[left], return_counts=True)
    most = int(counts.argmax())
    words = f"{left.sum()} of 1,000 samples, by label: {names[most]} ({counts[most]}), "
    assert told(window).startswith(words)
    assert window._lasso.shape is None, "the next drag turns the scene"
    press(window, "L", shift=True)
    press(window, "L", shift=True)
    drag(window, [(-9, 300), (20, 200), (950, -9)], shiftKey=True)
    assert chosen(window) == np.flatnonzero(left | lower).tolist()
    drag(window, [(-9, -9), (450, 700)], controlKey=True)
    assert chosen(window) == np.flatnonzero(lower & ~left).tolist()
    assert window._lasso.shape == "box", "more can be added"
    drag(window, [(10, 10), (12, 12)])
    assert chosen(window) == np.flatnonzero(lower & ~left).tolist(), "a click chooses nothing"
    press(window, "Escape")
    assert window._lasso.shape is None
    press(window, "y")
    assert window._session.selection.points == EVERY_POINT


def test_outline_is_drawn_where_the_mouse_was_and_before_all_points(scene):
    window = window_of(scene)
    press(window, "L", shift=True)
    path = [(100, 100), (500, 120), (300, 400)]
    for kind, (x, y) in zip(("LeftButtonPress", "MouseMove", "MouseMove"), path, strict=True):
        window.follow({"type": kind, "x": x, "y": y, "shiftKey": False, "controlKey": False}, 0.0)  # type: ignore[typeddict-item]
    (lines,) = window.drawn()
    pose = window._session.renderer.pose()
    seen = pinhole.to_pixels(lines.points[0].astype(float), pose, SIZE)
    assert seen * [1, -1] + [0, SIZE[1]] == pytest.approx(np.array([*path, path[0]]), abs=0.02)
    ahead = np.subtract(pose.target, pose.position) / np.linalg.norm(np.subtract(pose.target, pose.position))
    nearest = ((scene.extent() - pose.position) @ ahead).min()
    assert ((lines.points[0] - pose.position) @ ahead < nearest).all()
    press(window, "Escape")
    assert not window.drawn()


def test_traced_outline_encloses_what_is_traced_inside_it(scene):
    pose = replace(scene.overview(aspect=1.5), field_of_view=50.0)
    outer, inner = (np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * size for size in (0.3, 0.2))
    assert enclosed(traced(inner, pose, scene.extent()), pose, outer).all()
    assert not enclosed(traced(outer, pose, scene.extent()), pose, inner).any()


def test_scene_without_points_has_no_lasso(recorded_capture):
    window = window_of(Scene.build(default_scene(), recorded_capture))
    press(window, "L", shift=True)
    assert told(window) == "This scene shows no points; Tab leads to the embedding"
    assert window._lasso.shape is None
