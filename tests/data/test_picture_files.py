"""Pictures in rare formats, too large pictures, and damaged pictures."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from nnviz3d.data.files.memory_limit import VARIABLE
from nnviz3d.data.files.picture_files import eight_bits, read_image
from nnviz3d.errors import SampleError


def png_that_claims(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16", "F"])
@pytest.mark.parametrize("suffix", [".tif", ".TIFF"])
def test_tiff_is_read(tmp_path, mode, suffix):
    image = Image.fromarray(np.arange(144, dtype=np.uint8).reshape(12, 12))
    image = image.convert("I").convert("I;16") if mode == "I;16" else image.convert(mode)
    image.save(tmp_path / f"cells{suffix}", "TIFF")
    found = read_image(tmp_path / f"cells{suffix}")
    assert found.mode == mode
    assert eight_bits(found).mode in {"L", "RGB"}


def test_picture_of_a_billion_pixels_is_refused_by_its_header(tmp_path):
    (tmp_path / "huge.png").write_bytes(png_that_claims(40_000, 25_000))
    with pytest.raises(
        SampleError, match=r"huge\.png, 40,000 by 25,000 pixels, would take 11\.2 GB of memory.*--limit"
    ):
        read_image(tmp_path / "huge.png")


def test_pillows_own_limit_follows_ours_and_stays_unchanged_for_other_code(tmp_path, monkeypatch):
    bound = Image.MAX_IMAGE_PIXELS
    monkeypatch.setenv(VARIABLE, "20")
    (tmp_path / "huge.png").write_bytes(png_that_claims(1_000_000, 1000))
    with pytest.raises(SampleError, match=r"huge\.png cannot be read as a picture"):  # it is cut short
        read_image(tmp_path / "huge.png")
    assert bound == Image.MAX_IMAGE_PIXELS


def test_picture_file_of_gigabytes_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "large.webp").open("wb") as file:
        file.truncate(5 * 2**30)
    with pytest.raises(SampleError, match=r"large\.webp would take 5\.0 GB"):
        read_image(tmp_path / "large.webp")
