"""The large photograph and its attribution map beside a network with a tiny input block."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from nnviz3d.apps.picking import pick_at, say
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capabilities.attributions import Attribution, write_attribution, write_attribution_layers
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.data.targets import PREDICTED, Explained, Target, write_targets
from nnviz3d.data.upsample import upsampled
from nnviz3d.render.offscreen import Offscreen
from nnviz3d.scene.panel_rows import BarRow, ScaleRow
from nnviz3d.scene.primitives import Callout, Image, Labels, Panel
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, Selection
from nnviz3d.scene.spec import parse_scene, read_scene
from tests.support.captures import write
from tests.support.graphs import chain
from tests.support.number_words import read_number
from tests.support.pinhole import pixel_at, to_frame

LAYERS, SIDE, CLASSES = 118, 112, tuple(f"kind {i}" for i in range(1000))
OTHER = Target("scores", 7)
SIZES = [(1280, 720), (1920, 1080), (1000, 1000), (800, 1200)]
LEAST = 0.05
"""Minimum share of the map in a picture, for any shape and any length of the network."""


def maps() -> dict[str, np.ndarray]:
    """A map of the input, strong on the left with one outlier; a map of a layer, strong at row 1, column 4."""
    coarse, fine = np.zeros((6, 6), np.float32), np.zeros((SIDE, SIDE), np.float32)
    coarse[1, 4], fine[:, :8], fine[0, 0] = 2.5, 1.25, 50
    return {"conv100": coarse, "image": fine}


@pytest.fixture(scope="module")
def capture(tmp_path_factory) -> Capture:
    """A network of 120 layers for a picture whose upper half is red."""
    convolutions = [(f"conv{i}", "Conv2D", (6, 6, 4)) for i in range(LAYERS)]
    graph = chain([("image", "InputLayer", (SIDE, SIDE, 3)), *convolutions, ("scores", "Dense", (1000,))])
    random = np.random.default_rng(3)
    picture = np.full((1, SIDE, SIDE, 3), 40, np.uint8)
    picture[:, : SIDE // 2, :, 0] = 230
    scores = random.dirichlet(np.ones(1000), 1).astype(np.float32)
    best = int(scores[0].argmax())

    def also(writer) -> None:
        writer.write_pictures("image", picture)
        for slot, index in ((PREDICTED, best), (OTHER.slot, OTHER.index)):
            write_targets(writer, slot, "scores", np.array([index]), np.array([3.5]), scores[:, index])
            for method, layer in (("grad_cam", "conv100"), ("vanilla", "image")):
                write_attribution_layers(writer, method, slot, [layer])
                values = maps()[layer] if slot == PREDICTED else maps()[layer][::-1, ::-1]
                empty = np.empty(0, np.float32)
                explained = Explained(slot, Target("scores", index), 0.0, None)
                found = Attribution(method, layer, values, explained, {}, empty, empty, empty)
                write_attribution(writer, slot, [found])

    values = {
        "image": random.random((1, SIDE, SIDE, 3), dtype=np.float32),
        "conv0": random.random((1, 6, 6, 4), dtype=np.float32),
        "scores": scores,
    }
    return write(tmp_path_factory.mktemp("plates") / "run.zarr", graph, values, also=[also], classes=CLASSES)


def spec(*others: str, **view: object):
    views = [*({"kind": kind} for kind in ("structure", *others)), {"kind": "attributions", **view}]
    return parse_scene({"format": 1, "groups": "open", "views": views})


@pytest.fixture(scope="module")
def scene(capture) -> Scene:
    return Scene.build(spec("activations"), capture)


def of(kind, scene: Scene, t: float | None = None, **selected):
    found = scene.at(scene.duration if t is None else t, Selection(**selected)).primitives
    return {p.name: p for p in found if isinstance(p, kind)}


def corners(image: Image) -> np.ndarray:
    x, y, z = image.origin
    width, height = image.size
    return np.array([[x, y, z], [x + width, y, z], [x + width, y + height, z], [x, y + height, z]])


def area(polygon: np.ndarray) -> float:
    x, y = polygon.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def pixel(image: Image, row: int, column: int, scene: Scene, size: tuple[int, int]) -> tuple[int, int]:
    """Row and column in the picture of a pixel of an image."""
    x, y, z = image.origin
    across, up = (column + 0.5) / SIDE * image.size[0], (1 - (row + 0.5) / SIDE) * image.size[1]
    return pixel_at((x + across, y + up, z), scene.camera(99.0, aspect=size[0] / size[1]), size)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_photograph_and_map_take_their_share_of_the_picture_and_cover_nothing(capture, size):
    aspect = size[0] / size[1]
    scene = Scene.build(spec("activations"), capture, aspect=aspect)
    pose = scene.camera(99.0, aspect=aspect)
    large = [image for name, image in of(Image, scene).items() if name.startswith("large")]
    assert len(large) == 2
    seen = [to_frame(corners(image), pose, aspect) for image in large]
    for polygon in seen:
        assert area(polygon) / 4 >= LEAST
        assert np.abs(polygon).max() <= 1
    blocks = [to_frame(scene.context.plan.corners([node.id]), pose, aspect) for node in scene.context.graph]
    boxes = [(p.min(axis=0), p.max(axis=0)) for p in (*seen, *blocks)]
    for i, (low, high) in enumerate(boxes[:2]):
        for other_low, other_high in boxes[i + 1 :]:
            assert (other_low >= high).any() or (other_high <= low).any()


def test_network_with_a_large_input_has_no_photograph():
    scene = Scene.build(read_scene(bundled("decisions.toml")), open_capture(bundled("decisions.zarr.zip")))
    assert sorted(of(Image, scene)) == ["input", "map:conv2d_1", "map:input"]


def test_photograph_is_drawn_and_map_is_bright_where_it_is_strong(scene):
    size = (960, 540)
    off = Offscreen(size)
    picture = off.picture(scene.at(99.0), scene.camera(99.0, aspect=16 / 9)).astype(int)
    off.close()
    large = of(Image, scene)
    red = picture[pixel(large["large:image"], 20, 70, scene, size)]
    dark = picture[pixel(large["large:image"], 92, 70, scene, size)]
    assert red[0] > red[1] + 120
    assert dark.max() < 60
    strong = picture[pixel(large["large map:image"], 28, 84, scene, size)]
    weak = picture[pixel(large["large map:image"], 28, 9, scene, size)]
    assert strong.sum() > weak.sum() + 200, "the map counts at row 1 and column 4 of 6"
    assert np.ptp(weak) < 12, "elsewhere the grey picture is seen"


def test_map_follows_the_method_and_the_class(scene):
    seen = {}
    for method in ("grad_cam", "vanilla"):
        for target in (None, OTHER):
            seen[method, target] = of(Image, scene, method=method, target=target)["large map:image"].pixels
            (label,) = of(Labels, scene, method=method, target=target)["map"].labels
            assert label.lines[0].startswith(CLASSES[7 if target else 0].split()[0])
            assert label.lines[1] == ("Grad-CAM, at conv100" if method == "grad_cam" else "Gradient")
            assert ("kind 7 " in label.lines[0]) == (target is OTHER)
    assert (seen["vanilla", None][:, :8].astype(int).sum(axis=2) > 400).all()
    assert (seen["vanilla", OTHER][:, -8:].astype(int).sum(axis=2) > 400).all()
    assert not np.array_equal(seen["grad_cam", None], seen["vanilla", None])


def test_single_strong_pixel_does_not_darken_the_map(scene):
    ends = {}
    for method in ("grad_cam", "vanilla"):
        (scale,) = (row for row in of(Panel, scene, method=method)["attribution"].rows if isinstance(row, ScaleRow))
        ends[method] = scale.ticks[2][1]
    assert ends == {"grad_cam": "≥ 2.5", "vanilla": "≥ 1.25"}


def test_photograph_is_shown_from_the_start_and_map_after_the_forward_pass(scene):
    assert set(of(Image, scene, t=0.0)) >= {"large:image"}
    assert "large map:image" not in of(Image, scene, t=0.0)
    assert of(Image, scene)["large map:image"].opacity == 1


def test_panel_lists_five_of_a_thousand_scores(scene, capture):
    bars = [row for row in of(Panel, scene)["scores"].rows if isinstance(row, BarRow)]
    best = np.argsort(-capture.activation("scores", 0))[:5]
    assert [bar.text for bar in bars] == [CLASSES[i] for i in best]


@pytest.mark.parametrize("name", ["large:image", "large map:image"])
def test_pick_has_the_exact_numbers_and_marks_on_photograph_and_map(scene, capture, name):
    size = (1280, 720)
    pose = scene.camera(99.0, aspect=16 / 9)
    renderer = SimpleNamespace(pose=lambda: pose, size=size)
    fine = upsampled(maps()["conv100"][np.newaxis], (SIDE, SIDE))[0]
    for row, column in ((0, 0), (26, 81), (SIDE - 1, 20)):
        session = SimpleNamespace(scene=scene, selection=Selection(), clock=SimpleNamespace(t=99.0), renderer=renderer)
        y, x = pixel(of(Image, scene)[name], row, column, scene, size)
        assert pick_at(session, (x + 0.5, y + 0.5)) == CellPick("image", (row, column))
        session.selection = Selection(pick=CellPick("image", (row, column)))
        found = scene.describe(session.selection.pick, session.selection)
        parts = dict(found.parts)
        assert np.float32(read_number(parts["Grad-CAM, interpolated"])) == fine[row, column]
        assert np.float32(read_number(parts["Gradient"])) == maps()["image"][row, column]
        stored = capture.activation("image", 0)[row, column]
        assert [np.float32(read_number(n)) for n in parts["activation"].split(", ")] == list(stored)
        assert f"pixel {'red 230, green 40, blue 40' if row < SIDE // 2 else '40 of 255'}" in found.more
        assert "Grad-CAM, interpolated" in say(session)
        marks = of(Callout, scene, pick=session.selection.pick)["pick"].marks
        assert len(marks) == 3, "on the picture, on its map, and at the input itself"
        for mark in marks[:2]:
            middle = tuple(o + s / 2 for o, s in zip(mark.origin[:2], mark.size[:2], strict=True))
            images = of(Image, scene)
            assert any(
                pixel_at((*middle, mark.origin[2]), pose, size) == pixel(images[other], row, column, scene, size)
                for other in ("large:image", "large map:image")
            )
