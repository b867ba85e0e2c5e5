"""Tests of the Python API, as used by a script that has imported TensorFlow."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import textwrap
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import nnviz3d
from nnviz3d import Intervention
from nnviz3d.api.command_arguments import CommandArguments
from nnviz3d.api.command_process import CommandProcess
from nnviz3d.api.stderr_filter import StderrFilter
from nnviz3d.api.viewer import Viewer
from nnviz3d.apps.worker import Worker
from nnviz3d.apps.worker_connections import SocketConnection
from nnviz3d.capture import live_model_server as listening
from nnviz3d.capture.live_model_server import LiveModelServer
from nnviz3d.data.bundled import bundled
from nnviz3d.data.request import CaptureRequest, Finished, Progress
from nnviz3d.errors import Nnviz3dError, SampleError, UserError

pytestmark = pytest.mark.slow

SCRIPT = """
import json, os, signal, time, urllib.request
from pathlib import Path
import keras, numpy as np, tensorflow
import nnviz3d
from nnviz3d.apps.worker import Worker
from nnviz3d.apps.worker_connections import SocketConnection
from nnviz3d.data.request import Invitation
from nnviz3d.errors import UserError

# A shell that runs this in the background makes all its children ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

class Net(keras.Model):  # a custom class in a file that no other process has imported
    def __init__(self):
        super().__init__()
        self.conv = keras.layers.Conv2D(8, 3, activation="relu")
        self.flatten = keras.layers.Flatten()
        self.scores = keras.layers.Dense(4, activation="softmax")

    def call(self, x):
        return self.scores(self.flatten(self.conv(x)))

model = Net()
x = np.random.default_rng(0).random((6, 12, 12, 1)).astype("float32")
said = {"truth": model(x).numpy().tolist()}
nnviz3d.snapshot(model, "live.png", x, sample=3, size=(640, 360), classes="abcd")
nnviz3d.snapshot("digits", "scene.png", size=(640, 360), sample=2)
run = nnviz3d.capture(model, x, out="run.zarr")
nnviz3d.snapshot(run, "capture.png", size=(640, 360), sample=3)
for wrong in (
    lambda: nnviz3d.snapshot("nothing.keras", "x.png"),
    lambda: nnviz3d.snapshot(model, "x.png", x, sample=6),
    lambda: nnviz3d.snapshot(model, "x.jpg", x),
    lambda: nnviz3d.snapshot(7, "x.png"),
    lambda: nnviz3d.snapshot("digits", "x.png", labels=[1]),
):
    try:
        wrong()
    except UserError as error:
        said.setdefault("refused", []).append(str(error))
with nnviz3d.serve(model, x, sample=1, open=False, block=False, port=0) as viewer:
    try:
        os.killpg(0, signal.SIGINT)  # Ctrl-C at a prompt
        time.sleep(60)
    except KeyboardInterrupt:
        said["interrupted"] = True
    folder = viewer._on_close.__self__.folder
    # As the viewer does if another sample is chosen: it asks this process.
    invitation = Invitation.model_validate_json((folder / "live.json").read_text())
    said["samples"] = [name for name, _ in invitation.samples]
    worker = Worker(lambda: SocketConnection(invitation.port, invitation.token))
    model.scores.bias.assign([9.0, 0.0, 0.0, 0.0])  # as by further training
    worker.run(invitation.request.model_copy(update={"inputs": ("x[5]",), "out": Path("five.zarr")}))
    five = nnviz3d.open_capture("five.zarr")
    said["five"] = five.activations(five.graph.outputs[0]).values.tolist()
    said["now"] = model(x[5:]).numpy().tolist()
    said["status"] = urllib.request.urlopen(viewer.url).status
said["closed"] = [viewer.running, repr(viewer), folder.exists()]
Path("said.json").write_text(json.dumps(said))
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    folder = tmp_path_factory.mktemp("script")
    (folder / "script.py").write_text(textwrap.dedent(SCRIPT))
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        start_new_session=True,  # Ctrl-C reaches only this script
    )
    assert done.returncode == 0, done.stderr
    assert "nnviz3d:" not in done.stderr, "errors are raised, not printed"
    return folder, json.loads((folder / "said.json").read_text())


@pytest.mark.tensorflow
def test_snapshot_draws_a_live_model_a_scene_and_a_capture(script):
    folder, _ = script
    for name in ("live", "scene", "capture"):
        pixels = np.asarray(Image.open(folder / f"{name}.png")).astype(int)
        assert pixels.shape == (360, 640, 3)
        hot = (pixels[..., 0] > 180) & (pixels[..., 0] - pixels[..., 2] > 90)
        assert hot.sum() > 100, name


@pytest.mark.tensorflow
def test_mistakes_raise_errors_of_one_sentence(script):
    _, said = script
    words = (
        "There is no model at nothing.keras",
        "There is no sample 6; x holds 6, from 0",
        "the name has to end in .png",
        "Expected a Keras model, got int",
        "labels go with a model object",
    )
    for sentence, word in zip(said["refused"], words, strict=True):
        assert word in sentence
        assert "\n" not in sentence


@pytest.mark.tensorflow
def test_live_model_answers_from_its_own_process(script):
    _, said = script
    assert said["interrupted"]
    assert said["status"] == 200, "Ctrl-C at the prompt does not reach the viewer"
    assert said["samples"] == [f"x[{i}]" for i in range(6)]
    assert said["five"] == said["now"], "the numbers of the model at that moment"
    assert not np.allclose(said["five"], said["truth"][5])
    assert said["closed"] == [False, "<nnviz3d viewer: closed>", False], "nothing is left behind"


@pytest.mark.tensorflow
@pytest.mark.parametrize("quantity", ["attribution", "gradient_x_activation"])
def test_quantity_of_a_live_model_may_be_named_by_its_alias(quantity, monkeypatch):
    requests = []
    kept = SimpleNamespace(held=None, sources=("digits:0",), answer=lambda request, _report: requests.append(request))
    monkeypatch.setattr("nnviz3d.capture.live_model.prepare_live_model", lambda *_args, **_options: kept)
    arguments = CommandArguments()
    try:
        words = arguments.of(object(), None, {"quantity": quantity}, live=False)
    finally:
        arguments.close()
    assert words[-2:] == ["--quantity", quantity]
    assert requests[0].insights.gradients


@pytest.mark.tensorflow
def test_interventions_reach_a_live_model_and_the_command(monkeypatch):
    requests = []
    kept = SimpleNamespace(held=None, sources=("digits:0",), answer=lambda request, _report: requests.append(request))
    monkeypatch.setattr("nnviz3d.capture.live_model.prepare_live_model", lambda *_args, **_options: kept)
    listed = [
        Intervention("conv", index=(0, 5, 3)),
        Intervention("conv", unit=1, action="scale", factor=1 / 3),
        Intervention("a", unit=2, action="freeze", reader="b"),
    ]
    arguments = CommandArguments()
    try:
        words = arguments.of(object(), None, {"interventions": listed}, live=False)
        assert words[-6:] == ["--mute", "conv[0,5,3]", "--scale", f"conv[1]={1 / 3!r}", "--freeze", "a[2]->b"]
        assert requests[0].insights.interventions == tuple(listed)
        for wrong in (listed[::-1], [Intervention("x", action="paint", picture="p.png")]):
            with pytest.raises(UserError, match="A viewer takes interventions that mute, then"):
                arguments.of("a.keras", None, {"interventions": wrong}, live=False)
        for wrong in (listed[0], ["conv"]):
            with pytest.raises(UserError, match=r"a list of nnviz3d\.Intervention"):
                arguments.of("a.keras", None, {"interventions": wrong}, live=False)
    finally:
        arguments.close()


def test_listener_refuses_requests_without_the_token(tmp_path):
    asked = []

    def capture(request: CaptureRequest, report) -> Finished:
        asked.append(request)
        report(Progress(stage="forward", done=0))
        return Finished(out=request.out, samples=1, nodes=1, seconds={})

    listener = LiveModelServer(capture)
    request = CaptureRequest(model="live", out=tmp_path / "run.zarr")
    with pytest.raises(UserError, match="has ended"):
        Worker(lambda: SocketConnection(listener.port, "guess")).run(request)
    assert asked == []
    worker = Worker(lambda: SocketConnection(listener.port, listener.token))
    heard = []
    assert worker.run(request, heard.append).samples == 1
    assert (asked, [e.stage for e in heard]) == ([request], ["forward"])
    listener.close()
    with pytest.raises(UserError, match=r"other samples cannot be run|no longer answers"):
        worker.run(request)
    with pytest.raises(UserError, match="no longer answers"):
        worker.run(request)


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("said", [b"\x16\x03\x01\xff\xfe\n", b"\xff" * 300, b""], ids=["TLS", "long", "nothing"])
def test_listener_closes_connections_that_send_no_token(monkeypatch, said):
    monkeypatch.setattr(listening, "_PATIENCE", 0.05)
    listener = LiveModelServer(lambda request, report: pytest.fail("It was not asked."))
    with socket.create_connection(("127.0.0.1", listener.port), timeout=60) as stranger:
        stranger.sendall(said)
        with contextlib.suppress(ConnectionResetError):  # if the listener closed before it had read everything
            assert stranger.recv(1) == b""
    listener.close()


def test_arrays_for_a_model_file_are_passed_as_a_file(tmp_path):
    model = bundled("digits.keras")
    x = np.zeros((3, 28, 28, 1), np.float32)
    x[1, 10:18, 12:16] = 1
    out = nnviz3d.snapshot(model, tmp_path / "x.png", x, sample=1, size=(320, 180))
    assert Image.open(out).size == (320, 180)
    with pytest.raises(UserError, match="There is no sample 3; the input holds 3 samples"):
        nnviz3d.snapshot(model, tmp_path / "y.png", x, sample=3)
    with pytest.raises(SampleError, match="Python objects"):
        nnviz3d.snapshot(model, tmp_path / "y.png", [[1], [2, 3]])
    assert not (tmp_path / "y.png").exists()


def heard(*pieces: str) -> tuple[str, str]:
    """Return the output that the filter passes on, and the error message."""
    stderr = StderrFilter()
    return "".join([*map(stderr.feed, pieces), stderr.end()]), stderr.message


@pytest.mark.parametrize(
    ("said", "passed", "sentence"),
    [
        ("Port 8080 is taken.\nnnviz3d: Wrong.\n", "Port 8080 is taken.\n", "nnviz3d: Wrong.\n"),
        ("nnviz3d: One.\nTwo.\nnnviz3d: Three.\nFour.\n", "nnviz3d: One.\nTwo.\n", "nnviz3d: Three.\nFour.\n"),
        (
            "\x1b[?25l\r  3/9 ━━\r\x1b[2K\x1b[?25hnnviz3d: Wrong.\n",
            "\x1b[?25l\r  3/9 ━━\r\x1b[2K\x1b[?25h",
            "nnviz3d: Wrong.\n",
        ),
        ("This is nnviz3d: a viewer.\nnnviz", "This is nnviz3d: a viewer.\nnnviz", ""),
    ],
)
def test_stderr_filter_finds_the_error_message_in_pieces_of_any_size(said, passed, sentence):
    assert heard(said) == heard(*said) == (passed, sentence)
    for cut in range(len(said)):
        assert heard(said[:cut], said[cut:]) == (passed, sentence)


def test_stderr_filter_passes_progress_on_at_once():
    stderr = StderrFilter()
    assert [stderr.feed(said) for said in ("50%", "\r", "\x1b[2K", "nn", "viz", "4 s")] == [
        "50%",
        "\r",
        "\x1b[2K",
        "",
        "",
        "nnviz4 s",
    ]


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Return a function that replaces the Python interpreter of viewers by a shell script."""
    path = tmp_path / "python"

    def put(script: str) -> None:
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(path))

    return put


@pytest.mark.parametrize("end", ["exit 130", "exit 143", "kill -TERM $$"])
def test_interrupted_command_is_an_error_for_pictures_and_a_close_for_windows(stand_in, tmp_path, capsys, end):
    stand_in(end)
    with pytest.raises(Nnviz3dError, match="was interrupted"):
        nnviz3d.snapshot("digits", tmp_path / "x.png")
    with pytest.raises(Nnviz3dError, match="was interrupted"):
        nnviz3d.serve("digits", open=False)
    nnviz3d.show("digits", block=True)
    assert capsys.readouterr().err == ""


def test_ended_process_leaves_no_pipe_open(stand_in):
    stand_in("echo http://address; exit 0")
    child = CommandProcess("serve", [], listen=True)
    assert child.first_line() == "http://address"
    child.wait()
    assert child._process.stdout.closed


@pytest.mark.parametrize(
    ("origin", "words"),
    [("https://hub.example", ["https://hub.example"]), (("http://a", "http://b"), ["http://a", "http://b"]), ((), [])],
)
def test_origins_and_base_path_become_options(stand_in, origin, words):
    stand_in('echo "$@"; exec sleep 600')
    with nnviz3d.serve("digits", open=False, block=False, origin=origin, base_path="/user/x") as viewer:
        given = viewer.url.split()
    assert [value for option, value in pairwise(given) if option == "--origin"] == words
    assert given[given.index("--base-path") + 1] == "/user/x"


def test_tour_is_an_option_of_pages_and_windows_which_a_notebook_refuses(stand_in):
    stand_in('echo "$@"; exec sleep 600')
    with nnviz3d.serve("digits", open=False, block=False, tour=True) as viewer:
        assert "--tour" in viewer.url.split()
    with pytest.raises(UserError, match=r"A scene in a notebook has no tour; nnviz3d\.serve"):
        nnviz3d.show("digits", inline=True, tour=True)


def test_model_of_a_capture_is_an_option_of_pages_and_windows_which_a_notebook_refuses(stand_in, small_capture):
    stand_in('echo "$@"; exec sleep 600')
    for target in (small_capture, str(small_capture.path)):
        with nnviz3d.serve(target, "digits:7", open=False, block=False, model="m.keras") as viewer:
            given = viewer.url.split()
        assert str(small_capture.path) in given
        assert (given[given.index("--model") + 1], given[given.index("--input") + 1]) == ("m.keras", "digits:7")
    with pytest.raises(UserError, match="A scene in a notebook runs no model"):
        nnviz3d.show("run.zarr", inline=True, model="m.keras")


def test_notes_are_printed_and_the_error_message_is_raised(stand_in, tmp_path, capsys):
    stand_in("printf 'A note.\nnnviz3d: It is wrong.\n' >&2; exit 2")
    with pytest.raises(UserError, match=r"^It is wrong\.$"):
        nnviz3d.snapshot("digits", tmp_path / "x.png")
    assert capsys.readouterr().err == "A note.\n"


def test_ctrl_c_while_a_viewer_starts_or_works_ends_its_process(stand_in, tmp_path, monkeypatch):
    stand_in("exec sleep 600")
    started = []

    def interrupted(process: CommandProcess, **_: object) -> None:
        started.append(process)
        raise KeyboardInterrupt

    monkeypatch.setattr(Viewer, "_wait_for_answer", lambda viewer: interrupted(viewer._process))
    with pytest.raises(KeyboardInterrupt):
        nnviz3d.serve("digits", open=False, block=False)
    monkeypatch.setattr(CommandProcess, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        nnviz3d.snapshot("digits", tmp_path / "x.png")
    assert [process.running for process in started] == [False, False]


def test_missing_display_is_printed_without_waiting_and_raised_with_waiting(monkeypatch, capsys):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    viewer = nnviz3d.show("digits", block=False)
    while viewer.running:
        time.sleep(0.05)
    viewer.close()
    assert capsys.readouterr().err.startswith("nnviz3d: There is no display")
    with pytest.raises(UserError, match="There is no display"):
        nnviz3d.show("digits", block=True)
    assert capsys.readouterr().err == "", "the error is raised, not printed"


def test_table_about_samples_is_passed_as_a_file():
    class Frame:
        columns = ("age",)
        to_numpy = None

        def to_csv(self, path: Path, *, index: bool) -> None:
            assert not index
            path.write_text("age\n3\n")

    for metadata, named in (("points.csv", "points.csv"), (Path("a/b.tsv"), "a/b.tsv"), (Frame(), "metadata.csv")):
        arguments = CommandArguments()
        words = arguments.of("run.zarr", None, {"metadata": metadata}, live=False)
        path = words[words.index("--metadata") + 1]
        assert path.endswith(named)
        assert not isinstance(metadata, Frame) or Path(path).read_text() == "age\n3\n"
        arguments.close()
    arguments = CommandArguments()
    with pytest.raises(UserError, match="metadata is the path"):
        arguments.of("run.zarr", None, {"metadata": [1]}, live=False)
    arguments.close()


def test_unknown_options_are_refused_by_name(tmp_path):
    with pytest.raises(UserError, match=r"There is no option 'treshold'; there are scene, .*threshold.*, step,"):
        nnviz3d.snapshot("digits", tmp_path / "out.png", treshold=0.5)
    assert not list(tmp_path.iterdir())


def test_fractional_frame_rates_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"--fps: 29\.97 is no whole number"):
        nnviz3d.record("digits", tmp_path / "x.mp4", fps=29.97)  # type: ignore[arg-type]
