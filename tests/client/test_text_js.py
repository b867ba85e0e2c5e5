"""Text in the browser stands where the VTK renderer puts it, for every bundled scene in wide and upright pictures."""

from __future__ import annotations

import base64
import io
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as PngFile

from nnviz3d.client.encoding import Encoder, Frame
from nnviz3d.render import placed_text as module
from nnviz3d.render.label_placement import PlacedLabel, Rect
from nnviz3d.render.offscreen import offscreen_window
from nnviz3d.render.panels import left_out_note
from nnviz3d.render.renderer import Renderer
from nnviz3d.render.steady_labels import _matrix
from nnviz3d.render.text import panel_sprite
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.colors import colormap
from nnviz3d.scene.panel_rows import (
    BarRow,
    CurveRow,
    GaugeRow,
    KeyRow,
    PictureRow,
    PicturesRow,
    Row,
    ScaleRow,
    SwatchRow,
    TextRow,
)
from nnviz3d.scene.primitives import Callout, DrawList, Label, Labels, Lines, Panel, Span, vector
from nnviz3d.scene.selection import Selection
from tests.support.client import page_with, send
from tests.support.gallery import READY
from tests.support.scenes import bundled_scene

pytestmark = pytest.mark.chromium

SIZES = (((1280, 720), 1.0), ((390, 844), 1.45))
"""Sizes of pictures, and factors of their text: a screen and a telephone."""
EXCEPTIONS = 0.004
"""Share of labels that may stand elsewhere: the browser measures a text a pixel wider, which decides whether it fits."""
_FONTS = """async (fonts) => {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  await client.loadFonts(...fonts.map(bytes));
}"""
_PLACE = """({ frame, matrix, size, scale }, told = false) => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = size;
  const layer = new client.TextLayer(canvas);
  layer.place(store.frame(frame), matrix, size, scale);
  return told ? canvas.getAttribute("aria-label") : layer.placed;
}"""

_DRAW = """({ frame, matrix, size, scale }) => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = size;
  new client.TextLayer(canvas).place(store.frame(frame), matrix, size, scale);
  const whole = document.createElement("canvas");
  [whole.width, whole.height] = size;
  whole.getContext("2d").fillRect(0, 0, ...size);
  whole.getContext("2d").drawImage(canvas, 0, 0);
  return whole.toDataURL().split(",")[1];
}"""
_MOVE = """({ frame, matrices, moving }) => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [1280, 720];
  const layer = new client.TextLayer(canvas);
  return matrices.map((matrix, k) => {
    layer.place(store.frame(frame), matrix, [1280, 720], 1, moving && k > 0);
    return layer.placed;
  });
}"""


@dataclass
class Placed:
    """Shown lines and rectangles of labels by their indices, and the rectangles of panels; left, bottom, right, top."""

    labels: dict[int, tuple[int, list[float]]]
    panels: list[list[float]]


@pytest.fixture(scope="module")
def page(chromium: Any) -> Iterator[Any]:
    page = page_with(chromium, "text.js", "fonts.js", "panels.js")
    folder = files("nnviz3d.render") / "fonts"
    texts = [
        base64.b64encode((folder / f"Inter-{weight}.otf").read_bytes()).decode() for weight in ("Regular", "SemiBold")
    ]
    page.evaluate(_FONTS, texts)
    yield page
    page.close()
    for size, factor in SIZES:
        vtk(size, factor).close()
    vtk.cache_clear()


@cache
def vtk(size: tuple[int, int], factor: float) -> Renderer:
    return Renderer(offscreen_window(size), scale=factor)


def texts_of(what: DrawList) -> DrawList:
    """Return the part of a picture that decides where text stands."""
    kept = (
        p for p in what.primitives if isinstance(p, Panel | Labels | Callout) or (isinstance(p, Lines) and p.avoided)
    )
    return replace(what, primitives=tuple(kept))


def placed_by_both(
    page: Any, what: DrawList, pose: CameraPose, size: tuple[int, int], factor: float
) -> tuple[Placed, Placed]:
    """Return where the VTK renderer and where the browser puts the text of a picture."""
    found: list[tuple[list[PlacedLabel], list[Rect]]] = []

    def watched(ways: Any, around: Any, size: Any, scale: Any, occupied: Any, lines: Any) -> Any:
        found.append((real(ways, around, size, scale, occupied, lines), list(occupied)))
        return found[-1][0]

    renderer, real = vtk(size, factor), module.place_labels
    module.place_labels = watched  # type: ignore[assignment]
    try:
        renderer.draw(what)
        renderer.look(pose)
        renderer.render()
        matrix, scale = renderer._matrix(), renderer.scale
    finally:
        module.place_labels = real
    labels, panels = found[-1]
    frame = sent(page, what)
    got = page.evaluate(_PLACE, {"frame": frame, "matrix": matrix.ravel().tolist(), "size": size, "scale": scale})
    return (
        Placed({one.index: (len(one.lines), corners(one.rect)) for one in labels}, [corners(rect) for rect in panels]),
        Placed({one["index"]: (one["count"], one["rect"]) for one in got["labels"]}, got["occupied"]),
    )


def sent(page: Any, what: DrawList) -> Frame:
    """Send a picture to the page, which forgets the earlier ones; returns its frame."""
    encoder = Encoder()
    frame = encoder.frame(what)
    page.evaluate("() => { window.store = new client.Store(); }")
    send(page, encoder)
    return frame


def corners(rect: Rect) -> list[float]:
    return [rect.left, rect.bottom, rect.left + rect.width, rect.bottom + rect.height]


def rect_of(corners: list[float]) -> Rect:
    left, bottom, right, top = corners
    return Rect(left, bottom, right - left, top - bottom)


def apart(one: list[float], other: list[float]) -> float:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def test_labels_and_panels_of_every_bundled_scene_are_where_vtk_puts_them(page: Any) -> None:
    total = 0
    elsewhere, broken = [], []
    for name in READY:
        for size, factor in SIZES:
            aspect = size[0] / size[1]
            scene = bundled_scene(name, aspect)
            what = texts_of(scene.at(scene.duration))
            pose = scene.camera(scene.duration, aspect=aspect)
            expected, found = placed_by_both(page, what, pose, size, factor)
            panels = sum(isinstance(p, Panel) for p in what.primitives)
            assert len(expected.panels) == len(found.panels) == panels > 0, (name, size)
            broken += [(name, size) for pair in zip(expected.panels, found.panels, strict=True) if apart(*pair) > 2]
            total += len(expected.labels)
            elsewhere += [
                (name, size, index)
                for index in expected.labels.keys() | found.labels.keys()
                if expected.labels.get(index, (0, []))[0] != found.labels.get(index, (0, []))[0]
                or apart(expected.labels[index][1], found.labels[index][1]) > 2
            ]
            rects = [rect_of(rect) for rect in (*(rect for _, rect in found.labels.values()), *found.panels)]
            assert not any(a.overlaps(b) for a, b in combinations(rects, 2)), (name, size)
    assert total > 600
    assert len(broken) <= 1, "a word may be in another line of a panel"
    assert len(elsewhere) <= EXCEPTIONS * total, elsewhere


@pytest.mark.parametrize(("name", "shown"), [("digits", 2), ("gradient_flow", 2)])
def test_small_picture_says_how_many_legends_are_left_out(page: Any, name: str, shown: int) -> None:
    scene, size = bundled_scene(name), (480, 300)
    what = texts_of(scene.at(scene.duration))
    expected, found = placed_by_both(page, what, scene.camera(scene.duration, aspect=1.6), size, 1.0)
    assert len(expected.panels) == len(found.panels) == shown + 1
    assert all(apart(*pair) <= 2 for pair in zip(expected.panels, found.panels, strict=True))
    panels = [p for p in what.primitives if isinstance(p, Panel)]
    note = left_out_note(panels, [10] * shown + [999] * (len(panels) - shown), size)
    assert note is not None
    (row,) = note.rows
    assert row.text == f"{shown} of {len(panels)} legends are shown; a larger picture shows all"
    in_page = page.evaluate(
        "([panels, size]) => client.leftOutNote(panels, size).rows[0].text",
        [[{"corner": p.corner, "height": 10 if k < shown else 999} for k, p in enumerate(panels)], size],
    )
    assert in_page == row.text


def test_legends_at_the_left_and_at_the_right_stand_apart(page: Any) -> None:
    scene = bundled_scene("examples")
    what = texts_of(scene.at(scene.duration, Selection(unfold="conv2d_1")))
    scale, connections, channels = (p for p in what.primitives if isinstance(p, Panel) and p.corner != "top-left")
    words = TextRow("examples were captured for conv2d_2, not for conv2d_1; these are its maps")
    what = DrawList((scale, connections, replace(channels, rows=(*channels.rows[:1], words))))
    for width in range(900, 1140, 15):
        pose = scene.camera(scene.duration, aspect=width / 764)
        for placed in placed_by_both(page, what, pose, (width, 764), 1.0):
            low = sorted(placed.panels, key=lambda rect: rect[0])
            assert all(b[0] - a[2] >= 8 for a, b in pairwise(low)), f"in {width} pixels they have no room between them"


def test_ticks_of_a_scale_are_not_written_over_each_other(page: Any) -> None:
    ends = ((0.0, "0.0352"), (1.0, "26.7"))
    for at, written in ((0.157, False), (0.93, False), (0.5, True)):
        pictures = []
        for text in ("0.1", ""):
            row = ScaleRow(colormap("viridis"), (ends[0], (at, text), ends[1]))
            what = DrawList((Panel("scale", "bottom-right", (row,)),))
            seen = {"matrix": np.eye(4).ravel().tolist(), "size": SIZES[0][0], "scale": 1.0}
            wanted = {"frame": sent(page, what), **seen}
            shown = PngFile.open(io.BytesIO(base64.b64decode(page.evaluate(_DRAW, wanted))))
            pictures.append((panel_sprite(what.primitives[0], 1.0, 400.0), np.asarray(shown.convert("RGB"))))
        (own, client), (without, client_without) = pictures
        assert np.array_equal(own, without) != written, at
        assert np.array_equal(client, client_without) != written, at


def test_words_of_callouts_are_where_vtk_puts_them(page: Any) -> None:
    scene = bundled_scene("digits")
    what = texts_of(scene.at(scene.duration))
    rows = (
        TextRow("dense[5]"),
        TextRow("activation 0.25 of at most 1, from row 3, column 4 of the layer before", "quiet"),
    )
    named = [label for p in what.primitives if isinstance(p, Labels) for label in p.labels if any(label.span)]
    for size, factor in SIZES:
        for k, label in enumerate(named[::2]):
            middle = vector(np.array(label.anchor) + np.array(label.span) / 2)
            path = np.array([label.anchor, middle, named[k - 1].anchor] if k % 2 else [], np.float32).reshape(-1, 3)
            callout = Callout("pick", (Span(middle, (0.1, 0.1, 0.1)),), rows, path)
            marked = replace(what, primitives=(*what.primitives, callout))
            pose = scene.camera(scene.duration, aspect=size[0] / size[1])
            expected, found = placed_by_both(page, marked, pose, size, factor)
            assert len(expected.panels) == len(found.panels)
            assert apart(expected.panels[-1], found.panels[-1]) <= 2, (size, label.lines)


def test_text_of_data_is_only_drawn(page: Any) -> None:
    hostile = "<img src=x onerror='window.hurt = true'><script>window.hurt = true</script>"
    labels = Labels("names", (Label((0.0, 0.0, 0.0), (hostile, "\u202e" + hostile, "\0")),))
    what = DrawList((labels, Panel("title", "top-left", (TextRow(hostile, "title"), BarRow(hostile, hostile, 0.5)))))
    before = page.evaluate("document.documentElement.outerHTML")
    pose = CameraPose((0.0, 0.0, 9.0), (0.0, 0.0, 0.0))
    placed_by_both(page, what, pose, (1280, 720), 1.0)
    assert page.evaluate("document.documentElement.outerHTML") == before
    assert page.evaluate("window.hurt") is None


def test_labels_stay_while_the_camera_moves(page: Any) -> None:
    changes: Counter[bool] = Counter()
    for name in ("features", "statistics"):
        scene = bundled_scene(name)
        first = scene.camera(scene.duration, aspect=16 / 9)
        eye, target = np.array(first.position), np.array(first.target)
        matrices = []
        for angle in np.linspace(0, math.radians(30), 61):
            back = turned(eye - target, angle)
            matrices.append(_matrix(replace(first, position=vector(target + back)), (1280, 720)).ravel().tolist())
        frame = sent(page, texts_of(scene.at(scene.duration)))
        for moving in (False, True):
            shown = page.evaluate(_MOVE, {"frame": frame, "matrices": matrices, "moving": moving})
            ways = [{(one["index"], one["count"], str(one["way"])) for one in placed["labels"]} for placed in shown]
            changes[moving] += sum(len(a ^ b) for a, b in pairwise(ways))
            assert len(ways[-1]) > 15
            for placed in shown[::6]:
                rects = [rect_of(rect) for rect in (*(one["rect"] for one in placed["labels"]), *placed["occupied"])]
                assert not any(a.overlaps(b) for a, b in combinations(rects, 2))
    assert changes[True] < changes[False] / 3


def turned(v: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    x, y, z = v
    return np.array([x * math.cos(angle) + z * math.sin(angle), y, z * math.cos(angle) - x * math.sin(angle)])


def every_row() -> DrawList:
    """Return a picture with every kind of row, a board, a callout and labels."""
    at = np.arange(50.0)
    values = np.exp(-at / 10) + 0.1 * np.sin(at)
    values[20:24] = np.nan
    pixels = np.random.default_rng(0).integers(0, 255, (8, 12, 3)).astype(np.uint8)
    gauges = GaugeRow(0.7, -1.0, 3.0, "0.7 dollars", ("−1", "3")), GaugeRow(2.5, -1.0, 3.0, "2.5", ("no", "yes"), 1.0)
    scale = ScaleRow(colormap("inferno"), ((0.0, "0"), (0.5, "half"), (1.0, "≥ end")), ((0.0, 0.25),))
    bars = (
        BarRow("golden retriever", "0.93", 0.93, strong=True),
        BarRow("a long name of a class, such as", "0.05", 0.05),
    )
    rows: dict[Any, tuple[Row, ...]] = {
        "top-left": (TextRow("Title", "title"), TextRow("text"), TextRow("quiet words " * 20, "quiet")),
        "top-right": bars,
        "bottom-left": (scale, SwatchRow((((1.0, 0.6, 0.3), "positive"), ((0.3, 0.6, 1.0), "negative")))),
        "bottom-right": (
            CurveRow(at, values, 30, ("step 0", "step 50")),
            PicturesRow((("in", pixels), ("out", pixels))),
        ),
        "middle": (
            TextRow("Keys", "title"),
            KeyRow("space", "play"),
            KeyRow("left, right", "step"),
            PictureRow(pixels),
        ),
        "bottom": gauges,
    }
    panels = [Panel(corner, corner, content) for corner, content in rows.items()]
    marks = Span((1.5, 0.4, 0.0), (0.01, 0.01, 0.01)), Span((1.2, 0.5, 0.0), (0.6, 0.3, 0.2))
    callout = Callout("pick", marks, (TextRow("dense[5]"), gauges[0]), np.zeros((0, 3), np.float32))
    named = Label((-3.0, -1.0, 0.0), ("dense", "Dense · 64"), span=(1.0, 1.0, 1.0))
    labels = named, Label((3.0, 0.0, 0.0), ("faint",), emphasis=0.2)
    return DrawList((*panels, callout, Labels("names", labels)), ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)))


@pytest.mark.parametrize(("size", "factor"), SIZES)
def test_every_kind_of_row_looks_as_in_the_picture_of_vtk(page: Any, size: tuple[int, int], factor: float) -> None:
    what = every_row()
    renderer = vtk(size, factor)
    renderer.draw(what)
    renderer.look(CameraPose((0.0, 0.0, 12.0), (0.0, 0.0, 0.0)))
    renderer.render()
    expected = renderer.pixels().astype(np.float64)
    frame = sent(page, what)
    matrix = renderer._matrix().ravel().tolist()
    text = page.evaluate(_DRAW, {"frame": frame, "matrix": matrix, "size": size, "scale": renderer.scale})
    found = np.asarray(PngFile.open(io.BytesIO(base64.b64decode(text))).convert("RGB")).astype(np.float64)
    # Rasterizers shade the edges of letters differently; in tiles of eight pixels words are grey areas.
    high, wide = size[1] // 8, size[0] // 8
    whole = (p[: 8 * high, : 8 * wide] for p in (expected, found))
    tiles = [p.reshape(high, 8, wide, 8, 3).mean(axis=(1, 3)) for p in whole]
    apart = np.abs(tiles[0] - tiles[1])
    assert apart.mean() < 1
    assert np.corrcoef(tiles[0].ravel(), tiles[1].ravel())[0, 1] > 0.99


def test_screen_readers_get_the_words_of_the_picture(page: Any) -> None:
    what = DrawList((Panel("p", "top-left", (TextRow("two words"), BarRow("cat", "0.5", 0.5))),))
    call = {"frame": sent(page, what), "matrix": np.eye(4).ravel().tolist(), "size": [640, 480], "scale": 1}
    assert page.evaluate(f"(call) => ({_PLACE})(call, true)", call) == "two words. cat. 0.5"
