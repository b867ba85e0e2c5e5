"""Tests of the command line, each in a fresh process: outputs and refusals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nnviz3d
from nnviz3d.apps.target import bundled_scenes
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import Capture
from tests.support import command_line
from tests.support.captures import write
from tests.support.chunks import chunk_files
from tests.support.gallery import READY
from tests.support.graphs import chain

pytestmark = pytest.mark.slow

COMMANDS = ("snapshot", "record", "export", "serve", "capture", "inspect")


def run(*arguments: object, cwd: Path, code: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run `nnviz3d` with these arguments, after `code` in the same process."""
    if code is None:
        return command_line.run(*arguments, cwd=cwd)
    command = [sys.executable, "-c", f"{code}\nfrom nnviz3d.cli import main\nmain()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.fixture
def small(small_capture: Capture, tmp_path: Path) -> Path:
    """Copy a small capture into the working folder; tests may damage it."""
    return Path(shutil.copytree(small_capture.path, tmp_path / "small.zarr"))


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """Check that a command refused a mistake in one sentence with exit code 2, and return the sentence."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("nnviz3d: ")
    assert lines[0].endswith((".", "?"))
    return lines[0].removeprefix("nnviz3d: ")


class TestSnapshot:
    @pytest.mark.parametrize("name", [None, *READY])
    def test_snapshot_draws_a_bundled_scene(self, tmp_path, name):
        target = [] if name is None else [name]
        done = run("snapshot", *target, "-o", "out.png", "--size", "320x200", cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        picture = Image.open(tmp_path / "out.png")
        assert (picture.format, picture.size, picture.mode) == ("PNG", (320, 200), "RGB")
        assert len(np.unique(np.asarray(picture).reshape(-1, 3), axis=0)) > 200
        assert os.listdir(tmp_path) == ["out.png"]

    def test_snapshot_of_a_capture_accepts_all_options(self, small, tmp_path):
        plain = run("snapshot", small, "-o", "a.png", "--size", "320x200", cwd=tmp_path)
        chosen = run(
            *("snapshot", small, "-o", "b.png", "--size", "320x200", "--sample", 1, "--layer", "conv", "--at", 6),
            *("--threshold", 0.5, "--colormap", "viridis", "--normalize", "global", "--ranking", "contribution"),
            cwd=tmp_path,
        )
        assert (plain.returncode, chosen.returncode, chosen.stderr) == (0, 0, "")
        one, other = (np.asarray(Image.open(tmp_path / name)).astype(int) for name in ("a.png", "b.png"))
        assert (one != other).any(axis=2).mean() > 0.02

    def test_snapshot_shows_a_chosen_step_of_a_training(self, tmp_path):
        pictures = []
        for step in (1, 429):
            done = run("snapshot", "training", "-o", f"{step}.png", "--size", "320x200", "--step", step, cwd=tmp_path)
            assert (done.returncode, done.stderr) == (0, "")
            pictures.append(np.asarray(Image.open(tmp_path / f"{step}.png")).astype(int))
        # At first all cells of the output are lit, because the network is undecided; later only one is.
        lit = [(picture[100:144, 271:279].max(axis=2) > 140).sum() for picture in pictures]
        assert lit[0] > 2 * lit[1]

    def test_snapshot_at_later_times_shows_more(self, small, tmp_path):
        light = []
        for at in (0, 3, 8):
            run("snapshot", small, "-o", f"{at}.png", "--size", "320x200", "--at", at, cwd=tmp_path)
            light.append(np.asarray(Image.open(tmp_path / f"{at}.png")).mean())
        assert light == sorted(light)
        assert light[0] < light[1] < light[2]

    def test_scene_file_finds_the_capture_in_its_folder(self, small, tmp_path):
        folder = tmp_path / "scenes"
        folder.mkdir()
        small.rename(folder / "my.zarr")
        (folder / "my.toml").write_text('format = 1\nsource = { capture = "my.zarr" }\n')
        done = run("snapshot", "scenes/my.toml", "-o", "out.png", "--size", "64x64", cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert Image.open(tmp_path / "out.png").size == (64, 64)

    def test_snapshot_replaces_an_earlier_picture(self, small, tmp_path):
        (tmp_path / "out.png").write_text("earlier")
        assert run("snapshot", small, "-o", "out.png", "--size", "64x64", cwd=tmp_path).returncode == 0
        assert Image.open(tmp_path / "out.png").size == (64, 64)


class TestInspect:
    def test_inspect_prints_json(self, tmp_path):
        done = run("inspect", "--json", cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        said = json.loads(done.stdout)
        assert len(said["nodes"]) == 9
        names = [node["id"] for node in said["nodes"]]
        assert said["edges"] == [[a, b] for a, b in pairwise(names)]
        assert said["parameters"] == sum(node["parameters"] for node in said["nodes"]) == 93_322
        assert said["nodes"][1]["shape"] == [26, 26, 32]

    def test_json_holds_the_statistics_of_the_capture(self, small, small_capture, tmp_path):
        said = json.loads(run("inspect", small, "--json", "--sample", 2, cwd=tmp_path).stdout)
        for node in said["nodes"]:
            values = small_capture.activation(node["id"], 2)
            assert node["statistics"]["min"] == float(values.min())
            assert node["statistics"]["max"] == float(values.max())
            assert node["statistics"]["mean"] == pytest.approx(float(values.mean()), rel=1e-5)
            assert node["statistics"]["zeros"] == pytest.approx(float((values == 0).mean()))
            assert (node["statistics"]["nan"], node["statistics"]["infinite"]) == (0, 0)

    def test_command_fails_on_an_error_during_vtk_drawing(self, small, tmp_path):
        breaks = "import nnviz3d.render.placed_text as r\nr.label_sprite = lambda *_, **__: 1 / 0"
        done = run("snapshot", small, "-o", "out.png", "--size", "320x200", cwd=tmp_path, code=breaks)
        assert done.returncode == 1
        assert done.stderr.count("Traceback") == 1
        assert "ZeroDivisionError" in done.stderr
        assert not (tmp_path / "out.png").exists()

    def test_control_characters_in_errors_are_escaped(self, small, tmp_path):
        told = refused(run("inspect", "\x1b[31mred\n.keras", cwd=tmp_path))
        assert r"\x1b[31mred" in told
        told = refused(run("snapshot", small, "-o", "a.png", "--layer", "\x1b]0;" + "x" * 5000, cwd=tmp_path))
        assert r"\x1b]0;" in told
        assert len(told) < 700

    def test_table_has_a_line_for_every_node(self, small, small_capture, tmp_path):
        done = run("inspect", small, cwd=tmp_path)
        assert done.returncode == 0
        lines = done.stdout.splitlines()
        for node in small_capture.graph:
            (line,) = [line for line in lines if line.split()[:1] == [node.id]]
            assert node.kind in line
            assert "×".join(map(str, node.shape)) in line

    def test_table_in_a_pipe_is_not_cut(self, tmp_path):
        names = [f"{letter * 60}_{i}" for i, letter in enumerate("abc")]
        graph = chain([(name, "Dense", (3,)) for name in names])
        write(tmp_path / "wide.zarr", graph, {name: np.ones((1, 3), np.float32) for name in names})
        done = run("inspect", "wide.zarr", cwd=tmp_path)
        assert done.returncode == 0
        every = done.stdout.splitlines()
        lines = every[: every.index("")]
        assert [line.split()[0] for line in lines[-3:]] == names
        assert [line.split()[-1] for line in lines[-2:]] == names[:2]
        assert "…" not in done.stdout
        assert every == [line.rstrip() for line in every]


class TestHelp:
    def test_help_without_arguments_lists_the_commands(self, tmp_path):
        done = run(cwd=tmp_path)
        assert done.returncode == 0
        for command in COMMANDS:
            assert command in done.stdout

    def test_version(self, tmp_path):
        done = run("--version", cwd=tmp_path)
        assert (done.returncode, done.stdout.strip()) == (0, nnviz3d.__version__)

    def test_command_ends_quietly_while_the_thread_of_zarr_is_busy(self, tmp_path):
        busy = "import time\nfrom zarr.core.sync import _get_loop\n_get_loop().call_soon_threadsafe(time.sleep, 0.8)"
        done = run("--version", cwd=tmp_path, code=busy)
        assert (done.returncode, done.stderr) == (0, "")

    @pytest.mark.parametrize("command", COMMANDS)
    def test_help_of_each_command_has_an_example(self, tmp_path, command):
        done = run(command, "--help", cwd=tmp_path)
        assert done.returncode == 0
        (examples,) = done.stdout.split("Examples:")[1:]
        assert f"nnviz3d {command}" in examples
        assert all(f"nnviz3d {other}" not in examples for other in COMMANDS if other != command)

    @pytest.mark.parametrize("arguments", [[], ["--help"], ["inspect"], ["inspect", "--json"]])
    @pytest.mark.parametrize("buffered", [True, False])
    def test_closed_pipe_ends_the_command_quietly(self, tmp_path, arguments, buffered):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [sys.executable, *([] if buffered else ["-u"]), "-m", "nnviz3d", *arguments],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        os.close(writing)
        assert done.stderr == ""
        assert done.returncode in (0, 1)


class TestRefusals:
    """One sentence, exit code 2, and nothing written."""

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["-o"], "requires an argument"),
            ([], "--output requires an argument"),
            (["-o", "x.png", "--foo"], "Unknown option: --foo"),
            (["a", "b", "-o", "x.png"], "'b'"),
            (["-o", "x.jpg"], "has to end in .png"),
            (["-o", "x"], "has to end in .png"),
            (["-o", "gone/x.png"], "the folder gone does not exist"),
            (["-o", "folder.png"], "it is a folder"),
            (["-o", "file.txt/x.png"], "Cannot write file.txt/x.png"),
            (["-o", "x.png", "--size", "12"], "--size is WIDTHxHEIGHT"),
            (["-o", "x.png", "--size", "axb"], "--size is WIDTHxHEIGHT"),
            (["-o", "x.png", "--size", "63x64"], "64 to 8192"),
            (["-o", "x.png", "--size", "64x8193"], "64 to 8192"),
            (["-o", "x.png", "--size", "-64x64"], "--size"),
            (["-o", "x.png", "--at", "-1"], "--at is a time in seconds, 0 or more; got -1"),
            (["-o", "x.png", "--at", "nan"], "--at is a time in seconds"),
            (["-o", "x.png", "--at", "soon"], "--at"),
            (["-o", "x.png", "--sample", "10"], "there is no sample 10; the capture holds 10 samples"),
            (["-o", "x.png", "--sample", "-1"], "there is no sample -1"),
            (["-o", "x.png", "--layer", "conv"], "there is no layer 'conv'; the model has input, conv2d,"),
            (["-o", "x.png", "--step", "2"], "digits.zarr.zip holds no recorded training; record one with"),
            (["training", "-o", "x.png", "--step", "0"], "no step 0; the training was recorded from step 1 to 430"),
            (["training", "-o", "x.png", "--step", "1000"], "there is no step 1,000; the training was recorded"),
            (["-o", "x.png", "--threshold", "2"], "--threshold is a share of the colour range, 0 to 1; got 2"),
            (["-o", "x.png", "--threshold", "nan"], "--threshold is a share"),
            (["-o", "x.png", "--colormap", "jet"], "There is no colour map 'jet'; choose one of inferno"),
            (["-o", "x.png", "--normalize", "much"], '"much" for --normalize'),
            (["-o", "x.png", "--ranking", "size"], '"size" for --ranking'),
            (["-o", "x.png", "--normalize", "none"], 'Invalid value "none" for --normalize'),
            (["-o", "x.png", "--ranking", "null"], 'Invalid value "null" for --ranking'),
            (["-o", "x.png", "--at", "none"], 'Invalid value for --at: unable to convert "none"'),
            (["-o", "x.png", "--sample", "None"], 'Invalid value for --sample: unable to convert "None"'),
            (["-o", "x.png", "--threshold", "none"], 'Invalid value for --threshold: unable to convert "none"'),
            (["-o", "x.png", "--preprocess", "null"], 'Invalid value "null" for --preprocess'),
            (["none", "-o", "x.png"], "There is no 'none'"),
            (["", "-o", "x.png"], "The name of what to show is empty"),
            (["digitz", "-o", "x.png"], "There is no 'digitz'"),
            (["gone.zarr", "-o", "x.png"], "There is no capture at gone.zarr"),
            (["gone.zarr.zip", "-o", "x.png"], "There is no capture at gone.zarr.zip"),
            (["gone.toml", "-o", "x.png"], "Cannot read the scene gone.toml"),
            (["file.txt", "-o", "x.png"], "file.txt is no scene (.toml), no capture"),
            (["folder.png", "-o", "x.png"], "folder.png is no scene (.toml), no capture"),
            (["digits", "--scene", "structure", "-o", "x.png"], "is itself a scene"),
            (["foo.toml", "-o", "x.png"], "foo.toml: unknown key views[0].foo"),
            (["broken.toml", "-o", "x.png"], "broken.toml is not valid TOML"),
            (["no-source.toml", "-o", "x.png"], "names no source"),
            (["globs.toml", "-o", "x.png"], "views[0].layers: no layer matches 'convolution*'"),
            (
                ["ready.toml", "--input", "digits:3", "-o", "x.png"],
                "--input and the other options for models do not apply",
            ),
            (["ready.zarr.zip", "--weights", "all", "-o", "x.png"], "ready.zarr.zip is a ready capture, so --input"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_snapshot_refuses_mistakes(self, tmp_path, arguments, says):
        (tmp_path / "folder.png").mkdir()
        (tmp_path / "file.txt").write_text("words")
        where = json.dumps(str(bundled("digits.zarr.zip")))
        (tmp_path / "foo.toml").write_text('format = 1\n[[views]]\nkind = "structure"\nfoo = 1\n')
        (tmp_path / "broken.toml").write_text("format = = 1\n")
        (tmp_path / "no-source.toml").write_text("format = 1\n")
        (tmp_path / "ready.toml").write_text(f"format = 1\nsource = {{ capture = {where} }}\n")
        (tmp_path / "globs.toml").write_text(
            f'format = 1\nsource = {{ capture = {where} }}\n[[views]]\nkind = "activations"\nlayers = ["convolution*"]\n'
        )
        before = sorted(tmp_path.rglob("*"))
        assert says in refused(run("snapshot", *arguments, cwd=tmp_path))
        assert sorted(tmp_path.rglob("*")) == before

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["foo"], 'Unknown command "foo"'),
            (["--foo"], "--foo"),
            (["inspect", "gone.zarr"], "There is no capture at gone.zarr"),
            (["inspect", "--sample", "10"], "there is no sample 10"),
            (["inspect", "--sample", "1", "--all"], "--sample and --all contradict each other"),
            (["inspect", "--json", "yes", "no"], "no"),
            (["capture"], "MODEL requires an argument"),
            (["capture", "", "-o", "run.zarr"], "The model's name is empty"),
            (["capture", "keras:VGG16", "--input", "", "-o", "run.zarr"], "An input's name is empty"),
            (["capture", "model.keras"], "--output requires an argument"),
            (["capture", "model.keras", "-o", "run.txt"], "A capture's name ends in .zarr or .zarr.zip"),
            (["capture", "model.keras", "-o", "gone/run.zarr"], "the folder gone does not exist"),
            (["capture", "model.keras", "-o", "taken.zarr"], "taken.zarr exists and is not a capture"),
            (["serve", "--port", "many"], "--port"),
            (["serve", "--port", "none"], 'Invalid value for --port: unable to convert "none"'),
            (["serve", "gone.zarr"], "There is no capture at gone.zarr"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_commands_refuse_mistakes_and_leave_files_alone(self, tmp_path, arguments, says):
        (tmp_path / "taken.zarr").write_text("mine")
        assert says in refused(run(*arguments, cwd=tmp_path))
        assert os.listdir(tmp_path) == ["taken.zarr"]
        assert (tmp_path / "taken.zarr").read_text() == "mine"

    def test_error_for_an_unknown_scene_lists_the_scenes(self, tmp_path):
        said = refused(run("inspect", "digitz", cwd=tmp_path))
        for name in bundled_scenes():
            assert name in said

    @pytest.mark.tensorflow
    def test_text_file_named_as_a_model_is_refused(self, tmp_path):
        (tmp_path / "model.keras").write_text("not a model")
        said = refused(run("snapshot", "model.keras", "-o", "x.png", cwd=tmp_path))
        assert "model.keras" in said
        assert os.listdir(tmp_path) == ["model.keras"]

    def test_missing_model_is_refused(self, tmp_path):
        said = refused(run("snapshot", "gone.keras", "-o", "x.png", cwd=tmp_path))
        assert "gone.keras" in said
        assert os.listdir(tmp_path) == []


class TestDamage:
    """A damaged capture is never drawn."""

    @staticmethod
    def damage_of(capture: Path, tmp_path: Path) -> str:
        said = refused(run("snapshot", capture.name, "-o", "x.png", "--size", "64x64", cwd=tmp_path))
        assert not (tmp_path / "x.png").exists()
        assert refused(run("inspect", capture.name, cwd=tmp_path))
        return said

    def test_capture_of_a_newer_version_is_refused(self, small, tmp_path):
        file = small / "zarr.json"
        data = json.loads(file.read_text())
        data["attributes"]["version"] = 99
        file.write_text(json.dumps(data))
        said = self.damage_of(small, tmp_path)
        assert "version 99" in said
        assert "Update nnviz3d" in said

    def test_capture_with_a_changed_chunk_is_refused(self, small, tmp_path):
        (chunk,) = chunk_files(small / "activations" / "conv")
        chunk.write_bytes(b"\x00" + chunk.read_bytes()[: chunk.stat().st_size // 2])
        assert "activations/conv" in self.damage_of(small, tmp_path)

    def test_capture_with_a_missing_chunk_is_refused(self, small, tmp_path):
        (chunk,) = chunk_files(small / "activations" / "conv")
        chunk.unlink()
        assert "lacks part of its numbers" in self.damage_of(small, tmp_path)

    def test_capture_with_invalid_json_is_refused(self, small, tmp_path):
        (small / "activations" / "conv" / "@0" / "0" / "zarr.json").write_text("{bad")
        assert "activations/conv" in self.damage_of(small, tmp_path)

    def test_capture_whose_graph_has_other_shapes_is_refused(self, small, tmp_path):
        file = small / "zarr.json"
        data = json.loads(file.read_text())
        data["attributes"]["graph"]["nodes"][1]["shapes"] = [[6, 7, 5]]
        file.write_text(json.dumps(data))
        assert "the capture is damaged" in self.damage_of(small, tmp_path)

    def test_empty_folder_named_as_a_capture_is_refused(self, tmp_path):
        (tmp_path / "empty.zarr").mkdir()
        assert "not a capture" in self.damage_of(tmp_path / "empty.zarr", tmp_path)

    @pytest.mark.parametrize("share", [0.0, 0.5, 0.98])
    def test_truncated_capture_file_is_refused(self, tmp_path, share):
        whole = bundled("digits.zarr.zip").read_bytes()
        cut = tmp_path / "cut.zarr.zip"
        cut.write_bytes(whole[: int(len(whole) * share)])
        assert "cut.zarr.zip is not a capture, or it is damaged" in self.damage_of(cut, tmp_path)

    def test_capture_file_with_a_flipped_byte_is_refused(self, tmp_path):
        import zipfile

        data = bytearray(bundled("digits.zarr.zip").read_bytes())
        with zipfile.ZipFile(bundled("digits.zarr.zip")) as archive:
            chunk = next(i for i in archive.infolist() if i.filename.startswith("activations/conv2d/@0/0/c/"))
        data[chunk.header_offset + 200] ^= 0xFF
        flipped = tmp_path / "flipped.zarr.zip"
        flipped.write_bytes(data)
        assert "activations/conv2d" in self.damage_of(flipped, tmp_path)


INTERRUPTED = """
import os, signal
# A shell that runs this in the background makes all its children ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
from nnviz3d.apps.whole_files import PartialFile
write = PartialFile.write
def write_half(self, data):
    write(self, data[: len(data) // 2])
    os.kill(os.getpid(), signal.SIGINT)
    return len(data)
PartialFile.write = write_half
"""
WHILE_DRAWING = """
import os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from nnviz3d.render.renderer import Renderer
place = Renderer._place_text
def interrupted(self, *arguments):  # VTK calls this
    os.kill(os.getpid(), signal.SIGINT)
    return place(self, *arguments)
Renderer._place_text = interrupted
"""
FULL_DISK = """
import errno, os
from nnviz3d.apps.whole_files import PartialFile
write = PartialFile.write
def write_half(self, data):
    write(self, data[: len(data) // 2])
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
PartialFile.write = write_half
"""


class TestInterruptions:
    def test_ctrl_c_leaves_no_file(self, small, tmp_path):
        done = run("snapshot", small, "-o", "x.png", "--size", "64x64", cwd=tmp_path, code=INTERRUPTED)
        assert done.returncode == 128 + signal.SIGINT
        assert (done.stdout, done.stderr) == ("", "")
        assert os.listdir(tmp_path) == ["small.zarr"]

    def test_ctrl_c_leaves_an_earlier_file_unchanged(self, small, tmp_path):
        (tmp_path / "x.png").write_text("earlier")
        done = run("snapshot", small, "-o", "x.png", "--size", "64x64", cwd=tmp_path, code=INTERRUPTED)
        assert done.returncode == 128 + signal.SIGINT
        assert (tmp_path / "x.png").read_text() == "earlier"
        assert sorted(os.listdir(tmp_path)) == ["small.zarr", "x.png"]

    def test_ctrl_c_during_vtk_drawing_ends_the_command_quietly(self, small, tmp_path):
        done = run("snapshot", small, "-o", "x.png", "--size", "64x64", cwd=tmp_path, code=WHILE_DRAWING)
        assert done.returncode == 128 + signal.SIGINT
        assert (done.stdout, done.stderr) == ("", "")
        assert os.listdir(tmp_path) == ["small.zarr"]

    def test_full_disk_is_one_sentence(self, small, tmp_path):
        done = run("snapshot", small, "-o", "x.png", "--size", "64x64", cwd=tmp_path, code=FULL_DISK)
        assert "Cannot write x.png: No space left on device" in refused(done)
        assert os.listdir(tmp_path) == ["small.zarr"]

    def test_bug_prints_its_traceback(self, small, tmp_path):
        code = "import nnviz3d.apps.png\nnnviz3d.apps.png.encode_png = lambda *a, **k: 1 / 0\n"
        done = run("snapshot", small, "-o", "x.png", "--size", "64x64", cwd=tmp_path, code=code)
        assert done.returncode == 1
        assert "ZeroDivisionError" in done.stderr
        assert os.listdir(tmp_path) == ["small.zarr"]
