"""Tests of the file of a picture."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nnviz3d.apps.snapshot import write_png
from nnviz3d.errors import UserError

PIXELS = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


@pytest.mark.parametrize(("umask", "mode"), [(0o027, 0o640), (0o002, 0o664), (0o077, 0o600)])
def test_file_has_the_permissions_of_the_umask(tmp_path: Path, umask: int, mode: int):
    before = os.umask(umask)
    try:
        write_png(PIXELS, tmp_path / "x.png")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x.png").stat().st_mode) == mode
    assert np.array_equal(np.asarray(Image.open(tmp_path / "x.png")), PIXELS)
    assert os.listdir(tmp_path) == ["x.png"]


@pytest.mark.parametrize("folder", ["gone", "file"])
def test_missing_folder_or_file_as_a_folder_is_refused(tmp_path: Path, folder: str):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"^Cannot write .*x\.png: .*\.$"):
        write_png(PIXELS, tmp_path / folder / "x.png")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="the system has no /proc")
def test_folder_of_the_system_is_refused():
    with pytest.raises(UserError, match=r"^Cannot write /proc/x\.png: .*\.$"):
        write_png(PIXELS, Path("/proc/x.png"))
