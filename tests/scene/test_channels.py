"""Unfolded channels: positions and content of the tiles, legends, and the dimming of other primitives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnviz3d.data.bundled import bundled
from nnviz3d.data.capabilities.examples import ChannelExamples, write_examples
from nnviz3d.data.capture import open_capture
from nnviz3d.data.graph import ModelGraph
from nnviz3d.errors import SceneError
from nnviz3d.scene.colors import colormap, limits_for
from nnviz3d.scene.derived.dead_channels import (
    dead_of,
    layers_with_examples,
    listed,
    silence_words,
    silent_channels,
)
from nnviz3d.scene.hits import TileHit
from nnviz3d.scene.primitives import Box, Callout, Labels, Lines, Panel, Tiles, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, Selection
from nnviz3d.scene.spec import parse_scene
from nnviz3d.scene.views.channels import ChannelsView
from tests.support import captures


def scene_of(capture, **channels) -> Scene:
    views = [{"kind": "structure"}, {"kind": "activations", "reveal": {"start": 0, "duration": 0}}]
    if channels:
        views.append({"kind": "channels", "unfold": {"start": 1, "duration": 2}, **channels})
    return Scene.build(parse_scene({"format": 1, "views": views}), capture)


def tiles_of(what) -> Tiles:
    (found,) = (p for p in what.primitives if isinstance(p, Tiles))
    return found


def test_channels_move_from_their_block_to_a_grid_that_faces_the_camera(digits):
    scene = scene_of(digits, layer="conv2d_2", order="index")
    assert not any(isinstance(p, Tiles) for p in scene.at(0.5).primitives)
    place = scene.context.placement("conv2d_2")
    start, end = tiles_of(scene.at(1.0 + 1e-6)), tiles_of(scene.at(3.0))
    assert np.allclose(start.size, place.size[:2], rtol=1e-3)
    assert np.allclose(start.origins[:, :2], place.origin[:2], atol=1e-3)
    # The first channel in front, as in the block.
    assert (np.diff(start.origins[:, 2]) < 0).all()
    assert place.origin[2] < start.origins[:, 2].min() < start.origins[:, 2].max() < place.origin[2] + place.size[2]
    # At the end in one plane that faces the camera, without overlap, over most of the height of the picture.
    pose = scene.camera(3.0, aspect=16 / 9)
    eye, ahead = np.array(pose.position), np.subtract(pose.target, pose.position)
    ahead /= np.linalg.norm(ahead)
    facing = np.cross(end.right, end.up)
    assert np.allclose(facing, -ahead, atol=1e-6)
    depth = (end.origins - eye) @ ahead
    assert np.ptp(depth) < 1e-4
    assert depth[0] < ((scene.context.plan.corners() - eye) @ ahead).min()
    half = np.tan(np.radians(pose.field_of_view / 2)) * depth[0]
    x, y = (end.origins - eye) @ np.array(end.right), (end.origins - eye) @ np.array(end.up)
    assert 1.2 < (y.max() + end.size[1] - y.min()) / half <= 1.4
    assert max(np.abs(x).max(), np.abs(x + end.size[0]).max()) < half * 16 / 9
    apart = (np.abs(x[:, None] - x) >= end.size[0]) | (np.abs(y[:, None] - y) >= end.size[1])
    assert (apart | np.eye(64, dtype=bool)).all()


def test_tile_shows_the_numbers_of_its_channel_and_legend_counts_channels(digits):
    scene = scene_of(digits, layer="conv2d_2")
    shown = scene.at(9.0, Selection(sample=3))
    tiles = tiles_of(shown)
    values = digits.activation("conv2d_2", 3)
    means = values.mean(axis=(0, 1))
    assert (np.diff(means[tiles.channels]) <= 1e-6).all()
    low, high = limits_for(scene.context.values("conv2d_2", 3).statistics, "layer")
    at = np.clip((values - low) / (high - low), 0, 1) * 256
    colors = colormap("inferno").table[np.minimum(at.astype(int), 255)]
    assert np.array_equal(tiles.pixels, colors.transpose(2, 0, 1, 3)[tiles.channels])
    (legend,) = (p for p in shown.primitives if isinstance(p, Panel) and p.name == "channels")
    dead = [channel for channel in range(64) if not values[..., channel].any()]
    silent = len(dead)
    assert silent > 0
    assert [row.text for row in legend.rows] == [
        "64 channels of conv2d_2, highest mean activation first",
        f"{silent} of them are 0 everywhere for this sample: {listed(dead)}",
    ]
    (labels,) = (p for p in shown.primitives if isinstance(p, Labels))
    assert [label.lines[0] for label in labels.labels] == [str(c) for c in tiles.channels]


def test_unchanged_primitives_are_the_same_objects(digits):
    scene = scene_of(digits, layer="conv2d_1")
    a, b = scene.at(1.5), scene.at(2.0)
    assert tiles_of(a).pixels is tiles_of(b).pixels
    assert not np.array_equal(tiles_of(a).origins, tiles_of(b).origins)
    late, later = scene.at(5.0), scene.at(6.0)
    for kind in (Tiles, Box, Voxels, Labels):
        pairs = zip(*([p for p in w.primitives if isinstance(p, kind)] for w in (late, later)), strict=True)
        assert all(p is q for p, q in pairs)


def test_other_primitives_are_dimmed_while_a_layer_is_unfolded(digits):
    scene = scene_of(digits, layer="conv2d_1", fold={"start": 5, "duration": 2})
    bright, faint, again = ([p for p in scene.at(t).primitives if isinstance(p, Voxels)] for t in (0.5, 4.0, 7.0))
    assert all(f.emphasis < 0.3 * b.emphasis for f, b in zip(faint, bright, strict=True))
    assert [b.emphasis for b in bright] == [a.emphasis for a in again]
    assert not any(isinstance(p, Tiles) for p in scene.at(7.0).primitives)
    assert scene.duration == 7.0


def test_selected_layer_is_unfolded_immediately(digits):
    scene = scene_of(digits)
    assert tiles_of(scene.at(0.0, Selection(unfold="conv2d"))).pixels.shape == (32, 26, 26, 3)
    assert not any(isinstance(p, Tiles) for p in scene.at(0.0, Selection(unfold="dense")).primitives)


def test_mistakes_are_refused_in_one_sentence(digits):
    with pytest.raises(SceneError, match=r"views\[2\].layer: there is no layer 'conv9'; those .* are input, conv2d, "):
        scene_of(digits, layer="conv9")
    with pytest.raises(SceneError, match=r"views\[2\].layer: dense has no maps"):
        scene_of(digits, layer="dense")
    with pytest.raises(SceneError, match=r"views\[2\].show: .* holds no features of conv2d; .* --features conv2d"):
        scene_of(digits, layer="conv2d", show="features")
    scene = scene_of(digits, layer="conv2d", order="contribution")
    with pytest.raises(SceneError, match="needs gradients of conv2d"):
        scene.at(9.0)
    with pytest.raises(SceneError, match=r"views\[0\]: features are of one layer"):
        parse_scene({"format": 1, "views": [{"kind": "channels", "show": "features"}]})


def test_last_layer_with_maps_unfolds_by_default(digits):
    assert tiles_of(scene_of(digits, order="mean").at(9.0)).name == "conv2d_2"


def test_features_are_at_their_channels_and_inactive_ones_are_dim_and_named():
    capture = open_capture(bundled("features.zarr.zip"))
    scene = scene_of(capture, layer="conv2d_2", show="features", order="index")
    shown = scene.at(9.0)
    tiles, found = tiles_of(shown), capture.features("conv2d_2")
    assert found.dead.any()
    assert not tiles.maps
    assert np.array_equal(tiles.channels, found.channels)
    light = tiles.pixels[..., 0].astype(float) / 255
    assert np.allclose(light[~found.dead], found.images[~found.dead, ..., 0], atol=0.5 / 255 + 1e-6)
    assert np.allclose(light[found.dead], found.images[found.dead, ..., 0] * 0.28, atol=0.5 / 255 + 1e-6)
    words = [label.lines[0] for p in shown.primitives if isinstance(p, Labels) for label in p.labels]
    assert words == [f"{c} inactive" if dead else str(c) for c, dead in zip(found.channels, found.dead, strict=True)]
    (legend,) = (p for p in shown.primitives if isinstance(p, Panel) and p.name == "channels")
    assert [row.text for row in legend.rows[:2]] == [
        f"{len(found.channels)} of 64 channels of conv2d_2",
        "those with captured pictures, by index",
    ]
    assert legend.rows[2].text.endswith(f"; {found.dead.sum()} inactive")
    assert legend.rows[3].text.startswith("inactive, 0 for its picture and for random ones: ")


def test_order_by_contribution_follows_gradient_times_activation(explained_capture):
    scene = scene_of(explained_capture, layer="conv", order="contribution")
    for sample in (0, 2):
        tiles = tiles_of(scene.at(9.0, Selection(sample=sample)))
        gradient = explained_capture.explanations(sample).gradient("conv")
        total = (gradient * explained_capture.activation("conv", sample)).sum(axis=(0, 1))
        assert (np.diff(total[tiles.channels]) <= 0).all()


def test_selection_overrides_the_scene_file():
    capture = open_capture(bundled("features.zarr.zip"))
    scene = scene_of(capture, layer="conv2d_2", show="features", order="mean")

    def tiles(**chosen) -> Tiles:
        return tiles_of(scene.at(9.0, Selection(**chosen)))

    assert not tiles().maps
    maps = tiles(channel_pictures="maps", channel_order="index")
    assert maps.maps
    assert list(maps.channels) == list(range(64))
    # A layer without features has only maps to show.
    other = tiles(unfold="conv2d_1", channel_pictures="features")
    assert (other.name, other.maps) == ("conv2d_1", True)
    assert not any(isinstance(p, Tiles) for p in scene.at(9.0, Selection(unfold="conv2d_2", unfolded=0.0)).primitives)
    half = tiles(unfold="conv2d_2", unfolded=0.5)
    assert np.ptp(half.origins[:, 0]) < np.ptp(tiles(unfold="conv2d_2").origins[:, 0])


def examples_capture(folder, *, pictures: bool = True):
    """Return the small capture with examples of its convolution: channel 2 is 0 for all samples."""
    random = np.random.default_rng(4)
    means = np.sort(random.uniform(0.1, 1, (4, 5)).astype(np.float32), axis=1)[:, ::-1].copy()
    means[2] = 0
    samples = np.array([[7, 3, 5, 2, 9], [3, 7, 2, 5, 9], [2, 3, 5, 7, 9], [9, 7, 5, 3, 2]])
    shown = random.integers(0, 256, (5, 6, 4, 3), dtype=np.uint8) if pictures else np.empty((0, 1, 1, 3), np.uint8)
    kept = ChannelExamples("conv", samples, means, np.array([2, 3, 5, 7, 9]), tuple("abcde"), shown, 10)
    values = captures.small_values()
    path = folder / f"examples{pictures}.zarr"
    return captures.write(path, relu_graph(), values, also=[lambda w: write_examples(w, kept)]), kept


def relu_graph() -> ModelGraph:
    """Return the small graph, whose convolution ends with a ReLU."""
    graph = captures.small_graph()
    nodes = (replace(node, activation="relu") if node.id == "conv" else node for node in graph)
    return replace(graph, nodes=tuple(nodes))


def test_tile_shows_the_four_samples_that_activate_its_channel_most(tmp_path):
    capture, kept = examples_capture(tmp_path)
    scene = scene_of(capture, layer="conv", show="examples", order="index")
    found = scene.at(9.0)
    tiles = tiles_of(found)
    assert not tiles.maps
    assert tiles.pixels.shape == (4, 15, 11, 3)
    assert [label.lines[0] for p in found.primitives if isinstance(p, Labels) for label in p.labels] == [
        "0",
        "1",
        "2 dead",
        "3",
    ]
    for channel, first in enumerate([3, 1, None, 4]):
        if first is None:
            assert tiles.pixels[channel].max() <= 0.28 * 255 + 1
            empty = tiles.pixels[channel][1:7, 1:5]
            assert (empty == empty[0, 0]).all(), "no sample activates it, so none is shown"
            continue
        picture = tiles.pixels[channel]
        places = [int(np.searchsorted(kept.shown, sample)) for sample in kept.samples[channel][:4]]
        assert places[0] == first
        parts = (picture[1:7, 1:5], picture[1:7, 6:10], picture[8:14, 1:5], picture[8:14, 6:10])
        assert all(np.array_equal(part, kept.thumbnails[k]) for part, k in zip(parts, places, strict=True))
        assert (picture[[0, 7, 14]] == picture[0, 0]).all()
    (legend,) = (p for p in found.primitives if isinstance(p, Panel) and p.name == "channels")
    for number, channel in enumerate(tiles.channels):
        pick = scene.pick(TileHit(tiles, number, 5, 5), Selection(sample=1))
        values = capture.activation("conv", 1)
        assert pick.index[2] == channel
        assert values[pick.index] == values[..., channel].max()
    assert [row.text for row in legend.rows[-2:]] == [
        "each channel: the 4 of 10 samples that activate it most; 1 dead",
        "dead, 0 for all 10 samples: 2",
    ]


def test_samples_that_do_not_activate_a_channel_are_no_examples_of_it(tmp_path):
    capture, kept = examples_capture(tmp_path)
    tiles = tiles_of(scene_of(capture, layer="conv", show="examples", order="index").at(9.0))
    rare = replace(kept, means=kept.means * np.array([1, 1, 0, 0, 0], np.float32))
    path = tmp_path / "rare.zarr"
    values = captures.small_values()
    also = [lambda writer: write_examples(writer, rare)]
    scene = scene_of(
        captures.write(path, relu_graph(), values, also=also), layer="conv", show="examples", order="index"
    )
    found = tiles_of(scene.at(9.0))
    assert np.array_equal(found.pixels[:, 1:7], tiles.pixels[:, 1:7])
    below = found.pixels[:, 8:14, 1:5]
    assert (below == below[0, 0, 0]).all()
    assert dead_of(scene.context, "conv").channels == (2,)


def test_dead_channels_are_said_as_far_as_is_known(tmp_path):
    capture, kept = examples_capture(tmp_path)
    context = scene_of(capture, layer="conv").context
    assert layers_with_examples(context) == ("conv",)
    found = dead_of(context, "conv")
    assert (found.channels, found.total, found.short, found.words) == ((2,), 4, "dead", "0 for all 10 samples")
    assert dead_of(context, "dense") is None
    values = capture.activation("conv", 1)
    silent = [channel for channel in range(4) if not values[..., channel].any()]
    pairs = dict(silent_channels(context, "conv", 1))
    assert pairs["channels 0 everywhere"].startswith(f"{len(silent)} of 4 for this sample")
    assert pairs["dead channels"] == "1 of 4, 0 for all 10 samples: 2"
    assert not silent_channels(context, "dense", 1)
    # The largest means of a layer with negative numbers do not tell the others.
    linear = replace(context.graph.node("conv"), activation="linear")
    assert silence_words(linear, kept) == ("never active", "0 or less in the mean for all 10 samples")
    assert listed(range(3)) == "0, 1, 2"
    assert listed(range(12)) == "0, 1, 2, 3, 4, 5, 6, 7 and 4 more"


def test_layer_without_the_chosen_pictures_says_which_layers_have_them(tmp_path):
    capture, _ = examples_capture(tmp_path)
    scene = scene_of(capture, layer="conv", show="examples")
    view = scene.get(ChannelsView)
    assert view.elsewhere("conv") == {}
    assert view.elsewhere("pool") == {"examples": "examples were captured for conv, not for pool"}

    def last_row(**chosen) -> str:
        shown = scene.at(9.0, Selection(**chosen)).primitives
        (legend,) = (p for p in shown if isinstance(p, Panel) and p.name == "channels")
        return legend.rows[-1].text

    assert last_row(unfold="pool") == "examples were captured for conv, not for pool; these are its maps"
    assert last_row(unfold="pool", channel_pictures="features") == "no features were captured; these are its maps"
    assert "captured" not in last_row(unfold="pool", channel_pictures="maps")


def test_examples_that_are_no_pictures_or_were_not_captured_are_refused_with_the_option(tmp_path, small_capture):
    for capture in (examples_capture(tmp_path, pictures=False)[0], small_capture):
        with pytest.raises(
            SceneError, match="no examples of conv; capture the model with --dataset and --examples conv"
        ):
            scene_of(capture, layer="conv", show="examples")


@pytest.mark.parametrize("look", [{"quantity": "gradient"}, {"normalize": "global"}, {"quantity": "difference"}])
def test_tiles_have_the_numbers_and_the_colours_of_their_block(explained_capture, look):
    scene = scene_of(explained_capture)
    chosen = Selection(
        unfold="conv", channel_order="index", against=1 if look.get("quantity") == "difference" else None
    )
    shown = scene.at(9.0, replace(chosen, **look))
    block = next(p for p in shown.primitives if isinstance(p, Voxels) and p.name == "conv")
    grid = scene.context.placement("conv").grid
    place = np.arange(np.prod(grid.shape)).reshape(grid.shape)
    numbers = block.values[tuple(grid.cells(place.reshape(-1)).T)].reshape(grid.shape)
    share = (numbers - block.limits[0]) / (block.limits[1] - block.limits[0])
    colors = block.colormap.table[np.minimum((np.clip(share, 0, 1) * 256).astype(int), 255)]
    assert np.ptp(tiles_of(shown).pixels) > 0
    assert np.array_equal(tiles_of(shown).pixels, colors.transpose(2, 0, 1, 3))
    legend = next(p for p in shown.primitives if isinstance(p, Panel) and p.name == "scale/0")
    assert legend.rows[0].text.endswith("conv"), "the scale is that of the unfolded layer"


def test_pick_is_marked_on_its_tile_while_the_layer_is_unfolded(digits):
    scene = scene_of(digits)
    chosen = Selection(unfold="conv2d_2", channel_order="index", pick=CellPick("conv2d_2", (2, 0, 12)))
    marks = [p for p in scene.at(9.0, chosen).primitives if p.name.startswith("pick")]
    (frame,) = (p for p in marks if isinstance(p, Lines))
    (words,) = (p for p in marks if isinstance(p, Callout))
    tiles = tiles_of(scene.at(9.0, chosen))
    corner, right, up = tiles.origins[12], np.array(tiles.right) * tiles.size[0], np.array(tiles.up) * tiles.size[1]
    corners = np.array([corner, corner + right, corner + right + up, corner + up])
    assert np.allclose(frame.points[:4, 0], corners, atol=1e-3)
    pixel = corner + right / 6 + up / 6
    inner = frame.points[4:].reshape(-1, 3).mean(axis=0)
    assert np.allclose(inner, pixel, atol=1e-3), "the last row is at the bottom, the first column at the left"
    assert words.rows == scene.mark(chosen.pick, 9.0, replace(chosen, unfold=None))[-1].rows
    # A pick in another layer has no callout over the tiles.
    other = replace(chosen, pick=CellPick("dense", (3,)))
    assert not [p for p in scene.at(9.0, other).primitives if isinstance(p, Callout)]
