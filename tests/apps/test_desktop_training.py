"""Tests of the window's keys for recorded steps of a training."""

from __future__ import annotations

import numpy as np

from nnviz3d.data.bundled import gallery
from nnviz3d.data.capture import open_capture
from nnviz3d.scene.views.training import figures, step_text
from tests.apps.test_desktop import SIZE, shown, wait_until, words, x_server
from tests.support.screen import shows


def test_keys_go_through_the_recorded_steps(tmp_path):
    training = open_capture(gallery() / "training.zarr.zip").training
    last = len(training) - 1
    with x_server() as display, shown(display, tmp_path, "training") as window:
        trained = window.still()

        def says(place: int) -> None:
            sentence = " · ".join([step_text(training, place), *figures(training, place)])
            wait_until(lambda: shows(window.screen(), words(sentence)), f"the window says: {sentence}")

        window.press("less")
        says(last - 1)
        window.press(*["less"] * 10)
        says(last - 11)
        earlier = window.still()
        beside = np.s_[: SIZE[1] // 2, : SIZE[0] * 3 // 4]  # the curve stands to the right
        assert np.mean(earlier[beside] != trained[beside]) > 0.002, "the blocks are others"
        window.press(*["greater"] * 12)
        says(last)
