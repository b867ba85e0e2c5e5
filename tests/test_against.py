"""Two checkpoints of a Keras model, as files and as objects: differences of numbers and weights against Keras and NumPy."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from nnviz3d.api.command_arguments import CommandArguments
from nnviz3d.apps.comparison import Compared
from nnviz3d.apps.open_target import opened
from nnviz3d.apps.target import ModelOptions
from nnviz3d.apps.worker import run_capture
from nnviz3d.data.capture import open_capture
from nnviz3d.data.counterpart import Counterpart
from nnviz3d.data.json_lines import invitation_in
from nnviz3d.errors import CaptureError, UserError
from nnviz3d.scene.derived.differences import differences_of
from nnviz3d.scene.selection import Selection
from tests.support import command_line

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

SCRIPT = """
import json, sys
from pathlib import Path
import keras, numpy as np
from nnviz3d.api.command_arguments import CommandArguments

def model():
    layers = keras.layers
    x = inputs = keras.Input((9, 8, 2))
    x = layers.Conv2D(5, 3, activation="relu")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(4, activation="softmax")(x))

random = np.random.default_rng(2)
x = random.normal(size=(3, 9, 8, 2)).astype("float32")
np.save("x.npy", x)
said = {}
for name in "ab":
    one = model()  # the names of the second one's layers have other numbers
    # Gammas and moving statistics too, which every model has alike at first.
    one.set_weights([w + random.uniform(0.1, 0.5, w.shape) for w in one.get_weights()])
    one.save(f"{name}.keras")
    parts = keras.Model(one.inputs, [layer.output for layer in one.layers[1:]])
    said[name] = {"values": [y.numpy().tolist() for y in parts(x)], "weights": [w.tolist() for w in one.get_weights()]}
    said[name]["layers"] = [layer.name for layer in one.layers]
    globals()[name] = one
wide = keras.Sequential([keras.Input((9, 8, 2)), keras.layers.Conv2D(6, 3), keras.layers.Flatten()])
wide.save("wide.keras")
for name, live in (("words", False), ("live", True)):
    arguments = CommandArguments()
    said[name] = arguments.of(a, x, {"against": b, "sample": 1}, live=live)
    Path(name).mkdir()
    for path in arguments.folder.iterdir():
        path.rename(Path(name) / path.name)
    arguments.close()
Path("said.json").write_text(json.dumps(said))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("against")
    subprocess.run([sys.executable, "-c", textwrap.dedent(SCRIPT)], cwd=folder, check=True, timeout=300)
    return folder, json.loads((folder / "said.json").read_text())


def test_difference_of_two_files_is_that_of_keras_and_of_numpy(made, monkeypatch):
    folder, said = made
    monkeypatch.chdir(folder)
    options = ModelOptions(inputs=("x.npy",))
    other = Compared("b.keras", run_capture)
    with opened("a.keras", None, options, run_capture, sample=2, other=other) as found:
        assert found.capture.committed == 1, "the shown sample alone"
        scene = found.scene(Selection(quantity="difference"), aspect=1.5)
        for k, name in enumerate(said["a"]["layers"][1:]):
            expected = np.subtract(*(np.array(said[one]["values"][k][2]) for one in "ab"))
            np.testing.assert_allclose(scene.context.difference(name, Selection()), expected, rtol=1e-4, atol=2e-6)
        places = differences_of(scene.context, Selection(quantity="difference"))
        weights = [[np.array(w, np.float32).astype(float) for w in said[one]["weights"]] for one in "ab"]
        sizes = [
            np.sqrt(np.mean((a - b) ** 2)) / np.sqrt((np.mean(a**2) + np.mean(b**2)) / 2)
            for a, b in zip(*weights, strict=True)
        ]
        assert [one.size for one in places.variables] == pytest.approx(sorted(sizes, reverse=True), rel=1e-6)
        largest = max(np.abs(a - b).max() for a, b in zip(*weights, strict=True))
        assert max(abs(one.here - one.there) for one in places.weights) <= largest
        assert found.capture.counterpart.name == "b.keras"


def test_model_with_other_layers_is_refused_by_the_first_one_that_differs(made, monkeypatch):
    folder, said = made
    monkeypatch.chdir(folder)
    conv = said["a"]["layers"][1]
    with (
        pytest.raises(CaptureError, match=rf"{conv} .*has shape 7 × 6 × 5 in a\.keras and 7 × 6 × 6 in wide\.keras"),
        opened(
            "a.keras", None, ModelOptions(inputs=("x.npy",)), run_capture, other=Compared("wide.keras", run_capture)
        ),
    ):
        pass


def test_model_objects_are_compared_on_the_same_samples(made):
    folder, said = made
    stems = []
    for kind, count in (("words", 1), ("live", 3)):
        files = [said[kind][0], said[kind][said[kind].index("--against") + 1]]
        shown, other = (open_capture(folder / kind / Path(name).name) for name in files)
        assert (shown.committed, other.committed) == (1, count), "a viewer may ask for all samples"
        assert Counterpart.of(shown, other, ("a", "b"), "b").samples[0] is not None
        assert shown.sample_name(0) == "x[1]"
        stems.append([Path(name).stem for name in files])
    assert stems[0] == stems[1]
    assert stems[0][0] != stems[0][1]
    invitation = invitation_in(folder / "live" / "live.json")
    assert sorted(name for name, _ in invitation.samples) == sorted(other.sample_name(i) for i in range(3))
    dense = said["b"]["layers"][-1]
    held = {other.sample_name(i): other.activation(dense, i) for i in range(3)}
    for i in range(3):
        np.testing.assert_allclose(held[f"x[{i}]"], said["b"]["values"][-1][i], rtol=1e-5, atol=1e-7)


def test_preprocessing_of_two_models_is_printed_once_if_it_is_the_same(made):
    folder, _ = made
    said = command_line.run(
        "snapshot", "a.keras", "--against", "b.keras", "--input", "x.npy", "-o", "d.png", cwd=folder
    )
    assert said.returncode == 0, said.stderr
    assert said.stderr.count("Preprocessing") == 1, said.stderr


def test_file_and_object_are_not_mixed():
    arguments = CommandArguments()
    try:
        with pytest.raises(UserError, match=r"against is a model object, so the target has to be one too"):
            arguments.of("a.keras", None, {"against": object()}, live=False)
        assert arguments.of("a.zarr", None, {"against": Path("b.zarr")}, live=False)[-2:] == ["--against", "b.zarr"]
        assert arguments.of("a.zarr", None, {"against": 1}, live=False)[-2:] == ["--against", "1"]
    finally:
        arguments.close()
