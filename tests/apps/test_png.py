"""Tests of the encoder of PNG files, against another decoder."""

import io

import numpy as np
import pytest
from PIL import Image

from nnviz3d.apps.png import encode_png


@pytest.mark.parametrize("effort", [0, 1, 6, 9])
@pytest.mark.parametrize("size", [(1, 1), (37, 23), (320, 180)], ids=str)
def test_decoded_file_is_the_picture(effort: int, size: tuple[int, int]):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    with Image.open(io.BytesIO(encode_png(pixels[::-1], effort=effort))) as found:
        found.verify()
    with Image.open(io.BytesIO(encode_png(pixels[::-1], effort=effort))) as found:
        assert (found.format, found.mode) == ("PNG", "RGB")
        assert np.array_equal(found, pixels[::-1])


def test_effort_makes_files_of_plain_areas_small():
    pixels = np.zeros((200, 300, 3), np.uint8)
    pixels[50:100, 60:200] = (200, 40, 30)
    sizes = [len(encode_png(pixels, effort=effort)) for effort in (0, 1, 6)]
    assert sizes[0] > 180_000 > 3000 > sizes[1] > sizes[2]
