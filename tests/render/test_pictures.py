"""Tests of whole pictures of the bundled scenes: full frames, readable text, expected colours."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PngFile

from nnviz3d.apps.open_target import opened
from nnviz3d.apps.target import ModelOptions
from nnviz3d.data.capture import Capture
from nnviz3d.render.offscreen import Offscreen
from nnviz3d.scene.primitives import Box, DrawList, Lines, Tiles
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import default_scene
from nnviz3d.scene.view import Beside
from nnviz3d.scene.views import BY_KIND
from nnviz3d.scene.views.landscape import LandscapeView
from tests.support.blocks import block, looking
from tests.support.gallery import READY
from tests.support.pinhole import to_pixels
from tests.support.shot import Shot

pytestmark = pytest.mark.slow

SIZES = [(1280, 720), (1920, 1080)]


@pytest.fixture(scope="module", params=[(name, size) for name in READY for size in SIZES], ids=str)
def shot(request) -> Shot:
    name, size = request.param

    def never(_):
        raise AssertionError("a bundled scene is shown without running its model")

    with opened(name, None, ModelOptions(), never) as found:
        scene = Scene.build(found.spec, found.capture, aspect=size[0] / size[1])
        return Shot(scene, size)


class TestBundled:
    def test_texts_do_not_overlap(self, shot):
        rects = [p.rect for p in shot.placed] + shot.panels
        assert len(rects) > 6
        assert not any(a.overlaps(b) for a, b in combinations(rects, 2))

    def test_all_texts_are_inside_the_picture(self, shot):
        width, height = (shot.size[0] * 2, shot.size[1] * 2)
        for rect in [p.rect for p in shot.placed] + shot.panels:
            assert rect.left >= 0
            assert rect.bottom >= 0
            assert rect.left + rect.width <= width
            assert rect.bottom + rect.height <= height

    def test_every_layer_or_channel_of_the_unfolded_layer_or_class_is_named(self, shot):
        graph = shot.scene.context.graph
        # A view beside the network takes the room of some names; the names of its own layers are shown.
        above = {
            "attention": lambda node: "Attention" in node.kind,
            "kernels": lambda node: "Conv" in node.kind,
            "history": lambda node: node.parameters > 0,
        }
        kinds = [view.kind for view in shot.scene.spec.views]
        beside = [kind for kind in kinds if isinstance(shot.scene.find(BY_KIND[kind]), Beside)]
        sources = (getattr(p, "source", None) for p in shot.scene.at(shot.scene.duration).primitives)
        own = {source.layer for source in sources if source is not None and source.view in beside}
        rules = [above.get(kind, lambda node: node.id in own) for kind in (*beside, *(k for k in kinds if k in above))]
        ends = (*graph.inputs, *graph.outputs)
        names = {n.name for n in graph if not rules or n.id in ends or any(rule(n) for rule in rules)}
        for tiles in (p for p in shot.scene.at(shot.scene.duration).primitives if isinstance(p, Tiles)):
            if tiles.name not in graph.inputs:
                names = {str(channel) for channel in tiles.channels}
        if shot.cloud:
            names = set(shot.scene.context.capture.classes)
        landscape = shot.scene.find(LandscapeView)
        if landscape is not None:  # it shows no layers, but names the step that it shows
            names = {f"step {landscape.landscape.steps[-1]:,}"}
        assert names <= {
            word.removesuffix(" dead").removesuffix(" inactive").removeprefix("→ ") for word in shot.words()
        }

    def test_scene_fills_the_picture(self, shot):
        ground = shot.pixels[:, :1].astype(int)
        drawn = np.abs(shot.pixels.astype(int) - ground).max(axis=2) > 24
        # A cloud of points is mostly empty, and about as wide as high.
        assert drawn.mean() > (0.05 if shot.cloud else 0.12), "draw more: a lower threshold, or another camera"
        rows, columns = np.nonzero(drawn)
        height, width = drawn.shape
        assert columns.max() - columns.min() > (0.6 if shot.cloud else 0.8) * width
        assert rows.max() - rows.min() > 0.8 * height


@pytest.fixture(scope="module", params=SIZES, ids=str)
def digits_shot(request, digits: Capture) -> Shot:
    size = request.param
    return Shot(Scene.build(default_scene("digits"), digits, aspect=size[0] / size[1]), size)


class TestDigits:
    def test_all_ten_classes_are_named_with_their_scores(self, digits_shot, digits):
        shown = [digits_shot.labels[p.index].lines[0] for p in digits_shot.placed if digits_shot.labels[p.index].small]
        assert sorted(line.split()[0] for line in shown) == sorted(digits.classes)

    def test_convolution_has_bright_colours_of_its_colour_map(self, digits_shot):
        part = digits_shot.part("conv2d")
        r, g, b = part[..., 0], part[..., 1], part[..., 2]
        strong = (r > 180) & (r > g + 30) & (g > b + 10)
        assert strong.mean() > 0.01
        assert (part.max(axis=2) > 60).mean() > 0.1

    def test_photo_of_the_digit_is_in_front(self, digits_shot):
        part = digits_shot.part("input")
        gray = np.ptp(part, axis=2) < 30
        assert ((part.min(axis=2) > 200) & gray).mean() > 0.02
        assert ((part.max(axis=2) < 20) & gray).mean() > 0.3

    def test_lines_before_the_last_layer_have_the_colours_of_both_signs(self, digits_shot):
        plan = digits_shot.scene.context.plan
        a, b = plan.placements["dense"], plan.placements["dense_1"]
        assert a.row == b.row
        gap = np.array([(a.origin[0] + a.size[0], a.center[1], 0), (b.origin[0], a.center[1], 0)])
        columns, rows = to_pixels(gap, digits_shot.pose, digits_shot.size).astype(int).T
        part = digits_shot.pixels[rows.min() - 60 : rows.max() + 60, columns[0] : columns[1]].astype(int)
        assert (part[..., 0] > part[..., 2] + 25).mean() > 0.02
        assert (part[..., 2] > part[..., 0] + 25).mean() > 0.02


def test_small_picture_equals_the_baseline():
    """Compare shading and antialiasing with one baseline, with a tolerance for the rounding of other rasterizers."""
    values = np.random.default_rng(12).random((8, 7, 6), dtype=np.float32)
    lines = Lines(
        "line", np.array([[(-6, 2, 5), (6, -3, -5)]], dtype=np.float32), np.ones((1, 4), dtype=np.float32), 2.0
    )
    frame = Box("frame", (-4.0, -3.5, -3.0), (8.0, 7.0, 6.0), (0.4, 0.8, 1.0), edge=0.8)
    what = DrawList((block(values, threshold=0.55), lines, frame))
    studio = Offscreen((96, 72))
    pixels = studio.picture(what, looking((-30.0, 18.0), 26.0)).astype(int)
    studio.close()
    file = Path(__file__).with_name("baseline.png")
    expected = np.asarray(PngFile.open(file)).astype(int)
    apart = np.abs(pixels - expected).max(axis=2)
    assert apart.mean() < 1.5
    assert (apart > 24).mean() < 0.01


def test_picture_changes_with_the_sample(digits: Capture):
    scene = Scene.build(default_scene(), digits)
    one, other = (Shot(scene, (320, 180), Selection(sample=s)).pixels for s in (0, 1))
    assert (one != other).any(axis=2).mean() > 0.01


def test_picture_changes_if_a_view_is_hidden(digits: Capture):
    spec = default_scene()
    whole = Shot(Scene.build(spec, digits), (320, 180)).pixels
    for left_out in range(len(spec.views)):
        views = tuple(view for k, view in enumerate(spec.views) if k != left_out)
        part = Shot(Scene.build(spec.model_copy(update={"views": views}), digits), (320, 180)).pixels
        assert (part != whole).any(axis=2).mean() > 0.01


def test_picture_of_a_deep_network_names_its_important_layers(long_capture: Capture):
    shot = Shot(Scene.build(default_scene().model_copy(update={"groups": "open"}), long_capture), (1280, 720))
    rects = [p.rect for p in shot.placed] + shot.panels
    assert not any(a.overlaps(b) for a, b in combinations(rects, 2))
    assert {"input", "predictions"} <= shot.words()
    assert len(shot.placed) > 15


@pytest.mark.parametrize("size", [(64, 64), (64, 640), (640, 64), (1000, 1000)], ids=str)
def test_picture_of_any_size_is_drawn(small_capture: Capture, size):
    pixels = Shot(Scene.build(default_scene(), small_capture, aspect=size[0] / size[1]), size).pixels
    assert pixels.shape == (size[1], size[0], 3)
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20
