"""Counts in legends: at most as many as exist, and with the criterion of the choice."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.scene.colors import colormap
from nnviz3d.scene.panel_rows import TextRow
from nnviz3d.scene.views.channel_sheets import _counted, _silence
from nnviz3d.scene.views.node_link.labels import _chosen, ball_scales
from nnviz3d.scene.views.outputs import best_rows


@pytest.mark.parametrize(
    ("count", "words"), [(1, "answer"), (2, "answer: all 2"), (3, "answer: all 3"), (20, "answer: highest 3 of 20")]
)
def test_best_scores_are_limited_by_the_size_of_the_output(count, words):
    title, *bars = best_rows("answer", np.linspace(0, 1, count, dtype=np.float32), [str(k) for k in range(count)])
    assert title == TextRow(words, "quiet")
    assert len(bars) == min(count, 3)


@pytest.mark.parametrize(
    ("shown", "total", "words"),
    [
        (1, 1, ["the one channel of conv"]),
        (8, 8, ["8 channels of conv, highest mean activation first"]),
        (8, 64, ["8 of 64 channels of conv", "those with captured pictures, highest mean activation first"]),
        (1, 64, ["1 of 64 channels of conv", "the one with a captured picture"]),
    ],
)
def test_channel_legend_names_capture_as_the_choice_not_activation(shown, total, words):
    assert [row.text for row in _counted("conv", shown, total, "mean")] == words


@pytest.mark.parametrize(
    ("maps", "words"),
    [
        (np.zeros((1, 2, 2)), "it is 0 everywhere for this sample"),
        (np.ones((1, 2, 2)), "it is nonzero somewhere"),
        (np.stack([np.zeros((2, 2)), np.ones((2, 2))]), "1 of them is 0 everywhere for this sample: 0"),
        (np.zeros((3, 2, 2)), "3 of them are 0 everywhere for this sample: 0, 1, 2"),
        (np.full((2, 2, 2), np.nan), "each is nonzero somewhere"),
    ],
)
def test_silent_channels_are_counted_in_singular_or_plural(maps, words):
    assert _silence(maps.transpose(1, 2, 0).astype(np.float32), "activation") == words


@pytest.mark.parametrize(
    ("quantity", "count", "silent", "words"),
    [
        ("change", 3, 2, "the change of 2 of them is 0 everywhere for this sample: 0, 1"),
        ("gradient", 3, 1, "the gradient of 1 of them is 0 everywhere for this sample: 0"),
        ("gradient_x_activation", 1, 1, "the gradient × activation of it is 0 everywhere for this sample"),
        ("difference", 3, 2, "the difference of 2 of them is 0 everywhere: 0, 1"),
        ("change", 2, 0, "the change of each is nonzero somewhere"),
    ],
)
def test_channels_whose_other_quantity_is_0_are_not_called_0_themselves(quantity, count, silent, words):
    maps = np.ones((2, 2, count), np.float32)
    maps[..., :silent] = 0
    assert _silence(maps, quantity) == words


@pytest.mark.parametrize(
    ("count", "total", "some", "words"),
    [
        (9, 9, False, "all 9 edges"),
        (4, 9, False, "the strongest 4 of 9 edges"),
        (4, 9, True, "4 of 9 edges, the strongest between these balls"),
    ],
)
def test_edges_are_called_strongest_of_all_only_if_all_units_have_balls(count, total, some, words):
    assert _chosen(count, total, some=some) == words


@pytest.mark.parametrize("some", [True, False])
def test_ball_legend_names_the_choice_only_if_units_are_left_out(some):
    scales = {"dense": (colormap("inferno"), (0.0, 2.0)), "signed": (colormap("ember-ice"), (-1.0, 1.0))}
    rows = [row for panel in ball_scales(scales, "activation", some=some) for row in panel.rows]
    assert (TextRow("k of n: those with the largest |activation|; of an output, the highest", "quiet") in rows) == some
