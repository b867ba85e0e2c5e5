"""Navigation in the window by real keys and drags: search, bookmarks, and a lasso around points."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.apps.target import bundled_scenes
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from nnviz3d.scene.panel_rows import TextRow
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import read_scene
from nnviz3d.scene.views.points.neighbours import space_of
from nnviz3d.scene.views.points.search import counted_column, counts_of
from tests.apps.test_desktop import SIZE, board, lit, saved, shown, wait_until, words, x_server
from tests.support.pinhole import to_pixels
from tests.support.screen import shows

pytestmark = pytest.mark.slow


def test_search_flies_to_a_layer_and_a_bookmark_comes_back_to_it(tmp_path):
    with x_server() as display, shown(display, tmp_path, "digits") as window:
        window.folder = tmp_path
        whole = saved(window)
        window.press("slash")
        window.do("type", "conv2d_2")
        line = board((TextRow("Search: conv2d_2|", "title"),))[8:-8, 4:-12]  # the panel around it is larger
        wait_until(lambda: shows(window.screen(), line), "the text is on the screen")
        window.press("Return")
        wait_until(lambda: shows(window.screen(), words("conv2d_2 · Conv2D")), "it says where it flies")
        window.still()
        there = saved(window)
        assert not np.array_equal(there, whole)
        window.click(450, 300)
        assert window.said(3)[-1].startswith("conv2d_2 ["), "the block is in the middle"
        window.press("Escape", "v")
        told = words("bookmark 1: Activations · digits:0 · conv2d_2 · V: next bookmark")
        wait_until(lambda: shows(window.screen(), told), "it is kept")
        window.press("slash")
        window.do("type", "dense 7")
        window.press("Return")
        wait_until(lambda: shows(window.screen(), words("dense 7 · neuron of 64")), "a channel is found")
        window.still()
        assert not np.array_equal(saved(window), there)
        window.press("V")
        wait_until(lambda: np.array_equal(saved(window), there), "the view is as it was kept")
        window.press("slash", "q", "Escape", "r", "Escape")
        assert window.process.poll() is None


def test_lasso_around_points_says_which_they_are_and_the_others_are_hidden(tmp_path):
    spec = read_scene(bundled_scenes()["embedding"])
    scene = Scene.build(spec, open_capture(bundled("embedding.zarr.zip")), aspect=SIZE[0] / SIZE[1])
    points = next(p.points for p in scene.at(scene.duration).primitives if getattr(p, "name", "") == "dense")
    labels = scene.context.capture.embedding("dense").labels
    at = to_pixels(points.astype(float), scene.camera(scene.duration, aspect=SIZE[0] / SIZE[1]), SIZE)
    # The class that is farthest from the others, with a margin around it.
    margins = {
        k: np.hypot(*(at[labels == k][:, np.newaxis] - at[labels != k]).transpose(2, 0, 1)).min() for k in range(10)
    }
    alone = max(margins, key=lambda k: margins[k])
    (left, top), (right, bottom) = at[labels == alone].min(axis=0) - 3, at[labels == alone].max(axis=0) + 3
    inside = ((at > (left, top)) & (at < (right, bottom))).all(axis=1)
    assert inside.sum() < 200
    with x_server() as display, shown(display, tmp_path, "embedding") as window:
        first = window.still()
        window.press("L", "L")
        wait_until(
            lambda: shows(
                window.screen(),
                words("box: drag around points · Shift: add · Ctrl: take away · L: turn the scene · Esc: end"),
            ),
            "it says what a drag does",
        )
        window.drag((int(left), int(top)), (int(right), int(bottom)))
        column = counted_column(space_of(scene.context, "dense").columns, "label")
        counts = ", ".join(f"{title} ({count})" for title, count in counts_of(column, inside))
        told = words(f"{inside.sum()} of 1,000 samples, by label: {counts} · Y: hide the others · y: all points")
        wait_until(lambda: shows(window.screen(), told), "it says which they are")
        window.press("Y")
        wait_until(lambda: lit(window.still()) < 0.5 * lit(first), "the others are hidden")
        window.press("y", "Y")
        wait_until(lambda: lit(window.still()) > 0.9 * lit(first), "all points are there again")
