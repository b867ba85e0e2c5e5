"""The contract of `CaptureReader`, for a capture, one with groups, a series of captures and one at a training step."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nnviz3d.data.capabilities.attention import has_attention
from nnviz3d.data.capabilities.embeddings import embedding_names, read_embedding
from nnviz3d.data.capabilities.features import has_features, read_features
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.data.capture_at_step import CaptureAtStep, at_step
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.graph import Edge
from nnviz3d.data.grouped_capture import GroupedCapture, with_groups, without_groups
from nnviz3d.data.grouping.contracted import Contracted, Grouping
from nnviz3d.data.grouping.find import Group
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.storage import schema
from nnviz3d.data.storage.axis_names import read_texts, write_texts, write_tokens, write_unit_names
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.data.storage.gates import write_gates
from nnviz3d.errors import CaptureError
from tests.support import captures, trainings

LANDSCAPE = np.arange(12, dtype=np.float32).reshape(3, 4)
"""Numbers of a capability that no reader has a method for, ``(N, 4)``."""


def write_landscape(writer: CaptureWriter) -> None:
    writer.group("landscapes/loss", {"method": "random"})
    writer.rows("landscapes/loss/values", 0, LANDSCAPE)


TOKENS = (("the", "cat", "the", "mat", "", ""), ("a", "cat", "", "", "", ""), ("mats", "", "", "", "", ""))
COLUMNS = tuple(f"column {i}" for i in range(20))


GATES = {
    "input gate": np.arange(18, dtype=np.float32).reshape(3, 3, 2),
    "cell state": np.arange(12, dtype=np.float32).reshape(3, 4, 1),
}


def write_recurrent(writer: CaptureWriter) -> None:
    write_gates(writer, "dense", 0, GATES)


def write_names(writer: CaptureWriter) -> None:
    write_tokens(writer, "conv", TOKENS)
    write_unit_names(writer, "dense", COLUMNS)


def plain(folder: Path, name: str = "run.zarr") -> Capture:
    values = captures.small_values()
    return captures.write(
        folder / name,
        captures.small_graph(),
        values,
        connections=captures.small_connections(values),
        also=[write_landscape, write_names, write_recurrent],
        classes=captures.CLASSES,
        labels=np.array([0, 3, 4]),
    )


def open_groups(folder: Path) -> GroupedCapture:
    """A reader of groups that are all open."""
    capture = plain(folder)
    contracted = Contracted(
        capture.graph,
        {node.id: node.id for node in capture.graph},
        {},
        {edge: (i,) for i, edge in enumerate(capture.graph.edges)},
    )
    return GroupedCapture(capture, contracted)


def series(folder: Path) -> CaptureSeries:
    return CaptureSeries.of(plain(folder)).plus(plain(folder, "added.zarr"))


KINDS: dict[str, Callable[[Path], CaptureReader]] = {
    "capture": plain,
    "explained capture": lambda folder: captures.explained_capture(folder / "run.zarr"),
    "capture with a training": lambda folder: trainings.small_training(folder / "run.zarr"),
    "capture with open groups": open_groups,
    "series": series,
    "series with a removed sample": lambda folder: series(folder).plus(plain(folder, "removed.zarr")).without(7),
    "capture at a step": lambda folder: at_step(trainings.small_training(folder / "run.zarr"), 20),
    "capture at one step after another": lambda folder: at_step(
        at_step(trainings.small_training(folder / "run.zarr"), 1), 20
    ),
    "series at a step": lambda folder: at_step(
        CaptureSeries.of(trainings.small_training(folder / "run.zarr")).plus(
            trainings.small_training(folder / "added.zarr")
        ),
        20,
    ),
}


@pytest.fixture(scope="module", params=KINDS)
def reader(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CaptureReader:
    return KINDS[request.param](tmp_path_factory.mktemp("reader"))


def readable(reader: CaptureReader) -> list[int]:
    """The samples that were not removed."""
    own = open_capture(reader.path).committed
    return [*range(own), *reader.added_samples]


class TestEveryReader:
    def test_describes_the_capture_on_disk(self, reader: CaptureReader):
        capture = open_capture(reader.path)
        assert reader.graph == capture.graph
        assert reader.classes == capture.classes
        assert reader.complete == capture.complete
        assert reader.provenance.model == capture.provenance.model
        assert reader.committed == len(reader.provenance.samples)
        assert (reader.training is None) == (capture.training is None)

    def test_has_a_name_a_preprocessing_and_a_label_of_each_sample(self, reader: CaptureReader):
        for sample in readable(reader):
            assert reader.sample_name(sample) == reader.provenance.samples[sample]
            assert reader.preprocessing(sample) == ("none", "")
            assert reader.label(sample) in range(len(captures.CLASSES))
        if len(readable(reader)) == reader.committed:
            assert reader.labels.tolist() == [reader.label(sample) for sample in range(reader.committed)]

    def test_reads_the_same_activations_one_by_one_and_all_together(self, reader: CaptureReader):
        for node in reader.graph:
            assert reader.has_activations(node.id)
            single = [reader.activation(node.id, sample) for sample in readable(reader)]
            assert {one.shape for one in single} == {reader.activation_shape(node.id)}
            if len(single) == reader.committed:
                together = reader.activations(node.id)
                assert np.array_equal(together.values, np.stack(single))
                assert together.axes == open_capture(reader.path).activations(node.id).axes

    def test_refuses_samples_that_do_not_exist(self, reader: CaptureReader):
        first = reader.graph.nodes[0].id
        for sample in (-1, reader.committed):
            for read in (reader.stored_sample, lambda i: reader.activation(first, i)):
                with pytest.raises(CaptureError, match=rf"There is no sample {sample}; run.zarr holds samples 0 to"):
                    read(sample)

    def test_says_what_was_not_captured(self, reader: CaptureReader):
        assert not reader.has_activations("conv", output=1)
        assert reader.picture("input") is None
        assert reader.connections("input", "scores") is None
        assert reader.weights("flatten") == {}
        assert not has_features(reader.stored, "conv")
        assert read_features(reader.stored, "conv") is None
        assert not has_attention(reader.stored, "pool")
        assert "pool" not in embedding_names(reader.stored)
        with pytest.raises(CaptureError, match="it was not captured"):
            read_embedding(reader.stored, "pool")
        with pytest.raises(CaptureError, match="it was not captured"):
            reader.input("input")

    def test_reads_the_connections_of_the_samples_activations(self, reader: CaptureReader):
        for sample in readable(reader):
            found = reader.connections("flatten", "dense", "contribution", sample)
            if found is None:  # not captured, and no step of the training is chosen for this sample
                assert reader.training is not None
                continue
            before = reader.activation("flatten", sample)[found.index[:, 0]]
            assert np.allclose(found.contribution, found.weight * before)

    def test_gradients_of_each_sample_have_the_shape_of_the_activations(self, reader: CaptureReader):
        for sample in readable(reader):
            explanations = reader.explanations(sample)
            assert reader.has_gradients() or not explanations.targets
            for node in reader.graph:
                gradient = explanations.gradient(node.id)
                assert gradient is None or gradient.shape == reader.activation_shape(node.id)

    def test_shows_the_stored_arrays_of_each_sample(self, reader: CaptureReader):
        for sample in readable(reader):
            stored, row = reader.stored_sample(sample)
            assert 0 <= row < stored.committed
            if (array := stored.find("landscapes/loss/values", (None, 4))) is not None:
                assert np.array_equal(stored.sample(array, row), LANDSCAPE[row])
            if (array := stored.find("activations/conv/@0/0")) is not None:
                assert np.array_equal(stored.sample(array, row), reader.activation("conv", sample))

    def test_names_the_tokens_of_each_sample_and_the_units_of_a_node(self, reader: CaptureReader):
        named = reader.stored.has_group("tokens")
        for sample in readable(reader):
            for node in (None, "conv"):
                assert reader.tokens(sample, node) == (TOKENS[sample % 3] if named else None)
            assert reader.tokens(sample, "pool") is None
        assert reader.unit_names("dense") == (COLUMNS if named else None)
        assert reader.unit_names("pool") is None
        with pytest.raises(CaptureError, match=r"There is no sample"):
            reader.tokens(reader.committed)

    def test_reads_the_gates_of_each_sample(self, reader: CaptureReader):
        held = reader.stored.has_group("gates")
        for sample in readable(reader):
            found = reader.gates("dense", sample)
            assert list(found) == (list(GATES) if held else [])
            assert all(np.array_equal(values, GATES[name][sample % 3]) for name, values in found.items())
            assert reader.gates("pool", sample) == {}
        with pytest.raises(CaptureError, match=r"There is no sample"):
            reader.gates("dense", reader.committed)

    def test_chooses_records_only_at_a_step(self, reader: CaptureReader):
        records = reader.step_records
        assert (records is None) == (not isinstance(getattr(reader, "first", reader), CaptureAtStep))
        if records is not None:
            assert records == reader.training.records_at(20)


@pytest.mark.parametrize("kind", ["capture", "series", "series with a removed sample"])
def test_arrays_of_a_new_capability_are_read_without_a_method_of_the_reader(kind: str, tmp_path: Path):
    reader = KINDS[kind](tmp_path)
    assert reader.stored.members("landscapes") == ("loss",)
    assert reader.stored.attributes("landscapes/loss") == {"method": "random"}
    assert np.array_equal(reader.stored.read(reader.stored.require("landscapes/loss/values"), ...), LANDSCAPE)


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (lambda w: w.group("tokens/conv/@0", {"words": ["a", 3]}), "tokens/conv/@0 has no list of words"),
        (lambda w: w.group("tokens/conv/@0", {"words": ["a"]}), "tokens/conv/@0 names tokens that it does not hold"),
        (lambda w: write_unit_names(w, "dense", ["a"]), "names 1 units of 20"),
        (lambda w: w.group("gates/dense/@0", {}), "gates/dense/@0 has no list of names"),
    ],
)
def test_damaged_names_are_one_sentence(tmp_path: Path, write: Callable[[CaptureWriter], None], sentence: str):
    def damaged(writer: CaptureWriter) -> None:
        write(writer)
        writer.whole("tokens/conv/@0/index", np.array([[0, 1]] * 3, np.int32))

    def read(capture: Capture) -> None:
        capture.gates("dense")
        capture.unit_names("dense")
        capture.tokens()

    capture = captures.write(tmp_path / "run.zarr", captures.small_graph(), captures.small_values(), also=[damaged])
    with pytest.raises(CaptureError, match=sentence):
        read(capture)


def test_removed_sample_has_no_stored_arrays(tmp_path: Path):
    reader = KINDS["series with a removed sample"](tmp_path)
    assert reader.added_samples == (3, 4, 5)
    with pytest.raises(CaptureError, match="was removed"):
        reader.stored_sample(7)


def test_readers_do_not_inherit_from_one_another():
    assert not issubclass(CaptureSeries, Capture)
    assert not issubclass(CaptureAtStep, Capture)


class TestClosedGroups:
    """A reader in which ``conv`` and ``pool`` are closed to one node, and ``flatten`` and ``dense`` to another."""

    @pytest.fixture(scope="class")
    @classmethod
    def both(cls, tmp_path_factory: pytest.TempPathFactory) -> tuple[Capture, CaptureReader]:
        capture = captures.explained_capture(tmp_path_factory.mktemp("grouped") / "run.zarr")
        groups = (Group("front", ("conv", "pool")), Group("rest", ("flatten", "dense")))
        return capture, with_groups(capture, Grouping(capture.graph, groups), ())

    def test_group_has_the_numbers_of_its_last_node(self, both: tuple[Capture, CaptureReader]):
        capture, reader = both
        assert [node.id for node in reader.graph] == ["input", "front", "rest", "scores"]
        for group, last in (("front", "pool"), ("rest", "dense"), ("input", "input")):
            assert reader.has_activations(group)
            assert reader.activation_shape(group) == capture.activation_shape(last)
            assert np.array_equal(reader.activation(group, 1), capture.activation(last, 1))
            assert np.array_equal(reader.activations(group).values, capture.activations(last).values)
            assert reader.activations(group).axes == capture.activations(last).axes
            gradients = [one.explanations(1).gradient(name) for one, name in ((reader, group), (capture, last))]
            assert np.array_equal(*gradients)
        assert reader.weights("front") == {}

    def test_connections_from_a_group_are_those_of_its_last_node(self, tmp_path: Path):
        values = captures.small_values()
        capture = captures.write(
            tmp_path / "run.zarr", captures.small_graph(), values, connections=captures.small_connections(values)
        )
        reader = with_groups(capture, Grouping(capture.graph, (Group("front", ("pool", "flatten")),)), ())
        found, same = reader.connections("front", "dense", sample=1), capture.connections("flatten", "dense", sample=1)
        assert found is not None
        assert (found.source, found.target) == ("front", "dense")
        assert np.array_equal(found.index, same.index)
        assert reader.connections("conv", "front") is None

    def test_gradient_along_an_edge_is_the_norm_of_the_edges_that_it_stands_for(
        self, both: tuple[Capture, CaptureReader]
    ):
        capture, reader = both
        norms = dict(zip(capture.graph.edges, capture.explanations(0).flow().tolist(), strict=True))
        found = dict(zip(reader.graph.edges, reader.explanations(0).flow().tolist(), strict=True))
        assert found == pytest.approx(
            {
                Edge("input", "front"): norms[Edge("input", "conv")],
                Edge("front", "rest"): norms[Edge("pool", "flatten")],
                Edge("rest", "scores"): norms[Edge("dense", "scores")],
            }
        )

    def test_targets_and_samples_are_those_of_the_capture(self, both: tuple[Capture, CaptureReader]):
        capture, reader = both
        assert without_groups(reader) is capture
        assert reader.explanations(2).targets == capture.explanations(2).targets
        assert reader.committed == capture.committed
        assert reader.has_gradients()

    def test_opening_all_groups_gives_the_capture_itself(self, both: tuple[Capture, CaptureReader]):
        capture, reader = both
        grouping = Grouping(capture.graph, (Group("front", ("conv", "pool")),))
        assert with_groups(reader, grouping, ["front"]) is capture


def test_texts_of_an_input_are_read_back_as_short_printable_lines(tmp_path: Path):
    texts = np.array([[b"caf\xc3\xa9", b"\x1b[31mred"], [b"x" * 300, b""]], object)
    capture = captures.write(
        tmp_path / "run.zarr",
        captures.small_graph(),
        {name: values[:2] for name, values in captures.small_values().items()},
        also=[lambda writer: write_texts(writer, "input", texts)],
    )
    first, second = (read_texts(capture.stored, "input", i) for i in range(2))
    assert first is not None
    assert first[0] == "café"
    assert first[1].isprintable()
    assert second == ("x" * 79 + "…", "")


def test_parts_of_arrays_are_read_once_while_they_are_remembered(small_capture):
    stored = small_capture.stored
    array = stored.require(schema.activation_path("conv", 0))
    with stored.remembering():
        first = stored.read(array, 1)
        assert stored.read(array, 1) is first
        assert stored.read(array, 0) is not first
    assert stored.read(array, 1) is not first
    np.testing.assert_array_equal(stored.read(array, 1), first)
