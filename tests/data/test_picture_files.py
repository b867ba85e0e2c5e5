"""Pictures in rare formats, too large pictures, and damaged pictures."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from nnviz3d.data.files.memory_limit import VARIABLE
from nnviz3d.data.files.picture_files import PictureHeader, changes_of, eight_bits, read_header, read_image
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


def test_heic_is_read_where_its_package_is_installed(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.from_pillow(Image.new("RGB", (64, 48), (200, 30, 60))).save(tmp_path / "IMG_1.HEIC", quality=-1)
    found = read_image(tmp_path / "IMG_1.HEIC")
    assert found.size == (64, 48)
    assert np.abs(np.asarray(found.convert("RGB")).astype(int) - (200, 30, 60)).max() <= 4
    (tmp_path / "cut.heic").write_bytes((tmp_path / "IMG_1.HEIC").read_bytes()[:200])
    with pytest.raises(SampleError, match=r"cut\.heic cannot be read as a picture .* tif or heic file\.$"):
        read_image(tmp_path / "cut.heic")


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


@pytest.mark.parametrize(
    ("numbers", "pixels", "told"),
    [
        (np.array([[0, 32768], [65535, 257]], np.uint16), [[0, 128], [255, 1]], "whole numbers, of which 0 to 65535"),
        (
            np.array([[0, 0.25], [0.5, 0.5]], np.float32),
            [[0, 64], [128, 128]],
            "floats, of which 0 to 1 became 0 to 255",
        ),
        (
            np.array([[0, 100.4], [7, 200]], np.float32),
            [[0, 100], [7, 200]],
            "floats, of which 0 to 255 became 0 to 255",
        ),
        (np.array([[-2, 0], [1, 2]], np.float32), [[0, 128], [191, 255]], "floats, of which -2 to 2 became 0 to 255"),
        (np.array([[-100, 0], [50, 100]], np.int32), [[0, 128], [191, 255]], "whole numbers, of which -100 to 100"),
    ],
    ids=["16 bits", "shares", "bytes", "signed", "32 bits"],
)
def test_numbers_of_more_bits_become_0_to_255_by_a_range_that_is_told(tmp_path, numbers, pixels, told):
    Image.fromarray(numbers).save(tmp_path / "x.tif")
    found = read_image(tmp_path / "x.tif")
    assert np.abs(np.asarray(eight_bits(found)).astype(int) - pixels).max() <= (told.count("-") > 0)
    assert told in changes_of(found)[0]


def test_picture_of_nan_and_unknown_kinds_of_tiff_are_refused_in_one_sentence(tmp_path):
    Image.fromarray(np.full((4, 4), np.nan, np.float32)).save(tmp_path / "nan.tif")
    with pytest.raises(SampleError, match=r"nan\.tif holds NaN or infinite numbers"):
        read_image(tmp_path / "nan.tif")
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "x.tif")
    whole = (tmp_path / "x.tif").read_bytes()
    (tmp_path / "x.tif").write_bytes(
        whole.replace(struct.pack("<HHIHH", 258, 3, 1, 32, 0), struct.pack("<HHIHH", 258, 3, 1, 64, 0))
    )
    with pytest.raises(SampleError, match=r"x\.tif cannot be read as a picture .* save them as a \.npy file\."):
        read_image(tmp_path / "x.tif")


def test_transparency_is_kept_where_it_is_asked_for():
    clear = Image.new("RGBA", (2, 2), (10, 20, 30, 64))
    assert np.asarray(eight_bits(clear, alpha=True))[0, 0].tolist() == [10, 20, 30, 64]
    share = 64 / 255
    assert np.asarray(eight_bits(clear))[0, 0] == pytest.approx(
        np.array([10, 20, 30]) * share + 255 * (1 - share), abs=1
    )


def test_first_of_several_pictures_in_a_file_is_read_and_told(tmp_path):
    light, dark = Image.new("RGB", (4, 4), "white"), Image.new("RGB", (4, 4), "black")
    for name in ("x.gif", "x.tif", "x.webp", "x.png"):
        light.save(tmp_path / name, save_all=True, append_images=[dark, light])
        found = read_image(tmp_path / name)
        assert np.asarray(eight_bits(found)).min() == 255
        assert changes_of(found) == ("holds 3 pictures, of which the first is used",)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".gif", ".bmp"])
def test_header_of_a_picture_says_what_its_pixels_say(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    image = Image.effect_noise((12, 20), 60)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        image.save(path, **({} if suffix in {".gif", ".bmp"} else {"exif": exif}))
        assert read_header(path) == PictureHeader.of(read_image(path))
    if suffix in {".tif", ".gif", ".webp", ".png"}:
        image.save(path, save_all=True, append_images=[Image.effect_noise((12, 20), 60)])
        assert read_header(path) == PictureHeader.of(read_image(path))
        assert "holds 2 pictures" in read_header(path).changes[0]
    if suffix in {".tif", ".png"}:
        Image.fromarray(np.full((9, 7), 70, np.uint16)).save(path)
        assert read_header(path) == PictureHeader.of(read_image(path))
        assert "whole numbers" in read_header(path).changes[0]
