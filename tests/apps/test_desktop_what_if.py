"""The window's keys that mute what is picked, paint over the input, and undo it."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.apps.target import bundled_scenes
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from nnviz3d.render.picking import pick
from nnviz3d.scene.hits import CellHit
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import read_scene
from tests.apps.test_desktop import SIZE, seen, shown, wait_until, words, x_server
from tests.support.pinhole import to_pixels
from tests.support.screen import shows

pytestmark = pytest.mark.tensorflow


def blocks(picture: np.ndarray) -> np.ndarray:
    """Return the middle of a picture of the window, without the panels at its ends."""
    return picture[SIZE[1] // 5 : 4 * SIZE[1] // 5]


def differ(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether more than a few pixels differ, as where blocks show other numbers."""
    return bool(np.mean(np.any(np.abs(one.astype(int) - other) > 24, axis=-1)) > 0.03)


def test_key_mutes_the_picked_channel_and_undoes_it(tmp_path):
    spec = read_scene(bundled_scenes()["digits"])
    scene = Scene.build(spec, open_capture(bundled("digits.zarr.zip")), aspect=SIZE[0] / SIZE[1])
    what, pose = seen(scene, spec.source.sample)
    place = scene.context.placement("conv2d_1")
    around = to_pixels(np.array([place.center]), pose, SIZE)[0]
    spots = [(int(x), int(y)) for x, y in around + np.random.default_rng(3).integers(-14, 15, (60, 2))]
    hits = {spot: pick(what, pose, SIZE, (spot[0] + 0.5, spot[1] + 0.5)) for spot in spots}
    spot = next(s for s, h in hits.items() if isinstance(h, CellHit) and h.primitive.name == "conv2d_1")
    with x_server() as display, shown(display, tmp_path, "digits") as window:

        def says(sentence: str) -> None:
            wait_until(lambda: shows(window.screen(), words(sentence)), f"the window says: {sentence}")

        window.press("d")
        says("Click a cell or a line first: its channel, neuron or connection is changed.")
        window.click(*spot)
        window.said(1)
        picked = blocks(window.still())
        window.press("d")
        # Whole pictures only: while the window draws one, all pixels differ.
        wait_until(lambda: differ(blocks(window.still()), picked), "the blocks show the change")
        changed = blocks(window.still())
        window.press("D")
        says("nothing is changed")
        wait_until(lambda: not differ(blocks(window.still()), picked), "the blocks are as before")
        undone = blocks(window.still())
        assert differ(undone, changed)
        window.press("D")
        says("There is no change to undo")
        window.press("P")
        says("brush: drag over the input's picture · P: eraser · D: undo · Esc: end")
        left, top = to_pixels(np.array([scene.context.placement("input").center]), pose, SIZE)[0] - 40
        window.drag((int(left), int(top)), (int(left) + 80, int(top)))
        wait_until(lambda: differ(blocks(window.still()), undone), "the blocks show the change by the paint")
        window.press("Escape", "D")
        wait_until(lambda: not differ(blocks(window.still()), undone), "the paint is undone")
