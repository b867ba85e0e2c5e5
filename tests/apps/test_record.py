"""Tests of films: their frames, their files, and what an interrupted film leaves."""

from __future__ import annotations

import base64
import os
import pty
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from nnviz3d.apps.film.encoded import MP4, WEBM, EncodedFilm
from nnviz3d.apps.film.frame_folder import FrameFolder
from nnviz3d.apps.film.gif import GifFilm
from nnviz3d.apps.film.record import check_film, film_size, record
from nnviz3d.apps.film.sink import FrameSink
from nnviz3d.apps.film.writer_thread import FilmWriter
from nnviz3d.apps.snapshot import snapshot
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.errors import CaptureError, UserError
from nnviz3d.scene.primitives import DrawList
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import default_scene
from nnviz3d.stopping import DelayedSignals
from tests.support import captures, command_line

pytestmark = pytest.mark.slow

SIZE = (320, 180)
RED, BLUE, DARK = (200, 40, 30), (30, 60, 210), (9, 11, 16)


def decoded(path: Path) -> np.ndarray:
    """Return all frames, ``(n, H, W, 3)``; those of a folder in the order of their names."""
    if path.is_dir():
        return np.stack([np.asarray(Image.open(file)) for file in sorted(path.glob("*.png"))])
    with av.open(str(path)) as film:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)])


def difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def hidden(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.startswith(".")]


def plain(color: tuple[int, int, int], size: tuple[int, int] = (64, 64)) -> np.ndarray:
    return np.full((size[1], size[0], 3), color, dtype=np.uint8)


Maker = Callable[[Path], FrameSink]
SINKS: dict[str, Maker] = {
    "x.mp4": lambda out: EncodedFilm(out, MP4, (64, 64), 10),
    "x.webm": lambda out: EncodedFilm(out, WEBM, (64, 64), 10),
    "x.gif": lambda out: GifFilm(out, (64, 64), 10),
    "x": lambda out: FrameFolder(out, {"film": 1}),
}


@pytest.mark.parametrize("name", SINKS)
class TestSinks:
    """Contract of every `FrameSink`."""

    COLORS = (DARK, RED, BLUE, DARK)

    def filled(self, out: Path) -> FrameSink:
        sink = SINKS[out.name](out)
        for number in sink.order(len(self.COLORS)):
            sink.add(number, sink.packed(plain(self.COLORS[number])))
        return sink

    def test_film_holds_its_frames_in_their_colours(self, tmp_path, name):
        out = tmp_path / name
        self.filled(out).finish()
        frames = decoded(out)
        assert frames.shape == (4, 64, 64, 3)
        for frame, color in zip(frames, self.COLORS, strict=True):
            assert np.abs(frame.astype(int) - color).max() <= 6
        assert hidden(tmp_path) == []

    def test_file_appears_when_the_film_is_complete(self, tmp_path, name):
        out = tmp_path / name
        if out.suffix:
            out.write_text("earlier")
        sink = self.filled(out)
        if out.suffix:
            assert out.read_text() == "earlier"
        sink.finish()
        assert len(decoded(out)) == 4

    def test_discarded_film_leaves_no_incomplete_file(self, tmp_path, name):
        out = tmp_path / name
        if out.suffix:
            out.write_text("earlier")
        self.filled(out).discard()
        assert os.listdir(tmp_path) == [name]
        if out.suffix:
            assert out.read_text() == "earlier"
        else:
            assert len(decoded(out)) == 4  # each frame is complete

    def test_file_has_the_permissions_of_the_umask(self, tmp_path, name):
        before = os.umask(0o027)
        try:
            self.filled(tmp_path / name).finish()
        finally:
            os.umask(before)
        files = [tmp_path / name] if "." in name else list((tmp_path / name).iterdir())
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o640}

    def test_equal_frames_make_equal_files(self, tmp_path, name):
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
            self.filled(tmp_path / folder / name).finish()
        assert np.array_equal(decoded(tmp_path / "a" / name), decoded(tmp_path / "b" / name))


class TestWriting:
    class Broken:
        """A sink that fails at the second frame."""

        discarded = finished = False

        def order(self, count: int) -> list[int]:
            return list(range(count))

        def add(self, number: int, packed: np.ndarray) -> None:
            if number == 1:
                raise OSError(28, "No space left on device")

        def finish(self) -> None:
            self.finished = True

        def discard(self) -> None:
            self.discarded = True

    @pytest.mark.parametrize("frames", [2, 50])
    def test_error_of_the_thread_is_raised_in_the_drawing_thread(self, frames):
        sink = self.Broken()

        def write() -> None:
            with FilmWriter(sink, lambda raw: raw) as writing:
                for number in range(frames):
                    writing.put(number, plain(RED))

        with pytest.raises(OSError, match="No space left"):
            write()
        assert (sink.discarded, sink.finished) == (True, False)

    def test_error_while_drawing_discards_the_film(self):
        sink = self.Broken()

        def write() -> None:
            with FilmWriter(sink, lambda raw: raw) as writing:
                writing.put(0, plain(RED))
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write()
        assert (sink.discarded, sink.finished) == (True, False)


@pytest.mark.usefixtures("ctrl_c_interrupts")
def test_signals_wait_for_the_end_of_a_frame():
    reached = []

    def draw() -> None:
        with DelayedSignals() as signals:
            signals.check()
            os.kill(os.getpid(), signal.SIGINT)
            reached.append("the end of the frame")
            signals.check()
            reached.append("the next frame")

    with pytest.raises(KeyboardInterrupt):
        draw()
    assert reached == ["the end of the frame"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("ctrl_c_interrupts")
def test_signal_interrupts_the_labels_of_a_long_film(small_capture, tmp_path, monkeypatch):
    drawn = []
    draw = Scene.at

    def at(scene: Scene, t: float, selection: Selection) -> DrawList:
        drawn.append(t)
        os.kill(os.getpid(), signal.SIGINT)
        return draw(scene, t, selection)

    monkeypatch.setattr(Scene, "at", at)
    with pytest.raises(KeyboardInterrupt):
        record(default_scene(), small_capture, tmp_path / "x.mp4", size=(96, 64), seconds=60)
    assert len(drawn) == 1
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["x.mp4", "x.webm", "x.gif", "x"])
def test_damaged_capture_leaves_no_part_of_a_film(small_capture, tmp_path, name):
    shutil.copytree(small_capture.path, tmp_path / "damaged.zarr")
    (tmp_path / "damaged.zarr" / "labels" / "c.0").unlink()
    with pytest.raises(CaptureError, match="labels lacks part of its numbers"):
        record(default_scene(), open_capture(tmp_path / "damaged.zarr"), tmp_path / name, size=(96, 64), seconds=1)
    assert os.listdir(tmp_path) == ["damaged.zarr"]


@pytest.fixture(scope="module")
def films(digits: Capture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short flight through the digits network, in every format."""
    folder = tmp_path_factory.mktemp("films")
    for name in ("fly.mp4", "fly.webm", "fly.gif", "fly"):
        options = {"size": SIZE, "fps": 10, "seconds": 3.0, "selection": Selection(sample=7)}
        record(default_scene(), digits, folder / name, tour="flythrough", **options)
    return folder


class TestFlights:
    @pytest.mark.parametrize(
        ("name", "codec", "pixels"), [("fly.mp4", "h264", "yuv420p"), ("fly.webm", "vp9", "yuv420p")]
    )
    def test_codec_and_pixel_format_are_those_that_players_expect(self, films, name, codec, pixels):
        with av.open(str(films / name)) as film:
            (stream,) = film.streams
            context = stream.codec_context
            assert (context.name.removeprefix("lib").split("-")[0].replace("vpx", "vp9"), context.pix_fmt) == (
                codec,
                pixels,
            )
            assert (context.width, context.height, stream.average_rate) == (*SIZE, 10)
            assert (context.colorspace, context.color_range) == (1, 1)  # BT.709, limited
        if name == "fly.mp4":
            data = (films / name).read_bytes()
            assert 0 < data.find(b"moov") < data.find(b"mdat")

    def test_gif_repeats_forever(self, films):
        animation = Image.open(films / "fly.gif")
        assert (animation.size, animation.n_frames, animation.info["loop"]) == (SIZE, 30, 0)
        assert animation.info["duration"] == 100

    @pytest.mark.parametrize(("name", "error"), [("fly.mp4", 5.0), ("fly.webm", 5.0), ("fly.gif", 3.0)])
    def test_each_format_shows_the_drawn_frames(self, films, name, error):
        drawn, shown = decoded(films / "fly"), decoded(films / name)
        assert shown.shape == drawn.shape == (30, SIZE[1], SIZE[0], 3)
        errors = [difference(a, b) for a, b in zip(shown, drawn, strict=True)]
        assert max(errors) < error
        # Colours at half the resolution blur thin lines, but each frame is nearest to its own drawing.
        for k in (0, 9, 15, 21, 29):
            nearest = min(range(30), key=lambda j: difference(shown[k], drawn[j]))
            assert difference(drawn[nearest], drawn[k]) < 0.2

    def test_film_begins_with_dark_blocks_and_ends_with_all_values(self, digits, films, tmp_path):
        frames = decoded(films / "fly.mp4")
        snapshot(default_scene(), digits, tmp_path / "end.png", size=SIZE, selection=Selection(sample=7))
        end = np.asarray(Image.open(tmp_path / "end.png"))
        assert difference(frames[-1], end) < 5
        lit = end.max(axis=2) > 140
        lit[: SIZE[1] // 6] = lit[-SIZE[1] // 6 :] = False  # panels
        assert lit.mean() > 0.01
        assert frames[-1][lit].max(axis=1).mean() > 150
        assert frames[0][lit].max(axis=1).mean() < 60

    def test_equal_input_gives_equal_frames(self, digits, films, tmp_path):
        options = {"size": SIZE, "fps": 10, "seconds": 3.0, "selection": Selection(sample=7)}
        record(default_scene(), digits, tmp_path / "again.mp4", tour="flythrough", **options)
        assert (tmp_path / "again.mp4").read_bytes() == (films / "fly.mp4").read_bytes()

    @pytest.mark.chromium
    @pytest.mark.parametrize("name", ["fly.mp4", "fly.webm"])
    def test_browser_plays_the_film(self, films, chromium, name):
        data = base64.b64encode((films / name).read_bytes()).decode()
        page = chromium.new_page()
        page.set_content(f'<video muted src="data:video/{name[4:]};base64,{data}"></video>')
        found = page.evaluate(
            """async () => {
                const video = document.querySelector("video");
                await video.play();
                await new Promise((done) => video.addEventListener("ended", done));
                const canvas = document.createElement("canvas");
                [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
                const brush = canvas.getContext("2d");
                brush.drawImage(video, 0, 0);
                const pixels = Array.from(brush.getImageData(0, 0, canvas.width, canvas.height).data);
                return {size: [canvas.width, canvas.height], seconds: video.duration, pixels};
            }"""
        )
        page.close()
        assert found["size"] == list(SIZE)
        assert found["seconds"] == pytest.approx(3, abs=0.11)
        pixels = np.array(found["pixels"], dtype=np.uint8).reshape(SIZE[1], SIZE[0], 4)[..., :3]
        assert difference(pixels, decoded(films / "fly")[-1]) < 3


def test_orbit_ends_where_it_begins(small_capture, tmp_path):
    record(default_scene(), small_capture, tmp_path / "x", tour="orbit", size=(160, 90), fps=24, seconds=3)
    frames = decoded(tmp_path / "x")
    assert len(frames) == 72
    steps = [difference(a, b) for a, b in pairwise(frames)]
    assert 0 < difference(frames[-1], frames[0]) <= 1.2 * max(steps)
    assert difference(frames[18], frames[0]) > 1.8 * max(steps)


class TestSizes:
    @pytest.mark.parametrize(
        ("name", "size"), [("x.mp4", (66, 90)), ("x.webm", (66, 90)), ("x.gif", (67, 91)), ("x", (67, 91))]
    )
    def test_odd_sizes_are_made_even_where_the_format_needs_it(self, small_capture, tmp_path, name, size):
        out = tmp_path / name
        assert film_size(out, (67, 91)) == size
        record(default_scene(), small_capture, out, size=(67, 91), fps=4, seconds=1)
        assert decoded(out).shape == (4, size[1], size[0], 3)

    def test_largest_film_is_drawn_at_full_resolution(self, small_capture, tmp_path):
        size = (3840, 2160)
        record(default_scene(), small_capture, tmp_path / "x.mp4", tour="orbit", size=size, fps=1, seconds=1)
        (frame,) = decoded(tmp_path / "x.mp4")
        assert frame.shape == (2160, 3840, 3)
        # An enlarged picture would not change if it were halved and enlarged again.
        half = frame.reshape(1080, 2, 1920, 2, 3).mean(axis=(1, 3))
        again = np.repeat(np.repeat(half, 2, axis=0), 2, axis=1)
        assert (np.abs(frame - again).max(axis=2) > 40).sum() > 2000

    def test_default_size_depends_on_the_format(self):
        assert film_size(Path("x.mp4"), None) == (1280, 720)
        assert film_size(Path("x.gif"), None) == (800, 450)


class TestFolders:
    def record(self, capture: Capture, out: Path, **changes: object) -> list[tuple[int, int]]:
        told: list[tuple[int, int]] = []
        options = {"size": (96, 64), "fps": 4, "seconds": 2.0, **changes}
        record(default_scene(), capture, out, progress=lambda done, total: told.append((done, total)), **options)
        return told

    def test_only_missing_frames_are_drawn(self, small_capture, tmp_path):
        out = tmp_path / "frames"
        assert self.record(small_capture, out) == [(k, 8) for k in range(1, 9)]
        names = sorted(path.name for path in out.iterdir())
        assert names == ["film.json", *(f"frame_{k:05d}.png" for k in range(8))]
        whole, stamps = decoded(out), {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
        for k in (0, 5):
            (out / f"frame_{k:05d}.png").unlink()
        self.record(small_capture, out)
        assert np.array_equal(decoded(out), whole)
        again = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
        assert {name for name in stamps if stamps[name] != again[name]} == {"frame_00000.png", "frame_00005.png"}

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"seconds": 1.0}, "frames, seconds differ"),
            ({"size": (64, 96)}, "size differs"),
            ({"tour": "orbit"}, "tour, seconds differ"),
            ({"selection": Selection(sample=1)}, "capture, selection differ"),
        ],
    )
    def test_folder_of_another_film_is_refused(self, small_capture, tmp_path, changes, words):
        out = tmp_path / "frames"
        self.record(small_capture, out)
        before = decoded(out)
        with pytest.raises(
            UserError, match=rf"frames holds the frames of another film \(its .*{words}\); give another"
        ):
            self.record(small_capture, out, **changes)
        assert np.array_equal(decoded(out), before)

    @pytest.mark.parametrize("changes", ["classes", "labels", "pictures", "connections"])
    def test_every_drawn_thing_changes_the_film_description(self, tmp_path, changes):
        values = captures.small_values()
        pixels = np.full((3, 8, 9, 3), 200, np.uint8)
        known = {
            "classes": captures.CLASSES,
            "labels": np.array([0, 3, 4]),
            "pictures": {"input": pixels},
            "connections": captures.small_connections(values),
        }
        other = {
            "classes": captures.CLASSES[::-1],
            "labels": np.array([1, 3, 4]),
            "pictures": {"input": pixels // 2},
            "connections": captures.small_connections({name: array * 2 for name, array in values.items()}),
        }
        one = captures.write(tmp_path / "one.zarr", captures.small_graph(), values, **known)
        two = captures.write(
            tmp_path / "two.zarr", captures.small_graph(), values, **{**known, changes: other[changes]}
        )
        self.record(one, tmp_path / "frames")
        self.record(one, tmp_path / "frames")
        with pytest.raises(UserError, match=r"another film \(its capture differs\)"):
            self.record(two, tmp_path / "frames")

    def test_frames_without_a_manifest_are_refused(self, small_capture, tmp_path):
        (tmp_path / "frame_00003.png").touch()
        with pytest.raises(UserError, match=r"holds frames of an unknown film, without its film\.json"):
            self.record(small_capture, tmp_path)
        assert os.listdir(tmp_path) == ["frame_00003.png"]

    def test_damaged_manifest_counts_as_another_film(self, small_capture, tmp_path):
        (tmp_path / "film.json").write_text("[]")
        with pytest.raises(UserError, match=r"another film; give another folder\.$"):
            self.record(small_capture, tmp_path)

    def test_other_files_in_the_folder_stay(self, small_capture, tmp_path):
        (tmp_path / "notes.txt").write_text("mine")
        self.record(small_capture, tmp_path)
        assert len(decoded(tmp_path)) == 8
        assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "numbers", "words"),
    [
        ("x.avi", {}, r"-o .*x\.avi: a film ends in \.mp4, \.webm, \.gif; a folder of pictures has no ending\."),
        ("gone/x.mp4", {}, r"the folder .*gone does not exist\."),
        ("gone/x", {}, r"the folder .*gone does not exist\."),
        ("file", {}, r"Cannot write .*file: it is a file; a film ends in"),
        ("x.mp4", {"size": (32, 200)}, r"--size: a film is 64x64 to 3840x2160 pixels; got 32x200\."),
        ("x.mp4", {"size": (3840, 3840)}, r"--size: a film is 64x64 to 3840x2160"),
        ("x.mp4", {"size": (4096, 64)}, r"--size: a film is 64x64 to 3840x2160"),
        ("x.mp4", {"fps": 0}, r"--fps: this film can have 1 to 120 frames a second; got 0\."),
        ("x.mp4", {"fps": 121}, r"--fps: this film can have 1 to 120"),
        ("x.gif", {"fps": 51}, r"--fps: this film can have 1 to 50"),
        ("x.mp4", {"seconds": 0.0}, r"--seconds: a film lasts 0\.1 to 3600 seconds; got 0\."),
        ("x.mp4", {"seconds": -1.0}, r"--seconds: a film lasts"),
        ("x.mp4", {"seconds": float("nan")}, r"--seconds: a film lasts .*; got nan\."),
        ("x.mp4", {"seconds": float("inf")}, r"--seconds: a film lasts .*; got inf\."),
    ],
)
def test_film_that_cannot_be_recorded_is_refused_before_any_work(tmp_path, name, numbers, words):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=words):
        check_film(tmp_path / name, **numbers)
    assert os.listdir(tmp_path) == ["file"]


def test_capture_is_refused_as_a_folder_for_frames(small_capture):
    with pytest.raises(UserError, match=r"small\.zarr: it is a capture; give another folder"):
        check_film(small_capture.path)


def test_portrait_sizes_are_accepted():
    check_film(Path("x.mp4"), size=(2160, 3840))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="everything is permitted to root")
@pytest.mark.parametrize("name", ["x.mp4", "frames"])
def test_folder_without_write_permission_is_refused(tmp_path, name):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="permission denied"):
        check_film(tmp_path / name)


SMALL = ("--size", "128x96", "--fps", "8", "--seconds", "2")
# A shell that runs the tests in the background makes its children ignore Ctrl-C.
PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
{code}
from nnviz3d.cli import main
main()
"""


def command(*arguments: object, code: str = "") -> list[str]:
    return [sys.executable, "-c", PROGRAM.format(code=code), "record", *map(str, arguments)]


def run(*arguments: object, cwd: Path, code: str = "") -> subprocess.CompletedProcess[str]:
    if not code:
        return command_line.run("record", *arguments, cwd=cwd)
    return subprocess.run(command(*arguments, code=code), capture_output=True, text=True, check=False, cwd=cwd)


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one sentence of a command that was refused."""
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    (line,) = done.stderr.splitlines()
    return line.removeprefix("nnviz3d: ")


class TestCommand:
    def test_command_writes_a_film(self, small_capture, tmp_path):
        done = run(small_capture.path, "-o", "x.mp4", *SMALL, "--tour", "orbit", "--sample", 1, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert decoded(tmp_path / "x.mp4").shape == (16, 96, 128, 3)
        assert os.listdir(tmp_path) == ["x.mp4"]

    def test_odd_size_is_reported_in_one_line(self, small_capture, tmp_path):
        done = run(small_capture.path, "-o", "x.mp4", "--size", "129x97", "--fps", 2, "--seconds", 1, cwd=tmp_path)
        assert done.returncode == 0
        assert done.stderr == ".mp4 holds even sizes only: the film is 128x96, not 129x97.\n"
        assert decoded(tmp_path / "x.mp4").shape == (2, 96, 128, 3)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["-o", "x.avi"], "-o x.avi: a film ends in .mp4, .webm, .gif; a folder of pictures has no ending."),
            (["-o", "x.mp4", "--size", "big"], "--size is WIDTHxHEIGHT in pixels"),
            (["-o", "x.mp4", "--fps", "500"], "--fps: this film can have 1 to 120 frames a second; got 500."),
            (["-o", "x.mp4", "--seconds", "nan"], "--seconds: a film lasts 0.1 to 3600 seconds; got nan."),
            (["-o", "x.mp4", "--tour", "walk"], "Choose from"),
            (["-o", "x.mp4", "--tour", "scene"], "The scene has no camera keyframes"),
            (["-o", "x.mp4", "--sample", "99"], "there is no sample 99"),
        ],
    )
    def test_wrong_options_are_one_sentence_with_exit_code_2(self, tmp_path, arguments, words):
        assert words in sentence(run("digits", *arguments, cwd=tmp_path))
        assert os.listdir(tmp_path) == []

    def test_story_of_a_scene_without_layers_is_refused_in_one_sentence(self, tmp_path):
        done = run("embedding", "-o", "x.mp4", *SMALL, "--tour", "story", cwd=tmp_path)
        assert "shows no layers, so there is no way through them to tell of" in sentence(done)
        assert os.listdir(tmp_path) == []

    def test_terminal_shows_the_remaining_time(self, small_capture, tmp_path):
        leader, follower = pty.openpty()
        code = "import os; os.environ.update(TERM='xterm', COLUMNS='120')"
        arguments = command(small_capture.path, "-o", "x.gif", *SMALL, code=code)
        with subprocess.Popen(arguments, cwd=tmp_path, stderr=follower) as process:
            os.close(follower)
            shown = b""
            while True:
                try:
                    shown += os.read(leader, 4096)
                except OSError:  # the terminal is closed
                    break
        os.close(leader)
        assert process.returncode == 0
        assert b"Drawing frames" in shown
        assert b"/16" in shown
        assert b"0:00:0" in shown


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 128 + signal.SIGINT), (signal.SIGTERM, 128 + signal.SIGTERM)],
    ids=["ctrl-c", "sigterm"],
)
@pytest.mark.parametrize("name", ["x.mp4", "x.webm", "x.gif", "x"])
def test_interrupted_film_leaves_no_part(small_capture, tmp_path, name, number, code):
    if "." in name:
        (tmp_path / name).write_text("earlier")
    arguments = command(small_capture.path, "-o", name, "--size", "128x96", "--fps", 50, "--seconds", 120)
    process = subprocess.Popen(arguments, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60

    def begun() -> bool:
        return bool(hidden(tmp_path)) if "." in name else (tmp_path / name / "frame_00001.png").exists()

    while not begun():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (code, "")
    assert os.listdir(tmp_path) == [name]
    if "." in name:
        assert (tmp_path / name).read_text() == "earlier"
    else:
        assert hidden(tmp_path / name) == []
        assert decoded(tmp_path / name).shape[1:] == (96, 128, 3)  # each frame is complete


LIMIT = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))"
"""Limit of the size of files in bytes, which behaves like a full disk and needs no privileges."""


@pytest.mark.parametrize("room", [100, 6000], ids=["nothing fits", "a part fits"])
@pytest.mark.parametrize("name", ["x.mp4", "x.webm", "x.gif", "x"])
def test_full_disk_leaves_no_part_of_a_film(small_capture, tmp_path, name, room):
    if "." in name:
        (tmp_path / name).write_text("earlier")
    done = run(small_capture.path, "-o", name, *SMALL, "--tour", "orbit", cwd=tmp_path, code=LIMIT.format(room))
    assert sentence(done).startswith(f"Cannot write {name}")
    assert hidden(tmp_path) == []
    if "." in name:
        assert (tmp_path / name).read_text() == "earlier"
    elif (tmp_path / name).exists():
        assert hidden(tmp_path / name) == []
