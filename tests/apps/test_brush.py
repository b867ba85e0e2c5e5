"""Brush and eraser of the window, and the pixels of their strokes."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from nnviz3d.apps.paint_strokes import Stroke, usual_color, usual_radius
from nnviz3d.apps.painting import NOTHING_TO_PAINT
from nnviz3d.apps.session import Session
from nnviz3d.apps.window.controls import Controls
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from nnviz3d.scene.primitives import Image as Picture
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import default_scene, parse_scene
from tests.apps.test_painting import PICTURE, model, session  # noqa: F401 - fixtures
from tests.support import pinhole
from tests.support.window_status import status_lines

SIZE = (900, 600)


def covered(shape: tuple[int, int], path: list[tuple[float, float]], radius: float, *, soft: bool) -> np.ndarray:
    """Return the share of each pixel that a round brush covers along a path, by the distance of its centre."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    away = np.full(shape, np.inf)
    for (ax, ay), (bx, by) in itertools.pairwise(path):
        for share in np.linspace(0, 1, 4001):
            away = np.minimum(away, np.hypot(columns - ax - share * (bx - ax), rows - ay - share * (by - ay)))
    return np.clip(radius + 0.5 - away, 0, 1) if soft else (away <= radius).astype(float)


@pytest.mark.parametrize("shape", [(20, 24), (70, 64)])
def test_stroke_paints_what_lies_within_the_radius_of_its_path(shape):
    base = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    path = [(3.3, 4.1), (14.5, 9.2), (14.5, 30.0)]
    stroke = Stroke(base, np.zeros((*shape, 4), np.uint8), 2.2, (250, 10, 90))
    for point in path:
        stroke.lead(*point)
    share = covered(shape, path, 2.2, soft=min(shape) < 64)[..., np.newaxis]
    painted = stroke.paint[..., 3:] > 0
    # Dabs are a third of the radius apart, so the rim may lack some hundredths of a pixel.
    assert painted[share > 0.06].all()
    assert not painted[share <= 0].any()
    expected = base + (np.array([250, 10, 90]) - base.astype(float)) * share
    assert (
        np.abs(stroke.paint[..., :3] - expected)[np.broadcast_to(painted & (share > 0.06), expected.shape)].max() < 16
    )
    assert (stroke.paint[share[..., 0] == 1] == [250, 10, 90, 255]).all()
    eraser = Stroke(base, stroke.paint, 4.0, None)
    for point in path:
        eraser.lead(*point)
    assert not eraser.paint.any()
    assert stroke.paint.any(), "the earlier paint stays for undo"


def test_stroke_beside_the_picture_and_on_its_rim_is_cut():
    stroke = Stroke(np.zeros((10, 10, 3), np.uint8), np.zeros((10, 10, 4), np.uint8), 1.0, (9, 9, 9))
    stroke.lead(-30.0, -30.0)
    assert not stroke.paint.any()
    stroke.lead(0.0, 0.0)
    assert stroke.paint[0, 0, 3] == 255
    assert not stroke.paint[3:, :, 3].any()


def test_usual_colour_is_seen_on_the_picture():
    assert usual_color(np.zeros((4, 4, 3), np.uint8), grey=True) == (255, 255, 255)
    assert usual_color(np.full((4, 4, 3), 200, np.uint8), grey=True) == (0, 0, 0)
    assert usual_color(np.full((4, 4, 3), 200, np.uint8), grey=False) == (128, 128, 128)
    assert (usual_radius(28), usual_radius(2), usual_radius(224)) == (1.0, 0.75, 8.0)


@pytest.fixture
def window(session):  # noqa: F811
    pose = session.scene.overview(aspect=SIZE[0] / SIZE[1])
    session.renderer = SimpleNamespace(size=SIZE, pose=lambda: pose, look=lambda _: None)
    return Controls(session, save=str, write=str, printed=print)


def press(window: Controls, key: str) -> None:
    window.follow({"type": "KeyPress", "key": key, "shiftKey": key.isupper(), "repeat": False}, 0.0)  # type: ignore[typeddict-item]


def drag(window: Controls, *pixels: tuple[int, int], end: bool = True) -> None:
    """Drag the left button over pixels of the input, by row and column."""
    place = window._session.scene.context.placement("input")
    (x, y, z), (width, height, depth) = place.origin, place.size
    rows, columns = PICTURE.shape[1:3]
    front = z + depth + 0.02 * width
    world = [(x + (c + 0.5) / columns * width, y + (1 - (r + 0.5) / rows) * height, front) for r, c in pixels]
    at = pinhole.to_pixels(np.array(world), window._session.renderer.pose(), SIZE)
    kinds = ["LeftButtonPress", *["MouseMove"] * (len(at) - 1), *["LeftButtonRelease"] * end]
    for kind, (across, down) in zip(kinds, [*at, at[-1]], strict=False):
        window.follow({"type": kind, "x": across, "y": SIZE[1] - down, "shiftKey": False, "controlKey": False}, 0.0)  # type: ignore[typeddict-item]


def sent(model) -> np.ndarray:  # noqa: F811
    """Return the paint of the newest request."""
    return np.asarray(Image.open(model.asked[-1].insights.interventions[0].picture))


def test_drag_over_the_input_paints_and_erases_and_is_undone(window, session, model):  # noqa: F811
    press(window, "P")
    (shown,) = window.drawn()
    assert isinstance(shown, Picture)
    assert np.array_equal(shown.pixels, np.repeat(PICTURE[0], 3, axis=2))
    drag(window, (2, 1), (2, 4), end=False)
    assert len(model.asked) == 1, "the model runs while the mouse is down"
    drag(window, (2, 4), (2, 6))
    paint = sent(model)
    assert (paint[2, 4:7, 3] == 255).all()
    assert not paint[5:, :, 3].any()
    assert (paint[2, 4:7, :3] == usual_color(shown.pixels, grey=True)).all()
    (shown,) = window.drawn()
    assert np.array_equal(shown.pixels[2, 5], paint[2, 5, :3])
    assert np.array_equal(shown.pixels[6], np.repeat(PICTURE[0], 3, axis=2)[6])
    press(window, "P")
    drag(window, (1, 0), (1, 8), (2, 8), (2, 0), (3, 0), (3, 8))
    assert session.interventions.listed == (), "nothing is left of the paint"
    press(window, "D")
    assert np.array_equal(sent(model), paint)
    press(window, "Escape")
    assert not window.drawn()


def test_drag_beside_the_input_turns_the_scene(window, model):  # noqa: F811
    press(window, "P")
    for kind, x in (("LeftButtonPress", 880), ("MouseMove", 840), ("LeftButtonRelease", 840)):
        window.follow({"type": kind, "x": x, "y": 20, "shiftKey": False, "controlKey": False}, 0.0)  # type: ignore[typeddict-item]
    assert window.by_hand
    assert not model.asked


def test_paint_of_a_sample_is_not_put_on_another_one(window, session, model):  # noqa: F811
    press(window, "P")
    drag(window, (2, 1), end=False)
    asked = len(model.asked)
    session._frame.select_sample(1)
    session.queries.cancel()
    window._brush._position = 0
    drag_end = {"type": "LeftButtonRelease", "x": 0, "y": 0, "shiftKey": False, "controlKey": False}
    window.follow(drag_end, 0.0)
    assert len(model.asked) == asked


def test_scene_without_a_picture_says_so():
    for capture, views, words in (
        ("embedding", [{"kind": "embedding"}], "This scene shows no picture to paint over"),
        ("digits", [{"kind": "activations"}], NOTHING_TO_PAINT),
    ):
        spec = parse_scene({"format": 1, "views": views}) if capture == "embedding" else default_scene()
        scene = Scene.build(spec, open_capture(bundled(f"{capture}.zarr.zip")))
        window = Controls(Session(scene, SimpleNamespace()), save=str, write=str, printed=print)
        press(window, "P")
        assert status_lines(window)[0].startswith(words)
        assert window._brush.tool is None
