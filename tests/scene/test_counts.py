"""Counts in legends are capped by what there is, and name what was done."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.scene.primitives import TextRow
from nnviz3d.scene.views.channels import _counted, _silence
from nnviz3d.scene.views.legends import best_rows


@pytest.mark.parametrize(
    ("count", "words"), [(1, "answer"), (2, "answer: all 2"), (3, "answer: all 3"), (20, "answer: highest 3 of 20")]
)
def test_best_scores_are_no_more_than_the_output_has(count, words):
    title, *bars = best_rows("answer", np.linspace(0, 1, count, dtype=np.float32), [str(k) for k in range(count)])
    assert title == TextRow(words, "quiet")
    assert len(bars) == min(count, 3)


@pytest.mark.parametrize(
    ("shown", "total", "words"),
    [
        (1, 1, ["the one channel of conv"]),
        (8, 8, ["8 channels of conv, the highest mean activation first"]),
        (8, 64, ["8 of 64 channels of conv", "those whose pictures were captured, the highest mean activation first"]),
        (1, 64, ["1 of 64 channels of conv", "the one whose picture was captured"]),
    ],
)
def test_channels_that_were_captured_are_not_said_to_be_chosen_by_activation(shown, total, words):
    assert [row.text for row in _counted("conv", shown, total, "mean")] == words


@pytest.mark.parametrize(
    ("maps", "words"),
    [
        (np.zeros((1, 2, 2)), "it is 0 everywhere here"),
        (np.ones((1, 2, 2)), "it is other than 0 somewhere"),
        (np.stack([np.zeros((2, 2)), np.ones((2, 2))]), "1 of them is 0 everywhere here"),
        (np.zeros((3, 2, 2)), "3 of them are 0 everywhere here"),
        (np.full((2, 2, 2), np.nan), "each is other than 0 somewhere"),
    ],
)
def test_silent_channels_are_counted_in_the_grammar_of_their_number(maps, words):
    assert _silence(maps.astype(np.float32)) == words
