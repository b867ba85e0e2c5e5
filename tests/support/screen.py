"""Search of a small picture, such as drawn words, in a large one."""

from __future__ import annotations

import numpy as np

from nnviz3d.render.text import Sprite


def shows(picture: np.ndarray, sprite: Sprite) -> bool:
    """Whether a picture ``(H, W, 3)`` contains all opaque pixels of a sprite ``(h, w, 4)`` at one position."""
    ink = np.argwhere((sprite[..., 3] == 255) & (sprite[..., :3].max(axis=2) > 100))
    assert len(ink) > 30, "too little to be known again"
    height, width = np.subtract(picture.shape[:2], sprite.shape[:2]) + 1
    if height < 1 or width < 1:
        return False
    # Places where it could stand; each piece of ink leaves fewer.
    places = np.argwhere(np.ones((height, width), dtype=bool))
    large = picture.astype(np.int16)
    for row, column in np.random.default_rng(0).permutation(ink):
        here = large[places[:, 0] + row, places[:, 1] + column]
        places = places[(np.abs(here - sprite[row, column, :3].astype(np.int16)) <= 2).all(axis=1)]
        if not len(places):
            return False
    return True
