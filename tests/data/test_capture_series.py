"""Several captures of one model read as one."""

import copy
from dataclasses import replace

import numpy as np
import pytest

from nnviz3d import Intervention
from nnviz3d.data.capabilities.interventions import write_changed, write_interventions
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.errors import CaptureError
from tests.support import captures
from tests.support.graphs import chain


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Three labelled samples, and one of the same network without a label."""
    folder = tmp_path_factory.mktemp("series")
    values = {name: array[:1] + 5 for name, array in captures.small_values().items()}
    first = captures.small_capture(folder / "first.zarr")
    return first, captures.write(folder / "second.zarr", captures.small_graph(), values)


def test_series_has_the_samples_of_its_captures_in_order(parts):
    first, second = parts
    series = CaptureSeries.of(first).plus(second)
    assert series.committed == first.committed + 1
    for node in series.graph:
        assert np.array_equal(series.activation(node.id, 1), first.activation(node.id, 1))
        assert np.array_equal(series.activation(node.id, 3), second.activation(node.id, 0))
        assert np.array_equal(series.activations(node.id).values[-1], second.activation(node.id, 0))
    assert [series.sample_name(i) for i in range(4)] == ["sample 0", "sample 1", "sample 2", "sample 0"]
    assert [series.label(i) for i in range(4)] == [*first.labels.tolist(), None]
    assert series.labels is None, "not all are known"
    pair = series.connections("flatten", "dense", "weight", 2)
    assert np.array_equal(pair.index, first.connections("flatten", "dense", "weight", 2).index)
    assert series.connections("flatten", "dense", "weight", 3) is None


def test_series_of_one_capture_reads_like_the_capture(parts):
    first, _ = parts
    series = CaptureSeries.of(first)
    assert CaptureSeries.of(series) is series
    assert np.array_equal(series.labels, first.labels)
    assert series.provenance.samples == first.provenance.samples
    assert series.activation_shape("conv") == first.activation_shape("conv")
    assert series.classes == first.classes


def test_plus_does_not_change_the_series(parts):
    first, second = parts
    series = CaptureSeries.of(first)
    series.plus(second)
    assert series.committed == first.committed


def test_missing_sample_and_capture_of_another_model_are_refused(parts, tmp_path):
    first, second = parts
    series = CaptureSeries.of(first).plus(second)
    for sample in (-1, 4):
        with pytest.raises(CaptureError, match=rf"There is no sample {sample}; first.zarr holds samples 0 to 3"):
            series.activation("conv", sample)
    graph = chain([("input", "InputLayer", (4,)), ("out", "Dense", (2,))])
    values = {"input": np.zeros((1, 4), np.float32), "out": np.zeros((1, 2), np.float32)}
    with pytest.raises(CaptureError, match="another model"):
        series.plus(captures.write(tmp_path / "other.zarr", graph, values))


def test_capture_of_a_changed_model_file_is_refused(parts):
    first, second = (copy.copy(part) for part in parts)
    first.provenance = replace(first.provenance, sha256="a" * 64)
    CaptureSeries.of(first).plus(second)  # only one of them has the hash of its model file
    second.provenance = replace(second.provenance, sha256="b" * 64)
    with pytest.raises(CaptureError, match=r"hand\.keras has changed since first\.zarr was captured.*start again"):
        CaptureSeries.of(first).plus(second)


def test_each_sample_has_the_preprocessing_of_its_capture(parts):
    first, second = (copy.copy(part) for part in parts)
    second.provenance = replace(second.provenance, preprocessing="unit", preprocessing_reason="It is usual.")
    series = CaptureSeries.of(first).plus(second)
    assert [series.preprocessing(i)[0] for i in range(4)] == ["none", "none", "none", "unit"]
    assert series.preprocessing(3)[1] == "It is usual."
    assert series.without(3).preprocessing(3)[0] == "unit"


def test_removed_sample_cannot_be_read_and_others_keep_their_numbers(parts):
    first, second = parts
    longer = CaptureSeries.of(first).plus(second).plus(second)
    series = longer.without(3)
    assert series.committed == longer.committed
    assert series.provenance == longer.provenance
    assert np.array_equal(series.activation("conv", 4), second.activation("conv", 0))
    with pytest.raises(CaptureError, match=r"Sample 3 \(sample 0\) was removed; choose it again"):
        series.activation("conv", 3)
    numbers = series.activations("conv").values
    assert np.isnan(numbers[3]).all(), "a removed sample has no number"
    assert np.array_equal(np.delete(numbers, 3, axis=0), np.delete(longer.activations("conv").values, 3, axis=0))
    assert series.labels is None
    with pytest.raises(CaptureError, match=r"Sample 1 belongs to first\.zarr"):
        series.without(1)


def changed_run(path, *interventions, value=0.0):
    """Write a capture that holds nothing but a changed run, in which all numbers of ``dense`` are equal."""
    graph = captures.small_graph()

    def also(writer):
        write_interventions(writer, interventions)
        write_changed(writer, "dense", 0, 0, np.full((1, 20), value, np.float32))

    return captures.write(path, graph, {"input": np.zeros((1, 8, 9, 1), np.float32)}, also=(also,))


def test_changed_run_belongs_to_its_sample_alone_and_the_newest_counts(parts, tmp_path):
    first, second = parts
    series = CaptureSeries.of(first).plus(second)
    muted, scaled = Intervention("conv"), Intervention("dense", action="scale", factor=2.0)
    runs = [changed_run(tmp_path / f"{k}.zarr", one, value=k) for k, one in enumerate((muted, scaled))]
    found = series.with_changed_run(3, runs[0]).with_changed_run(3, runs[1]).with_changed_run(1, runs[0])
    assert [found.explanations(k).interventions for k in range(4)] == [(), (muted,), (), (scaled,)]
    assert found.explanations(3).changed("dense").tolist() == [1.0] * 20
    assert found.explanations(3).changed("conv") is None
    assert np.array_equal(found.activation("dense", 3), second.activation("dense", 0)), "the unchanged run stays"
    assert found.plus(second).explanations(3).interventions == (scaled,)
    assert found.without(3).changed.keys() == {1}
    assert series.explanations(3).interventions == ()


def test_sample_without_its_changed_run_has_none_even_if_its_capture_holds_one(tmp_path):
    own = changed_run(tmp_path / "own.zarr", Intervention("conv"))
    series = CaptureSeries.of(own)
    assert series.explanations(0).interventions == (Intervention("conv"),)
    bare = series.with_changed_run(0, None).explanations(0)
    assert (bare.interventions, bare.changed("dense")) == ((), None)
