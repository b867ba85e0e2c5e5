"""Models load from every supported form; others are refused in one sentence."""

import json
import shutil

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from nnviz3d.capture.loading import keras_file
from nnviz3d.capture.loading.application import application_names
from nnviz3d.capture.loading.load import load_model
from nnviz3d.capture.programs.flat_program import expected_inputs
from nnviz3d.errors import ModelError
from tests.capture import zoo


@keras.saving.register_keras_serializable(package="tests")
class Doubling(layers.Layer):
    def call(self, x):
        return x * 2


def refusal(source, **options):
    with pytest.raises(ModelError) as caught:
        load_model(str(source), **options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_model_files_of_every_kind_open(tmp_path, name, rng):
    model = zoo.digits_like()
    model.save(tmp_path / name)
    loaded = load_model(str(tmp_path / name))
    x = zoo.numbers(rng, 2, 28, 28, 1)
    assert loaded.name == name
    assert len(loaded.sha256) == 64
    assert np.array_equal(loaded.model(x), model(x))


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_loaded_model_keeps_the_loss_of_its_file_and_is_not_compiled(tmp_path, name):
    model = zoo.digits_like()
    model.compile(loss="sparse_categorical_crossentropy")
    model.save(tmp_path / name)
    loaded = load_model(str(tmp_path / name))
    assert loaded.compile_config["loss"] == "sparse_categorical_crossentropy"
    assert not loaded.model.compiled
    zoo.digits_like().save(tmp_path / "plain.keras")
    assert not load_model(str(tmp_path / "plain.keras")).compile_config.get("loss")


def test_application_without_weights_is_built():
    loaded = load_model("keras:MobileNetV2", weights="none")
    assert (loaded.name, loaded.family, loaded.imagenet) == ("keras:MobileNetV2", "tf", True)
    assert "random, not trained" in loaded.notes[0]
    assert "VGG16" in application_names()
    assert all(name[0].isupper() for name in application_names())


def test_application_takes_weights_from_a_file(tmp_path, rng):
    source = keras.applications.MobileNetV2(weights=None)
    source.save_weights(tmp_path / "w.weights.h5")
    loaded = load_model("keras:MobileNetV2", weights=str(tmp_path / "w.weights.h5"))
    x = zoo.numbers(rng, 1, 224, 224, 3)
    assert np.array_equal(loaded.model(x, training=False), source(x, training=False))
    assert "There is no weights file nowhere.h5" in refusal("keras:MobileNetV2", weights="nowhere.h5")
    (tmp_path / "bad.weights.h5").write_text("no weights")
    assert "does not fit MobileNetV2" in refusal("keras:MobileNetV2", weights=str(tmp_path / "bad.weights.h5"))


def test_failed_download_of_weights_is_refused_in_one_sentence(monkeypatch):
    def offline(weights):
        raise Exception("URL fetch failure on https://example.invalid/w.h5: None -- [Errno -2] No such name")  # noqa: TRY002

    monkeypatch.setattr(keras.applications, "VGG16", offline)
    sentence = refusal("keras:VGG16")
    assert sentence == (
        "The ImageNet weights of VGG16 could not be downloaded (No such name); give a file with --weights FILE, or draw "
        "the untrained network with --weights none."
    )


def test_unknown_application_is_refused_with_a_suggestion():
    assert "no model 'VGG61'. Did you mean VGG19 or VGG16?" in refusal("keras:VGG61", weights="none")
    assert "Did you mean MobileNetV2" in refusal("keras:mobilenetv2", weights="none")
    assert "It has ConvNeXtBase" in refusal("keras:qqqq", weights="none")


def test_weights_option_is_refused_for_model_files(tmp_path):
    zoo.digits_like().save(tmp_path / "m.keras")
    assert "goes with keras:NAME only" in refusal(tmp_path / "m.keras", weights="none")


def test_files_that_are_no_models_are_refused(tmp_path):
    (tmp_path / "text.keras").write_text("import keras\n")
    (tmp_path / "none.keras").touch()
    (tmp_path / "bytes.keras").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "text.h5").write_text("hello")
    (tmp_path / "m.pt").touch()
    (tmp_path / "folder").mkdir()
    shutil.make_archive(str(tmp_path / "zip"), "zip", tmp_path / "folder")
    (tmp_path / "zip.zip").rename(tmp_path / "zip.keras")
    assert "got a text file" in refusal(tmp_path / "text.keras")
    assert "got an empty file" in refusal(tmp_path / "none.keras")
    assert "got some other kind of file" in refusal(tmp_path / "bytes.keras")
    assert "expected the HDF5 file" in refusal(tmp_path / "text.h5")
    assert "m.pt is an empty file; copy or download it again." in refusal(tmp_path / "m.pt")
    assert "The folder folder is no SavedModel" in refusal(tmp_path / "folder")
    assert "without a config.json" in refusal(tmp_path / "zip.keras")
    assert "There is no model at" in refusal(tmp_path / "nowhere.keras")


def test_truncated_files_are_refused(tmp_path):
    for name in ("m.keras", "m.h5"):
        zoo.digits_like().save(tmp_path / name)
        whole = (tmp_path / name).read_bytes()
        (tmp_path / f"cut-{name}").write_bytes(whole[: len(whole) * 2 // 3])
        assert f"cut-{name} is damaged or cut short" in refusal(tmp_path / f"cut-{name}")


def test_file_with_a_flipped_byte_is_refused(tmp_path):
    zoo.digits_like().save(tmp_path / "m.keras")
    whole = bytearray((tmp_path / "m.keras").read_bytes())
    whole[len(whole) // 2] ^= 255
    (tmp_path / "m.keras").write_bytes(whole)
    assert "m.keras is damaged" in refusal(tmp_path / "m.keras")


def test_hdf5_file_with_a_wrong_ending_is_refused(tmp_path):
    zoo.digits_like().save(tmp_path / "m.h5")
    (tmp_path / "m.h5").rename(tmp_path / "m.keras")
    assert "rename it to end in .h5" in refusal(tmp_path / "m.keras")


def test_weights_without_an_architecture_are_refused(tmp_path):
    zoo.digits_like().save_weights(tmp_path / "m.weights.h5")
    sentence = refusal(tmp_path / "m.weights.h5")
    assert "holds weights but no architecture" in sentence
    assert "keras:NAME --weights FILE" in sentence


def test_lambda_layer_is_refused_without_trust(tmp_path):
    model = keras.Sequential([keras.Input((3,), name="input"), layers.Lambda(lambda x: x * 2, name="twice")])
    model.save(tmp_path / "m.keras")
    sentence = refusal(tmp_path / "m.keras")
    assert "carries code of its own: Lambda 'twice', a lambda function" in sentence
    assert "--trust" in sentence
    trusted = load_model(str(tmp_path / "m.keras"), trust=True)
    assert np.array_equal(trusted.model(np.ones((1, 3), np.float32)), [[2, 2, 2]])
    assert "was trusted" in trusted.notes[0]


def test_custom_layers_are_refused_by_name_without_trust(tmp_path):
    keras.Sequential([keras.Input((3,), name="input"), Doubling(name="twice")]).save(tmp_path / "m.keras")
    assert "Doubling" in refusal(tmp_path / "m.keras")
    assert load_model(str(tmp_path / "m.keras"), trust=True).model.layers[0].name == "twice"


@pytest.mark.parametrize(("module", "name"), [(None, "my>Doubling"), ("__main__", "Doubling")])
def test_trust_is_not_advised_for_a_class_of_which_no_module_is_named(tmp_path, module, name):
    keras.Sequential([keras.Input((3,), name="input"), Doubling(name="twice")]).save(tmp_path / "m.keras")
    shutil.unpack_archive(tmp_path / "m.keras", tmp_path / "parts", "zip")
    config = json.loads((tmp_path / "parts/config.json").read_text())
    layer = next(one for one in config["config"]["layers"] if one["class_name"] == "Doubling")
    layer.update(module=module, registered_name=name)
    (tmp_path / "parts/config.json").write_text(json.dumps(config))
    shutil.make_archive(str(tmp_path / "m"), "zip", tmp_path / "parts")
    (tmp_path / "m.zip").rename(tmp_path / "m.keras")
    sentence = refusal(tmp_path / "m.keras")
    assert "Doubling, which the file does not hold" in sentence
    assert "--custom MODULE:Doubling" in sentence
    assert "--trust" not in sentence


def test_trusted_custom_layers_are_imported_from_the_models_folder(tmp_path):
    code = "import keras\n\nclass Tripling(keras.layers.Layer):\n    def call(self, x):\n        return x * 3\n"
    (tmp_path / "beside_the_model.py").write_text(code)
    config = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {
            "name": "m",
            "layers": [
                {
                    "module": "keras.layers",
                    "class_name": "InputLayer",
                    "config": {"batch_shape": [None, 3], "dtype": "float32", "name": "input"},
                    "registered_name": None,
                },
                {
                    "module": "beside_the_model",
                    "class_name": "Tripling",
                    "config": {"name": "thrice"},
                    "registered_name": "Tripling",
                },
            ],
        },
        "registered_name": None,
    }
    keras.Sequential([keras.Input((3,), name="input"), Doubling(name="thrice")]).save(tmp_path / "made.keras")
    shutil.unpack_archive(tmp_path / "made.keras", tmp_path / "parts", "zip")
    (tmp_path / "parts/config.json").write_text(json.dumps(config))
    shutil.make_archive(str(tmp_path / "m"), "zip", tmp_path / "parts")
    (tmp_path / "m.zip").rename(tmp_path / "m.keras")
    sentence = refusal(tmp_path / "m.keras")
    assert (
        "needs beside_the_model.Tripling, which the file does not hold. Add --custom beside_the_model:Tripling"
        in sentence
    )
    trusted = load_model(str(tmp_path / "m.keras"), trust=True)
    assert np.array_equal(trusted.model(np.ones((1, 3), np.float32)), [[3, 3, 3]])
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(tmp_path / "m.keras", tmp_path / "elsewhere")
    import sys

    del sys.modules["beside_the_model"]
    sentence = refusal(tmp_path / "elsewhere/m.keras", trust=True)
    assert "needs beside_the_model.Tripling, which could not be loaded" in sentence
    assert "nnviz3d.capture(model, x)" in sentence


def test_sequential_as_a_bare_list_of_keras_2_1_opens(tmp_path, rng):
    model = zoo.digits_like()
    model.save(tmp_path / "old.h5")
    with h5py.File(tmp_path / "old.h5", "r+") as file:
        config = json.loads(file.attrs["model_config"])
        layered = config["config"]["layers"]
        first = next(layer for layer in layered if layer["class_name"] != "InputLayer")
        first["config"]["batch_input_shape"] = [None, 28, 28, 1]
        first["config"]["dtype"] = "float32"
        config["config"] = [layer for layer in layered if layer["class_name"] != "InputLayer"]
        file.attrs["model_config"] = json.dumps(config).encode()
    before = (tmp_path / "old.h5").read_bytes()
    loaded = load_model(str(tmp_path / "old.h5"))
    x = zoo.numbers(rng, 2, 28, 28, 1)
    assert np.array_equal(loaded.model(x), model(x))
    assert "Keras 2.1" in loaded.notes[-1]
    assert (tmp_path / "old.h5").read_bytes() == before


def test_saved_model_is_refused_without_trust_and_opens_with_it(tmp_path, rng):
    model = zoo.two_in_two_out()
    model.export(tmp_path / "saved", verbose=False)
    assert "is a SavedModel, which is TensorFlow code" in refusal(tmp_path / "saved")
    loaded = load_model(str(tmp_path / "saved"), trust=True)
    assert "layers are those of the SavedModel's graph" in loaded.notes[0]
    x = {"left": zoo.numbers(rng, 2, 4), "right": zoo.numbers(rng, 2, 3)}
    names = [spec.name for spec in expected_inputs(loaded.model).specs]
    own, given = model(x), loaded.model({name: x["left" if "left" in name else "right"] for name in names})
    assert np.allclose(given["first"], own["first"], atol=1e-6)


def test_saved_model_without_a_signature_is_refused(tmp_path):
    class Bare(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 3))])
        def double(self, x):
            return x * 2

    bare = Bare()
    tf.saved_model.save(bare, str(tmp_path / "bare"), signatures={"other": bare.double})
    assert "has no signature serving_default; it has other. Save it again with" in refusal(
        tmp_path / "bare", trust=True
    )
    tf.saved_model.save(bare, str(tmp_path / "again"), signatures=bare.double)
    load_model(str(tmp_path / "again"), trust=True)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/saved_model.pb").write_bytes(b"nothing")
    assert "cannot be loaded" in refusal(tmp_path / "bad", trust=True)


def test_model_that_keras_cannot_read_is_refused(tmp_path, monkeypatch):
    zoo.digits_like().save(tmp_path / "m.keras")

    def fails(*_args, **_kwargs):
        raise TypeError("Could not deserialize")

    monkeypatch.setattr(keras_file.keras.saving, "load_model", fails)
    sentence = refusal(tmp_path / "m.keras")
    assert (
        "cannot load m.keras: Could not deserialize. If the file is intact, load it in Python where it was" in sentence
    )


def test_unpacked_keras_file_opens_like_the_file(tmp_path, rng):
    model = zoo.digits_like()
    model.save(tmp_path / "packed.keras")
    x = zoo.numbers(rng, 2, 28, 28, 1)
    for name in ("model", "model.keras"):
        shutil.unpack_archive(tmp_path / "packed.keras", tmp_path / name, "zip")
        loaded = load_model(str(tmp_path / name))
        assert np.array_equal(loaded.model(x), model(x))
        assert (loaded.name, len(loaded.sha256)) == (name, 64)
    (tmp_path / "model/model.weights.h5").unlink()
    assert "is an unpacked .keras file without its model.weights.h5; unpack all of it again." in refusal(
        tmp_path / "model"
    )


def test_model_files_with_endings_in_capitals_open(tmp_path, rng):
    model = zoo.digits_like()
    x = zoo.numbers(rng, 2, 28, 28, 1)
    for name, capitals in (("m.keras", "M.KERAS"), ("m.h5", "M.H5")):
        model.save(tmp_path / name)
        (tmp_path / name).rename(tmp_path / capitals)
        assert np.array_equal(load_model(str(tmp_path / capitals)).model(x), model(x))
