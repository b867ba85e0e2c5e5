"""Arrays read without Zarr have the numbers that Zarr reads, and what is stored in another way is left to Zarr."""

import json
import os
import zipfile

import numpy as np
import pytest
import zarr
from zarr.codecs import Crc32cCodec, GzipCodec, ZstdCodec

from nnviz3d.data.capture import open_capture
from nnviz3d.data.storage.direct_reads import array_of, described
from nnviz3d.data.storage.file_listing import FolderListing, ZipListing
from nnviz3d.data.storage.schema import activation_path
from nnviz3d.errors import DamagedCapture
from tests.support.captures import explained_capture
from tests.support.chunks import chunk_files

GRIDS = [((7, 5), (2, 3)), ((6,), (4,)), ((), ()), ((3, 0, 2), (1, 1, 2)), ((9, 4, 3), (9, 4, 3)), ((5, 4), (1, 8))]


@pytest.mark.parametrize("kind", ["float32", "bool"])
@pytest.mark.parametrize(("shape", "chunks"), GRIDS)
@pytest.mark.parametrize("codec", [None, ZstdCodec(level=0, checksum=True), Crc32cCodec()])
def test_arrays_are_read_as_zarr_reads_them(tmp_path, shape, chunks, kind, codec):
    values = np.random.default_rng(1).normal(scale=9, size=shape).astype(kind)
    keys = {"name": "default", "separator": "." if kind == "bool" else "/"}
    made = {"dtype": kind, "compressors": codec, "chunk_key_encoding": keys}
    stored = zarr.create_array(tmp_path / "a", shape=shape, chunks=chunks, **made)
    stored[...] = values
    listing = FolderListing(tmp_path)
    array = array_of("a", described(listing.content("a/zarr.json")))
    assert array is not None
    rows = shape[0] if shape else 0
    for selection in (..., *range(rows), slice(None), slice(rows // 2), slice(1, rows)) if shape else (...,):
        assert array.reads(selection)
        found = array.read(selection, listing)
        assert (found.dtype, found.shape) == (values.dtype, values[selection].shape)
        assert np.array_equal(found, values[selection])
        found[...] = 0  # a reader may change its copy
    assert array.read(..., listing).tobytes() == values.tobytes()
    assert not array.reads((0, slice(2)))


@pytest.mark.parametrize("codec", [ZstdCodec(level=0, checksum=True), Crc32cCodec()])
def test_flipped_bit_and_missing_bytes_are_found(tmp_path, codec):
    zarr.create_array(tmp_path / "a", shape=(9,), chunks=(9,), dtype="float32", compressors=codec)[...] = np.arange(9)
    listing, chunk = FolderListing(tmp_path), tmp_path / "a/c/0"
    array = array_of("a", described(listing.content("a/zarr.json")))
    data = chunk.read_bytes()
    assert array.read(..., listing).tolist() == list(range(9))
    for wrong in (data[:-1], b"", data[:-9] + bytes([data[-9] ^ 4]) + data[-8:]):
        chunk.write_bytes(wrong)
        with pytest.raises((ValueError, RuntimeError)):
            array.read(..., listing)


@pytest.mark.parametrize(
    "change",
    [
        {"codecs": [{"name": "bytes", "configuration": {"endian": "big"}}]},
        {"codecs": [{"name": "bytes"}, {"name": "gzip"}]},
        {"codecs": [{"name": "transpose"}, {"name": "bytes"}]},
        {"chunk_key_encoding": {"name": "v2"}},
        {"storage_transformers": [{}]},
        {"data_type": "complex64"},
        {"data_type": {"name": "float32"}},
        {"chunk_grid": {"name": "rectangular"}},
        {"shape": [2, True]},
    ],
)
def test_array_of_an_unusual_description_is_left_to_zarr(tmp_path, change):
    zarr.create_array(tmp_path, shape=(2, 2), chunks=(2, 2), dtype="float32")
    description = json.loads((tmp_path / "zarr.json").read_text())
    assert array_of("", description) is not None
    assert array_of("", description | change) is None


def test_array_with_another_codec_is_read_by_zarr(tmp_path):
    path = explained_capture(tmp_path / "run.zarr").path
    before = open_capture(path).activations("conv").values
    at = path / "activations/conv/@0/0"
    made = {"chunks": (1, *before.shape[1:]), "compressors": GzipCodec(), "overwrite": True}
    zarr.create_array(at, shape=before.shape, dtype=before.dtype, **made)[...] = before
    assert np.array_equal(open_capture(path).activations("conv").values, before)
    assert np.array_equal(open_capture(path).activation("conv", 1), before[1])


@pytest.mark.parametrize("name", ["../a", "/etc/hostname", "a/../../b"])
def test_name_that_leads_out_of_a_capture_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="leads out"):
        FolderListing(tmp_path).content(name)


def test_both_kinds_of_store_list_the_same_folders(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for name in ("g/b/zarr.json", "g/a/zarr.json", "g/a/c/0", "zarr.json"):
            packed.writestr(name, name)
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(name)
    folder, archive = FolderListing(tmp_path), ZipListing(tmp_path / "a.zip")
    for path in ("g", "g/a", "none", "zarr.json"):
        assert set(folder.folders(path)) == set(archive.folders(path)), path
    assert archive.folders("g") == ["b", "a"]
    for listing in (folder, archive):
        assert listing.content("g/a/c/0") == b"g/a/c/0"
        assert (listing.has("g/a/c/0"), listing.has("g/a/c"), listing.describes("g/a")) == (True, False, True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
def test_pipe_in_place_of_a_chunk_is_missing_numbers_and_is_not_waited_for(tmp_path):
    capture = explained_capture(tmp_path / "run.zarr")
    node = next(node.id for node in capture.graph if capture.has_activations(node.id))
    path = activation_path(node, 0)
    for chunk in chunk_files(tmp_path / "run.zarr" / path):
        chunk.unlink()
        os.mkfifo(chunk)
    assert FolderListing(tmp_path / "run.zarr").under(path).keys() == {f"{path}/zarr.json"}
    with pytest.raises(DamagedCapture, match="lacks part of its numbers"):
        open_capture(tmp_path / "run.zarr").activations(node)
