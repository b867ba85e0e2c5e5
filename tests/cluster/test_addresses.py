"""Captures at addresses of S3, written in parts and read, against a local server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("moto")
pytest.importorskip("s3fs")

import s3fs
import zarr

from nnviz3d.cluster.capture_parts import CaptureParts
from nnviz3d.cluster.destination import destination_of
from nnviz3d.cluster.orders import CaptureOrder
from nnviz3d.cluster.publishing import publish
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.data.request import CaptureRequest
from nnviz3d.data.storage.address import AddressStore, absolute, address_of, store_at
from nnviz3d.errors import CaptureError, DamagedCapture, UserError
from tests.support import command_line
from tests.support.object_store import object_store

RUN = "nnviz3d.test/run.zarr"


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with object_store() as found:
        yield found


@pytest.fixture(scope="module")
def published(bucket: str, small_capture: Capture) -> str:
    """The small capture at an address, as one part."""
    address = f"{bucket}/{RUN}"
    publish_whole(small_capture, address)
    return address


def publish_whole(capture: Capture, address: str) -> None:
    request = CaptureRequest(model="m.keras", out=Path(address), part=(0, 32))
    with destination_of(Path(address)) as out:
        store = store_at(out.store)
        zarr.open_group(store, mode="w", zarr_format=3)
        order = CaptureOrder(job="test", request=request, store=out.store)
        told = publish(Path(capture.path), order, capture.committed)
        CaptureParts(told, capture.committed).write(store)
        out.finish()


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("s3://bucket/run.zarr", "s3://bucket/run.zarr"),
        (Path("s3://bucket/run.zarr"), "s3://bucket/run.zarr"),
        ("run.zarr", None),
        ("/a/s3:/run.zarr", None),
        ("simplecache::s3://bucket/run.zarr", None),
        ("file:///etc/run.zarr", None),
        ("C:/run.zarr", None),
    ],
)
def test_address_is_recognized_by_its_protocol_at_the_beginning(path: Path | str, address: str | None):
    assert address_of(path) == address
    assert absolute(Path(path)) == (address or str(Path(path).absolute()))


def test_capture_at_an_address_reads_as_the_one_that_was_published(published: str, small_capture: Capture):
    found = open_capture(published)
    assert found.committed == small_capture.committed
    assert found.complete
    assert found.graph == small_capture.graph
    for node in small_capture.graph:
        assert np.array_equal(found.activations(node.id).values, small_capture.activations(node.id).values)
    for edge in small_capture.graph.edges:
        mine, its = (one.connections(edge.source, edge.target, "contribution", 1) for one in (found, small_capture))
        assert (mine is None) == (its is None)
        if mine is not None and its is not None:
            assert np.array_equal(mine.index, its.index)
            assert mine.total == its.total


@pytest.mark.parametrize(
    "command",
    [("inspect", "{0}"), ("snapshot", "{0}", "-o", "x.png", "--size", "160x120")],
    ids=["inspect", "snapshot"],
)
def test_command_takes_an_address_as_its_target(published: str, tmp_path: Path, command: tuple[str, ...]):
    done = command_line.run(*(word.format(published) for word in command), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "snapshot" not in command or (tmp_path / "x.png").stat().st_size > 1000


def test_missing_object_is_an_error_and_not_zeros(bucket: str, small_capture: Capture):
    address = f"{bucket}/damaged.zarr"
    publish_whole(small_capture, address)
    node = next(iter(small_capture.graph)).id
    files = s3fs.S3FileSystem()
    files.rm(next(name for name in files.find(f"{address}/activations/{node}") if "/c." in name))
    with pytest.raises(DamagedCapture, match="lacks part of its numbers"):
        open_capture(address).activations(node)


@pytest.mark.parametrize("address", ["{0}/nothing.zarr", "s3://no-such-bucket/run.zarr"])
def test_address_without_a_capture_is_refused_by_one_sentence(bucket: str, address: str):
    with pytest.raises(CaptureError, match="There is no capture at s3://"):
        open_capture(address.format(bucket))


def test_capture_is_not_written_over_another_one(published: str):
    with pytest.raises(UserError, match=r"exists; give another name"):
        destination_of(Path(published))


def test_capture_is_not_written_in_place_of_a_whole_bucket():
    with pytest.raises(UserError, match=r"s3://run.zarr is a whole bucket; give a name in it"):
        destination_of(Path("s3://run.zarr"))


def test_name_that_leads_out_of_an_address_is_refused(published: str):
    store = AddressStore(f"{published}/activations")
    for name in ("../zarr.json", "/zarr.json", "a/../../zarr.json"):
        for read in (store.read, store.listing, store.folders, lambda name: store.part(name, 0, 1)):
            with pytest.raises(ValueError, match="leads out of it"):
                read(name)
        with pytest.raises(ValueError, match="leads out of it"):
            store.write({name: b"{}"})
    assert open_capture(published).complete


def test_bucket_that_does_not_exist_is_refused_by_one_sentence(bucket: str, small_capture: Capture):
    with pytest.raises(UserError, match="no-such-bucket"):
        publish_whole(small_capture, "s3://no-such-bucket/run.zarr")


def test_unfinished_capture_is_removed_from_its_address(bucket: str):
    with contextlib.suppress(KeyboardInterrupt), destination_of(Path(f"{bucket}/unfinished.zarr")) as out:
        zarr.open_group(store_at(out.store), mode="w", zarr_format=3)
        assert s3fs.S3FileSystem().find(out.store)
        raise KeyboardInterrupt
    files = s3fs.S3FileSystem()
    files.invalidate_cache()
    assert files.find(f"{bucket}/unfinished.zarr") == []
