"""Damaged captures are refused in one sentence, before much of them is read."""

import json
import shutil
import zipfile
from contextlib import suppress

import numpy as np
import pytest

from nnviz3d.data.capture import open_capture
from nnviz3d.data.graph import LayerNode, ModelGraph
from nnviz3d.data.records import Provenance
from nnviz3d.errors import CaptureError, DamagedCapture
from tests.support.captures import explained_capture
from tests.support.trainings import small_training

CONV = "activations/conv/@0/0"
HUGE = 10**12


@pytest.fixture(scope="module")
def explained(tmp_path_factory):
    return explained_capture(tmp_path_factory.mktemp("explained") / "run.zarr").path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return small_training(tmp_path_factory.mktemp("trained") / "run.zarr").path


@pytest.fixture
def copy(tmp_path):
    def make(source):
        shutil.copytree(source, tmp_path / "run.zarr")
        return tmp_path / "run.zarr"

    return make


def change(folder, path, *keys, to):
    """Change one value of a description, found by its keys."""
    file = folder / path / "zarr.json"
    data = json.loads(file.read_text())
    place = data
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = to
    file.write_text(json.dumps(data))


def is_one_sentence(error):
    text = str(error.value)
    return len(text) < 700 and text.isprintable() and text.endswith(".")


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b'{"a": \xff}', b"null", b'{"node_type": 3}'])
@pytest.mark.parametrize("path", ["", CONV])
def test_unreadable_description_is_refused(explained, copy, path, content):
    folder = copy(explained)
    (folder / path / "zarr.json").write_bytes(content)
    with pytest.raises(CaptureError, match="damaged") as error:
        open_capture(folder).activation("conv")
    assert is_one_sentence(error)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("shape", 0), HUGE),
        (("shape", 1), HUGE),
        (("shape",), [HUGE] * 8),
        (("shape",), {}),
        (("chunk_grid", "configuration", "chunk_shape", 1), 1),
        (("chunk_grid", "configuration", "chunk_shape", 0), HUGE),
        (("chunk_grid", "configuration", "chunk_shape", 0), 0),
        (("chunk_grid",), None),
        (("data_type",), "string"),
        (("data_type",), "\x1b[31m\n"),
        (("data_type",), "int64"),
        (("codecs", 0, "name"), "blosc"),
        (("codecs", 0, "configuration", "codecs", 1, "name"), "zstd"),
        (("codecs", 0, "configuration", "codecs", 1, "name"), "blosc"),
        (("codecs", 0, "configuration", "chunk_shape", 0), HUGE),
        (("codecs", 0, "configuration", "chunk_shape", 1), 1),
        (("codecs", 0, "configuration", "index_location"), "start"),
        (("codecs",), []),
        (("zarr_format",), None),
        (("node_type",), "group"),
    ],
)
def test_wrong_description_of_an_array_is_refused(explained, copy, keys, value):
    folder = copy(explained)
    change(folder, CONV, *keys, to=value)
    with pytest.raises(CaptureError) as error:
        open_capture(folder).activation("conv")
    assert is_one_sentence(error)


def test_missing_description_is_refused_and_not_read_as_missing_numbers(explained, copy):
    folder = copy(explained)
    (folder / CONV / "zarr.json").unlink()
    with pytest.raises(DamagedCapture, match=f"{CONV} has no description"):
        open_capture(folder).has_activations("conv")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("committed", HUGE),
        ("committed", 4),
        ("committed", -1),
        ("committed", "3"),
        ("committed", True),
        ("classes", 7),
        ("classes", [{}]),
        ("provenance", {"model": "m", "seed": []}),
        ("provenance", {"model": "m", "samples": 4}),
        ("graph", {}),
    ],
)
def test_wrong_attributes_are_refused_on_opening(explained, copy, key, value):
    folder = copy(explained)
    change(folder, "", "attributes", key, to=value)
    with pytest.raises(CaptureError) as error:
        open_capture(folder)
    assert is_one_sentence(error)


@pytest.mark.parametrize("value", [-1, HUGE**2, "x", None, [[[[[[1]]]]]]])
@pytest.mark.parametrize("key", ["shapes", "details", "parameters"])
def test_wrong_graph_is_refused_on_opening(explained, copy, key, value):
    folder = copy(explained)
    wrong = {"shapes": [[value]], "details": value if value is None else {"units": [[[value]]]}, "parameters": value}
    change(folder, "", "attributes", "graph", "nodes", 1, key, to=wrong[key])
    if (key, value) == ("shapes", None) or (key == "details" and value in (-1, HUGE**2, "x")):
        assert open_capture(folder).graph, "a variable length and a layer's own details are allowed"
        return
    with pytest.raises(CaptureError) as error:
        open_capture(folder)
    assert is_one_sentence(error)


@pytest.mark.parametrize(
    ("path", "keys", "value", "read"),
    [
        ("connections/input/@0/conv/@0", ["totals"], [1], lambda c: c.connections("input", "conv")),
        ("connections/input/@0/conv/@0", ["totals"], ["x"] * 3, lambda c: c.connections("input", "conv")),
        ("connections/input/@0/conv/@0", ["rankings"], ["weight"], lambda c: c.connections("input", "conv")),
        ("targets/predicted", ["output"], "nobody", lambda c: c.explanations().targets),
        ("attributions/grad_cam/predicted", ["layers"], ["nobody"], lambda c: c.explanations().attribution("grad_cam")),
        ("attributions/grad_cam/predicted", ["layers"], ["dense"], lambda c: c.explanations().attribution("grad_cam")),
        (
            "attributions/grad_cam/predicted/conv/@0",
            ["shares"],
            "x",
            lambda c: c.explanations().attribution("grad_cam"),
        ),
        ("embeddings/dense", ["method"], "guess", lambda c: c.embedding("dense")),
        ("embeddings/dense", ["names"], ["one"], lambda c: c.embedding("dense")),
        ("embeddings/dense", ["quality"], [], lambda c: c.embedding("dense")),
    ],
)
def test_wrong_attributes_of_explanations_are_refused(explained, copy, path, keys, value, read):
    folder = copy(explained)
    change(folder, path, "attributes", *keys, to=value)
    with pytest.raises(CaptureError) as error:
        read(open_capture(folder))
    assert is_one_sentence(error)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (["committed", "steps"], HUGE),
        (["committed", "steps"], -1),
        (["committed", "probes"], 7_000),
        (["committed"], []),
        (["layers", 1], "nobody"),
        (["statistics", 0], "mean"),
        (["statistics"], ["mean"]),
        (["metrics"], ["loss"]),
        (["metrics"], 5),
        (["probes"], "many"),
        (["activations", 1, 2], [2, -1]),
        (["activations", 1, 2, 0], HUGE),
        (["activations", 1, 2, 0], HUGE**2),
        (["weights"], [["conv"]]),
    ],
)
def test_wrong_attributes_of_a_training_are_refused(trained, copy, keys, value):
    folder = copy(trained)
    change(folder, "training", "attributes", *keys, to=value)

    def read():
        capture = open_capture(folder)
        training = capture.training
        _ = training.series, training.steps, training.metrics, training.probe_steps, training.weights("conv")
        capture.activation("conv")

    with pytest.raises(CaptureError) as error:
        read()
    assert is_one_sentence(error)


def test_running_training_with_missing_chunks_is_refused(tmp_path):
    path = small_training(tmp_path / "run.zarr", growing=True).path
    for kept in (path / "training" / "activations" / "c").rglob("*"):
        if kept.is_file():
            kept.unlink()
    with pytest.raises(DamagedCapture, match="training/activations lacks part of its numbers"):
        open_capture(path).activation("conv")


def packed(folder, target, more=()):
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.rglob("*"):
            if file.is_file():
                archive.write(file, file.relative_to(folder).as_posix())
        for name, size in more:
            archive.writestr(name, bytes(size))
    return target


def test_zip_file_that_would_fill_the_memory_is_refused(explained, tmp_path):
    path = packed(explained, tmp_path / "run.zarr.zip", [(f"{CONV}/c/9/9/9/9", 2**26 + 1)])
    with pytest.raises(CaptureError, match="damaged") as error:
        open_capture(path)
    assert is_one_sentence(error)


@pytest.mark.parametrize("seed", range(40))
def test_zip_file_with_flipped_bytes_is_read_unchanged_or_refused(explained, tmp_path, seed):
    path = packed(explained, tmp_path / "run.zarr.zip")
    expected = open_capture(path).activation("conv")
    random = np.random.default_rng(seed)
    data = np.frombuffer(path.read_bytes(), np.uint8).copy()
    places = random.integers(0, len(data), 20 if seed % 2 else 400)
    data[places] ^= np.uint8(1) << random.integers(0, 8, len(places), dtype=np.uint8)
    path.write_bytes(data.tobytes())
    with suppress(CaptureError):
        assert np.array_equal(open_capture(path).activation("conv"), expected)


def test_names_are_cleaned_when_a_graph_is_made():
    node = LayerNode(
        "dense", 0, "My\nLayer\x1b[31m", ((4,),), activation="re\rlu", details={"layer": "In\nner", "units": [4]}
    )
    graph = ModelGraph("net\u202e\x00", (node,), (), ("dense",), ("dense",))
    assert (graph.name, node.kind, node.activation) == (r"net\u202e\x00", r"My\nLayer\x1b[31m", r"re\rlu")
    assert node.details == {"layer": r"In\nner", "units": [4]}
    told = Provenance("m\x9b.keras", samples=("a\nb.png",), notes=("one\ntwo\x1b",), sample_notes=(("x\x7f",),))
    assert (told.model, told.samples) == (r"m\x9b.keras", (r"a\nb.png",))
    assert (told.notes, told.sample_notes) == ((r"one two\x1b",), ((r"x\x7f",),))


def test_names_in_an_old_capture_are_cleaned_on_opening(explained, copy):
    folder = copy(explained)
    change(folder, "", "attributes", "classes", 0, to="ant\x1b]0;x\x07")
    change(folder, "", "attributes", "provenance", "samples", 0, to="a\nb")
    change(folder, "", "attributes", "graph", "nodes", 1, "kind", to="Conv2D\n")
    capture = open_capture(folder)
    assert capture.classes[0] == r"ant\x1b]0;x\x07"
    assert capture.sample_name(0) == r"a\nb"
    assert capture.graph.node("conv").kind == r"Conv2D\n"
    change(folder, "", "attributes", "graph", "nodes", 1, "path", to="conv\x1b")
    with pytest.raises(CaptureError, match=r"expected a path of printable characters") as error:
        open_capture(folder)
    assert is_one_sentence(error)
