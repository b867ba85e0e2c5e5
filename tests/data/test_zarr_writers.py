"""A capture in a fast zip file reads like one in a Zarr folder."""

import zipfile

import numpy as np
import pytest

from nnviz3d.data.capture import open_capture
from nnviz3d.data.graph import Edge, LayerNode, ModelGraph
from nnviz3d.data.records import RANKINGS, Connections, Provenance
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.errors import CaptureError
from tests.support.earlier_connections import write_connections

GRAPH = ModelGraph(
    "m",
    (
        LayerNode("start", 0, "InputLayer", ((2, 3),)),
        LayerNode("block/dense", 0, "Dense", ((4,), (2, 2))),
        LayerNode("block/dense", 1, "Dense", ((),)),
        LayerNode("empty", 0, "Slice", ((0,),)),
    ),
    (Edge("start", "block/dense"), Edge("block/dense", "block/dense@1")),
    ("start",),
    ("block/dense@1",),
)
SHAPES = {("start", 0): (2, 3), ("block/dense", 0): (4,), ("block/dense", 1): (2, 2), ("block/dense@1", 0): ()}
PROVENANCE = Provenance("m.keras", samples=tuple("abcde"))


def numbers(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def write(path, *, transient):
    with CaptureWriter(path, graph=GRAPH, provenance=PROVENANCE, samples=5, transient=transient) as writer:
        writer.write_input("start", 0, numbers(5, 2, 3))
        writer.write_pictures("start", np.arange(5 * 4 * 4 * 3, dtype=np.uint8).reshape(5, 4, 4, 3))
        writer.write_labels(np.arange(5))
        for start, stop in ((0, 3), (3, 5)):
            for (node, output), shape in SHAPES.items():
                writer.write_activations(node, output, start, numbers(5, *shape)[start:stop])
            writer.write_activations("empty", 0, start, numbers(stop - start, 0))
        writer.write_weights("block/dense", "bias", np.float32(3))
        writer.write_weights("block/dense", "count", np.array(7))
        index = np.array([[0, 1], [2, 3]])
        found = [Connections("start", "block/dense", "dense", r, 9, index, *numbers(2, 2)) for r in RANKINGS]
        write_connections(writer, {r: [c] * 5 for r, c in zip(RANKINGS, found, strict=True)})
        writer.commit(5)
    return open_capture(path)


def test_all_kinds_of_store_give_the_same_numbers(tmp_path):
    slow = write(tmp_path / "slow.zarr", transient=False)
    for quick in (
        write(tmp_path / "quick.zarr.zip", transient=True),
        write(tmp_path / "quick.zarr", transient=True),
        write(tmp_path / "slow.zarr.zip", transient=False),
    ):
        assert quick.graph == slow.graph
        assert quick.provenance == slow.provenance
        assert quick.complete
        assert quick.committed == 5
        for node, output in (*SHAPES, ("empty", 0)):
            assert np.array_equal(quick.activations(node, output).values, slow.activations(node, output).values)
            assert np.array_equal(quick.activation(node, 4, output), slow.activation(node, 4, output))
        assert np.array_equal(quick.activations("block/dense").values, numbers(5, 4))
        assert np.array_equal(quick.picture("start", 3), slow.picture("start", 3))
        assert np.array_equal(quick.input("start", 1), numbers(5, 2, 3)[1])
        assert quick.labels.tolist() == [0, 1, 2, 3, 4]
        assert quick.weights("block/dense")["bias"] == 3
        assert quick.weights("block/dense")["count"] == 7
        one, other = (c.connections("start", "block/dense", "contribution", 2) for c in (quick, slow))
        assert (one.rule, one.total) == (other.rule, other.total) == ("dense", 9)
        assert np.array_equal(one.index, other.index)
        assert np.array_equal(one.contribution, other.contribution)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["quick.zarr", "quick.zarr.zip", "slow.zarr", "slow.zarr.zip"]


@pytest.mark.parametrize("name", ["run.zarr", "run.zarr.zip"])
def test_sample_of_another_shape_is_refused_and_leaves_nothing(tmp_path, name):
    writer = CaptureWriter(tmp_path / name, graph=GRAPH, provenance=PROVENANCE, samples=5, transient=True)
    writer.write_activations("block/dense", 0, 0, numbers(2, 4))
    with pytest.raises(CaptureError, match=r"holds \(4,\) for each sample, got \(3,\)"), writer:
        writer.write_activations("block/dense", 0, 2, numbers(2, 3))
    assert list(tmp_path.iterdir()) == []


def test_flipped_bit_is_refused(tmp_path):
    path = tmp_path / "run.zarr.zip"
    write(path, transient=True)
    data = bytearray(path.read_bytes())
    place = data.index(numbers(5, 4)[2].tobytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(CaptureError, match="is damaged"):
        open_capture(path).activation("block/dense", 2)


def test_zip_file_has_no_duplicate_entries(tmp_path):
    write(tmp_path / "run.zarr.zip", transient=True)
    with zipfile.ZipFile(tmp_path / "run.zarr.zip") as archive:
        names = archive.namelist()
    assert len(names) == len(set(names))
