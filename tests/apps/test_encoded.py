"""Films of equal frames are equal files at every picture size."""

import numpy as np
import pytest

from nnviz3d.apps.film.encoded import MP4, WEBM, EncodedFilm


def moving(width: int, height: int, count: int = 30):
    """Frames of a striped and noisy picture that drifts, like a scene in front of a moving camera."""
    rows, columns = np.mgrid[: height + 80, : width + 80]
    noise = np.random.default_rng(0).integers(0, 10, (height + 80, width + 80, 3))
    whole = (noise + np.stack([columns, rows, columns + rows], axis=2) // 2 % 200).astype(np.uint8)
    return [whole[i // 2 : i // 2 + height, i : i + width] for i in range(count)]


@pytest.mark.parametrize("size", [(160, 120), (320, 240), (400, 300)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("encoding", [MP4, WEBM], ids=lambda encoding: encoding.container)
def test_two_films_of_the_same_frames_are_equal(tmp_path, encoding, size):
    frames, found = moving(*size), set()
    for number in range(4):
        out = tmp_path / f"{number}.{encoding.container}"
        film = EncodedFilm(out, encoding, size, 30)
        for place, frame in enumerate(frames):
            film.add(place, film.packed(frame))
        film.finish()
        found.add(out.read_bytes())
    assert len(found) == 1
