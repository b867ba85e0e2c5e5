"""Reads the screen: whether a small picture, such as words that were drawn elsewhere, stands somewhere in a large one."""

from __future__ import annotations

import numpy as np

from nnviz3d.render.text import Sprite

_MOST = 400


def shows(picture: np.ndarray, sprite: Sprite) -> bool:
    """Whether the ink of a sprite ``(h, w, 4)`` is found in a picture ``(H, W, 3)``, all of it in one place."""
    ink = np.argwhere((sprite[..., 3] == 255) & (sprite[..., :3].max(axis=2) > 120))
    assert len(ink) > 30, "too little to be known again"
    ink = ink[:: max(1, len(ink) // _MOST)]
    h, w = picture.shape[0] - sprite.shape[0] + 1, picture.shape[1] - sprite.shape[1] + 1
    if h < 1 or w < 1:
        return False
    possible = np.ones((h, w), dtype=bool)
    for row, column in ink:
        here = picture[row : row + h, column : column + w].astype(np.int16)
        possible &= (np.abs(here - sprite[row, column, :3].astype(np.int16)) <= 2).all(axis=2)
        if not possible.any():
            return False
    return True
