"""Captures are read as they were written; damaged, incomplete and foreign ones are refused in one sentence."""

import json
import os
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
import zarr

from nnviz3d.data.capture import is_capture, open_capture
from nnviz3d.data.graph import Edge, LayerNode, ModelGraph
from nnviz3d.data.records import Connections, Provenance
from nnviz3d.data.storage.capture_writer import CaptureWriter, zip_folder
from nnviz3d.errors import CaptureError, UserError
from tests.support.chunks import chunk_files
from tests.support.earlier_connections import write_connections

GRAPH = ModelGraph(
    "m",
    (
        LayerNode("input", 0, "InputLayer", ((6,),)),
        LayerNode("block/dense", 0, "Dense", ((4,),)),
        LayerNode("block/dense", 1, "Dense", ((4,),)),
        LayerNode("block", 0, "Add", ((4,), (None, 3))),
    ),
    (Edge("input", "block/dense"), Edge("block/dense", "block/dense@1"), Edge("block/dense@1", "block")),
    ("input",),
    ("block",),
)
PROVENANCE = Provenance(
    "m.keras",
    "0" * 64,
    "unit",
    "Because.",
    ("a", "b", "c"),
    ("A note.",),
    {"nnviz3d": "0"},
    3,
    "2026-01-01T00:00:00+00:00",
)


def numbers(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def record(shown, ranking, total=24):
    index = np.stack([np.arange(shown), np.arange(shown) % 4], axis=1).astype(np.int64)
    return Connections("input", "block/dense", "dense", ranking, total, index, numbers(shown), numbers(shown) * 2)


def write(path, *, samples=3, **extra):
    values = numbers(samples, 4)
    with CaptureWriter(path, graph=GRAPH, provenance=PROVENANCE, samples=samples, classes=("x", "y")) as writer:
        writer.write_input("input", 0, numbers(samples, 6))
        writer.write_pictures("input", np.arange(samples * 12, dtype=np.uint8).reshape(samples, 2, 2, 3))
        writer.write_labels(np.array([1, 0, 1][:samples]))
        for node in ("block/dense", "block/dense@1", "block"):
            writer.write_activations(node, 0, 0, values[:2])
            writer.write_activations(node, 0, 2, values[2:])
        writer.write_activations("block", 1, 0, numbers(samples, 5, 3))
        writer.write_weights("block/dense", "kernel", numbers(6, 4))
        write_connections(
            writer,
            {
                "weight": [record(n, "weight", n) for n in (3, 5, 1)],
                "contribution": [record(n, "contribution", n) for n in (3, 5, 1)],
            },
        )
        for call in extra.get("also", ()):
            call(writer)
        writer.commit(extra.get("committed", samples))
    return values


@pytest.mark.parametrize("name", ["run.zarr", "run.zarr.zip"])
def test_capture_is_read_as_it_was_written(tmp_path, name):
    values = write(tmp_path / name)
    capture = open_capture(tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert capture.graph == GRAPH
    assert capture.provenance == PROVENANCE
    assert capture.classes == ("x", "y")
    assert (capture.complete, capture.committed) == (True, 3)
    assert np.array_equal(capture.activations("block/dense@1").values, values)
    assert capture.activations("block").axes == ("sample", "channel")
    assert np.array_equal(capture.activation("block", 2), values[2])
    assert capture.activation("block", 1, output=1).shape == (5, 3)
    assert np.array_equal(capture.input("input", 1), numbers(3, 6)[1])
    assert capture.picture("input", 1).tolist() == np.arange(12, 24).reshape(2, 2, 3).tolist()
    assert capture.picture("other") is None
    assert capture.labels.tolist() == [1, 0, 1]
    assert np.array_equal(capture.weights("block/dense")["kernel"], numbers(6, 4))
    assert capture.weights("nothing") == {}
    assert capture.has_activations("block")
    assert not capture.has_activations("input")


def test_connections_of_unequal_length_are_read_without_filler(tmp_path):
    write(tmp_path / "run.zarr")
    capture = open_capture(tmp_path / "run.zarr")
    for sample, shown in enumerate((3, 5, 1)):
        found = capture.connections("input", "block/dense", "contribution", sample)
        wanted = record(shown, "contribution")
        assert (found.shown, found.total, found.rule) == (shown, shown, "dense")
        assert np.array_equal(found.index, wanted.index)
        assert np.array_equal(found.weight, wanted.weight)
        assert np.array_equal(found.contribution, wanted.contribution)
    assert capture.connections("block/dense", "block/dense@1") is None


def test_activations_are_stored_exactly_or_as_float32(tmp_path):
    half = np.arange(12, dtype=np.float16).reshape(3, 4)
    double = numbers(3, 4).astype(np.float64) + 1e-12
    truth = np.array([[True, False, True, False]] * 3)
    for node, values in (("block/dense", half), ("block/dense@1", double), ("block", truth)):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.zarr"
        with CaptureWriter(path, graph=GRAPH, provenance=PROVENANCE, samples=3) as writer:
            writer.write_activations(node, 0, 0, values)
            writer.commit(3)
        stored = open_capture(path).activations(node).values
        assert np.array_equal(stored, values.astype(np.float32))
        assert stored.dtype == (np.uint8 if values.dtype == bool else np.float32)


def test_arrays_of_python_objects_are_refused(tmp_path):
    with pytest.raises(CaptureError, match="Python objects cannot be stored"):
        write(tmp_path / "run.zarr", also=[lambda w: w.write_input("odd", 0, np.array([{}, {}, {}], dtype=object))])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [RuntimeError("a bug"), KeyboardInterrupt()])
def test_failed_writing_leaves_the_earlier_capture(tmp_path, error):
    write(tmp_path / "run.zarr")

    def fail(_writer):
        raise error

    with pytest.raises(type(error)):
        write(tmp_path / "run.zarr", also=[fail])
    assert [p.name for p in tmp_path.iterdir()] == ["run.zarr"]
    assert open_capture(tmp_path / "run.zarr").complete


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_interrupted_replacement_leaves_a_complete_capture(tmp_path, monkeypatch, step, after, error):
    write(tmp_path / "run.zarr")
    edit(tmp_path / "run.zarr", mark="earlier")
    replace, steps = Path.replace, []

    def broken(self, target):
        if "run.zarr" not in (self.name, target.name):  # Zarr also moves files of its own, in another thread
            return replace(self, target)
        steps.append(target)
        if len(steps) != step + 1:
            return replace(self, target)
        if after:
            replace(self, target)
        raise error

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(UserError if error is OSError else error):
        write(tmp_path / "run.zarr")
    assert [p.name for p in tmp_path.iterdir()] == ["run.zarr"]
    assert open_capture(tmp_path / "run.zarr").complete
    assert ("mark" in attributes(tmp_path / "run.zarr")["attributes"]) is not (after and step == 1)


@pytest.mark.parametrize(("umask", "folder", "file"), [(0o027, 0o750, 0o640), (0o002, 0o775, 0o664)])
def test_capture_has_the_permissions_of_the_umask(tmp_path, umask, folder, file):
    before = os.umask(umask)
    try:
        write(tmp_path / "run.zarr")
        write(tmp_path / "run.zarr.zip")
    finally:
        os.umask(before)
    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("run.zarr", "run.zarr.zip")}
    assert modes == {"run.zarr": folder, "run.zarr.zip": file}


def test_symbolic_link_is_refused_as_a_destination(tmp_path):
    write(tmp_path / "real.zarr")
    (tmp_path / "link.zarr").symlink_to(tmp_path / "real.zarr")
    (tmp_path / "dangling.zarr").symlink_to(tmp_path / "nowhere")
    for name in ("link.zarr", "dangling.zarr"):
        with pytest.raises(UserError, match=rf"{name} is a symbolic link; give the name of the capture itself"):
            write(tmp_path / name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dangling.zarr", "link.zarr", "real.zarr"]


def test_full_disk_is_one_sentence_and_leaves_nothing(tmp_path):
    def full(_writer):
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match=r"Cannot write .*run\.zarr: No space left on device\."):
        write(tmp_path / "run.zarr", also=[full])
    assert list(tmp_path.iterdir()) == []


def test_one_file_of_a_folder_stores_noise_and_compresses_the_rest(tmp_path):
    noise, flat = np.random.default_rng(0).bytes(300_000), b"0" * 300_000
    folder = tmp_path / "run.zarr"
    (folder / "a").mkdir(parents=True)
    for name, data in (("a/noise", noise), ("a/flat", flat), ("empty", b"")):
        (folder / name).write_bytes(data)
    zip_folder(folder, tmp_path / "run.zarr.zip")
    with zipfile.ZipFile(tmp_path / "run.zarr.zip") as archive:
        assert archive.testzip() is None
        assert archive.read("a/noise") == noise
        assert archive.read("a/flat") == flat
        kinds = {entry.filename: entry.compress_type for entry in archive.infolist()}
    assert kinds["a/noise"] == zipfile.ZIP_STORED
    assert kinds["a/flat"] == zipfile.ZIP_DEFLATED


def test_batch_of_another_shape_is_refused(tmp_path):
    with pytest.raises(CaptureError, match=r"holds \(4,\) for each sample, got \(5,\)"):
        write(tmp_path / "run.zarr", also=[lambda w: w.write_activations("block", 0, 0, numbers(1, 5))])


def test_destination_that_cannot_hold_a_capture_is_refused_and_unchanged(tmp_path):
    (tmp_path / "taken.zarr").mkdir()
    (tmp_path / "taken.zarr/precious.txt").touch()
    for path, words in (
        (tmp_path / "run.npz", r"ends in \.zarr or \.zarr\.zip"),
        (tmp_path / "nowhere/run.zarr", "does not exist"),
        (tmp_path / "taken.zarr", "is not a capture"),
    ):
        with pytest.raises(UserError, match=words):
            write(path)
    assert (tmp_path / "taken.zarr/precious.txt").exists()


def test_equal_captures_are_equal_zip_files(tmp_path):
    write(tmp_path / "a.zarr.zip")
    write(tmp_path / "b.zarr.zip")
    assert (tmp_path / "a.zarr.zip").read_bytes() == (tmp_path / "b.zarr.zip").read_bytes()


def attributes(path):
    return json.loads((path / "zarr.json").read_text())


def edit(path, **changes):
    data = attributes(path)
    data["attributes"].update(changes)
    (path / "zarr.json").write_text(json.dumps(data))


def test_capture_of_a_newer_version_is_refused(tmp_path):
    write(tmp_path / "run.zarr")
    edit(tmp_path / "run.zarr", version=3)
    with pytest.raises(CaptureError, match=r"version 3; this nnviz3d reads up to version 2\. Update nnviz3d\."):
        open_capture(tmp_path / "run.zarr")
    assert is_capture(tmp_path / "run.zarr")


def test_path_without_a_capture_is_refused(tmp_path):
    (tmp_path / "folder.zarr").mkdir()
    (tmp_path / "text.zarr.zip").write_text("hello")
    zarr.open_group(tmp_path / "other.zarr", mode="w", zarr_format=3)
    for name, words in (
        ("nowhere.zarr", "There is no capture"),
        ("folder.zarr", "is not a capture"),
        ("text.zarr.zip", "is not a capture"),
        ("other.zarr", "is a Zarr store but not a capture"),
    ):
        with pytest.raises(CaptureError, match=words) as caught:
            open_capture(tmp_path / name)
        assert "Error" not in str(caught.value)
        assert "BadZipFile" not in str(caught.value)
        assert not is_capture(tmp_path / name)


def test_damaged_attributes_are_refused_on_opening(tmp_path):
    for key, words in (("graph", "graph is damaged"), ("provenance", "provenance is damaged")):
        write(tmp_path / "run.zarr")
        edit(tmp_path / "run.zarr", **{key: None})
        with pytest.raises(CaptureError, match=words):
            open_capture(tmp_path / "run.zarr")


def test_capture_without_a_complete_sample_is_refused(tmp_path):
    write(tmp_path / "run.zarr", committed=0)
    with pytest.raises(CaptureError, match="no complete sample yet"):
        open_capture(tmp_path / "run.zarr")


def test_only_committed_samples_are_read(tmp_path):
    write(tmp_path / "run.zarr", committed=2)
    capture = open_capture(tmp_path / "run.zarr")
    assert capture.activations("block").values.shape == (2, 4)
    assert capture.labels.shape == (2,)
    with pytest.raises(CaptureError, match=r"There is no sample 2; run\.zarr holds samples 0 to 1"):
        capture.activation("block", 2)


def chunk_of(path, node="block"):
    return chunk_files(path / "activations" / node / "@0/0")[0]


def test_missing_chunk_is_refused(tmp_path):
    write(tmp_path / "run.zarr")
    chunk_of(tmp_path / "run.zarr").unlink()
    with pytest.raises(CaptureError, match="lacks part of its numbers"):
        open_capture(tmp_path / "run.zarr").activation("block")


def flipped(data):
    return data[:-6] + bytes([data[-6] ^ 1]) + data[-5:]


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"\xff" * len(data), flipped])
def test_damaged_chunk_is_refused(tmp_path, damage):
    write(tmp_path / "run.zarr")
    chunk = chunk_of(tmp_path / "run.zarr")
    chunk.write_bytes(damage(chunk.read_bytes()))
    with pytest.raises(CaptureError, match=r"is damaged: .* cannot be read"):
        open_capture(tmp_path / "run.zarr").activation("block")
    with pytest.raises(CaptureError, match=r"is damaged: .* cannot be read"):
        open_capture(tmp_path / "run.zarr").activations("block")


def test_numbers_of_another_shape_than_the_graphs_are_refused(tmp_path):
    write(tmp_path / "run.zarr")
    graph = GRAPH.to_json()
    graph["nodes"][3]["shapes"][0] = [7]
    edit(tmp_path / "run.zarr", graph=graph)
    with pytest.raises(CaptureError, match=r"should have the shape \(7,\), but its numbers have the shape \(4,\)"):
        open_capture(tmp_path / "run.zarr").activation("block")


def test_reading_a_node_that_was_not_captured_is_refused(tmp_path):
    write(tmp_path / "run.zarr")
    with pytest.raises(CaptureError, match="it was not captured"):
        open_capture(tmp_path / "run.zarr").activation("input")
