"""Files and folders that are no models: each is refused in one sentence that says what it is and what to do."""

import io
import json
import pickle
import shutil
import zipfile

import h5py
import numpy as np
import pytest

from nnviz3d.apps.target import ModelOptions, resolve
from nnviz3d.capture.loading.load import load_model
from nnviz3d.errors import UserError
from tests.capture import zoo

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
HTML = b"\n<!DOCTYPE html>\n<html><head><title>404</title></head></html>"
SAVE = "model.save('model.keras')"


def zipped(*names):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return held.getvalue()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    model = zoo.digits_like()
    model.save(folder / "m.keras")
    model.save(folder / "m.h5")
    return folder


FILES = {
    # name: (content, or the file whose bytes it has, and words of the sentence)
    "empty.keras": (b"", "is no model: got an empty file; copy or download it again"),
    "empty.h5": (b"", "got an empty file"),
    "empty.onnx": (b"", "got an empty file"),
    "pointer.keras": (LFS, "got a pointer of Git LFS to the real file; run git lfs pull"),
    "pointer.h5": (LFS, "run git lfs pull in its repository"),
    "pointer.tflite": (LFS, "run git lfs pull in its repository"),
    "page.h5": (HTML, "got a web page (HTML); download it again with the address of the file itself"),
    "page.keras": (HTML, "got a web page (HTML)"),
    "page.pt": (HTML, "page.pt is a web page (HTML)"),
    "text.h5": (b"hello", "expected the HDF5 file that model.save() writes, got a text file; give the file that"),
    "text.keras": (b"hello", "expected the zip archive that model.save() writes, got a text file"),
    "config.h5": (b'{"class_name": "Sequential"}', "got a text file (JSON)"),
    "packed.h5": ("m.keras", "got a .keras archive; rename it to end in .keras"),
    "flat.keras": ("m.h5", "is an HDF5 file in spite of its name; rename it to end in .h5"),
    "torch.keras": (zipped("net/data.pkl"), "export the model to ONNX in Python, torch.onnx.export"),
    "torch.h5": (zipped("net/data.pkl"), "got a file of PyTorch; export the model to ONNX"),
    "pickle.h5": (pickle.dumps([1]), "got a pickle or an old file of PyTorch"),
    "twice.keras": (
        zipped("m/config.json"),
        "without a config.json, so it is not a Keras model; unpack it, and open what",
    ),
    "compressed.h5": (b"\x1f\x8b\x08\x00", "got an archive that gzip compressed; unpack it first"),
    "lite.h5": (b"\x1c\x00\x00\x00TFL3", "got a model of TensorFlow Lite; rename it to end in .tflite"),
    "bytes.h5": (bytes(range(256)), "got some other kind of file"),
    "net.pt": (zipped("net/data.pkl"), "is a file of PyTorch, which nnviz3d does not run; export the model in Python"),
    "net.pth": (b"\x80\x02", "is a file of PyTorch"),
    "net.safetensors": (b"\x08", "is a file of weights without an architecture (safetensors); export"),
    "net.pkl": (b"\x80\x04", "is a pickle, which can run any code when it is read"),
    "net.joblib": (b"\x80\x04", "is a pickle"),
    "frozen.pb": (b"\x0a", "convert a frozen graph with tf2onnx"),
    "saved_model.pb": (b"\x0a", "is a part of a SavedModel; give its folder"),
    "net.ckpt": (b"\x00", "is a checkpoint of TensorFlow, which holds weights without an architecture"),
    "lightning.ckpt": (zipped("net/data.pkl"), "is a file of PyTorch"),
    "net.ckpt.index": (b"\x00", "is a checkpoint of TensorFlow"),
    "net.ckpt.data-00000-of-00001": (b"\x00", "is a checkpoint of TensorFlow"),
    "net.mlmodel": (b"\x08", "is a model of Core ML"),
    "net.gguf": (b"GGUF", "is a language model of llama.cpp"),
    "net.yaml": (b"class_name: Sequential", SAVE),
    "net.zip": (zipped("keras_model.h5", "labels.txt"), "holds keras_model.h5; unpack it"),
    "net.tgz": (b"\x1f\x8b", "is an archive; unpack it"),
    "train.py": (b"import keras", "is a program, not a model"),
    "x.npz": (zipped("x.npy"), "is a file of samples, not a model; it is given with --input"),
    "cat.png": (b"\x89PNG", "is given with --input"),
    "web.json": (b'{"modelTopology": {}}', "is a model of TensorFlow.js; convert it with tensorflowjs_converter"),
    "alone.json": (b'{"class_name": "Sequential", "config": {}}', "as the model, and add --architecture alone.json"),
    "run.zarr.zip": (zipped("zarr.json"), "is a capture, not a model; it is shown by: nnviz3d serve CAPTURE"),
    "notes.json": (b"{}", "notes.json is no model that nnviz3d knows by its name; expected"),
    "notes.txt": (b"hello", "notes.txt is no model that nnviz3d knows by its name; expected"),
}


def refusal(path):
    with pytest.raises(UserError) as caught:
        load_model(str(path))
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert len(sentence) < 690
    assert path.name in sentence
    assert sentence.endswith((".", "?"))
    return sentence


@pytest.mark.parametrize("name", FILES)
def test_file_that_is_no_model_is_named_with_what_to_do(whole, tmp_path, name):
    content, said = FILES[name]
    path = tmp_path / name
    path.write_bytes((whole / content).read_bytes() if isinstance(content, str) else content)
    assert said in refusal(path)


FOLDERS = {
    "checkpoint": (["checkpoint", "m.ckpt.index", "m.ckpt.data-00000-of-00001"], "holds a checkpoint of TensorFlow"),
    "orbax": (["_METADATA", "manifest.ocdbt"], "is a checkpoint of Orbax (JAX)"),
    "transformers": (["config.json", "model.safetensors"], "optimum-cli export onnx"),
    "runs": (["b.keras", "a.h5", "log.txt"], "give the file in it (it holds 2 models)"),
    "half": (["config.json", "metadata.json"], "is an unpacked .keras file without its model.weights.h5"),
    "other half": (["model.weights.h5"], "without its config.json"),
    "cut": (["variables"], "is a SavedModel without its saved_model.pb; copy the whole folder"),
    "m.mlpackage": (["Manifest.json"], "is a model of Core ML"),
    "none": ([], "The folder none is no SavedModel"),
    "photos": (["a.png"], "The folder photos is no SavedModel"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_folder_that_is_no_model_is_named_with_what_to_do(tmp_path, name):
    held, said = FOLDERS[name]
    (tmp_path / name).mkdir()
    for one in held:
        (tmp_path / name / one).write_bytes(b"x")
    assert said in refusal(tmp_path / name)


def test_hdf5_file_of_data_is_not_called_weights(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["images"], file["labels"] = np.zeros((2, 3)), np.zeros(2)
    assert "is an HDF5 file without a Keras model: it holds images, labels" in refusal(tmp_path / "data.h5")


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_truncated_model_is_called_damaged(whole, tmp_path, ending):
    for share in (0.05, 0.5, 0.95):
        content = (whole / f"m.{ending}").read_bytes()
        (tmp_path / f"cut.{ending}").write_bytes(content[: int(len(content) * share)])
        assert "is damaged or cut short" in refusal(tmp_path / f"cut.{ending}")


def test_commands_pass_foreign_models_on_and_keep_scenes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.pt").write_bytes(b"\x80")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits/m.keras").touch()
    assert resolve("net.pt", None, ModelOptions()).model == "net.pt"
    assert resolve("digits", None, ModelOptions()).capture is not None
    with pytest.raises(UserError, match=r"notes\.txt is no scene"):
        resolve("notes.txt", None, ModelOptions())


def test_json_of_a_nested_architecture_is_read_without_recursion_errors(tmp_path):
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "list.json").write_text(json.dumps([1]))
    assert "knows by its name" in refusal(tmp_path / "deep.json")
    assert "knows by its name" in refusal(tmp_path / "list.json")
    shutil.rmtree(tmp_path)


def test_mistyped_name_of_a_model_is_refused_with_the_close_ones(tmp_path):
    for name in ("model.keras", "model.h5", "modell.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert f"did you mean {tmp_path / 'model.keras'}" in refusal_of(tmp_path / "modle.keras")
    assert refusal_of(tmp_path / "quite_other.keras").endswith("quite_other.keras; check its path.")
    assert "expected keras:NAME" in refusal_of(tmp_path / "quite_other")
    assert refusal_of(tmp_path / "no/folder.keras").endswith("check its path.")


def refusal_of(path):
    with pytest.raises(UserError, match="There is no model at") as caught:
        load_model(str(path))
    return str(caught.value)


def test_part_that_is_missing_inside_a_file_is_named(whole, tmp_path):
    shutil.copy(whole / "m.h5", tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        name = next(name for name in file["model_weights"] if name.startswith("conv"))
        del file["model_weights"][name]
    assert f"a part of it is missing, '{name}', so it is damaged" in refusal(tmp_path / "m.h5")
