"""Damaged, encrypted, deeply nested and oversized model files are refused in one sentence."""

import os
import zipfile

import h5py
import keras
import pytest
from keras import layers

from nnviz3d.capture.loading import model_archive as archive
from nnviz3d.capture.loading.load import load_model
from nnviz3d.errors import ModelError
from tests.capture.old_files import edit


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="dense")])
    for ending in ("keras", "h5"):
        model.save(folder / f"m.{ending}")
    return folder


@pytest.fixture
def copy(whole, tmp_path):
    def make(ending):
        path = tmp_path / f"m.{ending}"
        path.write_bytes((whole / path.name).read_bytes())
        return path

    return make


def refusal(path):
    with pytest.raises(ModelError) as caught:
        load_model(str(path))
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert len(sentence) < 700
    return sentence


def repack(path, changed, compression=zipfile.ZIP_STORED):
    """Write a zip archive again with other parts."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()} | changed
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in parts.items():
            if content is not None:
                archive.writestr(name, content)
    return path


def patch(path, *changes):
    """Overwrite bytes of a file at offsets in the header of its first part, and of that part's entry."""
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    for local, central, value in changes:
        data[local] = value
        data[entry + central] = value
    path.write_bytes(data)
    return path


TEXTS = {
    "no json": "{]",
    "no text": b"\xff\xfe\x80",
    "a list": "[]",
    "a number": "7",
    "deep": "[" * 100_000,
    "a class alone": '{"class_name": "Sequential"}',
    "no class": '{"config": {}}',
    "a class that is a list": '{"class_name": [], "config": {}}',
    "settings that are text": '{"class_name": "Sequential", "config": "x"}',
    "layers that are numbers": '{"class_name": "Sequential", "config": {"layers": [1, 2]}}',
    "no layers": '{"module": "keras", "class_name": "Sequential", "config": {}, "registered_name": null}',
}


@pytest.mark.parametrize("name", TEXTS)
def test_invalid_architectures_are_refused(copy, name):
    text = TEXTS[name]
    refusal(repack(copy("keras"), {"config.json": text}))
    path = copy("h5")
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = text
    refusal(path)


def test_encrypted_parts_and_unknown_compression_are_refused(copy):
    assert "is encrypted" in refusal(patch(copy("keras"), (6, 8, 1)))
    assert "is damaged" in refusal(patch(copy("keras"), (8, 10, 99)))


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_broken_compression_is_refused(copy, compression):
    path = repack(copy("keras"), {}, compression)
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("model.weights.h5").header_offset
    data = bytearray(path.read_bytes())
    data[start + 60 : start + 90] = bytes(30)
    path.write_bytes(data)
    assert "is damaged" in refusal(path)


def test_damaged_weights_inside_an_archive_are_refused(copy):
    with zipfile.ZipFile(copy("keras")) as opened:
        weights = opened.read("model.weights.h5")
    for damaged in (b"", b"no weights", weights[: len(weights) // 2], weights[:600] + bytes(900) + weights[1500:]):
        refusal(repack(copy("keras"), {"model.weights.h5": damaged}))
    refusal(repack(copy("keras"), {"model.weights.h5": None}))


def test_refusal_of_surplus_keys_names_the_layer(copy):
    def change(config):
        config["config"]["layers"][1]["config"]["surplus"] = 3

    for ending in ("keras", "h5"):
        sentence = refusal(edit(copy(ending), change))
        assert "'dense' (Dense) does not fit" in sentence
        assert "surplus" in sentence


def test_refusal_of_a_newer_file_names_its_keras_version(copy):
    def change(config):
        config["config"]["layers"][1]["config"]["surplus"] = 3

    sentence = refusal(edit(copy("keras"), change, "9.1.0"))
    assert "which Keras 9.1.0 wrote" in sentence
    assert "pip install -U 'keras>=9.1.0'" in sentence


def test_archive_parts_over_the_limit_are_not_unpacked(copy, monkeypatch):
    monkeypatch.setenv("NNVIZ3D_LIMIT", "0.01")
    path = repack(copy("keras"), {"assets/zeros": bytes(12 * 2**20)}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**17
    monkeypatch.setattr(zipfile.ZipFile, "testzip", None)
    assert "m.keras, unpacked, would take 12" in refusal(path)
    path = repack(copy("keras"), {"config.json": b" " * 2**21}, zipfile.ZIP_DEFLATED)
    assert "The architecture in m.keras would take 16" in refusal(path)


def test_arrays_larger_than_the_limit_are_not_read(copy):
    path = copy("h5")
    with h5py.File(path, "r+") as file:
        file["model_weights"].create_dataset("huge", (2**20, 2**20), "f4", chunks=(64, 64))
    sentence = refusal(path)
    assert "The weights in m.h5 would take 4,096.0 GB of memory" in sentence
    assert "--limit" in sentence


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_layers_larger_than_the_limit_are_not_built(copy, ending):
    def change(config):
        config["config"]["layers"][1]["config"]["units"] = 10**9

    variable = keras.Variable.__init__
    assert "would take 14.9 GB of memory" in refusal(edit(copy(ending), change))
    assert keras.Variable.__init__ is variable
    assert "__init__" not in vars(keras.Variable)


def test_model_file_that_is_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "m.keras")
    os.mkfifo(tmp_path / "m.h5")
    assert "is a device or a pipe" in refusal(tmp_path / "m.keras")
    assert "is a device or a pipe" in refusal(tmp_path / "m.h5")


def test_objects_finds_every_level_of_a_deep_architecture():
    config = inner = {"class_name": "A", "config": {}}
    for _ in range(20_000):
        inner["config"]["layer"] = inner = {"class_name": "A", "config": {}}
    assert len(list(archive.objects(config))) == 20_001


def test_refusal_of_a_chain_too_long_for_keras_names_a_way_out(tmp_path):
    row = keras.Input((2,), name="row")
    keras.Model(row, layers.ReLU(name="relu_0")(row)).save(tmp_path / "m.keras")

    def change(config):
        chain = config["config"]["layers"]
        for n in range(1, 1000):
            layer = {key: value for key, value in chain[1].items() if key != "build_config"}
            nodes = [[[f"relu_{n - 1}", 0, 0, {}]]]
            chain.append({**layer, "name": f"relu_{n}", "config": {"name": f"relu_{n}"}, "inbound_nodes": nodes})
        config["config"]["output_layers"] = ["relu_999", 0, 0]

    sentence = refusal(edit(tmp_path / "m.keras", change))
    assert "deeper than Python's limit on recursion" in sentence
    assert "sys.setrecursionlimit(" in sentence


def test_versions_are_read_from_both_kinds_of_file(whole):
    for ending in ("keras", "h5"):
        assert archive.read_model_file(whole / f"m.{ending}").version == keras.__version__
