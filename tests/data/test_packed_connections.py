"""Packed connections are read like those of version 1, a sample at a time; damaged ones are refused."""

import json

import numpy as np
import pytest

from nnviz3d.data.capture import open_capture
from nnviz3d.data.records import RANKINGS
from nnviz3d.data.storage import schema
from nnviz3d.data.storage.packed_connections import write_packed
from nnviz3d.errors import CaptureError
from tests.support import captures


@pytest.fixture(scope="module")
def found():
    """Connections of three samples: one less than another has some of its pair's connections."""
    every = captures.small_connections(captures.small_values())
    for records in every.values():
        for column in records.values():
            one = column[1]
            short = {name: getattr(one, name)[:-2] for name in ("index", "weight", "contribution")}
            column[1] = type(one)(one.source, one.target, one.rule, one.ranking, one.total - 2, **short)
    return every


@pytest.fixture
def packed(tmp_path, found):
    most = {pair: max(one.shown for column in records.values() for one in column) for pair, records in found.items()}

    def write(writer):
        for start, stop in ((0, 1), (1, 3)):
            some = {
                pair: {ranking: column[start:stop] for ranking, column in records.items()}
                for pair, records in found.items()
            }
            write_packed(writer, start, some, most)

    return captures.write(tmp_path / "packed.zarr", captures.small_graph(), captures.small_values(), also=[write])


def test_packed_connections_are_read_as_they_were_written(packed, found):
    for pair, records in found.items():
        for ranking in RANKINGS:
            for sample, wanted in enumerate(records[ranking]):
                read = packed.connections(*pair, ranking, sample)
                assert (read.rule, read.total, read.ranking) == (wanted.rule, wanted.total, ranking)
                for name in ("index", "weight", "contribution"):
                    assert np.array_equal(getattr(read, name), getattr(wanted, name))
    assert packed.connections("conv", "pool") is None
    with pytest.raises(CaptureError, match="There is no sample 3"):
        packed.connections("flatten", "dense", "weight", 3)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pairs", None),
        ("pairs", [["flatten", "dense", "dense", 0]]),
        ("pairs", [["flatten", "dense", "guess", 0, 30]]),
        ("pairs", [["flatten", "dense", "dense", 0, 10**12]]),
        ("pairs", [["flatten", "dense", "dense", -1, 30]]),
        ("pairs", [["flatten", "conv", "dense", 30, 6], ["flatten", "dense", "dense", 0, 30]]),
        ("pairs", [["nobody", "dense", "dense", 0, 36], ["flatten", "dense", "dense", 0, 36]]),
        ("rankings", ["weight"]),
        ("rankings", 7),
    ],
)
def test_damaged_description_is_refused_or_changes_nothing(packed, found, key, value):
    file = packed.path / schema.PACKED / "zarr.json"
    data = json.loads(file.read_text())
    data["attributes"][key] = value
    file.write_text(json.dumps(data))
    pairs = (("input", "conv"), ("flatten", "conv"), ("flatten", "dense"))

    def read():
        return [open_capture(packed.path).connections(*pair, "weight", 0) for pair in pairs]

    with pytest.raises(CaptureError, match="damaged"):
        read()
