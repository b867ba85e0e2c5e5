"""The size of a large capture is told before it is written, and refused if the disk is too small."""

import shutil

import numpy as np
import pytest

from nnviz3d.capture.programs.activations import Batch
from nnviz3d.capture.room_on_disk import check_room
from nnviz3d.errors import UserError


@pytest.fixture
def batch(rng):
    noise = rng.normal(size=(2, 500_000)).astype(np.float32)
    zeros = np.zeros((2, 500_000), np.float32)
    rows = frozenset({("noise", 0), ("zeros", 0)})
    return Batch({"noise": (noise,), "zeros": (zeros,)}, rows, frozenset(), 0, 2, 2)


def test_size_is_told_for_large_captures_only(batch, tmp_path):
    told = []
    check_room(tmp_path / "run.zarr", batch, 10, [], [], told.append)
    assert told == []
    check_room(tmp_path / "run.zarr", batch, 1000, [], [np.zeros(10**6, np.uint8)], told.append)
    assert [notice.text for notice in told] == [
        "run.zarr takes about 2 GB on disk: 2 MB for each of 1,000 samples."  # zeros take next to nothing
    ]


def test_capture_that_does_not_fit_is_refused_in_one_sentence(batch, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**10, 9 * 10**9, 10**9))
    with pytest.raises(UserError, match=r"would take about 2 GB, 2 MB for each of 1,000 samples, but .* has 1 GB left"):
        check_room(tmp_path / "run.zarr", batch, 1000, [], [], lambda _: None)
