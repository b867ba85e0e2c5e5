"""Samples in shards: Zarr and the product's own reader see the numbers that were written."""

import json

import numpy as np
import pytest
import zarr

from nnviz3d.data.capture import open_capture
from nnviz3d.data.graph import Edge, LayerNode, ModelGraph
from nnviz3d.data.records import Provenance
from nnviz3d.data.storage import schema
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.data.storage.direct_reads import array_of
from nnviz3d.data.storage.file_listing import listing_of
from nnviz3d.data.storage.zarr_writers import FolderSink
from nnviz3d.errors import CaptureError
from tests.support.chunks import chunk_files


def stored(path):
    """Return the array "a" of a store, which must not need Zarr to be read."""
    found = array_of("a", json.loads((path / "a" / "zarr.json").read_text()))
    assert found.by_zarr is None
    return found


@pytest.mark.parametrize("zeros", [0.0, 0.8])
@pytest.mark.parametrize(
    ("shape", "per_shard"),
    [((20, 100, 3), 8), ((9, 40, 40, 16), 4), ((5,), 8), ((1, 40_000), 1), ((3, 2, 2_100_001), 2)],
)
def test_samples_are_read_as_they_were_written(tmp_path, shape, per_shard, zeros):
    values = np.random.default_rng(0).random(shape, dtype=np.float32)
    values[values < zeros] = 0
    sink = FolderSink(tmp_path / "x.zarr", per_shard)
    sink.update({})
    for start in range(0, len(values), 3):
        sink.write("a", len(values), start, values[start : start + 3], (None,) * values.ndim)
    sink.close()
    array = zarr.open_array(tmp_path / "x.zarr" / "a", mode="r")
    assert np.array_equal(array[...], values)
    codec = array.metadata.to_dict()["codecs"][0]["configuration"]["codecs"][1]["name"]
    assert codec == ("zstd" if zeros > 0 and values[0].nbytes >= schema.LEAST_COMPRESSED else "crc32c")
    found, listing = stored(tmp_path / "x.zarr"), listing_of(tmp_path / "x.zarr")
    assert np.array_equal(found.read(..., listing), values)
    assert np.array_equal(found.read(slice(1, 4), listing), values[1:4])
    assert all(np.array_equal(found.read(i, listing), values[i]) for i in range(len(values)))
    assert len(chunk_files(tmp_path)) == -(-len(values) // per_shard)


def test_one_sample_is_read_without_the_others(tmp_path):
    values = np.random.default_rng(0).random((16, 50_000), dtype=np.float32)
    sink = FolderSink(tmp_path / "x.zarr", 16)
    sink.update({})
    sink.write("a", 16, 0, values, ("sample", None))
    sink.close()
    (file,) = chunk_files(tmp_path)
    listing, read = listing_of(tmp_path / "x.zarr"), []

    class Counting:
        def part(self, name, start, length):
            read.append(length)
            return listing.part(name, start, length)

    assert np.array_equal(stored(tmp_path / "x.zarr").read(11, Counting()), values[11])
    assert sum(read) < 1.01 * values[11].nbytes < file.stat().st_size / 15


GRAPH = ModelGraph(
    "m",
    (LayerNode("start", 0, "InputLayer", ((3,),)), LayerNode("wide", 0, "Dense", ((2**21,),))),
    (Edge("start", "wide"),),
    ("start",),
    ("wide",),
)
COUNT = 21


def of(node, first, last):
    size = GRAPH.node(node).shape[0]
    return np.stack([np.random.default_rng(i).random(size, dtype=np.float32) for i in range(first, last)])


def test_sample_that_was_never_written_is_not_read_as_zeros(tmp_path):
    provenance = Provenance("m.keras", samples=tuple(map(str, range(COUNT))))
    with CaptureWriter(tmp_path / "run.zarr", graph=GRAPH, provenance=provenance, samples=COUNT) as writer:
        for node in ("start", "wide"):
            for first in (0, 8, 16):
                writer.write_activations(node, 0, first, of(node, first, first + 3))
        writer.commit(COUNT)
    capture = open_capture(tmp_path / "run.zarr")
    assert np.array_equal(capture.activation("wide", 10), of("wide", 10, 11)[0])
    with pytest.raises(CaptureError, match="part of its numbers is missing"):
        capture.activation("wide", 5)
