"""Tests of what a session keeps in the folder of a capture: embeddings, features and the like."""

from __future__ import annotations

import os
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr

from nnviz3d.apps import kept_answers
from nnviz3d.apps.inspection import describe
from nnviz3d.apps.kept_answers import KeptAnswers
from nnviz3d.data.bundled import gallery
from nnviz3d.data.capabilities.embeddings import read_embedding, write_embedding
from nnviz3d.data.capabilities.features import FeatureVisualization, write_features
from nnviz3d.data.capabilities.gradients import write_gradient
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.storage.capture_writer import zip_folder
from nnviz3d.errors import CaptureError
from tests.support import command_line
from tests.support.captures import small_embedding, small_graph, small_values, write
from tests.support.graphs import chain

SHA = "a1" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a capture that holds nothing of the model."""
    return write(tmp_path / "run.zarr", small_graph(), small_values(), sha256=SHA).path


def answer(path: Path, *layers: str, shift: float = 0.0, features: tuple[str, ...] = (), sha256: str = SHA) -> Capture:
    """Write what a session gets from the model: embeddings and features, beside the numbers of an example."""
    also = [lambda writer, layer=layer: write_embedding(writer, embedding(layer, shift)) for layer in layers]
    also += [lambda writer, layer=layer: write_features(writer, pictures(layer)) for layer in features]
    also += [lambda writer: write_gradient(writer, "predicted", "dense", 0, 0, small_values(1)["dense"])]
    return write(path, small_graph(), small_values(1), also=also, sha256=sha256, transient=True)


def embedding(layer: str, shift: float = 0.0):
    found = small_embedding()
    return replace(found, name=layer, points=found.points + np.float32(shift))


def pictures(layer: str) -> FeatureVisualization:
    shown = np.random.default_rng(1).random((2, 8, 9, 1), np.float32)
    ones = np.ones(2, np.float32)
    return FeatureVisualization(layer, "channel", np.arange(2), shown, ones, ones, np.zeros(2, bool), {})


def keep(folder: Path, made: Capture) -> str:
    keeper = KeptAnswers.of(open_capture(folder))
    assert keeper is not None
    return keeper.keep(made)


def names(folder: Path) -> list[str]:
    return sorted(one.rpartition("-")[0] for one in os.listdir(folder / "more"))


def test_kept_embedding_and_features_open_with_the_capture_bit_for_bit(folder, tmp_path):
    made = answer(tmp_path / "live-1.zarr.zip", "dense", "conv", features=("conv",))
    assert keep(folder, made) == "Kept in run.zarr."
    found = open_capture(folder)
    assert set(found.embeddings) == {"dense", "conv"}
    for name in ("points", "first", "snapshots", "vectors", "thumbnails", "labels"):
        expected = getattr(read_embedding(made.stored, "dense"), name)
        np.testing.assert_array_equal(getattr(found.embedding("dense"), name), expected)
    shown = found.features("conv")
    assert shown is not None
    np.testing.assert_array_equal(shown.images, pictures("conv").images)
    assert (found.committed, found.provenance.samples) == (3, ("sample 0", "sample 1", "sample 2"))
    assert names(folder) == ["embeddings-conv", "embeddings-dense", "features-conv-0"]


def test_kept_file_holds_nothing_of_the_example_sample(folder, tmp_path):
    keep(folder, answer(tmp_path / "live-1.zarr.zip", "dense"))
    (file,) = (folder / "more").iterdir()
    assert {name.partition("/")[0] for name in zipfile.ZipFile(file).namelist()} == {"zarr.json", "embeddings"}
    alone = open_capture(file)
    assert (alone.complete, alone.committed, alone.embeddings) == (True, 1, ("dense",))
    assert not alone.has_activations("dense")
    assert not alone.has_gradients()


def test_newer_answer_of_the_same_layer_replaces_the_earlier_and_others_stay_beside(folder, tmp_path):
    keep(folder, answer(tmp_path / "live-1.zarr.zip", "dense", "conv"))
    before = open_capture(folder)
    earlier = before.embedding("dense").points
    keep(folder, answer(tmp_path / "live-2.zarr.zip", "dense", shift=5))
    assert names(folder) == ["embeddings-conv", "embeddings-dense"]
    now = open_capture(folder)
    np.testing.assert_array_equal(now.embedding("dense").points, earlier + 5)
    np.testing.assert_array_equal(now.embedding("conv").points, earlier)
    np.testing.assert_array_equal(before.embedding("dense").points, earlier, "a reader never changes")


def test_layers_whose_names_differ_in_signs_alone_have_files_of_their_own(tmp_path):
    graph = chain([("input", "InputLayer", (4,)), ("a b", "Dense", (3,)), ("a-b", "Dense", (3,))])
    values = {node.id: np.ones((1, *node.shape), np.float32) for node in graph}
    folder = write(tmp_path / "run.zarr", graph, values, sha256=SHA).path
    also = [lambda writer, name=name: write_embedding(writer, embedding(name)) for name in ("a b", "a-b")]
    keep(folder, write(tmp_path / "x.zarr.zip", graph, values, sha256=SHA, also=also))
    assert set(open_capture(folder).embeddings) == {"a b", "a-b"}
    assert len(os.listdir(folder / "more")) == 2


def test_plain_zarr_reads_a_capture_that_keeps_something(folder, tmp_path):
    keep(folder, answer(tmp_path / "live-1.zarr.zip", "dense"))
    group = zarr.open_group(folder, mode="r")
    np.testing.assert_array_equal(group["activations/dense/@0/0"][:], small_values()["dense"])
    (file,) = (folder / "more").iterdir()
    with zarr.storage.ZipStore(file, mode="r") as store:
        np.testing.assert_array_equal(
            zarr.open_group(store, mode="r")["embeddings/dense/points"][:], embedding("").points
        )


def test_answer_of_another_version_of_the_model_is_not_kept(folder, tmp_path):
    told = keep(folder, answer(tmp_path / "live-1.zarr.zip", "dense", sha256="b2" * 32))
    assert "hand.keras has changed since run.zarr was captured" in told
    assert not (folder / "more").exists()


def test_answer_is_not_kept_in_a_capture_that_was_written_anew_meanwhile(folder, tmp_path):
    keeper = KeptAnswers.of(open_capture(folder))
    assert keeper is not None
    write(folder, small_graph(), small_values(2), sha256=SHA)
    told = keeper.keep(answer(tmp_path / "live-1.zarr.zip", "dense"))
    assert told == "run.zarr was written anew since it was opened, so this is not kept in it."
    assert not (folder / "more").exists()


def test_kept_file_of_another_version_of_the_model_is_refused_by_name(folder, tmp_path):
    keep(folder, answer(tmp_path / "live-1.zarr.zip", "dense"))
    (file,) = (folder / "more").iterdir()
    write(tmp_path / "other.zarr", small_graph(), small_values(), sha256="b2" * 32)
    (tmp_path / "other.zarr" / "more").mkdir()
    copied = tmp_path / "other.zarr" / "more" / file.name
    copied.write_bytes(file.read_bytes())
    with pytest.raises(CaptureError) as told:
        open_capture(tmp_path / "other.zarr")
    assert str(told.value) == (
        f"{copied}, which a session kept in {tmp_path / 'other.zarr'}, is of another version of hand.keras than the "
        "capture; delete it."
    )


@pytest.mark.parametrize("length", [0, 100, -30], ids=["empty", "short", "without its end"])
def test_damaged_kept_file_is_one_sentence_of_the_command_that_says_to_delete_it(folder, tmp_path, length):
    keep(folder, answer(tmp_path / "live-1.zarr.zip", "dense"))
    (file,) = (folder / "more").iterdir()
    file.write_bytes(file.read_bytes()[:length])
    found = command_line.run("inspect", "run.zarr", cwd=tmp_path)
    name = Path("run.zarr") / "more" / file.name
    assert (found.returncode, found.stderr) == (
        2,
        f"nnviz3d: {name}, which a session kept in run.zarr, cannot be read; delete it: the capture is whole without it.\n",
    )
    file.unlink()
    assert command_line.run("inspect", "run.zarr", cwd=tmp_path).returncode == 0


def test_damaged_number_of_a_kept_file_names_the_file_when_it_is_read(folder, tmp_path):
    keep(folder, answer(tmp_path / "live-1.zarr.zip", "dense"))
    (file,) = (folder / "more").iterdir()
    with zipfile.ZipFile(file) as archive:
        entry = max(archive.infolist(), key=lambda one: one.compress_size)
    assert entry.filename.startswith("embeddings/dense/")
    data = bytearray(file.read_bytes())
    data[entry.header_offset + entry.compress_size // 2] ^= 1
    file.write_bytes(data)
    found = open_capture(folder)
    assert found.embeddings == ("dense",)
    with pytest.raises(CaptureError, match="Delete it; a session kept it, and the capture around it is whole") as told:
        found.embedding("dense")
    assert str(file) in str(told.value)


def test_interrupted_writing_leaves_neither_file_nor_part_of_one(folder, tmp_path, monkeypatch):
    keep(folder, answer(tmp_path / "live-1.zarr.zip", "dense"))
    (file,) = (folder / "more").iterdir()
    before = file.read_bytes()

    def interrupted(_source, target, _names):
        target.writestr("zarr.json", "{}")
        raise KeyboardInterrupt

    monkeypatch.setattr(kept_answers, "copy_entries", interrupted)
    with pytest.raises(KeyboardInterrupt):
        keep(folder, answer(tmp_path / "live-2.zarr.zip", "dense", "conv", shift=5))
    assert list((folder / "more").iterdir()) == [file]
    assert file.read_bytes() == before


def test_file_that_cannot_be_written_is_one_sentence_and_nothing_is_kept(folder, tmp_path):
    (folder / "more").write_text("a file")
    told = keep(folder, answer(tmp_path / "live-1.zarr.zip", "dense"))
    assert told.startswith("This is not kept after the session. Cannot write ")
    assert open_capture(folder).kept == ()


def test_two_sessions_keep_at_the_same_time_while_others_open_the_capture(folder, tmp_path):
    made = [answer(tmp_path / f"live-{i}.zarr.zip", "dense", shift=i) for i in range(2)]
    points = [embedding("dense", i).points for i in range(2)]
    keep(folder, made[0])
    threads = [threading.Thread(target=lambda one=one: [keep(folder, one) for _ in range(20)]) for one in made]
    for thread in threads:
        thread.start()
    seen = 0
    while seen == 0 or any(thread.is_alive() for thread in threads):
        found = open_capture(folder).embedding("dense").points
        assert any(np.array_equal(found, one) for one in points)
        seen += 1
    for thread in threads:
        thread.join()
    assert names(folder) == ["embeddings-dense"]


def test_only_a_folder_of_the_user_that_may_be_written_to_keeps_answers(folder, tmp_path, monkeypatch):
    zip_folder(folder, tmp_path / "run.zarr.zip")
    assert KeptAnswers.of(open_capture(tmp_path / "run.zarr.zip")) is None
    assert KeptAnswers.of(CaptureSeries.of(open_capture(folder))) is not None
    monkeypatch.setattr(kept_answers, "gallery", lambda: tmp_path)
    assert KeptAnswers.of(open_capture(folder)) is None, "it comes with the package"
    monkeypatch.setattr(kept_answers, "gallery", gallery)
    # The superuser may write everywhere, whatever the folder's permissions say.
    monkeypatch.setattr(os, "access", lambda _path, mode: not mode & os.W_OK)
    assert KeptAnswers.of(open_capture(folder)) is None


def test_exported_file_holds_what_the_folder_keeps_as_groups_of_its_own(folder, tmp_path):
    keep(folder, answer(tmp_path / "live-1.zarr.zip", "dense", features=("conv",)))
    found = command_line.run("export", "run.zarr", "-o", "packed.zarr.zip", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    packed = open_capture(tmp_path / "packed.zarr.zip")
    assert (packed.embeddings, packed.has_features("conv"), packed.committed) == (("dense",), True, 3)
    np.testing.assert_array_equal(packed.embedding("dense").points, embedding("dense").points)
    assert not any(name.startswith("more/") for name in zipfile.ZipFile(packed.path).namelist())


def test_exported_file_holds_the_captures_own_embedding_and_not_a_kept_one_of_the_same_layer(tmp_path):
    own = [lambda writer: write_embedding(writer, embedding("dense"))]
    folder = write(tmp_path / "run.zarr", small_graph(), small_values(), sha256=SHA, also=own).path
    keep(folder, answer(tmp_path / "live-1.zarr.zip", "dense", "conv", shift=5))
    zip_folder(folder, tmp_path / "packed.zarr.zip")
    for found in (open_capture(folder), open_capture(tmp_path / "packed.zarr.zip")):
        assert set(found.embeddings) == {"dense", "conv"}
        np.testing.assert_array_equal(found.embedding("dense").points, embedding("dense").points)


def test_inspect_lists_what_is_kept(folder, tmp_path):
    assert "kept" not in describe(open_capture(folder))
    keep(folder, answer(tmp_path / "live-1.zarr.zip", "dense", features=("conv",)))
    (first, second) = describe(open_capture(folder))["kept"]
    assert (first["holds"], second["holds"]) == ("embeddings/dense", "features/conv/@0")
    assert (folder / first["file"]).is_file()
    told = command_line.run("inspect", "run.zarr", cwd=tmp_path).stdout
    assert f"kept: embeddings/dense, in {first['file']}" in told


def test_numbers_of_samples_in_a_kept_file_are_never_read(folder, tmp_path):
    """A file that another program put there could hold anything."""
    (folder / "more").mkdir()
    more = write(
        tmp_path / "x.zarr.zip", small_graph(), small_values(1), sha256=SHA, labels=np.array([4]), classes=("a",) * 5
    )
    more.path.rename(folder / "more" / "x.zarr.zip")
    found = open_capture(folder)
    assert len(found.kept) == 1
    assert found.labels is None
    assert found.label(2) is None
    np.testing.assert_array_equal(found.activation("dense", 2), small_values()["dense"][2])
