"""Tests of the window's keys for classes and quantities."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.data.bundled import gallery
from nnviz3d.data.capture import open_capture
from nnviz3d.scene.colors import score
from tests.apps.test_desktop import SIZE, shown, wait_until, words, x_server
from tests.support.screen import shows

pytestmark = pytest.mark.tensorflow


def test_keys_request_a_class_and_go_through_the_quantities(tmp_path):
    capture = open_capture(gallery() / "gradients.zarr.zip")
    scores = capture.activation("dense_1", 0)
    best, second = (f"{i} · {score(float(scores[i]))}" for i in np.argsort(-scores, kind="stable")[:2])
    assert [found.target.index for found in capture.explanations().targets] == [scores.argmax()], "no other is captured"
    with x_server() as display, shown(display, tmp_path, "gradients") as window:
        first = window.still()

        def says(sentence: str) -> None:
            wait_until(lambda: shows(window.screen(), words(sentence)), f"the window says: {sentence}")

        window.press("c")
        says(f"explained: {second}")
        another = window.still()
        assert np.mean(another[: SIZE[1] // 2] != first[: SIZE[1] // 2]) > 0.05, "the blocks are others"
        window.press("C")
        says(f"explained: {best}")
        window.press("x")
        says(f"cells: gradient × activation, {best}")
        window.press("x")
        says("cells: digits:7 − digits:18")
        window.press("b")
        says("cells: digits:7 − digits:18")
        window.press("Right")
        window.press("b")
        says("cells: digits:18 − digits:7")
        window.press("x")
        says("cells: activation")
        window.press("a")
        says("This scene shows no attribution map; Tab leads to the decisions")
