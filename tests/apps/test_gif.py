"""A GIF's palette is made of parts of some frames, and holds the colours of all places."""

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


@pytest.mark.parametrize("count", [1, 47, 48, 130])
def test_frames_are_shown_in_their_order_though_some_are_drawn_early(tmp_path, count):
    film = GifFilm(tmp_path / "film.gif", (64, 64), 10)
    order = film.order(count)
    assert sorted(order) == list(range(count))
    for number in order:
        film.add(number, film.packed(np.full((64, 64, 3), number, dtype=np.uint8)))
    film.finish()
    with Image.open(tmp_path / "film.gif") as made:
        assert made.n_frames == count
        for number in range(count):
            made.seek(number)
            assert np.abs(np.asarray(made.convert("RGB")).astype(int) - number).max() <= 4, number


def test_palette_has_colours_that_are_shown_for_half_a_second(tmp_path):
    film, colour = GifFilm(tmp_path / "film.gif", (64, 64), 10), (250, 20, 30)
    frames = np.full((130, 64, 64, 3), 20, dtype=np.uint8)
    frames[63:68, 10:20, 10:20] = colour
    for number in film.order(130):
        film.add(number, film.packed(frames[number]))
    film.finish()
    with Image.open(tmp_path / "film.gif") as made:
        made.seek(65)
        shown = np.asarray(made.convert("RGB")).astype(int)
    assert np.abs(shown - frames[65]).max() <= 4
