"""Tests of picks."""

from __future__ import annotations

import pytest

from nnviz3d.scene.layout.attention import ScorePick
from nnviz3d.scene.selection import CellPick
from nnviz3d.scene.views.connections import EdgePick
from nnviz3d.scene.views.history import HistoryPick
from nnviz3d.scene.views.node_link.picks import LinkPick
from nnviz3d.scene.views.points.samples import PointPick


@pytest.mark.parametrize(
    ("pick", "layer"),
    [
        (CellPick("conv", (1, 2, 3)), "conv"),
        (HistoryPick("conv", "loss", 5), "conv"),
        (EdgePick("conv", "dense", (1,), (2,), 0.5), "dense"),
        (LinkPick("conv", "dense", "flatten", 1, 2), "dense"),
        (ScorePick(None, 0, 1, 2), None),
        (PointPick("dense", 3), None),
    ],
)
def test_layer_of_a_pick_is_its_own_layer_or_the_end_of_its_connection(pick, layer):
    assert pick.of_layer == layer
