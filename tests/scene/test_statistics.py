"""The histograms stand on their blocks, count what is there, and what is no number stands out in green."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from nnviz3d.analysis.statistics import layer_statistics
from nnviz3d.apps.pointing import _meant
from nnviz3d.data.capture import Capture
from nnviz3d.render.offscreen import Offscreen
from nnviz3d.render.picking import CellHit
from nnviz3d.scene.colors import number
from nnviz3d.scene.primitives import DrawList, KeyRow, Labels, Panel, SwatchRow, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import LayerPick, Selection
from nnviz3d.scene.spec import parse_scene
from nnviz3d.scene.views.statistics import LEVELS, bars, histogram_of
from tests.support import captures
from tests.support.graphs import chain


def built(capture: Capture) -> Scene:
    return Scene.build(parse_scene({"format": 1, "views": [{"kind": "statistics"}]}), capture)


def blocks(picture: DrawList) -> dict[str, Voxels]:
    return {p.name: p for p in picture.primitives if isinstance(p, Voxels)}


def panel(picture: DrawList) -> Panel:
    (found,) = [p for p in picture.primitives if isinstance(p, Panel) and p.name == "statistics"]
    return found


@pytest.fixture(scope="module")
def scene(small_capture: Capture) -> Scene:
    return built(small_capture)


def test_each_bar_is_as_high_as_its_count_says(scene: Scene, small_capture: Capture):
    for node in small_capture.graph:
        found = layer_statistics(small_capture.activation(node.id, 1))
        drawn = blocks(scene.at(0, Selection(1)))[histogram_of(node.id)].values[:, :, 0]
        heights = drawn.sum(axis=1)
        assert np.array_equal(drawn, np.arange(LEVELS) < heights[:, np.newaxis]), "bars have no holes"
        wanted = LEVELS * np.log1p(found.counts) / np.log1p(found.counts.max())
        assert (heights >= wanted - 1e-3).all()
        assert (heights < wanted + 1).all()
        assert heights.max() == LEVELS


def test_they_stand_above_their_blocks_within_the_picture_and_apart(scene: Scene):
    found = blocks(scene.at(0))
    low, high = scene.extent().min(axis=0), scene.extent().max(axis=0)
    ends = []
    for name, place in scene.stage.plan.placements.items():
        block = found[histogram_of(name)]
        assert block.origin[1] >= place.origin[1] + place.size[1]
        assert block.origin[1] + block.size[1] <= high[1]
        assert block.origin[1] >= low[1]
        assert block.origin[0] + block.size[0] / 2 == pytest.approx(place.center[0])
        ends.append((place.row, block.origin[0], block.origin[0] + block.size[0]))
    for (row, _, end), (next_row, start, _) in pairwise(ends):
        assert row != next_row or end <= start


def test_figures_are_the_layer_s(scene: Scene, small_capture: Capture):
    (labels,) = [p for p in scene.at(0).primitives if isinstance(p, Labels) and p.name == "statistics"]
    pool = small_capture.activation("pool", 0).astype(np.float64)
    assert labels.labels[2].lines == (f"{number(pool.mean())} ± {number(pool.std())} · {(pool == 0).mean():.0%} zeros",)
    chosen = {row.key: row.text for row in panel(scene.at(0, Selection(layer="pool"))).rows if isinstance(row, KeyRow)}
    assert chosen["std"] == number(pool.std())
    assert np.float32(chosen["maximum"]) == pool.max()


def test_nothing_is_made_anew_while_nothing_changes(scene: Scene):
    first, chosen = blocks(scene.at(0)), blocks(scene.at(3, Selection(layer="pool")))
    assert all(chosen[name].values is block.values for name, block in first.items())


def test_a_histogram_means_its_layer(scene: Scene):
    assert _meant(scene.stage, CellHit(histogram_of("pool"), (0, 0, 0))) == LayerPick("pool")


def test_nan_stands_out_in_green(tmp_path):
    graph = chain([("input", "InputLayer", (9,)), ("dense", "Dense", (9,))])
    values = {"input": np.arange(9)[np.newaxis], "dense": np.array([[1, 2, np.nan, np.nan, np.inf, 3, 3, 3, 4]])}
    capture = captures.write(tmp_path / "nan.zarr", graph, {k: v.astype(np.float32) for k, v in values.items()})
    found = bars(layer_statistics(capture.activation("dense", 0)))[:, :, 0]
    assert (np.isnan(found).any(axis=1).sum(), np.isinf(found).any(axis=1).sum()) == (2, 2)
    scene = built(capture)
    swatches = [text for row in panel(scene.at(0)).rows if isinstance(row, SwatchRow) for _, text in row.swatches]
    assert swatches == ["2 NaN", "1 infinite"]
    studio = Offscreen((480, 270), antialias=False)
    pixels = studio.picture(DrawList(tuple(blocks(scene.at(0)).values())), scene.overview(aspect=480 / 270)).astype(int)
    studio.close()
    red, green, blue = np.moveaxis(pixels, -1, 0)
    broken = (green > red + 60) & (green > blue + 40)
    whole = (blue > green) & (green > red) & (blue > 120)
    assert broken.sum() > 20
    assert whole.sum() > 200
    assert np.nonzero(broken)[1].min() > np.median(np.nonzero(whole)[1]), "to the right of the numbers"
