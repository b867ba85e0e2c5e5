"""Finding one's way in the window by real keys: search, and bookmarks."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.scene.panel_rows import TextRow
from tests.apps.test_desktop import board, saved, shown, wait_until, words, x_server
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
