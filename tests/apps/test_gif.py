"""A GIF's palette is made of parts of frames, and holds the colours of all places."""

import numpy as np
import pytest
from PIL import Image

from nnviz3d.apps.film.gif import GifFilm


@pytest.mark.parametrize("count", [1, 3, 8])
def test_colour_of_every_second_row_or_column_is_in_the_palette_of_films_of_any_length(tmp_path, count):
    frame = np.zeros((64, 96, 3), dtype=np.uint8)
    frame[:, 1:48:2] = (250, 20, 30)
    frame[1::2, 48:] = (20, 60, 250)
    film = GifFilm(tmp_path / "film.gif", (96, 64), 10)
    for number in range(count):
        film.add(number, film.packed(frame))
    film.finish()
    with Image.open(tmp_path / "film.gif") as made:
        for number in range(made.n_frames):
            made.seek(number)
            shown = np.asarray(made.convert("RGB")).astype(int)
            assert np.abs(shown - frame).max() < 12, number
