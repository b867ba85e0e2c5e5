"""Tests of the window: the real command on a real X server, with real keys and clicks."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image, ImageGrab

from nnviz3d.apps.pick_explanation import explanation_of, explanation_rows
from nnviz3d.apps.target import bundled_scenes
from nnviz3d.apps.window.keys import KEYS, described
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from nnviz3d.render.picking import pick
from nnviz3d.render.text import Sprite, board_sprite
from nnviz3d.scene.hits import CellHit, LineHit, PixelHit
from nnviz3d.scene.panel_rows import KeyRow, Row, TextRow
from nnviz3d.scene.primitives import Callout, Lines, Tiles, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, Selection
from nnviz3d.scene.spec import default_scene, read_scene
from nnviz3d.scene.story.captions import story_of
from nnviz3d.scene.story.stop import StoryStop
from nnviz3d.scene.tours.story import caption_of
from tests.support import captures, waiting
from tests.support.graphs import chain
from tests.support.number_words import read_number
from tests.support.pinhole import to_pixels
from tests.support.recorder import OtherProcess
from tests.support.screen import shows

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Xvfb is for Linux")
SIZE = (900, 600)
SCREEN = (1000, 700)
PATIENCE = 60.0
wait_until = partial(waiting.wait_until, patience=PATIENCE, pause=0.05)


@contextlib.contextmanager
def x_server() -> Iterator[str]:
    """Start an X server on a free display number; yields the display's name."""
    for tool in ("Xvfb", "xdotool"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed: apt install xvfb xdotool")
    read, write = os.pipe()
    screen = f"{SCREEN[0]}x{SCREEN[1]}x24"
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", screen, "-nolisten", "tcp", "-noreset"],
        pass_fds=(write,),
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as pipe:
        name = f":{pipe.readline().strip()}"
    try:
        yield name
    finally:
        server.terminate()
        server.wait()


def on_display(display: str) -> dict[str, str]:
    """Return the environment of a command that opens its windows on a display.

    Tests that drew off screen in this process have set a variable that makes VTK draw off screen in its children too.
    """
    return {k: v for k, v in os.environ.items() if k != "VTK_DEFAULT_OPENGL_WINDOW"} | {"DISPLAY": display}


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    """A display for windows that are opened one after another."""
    with x_server() as name:
        yield name


def words(*texts: str, style: Literal["text", "quiet"] = "text") -> Sprite:
    """Return the pixels of a panel with these rows in the window."""
    return board(tuple(TextRow(text, style) for text in texts))


def board(rows: tuple[Row, ...]) -> Sprite:
    return board_sprite(rows, max(0.6, min(SIZE[0] / 1280, SIZE[1] / 720)), 2000.0)


def help_board() -> Sprite:
    """Return the pixels of the help in the window."""
    rows = tuple(KeyRow(label, words) for label, words in described())
    sprite = board_sprite(rows, max(0.6, min(SIZE[0] / 1280, SIZE[1] / 720)), 0.9 * SIZE[0], SIZE[1])
    assert sprite.shape[0] <= SIZE[1]
    return sprite


class Shown:
    """A running `nnviz3d show`."""

    def __init__(
        self,
        display: str,
        folder: Path,
        *arguments: str,
        size: tuple[int, int] = SIZE,
        hints: Sequence[str] = ("h: keys",),
    ) -> None:
        self.display = display
        self.environment = on_display(display) | {"XDG_STATE_HOME": str(folder.resolve() / ".state")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nnviz3d", "show", "--size", f"{size[0]}x{size[1]}", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=self.environment,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._readers = [
            threading.Thread(target=lambda: self.lines.extend(self.process.stdout or ()), daemon=True),
            threading.Thread(target=lambda: self.errors.extend(self.process.stderr or ()), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        self.window = ""
        wait_until(self._find, "the window is there")
        wait_until(lambda: self.says(*hints), "the picture is there, with its hint")
        self.move(5, 5)  # without a window manager keys go to the window under the pointer

    def _find(self) -> bool:
        assert self.process.poll() is None, "".join(self.errors)
        self.window = self.do("search", "--onlyvisible", "--name", ".", check=False).strip()
        return bool(self.window)

    def says(self, *hints: str) -> bool:
        """Whether one of these texts is on the screen in the colour of hints."""
        screen = self.screen()
        return any(shows(screen, words(hint, style="quiet")) for hint in hints)

    def do(self, *words: str, check: bool = True) -> str:
        """Run xdotool."""
        done = subprocess.run(["xdotool", *words], env=self.environment, capture_output=True, text=True, check=check)
        return done.stdout

    def press(self, *keys: str) -> None:
        for key in keys:
            self.do("key", key)

    def move(self, x: float, y: float) -> None:
        self.do("mousemove", "--window", self.window, str(int(x)), str(int(y)))

    def click(self, x: float, y: float, *more: str) -> None:
        self.move(x, y)
        self.do("click", *more, "1")

    def drag(self, start: tuple[int, int], end: tuple[int, int], button: str = "1") -> None:
        self.move(*start)
        self.do("mousedown", button)
        for share in (0.25, 0.5, 0.75, 1.0):
            self.move(*(a + (b - a) * share for a, b in zip(start, end, strict=True)))
            time.sleep(0.02)
        self.do("mouseup", button)

    def screen(self) -> np.ndarray:
        """Return the window's pixels on the screen, ``(H, W, 3)``; the display shows nothing else."""
        return np.asarray(ImageGrab.grab(xdisplay=self.display).convert("RGB"))[: SIZE[1], : SIZE[0]]

    def still(self) -> np.ndarray:
        """Return the picture when it is smooth and does not change any more."""
        last: list[np.ndarray] = []

        def stands() -> bool:
            last.append(self.screen())
            time.sleep(0.35)
            return len(last) > 4 and all(np.array_equal(last[-1], other) for other in last[-5:-1])

        wait_until(stands, "the picture stands still")
        return last[-1]

    def said(self, count: int) -> list[str]:
        """Return the printed lines when there are as many as `count`."""
        wait_until(lambda: len(self.lines) >= count, f"{count} lines are printed, not {self.lines}")
        return [line.rstrip("\n") for line in self.lines]

    def end(self) -> int:
        code = self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(10)
        return code


@contextlib.contextmanager
def shown(display: str, folder: Path, *arguments: str, **more: Any) -> Iterator[Shown]:
    """Open a window, and close it with `q` at the end unless it is closed."""
    window = Shown(display, folder, *arguments, **more)
    try:
        yield window
        if window.process.poll() is None:
            window.press("q")
        assert window.end() == 0, "".join(window.errors)
        assert "Traceback" not in "".join(window.errors)
    finally:
        if window.process.poll() is None:
            window.process.kill()


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def digits_window(workplace) -> Iterator[Shown]:
    """A window with the demo, shared by tests that each restore what they change."""
    with x_server() as name, shown(name, workplace, "digits") as window:
        yield window


@pytest.fixture(scope="module")
def demo() -> tuple[Scene, int]:
    """The demo's scene, and the index of its first sample."""
    spec = read_scene(bundled_scenes()["digits"])
    assert spec.source is not None
    return Scene.build(spec, open_capture(bundled("digits.zarr.zip")), aspect=SIZE[0] / SIZE[1]), spec.source.sample


def seen(scene: Scene, sample: int) -> tuple[Any, Any]:
    """Return the draw list and the pose of the window."""
    return scene.at(scene.duration, Selection(sample)), scene.camera(scene.duration, aspect=SIZE[0] / SIZE[1])


def test_window_opens_with_the_network_and_a_hint(digits_window):
    picture = digits_window.screen().astype(int)
    warm = (picture[..., 0] > 180) & (picture[..., 0] - picture[..., 2] > 90)
    assert warm.sum() > 500
    assert "handwritten digit" in digits_window.do("getwindowname", digits_window.window)
    assert shows(digits_window.still(), words("h: keys", style="quiet"))


@pytest.mark.parametrize("layer", ["conv2d", "max_pooling2d_1", "dense"])
def test_click_on_a_cell_tells_its_stored_number(digits_window, demo, layer):
    scene, sample = demo
    before = len(digits_window.lines)
    what, pose = seen(scene, sample)
    place = scene.context.placement(layer)
    around = to_pixels(np.array([place.center]), pose, SIZE)[0]
    spots = [(int(x), int(y)) for x, y in around + np.random.default_rng(3).integers(-14, 15, (60, 2))]
    hits = {spot: pick(what, pose, SIZE, (spot[0] + 0.5, spot[1] + 0.5)) for spot in spots}
    spot, hit = next((s, h) for s, h in hits.items() if isinstance(h, CellHit) and h.primitive.name == layer)
    index = place.grid.index(hit.cell)
    digits_window.click(*spot)
    line = digits_window.said(before + 1)[-1]
    name, place_text, value = re.fullmatch(r"(\S+) \[([\d, ]+)\] = (\S+)", line).groups()
    assert name == layer
    assert tuple(int(i) for i in place_text.split(", ")) == index
    assert np.float32(read_number(value)) == open_capture(bundled("digits.zarr.zip")).activation(layer, sample)[index]
    # The screen shows the callout and the mark too.
    picked = scene.at(scene.duration, Selection(sample, pick=CellPick(layer, index)))
    callout = next(p for p in picked.primitives if isinstance(p, Callout))
    told = board(callout.rows)
    wait_until(lambda: shows(digits_window.screen(), told), "the callout is on the screen")
    digits_window.press("Escape")
    wait_until(lambda: not shows(digits_window.screen(), told), "the callout is gone")


def test_i_shows_the_arithmetic_of_the_pick(digits_window, demo):
    scene, sample = demo
    before = len(digits_window.lines)
    what, pose = seen(scene, sample)
    place = scene.context.placement("dense")
    around = to_pixels(np.array([place.center]), pose, SIZE)[0]
    spots = [(int(x), int(y)) for x, y in around + np.random.default_rng(3).integers(-14, 15, (60, 2))]
    hits = {spot: pick(what, pose, SIZE, (spot[0] + 0.5, spot[1] + 0.5)) for spot in spots}
    spot, hit = next((s, h) for s, h in hits.items() if isinstance(h, CellHit) and h.primitive.name == "dense")
    digits_window.click(*spot)
    digits_window.said(before + 1)
    found = explanation_of(scene.context, Selection(sample, pick=CellPick("dense", place.grid.index(hit.cell))))
    told = board(explanation_rows(found))
    digits_window.press("i")
    wait_until(lambda: shows(digits_window.screen(), told), "the arithmetic is on the screen")
    digits_window.press("i", "Escape")
    wait_until(lambda: not shows(digits_window.screen(), told), "the arithmetic is gone")


def test_click_on_the_input_tells_number_and_pixel(digits_window, demo):
    scene, sample = demo
    before = len(digits_window.lines)
    what, pose = seen(scene, sample)
    x, y = to_pixels(np.array([scene.context.placement("input").center]), pose, SIZE)[0]
    hit = pick(what, pose, SIZE, (int(x) + 0.5, int(y) + 0.5))
    assert isinstance(hit, PixelHit)
    digits_window.click(x, y)
    stored = open_capture(bundled("digits.zarr.zip")).activation("input", sample)[hit.row, hit.column, 0]
    assert digits_window.said(before + 1)[-1] == f"input [{hit.row}, {hit.column}, 0] = {stored}"
    digits_window.press("Escape")


def test_click_on_a_line_tells_the_connection(digits_window, demo):
    scene, sample = demo
    before = len(digits_window.lines)
    what, pose = seen(scene, sample)
    lines = next(
        p for p in what.primitives if isinstance(p, Lines) and p.ends is not None and p.ends.target == "dense_1"
    )
    for point in lines.points[:, lines.points.shape[1] // 2].astype(float):
        x, y = (int(v) for v in to_pixels(point[np.newaxis], pose, SIZE)[0])
        hit = pick(what, pose, SIZE, (x + 0.5, y + 0.5))
        if isinstance(hit, LineHit):
            break
    source, target = (int(i) for i in hit.primitive.ends.index[hit.number])
    capture = open_capture(bundled("digits.zarr.zip"))
    pair = capture.connections("dense", "dense_1", "weight", sample)
    k = pair.index.tolist().index([source, target])
    digits_window.click(x, y)
    line = digits_window.said(before + 1)[-1]
    pattern = rf"dense\[{source}\] -> dense_1\[{target}\]: weight (\S+), activation (\S+), contribution (\S+)"
    weight, activation, contribution = (np.float32(v) for v in re.fullmatch(pattern, line).groups())
    assert weight == pair.weight[k]
    assert activation == capture.activation("dense", sample)[source]
    assert contribution == pair.contribution[k]
    # A click on the background clears the pick and prints nothing.
    plain = digits_window.still()
    digits_window.click(SIZE[0] - 5, SIZE[1] // 2 - 200)
    wait_until(lambda: not np.array_equal(digits_window.screen(), plain), "the mark is gone")
    digits_window.still()
    assert len(digits_window.lines) == before + 1


def test_pick_stays_when_the_sample_changes(digits_window, demo):
    scene, sample = demo
    before = len(digits_window.lines)
    x, y = to_pixels(np.array([scene.context.placement("input").center]), seen(scene, sample)[1], SIZE)[0]
    digits_window.click(x, y)
    first = digits_window.said(before + 1)[-1]
    row, column = (int(v) for v in re.findall(r"\d+", first)[:2])
    digits_window.press("Right")
    count = open_capture(bundled("digits.zarr.zip")).committed
    other = (sample + 1) % count
    drawn = scene.at(scene.duration, Selection(other, pick=CellPick("input", (row, column, 0))))
    callout = next(p for p in drawn.primitives if isinstance(p, Callout))
    told = board(callout.rows)
    wait_until(lambda: shows(digits_window.screen(), told), "the callout tells the other sample's number")
    digits_window.press("Left", "Escape")


def saved(window: Shown) -> np.ndarray:
    """Press `s`, and return the saved picture."""
    before = len(window.lines)
    window.press("s")
    line = window.said(before + 1)[-1]
    assert re.fullmatch(r"saved nnviz3d-\d{3}\.png", line)
    return np.asarray(Image.open(window.folder / line.split()[1]).convert("RGB"))


@pytest.fixture
def pictures(digits_window, workplace) -> Callable[[], np.ndarray]:
    digits_window.folder = workplace
    return lambda: saved(digits_window)


def test_saved_picture_equals_the_screen(digits_window, pictures):
    a = pictures()
    b = pictures()
    assert a.shape == (SIZE[1], SIZE[0], 3)
    assert np.array_equal(a, b)
    wait_until(
        lambda: np.array_equal(digits_window.screen(), a), "the message disappears, and the screen equals the picture"
    )


def lit(picture: np.ndarray) -> int:
    return int((picture.max(axis=2) > 120).sum())


def changed(pictures: Callable[[], np.ndarray], before: np.ndarray) -> np.ndarray:
    found: list[np.ndarray] = []

    def other() -> bool:
        found.append(pictures())
        return bool((found[-1] != before).any())

    wait_until(other, "the picture is another one")
    return found[-1]


def test_keys_change_threshold_layers_colours_scale_and_lines(digits_window, pictures):
    first = pictures()
    digits_window.press(*["bracketright"] * 12)
    fewer = pictures()
    assert lit(fewer) < lit(first)
    digits_window.press(*["bracketleft"] * 12)
    assert np.array_equal(pictures(), first)
    digits_window.press("minus", "minus", "minus")
    assert lit(pictures()) < lit(first)
    digits_window.press("plus", "plus", "plus")
    assert np.array_equal(pictures(), first)
    for key, back in (("m", 9), ("n", 2), ("g", 1)):
        digits_window.press(key)
        assert not np.array_equal(pictures(), first), key
        digits_window.press(*[key] * back)
        assert np.array_equal(pictures(), first), key


def test_layer_under_the_pointer_unfolds_and_folds(digits_window, demo, pictures):
    window, scene = digits_window, demo[0]
    first = pictures()
    pose = scene.camera(scene.duration, aspect=SIZE[0] / SIZE[1])
    window.move(*to_pixels(np.array([scene.context.placement("conv2d_1").center]), pose, SIZE)[0])
    window.press("u")
    wait_until(lambda: shows(window.screen(), words("unfolded: conv2d_1")), "it says which layer")
    window.press("o")
    wait_until(lambda: shows(window.screen(), words("channels by index")), "another order")
    window.still()
    unfolded = Selection(sample=demo[1], unfold="conv2d_1", channel_order="index")
    (tiles,) = (p for p in scene.at(scene.duration, unfolded).primitives if isinstance(p, Tiles))
    middle = tiles.origins + np.array(tiles.right) * tiles.size[0] / 2 + np.array(tiles.up) * tiles.size[1] / 2
    brightest = int(tiles.pixels.max(axis=-1).mean(axis=(1, 2)).argmax())
    before = len(window.lines)
    window.click(*to_pixels(middle[brightest : brightest + 1], pose, SIZE)[0])
    assert window.said(before + 1)[-1].startswith(f"conv2d_1 [5, 5, {brightest}] = ")
    window.press("Escape", "o", "u")
    wait_until(lambda: np.array_equal(pictures(), first), "it is back in its block")


@pytest.mark.parametrize(
    "go",
    [
        lambda w: w.drag((450, 300), (540, 330)),
        lambda w: w.drag((450, 300), (540, 330), "2"),
        lambda w: w.drag((450, 300), (540, 330), "3"),
        lambda w: (w.move(450, 300), w.do("click", "4"), w.do("click", "4")),
    ],
    ids=["turn", "shift, middle button", "shift, right button", "zoom"],
)
def test_mouse_moves_the_camera_and_r_moves_it_back(digits_window, pictures, go):
    first = pictures()
    before = len([line for line in digits_window.lines if "=" in line])
    go(digits_window)
    changed(pictures, first)
    assert len([line for line in digits_window.lines if "=" in line]) == before, "a drag picks nothing"
    digits_window.press("r")
    assert np.array_equal(pictures(), first)


def test_arrow_keys_fly_while_they_are_held(digits_window, pictures):
    first = pictures()
    digits_window.do("keydown", "Up")
    wait_until(lambda: np.mean(digits_window.screen() != first) > 0.1, "it flies")
    digits_window.do("keyup", "Up")
    stands = digits_window.still()
    assert not np.array_equal(stands, first)
    digits_window.press("r")
    assert np.array_equal(pictures(), first)


def test_key_that_is_released_while_another_is_held_stops_flying(digits_window, pictures):
    first = pictures()
    digits_window.do("keydown", "Up")
    wait_until(lambda: np.mean(digits_window.screen() != first) > 0.1, "it flies")
    digits_window.do("keydown", "alt", "keyup", "Up", "keyup", "alt")
    digits_window.still()
    digits_window.press("r")
    assert np.array_equal(pictures(), first)
    digits_window.do("keydown", "shift", "keydown", "slash", "keyup", "shift", "keyup", "slash")
    help_ = help_board()
    wait_until(lambda: shows(digits_window.screen(), help_), "the help is on the screen")
    digits_window.do("keydown", "shift", "keydown", "slash", "keyup", "slash", "keyup", "shift")
    wait_until(lambda: not shows(digits_window.screen(), help_), "the same key was pressed anew")


def test_f_and_double_click_fly_to_the_layer(digits_window, demo, pictures):
    scene, sample = demo
    x, y = to_pixels(np.array([scene.context.placement("conv2d_2").center]), seen(scene, sample)[1], SIZE)[0]
    first = pictures()
    ends = []
    for go in (
        lambda: digits_window.press("f"),
        lambda: digits_window.do("click", "--repeat", "2", "--delay", "60", "1"),
    ):
        digits_window.move(x, y)
        go()
        wait_until(lambda: np.mean(digits_window.screen() != first) > 0.1, "it flies")
        digits_window.still()
        digits_window.press("Escape")
        ends.append(pictures())
        # The block is in the middle of the window.
        before = len(digits_window.lines)
        digits_window.click(SIZE[0] / 2, SIZE[1] / 2)
        assert digits_window.said(before + 1)[-1].startswith("conv2d_2 [")
        digits_window.press("Escape", "r")
        assert np.array_equal(pictures(), first)
    assert np.array_equal(*ends)


@contextlib.contextmanager
def frozen(window: Shown) -> Iterator[None]:
    """Halt the window's process, so that it takes all keys of the block at the same moment of its clock."""
    window.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        window.process.send_signal(signal.SIGCONT)


def test_clicks_before_and_after_a_key_are_no_double_click(digits_window, demo, pictures):
    scene, sample = demo
    x, y = to_pixels(np.array([scene.context.placement("input").center]), seen(scene, sample)[1], SIZE)[0]
    first = pictures()
    before = len(digits_window.lines)
    with frozen(digits_window):
        digits_window.click(x, y)
        digits_window.press("Escape")
        digits_window.click(x, y)
    one, other = digits_window.said(before + 2)[-2:]
    assert one == other
    assert one.startswith("input [")
    digits_window.press("Escape")
    assert np.array_equal(pictures(), first)


def test_space_plays_to_the_end(digits_window, pictures):
    first = pictures()
    digits_window.press(*["minus"] * 9)
    assert lit(pictures()) < 0.6 * lit(first)
    digits_window.press("space")
    wait_until(lambda: np.array_equal(pictures(), first), "it is played to the end")


def test_space_begins_anew_and_pauses(digits_window, pictures):
    # The clock follows real time: between two keys a slow machine may play the whole scene.
    first = pictures()
    with frozen(digits_window):
        digits_window.press("space", "space")
    begun = pictures()
    assert lit(begun) < 0.6 * lit(first)
    assert np.array_equal(pictures(), begun)
    digits_window.press(*["plus"] * 9)
    assert np.array_equal(pictures(), first)


def test_h_shows_and_hides_the_help(digits_window, pictures):
    digits_window.press("h")
    help_ = help_board()
    wait_until(lambda: shows(digits_window.screen(), help_), "the help is on the screen")
    assert {key.words for key in KEYS} <= {words for _, words in described()}
    digits_window.press("h")
    wait_until(lambda: not shows(digits_window.screen(), help_), "the help is gone")


@pytest.mark.parametrize("key", ["e", "p", "w", "3", "v", "u", "j", "t", "i"])
def test_default_keys_of_vtk_do_not_end_the_window(digits_window, key):
    digits_window.press(key)
    if key == "w":
        wait_until(lambda: any("my.toml" in line for line in digits_window.lines), "a scene file is written")
    assert digits_window.process.poll() is None


def test_scene_file_opens_as_the_window_shows_it(display, tmp_path):
    with shown(display, tmp_path, "digits", "--sample", "1") as window:
        window.folder = tmp_path
        window.press("k")
        window.drag((400, 300), (520, 340))
        window.press("k", "m")
        picture = saved(window)
        window.press("w")
        assert window.said(2)[-1] == "saved my.toml"
    spec = read_scene(tmp_path / "my.toml")
    assert spec.look.colormap == "magma"
    assert len(spec.camera.keyframes) == 2
    with shown(display, tmp_path, "my.toml") as window:
        window.folder = tmp_path
        assert np.array_equal(saved(window), picture)
        window.press("shift+k", "shift+k", "r")
        wait_until(lambda: not np.array_equal(saved(window), picture), "r leaves the saved pose")


def test_window_can_be_resized(display, tmp_path):
    with shown(display, tmp_path) as window:
        before = window.still()
        window.do("windowsize", window.window, "600", "400")
        wait_until(lambda: not np.array_equal(window.screen()[:400, :600], before[:400, :600]), "it is drawn anew")
        window.folder = tmp_path
        assert saved(window).shape == (400, 600, 3)


class _ClientMessage(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
        ("room", ctypes.c_long * 24),
    ]


def close_button(display: str, window: int) -> None:
    """Send the message that a window manager sends when the user closes a window."""
    x11 = ctypes.CDLL("libX11.so.6")
    x11.XOpenDisplay.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(x11.XOpenDisplay(display.encode()))
    x11.XInternAtom.restype = ctypes.c_ulong
    protocols, delete = (x11.XInternAtom(connection, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW"))
    message = _ClientMessage(type=33, window=window, message_type=protocols, format=32)
    message.data[0] = delete
    x11.XSendEvent(connection, ctypes.c_ulong(window), 0, ctypes.c_long(0), ctypes.byref(message))
    x11.XCloseDisplay(connection)


@pytest.mark.parametrize("how", ["q", "the cross", "Ctrl-C", "SIGTERM"])
def test_window_closes_cleanly(display, tmp_path, how):
    with shown(display, tmp_path) as window:
        match how:
            case "q":
                window.press("q")
            case "the cross":
                close_button(display, int(window.window))
            case "Ctrl-C":
                window.process.send_signal(signal.SIGINT)
            case _:
                window.process.send_signal(signal.SIGTERM)
        assert window.end() == 0
        assert not window.lines


def odd_capture(path: Path) -> Path:
    graph = chain(
        [
            ("input", "InputLayer", (8, 8, 1)),
            ("broken", "Conv2D", (6, 6, 4)),
            ("zeros", "Conv2D", (4, 4, 4)),
            ("wide", "Flatten", (25088,)),
            ("out", "Dense", (3,)),
        ]
    )
    random = np.random.default_rng(1)
    values = {n.id: random.random((1, *n.shape), dtype=np.float32) for n in graph}
    values["zeros"][:] = 0
    values["broken"][0, :, :, 0] = np.nan
    values["broken"][0, 0, :, 0] = -np.inf
    captures.write(path, graph, values)
    return path


def test_nan_zeros_and_very_wide_layers_can_be_picked(display, tmp_path):
    path = odd_capture(tmp_path / "odd.zarr")
    scene = Scene.build(default_scene(), open_capture(path), aspect=SIZE[0] / SIZE[1])
    capture = open_capture(path)
    with shown(display, tmp_path, "odd.zarr") as window:
        window.press("bracketleft", "bracketleft", "bracketleft", "bracketleft", "bracketleft")  # all cells, zeros too
        window.still()
        what = scene.at(scene.duration, Selection(threshold=0.0))
        pose = scene.camera(scene.duration, aspect=SIZE[0] / SIZE[1])
        expected: list[str] = []
        for block in (p for p in what.primitives if isinstance(p, Voxels)):
            for x, y in to_pixels(
                np.array(block.origin) + np.array(block.size) * [[0.5, 0.97, 1], [0.5, 0.4, 1]], pose, SIZE
            ):
                hit = pick(what, pose, SIZE, (int(x) + 0.5, int(y) + 0.5))
                if isinstance(hit, CellHit):
                    index = scene.context.placement(hit.primitive.name).grid.index(hit.cell)
                    value = capture.activation(hit.primitive.name, 0)[index]
                    number = "NaN" if np.isnan(value) else "-inf" if np.isinf(value) else str(value)
                    expected.append(f"{hit.primitive.name} [{', '.join(map(str, index))}] = {number}")
                    window.click(x, y)
                    time.sleep(0.5)  # two clicks in one place are a double click
        assert window.said(len(expected)) == expected
        assert {line.split()[0] for line in expected} >= {"broken", "zeros", "wide"}
        assert any("NaN" in line for line in expected)
        assert any("-inf" in line for line in expected)


def test_damaged_sample_is_reported_and_the_sample_before_stays(display, digits_folder, tmp_path):
    folder = tmp_path / "damaged.zarr"
    shutil.copytree(digits_folder, folder)
    with shown(display, tmp_path, "damaged.zarr") as window:
        window.folder = tmp_path
        first = saved(window)
        for chunk in (
            p for p in (folder / "activations" / "conv2d").rglob("*") if p.is_file() and "/c/" in p.as_posix()
        ):
            chunk.write_bytes(b"no longer what it was")
        plain = window.screen()
        window.press("Right")
        wait_until(lambda: np.mean(window.screen() != plain) > 0.001, "something is said")
        assert np.array_equal(saved(window), first)


@pytest.mark.tensorflow
def test_answer_of_the_model_appears_without_an_event(display, tmp_path, demo):
    scene, _ = demo
    capture = scene.context.capture
    assert capture.provenance.samples[:2] == ("digits:3", "digits:2")
    # A pixel that differs between the two samples, picked before the model has run on the second.
    before, after = (capture.activation("input", sample) for sample in (0, 1))
    index = tuple(int(i) for i in np.unravel_index(np.abs(before - after).argmax(), before.shape))
    middle = scene.context.centers("input", np.array([np.ravel_multi_index(index, before.shape)]))
    middle[:, 2] += scene.context.placement("input").cell[2] / 2
    with shown(display, tmp_path, "digits", "--input", "digits:3", "--input", "digits:2") as window:
        window.click(*to_pixels(middle, seen(scene, 0)[1], SIZE)[0])
        assert window.said(1) == [f"input [{index[0]}, {index[1]}, 0] = {before[index]}"]
        window.press("Right")
        told = scene.at(scene.duration, Selection(1, pick=CellPick("input", index)))
        callout = next(p for p in told.primitives if isinstance(p, Callout))
        answer = board(callout.rows)
        wait_until(lambda: shows(window.screen(), answer), "the answer is on the screen")


def test_training_is_followed_without_an_event(display, tmp_path):
    training = OtherProcess(tmp_path / "run.zarr")
    try:
        training.ask("1")
        states = ("live", *(f"nothing new for {seconds} s" for seconds in range(20, 120, 10)))
        hints = [f"training: step 1, epoch 1, loss 150 · {state} · h: keys" for state in states]
        with shown(display, tmp_path, "run.zarr", hints=hints) as window:
            first = window.screen()[:400].astype(int)
            training.ask("12")
            news = "training: step 1,200, epoch 3, loss 0.125 · live · h: keys"
            wait_until(lambda: window.says(news), "it says how far the training is")
            wait_until(lambda: np.abs(window.screen()[:400] - first).mean() > 1, "it shows what it has come to")
    finally:
        training.kill()


@pytest.mark.parametrize("name", ["", ":987"], ids=["none", "one that nobody serves"])
def test_missing_display_is_one_sentence_with_advice(name, tmp_path):
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    if name:
        environment["DISPLAY"] = name
    done = subprocess.run(
        [sys.executable, "-m", "nnviz3d", "show"], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(r"nnviz3d: There is no display .*nnviz3d serve.*nnviz3d snapshot.*\n", done.stderr)


def test_window_with_a_tour_shows_its_captions_which_keys_choose(display, demo, tmp_path):
    stops = story_of(demo[0], Selection(demo[1]))

    def caption(stop: StoryStop) -> Sprite:
        scale = max(0.6, min(SIZE[0] / 1280, SIZE[1] / 720))
        return board_sprite(caption_of(stop).rows, scale, 760.0 * scale)

    with shown(display, tmp_path, "digits", "--tour") as window:
        window.press("space", "Home")
        for key, number in (("Right", 1), ("Right", 2), ("Left", 1)):
            window.press(key)
            wait_until(lambda n=number: shows(window.screen(), caption(stops[n])), f"it tells of stop {number}")
        window.press("Escape")
        wait_until(lambda: not shows(window.screen(), caption(stops[1])), "the tour has ended")
