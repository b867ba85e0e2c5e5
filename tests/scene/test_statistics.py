"""The view of histograms: bars, layout, figures, and bars of NaN and infinity."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from nnviz3d.analysis.statistics import layer_statistics
from nnviz3d.data.capture import Capture
from nnviz3d.render.offscreen import Offscreen
from nnviz3d.scene.colors import number
from nnviz3d.scene.hits import CellHit
from nnviz3d.scene.panel_rows import KeyRow, SwatchRow
from nnviz3d.scene.primitives import DrawList, Labels, Lines, Panel, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import LayerPick, Selection
from nnviz3d.scene.spec import parse_scene
from nnviz3d.scene.views.statistics import LEVELS, _slots, bars
from tests.support import captures
from tests.support.graphs import chain
from tests.support.number_words import read_number


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


def test_height_of_each_bar_follows_its_count(scene: Scene, small_capture: Capture):
    for node in small_capture.graph:
        found = layer_statistics(small_capture.activation(node.id, 1))
        drawn = blocks(scene.at(0, Selection(1)))[f"{node.id} (histogram)"].values[:, :, 0]
        heights = drawn.sum(axis=1)
        assert np.array_equal(drawn, np.arange(LEVELS) < heights[:, np.newaxis]), "bars have no holes"
        wanted = LEVELS * np.log1p(found.counts) / np.log1p(found.counts.max())
        assert (heights >= wanted - 1e-3).all()
        assert (heights < wanted + 1).all()
        assert heights.max() == LEVELS


def test_histograms_are_above_their_blocks_inside_the_picture_without_overlap(scene: Scene):
    found = blocks(scene.at(0))
    low, high = scene.extent().min(axis=0), scene.extent().max(axis=0)
    ends = []
    for name, place in scene.context.plan.placements.items():
        block = found[f"{name} (histogram)"]
        assert block.origin[1] >= place.origin[1] + place.size[1]
        assert block.origin[1] + block.size[1] <= high[1]
        assert block.origin[1] >= low[1]
        assert abs(block.origin[0] + block.size[0] / 2 - place.center[0]) < 3, "near its block"
        ends.append((place.row, block.origin[0], block.origin[0] + block.size[0]))
    for (row, _, end), (next_row, start, _) in pairwise(ends):
        assert row != next_row or end <= start


def test_figures_are_those_of_the_layer(scene: Scene, small_capture: Capture):
    (labels,) = [p for p in scene.at(0).primitives if isinstance(p, Labels) and p.name == "statistics"]
    pool = small_capture.activation("pool", 0).astype(np.float64)
    assert labels.labels[2].lines == (
        f"{number(pool.mean())} ± {number(pool.std())}",
        f"{(pool == 0).mean():.0%} zeros",
    )
    chosen = {row.key: row.text for row in panel(scene.at(0, Selection(layer="pool"))).rows if isinstance(row, KeyRow)}
    assert chosen["std"] == number(pool.std())
    assert np.float32(read_number(chosen["maximum"])) == pool.max()


def test_equal_arguments_give_the_same_primitives(scene: Scene):
    first, chosen = blocks(scene.at(0)), blocks(scene.at(3, Selection(layer="pool")))
    assert all(chosen[name].values is block.values for name, block in first.items())


def lines(picture: DrawList) -> dict[str, Lines]:
    return {p.name: p for p in picture.primitives if isinstance(p, Lines)}


def test_line_runs_from_each_block_to_its_histogram_on_one_level(scene: Scene):
    found, (leads, grounds) = blocks(scene.at(0)), lines(scene.at(0)).values()
    assert len(found) == len(leads.points) == len(grounds.points) == 6
    for block, place, lead, ground in zip(
        found.values(), scene.context.plan.placements.values(), leads.points, grounds.points, strict=True
    ):
        assert lead[0] == pytest.approx([place.center[0], place.origin[1] + place.size[1], place.center[2]], abs=1e-4)
        assert lead[-1] == pytest.approx(ground.mean(axis=0), abs=1e-4)
        assert ground[:, 0] == pytest.approx([block.origin[0], block.origin[0] + block.size[0]], abs=1e-4)
        assert ground[:, 1] == pytest.approx(block.origin[1])
    rows = {place.row for place in scene.context.plan.placements.values()}
    assert len({round(block.origin[1], 6) for block in found.values()}) == len(rows)


def test_histograms_appear_when_the_forward_pass_reaches_their_layers(small_capture: Capture):
    reveal = {"start": 1.0, "duration": 6.0}  # six ranks, one second each
    views = [{"kind": "activations", "reveal": reveal}, {"kind": "statistics"}]
    scene = Scene.build(parse_scene({"format": 1, "views": views}), small_capture)
    for t, shares in ((0.5, [0, 0, 0]), (2.25, [1, 0.25, 0]), (3.0, [1, 1, 0]), (7.0, [1, 1, 1])):
        picture = scene.at(t)
        found = blocks(picture)
        assert [found[f"{name} (histogram)"].reveal for name in ("input", "conv", "pool")] == shares
        assert [found[name].reveal for name in ("conv", "pool")] == shares[1:], "with their blocks"
        known = sum(found[f"{node.id} (histogram)"].reveal == 1 for node in small_capture.graph)
        told = next(p for p in picture.primitives if isinstance(p, Labels) and p.name == "statistics")
        assert len(told.labels) == known
        assert len(lines(picture)["statistics/leads"].points if known else ()) == known
    end, later = blocks(scene.at(7.0)), blocks(scene.at(8.0))
    assert all(later[name] is block for name, block in end.items())


def test_histograms_of_a_long_row_have_one_size_without_overlap(long_capture: Capture):
    plan = Scene.build(
        parse_scene({"format": 1, "groups": "open", "views": [{"kind": "statistics"}]}), long_capture
    ).context.plan
    slots = _slots(list(plan.placements.values()), 3.0)
    for line in {(p.row, p.lane) for p in plan.placements.values()}:
        held = [p for p in plan.placements.values() if (p.row, p.lane) == line]
        stood = sorted((slots[p.node] for p in held), key=lambda slot: slot.middle)
        assert len({(slot.width, slot.bottom) for slot in stood}) == 1
        assert all(b.middle - a.middle > a.width for a, b in pairwise(stood))
        assert stood[0].bottom > max(p.origin[1] + p.size[1] for p in held)
        order = sorted(held, key=lambda p: p.center[0])
        assert [slots[p.node] for p in order] == stood, "in the order of their blocks"


def test_pick_of_a_histogram_is_its_layer(scene: Scene):
    histogram = blocks(scene.at(0, Selection(1)))["pool (histogram)"]
    assert scene.pick(CellHit(histogram, (0, 0, 0)), Selection(1)) == LayerPick("pool")


def test_bar_of_nan_is_green(tmp_path):
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
