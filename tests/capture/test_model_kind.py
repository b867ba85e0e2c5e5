"""Check of objects given as models: Keras 3 passes, Keras 2 is named, anything else is refused."""

import sys

import numpy as np
import pytest

import nnviz3d
from nnviz3d.capture.loading.model_kind import check_model
from nnviz3d.errors import ModelError
from tests.capture import zoo


def of_keras_2(module, bases=()):
    """Make an object whose class says that it comes from a module of Keras 2."""
    return type("Sequential", bases, {"__module__": module, "name": "old"})()


KERAS_2 = (
    "tf_keras.src.engine.sequential",
    "keras.src.engine.functional",
    "keras.engine.training",
    "tensorflow.python.keras.engine.sequential",
)


def test_check_model_passes_models_of_keras_3():
    check_model(zoo.digits_like())
    check_model(zoo.Stack())


@pytest.mark.parametrize("module", KERAS_2)
def test_check_model_names_keras_2(module):
    for model in (of_keras_2(module), type("Mine", (type(of_keras_2(module)),), {})()):
        with pytest.raises(ModelError, match=r"is a model of Keras 2 .*model\.save\('model\.h5'\)") as caught:
            check_model(model)
        assert len(str(caught.value)) < 700


def test_check_model_refuses_other_objects():
    for other in (3, [1, 2], of_keras_2("tf_keras_extras.models"), of_keras_2("keras_hub.models")):
        with pytest.raises(ModelError, match=f"Expected a Keras model, got {type(other).__name__}.$"):
            check_model(other)


def test_capture_and_recorder_name_keras_2(tmp_path):
    model = of_keras_2(KERAS_2[0])
    with pytest.raises(ModelError, match="Keras 2"):
        nnviz3d.capture(model, np.ones((1, 3), np.float32), out=tmp_path / "run.zarr")
    with pytest.raises(ModelError, match="Keras 2"):
        nnviz3d.TrainingRecorder(tmp_path / "run.zarr").set_model(model)


def test_model_of_pytorch_is_sent_to_onnx():
    module = type("Module", (), {"__module__": "torch.nn.modules.module"})
    with pytest.raises(ModelError, match=r"Net is a model of PyTorch, .* export it to ONNX, torch\.onnx\.export"):
        check_model(type("Net", (module,), {})())


def test_missing_tensorflow_is_named_in_python(monkeypatch, tmp_path):
    parts = ("capture.live_model", "capture.training.recorder", "capture.training.recording", "api.training_recorder")
    for name in parts:
        monkeypatch.delitem(sys.modules, f"nnviz3d.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "nnviz3d.capture.capture_model", None)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    for attempt in (
        lambda: nnviz3d.capture(object(), out=tmp_path / "run.zarr"),
        lambda: nnviz3d.TrainingRecorder(tmp_path / "run.zarr"),
        lambda: nnviz3d.snapshot(object(), tmp_path / "x.png"),
    ):
        with pytest.raises(ModelError, match="needs TensorFlow, which is not installed; install it with"):
            attempt()
