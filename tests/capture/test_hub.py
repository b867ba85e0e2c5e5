"""Models from KerasHub and Hugging Face, with both packages replaced by stand-ins that need no network."""

import json
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import keras
import numpy as np
import pytest

from nnviz3d.capture.loading.load import load_model
from nnviz3d.errors import ModelError
from tests.capture import zoo


class RepositoryNotFoundError(Exception): ...


class GatedRepoError(Exception): ...


class LocalEntryNotFoundError(FileNotFoundError): ...


def refusal(source, **options):
    with pytest.raises(ModelError) as caught:
        load_model(str(source), **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def keras_hub(monkeypatch, tmp_path):
    """Return a stand-in for KerasHub with one preset that is a task and one that is a backbone."""
    folder = tmp_path / "cached"
    folder.mkdir()
    (folder / "task.json").write_text(json.dumps({"class_name": "TinyClassifier"}))
    model = zoo.digits_like()

    def get_file(preset, name):
        if preset == "tiny_far":
            raise ConnectionError("api.kaggle.com does not answer")
        if preset not in {"tiny_task", str(folder)} or not (folder / name).exists():
            raise FileNotFoundError(name)
        return str(folder / name)

    class Backbone:
        presets = ("tiny_task", "tiny_backbone", "tiny_far")

        @classmethod
        def from_preset(cls, preset):
            return model

    class TinyClassifier:
        @classmethod
        def from_preset(cls, preset, preprocessor):
            assert preprocessor is None
            return keras.Sequential([model, keras.layers.Softmax(name="scores")])

    package, utils = ModuleType("keras_hub"), ModuleType("keras_hub.src.utils.preset_utils")
    package.models = SimpleNamespace(Backbone=Backbone, TinyClassifier=TinyClassifier)
    package.__version__ = "0.1"
    utils.get_file = get_file
    monkeypatch.setitem(sys.modules, "keras_hub", package)
    monkeypatch.setitem(sys.modules, "keras_hub.src.utils.preset_utils", utils)
    return folder


@pytest.fixture
def hugging_face(monkeypatch, tmp_path):
    """Return a stand-in for Hugging Face: a folder with the repositories ``user/NAME``."""
    folder = tmp_path / "repositories"

    def held(name):
        if name == "user/gated":
            raise GatedRepoError("Access is restricted.")
        if name == "user/far":
            raise LocalEntryNotFoundError("The server does not answer")
        if not (folder / name).is_dir():
            raise RepositoryNotFoundError(name)
        return sorted(str(path.relative_to(folder / name)) for path in (folder / name).rglob("*") if path.is_file())

    package = ModuleType("huggingface_hub")
    package.list_repo_files = held
    package.hf_hub_download = lambda name, file: held(name) and str(folder / name / file)
    package.snapshot_download = lambda name, allow_patterns: str(folder / name)
    monkeypatch.setitem(sys.modules, "huggingface_hub", package)
    model = zoo.digits_like()
    for name in ("packed", "unpacked", "old", "torch"):
        (folder / "user" / name).mkdir(parents=True)
        (folder / "user" / name / "README.md").touch()
    model.save(folder / "user/packed/model.keras")
    shutil.unpack_archive(folder / "user/packed/model.keras", folder / "user/unpacked", "zip")
    model.save(folder / "user/old/model.h5")
    model.save_weights(folder / "user/old/a.weights.h5")
    (folder / "user/torch/model.safetensors").touch()
    (folder / "user/torch/config.json").touch()
    return model


def test_preset_is_loaded_by_name_as_task_or_backbone(keras_hub):
    task, backbone = load_model("hub:tiny_task"), load_model("hub:tiny_backbone")
    assert (task.name, task.model.layers[-1].name) == ("hub:tiny_task", "scores")
    assert backbone.model.layers[-1].name != "scores"
    assert "preprocessing" in task.notes[0]


def test_preset_folder_is_loaded_as_its_task(keras_hub):
    (keras_hub / "config.json").touch()
    loaded = load_model(str(keras_hub))
    assert (loaded.name, loaded.model.layers[-1].name) == ("cached", "scores")


def test_preset_that_cannot_be_had_is_refused(keras_hub):
    assert "KerasHub has no preset 'tiny_tusk'. Did you mean tiny_task" in refusal("hub:tiny_tusk")
    assert "keras.io/keras_hub/presets lists them all" in refusal("hub:qqqq")
    assert "hub:tiny_far could not be downloaded (api.kaggle.com does not answer); try again" in refusal("hub:tiny_far")
    (keras_hub / "task.json").write_text(json.dumps({"class_name": "Newer"}))
    assert "is of the class Newer, which KerasHub 0.1 does not have; update it" in refusal("hub:tiny_task")


@pytest.mark.parametrize(
    "source", ["hf://user/packed", "hf://user/unpacked", "hf://user/old", "hf://user/old/model.h5"]
)
def test_model_on_hugging_face_is_loaded_by_its_file(hugging_face, source, rng):
    loaded = load_model(source)
    x = zoo.numbers(rng, 1, 28, 28, 1)
    assert loaded.name == source
    assert np.array_equal(loaded.model(x), hugging_face(x))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "hf://user/torch",
            "holds README.md, config.json, model.safetensors. Its weights are those of PyTorch; export it",
        ),
        ("hf://user/none", "There is no model hf://user/none; expected the user and the name"),
        ("hf://user/gated", "needs its owner's permission"),
        ("hf://user/far", "could not be downloaded (The server does not answer); try again"),
        ("hf://user", "is incomplete; expected hf://USER/NAME"),
        ("hf://", "is incomplete"),
    ],
)
def test_model_on_hugging_face_that_cannot_be_had_is_refused(hugging_face, source, said):
    assert said in refusal(source)


def test_missing_packages_are_named_with_the_command_that_installs_them(monkeypatch):
    for name in ("keras_hub", "huggingface_hub"):
        monkeypatch.setitem(sys.modules, name, None)
    assert "needs the package keras-hub, which is not installed; install it with: pip install" in refusal("hub:bert")
    assert "needs the package huggingface_hub, which is not installed" in refusal("hf://user/name")
    assert "--weights goes with keras:NAME only" in refusal("hub:bert", weights="none")


def test_file_with_layers_of_keras_hub_asks_for_the_package_and_not_for_trust(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    zoo.digits_like().save(tmp_path / "m.keras")
    shutil.unpack_archive(tmp_path / "m.keras", tmp_path / "parts", "zip")
    path = Path(tmp_path / "parts/config.json")
    config = json.loads(path.read_text())
    config["config"]["layers"][1].update(module="keras_hub.src.layers.a", registered_name="keras_hub>A", class_name="A")
    path.write_text(json.dumps(config))
    sentence = refusal(tmp_path / "parts")
    assert "needs layers of keras_hub, which is not installed; install it with: pip install keras-hub" in sentence
    assert "--trust" not in sentence
