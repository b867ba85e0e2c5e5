"""Looking from Python, as a script does that has TensorFlow imported."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from PIL import Image

import nnviz3d
from nnviz3d.apps.worker import SocketConnection, Worker
from nnviz3d.capture.listener import Listener
from nnviz3d.data.bundled import bundled
from nnviz3d.data.request import CaptureRequest, Finished, Progress
from nnviz3d.errors import SampleError, UserError

SCRIPT = """
import json, urllib.request
from pathlib import Path
import keras, numpy as np, tensorflow
import nnviz3d
from nnviz3d.apps.worker import SocketConnection, Worker
from nnviz3d.data.request import Invitation
from nnviz3d.errors import UserError

class Net(keras.Model):  # a class of one's own, in a file that no other process has imported
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
    said["status"] = urllib.request.urlopen(viewer.url).status
    folder = viewer._close.__self__.folder
    # What the viewer does when another sample is chosen: it asks this process.
    invitation = Invitation.model_validate_json((folder / "live.json").read_text())
    said["samples"] = [name for name, _ in invitation.samples]
    worker = Worker(lambda: SocketConnection(invitation.port, invitation.token))
    model.scores.bias.assign([9.0, 0.0, 0.0, 0.0])  # trained on, meanwhile
    worker.run(invitation.request.model_copy(update={"inputs": ("x[5]",), "out": Path("five.zarr")}))
    five = nnviz3d.open_capture("five.zarr")
    said["five"] = five.activations(five.graph.outputs[0]).values.tolist()
    said["now"] = model(x[5:]).numpy().tolist()
said["closed"] = [viewer.running, repr(viewer), folder.exists()]
Path("said.json").write_text(json.dumps(said))
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    folder = tmp_path_factory.mktemp("script")
    (folder / "script.py").write_text(textwrap.dedent(SCRIPT))
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "nnviz3d:" not in done.stderr, "errors are exceptions, not words beside them"
    return folder, json.loads((folder / "said.json").read_text())


@pytest.mark.tensorflow
def test_pictures_of_a_live_model_a_scene_and_a_capture(script):
    folder, _ = script
    for name in ("live", "scene", "capture"):
        pixels = np.asarray(Image.open(folder / f"{name}.png")).astype(int)
        assert pixels.shape == (360, 640, 3)
        hot = (pixels[..., 0] > 180) & (pixels[..., 0] - pixels[..., 2] > 90)
        assert hot.sum() > 100, name


@pytest.mark.tensorflow
def test_mistakes_are_one_sentence(script):
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
def test_a_live_model_answers_from_the_process_it_lives_in(script):
    _, said = script
    assert said["status"] == 200
    assert said["samples"] == [f"x[{i}]" for i in range(6)]
    assert said["five"] == said["now"], "the numbers of the model as it is at that moment"
    assert not np.allclose(said["five"], said["truth"][5])
    assert said["closed"] == [False, "<nnviz3d viewer: closed>", False], "nothing is left behind"


def test_who_does_not_know_the_token_is_told_nothing(tmp_path):
    asked = []

    def capture(request: CaptureRequest, report) -> Finished:
        asked.append(request)
        report(Progress(stage="forward", done=0))
        return Finished(out=request.out, samples=1, nodes=1, seconds={})

    listener = Listener(capture)
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


def test_arrays_for_a_file_go_through_a_file(tmp_path):
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
