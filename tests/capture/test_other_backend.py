"""Models on another backend of Keras are captured through a copy that runs with TensorFlow."""

import os
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
from keras import layers

import nnviz3d
from nnviz3d.api.command_arguments import CommandArguments
from nnviz3d.capture.other_backend import other_backend, save_copy
from nnviz3d.errors import ModelError, SampleError
from tests.capture import zoo


@keras.saving.register_keras_serializable(package="tests")
class Halving(layers.Layer):
    def call(self, x):
        return x / 2


@pytest.fixture
def jax(monkeypatch):
    """Let Keras say that it runs on jax: the copy is made in the same way, whatever the backend."""
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")


def small(*made):
    return keras.Sequential([keras.Input((3,), name="input"), *made], name="small net")


def test_backend_of_a_model_is_told(jax, monkeypatch):
    assert other_backend(small()) == "jax"
    assert other_backend("m.keras") is None
    monkeypatch.undo()
    assert other_backend(small()) is None


def test_copy_has_the_model_the_samples_and_the_names_of_its_code(jax, tmp_path):
    model = small(Halving(), layers.Lambda(lambda x: x * 2))
    copy = save_copy(model, np.ones((2, 3)), [1, 0], tmp_path)
    assert copy.model == tmp_path / "small_net.keras"
    assert copy.custom == ("tests.capture.test_other_backend:Halving",)
    assert copy.trust
    assert copy.note.startswith("Sequential 'small net' runs on jax; a copy of it was run with TensorFlow")
    with np.load(copy.inputs[0]) as held:
        assert held["x"].dtype == np.float32
        assert held["y"].tolist() == [1, 0]


def test_samples_of_several_inputs_are_saved_by_name(jax, tmp_path):
    model = zoo.two_in_two_out()
    left, right = np.ones((2, 4)), np.ones((2, 3))
    for x in ([left, right], {"right": right, "left": left}):
        with np.load(save_copy(model, x, None, tmp_path).inputs[0]) as held:
            assert {name: held[name].shape for name in held} == {"left": (2, 4), "right": (2, 3)}
    assert save_copy(model, ["random", "digits:3"], None, tmp_path).inputs == ("random", "digits:3")
    with pytest.raises(SampleError, match="labels go with arrays"):
        save_copy(model, "random", [1], tmp_path)


def test_model_with_a_class_that_cannot_be_imported_is_refused(jax, tmp_path):
    class Local(layers.Layer):
        def call(self, x):
            return x

    with pytest.raises(ModelError, match=r"runs on jax, so a copy of it .* Local; move that to a module of its own"):
        save_copy(small(Local()), None, None, tmp_path)


def test_commands_get_the_copy_as_a_file(jax, capfd):
    arguments = CommandArguments()
    try:
        words = arguments.of(small(Halving()), np.ones((2, 3)), {"sample": 1, "classes": "abc"}, live=True)
    finally:
        arguments.close()
    assert words[0].endswith("small_net.keras")
    assert words[words.index("--custom") + 1] == "tests.capture.test_other_backend:Halving"
    assert words[words.index("--sample") + 1] == "1"
    assert {"--input", "--classes"} <= set(words)
    assert "runs on jax" in capfd.readouterr().err


def test_training_on_another_backend_is_not_recorded(jax, tmp_path):
    with pytest.raises(
        ModelError, match="TrainingRecorder needs TensorFlow as the backend of Keras, which runs on jax"
    ):
        nnviz3d.TrainingRecorder(tmp_path / "run.zarr").set_model(small(layers.Dense(2)))


@pytest.mark.slow
def test_capture_of_the_copy_holds_the_numbers_of_the_model(jax, tmp_path):
    model = small(Halving(), layers.Dense(2, name="last"))
    x = np.random.default_rng(0).random((3, 3)).astype(np.float32)
    run = nnviz3d.capture(model, x, out=tmp_path / "run.zarr", labels=[0, 1, 0], classes="ab")
    assert np.allclose(run.activation("last", sample=2), np.asarray(model(x))[2], atol=1e-6)
    assert run.classes == ("a", "b")
    assert run.provenance.notes[0].startswith("Sequential 'small net' runs on jax")
    with pytest.raises(nnviz3d.UserError, match=r"x\.npz has the shape \(2, 5\)"):
        nnviz3d.capture(model, np.ones((2, 5)), out=tmp_path / "run.zarr")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "numpy"])
def test_model_of_a_real_backend_is_captured(backend, tmp_path):
    pytest.importorskip("jax")  # Keras' numpy backend needs it too
    script = """
        import sys, keras, numpy as np, nnviz3d
        kinds = keras.layers
        made = [kinds.Conv2D(3, 3, strides=2, padding="same"), kinds.BatchNormalization(), kinds.LSTM(4)]
        made.insert(2, kinds.Reshape((16, 3)))
        model = keras.Sequential([keras.Input((8, 8, 1)), *made])
        x = np.random.default_rng(0).random((2, 8, 8, 1)).astype("float32")
        run = nnviz3d.capture(model, x, out="run.zarr")
        assert "tensorflow" not in sys.modules or keras.config.backend() != "tensorflow"
        assert np.allclose(run.activation("lstm", sample=1), np.asarray(model(x))[1], atol=1e-5)
    """
    environment = {**os.environ, "KERAS_BACKEND": backend}
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], cwd=tmp_path, env=environment, check=True)
