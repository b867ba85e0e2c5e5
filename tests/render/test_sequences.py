"""Pixels of sheets of tokens: a strong token is a bright band at its height in every sheet."""

from __future__ import annotations

import numpy as np

from nnviz3d.render.eye import Eye
from nnviz3d.render.offscreen import Offscreen
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import parse_scene
from tests.support.sequences import TOKENS, encoder, encoder_capture

SIZE = (1600, 900)
STRONG = 4


def test_strong_token_is_a_bright_band_at_its_height_in_every_sheet(tmp_path):
    sheets = [n for n in encoder(3) if len(n.shape) == 2]
    values = {}
    for node in sheets:
        values[node.id] = np.full((2, *node.shape), 0.02, dtype=np.float32)
        values[node.id][:, STRONG] = 1.0
    capture = encoder_capture(tmp_path / "run.zarr", values, blocks=3)
    scene = Scene.build(
        parse_scene({"format": 1, "views": [{"kind": "activations"}]}), capture, aspect=SIZE[0] / SIZE[1]
    )
    pose = scene.overview(aspect=SIZE[0] / SIZE[1])
    studio = Offscreen(SIZE)
    try:
        pixels = studio.picture(scene.at(scene.duration), pose).astype(float).mean(axis=2)
    finally:
        studio.close()
    eye = Eye.of(pose, SIZE)
    for node in sheets:
        place = scene.context.placement(node.id)
        front = np.array(place.origin) + np.array(place.size) * (0.0, 0.0, 1.0)
        # Four points in the front of each token's row.
        at = np.array([[(i + 0.5) / 4, (TOKENS - t - 0.5) / TOKENS, 0.0] for t in range(TOKENS) for i in range(4)])
        x, y = np.rint(eye.project(front + at * np.array(place.size))[0]).astype(int).T
        lights = pixels[y, x].reshape(TOKENS, 4).mean(axis=1)
        assert lights.argmax() == STRONG, node.id
        assert lights[STRONG] > 3 * np.delete(lights, STRONG).max(), node.id
